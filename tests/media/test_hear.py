"""What a leg is listened to beside digits, and what it sends: fax machines, who answered, tones of the call's progress,
caller identification, R1, on legs of the running media process.  Far ends: spandsp (sends), minimodem (hears)."""

import ctypes
import ctypes.util
import json
import pathlib
import subprocess
import wave

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


@pytest.mark.parametrize("wrong", ({"answer": {"patience_ms": 1}}, {"answer": {"words": 0}}, {"answer": [1]}, {"modem": 1}, {"progress": 1}, {"caller_id": "v22"}, {"caller_id": []}, {}))
def test_wrong_wishes_get_advice(control, wrong):
    control.do("add", id="w1", kind="timeslot", span=10, timeslot=1, law="A")
    reply = control.raw("detect", id="w1", **wrong)
    assert not reply["ok"] and "detect" in reply["error"]


COUNTRY = json.loads((pathlib.Path(__file__).parents[2] / "boardconfig/countries/cn.json").read_text())["tones"]


def cadence(seconds, *runs, hz=450):
    """A cadenced tone, made here: runs of on and off in seconds, over and over."""
    parts = [sine(hz, run, 5000) if i % 2 == 0 else quiet(run) for i, run in enumerate(runs)]
    return numpy.tile(numpy.concatenate(parts), int(seconds / sum(runs)) + 1)[:int(8000 * seconds)]


@pytest.mark.conformance("GB 3380", "cn", "dial, ringing, busy, congestion, vacant and E.180's special information tone, by cadence, as events of a leg")
def test_tones_of_the_calls_progress_are_told(board, control):
    control.do("tones", plan=COUNTRY)
    said = {"dial": cadence(4, 1), "ringback": cadence(5.6, 1, 4), "busy": cadence(3, 0.35, 0.35), "congestion": cadence(4, 0.7, 0.7),
            "vacant": cadence(4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4, 0.4),
            "sit": numpy.concatenate([sine(950, 0.33), sine(1400, 0.33), sine(1800, 0.33), talker(2)])}
    for timeslot, name in enumerate(said, 1):
        control.do("add", id=name, kind="timeslot", span=11, timeslot=timeslot, law="A", enhance={"noise": True, "level": "agc"})
        control.do("detect", id=name, progress=True)
        say(board, 11, timeslot, quiet(0.3), said[name], quiet(1))
    for name in said:
        event = waited(control, "progress", name)
        assert (event["tone"], event["on"]) == (name, True)
    for name in ("busy", "sit"):
        assert waited(control, "progress", name, on=False)["tone"] == name
    control.do("tones", plan=COUNTRY | {"busy": {"frequencies_hz": [500], "cadence_ms": [500, 500]}})     # another country while they listen
    say(board, 11, 3, cadence(2.6, 0.5, 0.5, hz=500))
    assert waited(control, "progress", "busy", on=True)["tone"] == "busy"
    assert {row["id"]: row["progress"] for row in control.audit()["terminations"]} == dict.fromkeys(said, True)


def test_costs_of_listening_are_reserved(control):
    control.do("tones", plan=COUNTRY)
    control.do("add", id="c1", kind="timeslot", span=11, timeslot=9, law="A")
    figures = lambda: control.do("stats")["admission"]["reserved_us"]
    before, steps = figures(), []
    for wish in ({"modem": True}, {"progress": True}, {"answer": {}}, {"caller_id": "v23"}):
        for _ in range(2):                              # repeated: no dearer
            control.do("detect", id="c1", **wish)
        steps.append(figures())
    assert before <= steps[0] <= steps[1] <= steps[2] <= steps[3] and steps[3] > before
    control.do("detect", id="c1", modem=False, progress=False, answer=None, caller_id=None)
    assert figures() == before


def spandsp_sends(standard, octets):
    """What spandsp's sender of caller identification makes of a message without its checksum."""
    library = ctypes.CDLL(ctypes.util.find_library("spandsp"))
    library.adsi_tx_init.restype = ctypes.c_void_p
    sender, out, made = ctypes.c_void_p(library.adsi_tx_init(None, standard)), numpy.zeros(24000, numpy.int16), 0
    library.adsi_tx_put_message(sender, (ctypes.c_uint8 * 100)(*octets), len(octets))
    while made < len(out):
        n = library.adsi_tx(sender, out[made:].ctypes.data_as(ctypes.c_void_p), min(800, len(out) - made))
        made += n
        if n < 800:
            break
    library.adsi_tx_free(sender)
    return out[:made].astype(float)


@pytest.mark.conformance("EN 300 659-1", "6.2", "a caller's number by FSK, V.23 and Bell 202, is heard on a leg; the far end is spandsp")
def test_a_callers_number_is_heard(board, control):
    fields = b"\x01\x0809301122\x02\x0b13800138000"
    message = bytes([0x80, len(fields)]) + fields
    for timeslot, (plan, standard) in enumerate((("v23", 2), ("bell202", 1)), 11):
        control.do("add", id=plan, kind="timeslot", span=11, timeslot=timeslot, law="A", enhance={"noise": True, "level": "agc"})
        control.do("detect", id=plan, caller_id=plan)
        say(board, 11, timeslot, quiet(0.3), spandsp_sends(standard, message), quiet(0.5))
    for plan in ("v23", "bell202"):
        assert waited(control, "caller_id", plan)["fields"] == {"time": "09301122", "number": "13800138000"}
    broken = spandsp_sends(2, message)
    say(board, 11, 11, quiet(0.3), broken[:numpy.flatnonzero(broken)[-1] - 600], quiet(0.5))      # the last octets are missing
    assert "checksum" in waited(control, "caller_id", "v23")["error"]


@pytest.mark.conformance("GR-31", "MDMF", "a caller's number sent on a leg by Bell 202 is what minimodem, which knows nothing of us, reads")
def test_a_callers_number_is_sent(board, control, tmp_path):
    control.do("add", id="o1", kind="timeslot", span=11, timeslot=13, law="A")
    board.listen(11, 13)
    control.do("signal", id="o1", token="cid", items=[{"silence_ms": 200}, {"caller_id": {
        "standard": "bell202", "time": "12312359", "number": "13800138000", "name": "LI LEI"}}, {"silence_ms": 200}])
    assert waited(control, "signal_complete", "o1", token="cid")["reason"] == "done"
    heard = board.said(11, 13)
    magnitude = numpy.frombuffer(heard, numpy.uint8).astype(int) ^ 0x55        # G.711, written out here
    segment, step = magnitude >> 4 & 7, magnitude & 15
    x = numpy.where(segment > 0, (2 * step + 33) << numpy.maximum(segment - 1, 0), 2 * step + 1) * numpy.where(magnitude & 0x80, 8, -8)
    with wave.open(str(tmp_path / "heard.wav"), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
        file.writeframes(x.astype("<i2").tobytes())
    read = subprocess.run(["minimodem", "--rx", "--file", str(tmp_path / "heard.wav"), "callerid"], capture_output=True, timeout=30).stdout.decode("latin-1")
    assert "13800138000" in read and "LI LEI" in read, read


def test_what_one_leg_sends_another_hears(board, control):
    """The same board joins a leg's output to another's input: R1, V.23 with its alert, fax tones, whatever the item."""
    for name, timeslot in (("s1", 14), ("s2", 15)):
        control.do("add", id=name, kind="timeslot", span=11, timeslot=timeslot, law="A")
    control.do("bridge", id="b9", legs=["s1", "s2"])
    control.do("add", id="r1", kind="timeslot", span=11, timeslot=16, law="A")
    control.do("mf_listen", id="r1", plan="r1")
    control.do("detect", id="r1", caller_id="v23", modem=True)
    board.listen(11, 14)
    control.do("signal", id="s1", token="t", items=[{"r1": "K5551S"}, {"silence_ms": 300}, {"tone": "cng", "duration_ms": 700}, {"caller_id": {
        "standard": "v23", "format": "sdmf", "time": "09301122", "number": "911", "on_hook": False, "alert": True}}])
    assert waited(control, "signal_complete", "s1", token="t")["reason"] == "done"
    board.say(11, 16, board.said(11, 14))
    signals = []
    while len(signals) < 6:
        event = waited(control, "mf", "r1")
        signals += [event["signal"]] if event["signal"] else []
    assert signals == [13, 5, 5, 5, 1, 15]              # KP 5 5 5 1 ST
    assert waited(control, "modem_tone", "r1")["tone"] == "cng"
    assert waited(control, "caller_id", "r1")["fields"] == {"time": "09301122", "number": "911"}


@pytest.mark.parametrize("item", ({"r1": "X"}, {"caller_id": {}}, {"caller_id": {"number": "12a"}}, {"caller_id": {"number": "1", "standard": "v21"}},
                                  {"caller_id": {"number": "1", "format": "sdmf"}}, {"caller_id": {"number": 5}}, {"caller_id": {"name": "x" * 256}}, {"caller_id": {"number": "1", "speed": 9}}))
def test_wrong_items_get_advice(control, item):
    control.do("add", id="w2", kind="timeslot", span=11, timeslot=17, law="A")
    reply = control.raw("signal", id="w2", token="t", items=[item])
    assert not reply["ok"] and "signal" in reply["error"]
