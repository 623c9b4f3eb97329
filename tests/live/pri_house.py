"""The house of the live PRI calls, and the moves that its tests share.

Spans: 1, 2 ETSI user side; 3 ETSI network side; 4, 5 National ISDN; 6, 7 QSIG; 8, 9 5ESS; 10, 11 DMS-100 (even: we are the user);
12 ETSI user side; the far end is libpri on each.  13 to 15: National ISDN with one D channel and its back-up (NFAS), 16, 17 the same
with libpri and no back-up, 18 ETSI; the far end of 13 to 15 and 18 is a script (pri_script.py).  In `make conformance` 19 and 20 are INS-1500 of Japan on a T1, whose far end is libpri's
EuroISDN on a T1: INS-1500 is DSS1 without what we then leave out (JT-Q931: no overlap, no hold), and libpri has no variant of its own for it."""

import os
import time

import numpy as np
import pytest

from hil.probes import wav
from tests.live import probe_moves
from tests.live.pri_script import ScriptedEnd

WHOLE = bool(os.environ.get("STROWGER_WHOLE"))
VARIANTS = {4: "ni2", 5: "ni2", 6: "qsig", 7: "qsig", 8: "5ess", 9: "5ess", 10: "dms100", 11: "dms100", **({19: "ins1500", 20: "ins1500"} if WHOLE else {})}
NETWORK = (3, 5, 7, 9, 11, 20)          # spans on which we are the network
SPANS = tuple(range(1, 21 if WHOLE else 19))
T1 = tuple(n for n in (4, 5, 8, 9, 10, 11, 13, 14, 15, 16, 17, 19, 20) if n in SPANS)
NFAS = {13: ("script", 0, "primary"), 14: ("script", 1, "backup"), 15: ("script", 2, "none"), 16: ("pair", 0, "primary"), 17: ("pair", 1, "none")}
T309_MS = 8000
SETTINGS = {3: {"timers": {"T316": 600, "T309": T309_MS}, "restart_ignored": "block"}, 4: {"timers": {"T309": 0}}, 12: {"timers": {"T309": T309_MS}}, 18: {"channel_numbering": "consecutive"}}
RAW = (13, 14, 15, 18)
OVERLAP = (3, 6, 12)                    # spans to which digits go one by one


def configure(configuration):
    """The spans beyond the first two, each a trunk group of its own; a route "8" + span to each."""
    configuration["trunk_groups"][0].update(data_calls=True, classes=["national"], connected_number=True)
    next(row for row in configuration["routes"] if row["number"] == "110")["choices"] = [{"trunk_group": "span12"}]
    for number in SPANS[2:]:
        name = NFAS[number][0] if number in NFAS else f"span{number}"
        nfas = {"nfas": dict(zip(("group", "interface", "d_channel"), NFAS[number], strict=True))} if number in NFAS else {}
        configuration["spans"].append({**nfas,
            "span": number, "type": "t1" if number in T1 else "e1", "crc4": False, "trunk_group": name,
            "d_timeslot": 24 if number in T1 else 16, "variant": "ni2" if nfas else VARIANTS.get(number, "etsi"),
            "side": "network" if number in NETWORK else "user"})
        configuration["spans"][-1].update(SETTINGS.get(number, {}))
        if nfas and NFAS[number][2] != "primary":
            continue
        configuration["trunk_groups"].append({"name": name, "connected_number": number == 3, "caller_number": "02150803000", "data_calls": number in (3, 4),
                                               "overlap_sending": "telephones" if number in OVERLAP else "off"})
        configuration["routes"].append({"number": f"8{number:02d}.", "choices": [{"trunk_group": name, "strip": 3}]})
        configuration["numbers"].append({"number": f"0215080{1900 + number}", "application": "outside", "target": f"8{number:02d}13912345678"})


RIG = {"spans": SPANS, "t1": T1, "configure": configure, "linked": [n for n in SPANS if n not in RAW + (17,)], "far": [
    "--raw", ",".join(map(str, RAW)), "--nfas", "13,15", "--nfas", "16,17",
    "--other-side", ",".join(str(span) for span in NETWORK if span in SPANS),
    *(word for span, name in VARIANTS.items() if name != "ins1500" for word in ("--variant", f"{name}:{span}"))]}


def talk_through(house, span, out_span, **options):
    """A tandem call from a span to another: (id of the calling end, id of the called end), connected."""
    mark = house.far.mark()
    name = house.place(span=span, called=f"0215080{1900 + out_span}", **options)
    out = house.far.wait_for("incoming", 30, since=mark, span=out_span)
    house.far.wait_for("connect", 30, id=name)
    return name, out


def hang_up_one(house, *names):
    """The first of the ends of a call hangs up; both are released."""
    house.far.hangup(names[0])
    for name in names:
        house.far.wait_for("released", 30, id=name)


def hang_up(house, *names):
    """hang_up_one(), and no call is left."""
    hang_up_one(house, *names)
    house.wait_idle(30)


def likeness(said, heard):
    """Correlation of what was said with its best place in what was heard, 0 to 1.  A-law octets; through a T1 two laws lie between."""
    said, heard = (wav.alaw_expand(np.frombuffer(octets, np.uint8)).astype(float) for octets in (said, heard))
    length = 1 << (len(said) + len(heard)).bit_length()
    found = np.fft.irfft(np.fft.rfft(heard, length) * np.conj(np.fft.rfft(said, length)), length)[:max(1, len(heard) - len(said) + 1)]
    at = int(np.argmax(found))
    part = heard[at:at + len(said)]
    return float(np.dot(part, said) / np.sqrt(np.dot(part, part) * np.dot(said, said) + 1e-9))


def octets_of(house, name):
    house.far.wait_for("record_closed", 30, id=name)
    octets = (house.folder / f"{name}.wav").read_bytes()
    at = octets.index(b"data")
    return octets[at + 8:at + 8 + int.from_bytes(octets[at + 4:at + 8], "little")]


def bits_pass(house, *both):
    """Both ends of an answered call (E1 to E1, nothing done to its sound) say 2^11-1 of O.152 and get the other's, judged by spandsp: no bad bit."""
    def measure():
        for each in both * 2:                   # again, once the pattern comes from the other side: what is counted is whole
            house.far.bert(each)
            time.sleep(0.15)
        time.sleep(0.6)
        figures = [house.far.bert_figures(each) for each in both]
        for row in figures:
            assert row["bits"] > 20000 and (row["bad_bits"], row["resyncs"]) == (0, 0), figures
    probe_moves.undisturbed(measure, house)


def slot(house, span, timeslot):
    """A timeslot as the API shows it."""
    row = next(row for row in house.state()["spans"] if row["span"] == span)
    return next(each for each in row["timeslots"] if each["timeslot"] == timeslot)


def channels(house, span, verb, *timeslots):
    return house.product.post(f"/pri/{span}/channels", {"do": verb, **({"timeslots": list(timeslots)} if timeslots else {})})


@pytest.fixture(scope="module")
def script(house):
    """The far end of spans 13 to 15 and 18; both D channels of the group are up, and that of 13 carries the calls."""
    end = ScriptedEnd(house.far, (13, 14, 18)).start()
    end.wait_up(13, 14, 18)
    span, interface, status = end.service("SERVICE")
    assert (span, interface, status) == (13, 0, "in_service")
    end.answer_service(13, 0)
    for each in (13, 18):
        _, restart = end.heard("RESTART", on=each, reference=0)
        end.say(each, "RESTART_ACKNOWLEDGE", 0, 1, restart_indicator=restart.get("restart_indicator"))
    house.wait(lambda s: [row["state"] for row in s["spans"] if row["span"] in (13, 14, 15)] == ["up"] * 3, 30, "the group of spans 13 to 15")
    yield end
    end.stop()
