"""Echo, noise, level and speech detection on live legs: the media process, a board, far ends on its wires."""

import signal
import time

import numpy
import pytest

from dsp import g711
from tests.conftest import WHOLE_ONLY
from tests.corpus import part

BLOCK = 80


def hybrid(number):
    """Impulse response of G.168 model D.<number>, 0 dB of loss."""
    for line in part("g168/echo_paths.tsv").read_text().splitlines():
        name, *rest = line.split("\t")
        if name == f"d{number}":
            return numpy.array(rest[2].split(","), float) * float(rest[0])
    raise AssertionError(f"no model d{number}")


def talker(seconds, name="demo-instruct"):
    """Speech of the corpus at -17 dBm0 while active, without pauses of more than a moment."""
    x = numpy.frombuffer(part(f"speech/asterisk-en/{name}.wav").read_bytes()[44:], "<i2").astype(float)
    blocks = x[:len(x) // BLOCK * BLOCK].reshape(-1, BLOCK)
    power = (blocks ** 2).mean(1)
    x = blocks[numpy.convolve(power > 0.003 * power.max(), numpy.ones(15), "same") > 0].reshape(-1)
    x *= 16140 * 10 ** (-17 / 20) / numpy.sqrt((x ** 2)[numpy.abs(x) > 100].mean())
    return numpy.resize(x, round(seconds * 8000))


def alaw(x):
    return g711.compress(numpy.clip(numpy.rint(x), -32768, 32767).astype(numpy.int16), 0)


def linear(octets):
    return g711.expand(numpy.frombuffer(bytes(octets), numpy.uint8), 0).astype(float)


def dbm0(x):
    return 20 * numpy.log10(numpy.sqrt((x ** 2).mean()) / 16140 + 1e-9)


class FarEnd:
    """A two-wire subscriber: the hybrid returns what we send, the party says `says`."""

    def __init__(self, taps, says=()):
        self.taps, self.says = numpy.asarray(taps), numpy.asarray(says, float)
        self.past = numpy.zeros(len(self.taps) - 1)
        self.at = 0
        self.echo = []

    def __call__(self, octets):
        x = numpy.concatenate([self.past, linear(octets)])
        self.past = x[len(x) - len(self.past):]
        back = numpy.convolve(x, self.taps, "valid")
        self.echo.append(back)
        near = self.says[self.at:self.at + BLOCK]
        self.at += BLOCK
        return alaw(back + numpy.pad(near, (0, BLOCK - len(near))))


def add(control, name, span, timeslot, **more):
    control.do("add", id=name, kind="timeslot", span=span, timeslot=timeslot, law="A", **more)


def wait_blocks(board, count):
    target = board.blocks + count
    while board.blocks < target:
        time.sleep(0.005)


@pytest.mark.conformance("G.168", "6.4 on a leg", "the hybrid's echo of a live leg is cancelled, wherever the path begins")
def test_the_echo_of_a_live_leg_is_cancelled_and_the_party_is_heard(board, control, media, tools):
    """Hybrids at once, 20 ms and 50 ms away, the last in a noisy room and with noise reduction; a fourth leg without
    canceller shows what there is to cancel; a fifth has its hybrid 100 ms away and gets the long tail by command
    (64 ms would take nothing off it; after ticks that a host took away it is back more slowly than they)."""
    far, near = talker(5), talker(2, "demo-congrats")
    (media.folder / "far.wav").write_bytes(tools.wav(alaw(far).tobytes()))
    ends = []
    for n, delay_ms in enumerate((0, 20, 50, 20, 100), 1):
        add(control, f"t{n}", 1, n, **({"enhance": {"echo": True, "noise": n == 3}} if n != 4 else {}))
        add(control, f"o{n}", 2, n)
        control.do("bridge", id=f"b{n}", legs=[f"t{n}", f"o{n}"])
        control.do("topology", bridge=f"b{n}", **{"from": f"o{n}", "to": f"t{n}", "way": "none"})
        control.do("topology", bridge=f"b{n}", **{"from": f"t{n}", "to": f"o{n}", "way": "one"})
        taps = numpy.concatenate([numpy.zeros(delay_ms * 8), hybrid(2 + n % 3)[:96] * 10 ** (-10 / 20)])
        room = numpy.random.default_rng(n).normal(0, 16140 * 10 ** (-48 / 20) * (n == 3), 36000 + len(near))
        ends.append(FarEnd(taps, numpy.concatenate([numpy.zeros(36000), near]) + room))
    control.do("enhance", id="t5", long_tail=True)
    costs = control.do("stats")["admission"]["costs_ns"]
    assert costs["echo_128"] > costs["echo"], costs
    rows = {row["id"]: row["enhance"] for row in control.audit()["terminations"]}
    assert rows["t5"]["long_tail"] and rows["t1"] == {"echo": True, "long_tail": False, "noise": False, "level": "off", "vad": False} and not rows["t4"]["echo"]
    for n in range(1, 6):
        board.listen(2, n)
    with board.lock:
        board.far_end = {(1, n): end for n, end in enumerate(ends, 1)}
    for n in range(1, 6):
        control.do("signal", id=f"t{n}", token=f"p{n}", items=[{"file": str(media.folder / "far.wav")}])
    wait_blocks(board, 100)
    media.process.send_signal(signal.SIGSTOP)                         # late ticks: idle code was the reference then
    time.sleep(0.045)
    media.process.send_signal(signal.SIGCONT)
    wait_blocks(board, 560)
    heard = {n: linear(board.said(2, n)) for n in range(1, 6)}
    with board.lock:
        board.far_end = {}
    echoes = {n: numpy.concatenate(end.echo) for n, end in enumerate(ends, 1)}
    cut = slice(3 * 8000, int(4.4 * 8000))                            # noise reduction begins after 2.1 s
    there = dbm0(heard[4][cut])
    assert there > -35 and abs(there - dbm0(echoes[4][cut])) < 1      # unenhanced: the echo is heard
    losses = {n: round(float(dbm0(echoes[n][cut]) - dbm0(heard[n][cut])), 1) for n in (1, 2, 3, 5)}
    for n in (1, 2, 3, 5):
        loss = dbm0(echoes[n][cut]) - dbm0(heard[n][cut])
        assert loss > (30 if n < 5 else 18), (n, loss, losses, control.do("stats")["tick"])
        said = heard[n][38000:50000]                                  # double talk, then the party alone
        best = max(numpy.corrcoef(said[800:10400], near[at:at + 9600])[0, 1]
                   for at in range(1500, 3500, 1) if at + 9600 <= len(near))
        assert best > 0.9, (n, best)


def test_noise_goes_level_comes_and_speech_is_told(board, control):
    """Noisy quiet speech on a timeslot: 12 dB less noise, -19 dBm0, events; switched off: bit by bit again."""
    rng = numpy.random.default_rng(5)
    speech = talker(4) * 10 ** (-14 / 20)                             # -31 dBm0
    noise = rng.normal(0, 16140 * 10 ** (-46 / 20), 8000 * 7)
    x = noise.copy()
    x[16000:48000] += speech
    octets = alaw(x).tobytes()
    add(control, "t", 3, 1)
    add(control, "o", 3, 2)
    control.do("bridge", id="b", legs=["t", "o"])
    wait_blocks(board, 3)
    control.do("enhance", id="t", noise=True, level="agc", vad=True)
    control.do("enhance", id="t", noise=True, level="agc", vad=True)  # repeated: nothing begins anew
    board.listen(3, 2)
    board.say(3, 1, octets)
    wait_blocks(board, 700)
    heard = linear(board.said(3, 2))
    begin = numpy.flatnonzero(heard)[0]
    assert dbm0(noise[9000:15000]) - dbm0(heard[begin + 9000:begin + 15000]) > 12
    talk = heard[begin + 34000:begin + 48000]
    loud = (talk[:len(talk) // BLOCK * BLOCK].reshape(-1, BLOCK) ** 2).mean(1)
    assert abs(10 * numpy.log10(loud[loud > 0.02 * loud.max()].mean()) - 20 * numpy.log10(16140) + 19) < 3
    assert control.event("voice", id="t")["speech"] is True
    assert control.event("voice", id="t")["speech"] is False
    control.do("enhance", id="t", noise=False, level="off", vad=False)
    assert control.audit()["terminations"][0]["enhance"]["level"] == "off"
    plain = bytes(rng.integers(0, 0xD5, 4000, numpy.uint8))
    wait_blocks(board, 4)
    board.listen(3, 2)
    board.say(3, 1, plain)
    wait_blocks(board, 55)
    assert plain in board.said(3, 2)


@WHOLE_ONLY
@pytest.mark.conformance("issue 3", "ALC", "the level of a trunk's leg, switched on by command: to -19 dBm0 within its 12 dB, and no further")
def test_alc_brings_a_trunk_to_its_level(board, control):
    """10 dB too quiet is made good; 20 dB too quiet is raised by 12 dB and no more; without a command nothing changes."""
    comes, heard = {11: -29, 13: -39, 15: -29}, {11: -19, 13: -27, 15: -29}
    for timeslot in comes:
        add(control, f"t{timeslot}", 3, timeslot)
        add(control, f"o{timeslot}", 3, timeslot + 1)
        control.do("bridge", id=f"b{timeslot}", legs=[f"t{timeslot}", f"o{timeslot}"])
    for timeslot in (11, 13):
        control.do("enhance", id=f"t{timeslot}", level="alc", vad=True)
    wait_blocks(board, 3)
    for timeslot, level in comes.items():
        board.listen(3, timeslot + 1)
        board.say(3, timeslot, alaw(talker(7) * 10 ** ((level + 17) / 20)).tobytes())
    wait_blocks(board, 650)
    found = {}
    for timeslot in comes:
        last = linear(board.said(3, timeslot + 1))[-16000:]
        loud = (last[:len(last) // BLOCK * BLOCK].reshape(-1, BLOCK) ** 2).mean(1)
        found[timeslot] = round(10 * numpy.log10(loud[loud > 0.02 * loud.max()].mean()) - 20 * numpy.log10(16140), 1)
    assert all(abs(found[timeslot] - wanted) < 3 for timeslot, wanted in heard.items()), found


def test_digits_are_found_behind_all_functions(board, control):
    """DTMF over noise, every function on, in two legs of both laws' rows."""
    t = numpy.arange(560) / 8000
    x = [numpy.zeros(8000)]
    for digit in "1590#*27":
        row, column = divmod("123A456B789C*0#D".index(digit), 4)
        low, high = (697, 770, 852, 941)[row], (1209, 1336, 1477, 1633)[column]
        x += [2500 * (numpy.sin(2 * numpy.pi * low * t) + numpy.sin(2 * numpy.pi * high * t)), numpy.zeros(560)]
    x = numpy.concatenate(x)
    x += numpy.random.default_rng(2).normal(0, 40, len(x))
    add(control, "t", 4, 1, enhance={"echo": True, "noise": True, "level": "alc", "vad": True})
    control.do("detect", id="t", dtmf=True)
    wait_blocks(board, 3)
    board.say(4, 1, alaw(x).tobytes())
    assert "".join(control.event("digit", id="t")["digit"] for _ in range(8)) == "1590#*27"


@pytest.mark.conformance("G.168", "7", "2100 Hz: plain stops processor and noise reduction, with reversals the canceller")
def test_2100_hz_switches_by_itself(board, control):
    """Plain: octets differ little; reversing: bit by bit; gone: back."""
    t = numpy.arange(8000 * 3) / 8000
    for law_row, (hz, reversing) in enumerate(((2095, False), (2112, True)), 1):
        sign = numpy.where(numpy.arange(len(t)) // 3600 % 2, -1, 1) if reversing else 1
        x = 4000 * sign * numpy.sin(2 * numpy.pi * hz * t)
        add(control, f"t{law_row}", 5, law_row, enhance={"echo": True, "noise": True, "level": "agc", "vad": True})
        add(control, f"o{law_row}", 6, law_row)
        control.do("bridge", id=f"b{law_row}", legs=[f"t{law_row}", f"o{law_row}"])
        board.listen(6, law_row)
        board.say(5, law_row, alaw(x).tobytes())
        if reversing:
            sent = alaw(x).tobytes()
    assert control.event("tone_2100", id="t1")["tone"] == "plain"
    assert control.event("tone_2100", id="t2")["tone"] in ("plain", "reversing")
    wait_blocks(board, 320)
    tones = [(e["id"], e["tone"]) for e in control.events if e["kind"] == "tone_2100"]
    while ("t2", "gone") not in tones or ("t1", "gone") not in tones:
        e = control.event("tone_2100")
        tones.append((e["id"], e["tone"]))
    assert ("t2", "reversing") in tones and ("t1", "reversing") not in tones, tones
    heard = board.said(6, 2)
    assert sent[12000:20000] in heard                                 # no DSP touches it
    plain = linear(board.said(6, 1))
    begin = numpy.flatnonzero(numpy.abs(plain) > 100)[0]
    assert abs(dbm0(plain[begin + 8000:begin + 16000]) - dbm0(4000 * numpy.sin(t))) < 0.5


@pytest.mark.parametrize("wrong, words", [({"echo": 1}, "true or false"), ({"level": "loud"}, "agc"), ({"level": []}, "agc"),
                                          ({"vad": None}, "true or false")])
def test_wrong_enhancement_is_refused_with_a_sentence(control, wrong, words):
    add(control, "t", 7, 1)
    reply = control.raw("enhance", id="t", **wrong)
    assert not reply["ok"] and words in reply["error"] and reply["cause"] == 100
    reply = control.raw("add", id="u", kind="timeslot", span=7, timeslot=2, law="A", enhance=wrong)
    assert not reply["ok"] and "u" not in [row["id"] for row in control.audit()["terminations"]]
    assert not control.raw("add", id="u", kind="timeslot", span=7, timeslot=2, law="A", enhance={"tail": 3})["ok"]


def test_a_slot_begins_clean_for_the_next_leg(board, control):
    """Enhancement ends with its leg."""
    add(control, "t", 8, 1, enhance={"echo": True, "noise": True, "level": "agc"})
    control.do("subtract", id="t")
    add(control, "t", 8, 1)
    add(control, "o", 8, 2)
    control.do("bridge", id="b", legs=["t", "o"])
    plain = bytes(numpy.random.default_rng(9).integers(0, 0xD5, 1600, numpy.uint8))
    wait_blocks(board, 4)
    board.listen(8, 2)
    board.say(8, 1, plain)
    wait_blocks(board, 26)
    assert plain in board.said(8, 2)
