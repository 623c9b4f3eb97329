"""How many legs this machine can serve: measured at start, reserved against, refused beyond.

A tick that takes longer than 10 ms harms everybody who talks, and since its thread
goes before all others it would keep the commands from coming through, too.  So each
leg reserves the time that it will cost a tick, and the sum stays below SHARE of it.

    costs   ns a tick and channel of each function, the least of several runs of the
            kernels on loud noise (the canceller learning, which is the dear case) at
            start; what a timeslot and an RTP stream cost without any is measured by
            `make bench` (PLAIN_NS), not here
    busy    what the tick has really taken in the last five seconds (the median of their
            means, so no second that the host spoilt refuses anybody); it counts where
            it is more than what is reserved

A canceller, noise reduction and speech detection work on groups of neighbouring slots;
the slots of a leg are chosen so that groups fill up, and a part of one is not reserved.
"""

import time

import numpy

from dsp import amd, dtmf, echo, fsk, level, modem, noise, progress, vad
from firmware.media import _engine
from firmware.media.checks import refuse
from firmware.media.settings import HEARS_NOTHING

TICK_NS = 10_000_000
SHARE = 0.7                     # of a tick; the rest is for disturbances and for the other threads
SHARE_WITHOUT_REALTIME = 0.4
SHARED = 0.8                    # estimated, not measured: what a second thread of the tick adds
PLAIN_NS = {"timeslot": 500, "rtp": 4000}       # measured: 2.1 GHz Xeon, packets of 20 ms both ways, recorded
CHANNELS, RUNS = 64, 12
TICKS_A_PACKET = 2
CAUSE = 47                      # Q.850: resource unavailable, unspecified


def measure():
    """{"echo": ns a tick and channel, "noise", "level", "vad", "dtmf", "modem", "amd", "progress", "fsk"}; takes some 30 ms."""
    rng = numpy.random.default_rng(1)
    states = {"echo": echo.new_state(CHANNELS), "noise": noise.new_state(CHANNELS), "level": level.new_state(CHANNELS),
              "vad": vad.new_state(CHANNELS), "dtmf": dtmf.new_state(CHANNELS), "modem": modem.new_state(CHANNELS), "amd": amd.new_state(CHANNELS),
              "progress": progress.new_state(CHANNELS), "fsk": fsk.new_rx_state(CHANNELS)}
    tones, _ = progress.compile_plan({"any": {"frequencies_hz": [450]}})
    frequencies = fsk.table("v23")
    for slot in range(CHANNELS):
        amd.start(states["amd"], slot)
    speech = numpy.full(CHANNELS, vad.SPEECH, numpy.uint8)
    slots = numpy.arange(CHANNELS, dtype=numpy.int32)
    least = {name: TICK_NS for name in states}
    for _ in range(RUNS):
        far = rng.integers(-4000, 4000, (CHANNELS, 80)).astype(numpy.int16)
        near = (far // 4 + rng.integers(-100, 100, far.shape)).astype(numpy.int16)
        for name, work in (("echo", lambda: echo.cancel(states["echo"], slots, far, near)),
                           ("noise", lambda: noise.reduce(states["noise"], far, slots)),
                           ("vad", lambda: vad.detect(states["vad"], far, speech, slots)),
                           ("level", lambda: level.control(states["level"], far, speech, slots)),
                           ("modem", lambda: modem.detect(states["modem"], far, slots)),
                           ("amd", lambda: amd.detect(states["amd"], far, speech, slots)),
                           ("progress", lambda: progress.detect(tones, states["progress"], far, slots)),
                           ("fsk", lambda: fsk.detect(frequencies, states["fsk"], far, slots)),
                           ("dtmf", lambda: dtmf.detect(states["dtmf"], far, slots))):
            began = time.thread_time_ns()
            work()
            least[name] = min(least[name], (time.thread_time_ns() - began) // CHANNELS)
    return least


def measure_srtp():
    """{suite: ns a tick of a leg, packets of 20 ms both ways}; takes some 10 ms."""
    costs = {}
    for suite, octets in _engine.SRTP_KEY_OCTETS.items():
        pair = [_engine.SRTPSession(suite, bytes(octets), ssrc) for ssrc in (1, None)]
        costs[suite] = pair[0].cost_ns(pair[1], 200) // TICKS_A_PACKET
    return costs


class Admission:
    """costs: of measure(); busy_ns: function that tells what the tick takes now; srtp: of measure_srtp()."""

    def __init__(self, costs, busy_ns, srtp=None):
        self.costs, self._busy_ns, self.srtp = dict(costs), busy_ns, dict(srtp or {})
        self.threads = 1                # of the tick; what they add is SHARED of one each, the rest of a tick is for one alone
        self.realtime(True)
        self.reserved_ns = 0
        self.refused = 0

    def realtime(self, granted):
        """Whether the tick has its priority and its memory is locked: without, less is admitted."""
        self.limit_ns = round(TICK_NS * (SHARE if granted else SHARE_WITHOUT_REALTIME))

    def gain(self):
        """What all threads of the tick do while one does 1."""
        return 1 + SHARED * (self.threads - 1)

    def cost(self, kind, enhance, suite=None, hears=None):
        """ns a tick of a leg, digit detection in it.  kind: of its termination; enhance, hears: as in settings.py; suite: of its SRTP."""
        hears = hears or HEARS_NOTHING
        ns = PLAIN_NS[kind] + self.costs["dtmf"] + self.srtp.get(suite, 0)
        for name in ("echo", "noise", "level"):
            if enhance[name] not in (False, "off"):
                ns += self.costs[name]
        if enhance["vad"] or enhance["level"] != "off" or hears["answer"] is not None:
            ns += self.costs["vad"]
        for name, cost in (("modem", "modem"), ("progress", "progress"), ("answer", "amd"), ("caller_id", "fsk")):
            if hears[name] not in (False, None):
                ns += self.costs[cost]
        return ns

    def reserve(self, old_ns, new_ns, what):
        """Exchange what a leg costs.  Raises LocalError with a reason where there is no room for more."""
        more = new_ns - old_ns
        limit = round(self.limit_ns * self.gain())
        taken = max(self.reserved_ns, round(self._busy_ns() * self.gain()))
        if more > 0 and taken + more > limit:
            self.refused += 1
            refuse(f"{what}: {taken // 1000} of {limit // 1000} us of a tick are in use and this needs {more // 1000} "
                   "more; the machine would become late for the calls that are up", CAUSE)
        self.reserved_ns += more

    def release(self, ns):
        """A leg is gone."""
        self.reserved_ns -= ns

    def figures(self):
        """For the stats command; times in us a tick."""
        return {"reserved_us": self.reserved_ns // 1000, "busy_us": self._busy_ns() // 1000, "limit_us": round(self.limit_ns * self.gain()) // 1000,
                "threads": self.threads, "refused": self.refused, "costs_ns": self.costs, "srtp_ns": self.srtp}
