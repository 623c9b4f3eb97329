"""A scripted R2 exchange on an emulated E1: any line bits and any tones on all 30 circuits, also what no exchange would do.

    with ScriptedR2(run_dir, 40) as far:
        far.send([5], SEIZED); far.until(5, ACKNOWLEDGED)
        far.dial(5, "1000"); far.until(5, ANSWERED)
        far.sound(6, 1380, 1500, 1620)          # until sound(6)
        far.send(CIRCUITS, IDLE)

Written from Q.421 (line code) and Q.441 (register signals) without the product's code; time is the board's."""

import collections
import itertools
import threading
import time

import numpy

from hil.line import BLOCK_OCTETS, FRAMES, TIMESLOTS, E1Checker, E1Framer, LineClient
from hil.probes import wav

CIRCUITS = tuple(timeslot for timeslot in range(1, 32) if timeslot != 16)
IDLE, SEIZED, ACKNOWLEDGED, ANSWERED = 0b1001, 0b0001, 0b1101, 0b0101      # Q.421: A and B; C and D stand at 01
BLOCKED = ACKNOWLEDGED
FORWARD_HZ, BACKWARD_HZ = (1380, 1500, 1620, 1740, 1860, 1980), (1140, 1020, 900, 780, 660, 540)
PAIRS = [tuple(pair) for high in range(1, 6) for pair in itertools.product(range(high), (high,))]      # of signals 1 to 15, Q.441 table 5
PEAK = 4000                 # of each tone; -8.6 dBm0
HEARD = 1000                # a tone of the other end is at least so high
SUBSCRIBER = 1              # II-1
EAR_BLOCKS = 3


class ScriptedR2:
    """span: an E1 without CRC-4 in the configuration.  All circuits are idle at first."""

    def __init__(self, run_dir, span):
        self.path = f"{run_dir}/lines/{span}.sock"
        self.framer, self.checker = E1Framer(cas=True), E1Checker(cas=True)
        self.framer.cas_bits[:] = IDLE
        self.blocks = 0                 # each 10 ms of the board's time
        self.each_block = None          # a function that is called with the number of each
        self._sounds = {}
        self._ear = collections.deque(maxlen=EAR_BLOCKS)
        self._end = threading.Event()
        self._failure = None            # what ended the thread

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
        try:
            while not self._end.is_set():
                block = self._line.receive()
                if len(block) == BLOCK_OCTETS:
                    self._ear.append(self.checker.take(block))
                    if self.each_block is not None:
                        self.each_block(self.blocks)
                    self._line.send(self.framer.block(self._payload()))
                    self.blocks += 1
        except Exception as error:
            self._failure = error       # wait() tells it

    def _payload(self):
        payload = numpy.full((FRAMES, TIMESLOTS), 0xD5, numpy.uint8)
        n = numpy.arange(self.blocks * FRAMES, (self.blocks + 1) * FRAMES)
        for timeslot, tones in list(self._sounds.items()):
            samples = sum(PEAK * numpy.sin(2 * numpy.pi * hz / 8000 * n) for hz in tones)
            payload[:, timeslot] = wav.alaw_compress(samples.clip(-32768, 32767).astype(numpy.int16))
        return payload

    # -- what is said --

    def send(self, timeslots, bits):
        """Line bits ABCD from now on."""
        self.framer.cas_bits[list(timeslots)] = bits

    def sound(self, timeslot, *tones):
        """Tones from now on, in Hz; none: silence."""
        if tones:
            self._sounds[timeslot] = tones
        else:
            self._sounds.pop(timeslot, None)

    def hush(self):
        """Silence everywhere."""
        self._sounds.clear()

    def signal(self, timeslot, number):
        """A forward signal from now on, 1 to 15."""
        self.sound(timeslot, *(FORWARD_HZ[i] for i in PAIRS[number - 1]))

    # -- what is seen and heard --

    def seen(self, timeslot):
        """The ABCD that comes, or None."""
        return None if self.checker.cas_bits is None else int(self.checker.cas_bits[timeslot])

    def until(self, timeslots, bits, timeout_s=10):
        """Wait for line bits on a circuit or on several."""
        places = [timeslots] if isinstance(timeslots, int) else timeslots
        self.wait(lambda: all(self.seen(timeslot) == bits for timeslot in places), timeout_s, lambda: "ABCD %s; there are %s" % (
            format(bits, "04b"), {timeslot: format(self.seen(timeslot), "04b") for timeslot in places}))

    def peaks(self, timeslot):
        """How high each of BACKWARD_HZ is in the last 30 ms, or None where no frame came."""
        blocks = list(self._ear)
        if len(blocks) < EAR_BLOCKS or any(block is None for block in blocks):
            return None
        samples = wav.alaw_expand(numpy.concatenate([block[:, timeslot] for block in blocks])).astype(float)
        n = numpy.arange(len(samples))
        return [round(abs(numpy.exp(-2j * numpy.pi * hz / 8000 * n) @ samples) * 2 / len(samples)) for hz in BACKWARD_HZ]

    def backward(self, timeslot):
        """The backward signal that sounds, 1 to 15, or None."""
        peaks = self.peaks(timeslot)
        strongest = sorted(range(6), key=lambda i: -peaks[i]) if peaks else ()
        if not peaks or peaks[strongest[1]] < HEARD or peaks[strongest[2]] > peaks[strongest[1]] / 2:
            return None
        return PAIRS.index(tuple(sorted(strongest[:2]))) + 1

    # -- moves --

    def pause(self, ms):
        """Let the board's time pass."""
        until = self.blocks + ms // 10
        self.wait(lambda: self.blocks >= until, ms / 1000 + 10, lambda: "the board's time to pass")

    def wait(self, condition, timeout_s, what):
        deadline = time.monotonic() + timeout_s
        while not condition():
            if self._failure is not None:
                raise RuntimeError("The scripted exchange has ended.") from self._failure
            if time.monotonic() > deadline:
                raise TimeoutError("Waited %g s in vain for %s." % (timeout_s, what()))
            time.sleep(0.005)

    def exchange(self, timeslot, number):
        """One compelled cycle (Q.440); returns the backward signal."""
        self.signal(timeslot, number)
        self.wait(lambda: self.backward(timeslot), 10, lambda: "an answer to signal %d on circuit %d, from which ABCD %s and tones of %s come" % (
            number, timeslot, format(self.seen(timeslot), "04b"), self.peaks(timeslot)))
        answer = self.backward(timeslot)
        self.sound(timeslot)
        self.wait(lambda: self.backward(timeslot) is None, 10, lambda: "the end of backward signal %d on circuit %d" % (answer, timeslot))
        return answer

    def seize(self, *timeslots):
        self.send(timeslots, SEIZED)
        self.until(timeslots, ACKNOWLEDGED)

    def dial(self, timeslot, digits):
        """Seize and send a number in full, with the category; returns the backward signals."""
        self.seize(timeslot)
        return [self.exchange(timeslot, int(digit) or 10) for digit in digits] + [self.exchange(timeslot, SUBSCRIBER)]
