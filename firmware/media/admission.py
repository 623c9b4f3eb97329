"""How many legs this machine can serve: measured at start, reserved against, refused beyond.

A tick that takes longer than 10 ms harms everybody who talks, and since its thread
goes before all others it would keep the commands from coming through, too.  So each
leg reserves the time that it will cost a tick, and the sum stays below SHARE of it.

    costs   ns a tick and channel of each function, at start: the least of some runs (others on the
            machine only add) of the kernels on
            loud noise, unit by unit as the tick does it, after a sweep that has put their states out of
            the caches, as the other channels do it to each.  Of the canceller: what it costs at rest, and LEARNING of what learning adds;
            more than that is learnt only while there is time for it (native/enhance.pxi,
            follow_pressure), except of a canceller of the last FRESH_S seconds, which learns in each block: legs that
            came fast were let in by their price and then made the ticks long.  What a timeslot and an RTP stream cost without any is measured by
            `make bench` (PLAIN_NS), not here
    load    what the tick really works, measured all the time in processor time (what the host takes
            away is not work): the means of the last seconds, of which the median counts.  Where it is
            more than what is reserved it counts instead, with what has been reserved since; and a
            new leg is taken to be dearer in the same measure.  Less leaves no room: legs that were let
            in by it made ticks late and cancellers spare (3,072 channels: 120 late ticks, 14 dB of
            echo loss; 2,688 by price: 2, and 28 dB)
    longest one tick in a hundred takes longer, of each second, the median again: beyond HIGH of
            a tick nobody is admitted to a tick that has a load, whatever the sums say
    near    seconds of the last 20 in which a tick has computed for 80 % of its time: more than NEAR of them are more than one tick
            in a thousand, and nobody is admitted, either.  Seconds, since what disturbs a machine comes in bursts of ticks.  Such
            ticks are a fifth of a tick from being late, whatever made them long

A leg of an emergency call is refused for none of this below EMERGENCY of a tick, hot box or not: the rest beyond the limit, which is for
disturbances otherwise, is its reserve.

A canceller, noise reduction and speech detection work on groups of neighbouring slots;
the slots of a leg are chosen so that groups fill up, and a part of one is not reserved.
"""

import collections
import concurrent.futures
import os
import time

import numpy

from dsp import amd, dtmf, echo, fsk, level, modem, noise, progress, vad
from firmware.media import _engine
from firmware.media._t38 import Gateway
from firmware.media.checks import refuse
from firmware.media.settings import HEARS_NOTHING
from firmware.media.stats import NEAR_SECONDS, SECONDS

TICK_NS = 10_000_000
SHARE = 0.7                     # of a tick; the rest is for disturbances and for the other threads
SHARE_WITHOUT_REALTIME = 0.4
SHARED = 0.3                    # ours, of runs on two processors beside the bench's load: what a second thread of the tick, which helps in its first 8 ms, adds, so that a tick without it is hardly
                                # late.  3,072 channels, 9.7 ms of work a tick: none late in 25 s; with 0.7, and help for 6 ms, 12 were late and cancellers spared (3,328 channels, 12.4 ms)
HIGH, HIGH_FROM = 0.85, 0.4     # of a tick; of the limit: below, long ticks are the host's
NEAR = 2                        # ours; of stats.py NEAR_SECONDS
EMERGENCY = 0.9                 # ours; of the tick, whatever other legs may use: some 200 legs
LEARNING = 0.25                 # one block in four: dsp/echo.py, Rest
FRESH_S = 12.0                  # ours: the first 10 s of far speech, in which one that has not settled learns in each block
FRESH = {"echo": "echo_fresh", "echo_128": "echo_128_fresh"}
PLAIN_NS = {"timeslot": 500, "rtp": 1800}       # measured: 2.6 GHz EPYC, packets of 20 ms both ways, 1,000 recordings, 1,984 and 2,112 of them: 3.9 ms without voice functions, with a fifth to spare here
READ_NS = 700                   # measured: what it costs more where the kernel writes no ring of packets
ALONE_NS = 1500                 # measured: and where each leg's packets are read from its own socket
PSEUDOWIRE_NS = {"tick": 8000, "packet": 5000}      # measured: the same; a packet of 31 timeslots and 1 ms each way, two system calls (`make bench`, line.pseudowire)
CHANNELS, RUNS, UNIT = 1024, 5, 64
SWEPT = 64 << 20                # octets, ours: more than the caches of a processor hold; 1,024 channels are 9 MB, which many hold, 4,096 and all that is between two ticks are not
TICKS_A_PACKET = 2
SRTP_PAIRS = 64                 # ours: sessions that are measured together
DEARER_MOST, DEARER_FROM = 3.0, 0.1             # ours: a ratio of less than a tenth of the limit says nothing
LATELY_S = SECONDS / 2 + 0.5      # the median of so many seconds shows what was there before that
SIDE_BY_SIDE = {"G722": 4, "G726-32": 4, "AAL2-G726-32": 4}       # ours: how many legs of a unit share one go of 8 or 16 lanes, at least, where it matters
FAX_TICKS, FAX_DEARER = 100, 3  # ours: with a V.17 receiver at work the gateway takes up to that many times what it takes on noise
CAUSE = 47                      # Q.850: resource unavailable, unspecified


def measure(threads=2):
    """{"echo": ns a tick and channel, "echo_128" (of a long tail), "noise", "level", "vad", "dtmf", "modem", "amd", "progress", "fsk", and what it
    costs more while it is fresh: "echo_fresh", "echo_128_fresh"}; takes some 0.2 s.

    threads: that many measure at once, as far as there are processors, as the tick's threads will be at work at once: they share
    caches and memory, and may be two of one core.  The dearest counts."""
    threads = min(threads, len(os.sched_getaffinity(0)))
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(measure_alone, range(threads)))
    return {name: max(costs[name] for costs in found) for name in found[0]}


def measure_alone(_=None):
    """measure() of one thread."""
    rng = numpy.random.default_rng(1)
    states = {"echo": echo.new_state(CHANNELS), "echo_128": echo.new_state(CHANNELS, echo.TAIL_128_MS), "noise": noise.new_state(CHANNELS), "level": level.new_state(CHANNELS),
              "vad": vad.new_state(CHANNELS), "dtmf": dtmf.new_state(CHANNELS), "modem": modem.new_state(CHANNELS), "amd": amd.new_state(CHANNELS),
              "progress": progress.new_state(CHANNELS), "fsk": fsk.new_rx_state(CHANNELS)}
    tones, _ = progress.compile_plan({"any": {"frequencies_hz": [450]}})
    frequencies = fsk.table("v23")
    for slot in range(CHANNELS):
        amd.start(states["amd"], slot)
    speech = numpy.full(CHANNELS, vad.SPEECH, numpy.uint8)
    far = rng.integers(-4000, 4000, (CHANNELS, 80)).astype(numpy.int16)
    frozen = numpy.full(UNIT, echo.FREEZE, numpy.uint8)
    runs = {name: [] for name in ("rest", "rest_128", *states)}
    swept = numpy.empty(SWEPT, numpy.uint8)
    for run in range(RUNS):
        swept.fill(run)
        near = (far // 4 + rng.integers(-100, 100, far.shape)).astype(numpy.int16)
        near_128 = near.copy()          # a canceller that finds no echo sleeps
        spent = dict.fromkeys(runs, 0)
        for first in range(0, CHANNELS, UNIT):
            slots, part = numpy.arange(first, first + UNIT, dtype=numpy.int32), slice(first, first + UNIT)
            for name, work in (("echo", lambda: echo.cancel(states["echo"], slots, far, near, None, slots, slots)),
                               ("echo_128", lambda: echo.cancel(states["echo_128"], slots, far, near_128, None, slots, slots, echo.TAIL_128_MS)),
                               ("noise", lambda: noise.reduce(states["noise"], far[part], slots)),
                               ("vad", lambda: vad.detect(states["vad"], far[part], speech, slots)),
                               ("level", lambda: level.control(states["level"], far[part], speech, slots)),
                               ("modem", lambda: modem.detect(states["modem"], far[part], slots)),
                               ("amd", lambda: amd.detect(states["amd"], far[part], speech, slots)),
                               ("progress", lambda: progress.detect(tones, states["progress"], far[part], slots)),
                               ("fsk", lambda: fsk.detect(frequencies, states["fsk"], far[part], slots)),
                               ("dtmf", lambda: dtmf.detect(states["dtmf"], far[part], slots))):
                began = time.thread_time_ns()
                work()
                spent[name] += time.thread_time_ns() - began
        swept.fill(run)
        for first in range(0, CHANNELS, UNIT):
            slots = numpy.arange(first, first + UNIT, dtype=numpy.int32)
            for name, rest, partitions in (("echo", "rest", echo.TAIL_64_MS), ("echo_128", "rest_128", echo.TAIL_128_MS)):
                began = time.thread_time_ns()
                echo.cancel(states[name], slots, far, near, frozen, slots, slots, partitions)
                spent[rest] += time.thread_time_ns() - began
        for name, ns in spent.items():
            runs[name].append(ns // CHANNELS)
    costs = {name: min(values) for name, values in runs.items()}
    for name, of_rest in (("echo", "rest"), ("echo_128", "rest_128")):
        rest = costs.pop(of_rest)
        learning = max(0, costs[name] - rest)
        costs[FRESH[name]] = round((1 - LEARNING) * learning)
        costs[name] = rest + learning - costs[FRESH[name]]
    return costs


def measure_fax():
    """ns a tick of a T.38 gateway that looks for the modems of a page, on noise; takes some ms."""
    gateway, heard = Gateway(), numpy.random.default_rng(1).integers(-4000, 4000, 80).astype(numpy.int16)
    began = time.thread_time_ns()
    for _ in range(FAX_TICKS):
        gateway.hear(heard.copy())
        gateway.speak(heard)
    return FAX_DEARER * (time.thread_time_ns() - began) // FAX_TICKS


def measure_srtp():
    """{suite: ns a tick of a leg, packets of 20 ms both ways}; takes some 0.1 s.  Each session comes after many others, as in a tick: its key is in no cache."""
    costs, swept = {}, numpy.empty(SWEPT, numpy.uint8)
    for suite, octets in _engine.SRTP_KEY_OCTETS.items():
        pairs = [[_engine.SRTPSession(suite, bytes(octets), ssrc) for ssrc in (1, None)] for _ in range(SRTP_PAIRS)]
        runs = []
        for run in range(RUNS):
            swept.fill(run)
            runs.append(_engine.srtp_cost_ns(pairs, 1 + run))
        costs[suite] = min(runs) // TICKS_A_PACKET
    return costs


def measure_codecs(engine):
    """{codec: ns a tick of a leg, packets of 20 ms both ways, coded alone}; before the tick runs."""
    return {name: _engine.RtpCodec(name).cost_ns(engine, 40) // TICKS_A_PACKET for name in _engine.CODECS}


class Lapsing:
    """A sum of what counts for some seconds each."""

    def __init__(self, seconds, clock):
        self._seconds, self._clock = seconds, clock
        self._held, self._sum = collections.deque(), 0

    def add(self, ns):
        self._held.append((self._clock() + self._seconds, ns))
        self._sum += ns

    def total(self):
        while self._held and self._held[0][0] <= self._clock():
            self._sum -= self._held.popleft()[1]
        return self._sum


class Admission:
    """costs: of measure(); load: function that tells (work of all threads, longest) in ns a tick, see stats.py;
    srtp: of measure_srtp(); clock: seconds; near: function that tells near_seconds of stats.py."""

    def __init__(self, costs, load, srtp=None, clock=time.monotonic, codecs=None, near=lambda: 0):
        self._near = near
        self.costs, self._load, self.srtp, self._clock, self.codecs = dict(costs), load, dict(srtp or {}), clock, dict(codecs or {})
        self.threads = 1                # of the tick; what they add is SHARED of one each, the rest of a tick is for one alone
        self.plain = dict(PLAIN_NS)
        self.realtime(True)
        self.percent = 100              # of the limit: less where the box is too hot
        self.refuses = True             # not in a bench whose world is slower than time
        self.reserved_ns = 0
        self.refused = 0
        self._lately, self._fresh_lately = Lapsing(LATELY_S, clock), Lapsing(LATELY_S, clock)       # what the measured load does not show yet
        self._fresh = Lapsing(FRESH_S, clock)

    def realtime(self, granted):
        """Whether the tick has its priority and its memory is locked: without, less is admitted."""
        self.limit_ns = round(TICK_NS * (SHARE if granted else SHARE_WITHOUT_REALTIME))

    def gathered(self, granted, ringed):
        """Whether the packets of a unit's legs come by one socket (steering.py), and from there by a ring (packet_rings.py): without, a leg costs more."""
        self.plain["rtp"] = PLAIN_NS["rtp"] + (0 if granted and ringed else READ_NS) + (0 if granted else ALONE_NS)

    def derate(self, percent):
        """How much of the machine new legs may use; those that are up stay."""
        self.percent = percent

    def gain(self):
        """What all threads of the tick do while one does 1."""
        return 1 + SHARED * (self.threads - 1)

    def cost(self, kind, enhance, suite=None, codec=None, hears=None):
        """ns a tick of a leg, digit detection in it.  kind: of its termination; enhance, hears: as in settings.py; suite: of its SRTP; codec: but G.711; "T38": a fax."""
        hears = hears or HEARS_NOTHING
        ns = self.plain[kind] + self.costs["dtmf"] + self.srtp.get(suite, 0) + (self.costs.get("t38", 0) if codec == "T38" else self.codecs.get(codec, 0) // SIDE_BY_SIDE.get(codec, 1))
        for name in ("echo", "noise", "level"):
            if enhance[name] not in (False, "off"):
                ns += self.costs["echo_128" if name == "echo" and enhance["long_tail"] else name]
        if enhance["vad"] or enhance["level"] != "off" or hears["answer"] is not None or hears["quiet_s"]:
            ns += self.costs["vad"]
        for name, cost in (("modem", "modem"), ("progress", "progress"), ("answer", "amd"), ("caller_id", "fsk")):
            if hears[name] not in (False, None):
                ns += self.costs[cost]
        return ns

    @staticmethod
    def pseudowire_cost(packet_ms):
        """ns a tick of a span in packets, whatever its timeslots carry: its packets are sent and taken all the time."""
        return PSEUDOWIRE_NS["tick"] + PSEUDOWIRE_NS["packet"] * (TICK_NS // 1_000_000) // packet_ms

    def fresh(self, enhance):
        """ns a tick that a canceller that has just been switched on costs more for a while; enhance: as in settings.py."""
        return self.costs.get(FRESH["echo_128" if enhance["long_tail"] else "echo"], 0) if enhance["echo"] else 0

    def reserve(self, old_ns, new_ns, what, emergency=False, fresh_ns=0):
        """Exchange what a leg costs.  emergency: of an emergency call; fresh_ns: what it costs more at first.  Raises LocalError with a reason where there is no room for more."""
        more = new_ns - old_ns
        if more > 0 and self.refuses:
            self._room_for(more + fresh_ns, what, emergency)
        self.reserved_ns += more
        self._lately.add(more)
        self._fresh_lately.add(fresh_ns)
        self._fresh.add(fresh_ns)

    def _room_for(self, more, what, emergency):
        limit, taken, dearer, longest = self._state()
        needs = round(more * dearer)
        if emergency and taken + needs <= EMERGENCY * TICK_NS * self.gain():
            return
        if taken + needs > limit:
            self._refuse(f"{what}: {taken // 1000} of {limit // 1000} us of a tick are in use and this needs {needs // 1000} more")
        if longest > HIGH * TICK_NS and taken > HIGH_FROM * limit:
            self._refuse(f"{what}: one tick in a hundred takes {longest / 1e6:.1f} of its {TICK_NS // 1_000_000} ms")
        if self._near() > NEAR and taken > HIGH_FROM * limit:
            self._refuse(f"{what}: in {self._near()} of the last {NEAR_SECONDS} seconds a tick took 80 % of its {TICK_NS // 1_000_000} ms")

    def _refuse(self, reason):
        self.refused += 1
        if self.percent < 100:
            refuse(f"{reason}; the box is too hot and takes {self.percent} % of its calls until it is cooler", CAUSE)
        refuse(f"{reason}; the machine would become late for the calls that are up", CAUSE)

    def _state(self):
        """(limit, what is taken of it, how much dearer legs are than their price, longest), ns a tick."""
        work, longest = self._load()
        limit = round(self.limit_ns * self.gain() * self.percent / 100)
        priced, lately = self.reserved_ns + self._fresh.total(), self._lately.total() + self._fresh_lately.total()
        shown = priced - lately
        dearer = min(DEARER_MOST, max(1.0, work / shown)) if shown > DEARER_FROM * limit else 1.0
        return limit, max(priced, work + max(0, round(lately * dearer))), dearer, longest

    def release(self, ns):
        """A leg is gone."""
        self.reserved_ns -= ns
        self._lately.add(-ns)

    def figures(self):
        """For the stats command; times in us a tick."""
        limit, taken, dearer, longest = self._state()
        return {"reserved_us": self.reserved_ns // 1000, "busy_us": self._load()[0] // 1000, "taken_us": taken // 1000,
                "longest_us": longest // 1000, "near_seconds": self._near(), "dearer": round(dearer, 3), "limit_us": limit // 1000, "percent": self.percent,
                "threads": self.threads, "refused": self.refused, "costs_ns": self.costs, "srtp_ns": self.srtp, "codecs_ns": self.codecs}
