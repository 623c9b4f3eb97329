"""Timeslots through the media process: bit exact, in time, mixed, signalled to."""

import random
import signal
import time

import numpy

from dsp import g711

BLOCK = 80
CHORD = {350: -16, 440: -16, 1400: -13, 2060: -19}      # Hz: dBm0


def speech(seed, octets):
    """Octets that never occur as idle code, so that alignment is unambiguous."""
    rng = random.Random(seed)
    return bytes(rng.choice([o for o in range(256) if o != 0xD5]) for _ in range(octets))


def add(control, name, span, timeslot, law="A"):
    control.do("add", id=name, kind="timeslot", span=span, timeslot=timeslot, law=law)


def wait_blocks(board, count):
    """Let the board advance by a number of blocks."""
    target = board.blocks + count
    while board.blocks < target:
        time.sleep(0.005)


def strip(octets):
    """Without idle code at both ends; returns (octets, blocks cut in front)."""
    front = len(octets) - len(octets.lstrip(b"\xD5"))
    return octets.strip(b"\xD5"), front / BLOCK


def test_a_bridge_of_two_timeslots_is_bit_exact_both_ways(board, control):
    add(control, "l1", 3, 1)
    add(control, "l2", 7, 31)
    control.do("bridge", id="b1", legs=["l1", "l2"])
    wait_blocks(board, 3)
    one, two = speech(1, 8000), speech(2, 8000)
    board.listen(3, 1)
    board.listen(7, 31)
    board.say(3, 1, one)
    board.say(7, 31, two)
    wait_blocks(board, 110)
    assert strip(board.said(7, 31))[0] == one
    assert strip(board.said(3, 1))[0] == two


def test_the_loop_through_media_takes_one_block(board, control):
    """What the board puts in at instant n is taken out at instant n + 1: 20 ms at the far exchange."""
    add(control, "l1", 1, 1)
    add(control, "l2", 1, 2)
    control.do("bridge", id="b1", legs=["l1", "l2"])
    wait_blocks(board, 3)
    delays = []
    for _ in range(20):
        board.listen(1, 2)
        board.say(1, 1, b"\x11" * BLOCK)
        wait_blocks(board, 5)
        with board.lock:
            blocks = list(board.heard[(1, 2)])
        heard = [n for n, block in enumerate(blocks) if b"\x11" in block]
        assert heard and blocks[heard[0]] == b"\x11" * BLOCK
        delays.append(heard[0])
    # heard[0] counts from the block in which collecting began; the octets went in at the end of that
    # instant or the next, so the least is one block later.
    assert min(delays) == 1 and sorted(delays)[len(delays) // 2] <= 2, delays


def test_law_is_converted_between_an_a_law_and_a_mu_law_leg(board, control):
    add(control, "l1", 2, 3, "A")
    add(control, "l2", 2, 4, "U")
    control.do("bridge", id="b1", legs=["l1", "l2"])
    wait_blocks(board, 3)
    octets = speech(3, 1600)
    board.listen(2, 4)
    board.say(2, 3, octets)
    wait_blocks(board, 26)
    heard = board.said(2, 4)
    wanted = numpy.frombuffer(octets, numpy.uint8)
    expanded = g711.expand(wanted, 0).astype(int)
    best = 0
    for shift in range(0, len(heard) - 1600, BLOCK):
        got = g711.expand(numpy.frombuffer(heard[shift:shift + 1600], numpy.uint8), 1).astype(int)
        best = max(best, numpy.corrcoef(got, expanded)[0, 1])
    assert best > 0.9995, best


def test_three_legs_hear_the_sum_of_the_others_and_topology_cuts(board, control):
    for number in (1, 2, 3):
        add(control, f"l{number}", 4, number)
    control.do("bridge", id="b1", legs=["l1", "l2", "l3"])
    wait_blocks(board, 3)
    tones = {n: (4000 * numpy.sin(2 * numpy.pi * f * numpy.arange(4000) / 8000)).astype(numpy.int16)
             for n, f in ((1, 400), (2, 700), (3, 1100))}

    def hear(who):
        for n in tones:
            board.say(4, n, g711.compress(tones[n], 0).tobytes())
        board.listen(4, who)
        wait_blocks(board, 35)
        heard = g711.expand(numpy.frombuffer(board.said(4, who), numpy.uint8), 0)[-1600:].astype(float)
        spectrum = abs(numpy.fft.rfft(heard * numpy.hanning(1600)))
        wait_blocks(board, 22)
        return {n: spectrum[f * 1600 // 8000] > 1e5 for n, f in ((1, 400), (2, 700), (3, 1100))}

    assert hear(1) == {1: False, 2: True, 3: True}
    control.do("topology", bridge="b1", **{"from": "l2", "to": "l1", "way": "none"})
    assert hear(1) == {1: False, 2: False, 3: True}
    control.do("topology", bridge="b1", **{"from": "l3", "to": "l1", "way": "one"})
    assert hear(1) == {1: False, 2: False, 3: True}
    assert hear(3) == {1: False, 2: True, 3: False}


def test_a_prompt_is_played_octet_by_octet_and_its_end_is_told(board, control, media, tools):
    prompt = speech(6, 4037)
    path = media.folder / "p1.wav"
    path.write_bytes(tools.wav(prompt))
    add(control, "l1", 5, 9)
    wait_blocks(board, 3)
    board.listen(5, 9)
    reply = control.do("signal", id="l1", token="t1", items=[{"file": str(path)}], repeat=2)
    assert reply["duration_ms"] == 504
    event = control.event("signal_complete", id="l1", token="t1")
    assert event["reason"] == "done" and event["position_ms"] == 4037 * 2 // 8
    wait_blocks(board, 4)
    assert strip(board.said(5, 9))[0] == prompt * 2


def test_nothing_is_lost_where_the_board_of_the_test_or_media_is_held_up(board, control, media, tools):
    """Each in turn, for longer than the other leaves it: a miss of this board is a fault of media, never of the machine."""
    prompt = speech(8, 4800)
    path = media.folder / "p5.wav"
    path.write_bytes(tools.wav(prompt))
    add(control, "l1", 5, 9)
    held = iter(range(1000))

    def dawdle(octets):
        time.sleep(0.012 if next(held) % 5 == 0 else 0)
        return octets
    board.far_end[(64, 1)] = dawdle
    wait_blocks(board, 3)
    missed = board.missed
    board.listen(5, 9)
    control.do("signal", id="l1", token="t1", items=[{"file": str(path)}])
    for _ in range(5):
        wait_blocks(board, 5)
        media.process.send_signal(signal.SIGSTOP)
        time.sleep(0.03)
        media.process.send_signal(signal.SIGCONT)
    control.event("signal_complete", id="l1", token="t1")
    wait_blocks(board, 4)
    del board.far_end[(64, 1)]
    assert board.missed == missed and strip(board.said(5, 9))[0] == prompt


def test_a_signal_is_replaced_stopped_and_not_begun_twice(board, control, media, tools):
    path = media.folder / "p2.wav"
    path.write_bytes(tools.wav(speech(7, 80000)))
    add(control, "l1", 5, 10)
    items = [{"file": str(path)}]
    control.do("signal", id="l1", token="t1", items=items, repeat=0)
    time.sleep(0.1)
    control.do("signal", id="l1", token="t1", items=items, repeat=0)
    (row,) = control.audit()["signals"]
    assert row["token"] == "t1" and row["position_ms"] >= 50
    control.do("signal", id="l1", token="t2", items=items, repeat=1, start_ms=5000)
    assert control.event("signal_complete", token="t1")["reason"] == "replaced"
    control.do("stop", id="l1", token="t1")
    time.sleep(0.05)
    (row,) = control.audit()["signals"]
    assert row["token"] == "t2" and 5000 <= row["position_ms"] < 5400
    control.do("stop", id="l1", token="t2")
    assert control.event("signal_complete", token="t2")["reason"] == "stopped"
    assert control.audit()["signals"] == []


def test_tones_and_digits_are_played_and_digits_detected_once(board, control):
    control.do("tones", ringback={"frequencies_hz": [450], "level_dbm0": -10, "cadence_ms": [1000, 4000]},
               chord={"frequencies_hz": list(CHORD), "level_dbm0": list(CHORD.values()), "cadence_ms": [200, 100]})
    add(control, "l1", 6, 1)
    add(control, "l2", 6, 2)
    control.do("bridge", id="b1", legs=["l1", "l2"])
    control.do("detect", id="l1", dtmf=True)
    # Digits are made by media towards another timeslot, which the test loops back.
    add(control, "l3", 6, 3)
    board.listen(6, 3)
    control.do("signal", id="l3", token="t1", items=[{"dtmf": "159#0"}])
    control.event("signal_complete", token="t1")
    wait_blocks(board, 4)
    board.say(6, 1, board.said(6, 3))
    digits = [control.event("digit", id="l1") for _ in range(5)]
    assert "".join(event["digit"] for event in digits) == "159#0"
    assert all(40 <= event["duration_ms"] <= 100 and event["source"] == "inband" for event in digits)
    time.sleep(0.2)
    control.do("stats")
    assert not [event for event in control.events if event["kind"] == "digit"]
    board.listen(6, 3)
    control.do("signal", id="l3", token="t2", items=[{"tone": "ringback"}], repeat=0)
    wait_blocks(board, 50)
    heard = g711.expand(numpy.frombuffer(board.said(6, 3), numpy.uint8), 0)[-3200:].astype(float)
    level = 20 * numpy.log10(numpy.sqrt(numpy.mean(heard ** 2)) * 2 ** 0.5 / 32124) + 3.14
    assert abs(level - -10) < 0.7, level
    spectrum = abs(numpy.fft.rfft(heard * numpy.hanning(len(heard))))
    assert abs(spectrum.argmax() * 8000 / len(heard) - 450) < 3
    control.do("stop", id="l3")
    wait_blocks(board, 4)
    board.listen(6, 3)
    control.do("signal", id="l3", token="t3", items=[{"tone": "chord"}], repeat=0)
    wait_blocks(board, 40)
    heard = g711.expand(numpy.frombuffer(board.said(6, 3), numpy.uint8), 0).astype(float)
    loud = numpy.convolve(abs(heard), numpy.ones(80) / 80, "same") > 300
    begin = int(loud.argmax())
    assert abs(int((~loud[begin:]).argmax()) - 1600) < 100, "the cadence: 200 ms"
    part = heard[begin + 200:begin + 1400]
    for hz, dbm0 in CHORD.items():
        turning = numpy.exp(-2j * numpy.pi * hz * numpy.arange(len(part)) / 8000) * numpy.hanning(len(part))
        peak = 2 * abs(part @ turning) / numpy.hanning(len(part)).sum()
        assert abs(20 * numpy.log10(peak / 32124) + 3.14 - dbm0) < 0.7, hz
    control.do("stop", id="l3")


def test_a_prompt_is_mixed_over_a_conversation(board, control, media, tools):
    path = media.folder / "p3.wav"
    beep = g711.compress((3000 * numpy.sin(2 * numpy.pi * 1400 * numpy.arange(8000) / 8000)).astype(numpy.int16), 0)
    path.write_bytes(tools.wav(beep.tobytes()))
    add(control, "l1", 8, 1)
    add(control, "l2", 8, 2)
    control.do("bridge", id="b1", legs=["l1", "l2"])
    voice = g711.compress((3000 * numpy.sin(2 * numpy.pi * 500 * numpy.arange(16000) / 8000)).astype(numpy.int16), 0)
    board.say(8, 2, voice.tobytes())
    board.listen(8, 1)
    control.do("signal", id="l1", token="t1", items=[{"file": str(path)}])
    wait_blocks(board, 60)
    heard = g711.expand(numpy.frombuffer(board.said(8, 1), numpy.uint8), 0)[-3200:].astype(float)
    spectrum = abs(numpy.fft.rfft(heard * numpy.hanning(3200)))
    assert spectrum[500 * 3200 // 8000] > 1e6 and spectrum[1400 * 3200 // 8000] > 1e6


def test_a_freed_timeslot_is_idle_and_may_be_used_at_once(board, control, media, tools):
    path = media.folder / "p4.wav"
    path.write_bytes(tools.wav(b"\x22" * 80000))
    add(control, "l1", 9, 5)
    control.do("signal", id="l1", token="t", items=[{"file": str(path)}], repeat=0)
    wait_blocks(board, 5)
    control.do("subtract", id="l1")
    add(control, "l2", 9, 5)
    wait_blocks(board, 4)
    board.listen(9, 5)
    wait_blocks(board, 5)
    assert set(board.said(9, 5)) == {0xD5}
    control.do("subtract", id="l2")
    wait_blocks(board, 4)
    board.listen(9, 5)
    wait_blocks(board, 3)
    assert set(board.said(9, 5)) == {0xD5}


def test_data_passes_as_it_is_and_nothing_else_is_done_to_it(board, control):
    """Legs of 64 kbit/s unrestricted: octets copied, idle all ones; what wants sound is refused with cause 88."""
    for name, timeslot in (("d1", 9), ("d2", 10), ("d3", 11)):
        add(control, name, 4, timeslot, "clear")
    add(control, "s1", 4, 12)
    control.do("bridge", id="bd", legs=["d1", "d2"])
    refused = [("detect", {"id": "d1", "dtmf": True}), ("enhance", {"id": "d1", "noise": True}), ("bridge", {"id": "bd", "legs": ["d1", "d2", "d3"]}),
               ("bridge", {"id": "be", "legs": ["d3", "s1"]}), ("signal", {"id": "d3", "token": "t", "items": [{"silence_ms": 100}]}),
               ("record", {"id": "r9", "path": "/nowhere/x.wav", "left": "d1", "right": "d2"}),
               ("conference", {"bridge": "bd", "loudest": 1})]
    for do, given in refused:
        reply = control.raw(do, **given)
        assert not reply["ok"] and reply["cause"] == 88 and "data" in reply["error"], (do, reply)
    rows = {row["id"]: row for row in control.audit()["terminations"]}
    assert rows["d1"]["law"] == "clear" and rows["d1"]["bridge"] == "bd" and rows["s1"]["law"] == "A"
