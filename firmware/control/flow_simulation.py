"""How given calls and agents would fare through the flows of the configuration: the real switchboard in simulated time, with a world of callers around it.

    python -m firmware.control.flow_simulation < question > answer

question: {"config": the configuration, "begin_ms", "calls": {number of ours: calls in length_s}, "agents": names, "length_s", "runs", "seed", "absent" (share),
           "handle_s": {queue: s} ("" for any other conversation), "patience_s": s or None, "within_s", "pick_up_s", "prompt_s": {"name language": s},
           "shares": {flow: {node: {key: weight}}} (key "": none is pressed; "hang up"), "answers": {flow: {node: {"ok": share, "result"}}},
           "entered": {flow: {node: digits}}}
answer:   {"queues": [as staffing_simulation.py], "occupancy", "runs", "flows": [{"flow", "version", "calls", "seconds": mean time in flows}],
           "ways": [{"flow", "node", "outcome", "calls"}] out of the flows, "assumed": [{"flow", "node", "what"}] for want of a share or an answer}

Routing, flows (ivr/interpreter.py), queues, skills, overflow, strategies, announcements and opening hours are the switchboard's own code; what is modelled is what
people do: calls are Poisson streams, handle time and patience exponential as in Erlang's model, so a number that leads to a plain queue must agree with
acd/staffing.py (a test holds that).  A key is pressed towards the end of the prompts, digits are typed at KEY_S each; agents pick up after pick_up_s and have no
after-call work beyond the handle time.  Recording, the desk and callbacks on a key are left out.  Each run begins empty; what begins in its first part (WARM) counts
for nothing.  A process of its own at the lowest priority.
"""

import copy
import heapq
import json
import os
import random
import sys

from firmware.call import call as calls
from firmware.control.staffing_simulation import COUNTS, LEFT, WARM, summary
from firmware.control.switchboard import Switchboard
from firmware.control.zone import offset_of
from firmware.ivr.nodes import KEYED, option

PROMPT_S, SPOKEN_S = 4.0, 2.0       # of what has no length known, and of a spoken value; invented
KEY_S, THINK_S, ANSWER_S = 0.4, 1.0, 0.5        # between two keys, before the first, of a service; invented
MESSAGE_S, FAR_S = 20.0, 6.0        # a recorded message; until a number outside answers; invented
LONGEST_S = 7200.0                  # of a call; invented
HANG_UP = "hang up"
HOW = {"answered": "answered", "abandoned": "abandoned", "overflow": "overflowed"}      # reasons of queue.left


class Ids:
    """Ids that nobody else has."""

    def __init__(self):
        self._last = {}

    def next(self, prefix):
        """The next id."""
        self._last[prefix] = self._last.get(prefix, 0) + 1
        return "%s%d" % (prefix, self._last[prefix])


def prepared(question, there):
    """The configuration of the simulated house: agents that are there at lines of their own, nothing that leaves it."""
    config = copy.deepcopy(question["config"])
    named, lines = [row for row in config["agents"] if row["name"] in there], {}
    for number, row in enumerate(config["agents"]):
        row.update(line="sim-%d" % number, wrap_up_s=0, initial_status="available" if row["name"] in there else "logged_out")
        lines[row["name"]] = row["line"]
    kept = [dict(row, home={}) for row in config["lines"]]
    config["lines"] = kept + [{"name": lines[row["name"]], "password": "-"} for row in named]
    for row in config["queues"]:
        row.update(wrap_up_s=0, disposition_required=False, callback={})
    config.update(recording={"enabled": False}, thresholds=[])
    config["fax"] = dict(config.get("fax") or {}, at_once=0, expires_s=1)       # asked for as in the house, sent by nobody
    config["desk"] = dict(config.get("desk") or {}, screen_pop=False)
    return config, [lines[row["name"]] for row in named]


class Stretch:
    """One stretch of time.  question: see above; rng: random.Random."""

    def __init__(self, question, rng):
        self.question, self.rng, self.order, self.heap = question, rng, 0, []
        self.there = [name for name in question["agents"] if rng.random() >= question.get("absent", 0.0)]
        config, lines = prepared(question, set(self.there))
        self.now = self.zero = question["begin_ms"]
        offset = offset_of((config.get("site") or {}).get("timezone"))
        self.board = Switchboard(config, Ids(), offset)
        self.state = self.board.core.state
        length_ms = question["length_s"] * 1000
        self.begins, self.ends = self.now + int(length_ms * WARM), self.now + int(length_ms * (1 + WARM))
        self.counts = {row["name"]: dict.fromkeys(COUNTS, 0) for row in config["queues"]}
        self.callers, self.phones, self.signals, self.decided = {}, {}, {}, {}      # caller's leg -> call; leg -> its call; leg -> [token, ends]; leg -> round
        self.entered, self.talks, self.busy_ms = {}, {}, 0
        self.flows, self.ways, self.assumed, self.in_flow = {}, {}, {}, {}
        self.due, self.numbers = [], 0
        self.board.resume({"terminations": [], "bridges": [], "signals": [], "recordings": [], "links": []}, {}, self.now)
        for row in config.get("spans") or []:
            self._say({"kind": "span.state", "span": row["span"], "state": "up", "alarms": []})
        for row in config.get("sip_trunks") or []:
            self._say({"kind": "span.state", "span": row["name"], "state": "up", "alarms": []})
        for line in lines:
            self._say({"kind": "line.registered", "line": line})
        self._take()
        self.group = (config.get("trunk_groups") or [{"name": "outside"}])[0]["name"]
        for number, count in question["calls"].items():
            if count > 0:
                self._after(rng.expovariate(count / question["length_s"]), self._arrives, number, count / question["length_s"])

    def _after(self, seconds, function, *arguments):
        self.order += 1
        heapq.heappush(self.heap, (self.now + max(1, round(seconds * 1000)), self.order, function, arguments))

    def run(self):
        """To the end of the stretch, and until who came in it has gone or LEFT lengths have passed."""
        until = self.ends + LEFT * (self.ends - self.begins)
        while True:
            deadline = self.board.deadline_ms()
            moments = ([self.heap[0][0]] if self.heap else []) + ([deadline] if deadline is not None and self.callers else [])
            if not moments or min(moments) > until:
                break
            self.now = max(self.now, min(moments))
            while self.heap and self.heap[0][0] <= self.now:
                _, _, function, arguments = heapq.heappop(self.heap)
                function(*arguments)
            if self.board.deadline_ms() is not None and self.board.deadline_ms() <= self.now:
                self.board.expire(self.now)
                self._take()
        for call, (queue, since_ms) in self.entered.items():
            self.counts[queue]["unanswered"] += self._counts(since_ms)
        return self

    def _counts(self, at_ms):
        return 1 if self.begins <= at_ms < self.ends else 0

    # The switchboard.

    def _say(self, event):
        self.board.handle(event, self.now)
        self._take()

    def _take(self):
        """What the switchboard has decided, and what follows from it."""
        records, actions = self.board.take()
        for record in records:
            note = getattr(self, "_at_" + record["kind"].replace(".", "_"), None)
            if note is not None:
                note(record, record["data"])
        for action in actions:
            obey = getattr(self, "_do_" + action["do"].replace(".", "_"), None)
            if obey is not None:
                obey(action)
        due, self.due = self.due, []
        for function, arguments in due:
            function(*arguments)

    def _later(self, function, *arguments):
        """At this moment, when what is being carried out is done."""
        self.due.append((function, arguments))

    # Callers.

    def _arrives(self, number, rate):
        if self.now >= self.ends:
            return
        self._after(self.rng.expovariate(rate), self._arrives, number, rate)
        self.numbers += 1
        leg = "p%d" % self.numbers
        self.callers[leg] = None
        self._after(LONGEST_S, self._hangs_up, leg)
        self._say({"kind": "leg.offered", "leg": leg, "tech": "pri", "trunk_group": self.group, "span": 1000 + self.numbers, "timeslot": 1, "caller": "199%08d" % self.numbers,
                   "caller_presentation": "allowed", "called": number, "called_complete": True, "bearer": "speech"})

    def _hangs_up(self, leg, only=None):
        """only: a state in which the caller does."""
        call = self.state.calls.get(self.callers.get(leg))
        if leg in self.callers and (only is None or call is not None and call.state in only):
            self._gone(leg)
            self._say({"kind": "leg.released", "leg": leg, "cause": 16, "by": "far"})

    def _gone(self, leg):
        self.callers.pop(leg, None)
        self.signals.pop(leg, None)
        self.decided.pop(leg, None)

    def _at_leg_offered(self, record, data):
        if record["leg"] in self.callers:
            self.callers[record["leg"]] = record["call"]

    # Flows.

    def _at_ivr_entered(self, record, data):
        self.in_flow[record["call"]] = self.now
        if self._counts(self.now):
            self.flows.setdefault(data["key"], [0, 0])[0] += 1

    def _at_ivr_left(self, record, data):
        since = self.in_flow.pop(record["call"], None)
        call = self.state.calls.get(record["call"])
        if since is None or call is None or not self._counts(since):
            return
        self.flows.setdefault(call.flow_key, [0, 0])[1] += self.now - since
        way = ((call.position or {}).get("flow") or call.flow_key.split("@")[0], data["node"], data["outcome"])
        self.ways[way] = self.ways.get(way, 0) + 1

    def _at_ivr_moved(self, record, data):
        self.in_flow.setdefault(record["call"], self.now)       # back from an agent or a queue
        self._later(self._attends, record["call"])

    def _attends(self, name):
        """What the caller does at the node where the call now is."""
        call = self.state.calls.get(name)
        if call is None or call.state != calls.IVR or call.caller_leg not in self.callers or call.position["waiting"] not in ("prompt", "digit"):
            return
        position, leg = call.position, call.caller_leg
        flow = position.get("flow") or call.flow_key.split("@")[0]
        node = self.state.flows[call.flow_keys[flow]]["nodes"].get(position["node"]) or {}
        turn = (flow, position["node"], position.get("missed", 0), position.get("wrong", 0))
        if node.get("type") not in KEYED or self.decided.get(leg) == turn:
            return
        self.decided[leg] = turn
        keys = self._keys(flow, position["node"], node)
        if keys == "":
            return
        left_s = max(0.0, self.signals.get(leg, (None, 0))[1] - self.now) / 1000
        at_s = (left_s * self.rng.uniform(0.4, 1.0) if option(node, "barge_in") else left_s) + self.rng.expovariate(1 / THINK_S)
        if keys == HANG_UP:
            self._after(at_s, self._hangs_up, leg, (calls.IVR,))
            return
        for place, key in enumerate(keys):
            self._after(at_s + place * KEY_S, self._presses, leg, turn[:2], key)

    def _presses(self, leg, where, key):
        call = self.state.calls.get(self.callers.get(leg))
        if call is not None and call.state == calls.IVR and (call.position.get("flow") or call.flow_key.split("@")[0], call.position["node"]) == where:
            self._say({"kind": "media.digit", "leg": leg, "digit": key})

    def _keys(self, flow, name, node):
        """What is pressed at a node."""
        shares = ((self.question.get("shares") or {}).get(flow) or {}).get(name)
        if node["type"] == "collect":
            if shares is not None:
                drawn = self._drawn(shares)
                if drawn in ("", HANG_UP):
                    return drawn
            digits = ((self.question.get("entered") or {}).get(flow) or {}).get(name)
            if digits is None:
                digits = "1" * option(node, "min_length")
                self.assumed[flow, name] = "the digits %s are entered" % digits
            return digits + (option(node, "terminator") or "" if len(digits) < option(node, "length") else "")
        if shares is None:
            shares = dict.fromkeys(node["choices"], 1)
            self.assumed[flow, name] = "each key alike"
        return self._drawn(shares)

    def _drawn(self, shares):
        names = sorted(shares)
        return self.rng.choices(names, [shares[name] for name in names])[0]

    def _do_ivr_ask(self, action):
        call = self.state.calls.get(action["call"])
        if call is None:
            return
        flow, name = call.position.get("flow") or call.flow_key.split("@")[0], call.position["node"]
        known = ((self.question.get("answers") or {}).get(flow) or {}).get(name)
        if known is None:
            self.assumed[flow, name] = "the service does not answer"
        ok = known is not None and self.rng.random() < known.get("ok", 1.0)
        self._after(ANSWER_S, self._answers, action["call"], action["token"], ok, known.get("result") if ok else "not simulated")

    def _answers(self, call, token, ok, result):
        self._say({"kind": "ivr.answer", "call": call, "token": token, "ok": ok, "result": result})

    def _do_lookup_ask(self, action):
        self._after(ANSWER_S, self._say, {"kind": "lookup.answered", "call": action["call"], "lookup": action["lookup"], "agent": None, "error": None})

    # Sound.

    def _do_media_signal(self, action):
        leg, seconds = action["leg"], sum(self._length_s(item) for item in action["items"])
        self.signals[leg] = [action["token"], self.now + seconds * 1000]
        if action.get("repeat", 1):
            self._after(seconds * action.get("repeat", 1), self._played, leg, action["token"])

    def _length_s(self, item):
        if "prompt" in item:
            known = self.question.get("prompt_s") or {}
            return known.get("%s %s" % (item["prompt"], item.get("language")), known.get(item["prompt"], PROMPT_S))
        return item.get("silence_ms", item.get("duration_ms", SPOKEN_S * 1000)) / 1000

    def _played(self, leg, token):
        if self.signals.get(leg, (None,))[0] == token:
            del self.signals[leg]
            self._say({"kind": "media.signal_complete", "leg": leg, "token": token, "reason": "done"})

    def _do_media_stop(self, action):
        self.signals.pop(action["leg"], None)

    def _do_media_record(self, action):
        self._after(MESSAGE_S, self._presses_anything, action["left"])

    def _presses_anything(self, leg):
        if leg in self.callers:
            self._say({"kind": "media.digit", "leg": leg, "digit": "#"})
            self._after(MESSAGE_S, self._hangs_up, leg, (calls.IVR, calls.MAILBOX))

    def _do_media_record_stop(self, action):
        self._later(self._say, {"kind": "media.record_closed", "recording": action["recording"], "octets": 1, "duration_ms": int(MESSAGE_S * 1000)})

    # Telephones.

    def _do_leg_create(self, action):
        leg = action["leg"]
        self.phones[leg] = action["call"]
        self._later(self._phone_says, leg, "leg.alerting")
        self._after(FAR_S if action.get("line") is None else self.question.get("pick_up_s", 0), self._phone_says, leg, "leg.answered")

    def _phone_says(self, leg, kind):
        if leg in self.phones:
            self._say({"kind": kind, "leg": leg})

    def _do_leg_release(self, action):
        self._later(self._released, action["leg"], action["cause"])

    def _released(self, leg, cause):
        self.phones.pop(leg, None)
        self._gone(leg)
        self._say({"kind": "leg.released", "leg": leg, "cause": cause, "by": "near"})

    def _at_call_bridged(self, record, data):
        call = self.state.calls[record["call"]]
        handle = self.question["handle_s"]
        seconds = self.rng.expovariate(1 / handle.get(call.queue or "", handle.get("", 180.0)))
        if record["agent"] is not None:
            self.talks[record["call"]] = self.now
        self._after(seconds, self._talked, call.caller_leg, record["leg"])

    def _at_call_unbridged(self, record, data):
        since = self.talks.pop(record["call"], None)
        if since is not None:
            self.busy_ms += max(0, min(self.now, self.ends) - max(since, self.begins))

    def _talked(self, leg, phone):
        call = self.state.calls.get(self.callers.get(leg))
        if call is None or call.agent_leg != phone:
            return
        if call.after is None:
            self._hangs_up(leg)
        else:                           # the flow wants the caller back
            self.phones.pop(phone, None)
            self._say({"kind": "leg.released", "leg": phone, "cause": 16, "by": "far"})

    # Queues.

    def _at_queue_entered(self, record, data):
        self.entered[record["call"]] = (record["queue"], self.now)
        self.counts[record["queue"]]["calls"] += self._counts(self.now)
        patience_s = self.question.get("patience_s")
        if patience_s and data.get("since_ms", self.now) == self.now:
            self._after(self.rng.expovariate(1 / patience_s), self._hangs_up, record["leg"], (calls.QUEUED,))

    def _at_queue_left(self, record, data):
        queue, since_ms = self.entered.pop(record["call"], (None, 0))
        if queue is None or not self._counts(since_ms):
            return
        counts, how, wait_s = self.counts[queue], data["reason"], data["wait_ms"] / 1000
        how = HOW.get(how, "unanswered")
        counts[how] += 1
        if how == "answered":
            counts["wait_s"] += wait_s
            counts["waited"] += wait_s > self.question.get("pick_up_s", 0)
            counts["in_time"] += wait_s <= self.question["within_s"]


def simulate(question):
    """See the module's docstring."""
    sums = {row["name"]: dict.fromkeys(COUNTS, 0) for row in question["config"]["queues"]}
    flows, ways, assumed, busy_s, there_s = {}, {}, {}, 0.0, 0.0
    for number in range(question["runs"]):
        run = Stretch(question, random.Random("%s %d" % (question.get("seed", 1), number))).run()
        for name, counts in run.counts.items():
            for what in COUNTS:
                sums[name][what] += counts[what]
        for key, (count, spent_ms) in run.flows.items():
            known = flows.setdefault(key, [0, 0])
            known[0], known[1] = known[0] + count, known[1] + spent_ms
        for way, count in run.ways.items():
            ways[way] = ways.get(way, 0) + count
        assumed.update(run.assumed)
        busy_s += run.busy_ms / 1000
        there_s += len(run.there) * question["length_s"]
    rows, runs = summary(sums, question["runs"]), question["runs"]
    return {"queues": rows, "occupancy": busy_s / there_s if there_s else None, "runs": runs,
            "flows": [{"flow": key.partition("@")[0], "version": key.partition("@")[2].rstrip("+"), "calls": count / runs, "seconds": spent_ms / 1000 / count if count else None}
                      for key, (count, spent_ms) in sorted(flows.items())],
            "ways": [{"flow": flow, "node": node, "outcome": outcome, "calls": count / runs} for (flow, node, outcome), count in sorted(ways.items())],
            "assumed": [{"flow": flow, "node": node, "what": what} for (flow, node), what in sorted(assumed.items())]}


def main():
    os.nice(19)
    json.dump(simulate(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
