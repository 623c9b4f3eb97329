"""What plays can be paused, sought in, and made louder or softer."""

import time

import numpy

from dsp import g711

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
