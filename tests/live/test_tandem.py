"""Calls from trunk to trunk through the whole house, each kind to each other: PRI (libpri), SS7 (libss7, ITU) and SIP (the probe, a trunk known by its address).

Numbers, redirection, progress, causes and statuses are mapped by table (Q.1912.5, RFC 3398, RFC 4497); sound is compared octet by octet."""

import itertools
import pathlib
import time

import pytest

from hil.board.clock import BoardClock
from hil.far.client import FarExchange
from hil.far.ss7 import FarSS7
from hil.phone.probe import ProbePhone
from hil.probes import exact
from tests.live import probe_moves
from tests.live.conftest import CALLER, REDIRECTING, House
from tests.live.law_cases import test_a_tone_between_two_laws, test_data_goes_between_two_laws_as_it_is      # noqa: F401  they share this house

BINARY = pathlib.Path(__file__).parents[2] / "build" / "hil" / "far-ss7"
pytestmark = [pytest.mark.live, pytest.mark.skipif(not BINARY.exists(), reason="libss7-dev is not installed: no far-ss7")]
NUMBER, SECONDS = "13900001111", 2
PREFIX = {"pri": "81", "ss7": "82", "sip": "83"}
PAIRS = [pair for pair in itertools.product(PREFIX, repeat=2) if pair[0] != pair[1]]
# Q.850 cause and the status of SIP: RFC 3398 7.2.4.1 (a cause came) and 8.2.6.1 (a status came).
STATUS_OF = {17: 486, 1: 404, 21: 403, 28: 484, 34: 503}
CAUSE_OF = {486: 17, 404: 1, 403: 21, 484: 28, 480: 18}
CAUSES = (17, 1, 21, 28, 34)


class FarEnd:
    """A span of a far exchange, in the words that all ends share."""

    numbers = itertools.count(1)

    def __init__(self, house, far, span):
        self.house, self.far, self.span, self.id = house, far, span, None

    def expect(self, cause=None):
        """What becomes of the next call that comes in."""
        self.far.policy(incoming="refuse" if cause else "answer", cause=cause or 17, alerting_ms=50, answer_ms=300, record_dir=self.house.folder)
        self.mark = self.far.mark()

    def came(self):
        event = self.far.wait_for("incoming", 30, since=self.mark, span=self.span)
        self.id = event["id"]
        return {"called": event["called"].rstrip("#F"), "caller": event["caller"], "redirecting": event["redirecting"]}

    def place(self, called, **more):
        self.id, self.mark = "t%d" % next(self.numbers), self.far.mark()
        self.far.call(self.id, self.span, called, CALLER, redirecting=REDIRECTING, record=self.house.folder / (self.id + ".wav"), **more)

    def rang(self):
        self.far.wait_for("alerting", 30, id=self.id)

    def answered(self):
        self.far.wait_for("connect", 30, id=self.id)

    def cause(self):
        return self.far.wait_for("hangup", 30, id=self.id)["cause"]

    def say(self, path, octets):
        self.far.play(self.id, path)

    def said(self):
        self.far.wait_for("play_done", 30, id=self.id)

    def hang_up(self):
        self.far.hangup(self.id)

    def heard(self):
        self.far.wait_for("record_closed", 30, id=self.id)
        octets = (self.house.folder / (self.id + ".wav")).read_bytes()
        return octets[octets.index(b"data") + 8:]

    def over(self):
        self.far.wait_for("released", 30, id=self.id)


class SIPEnd:
    """The same of the far end of a SIP trunk."""

    def __init__(self, house):
        self.house, self.phone = house, ProbePhone(CALLER, "", house.sip_port, clock=BoardClock(house.run_dir)).open()

    def expect(self, cause=None):
        self.phone.answer_mode, self.status = "manual" if cause else "auto", cause
        self.mark = self.phone.mark()

    def came(self):
        invite = self.phone.wait_for("incoming", 30, since=self.mark)["invite"]
        if self.status:
            self.phone.refuse(self.status, "No")
        return {"called": invite.start.split()[1].partition(":")[2].partition("@")[0], "caller": invite.uri("from").partition(":")[2].partition("@")[0],
                "redirecting": invite.get("diversion").partition("sip:")[2].partition("@")[0]}

    def place(self, called):
        self.mark = self.phone.mark()
        self.phone.dial(called, [("diversion", f"<sip:{REDIRECTING}@127.0.0.1>;reason=unconditional;counter=1")])

    def rang(self):
        """180; with a description of the sound where the called exchange gives the tone."""
        self.house.wait(lambda s: self.phone.events("ringing", self.mark) or [e for e in self.phone.events("early", self.mark) if e["status"] == 180], 30, "180")

    def answered(self):
        self.phone.wait_for("answered", 30, since=self.mark)

    def cause(self):
        return self.phone.wait_for("refused", 30, since=self.mark)["status"]

    def say(self, path, octets):
        self.playing = self.phone.play(octets)

    def said(self):
        self.playing.wait(30)

    def hang_up(self):
        self.phone.hangup()

    def heard(self):
        return self.phone.received_octets()

    def over(self):
        self.phone.wait_for("closed", 30, since=self.mark)


class TandemHouse(House):
    """Span 1: PRI; span 2: SS7 with its link in timeslot 16; a SIP trunk.  Who comes in may dial through."""

    prefix = PREFIX

    def start(self):
        self.start_board()
        self.start_product()
        self.ends = {"sip": SIPEnd(self)}
        running = self.product.get("/configuration")
        config = running["configuration"]
        config["trunk_groups"] += [{"name": name, "classes": ["national"], "selection": "ascending", "data_calls": True} for name in PREFIX]
        config["spans"][0].update(trunk_group="pri")
        config["spans"][1].update(trunk_group="ss7", signalling="ss7", crc4=False)
        config["ss7"] = [{"name": "carrier", "variant": "itu", "point_code": "0-12-4", "linksets": [
            {"name": "a", "adjacent": "0-25-0", "links": [{"span": 2, "timeslot": 16, "slc": 0}]}],
            "circuit_groups": [{"name": "g", "destination": "0-25-0", "circuits": [{"cic": 1, "span": 2, "timeslot": 1, "count": 15}]}]}]
        config["sip_trunks"] = [{"name": "peer", "trunk_group": "sip", "kind": "peer", "channels": 4, "diversion": "both",
                                 "addresses": [{"address": "127.0.0.1", "port": self.ends["sip"].phone.port}]}]
        config["routes"] = [{"number": digits + ".", "class": "national", "choices": [{"trunk_group": name, "strip": 2}]} for name, digits in PREFIX.items()]
        self.product.post("/configuration/apply", running)
        self.far = FarExchange(self.run_dir, [1], crc4=[1], trace_dir=self.folder / "trace").start()
        self.ss7 = FarSS7(self.run_dir, [2], [(2, 16, 0)], trace_dir=self.folder / "trace").start()
        self.ends.update(pri=FarEnd(self, self.far, 1), ss7=FarEnd(self, self.ss7, 2))
        self.far.wait_for("link_up", 30, span=1)
        self.ss7.wait_for("ss7_up", 30)
        self.wait_trunks()
        return self

    def wait_trunks(self):
        self.wait(lambda s: all(span["state"] == "up" for span in s["spans"]) and s["ss7"][0]["circuit_groups"][0]["available"] == 15
                  and s["sip_trunks"][0]["state"] == "up", 60, "the three trunks")

    def clear(self):
        """Nobody is in a call, whatever became of the one before."""
        self.ends["sip"].phone.hangup()
        for far in (self.far, self.ss7):
            for call in far.status()["calls"]:
                far.hangup(call["id"])
        self.wait_idle(30)

    def stop(self):
        if getattr(self, "ss7", None) is not None:
            self.ss7.stop()
        if getattr(self, "ends", None):
            self.ends["sip"].phone.stop()
        super().stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with TandemHouse(tmp_path_factory.mktemp("tandem")) as rig:
        yield rig.prepare()


@pytest.mark.conformance("Q.1912.5", "6, 7 (live)", "calls between PRI, SS7 and SIP, each to each other: number, caller, redirection, ringing, answer and release go through; sound both ways octet by octet")
@pytest.mark.parametrize("way, out", PAIRS)
def test_a_call_goes_from_one_kind_to_another(house, way, out):
    near, far = house.ends[way], house.ends[out]
    files = [house.folder / f"{way}-{out}-{side}.wav" for side in (1, 2)]
    said = [probe_moves.material(seed, SECONDS, path) for seed, path in zip((501, 502), files, strict=True)]

    def measure():
        house.clear()
        far.expect()
        near.place(PREFIX[out] + NUMBER)
        assert far.came() == {"called": NUMBER, "caller": CALLER, "redirecting": REDIRECTING}
        near.rang()
        near.answered()
        call = house.wait_call("talking")
        time.sleep(0.2)                     # the record comes before the bridge
        for end, path, octets in zip((near, far), files, said, strict=True):
            end.say(path, octets)
        for end in (near, far):
            end.said()
        time.sleep(0.2)
        near.hang_up()
        for end in (near, far):
            end.over()
        found = exact.match(said[1], near.heard()), exact.match(said[0], far.heard())
        assert found[0].exact and found[1].exact, "; ".join(map(str, found))
        return call["call"]
    cdr = house.cdr(probe_moves.undisturbed(measure, house))["cdr"]
    assert (cdr["result"], cdr["released_by"], cdr["cause"], cdr["called"], cdr["dialled"]) == ("answered", "caller", 16, PREFIX[out] + NUMBER, NUMBER)


@pytest.mark.conformance("RFC 3398", "7.2.4.1 (live)", "a refusal by its cause between PRI, SS7 and SIP, each to each other, by the tables")
@pytest.mark.parametrize("way, out", PAIRS)
def test_a_refusal_keeps_its_cause(house, way, out):
    near, far = house.ends[way], house.ends[out]
    house.clear()
    for refusal in CAUSE_OF if out == "sip" else CAUSES:
        far.expect(refusal)
        near.place(PREFIX[out] + NUMBER)
        far.came()
        wanted = CAUSE_OF[refusal] if out == "sip" else STATUS_OF[refusal] if way == "sip" else refusal
        assert near.cause() == wanted, refusal
        near.over()
        house.wait_idle(30)
