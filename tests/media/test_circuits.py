"""CAS bits and register signals through the media process."""

import time

import numpy
import pytest

CAS_TX_OFFSET = 2048
R2_FORWARD_HZ = (1380, 1500, 1620, 1740, 1860, 1980)        # Q.441
R2_BACKWARD_HZ = (1140, 1020, 900, 780, 660, 540)


def place(tools, span, timeslot):
    return tools.CAS_RX + (span - 1) * 32 + timeslot


def wait_blocks(board, count):
    target = board.blocks + count
    while board.blocks < target:
        time.sleep(0.003)


def sent(tools, board, span, timeslot):
    return int(board.memory[place(tools, span, timeslot) + CAS_TX_OFFSET])


def tones(hz, level_dbm0, samples):
    """A-law octets of sines; the law made here, from G.711's definition of its segments."""
    peak = 4096 * 10 ** ((level_dbm0 - 3.14) / 20)
    n = numpy.arange(samples)
    x = sum(peak * numpy.sin(2 * numpy.pi * f / 8000 * n + i) for i, f in enumerate(hz))
    magnitude = numpy.minimum(numpy.abs(x), 4095).astype(int)
    segment = numpy.maximum(0, numpy.floor(numpy.log2(numpy.maximum(magnitude, 1))).astype(int) - 4)
    step = numpy.where(segment > 0, magnitude >> numpy.maximum(segment, 1) & 15, magnitude >> 1 & 15)
    segment = numpy.where(magnitude >= 32, segment, 0)
    segment = numpy.where((magnitude >= 32) & (segment == 0), 1, segment)
    octets = (numpy.where(x >= 0, 0x80, 0) | segment << 4 | step) ^ 0x55
    return octets.astype(numpy.uint8).tobytes()


def linear(octets):
    """A-law octets as numbers, 4096 the overload point."""
    o = numpy.frombuffer(octets, numpy.uint8).astype(int) ^ 0x55
    segment, step = o >> 4 & 7, o & 15
    magnitude = numpy.where(segment > 0, (2 * step + 33) << numpy.maximum(segment - 1, 0), 2 * step + 1)
    return numpy.where(o & 0x80, magnitude, -magnitude).astype(float)


def level_dbm0(x, hz):
    """Level of one frequency in a run of samples."""
    n = numpy.arange(len(x))
    amplitude = 2 * abs(numpy.exp(-2j * numpy.pi * hz / 8000 * n) @ (x * numpy.hanning(len(x)))) / numpy.hanning(len(x)).sum()
    return 3.14 + 20 * numpy.log10(max(amplitude, 1e-9) / 4096)


def test_bits_both_ways(board, control, tools):
    at = place(tools, 9, 5)
    board.memory[at] = 0b1001
    assert control.do("cas_open", span=9, circuits=[[5, 0b1001], [31, 0b1101]])["received"] == [[5, None], [31, None]]
    assert control.event("cas", span=9, timeslot=5)["bits"] == 0b1001
    wait_blocks(board, 2)
    assert (sent(tools, board, 9, 5), sent(tools, board, 9, 31)) == (0b1001, 0b1101)
    board.memory[at] = 0b0001                      # seized
    assert control.event("cas", span=9, timeslot=5)["bits"] == 0b0001
    control.do("cas_send", span=9, timeslot=5, bits=0b1101)
    wait_blocks(board, 2)
    assert sent(tools, board, 9, 5) == 0b1101
    flicker = [0b1001, 0b0101, 0b0001] * 8         # patterns that never stand for 20 ms are none

    def each_block(octets):
        board.memory[at] = flicker.pop() if flicker else 0b0001
        return octets
    with board.lock:
        board.far_end[(9, 6)] = each_block
    while flicker:
        wait_blocks(board, 1)
    wait_blocks(board, 4)
    with board.lock:
        del board.far_end[(9, 6)]
    board.memory[place(tools, 9, 31)] = 0b1001
    control.event("cas", span=9, timeslot=31, bits=0b1001)
    assert not [event for event in control.events if event["kind"] == "cas" and event["timeslot"] == 5]
    found = {(row["span"], row["timeslot"]): (row["sent"], row["received"]) for row in control.audit()["circuits"]}
    assert found == {(9, 5): (0b1101, 0b0001), (9, 31): (0b1101, 0b1001)}
    assert control.do("cas_open", span=9, circuits=[[5, 0b1101]])["received"] == [[5, 0b0001]]      # a new control asks again
    control.do("cas_close", span=9, timeslots=[5, 31])
    wait_blocks(board, 2)
    assert sent(tools, board, 9, 5) == 0b1101 and control.audit()["circuits"] == []


@pytest.mark.parametrize("do, parameters, word", [
    ("cas_open", dict(span=65, circuits=[[1, 1]]), "span"), ("cas_open", dict(span=1, circuits=[[0, 1]]), "timeslot"),
    ("cas_open", dict(span=1, circuits=[[1, 16]]), "bits"), ("cas_open", dict(span=1, circuits=[5]), "pair"),
    ("cas_open", dict(span=1, circuits={}), "list"), ("cas_send", dict(span=1, timeslot=1, bits=1), "not open"),
    ("cas_close", dict(span=1, timeslots=None), "list"), ("mf_listen", dict(id="c8", plan="r3"), "plan"),
    ("mf_listen", dict(id="nobody", plan=None), "no termination"), ("mf_send", dict(id="c8", plan="r2_forward", signal=16), "signal"),
    ("mf_send", dict(id="c8", plan="r1", signal="X"), "signal"), ("mf_send", dict(id="c8", plan=None, signal=1), "plan"),
    ("mf_send", dict(id="c8", plan="dtmf", signal=[1]), "plan"), ("mf_send", dict(id="c9", plan=None), "timeslot")])
def test_bad_commands_are_told_in_a_sentence(control, do, parameters, word):
    control.do("add", id="c8", kind="timeslot", span=9, timeslot=8, law="A")
    control.do("add", id="c9", kind="rtp", address="127.0.0.1")
    reply = control.raw(do, **parameters)
    assert not reply["ok"] and word in reply["error"], reply


def test_register_signals_are_heard(board, control):
    """Q.455: operate and release; the place of each end is told from the octets, not from when the event came."""
    control.do("add", id="c1", kind="timeslot", span=9, timeslot=1, law="A")
    control.do("mf_listen", id="c1", plan="r2_forward")
    wait_blocks(board, 3)
    line = b""
    for signal, pair in ((1, (0, 1)), (10, (3, 4)), (15, (4, 5))):
        line += tones([R2_FORWARD_HZ[i] for i in pair], -12, 800) + b"\xD5" * 640
    board.say(9, 1, line)
    found = [control.event("mf", id="c1") for _ in range(6)]
    assert [event["signal"] for event in found] == [1, 0, 10, 0, 15, 0]
    assert {event["plan"] for event in found} == {"r2_forward"}
    control.do("mf_listen", id="c1", plan="r2_backward")       # the other direction's frequencies are none of it
    wait_blocks(board, 3)
    board.say(9, 1, tones([R2_FORWARD_HZ[0], R2_FORWARD_HZ[1]], -12, 800) + tones([1140, 1020], -12, 800))
    assert control.event("mf", id="c1")["signal"] == 1
    control.do("mf_listen", id="c1", plan=None)


def test_register_signals_are_sent(board, control):
    """Q.454: level -11.5 dBm0 a frequency, the other four 20 dB below; until it is stopped, at the next tick."""
    control.do("add", id="c2", kind="timeslot", span=9, timeslot=2, law="A")
    board.listen(9, 2)
    control.do("mf_send", id="c2", plan="r2_backward", signal=6)       # 900 + 780 Hz: frequencies 2 and 3
    wait_blocks(board, 12)
    control.do("mf_send", id="c2", plan=None, signal=None)
    wait_blocks(board, 4)
    x = linear(board.said(9, 2))
    loud = numpy.flatnonzero(numpy.abs(x) > 100)
    middle = x[loud[0] + 40:loud[-1] - 40]
    levels = {hz: level_dbm0(middle, hz) for hz in R2_BACKWARD_HZ}
    assert abs(levels[900] + 11.5) < 0.5 and abs(levels[780] + 11.5) < 0.5, levels
    assert all(level < -31.5 for hz, level in levels.items() if hz not in (900, 780)), levels
    assert numpy.abs(x[-80:]).max() < 10, "silence after it was stopped"
    board.listen(9, 2)
    control.do("mf_send", id="c2", plan="dtmf", signal="5")            # ends by itself
    wait_blocks(board, 14)
    x = linear(board.said(9, 2))
    loud = numpy.flatnonzero(numpy.abs(x) > 100)
    assert 65 <= (loud[-1] - loud[0]) / 8 <= 72 and abs(level_dbm0(x[loud[0]:loud[-1]], 1336) + 9) < 1


@pytest.mark.parametrize("command, fields", [("mf_send", {"plan": "r2_forward", "signal": 8}), ("check", {"tone_hz": 2000})])
def test_a_lasting_tone_that_is_ordered_again_goes_on(board, control, command, fields):
    """A control process that took over orders what sounds; a far register that hears a gap takes the digit twice."""
    control.do("add", id="c4", kind="timeslot", span=9, timeslot=4, law="A")
    control.do(command, id="c4", **fields)
    wait_blocks(board, 3)
    board.listen(9, 4)
    for _ in range(3):
        wait_blocks(board, 4)
        control.do(command, id="c4", **fields)
    wait_blocks(board, 4)
    x = linear(board.said(9, 4)).astype(int)
    control.do("subtract", id="c4")
    period = 400                # samples in 50 ms: all frequencies are multiples of 20 Hz
    loudest = numpy.abs(x).max()
    assert len(x) > 3 * period and loudest > 500
    assert numpy.abs(x[period:] - x[:-period]).max() < 0.1 * loudest


def test_media_dies_and_circuits_are_blocked(board, media, control, tools):
    """An answered circuit must not stay answered when nobody is behind it any more."""
    control.do("cas_open", span=9, circuits=[[7, 0b0101]])
    wait_blocks(board, 2)
    assert sent(tools, board, 9, 7) == 0b0101
    media.kill()
    media.start()
    deadline = time.monotonic() + 30
    while sent(tools, board, 9, 7) != 0b1101:       # it serves before its tick has seen the board
        assert time.monotonic() < deadline, sent(tools, board, 9, 7)
        wait_blocks(board, 1)
    again = tools.Control(media.folder, epoch=media.epoch)
    again.do("cas_open", span=9, circuits=[[7, 0b1001]])
    wait_blocks(board, 2)
    assert sent(tools, board, 9, 7) == 0b1001
    control.sock.close()
    control.sock = again.sock
    control.do("hello")


def test_continuity_check_and_its_loop(board, control):
    """Q.724 7: 2000 Hz at -12 dBm0; heard at 2000 +/- 30 Hz and -18 dBm0, not at +/- 200 Hz, not at -22 dBm0, not in less than 30 ms."""
    control.do("add", id="c3", kind="timeslot", span=9, timeslot=3, law="A")
    board.listen(9, 3)
    control.do("check", id="c3", tone_hz=2000)
    wait_blocks(board, 12)
    for hz, level, samples, heard in ((2000, -22, 1600, False), (2200, -12, 1600, False), (1800, -12, 1600, False), (2000, -12, 200, False), (2030, -18, 1600, True),
                                      (1970, -6, 1600, True)):
        board.say(9, 3, tones([hz], level, samples) + b"\xD5" * 800)
        if heard:
            assert [control.event("check", id="c3")["on"] for _ in range(2)] == [True, False], hz
        else:
            wait_blocks(board, samples // 80 + 14)
            assert not [event for event in control.events if event["kind"] == "check"], (hz, level)
    control.do("check", id="c3", tone_hz=2010)             # T1.113.4
    board.say(9, 3, tones([2010], -12, 1600) + b"\xD5" * 800)
    assert [control.event("check", id="c3")["on"] for _ in range(2)] == [True, False]
    control.do("check", id="c3", tone_hz=None)
    wait_blocks(board, 4)
    x = linear(board.said(9, 3))
    loud = numpy.flatnonzero(numpy.abs(x) > 100)
    assert abs(level_dbm0(x[loud[0] + 40:loud[0] + 4000], 2000) + 12) < 0.5 and numpy.abs(x[-80:]).max() < 10
    control.do("loop", id="c3", on=True)
    wait_blocks(board, 3)
    board.listen(9, 3)
    line = bytes(range(256)) * 10
    board.say(9, 3, line)
    wait_blocks(board, 40)
    assert line in board.said(9, 3), "bit exact"
    control.do("loop", id="c3", on=False)
    wait_blocks(board, 3)
    board.listen(9, 3)
    board.say(9, 3, line)
    wait_blocks(board, 40)
    assert set(board.said(9, 3)) == {0xD5}
    assert not control.raw("check", id="c3", tone_hz=1800)["ok"] and not control.raw("loop", id="c3", on=1)["ok"]
