"""What plays can be paused, sought in, and made louder or softer."""

import time
import types

import numpy
import pytest

from dsp import g711
from firmware.errors import LocalError
from firmware.media import table

BLOCK = 80


def wait_blocks(board, count):
    target = board.blocks + count
    while board.blocks < target:
        time.sleep(0.005)


def test_pause_seek_and_volume(board, control, media, tools):
    """A prompt whose seconds differ in pitch."""
    t = numpy.arange(8000) / 8000
    x = numpy.concatenate([6000 * numpy.sin(2 * numpy.pi * hz * t) for hz in (300, 500, 800, 1300)])
    (media.folder / "four.wav").write_bytes(tools.wav(g711.compress(x.astype(numpy.int16), 0).tobytes()))
    control.do("add", id="l", kind="timeslot", span=20, timeslot=1, law="A")
    control.do("signal", id="l", token="t", items=[{"file": str(media.folder / "four.wav")}], repeat=2)

    def heard(blocks=16):
        wait_blocks(board, 4)
        board.listen(20, 1)
        wait_blocks(board, blocks)
        y = g711.expand(numpy.frombuffer(board.said(20, 1), numpy.uint8), 0).astype(float)[-1200:]
        spectrum = numpy.abs(numpy.fft.rfft(y * numpy.hanning(1200)))
        return round(spectrum.argmax() * 8000 / 1200, -2), 20 * numpy.log10(numpy.sqrt((y ** 2).mean()) + 1e-9)

    hz, level = heard()
    assert hz == 300
    control.do("player", id="l", token="t", pause=True)
    assert heard()[1] < 20                                            # idle code
    (row,) = control.audit()["signals"]
    assert row["paused"] is True and row["position_ms"] < 1000
    time.sleep(0.2)
    assert control.audit()["signals"][0]["position_ms"] == row["position_ms"]
    control.do("player", id="l", token="t", seek={"id": "s1", "ms": 2000})
    control.do("player", id="l", token="t", pause=False, volume_db=-12)
    hz, softer = heard()
    assert hz == 800 and abs(softer - level + 12) < 0.5
    control.do("player", id="l", token="t", seek={"id": "s1", "ms": 2000})   # repeated: goes on
    control.do("player", id="l", token="t", seek={"id": "s2", "ms": 7000}, volume_db=0)
    hz, again = heard()
    assert hz == 1300 and abs(again - level) < 0.5
    event = control.event("signal_complete", token="t")
    assert event["reason"] == "done" and event["position_ms"] == 8000
    reply = control.raw("player", id="l", token="t", pause=True)
    assert not reply["ok"] and "does not play" in reply["error"]
    assert "12" in control.raw("player", id="l", token="t", volume_db=13)["error"]


def test_what_plays_for_ever_goes_on_at_the_end_of_a_block(board, control, media, tools):
    """A file of a whole number of ticks ends where a block of the tick does: its next round begins with the next block."""
    ramp = numpy.repeat(numpy.arange(4), BLOCK).astype(numpy.uint8) + 0x80      # 40 ms, each 10 ms another octet
    (media.folder / "whole.wav").write_bytes(tools.wav(ramp.tobytes()))
    control.do("add", id="r", kind="timeslot", span=20, timeslot=2, law="A")
    control.do("signal", id="r", token="t", items=[{"file": str(media.folder / "whole.wav")}], repeat=0)
    wait_blocks(board, 4)
    board.listen(20, 2)
    wait_blocks(board, 24)
    heard = numpy.frombuffer(board.said(20, 2), numpy.uint8)
    assert len(heard) > 4 * len(ramp) and (heard[len(ramp):] == heard[:-len(ramp)]).all() and set(heard) == set(ramp)
    assert control.audit()["signals"][-1]["position_ms"] > 200
    control.do("subtract", id="r")


def test_speed_keeps_the_pitch_and_a_stopped_prompt_goes_on_where_it_was(board, control, media, tools):
    t = numpy.arange(8000) / 8000
    x = numpy.concatenate([6000 * numpy.sin(2 * numpy.pi * hz * t) for hz in (300, 500, 800, 1300)])
    (media.folder / "speed.wav").write_bytes(tools.wav(g711.compress(x.astype(numpy.int16), 0).tobytes()))
    control.do("add", id="l", kind="timeslot", span=20, timeslot=1, law="A")

    def play(token, **more):
        board.listen(20, 1)
        control.do("signal", id="l", token=token, items=[{"file": str(media.folder / "speed.wav")}], **more)

    def said():
        """[(Hz, seconds)] of the tones heard, one after the other."""
        y = g711.expand(numpy.frombuffer(board.said(20, 1), numpy.uint8), 0).astype(float)
        blocks = y[:len(y) // 400 * 400].reshape(-1, 400)
        found = []
        for block in blocks:
            hz = int(round(numpy.abs(numpy.fft.rfft(block * numpy.hanning(400))).argmax() * 20, -2)) if block.std() > 1000 else 0
            if found and found[-1][0] == hz:
                found[-1][1] += 0.05
            else:
                found.append([hz, 0.05])
        return [(hz, seconds) for hz, seconds in found if hz and seconds > 0.1]

    play("fast", speed=2)
    assert control.audit()["signals"][0]["speed"] == 2
    event = control.event("signal_complete", 30, token="fast")
    assert event["reason"] == "done" and abs(event["position_ms"] - 4000) < 20
    heard = said()
    assert [hz for hz, _ in heard] == [300, 500, 800, 1300] and all(abs(seconds - 0.5) < 0.16 for _, seconds in heard), heard
    play("slow", speed=0.5, start_ms=2000, volume_db=-6)
    wait_blocks(board, 150)
    control.do("player", id="l", token="slow", speed=1.5)
    wait_blocks(board, 20)
    row = control.audit()["signals"][0]
    assert row["volume_db"] == -6 and row["speed"] == 1.5
    control.do("stop", id="l", token="slow")
    event = control.event("signal_complete", 30, token="slow")
    assert event["reason"] == "stopped" and 2500 < event["position_ms"] < 3900
    assert {hz for hz, _ in said()} <= {800, 1300}
    play("again", start_ms=event["position_ms"])
    assert control.event("signal_complete", 30, token="again")["position_ms"] == 4000
    assert [hz for hz, _ in said()] == [1300] or event["position_ms"] < 3000
    for speed in (0.49, 2.01, True, "fast"):
        assert "0.5 to 2" in control.raw("signal", id="l", token="bad", items=[{"silence_ms": 1000}], speed=speed)["error"]


class Quiet:
    """An engine that takes all commands."""

    def __init__(self):
        self.played = []

    def play(self, slot, serial, *rest):
        self.played.append(serial)

    def __getattr__(self, name):
        return lambda *args, **more: 1


def test_at_the_limit_of_speeds_nothing_plays_and_old_serials_do_not_count(monkeypatch):
    """A refused signal leaves what plays alone; what was replaced gives its place back though its leg stretches on."""
    monkeypatch.setattr(table, "STRETCHED", 2)
    engine, admission = Quiet(), types.SimpleNamespace(**dict.fromkeys(("cost", "fresh", "reserve", "release"), lambda *args: 0))
    made = table.Table(engine, None, types.SimpleNamespace(compile=lambda items: (object(), 1000)), None, admission)
    for number in (1, 2, 3):
        made.add({"id": f"l{number}", "kind": "timeslot", "span": 1, "timeslot": number, "law": "A"})

    def signal(leg, token, **more):
        made.signal({"id": leg, "token": token, "items": [{"silence_ms": 1}], **more})
        return engine.played[-1]
    first = signal("l1", "a", speed=2)
    signal("l2", "b", speed=0.5)
    plain = signal("l3", "c")
    with pytest.raises(LocalError, match="another speed already"):
        signal("l3", "d", speed=2)
    assert engine.played[-1] == plain and made.terminations["l3"].signal[0] == "c"
    with pytest.raises(LocalError, match="another speed already"):
        made.player({"id": "l3", "token": "c", "speed": 2})
    made.event("signal_complete", 0, 0, 2, 8, first)        # it has ended
    second = signal("l1", "e", speed=2)
    made.event("signal_complete", 0, 0, 0, 8, second)
    signal("l3", "f", speed=2)                              # its place is free again
