"""Who says nothing in a bridge, and for how long: events `quiet` of legs of the running media process."""

import numpy
import pytest

from firmware.media.quiet import Quiet
from tests.media.test_enhance import add, talker, wait_blocks
from tests.media.test_hear import say


def test_silence_counts_from_the_bridge_and_speech_ends_it(board, control):
    """Two legs, both silent at first: nothing is told while they are in no bridge; then both are, until one speaks; who leaves the bridge is forgotten."""
    for leg in (1, 2):
        add(control, f"q{leg}", 11, leg)
        control.do("detect", id=f"q{leg}", quiet_s=1)
        control.do("detect", id=f"q{leg}", quiet_s=1)           # repeated: nothing begins anew
    wait_blocks(board, 160)
    control.audit()                             # what was told by now has been read
    assert not [event for event in control.events if event["kind"] == "quiet"]
    control.do("bridge", id="b", legs=["q1", "q2"])
    for _ in range(2):
        event = control.event("quiet", 5)
        assert event["quiet"] is True and 950 < event["ms"] < 2500, event
    say(board, 11, 1, talker(2), numpy.zeros(8000))
    event = control.event("quiet", 5, id="q1")
    assert event["quiet"] is False
    event = control.event("quiet", 8, id="q1")
    assert event["quiet"] is True and 950 < event["ms"] < 2500
    control.do("bridge", id="b", legs=[])
    assert {control.event("quiet", 5)["id"] for _ in range(2)} == {"q1", "q2"}
    rows = {row["id"]: row for row in control.audit()["terminations"]}
    assert rows["q1"]["quiet_s"] == 1 and rows["q1"]["enhance"]["vad"] is False, "the speech detector works for it, unseen"


@pytest.mark.parametrize("wrong", [-1, 601, 1.5, True, "4"])
def test_a_wrong_wish_is_refused(control, wrong):
    add(control, "w", 11, 9)
    reply = control.raw("detect", id="w", quiet_s=wrong)
    assert not reply["ok"] and "quiet_s" in reply["error"]


class Term:
    def __init__(self, name="t", quiet_s=5, bridge="b"):
        self.id, self.hears, self.bridge, self.speaks, self.unheard = name, {"quiet_s": quiet_s}, bridge, False, False


def test_the_clockwork():
    """Without a process: a word in between begins anew, 2100 Hz is no silence, a bridge left and joined begins anew, what is gone is forgotten."""
    quiet, term = Quiet(), Term()
    known = {"t": term}
    quiet.watch(term, 0.0)
    assert quiet.look(known, 4.9) == []
    assert quiet.look(known, 5.2) == [{"id": "t", "quiet": True, "ms": 5200}] and quiet.look(known, 9.0) == []
    term.speaks = True
    quiet.spoke(term, 9.2)
    assert quiet.look(known, 9.5) == [{"id": "t", "quiet": False, "ms": 9500}]
    term.speaks = False
    quiet.spoke(term, 10.0)
    assert quiet.look(known, 14.9) == [] and quiet.look(known, 15.2)[0]["quiet"]
    term.bridge = None
    assert quiet.look(known, 16.0) == [{"id": "t", "quiet": False, "ms": 6000}] and quiet.look(known, 60.0) == []
    term.bridge = "c"
    assert quiet.look(known, 61.0) == [] and quiet.look(known, 65.9) == [] and quiet.look(known, 66.2)[0]["quiet"]
    term.unheard = True
    assert quiet.look(known, 66.6)[0]["quiet"] is False
    term.unheard = False
    assert quiet.look(known, 66.9)[0]["quiet"] is True
    quiet.modem(term)
    assert quiet.look(known, 67.2)[0]["quiet"] is False and quiet.look(known, 600.0) == []
    assert quiet.look({}, 601.0) == [] and quiet.look(known, 900.0) == []
