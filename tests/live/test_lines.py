"""Lines on a live house: a T1 span beside an E1 span, faults of the cable, error tests, turn-up."""

import time

import numpy
import pytest

from hil import line_t1
from hil.line import LineClient

pytestmark = pytest.mark.live
RIG = {"t1": (2,)}


def test_a_call_over_a_t1_with_ni2(house):
    """SETUP from libpri (NI2) in timeslot 24, mu-law both ways, an agent on A-law or mu-law hears and is heard."""
    span = next(s for s in house.state()["spans"] if s["span"] == 2)
    assert (span["type"], span["state"], len(span["timeslots"])) == ("t1", "up", 24)
    name = house.place_and_choose("1", span=2, play=house.files["caller"])
    call = house.wait_call("talking")["call"]
    time.sleep(2)
    house.far.hangup(name)
    house.far.wait_for("released", 5, id=name)
    cdr = house.cdr(call)
    assert cdr["cdr"]["result"] == "answered"
    heard = numpy.frombuffer(house.product.recording(call, cdr["recordings"][0]["id"])[58:], numpy.uint8)
    assert len(heard) > 16000
    assert [len(numpy.unique(heard[side::2])) > 60 for side in (0, 1)] == [True, True]     # speech both ways
    status = next(s for s in house.far.status()["spans"] if s["span"] == 2)
    assert status["crc4_errors"] == status["fcs_errors"] == status["alignment_losses"] == 0


def test_an_idle_t1_says_7f(house):
    """Unused timeslots of a T1 carry 0x7F, those of an E1 0xD5."""
    running = house.product.get("/configuration")
    running["configuration"]["spans"].append({**running["configuration"]["spans"][1], "span": 3, "signalling": "none"})
    house.product.post("/configuration/apply", running)
    line = LineClient(str(house.run_dir / "lines" / "3.sock"))
    framer, checker, seen = line_t1.T1Framer(), line_t1.T1Checker(), None
    try:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            block = line.socket.recv(4096)
            line.send(framer.block())
            if len(block) == line_t1.BLOCK_OCTETS:
                seen = checker.take(block)
                if seen is not None and (seen == 0x7F).all():
                    break
        assert (seen == 0x7F).all()
    finally:
        line.close()
