"""How long the ACD takes to decide: 1,000 agents, 200 queues, 40 calls a second, through the real core.

    python -m tests.control.acd_bench [strategy ...]

Simulated time, real decisions: callers come as a Poisson stream of 40 a second from a fixed seed; each of 200 queues has
50 members (so an agent serves ten), one in ten has all 1,000; talk times are drawn so that 93 % of the agents are busy, and
a storm of 10 s with twice the calls makes queues.  What is measured is the processor's time of the one event that gave a
call to an agent (Switchboard.handle: decision, records, folds of state and figures, actions), and of all events together.
The disk and the protocols are not in it: `journal.events_per_second` and the load rigs have those.
"""

import heapq
import random
import sys
import time

from firmware.control.switchboard import Switchboard

AGENTS, QUEUES, RATE, SECONDS = 1000, 200, 40, 60
TALK_S, WRAP_S = 20, 3
LARGE = 10                      # one queue in so many has all agents
SHOWN = ("longest_idle", "least_occupied", "weighted_share", "most_skilled")


class Ids:
    """Ids that never repeat."""

    def __init__(self):
        self.last = 0

    def next(self, prefix):
        self.last += 1
        return "%s%d" % (prefix, self.last)


def config(strategy):
    """The house."""
    queues = [{"name": "q%d" % n, "strategy": strategy, "announce_position_s": 0, "skills": {"s": 1 + n % 3}} for n in range(QUEUES)]
    agents = []
    for n in range(AGENTS):
        own = [m for m in range(QUEUES) if m % LARGE == 0 or (n + m * 7) % 20 == 0]
        agents.append({"name": "a%d" % n, "line": "a%d" % n, "wrap_up_s": WRAP_S, "initial_status": "available", "skills": {"s": 3 + n % 7},
                       "queues": [{"queue": "q%d" % m, "level": 1 + n % 2, "weight": 1 + n % 9} for m in own]})
    return {"site": {"timezone": "UTC", "languages": ["en"]}, "queues": queues, "agents": agents, "lines": [{"name": "a%d" % n} for n in range(AGENTS)],
            "trunk_groups": [{"name": "t"}], "numbers": [{"number": "9%03d" % n, "application": "queue", "target": "q%d" % n} for n in range(QUEUES)],
            "recording": {"enabled": False}}


class World:
    """Far ends: they hang up, answer, and confirm at once."""

    def __init__(self, strategy, seed=1):
        self.random = random.Random(seed)
        self.now = 1753920000000
        self.sb = Switchboard(config(strategy), Ids())
        self.sb.resume({"terminations": [], "bridges": [], "signals": [], "recordings": []}, {}, self.now)
        self.assigned, self.spent, self.events, self.calls = [], 0.0, 0, 0
        self.what_comes = []
        for n in range(AGENTS):
            self.do({"kind": "line.registered", "line": "a%d" % n})
        self.assigned.clear()
        self.spent, self.events = 0.0, 0

    def at(self, after_ms, event):
        self.events += 1
        heapq.heappush(self.what_comes, (self.now + after_ms, self.events, event))

    def do(self, event):
        events = [event]
        while events:
            event = events.pop(0)
            began = time.thread_time()
            if event is None:
                self.sb.expire(self.now)
            else:
                self.sb.handle(event, self.now)
            took = time.thread_time() - began
            self.spent += took
            records, actions = self.sb.take()
            if any(record["kind"] == "agent.offered" for record in records):
                self.assigned.append(took)
            for action in actions:
                if action["do"] == "leg.create":
                    self.at(self.random.randint(500, 3000), {"kind": "leg.answered", "leg": action["leg"]})
                elif action["do"] == "leg.release":
                    events.append({"kind": "leg.released", "leg": action["leg"], "cause": 16, "by": "near"})
                elif action["do"] == "media.bridge" and action["legs"]:
                    self.at(int(self.random.expovariate(1 / TALK_S) * 1000) + 1, {"kind": "leg.released", "leg": action["legs"][0], "cause": 16, "by": "far"})

    def run(self, seconds=SECONDS):
        """Let time pass."""
        end, count, next_ms = self.now + seconds * 1000, 0, self.now
        while True:
            due = [at for at in (self.what_comes[0][0] if self.what_comes else None, self.sb.deadline_ms(), next_ms) if at is not None]
            self.now = max(self.now, min(due))
            if self.now >= end:
                return self
            if next_ms <= self.now:
                count += 1
                self.calls += 1
                storm = 20 <= (self.now - end) / 1000 + seconds < 30
                next_ms = self.now + max(1, int(self.random.expovariate(RATE * (2 if storm else 1)) * 1000))
                self.do({"kind": "leg.offered", "leg": "p%d" % count, "tech": "pri", "trunk_group": "t", "span": 1 + count % 64, "timeslot": 1,
                         "caller": "1%07d" % self.random.randint(0, 9999999), "called": "9%03d" % self.random.randint(0, QUEUES - 1),
                         "called_complete": True})
            elif self.what_comes and self.what_comes[0][0] <= self.now:
                self.do(heapq.heappop(self.what_comes)[2])
            else:
                self.do(None)


def measure(strategy, seconds=SECONDS):
    """(p50, p99, longest) ms of an assignment, calls a second that one core decides, assignments."""
    world = World(strategy).run(seconds)
    times = sorted(world.assigned)
    return ([1000 * times[int(len(times) * share)] for share in (0.5, 0.99)] + [1000 * times[-1]], world.calls / world.spent, len(times))


def results():
    """For `make bench`: the slowest of the strategies counts."""
    worst, slowest = 0.0, None
    for strategy in SHOWN:
        (_, p99, _), rate, _ = measure(strategy)
        worst, slowest = max(worst, p99), rate if slowest is None else min(slowest, rate)
    return [{"name": "acd.assign_p99_ms", "value": worst, "unit": "ms", "reference": "issue 7: 1,000 agents, 200 queues, 40 calls/s", "reference_value": 5.0,
             "ratio": 5.0 / worst},
            {"name": "acd.calls_per_second", "value": slowest, "unit": "calls/s", "reference": "issue 7: whole calls a core decides", "reference_value": 40.0,
             "ratio": slowest / 40.0}]


if __name__ == "__main__":
    for name in sys.argv[1:] or SHOWN:
        (p50, p99, longest), rate, count = measure(name)
        print("%-18s assign p50 %.2f p99 %.2f longest %.2f ms (%d), %.0f calls/s of one core" % (name, p50, p99, longest, count, rate))
