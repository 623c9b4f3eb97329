"""What a leg is listened to beside digits: fax machines and who answered, on legs of the running media process."""

import numpy
import pytest

from tests.media.test_enhance import alaw, talker


def say(board, span, timeslot, *parts):
    board.say(span, timeslot, alaw(numpy.concatenate([numpy.asarray(part, float) for part in parts])).tobytes())


def sine(hz, seconds, amplitude=3000):
    return amplitude * numpy.sin(2 * numpy.pi * hz * numpy.arange(int(8000 * seconds)) / 8000)


def quiet(seconds):
    """Digital silence, which the line has before, too: a step in its noise would be taken for speech for a while."""
    return numpy.zeros(int(8000 * seconds))


def waited(control, kind, leg, **fields):
    while True:
        event = control.event(kind, 10, id=leg)
        if all(event.get(name) == value for name, value in fields.items()):
            return event


@pytest.mark.conformance("T.30", "4.1", "CNG (0.5 s of 1100 Hz each 3.5 s) and CED (2100 Hz) of a calling and a called machine are told as events")
def test_fax_tones_and_answers_are_told(board, control):
    everything = {"echo": True, "noise": True, "level": "agc", "vad": True}
    for leg, enhance in enumerate((everything, {}, everything, {}, {}), 1):
        control.do("add", id=f"h{leg}", kind="timeslot", span=9, timeslot=leg, law="A", enhance=enhance)
    for leg in ("h1", "h2"):
        control.do("detect", id=leg, modem=True)
        control.do("detect", id=leg, modem=True)        # repeated: harmless
    for leg in ("h3", "h4", "h5"):
        control.do("detect", id=leg, dtmf=True, answer={})
    say(board, 9, 1, quiet(0.5), sine(1100, 0.5), quiet(3), sine(1100, 0.5), quiet(1))
    say(board, 9, 2, quiet(0.5), sine(2100, 3), quiet(1))
    say(board, 9, 3, quiet(0.5), talker(0.6), quiet(4))
    say(board, 9, 4, quiet(0.5), talker(4), quiet(0.7), sine(1000, 0.5), quiet(1))
    say(board, 9, 5, quiet(5))
    assert waited(control, "modem_tone", "h1", tone="cng")["on"] is True
    assert waited(control, "modem_tone", "h2", tone="ans")["on"] is True
    assert waited(control, "answer", "h5")["who"] == "silence"
    assert waited(control, "answer", "h3")["who"] == "person"
    assert waited(control, "answer", "h4", who="machine")
    assert abs(waited(control, "answer", "h4", who="beep")["hz"] - 1000) < 20
    rows = {row["id"]: row for row in control.audit()["terminations"]}
    assert rows["h1"]["modem"] and not rows["h1"]["dtmf"] and rows["h3"]["dtmf"] and rows["h3"]["answer"]["words"] == 5
    control.do("detect", id="h3", answer=None)
    assert {row["id"]: row for row in control.audit()["terminations"]}["h3"]["answer"] is None


@pytest.mark.parametrize("wrong", ({"answer": {"patience_ms": 1}}, {"answer": {"words": 0}}, {"answer": [1]}, {"modem": 1}, {}))
def test_wrong_wishes_get_advice(control, wrong):
    control.do("add", id="w1", kind="timeslot", span=10, timeslot=1, law="A")
    reply = control.raw("detect", id="w1", **wrong)
    assert not reply["ok"] and "detect" in reply["error"]
