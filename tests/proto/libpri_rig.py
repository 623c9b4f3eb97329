"""What the tests against libpri share: our end and libpri's on one line, read by tshark afterwards."""

import shutil

import pytest

from tests.proto import isdn

PEER = isdn.build_peer()
needs_peer = pytest.mark.skipif(PEER is None, reason="cc or libpri-dev is not installed")
SWITCH = {"etsi": 5, "ni2": 1, "dms100": 2, "5ess": 3, "qsig": 10}     # PRI_SWITCH_ of libpri.h


class Rig:
    """Our end and libpri's on one line, up."""

    def __init__(self, ours="user", overlap=False, config=None, variant="etsi"):
        config = dict(config or {}, overlap_receiving=overlap)
        self.ours = isdn.Ours(ours, config, variant)
        self.far = isdn.Libpri(PEER, "network" if ours == "user" else "user", overlap, SWITCH[variant])
        self.line = isdn.Line(*((self.ours, self.far) if ours == "user" else (self.far, self.ours)))
        self.ours.start(0)
        self.line.run(1000)
        assert self.ours.take("link_state")["up"]
        assert self.far.take("up")

    def say(self, primitive, call, **given):
        self.ours.request(primitive, call, self.line.now_ms, **given)
        self.line.settle()

    def tell(self, *words):
        self.far.command(*words)
        self.line.settle()


@pytest.fixture
def rig(tmp_path):
    """Makes rigs; at the end nobody has complained, tshark included."""
    rigs = []

    def make(*args, **kwargs):
        rigs.append(Rig(*args, **kwargs))
        return rigs[-1]

    yield make
    for made in rigs:
        made.far.close()
        # libpri's complaint about a link that we cut is wanted; nothing else is.
        logs = [t for t in made.far.logs if "T309" not in t and "T200" not in t and "T203" not in t and "TEI" not in t]
        assert logs == [], logs
        errors = [e for e in made.ours.events if e["event"] == "protocol_error"]
        assert not errors, errors
        if shutil.which("tshark"):
            path = tmp_path / "line.pcap"
            isdn.write_pcap(path, made.line.frames)
            rows = isdn.tshark(path)
            assert len(rows) == len(made.line.frames), (len(rows), len(made.line.frames))
            # tshark does not know libpri's names in a Facility of NI2 and DMS-100: of those lines only our frames count.
            ours = made.ours.side == "network"
            wrong = [row for row, frame in zip(rows, made.line.frames, strict=True)
                     if row[1] and (made.ours.calls.variant == "etsi" or frame[1] == ours)]
            assert wrong == [], wrong


def incoming(r, called="02150801000", complete=1, caller="13912345678", redirecting="4008001000", channel=1,
             exclusive=1, name="-", user_user=""):
    """A SETUP of libpri: (its call, our event)."""
    r.tell("setup", channel, exclusive, called, complete, caller or "-", redirecting or "-", name, user_user)
    out = r.far.take("out")
    return out["call"], r.ours.take("setup_indication")


def outgoing(r, **given):
    """A SETUP of ours; returns its call."""
    call = r.ours.calls.new_call()
    r.say("setup_request", call, **dict({"called": "13912345678", "caller": "02150801000", "timeslot": 5}, **given))
    return call
