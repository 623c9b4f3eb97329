"""How the queues of the configuration would fare with given calls and agents: a simulation, for what Erlang's formulas know nothing of.

    python -m firmware.control.staffing_simulation < question > answer

question: {"queues": [{"name", "rate" (a second), "handle_s", "patience_s"?, "within_s", "config": the queue's settings}],
           "agents": [{"queues": {queue: level}, "skills": {}}], "length_s", "runs", "absent" (share), "seed"}
answer:   {"queues": [{"queue", "calls", "service_level", "speed_of_answer_s", "abandons", "overflowed", "unanswered", "waits"}], "occupancy", "runs"}

The rules are the ACD's own parts (acd/skills.py, acd/overflow.py, acd/strategy.py): order by priority and waiting time over all queues of an agent, skills that
relax, levels that open, overflow by the wait to other queues, the longest wait.  Calls are Poisson streams, handle time and patience exponential, as Erlang's
model has them, so that one queue with equal agents must agree with acd/staffing.py (a test holds that).  Each run begins empty; what begins in its first part
(WARM) counts for nothing.  A run goes on after its stretch until all are served, but not for ever: who still waits LEFT lengths later, as two queues that give
on to each other keep a caller whom nobody may take, stays without answer ("unanswered").  A process of its own at the lowest priority.
"""

import bisect
import heapq
import json
import os
import random
import sys

from firmware.acd import overflow, skills, strategy

WARM = 0.25             # share of the length that comes before; invented
LEFT = 3                # lengths of a stretch in which those who came in it may still be served; invented
COUNTS = ("calls", "answered", "in_time", "abandoned", "overflowed", "unanswered", "waited", "wait_s")


class Caller:
    """One visit.  times in seconds."""

    def __init__(self, number, queue, now, counted):
        self.number, self.queue, self.since, self.entered, self.counted = number, queue, now, now, counted
        self.over = False


class Run:
    """One stretch of time.  question: see above; rng: random.Random."""

    def __init__(self, question, rng):
        self.rng, self.now, self.order = rng, 0.0, 0
        self.rows = {row["name"]: row for row in question["queues"]}
        self.waiting = {name: [] for name in self.rows}
        self.counts = {name: dict.fromkeys(COUNTS, 0) for name in self.rows}
        self.agents = [row for row in question["agents"] if rng.random() >= question.get("absent", 0.0)]
        self.ready = {number: (0.0, number) for number in range(len(self.agents))}
        self.begins, self.ends = question["length_s"] * WARM, question["length_s"] * (1 + WARM)
        self.busy_s, self.events = 0.0, []
        for name, row in self.rows.items():
            if row["rate"] > 0:
                self._after(rng.expovariate(row["rate"]), self._arrives, name)

    def _after(self, seconds, function, *arguments):
        self.order += 1
        heapq.heappush(self.events, (self.now + seconds, self.order, function, arguments))

    def run(self):
        """To the end of the stretch, and until who came in it has been served or LEFT lengths have passed."""
        until = self.ends + LEFT * (self.ends - self.begins)
        while self.events and self.events[0][0] <= until:
            self.now, _, function, arguments = heapq.heappop(self.events)
            function(*arguments)
        for name, callers in self.waiting.items():
            self.counts[name]["unanswered"] += sum(caller.counted for caller in callers)
        return self

    def _arrives(self, name):
        if self.now >= self.ends:
            return
        self._after(self.rng.expovariate(self.rows[name]["rate"]), self._arrives, name)
        self.order += 1
        caller = Caller(self.order, name, self.now, self.now >= self.begins)
        self.counts[name]["calls"] += caller.counted
        patience_s = self.rows[name].get("patience_s")
        if patience_s:
            self._after(self.rng.expovariate(1 / patience_s), self._gives_up, caller)
        self._enters(caller)

    def _enters(self, caller):
        caller.entered = self.now
        config = self.rows[caller.queue]["config"]
        caller.priority, caller.needs = config.get("priority") or 0, dict(config.get("skills") or {})
        caller.relax = skills.schedule(config.get("relax") or [], int(caller.since * 1000))
        caller.tiers = sorted([[int((self.now + row["after_s"]) * 1000), row["level"]] for row in config.get("tiers") or []])
        moments = {at for at, _ in caller.relax} | {at for at, _ in caller.tiers}
        moments |= {int((self.now + rule["limit"]) * 1000) for rule in config.get("overflow") or () if rule["when"] == overflow.WAIT}
        if config.get("max_wait_s"):
            moments.add(int((self.now + config["max_wait_s"]) * 1000))
        for at_ms in moments:
            self._after(max(0.0, at_ms / 1000 - self.now), self._looks, caller, caller.queue)
        bisect.insort(self.waiting[caller.queue], caller, key=self._rank)
        self._dispatch([caller.queue])

    @staticmethod
    def _rank(caller):
        return (-caller.priority, caller.since, caller.number)

    def _leaves(self, caller, how):
        self.waiting[caller.queue].remove(caller)
        if how in COUNTS:
            self.counts[caller.queue][how] += caller.counted

    def _gives_up(self, caller):
        if not caller.over:
            caller.over = True
            self._leaves(caller, "abandoned")

    def _looks(self, caller, queue):
        """A moment of which something may depend: needs relax, levels open, rules give on."""
        if caller.over or caller.queue != queue:
            return
        now_ms, config = int(round(self.now * 1000)), self.rows[queue]["config"]
        caller.needs, caller.relax = skills.step_on(caller.needs, caller.relax, now_ms)
        caller.tiers = [row for row in caller.tiers if row[0] > now_ms]
        waited_ms = now_ms - int(caller.entered * 1000)
        for rule in overflow.rules_waited(config.get("overflow") or [], waited_ms):
            if rule["to"] == "queue" and rule["target"] in self.rows and rule["target"] != queue:
                self._leaves(caller, "overflowed")
                caller.queue = rule["target"]
                self._enters(caller)
                return
        if config.get("max_wait_s") and waited_ms >= config["max_wait_s"] * 1000:
            caller.over = True
            self._leaves(caller, "overflowed")
            return
        self._dispatch([queue])

    def _able(self, caller):
        level = strategy.open_level(caller.tiers)
        found = []
        for number in self.ready:
            agent = self.agents[number]
            known = agent["queues"].get(caller.queue)
            if known is not None and (level is None or known <= level) and skills.fits(agent["skills"], caller.needs):
                found.append((known, self.ready[number], number))
        return min(found)[2] if found else None

    def _dispatch(self, queues):
        """As core_dispatch.py: the first over all these queues for whom somebody is ready; of the agents the lowest level, then the longest idle."""
        while self.ready:
            best = None
            for queue in queues:
                for caller in self.waiting[queue]:
                    if best is not None and self._rank(caller) > self._rank(best[0]):
                        break
                    number = self._able(caller)
                    if number is not None:
                        best = (caller, number)
                        break
            if best is None:
                return
            caller, number = best
            caller.over = True
            self._leaves(caller, "answered")
            counts, wait_s = self.counts[caller.queue], self.now - caller.since
            counts["wait_s"] += wait_s if caller.counted else 0
            counts["waited"] += caller.counted and wait_s > 0
            counts["in_time"] += caller.counted and wait_s <= self.rows[caller.queue]["within_s"]
            del self.ready[number]
            handle_s = self.rng.expovariate(1 / self.rows[caller.queue]["handle_s"])
            self.busy_s += max(0.0, min(self.now + handle_s, self.ends) - max(self.now, self.begins))
            self._after(handle_s, self._frees, number)

    def _frees(self, number):
        self.order += 1
        self.ready[number] = (self.now, self.order)
        self._dispatch([queue for queue in self.agents[number]["queues"] if queue in self.rows])


def summary(sums, runs):
    """The answer's rows of the counts of all runs: {queue: {of COUNTS}}."""
    def over(a, b):
        return a / b if b else None
    return [{"queue": name, "calls": n["calls"] / runs, "service_level": over(n["in_time"], n["calls"]), "speed_of_answer_s": over(n["wait_s"], n["answered"]),
             "abandons": over(n["abandoned"], n["calls"]), "overflowed": n["overflowed"] / runs, "unanswered": n["unanswered"] / runs,
             "waits": over(n["waited"] + n["abandoned"] + n["overflowed"] + n["unanswered"], n["calls"])} for name, n in sums.items()]


def simulate(question):
    """See the module's docstring."""
    sums = {row["name"]: dict.fromkeys(COUNTS, 0) for row in question["queues"]}
    busy_s = there_s = 0.0
    for number in range(question["runs"]):
        run = Run(question, random.Random("%s %d" % (question.get("seed", 1), number))).run()
        for name, counts in run.counts.items():
            for what in COUNTS:
                sums[name][what] += counts[what]
        busy_s += run.busy_s
        there_s += len(run.agents) * question["length_s"]

    return {"queues": summary(sums, question["runs"]), "occupancy": busy_s / there_s if there_s else None, "runs": question["runs"]}


def main():
    os.nice(19)
    json.dump(simulate(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
