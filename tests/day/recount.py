"""Counts a day anew from the raw journal: an independent script.  It knows the table `journal` and the definitions, and
nothing of the product's code.

    python -m tests.day.recount JOURNAL.sqlite      prints sums and broken rules as JSON

Definitions (statistics of call centres as the reports print them; times in ms, booked per quarter of an hour):
  queued, answered, abandoned, short_abandoned, overflowed, failed     one for each visit to a queue, at its entry or its end
  events                     visits whose first of answer, abandon (not short) and threshold T came, booked there
  events_answered/abandoned  those where answer/abandon was the first
  expected, expected_error/bias_ms     answered visits for which a wait was foretold at the entry; |waited - foretold|, waited - foretold
  handled, handle_ms         talk, hold and after-call work of a queue's call, booked when the after-call work ends
                             (who comes back because the agent's telephone failed makes no second visit and is handled once)
  talking, holding, wrap_up, available, on_break, busy     what an agent did, split where a quarter ends; ringing is available
  in_calls, in_answered, seized_ms     of a trunk group; held time split where a quarter ends

Rules: an offer goes to nobody who is not available and idle, nobody is in two conversations, and in a queue without skills
offers follow the order of arrival within a priority.
"""

import collections
import json
import sqlite3
import sys

QUARTER_MS = 900_000


class Recount:
    """sums: {part: {(name, start_s): Counter}}; broken: sentences."""

    def __init__(self, path):
        self.sums = {part: collections.defaultdict(collections.Counter) for part in ("queues", "agents", "trunk_groups")}
        self.broken = []
        self.foretold = []          # [(error of the switch's estimate, of the naive one)] in ms
        self.last_waits = collections.defaultdict(lambda: collections.deque(maxlen=10))     # the naive anchor: mean of the last ten answered
        self._database = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
        self.records, self.last_ms = self._database.execute("SELECT count(*), coalesce(max(ts_ms), 0) FROM journal").fetchone()
        self._queues(self._read("queue", "agent"))
        self._agents(self._read("agent", "leg", "call.held", "call.retrieved"))
        self._trunks(self._read("leg"))
        self._database.close()

    def _read(self, *kinds):
        """Rows in order, of kinds by their first word or whole."""
        wanted = [kind for kind, in self._database.execute("SELECT DISTINCT kind FROM journal")
                  if kind in kinds or kind.partition(".")[0] in kinds]
        for *row, data in self._database.execute(
                "SELECT ts_ms, kind, call, leg, agent, queue, data FROM journal WHERE kind IN (%s) ORDER BY seq"
                % ", ".join("?" * len(wanted)), wanted):
            yield *row, json.loads(data)

    def _book(self, part, name, at_ms, **amounts):
        self.sums[part][name, at_ms // QUARTER_MS * QUARTER_MS // 1000].update(amounts)

    def _spread(self, part, name, field, begin_ms, end_ms):
        """A time, split at quarters: overlap by overlap."""
        for quarter in range(begin_ms // QUARTER_MS, (end_ms - 1) // QUARTER_MS + 1):
            overlap = min(end_ms, (quarter + 1) * QUARTER_MS) - max(begin_ms, quarter * QUARTER_MS)
            if overlap > 0:
                self._book(part, name, quarter * QUARTER_MS, **{field: overlap})

    # -- queues --

    def _queues(self, rows):
        inside, back = {}, set()
        waiting = collections.defaultdict(dict)             # queue: {call: (-priority, order)} not yet offered anybody
        for ts_ms, kind, call, _, _, queue, data in rows:
            if kind == "queue.entered" and data.get("talked_ms") is not None:
                back.add((queue, call))
            elif kind == "queue.left" and (queue, call) in back:
                back.remove((queue, call))
            elif kind == "queue.entered":
                last = self.last_waits[queue]
                inside[queue, call] = (ts_ms, {**data, "naive_ms": sum(last) / len(last) if last else None})
                waiting[queue][call] = (-data["priority"], data["order"], bool(data["skills"]))
            elif kind == "queue.left":
                begun = inside.pop((queue, call), None)
                waiting[queue].pop(call, None)
                if begun is None:
                    self.broken.append("call %s left queue %s without having entered" % (call, queue))
                else:
                    self._visit(queue, *begun, ts_ms, data["reason"])
            elif kind == "agent.offered" and call in waiting.get(queue, ()):
                rank = waiting[queue].pop(call)
                before = [other for other, its in waiting[queue].items() if its[:2] < rank[:2] and not its[2]]
                if before and not rank[2]:
                    self.broken.append("at %d call %s of queue %s was offered before %s" % (ts_ms, call, queue, before[0]))
            elif kind == "agent.offer_ended" and (queue, call) in inside and data["outcome"] not in ("cancelled", "elsewhere"):
                begun = inside[queue, call][1]
                waiting[queue][call] = (-begun["priority"], begun["order"], bool(begun["skills"]))
        for (queue, _), (entered, data) in inside.items():
            self._book("queues", queue, entered, queued=1)
            if entered + data["service_level_ms"] < self.last_ms:
                self._book("queues", queue, entered + data["service_level_ms"], events=1)

    def _visit(self, queue, entered, data, left, reason):
        """One visit that is over."""
        wait, short = left - entered, reason == "abandoned" and left - entered < data["short_abandon_ms"]
        self._book("queues", queue, entered, queued=1)
        field = "short_abandoned" if short else reason if reason in ("answered", "abandoned") else "overflowed" if reason == "overflow" else "failed"
        self._book("queues", queue, left, **{field: 1})
        if reason == "answered":
            self._book("queues", queue, left, answer_wait_ms=wait)
            if data.get("expected_ms") is not None:
                error = wait - data["expected_ms"]
                self._book("queues", queue, left, expected=1, expected_error_ms=abs(error), expected_bias_ms=error)
                self.foretold.append((abs(error), abs(wait - data["naive_ms"]) if data["naive_ms"] is not None else None))
            self.last_waits[queue].append(wait)
        threshold = data["service_level_ms"]
        if wait > threshold:
            self._book("queues", queue, entered + threshold, events=1)
        elif reason == "answered" or reason == "abandoned" and not short:
            self._book("queues", queue, left, events=1, **{"events_" + reason: 1})

    # -- agents --

    def _agents(self, rows):
        agents = collections.defaultdict(lambda: {"status": "logged_out", "doing": None, "since": None, "queue": None, "pieces": [],
                                                  "handled_ms": 0, "ringing": set()})
        for ts_ms, kind, call, leg, name, queue, data in rows:
            if name is None or kind.startswith("queue.") or kind in ("leg.created", "leg.answered", "leg.released", "leg.alerting", "leg.releasing"):
                continue
            agent = agents[name]
            if kind == "agent.status":
                self._turns(name, agent, ts_ms, status=data["status"])
            elif kind == "agent.offered":
                if agent["status"] != "available" or agent["doing"] or agent["ringing"]:
                    self.broken.append("at %d agent %s was offered call %s while %s" % (
                        ts_ms, name, call, agent["doing"] or ("ringing" if agent["ringing"] else agent["status"])))
                agent["ringing"].add(call)
                self._book("agents", name, ts_ms, offered=1)
            elif kind == "agent.offer_ended":
                agent["ringing"].discard(call)
                if data["outcome"] in ("no_answer", "rejected", "failed"):
                    self._book("agents", name, ts_ms, missed=1)
            elif kind == "agent.connected":
                if agent["doing"]:
                    self.broken.append("at %d agent %s got call %s while %s" % (ts_ms, name, call, agent["doing"]))
                agent["ringing"].discard(call)
                self._turns(name, agent, ts_ms, doing="talking")
                agent["queue"], agent["handled_ms"], agent["again"] = queue, 0, bool(data.get("again"))
                self._book("agents", name, ts_ms, connected=1)
            elif kind in ("call.held", "leg.held", "call.retrieved", "leg.retrieved") and agent["doing"] in ("talking", "holding"):
                self._turns(name, agent, ts_ms, doing="holding" if kind.endswith("held") else "talking")
            elif kind == "agent.busy":
                self._turns(name, agent, ts_ms, doing="busy" if data["state"] == "talking" else agent["doing"])
            elif kind == "agent.wrap_up":
                self._turns(name, agent, ts_ms, doing="wrap_up")
            elif kind == "agent.idle":
                self._turns(name, agent, ts_ms, doing=None)
                if agent["queue"] is not None:
                    self._book("agents", name, ts_ms, handled=1, handle_ms=agent["handled_ms"])
                    self._book("queues", agent["queue"], ts_ms, handled=0 if agent["again"] else 1, handle_ms=agent["handled_ms"])
                    agent["queue"] = None
        for name, agent in agents.items():
            self._turns(name, agent, self.last_ms)

    def _turns(self, name, agent, ts_ms, **changes):
        """The agent does something else from now on."""
        mode = agent["doing"] or {"available": "available", "on_break": "on_break"}.get(agent["status"])
        if mode is not None and agent["since"] is not None:
            self._spread("agents", name, mode + "_ms", agent["since"], ts_ms)
            if mode in ("talking", "holding", "wrap_up"):
                agent["handled_ms"] += ts_ms - agent["since"]
        agent["since"] = ts_ms
        agent.update(changes)

    # -- trunks --

    def _trunks(self, rows):
        held = {}
        for ts_ms, kind, _, leg, _, _, data in rows:
            if kind in ("leg.offered", "leg.created") and data.get("span") is not None:
                way = "in_calls" if kind == "leg.offered" else "out_attempts"
                held[leg] = (data["trunk_group"], ts_ms, way)
                self._book("trunk_groups", data["trunk_group"], ts_ms, **{way: 1})
            elif kind == "leg.answered" and leg in held:
                self._book("trunk_groups", held[leg][0], ts_ms, **{held[leg][2].partition("_")[0] + "_answered": 1})
            elif kind == "leg.released" and leg in held:
                group, since, _ = held.pop(leg)
                self._spread("trunk_groups", group, "seized_ms", since, ts_ms)
        for group, since, _ in held.values():
            self._spread("trunk_groups", group, "seized_ms", since, self.last_ms)

    def foretelling(self):
        """Mean errors in ms of the wait that was foretold: {"callers", "switch", "naive"} over those for whom both could say something."""
        both = [pair for pair in self.foretold if pair[1] is not None]
        return {"callers": len(both), "switch": sum(ours for ours, _ in both) / max(1, len(both)),
                "naive": sum(naive for _, naive in both) / max(1, len(both))}

    def total(self, part):
        """Sums of all names and the whole time."""
        total = collections.Counter()
        for counts in self.sums[part].values():
            total.update(counts)
        return dict(total)


def derived(part, counts, way, length_ms):
    """The ratios of a report's row, by their definitions."""
    def over(a, b):
        return a / b if b else None
    n = collections.Counter(counts)
    if part == "queues":
        within, left, all_events = n["events_answered"], n["events_abandoned"], n["events"]
        level = {"ignore": (within, all_events - left), "negative": (within, all_events), "positive": (within + left, all_events)}[way]
        return {"service_level": over(*level), "abandon_rate": over(n["abandoned"], n["queued"]),
                "average_speed_of_answer_ms": over(n["answer_wait_ms"], n["answered"]),
                "average_handle_time_ms": over(n["handle_ms"], n["handled"]),
                "expected_wait_error_ms": over(n["expected_error_ms"], n["expected"]),
                "expected_wait_bias_ms": over(n["expected_bias_ms"], n["expected"])}
    if part == "agents":
        handle = n["talking_ms"] + n["holding_ms"] + n["wrap_up_ms"]
        return {"occupancy": over(handle, handle + n["available_ms"]), "average_handle_time_ms": over(n["handle_ms"], n["handled"]),
                "logged_in_ms": handle + n["available_ms"] + n["busy_ms"] + n["on_break_ms"]}
    return {"erlang": n["seized_ms"] / length_ms}


if __name__ == "__main__":
    made = Recount(sys.argv[1])
    print(json.dumps({"records": made.records, "broken": made.broken, **{part: made.total(part) for part in made.sums}}, indent=1))
