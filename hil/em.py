"""A scripted far end of robbed-bit circuits on an emulated T1 (ESF): E&M, digits in DTMF, MF and dial pulses; any bits for loop and ground start.

    with EMTrunk(run_dir, span=8) as far:
        far.call(3, "1000")             # seize, wait for the wink, send digits
        far.wait(lambda: far.off_hook(3), 10, "the answer")

Made of hil/line_t1.py and the board's time only; it knows E&M from GR-506: on-hook 0000, off-hook 1111, a wink of 140 to 290 ms; MF of
System R1 from Q.320 to Q.322; dial pulses of EIA-464: 10 a second, 60 % break, 0 is ten."""

import threading
import time

import numpy

from hil import line_t1
from hil.line import LineClient
from hil.probes import dtmf, wav

ROWS_HZ, COLUMNS_HZ, KEYS = (697, 770, 852, 941), (1209, 1336, 1477, 1633), "123A456B789C*0#D"
FULL_DBM0 = 3.17                        # of a mu-law sine (G.711)
_LEVELS = wav.ulaw_expand(numpy.arange(256, dtype=numpy.uint8)).astype(int)


def ulaw(samples):
    """Mu-law octets: the nearest level."""
    order = numpy.argsort(_LEVELS, kind="stable")
    places = numpy.clip(numpy.searchsorted(_LEVELS[order], samples), 1, 255)
    below, above = order[places - 1], order[places]
    nearer = numpy.abs(_LEVELS[above] - samples) < numpy.abs(_LEVELS[below] - samples)
    return numpy.where(nearer, above, below).astype(numpy.uint8)


def peak(dbm0):
    """Of a sine of a level, on the 16-bit scale."""
    return _LEVELS.max() * 10 ** ((dbm0 - FULL_DBM0) / 20)


def keys(digits):
    """80 ms on, 80 ms off each, -8 dBm0 each tone: mu-law octets."""
    n, parts = numpy.arange(640), []
    for digit in digits:
        i = KEYS.index(digit)
        parts += [peak(-8) * (numpy.sin(2 * numpy.pi * ROWS_HZ[i // 4] / 8000 * n) + numpy.sin(2 * numpy.pi * COLUMNS_HZ[i % 4] / 8000 * n)),
                  numpy.zeros(640)]
    return ulaw(numpy.concatenate(parts))


MF_HZ = (700, 900, 1100, 1300, 1500, 1700)
MF = {"1": (0, 1), "2": (0, 2), "3": (1, 2), "4": (0, 3), "5": (1, 3), "6": (2, 3), "7": (0, 4), "8": (1, 4), "9": (2, 4), "0": (3, 4), "K": (2, 5), "S": (4, 5)}


def mf_keys(symbols):
    """MF of System R1: KP ("K") of 100 ms, others of 68 ms, 68 ms between, -7 dBm0 each tone: mu-law octets."""
    parts = []
    for symbol in symbols:
        n = numpy.arange(800 if symbol == "K" else 544)
        parts += [peak(-7) * sum(numpy.sin(2 * numpy.pi * MF_HZ[i] / 8000 * n) for i in MF[symbol]), numpy.zeros(544)]
    return ulaw(numpy.concatenate(parts))


def mf_text(samples):
    """The MF symbols in int16 samples: frames of 20 ms in which two of the six tones hold the energy, 30 ms long and more."""
    x, n = numpy.asarray(samples, float), numpy.arange(160)
    if len(x) < 160:
        return ""
    bank = numpy.array([numpy.hanning(160) * numpy.exp(-2j * numpy.pi * f * n / 8000) for f in MF_HZ])
    frames = numpy.lib.stride_tricks.sliding_window_view(x, 160)[::40]
    power, pairs, found, run = numpy.abs(frames @ bank.T) ** 2, {pair: symbol for symbol, pair in MF.items()}, "", ("", 0)
    for row, frame in zip(power, frames, strict=True):
        best = tuple(sorted(numpy.argsort(row)[-2:]))
        clear = numpy.sqrt(numpy.mean(frame ** 2)) > 500 and row[list(best)].sum() > 0.9 * row.sum() and row[list(best)].min() > 0.2 * row.max()
        symbol = pairs.get(best, "") if clear else ""
        run = (symbol, run[1] + 1 if symbol == run[0] else 1)
        if symbol and run[1] == 6:
            found += symbol
    return found


BREAK_MS, MAKE_MS, PAUSE_MS, DIGIT_END_MS = 60, 40, 700, 200


def pulsed(digits, off_hook, on_hook):
    """Steps for EMTrunk.signal(): digits as dial pulses.  off_hook, on_hook: ABCD."""
    steps = []
    for digit in digits:
        steps += [(on_hook, BREAK_MS), (off_hook, MAKE_MS)] * (int(digit) or 10)
        steps.append((off_hook, PAUSE_MS))
    return steps


def pulses_text(hooks):
    """The digits in off-hook (True) and on-hook, one each 10 ms, from off-hook on: breaks of 40 to 80 ms, a make of DIGIT_END_MS ends a digit."""
    found, count, run, before = "", 0, 0, True
    for hook in [*hooks, None]:
        if hook == before:
            run += 10
        else:
            count += not before and 40 <= run <= 80
            run, before = 10, hook
        if hook and count and run >= DIGIT_END_MS:
            found, count = found + str(count % 10), 0
    return found


class EMTrunk:
    """span: set to t1 by the product before this connects.  idle: ABCD of each circuit at first."""

    def __init__(self, run_dir, span, idle=0):
        self.path = f"{run_dir}/lines/{span}.sock"
        self.framer, self.checker = line_t1.T1Framer(), line_t1.T1Checker(cas=True)
        self.framer.cas_bits = numpy.full(24, idle, numpy.uint8)
        self.blocks = 0                 # each 10 ms of the board's time
        self.heard = {}                 # timeslot: list of blocks of octets, where listened
        self.hooks = {}                 # timeslot: off-hook in each block, where listened
        self._say, self._signals = {}, {}
        self._end = threading.Event()

    def __enter__(self):
        self._line = LineClient(self.path)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(2)
        self._line.close()

    def _run(self):
        while not self._end.is_set():
            block = self._line.receive()
            if len(block) != line_t1.BLOCK_OCTETS:
                continue                # still an E1
            frames = self.checker.take(block)
            for timeslot, blocks in self.heard.items():
                if frames is not None:
                    blocks.append(frames[:, timeslot - 1].copy())
                self.hooks[timeslot].append(self.off_hook(timeslot))
            payload = numpy.full((line_t1.FRAMES, line_t1.TIMESLOTS), 0xFF, numpy.uint8)
            for timeslot, octets in list(self._say.items()):
                payload[:len(octets[:80]), timeslot - 1] = octets[:80]
                self._say[timeslot] = octets[80:]
                if not len(self._say[timeslot]):
                    del self._say[timeslot]
            self._step()
            self._line.send(self.framer.block(payload))
            self.blocks += 1

    def _step(self):
        """10 ms of what signal() was given."""
        for timeslot, steps in list(self._signals.items()):
            bits, ms = steps[0]
            self.framer.cas_bits[timeslot - 1] = bits
            steps[0] = (bits, ms - 10)
            if ms <= 10:
                steps.pop(0)
            if not steps:
                del self._signals[timeslot]

    def signal(self, timeslot, steps):
        """[(ABCD, ms)] one after the other, in the board's time."""
        self._signals[timeslot] = list(steps)
        self.wait(lambda: timeslot not in self._signals, sum(ms for _, ms in steps) / 1000 + 10, "the signals to be sent")

    def hook(self, timeslot, off):
        """What we send: off-hook or on-hook."""
        self.framer.cas_bits[timeslot - 1] = 0b1111 if off else 0

    def send(self, timeslot, bits):
        """Any ABCD."""
        self.framer.cas_bits[timeslot - 1] = bits

    def seen(self, timeslot):
        """The ABCD that we receive, or None."""
        return None if self.checker.cas_bits is None else int(self.checker.cas_bits[timeslot - 1])

    def changed(self, before):
        """The first timeslot that says something else than before (checker.cas_bits of then), or None."""
        places = numpy.flatnonzero(self.checker.cas_bits != before)
        return int(places[0]) + 1 if len(places) else None

    def off_hook(self, timeslot):
        """What we receive."""
        return self.checker.cas_bits is not None and bool(self.checker.cas_bits[timeslot - 1] & 8)

    def say(self, timeslot, octets):
        self._say[timeslot] = octets

    def listen(self, timeslot):
        self.hooks[timeslot] = []
        self.heard[timeslot] = []

    def digits(self, timeslot):
        """The keys that were heard since listen()."""
        return dtmf.text(self.samples(timeslot))

    def pulses(self, timeslot):
        """The digits that came as dial pulses since listen(), which was while we saw off-hook."""
        return pulses_text(list(self.hooks[timeslot]))

    def samples(self, timeslot):
        """What was heard since listen(), int16."""
        blocks = list(self.heard[timeslot])
        return wav.ulaw_expand(numpy.concatenate(blocks) if blocks else numpy.zeros(0, numpy.uint8))

    def pause(self, ms):
        """Let the board's time pass."""
        until = self.blocks + ms // 10
        self.wait(lambda: self.blocks >= until, ms / 1000 + 5, "the board's time to pass")

    def wait(self, condition, timeout_s, what):
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"Waited {timeout_s} s in vain for {what}.")
            time.sleep(0.005)

    def call(self, timeslot, digits):
        """Seize, take the wink, send the digits.  Returns the length of the wink in ms."""
        self.hook(timeslot, True)
        self.wait(lambda: self.off_hook(timeslot), 5, "the wink")
        begun = self.blocks
        self.wait(lambda: not self.off_hook(timeslot), 5, "the end of the wink")
        wink_ms = 10 * (self.blocks - begun)
        self.pause(100)
        self.say(timeslot, keys(digits))
        return wink_ms
