"""The part of the local API that simulates the flows of the configuration with the calls of a time (flow_simulation.py).

    POST /v1/staffing/flows     {"day", "hour", "weeks"? (4)} and/or {"calls": {number of ours: calls an hour}}; "handle_s"? (a number, or {queue: s}), "patience_s"?,
                                "within_s"? (20), "pick_up_s"? (3), "absent"?, "runs"? (5), "seed"?, "shares"?: {flow: {node: {key: weight}}} (key "": none is
                                pressed; "hang up"), "answers"?: {flow: {node: {"ok"?: share, "result"}}}, "entered"?: {flow: {node: digits}}
                             -> the answer of flow_simulation.py with "calls" (that were assumed), "branches": [{flow node keys from ("history"|"given")}]

With day and hour the calls, the handle times and the keys that callers press come from the same hour of the weeks before; what is given goes before it.  All agents of the
configuration are there but for the share `absent`.  One simulation at a time, MOST_S at most; calls are limited before it begins."""

import asyncio

from firmware.acd import staffing
from firmware.control import apart
from firmware.control.api_staffing import WEEK_S, midnight_s, number_of
from firmware.control.commands import Problem
from firmware.ivr.nodes import KEYED
from firmware.storage import flow_history
from firmware.storage.figures import QUARTER_S, Figures

MOST_CALLS = 20_000     # of a simulation: half a minute of a process at the lowest priority; invented
MOST_S = 60.0           # then it is ended; invented
PARTS = {"shares": dict, "answers": dict, "entered": str}      # what stands for a node
KNOWN = {"day", "hour", "weeks", "calls", "handle_s", "patience_s", "within_s", "pick_up_s", "absent", "runs", "seed", *PARTS}
WAV_RATE, WAV_HEADER = 28, 44           # where a WAV file says its octets a second; what comes before the sound


class FlowStaffingAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api
        self._one = asyncio.Lock()

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("POST", ("staffing", "flows"), self.flows)]

    async def flows(self, query, body):
        unknown = set(body) - KNOWN
        if unknown:
            raise Problem(422, "unknown field", "There is no field %s." % sorted(unknown)[0][:32])
        house = self._api.house
        config = house.config.running()
        asked = {"runs": int(_of(body, "runs", 5, 1, 200)), "seed": int(_of(body, "seed", 1, 0, 1 << 31)), "absent": _of(body, "absent", 0.0, 0.0, 0.9),
                 "within_s": _of(body, "within_s", 20, 1, 3600), "patience_s": _of(body, "patience_s", None, 1, 86400), "pick_up_s": _of(body, "pick_up_s", 3, 0, 120)}
        for part in PARTS:
            asked[part] = _by_node(config, body, part)
        begin_s, past = None, ({}, {}, {}, {})
        if "day" in body:
            if not isinstance(body["day"], str) or body.get("hour") is None:
                raise Problem(422, "incomplete", "Give day as a date and hour, 0 to 23.")
            begin_s = midnight_s(house, body["day"]) + int(_of(body, "hour", None, 0, 23)) * 3600
            weeks = int(_of(body, "weeks", 4, 1, 52))
            past = await self._api.read(lambda db: self._past(db, begin_s, weeks))
        elif "calls" not in body:
            raise Problem(422, "incomplete", "Give day and hour, whose calls are taken from the weeks before, or calls: {number of ours: calls an hour}.")
        calls = self._calls(config, body, past[0])
        if sum(calls.values()) * 1.25 * asked["runs"] > MOST_CALLS:
            raise Problem(422, "too much", "That is %d calls to simulate, %d are taken at most; ask for fewer runs." % (sum(calls.values()) * 1.25 * asked["runs"], MOST_CALLS))
        branches = _take_past(config, asked, past)
        core, prompts = house.switchboard.core, await asyncio.to_thread(_lengths, config, house.media.prompts)
        moved = {name: core.state.assigned[name] for name in core.state.assigned}
        config = dict(config, agents=[dict(row, queues=moved.get(row["name"], row["queues"])) for row in config["agents"]])
        question = {**asked, "config": config, "begin_ms": begin_s * 1000 if begin_s is not None else house.clock.now_ms(), "calls": calls, "length_s": 3600,
                    "agents": [row["name"] for row in config["agents"] if row["queues"]], "handle_s": _handle(config, body, past[1]), "prompt_s": prompts}
        if self._one.locked():
            raise Problem(503, "busy", "Another simulation is running; they run one at a time, so ask again in a minute.")
        async with self._one:
            try:
                found = await apart.ask("firmware.control.flow_simulation", question, most_s=MOST_S)
            except TimeoutError:
                raise Problem(503, "not possible now", "The simulation was ended after %d s; ask for fewer runs." % MOST_S) from None
            except apart.Unanswered as error:
                raise Problem(422, "not possible", "The simulation cannot be made of this: %s." % error) from None
        return {"model": "flows", "agents": len(question["agents"]), "calls": calls, "handle_s": question["handle_s"], "branches": branches, **found}

    @staticmethod
    def _past(db, begin_s, weeks):
        """({number: {week: calls}}, {queue: {week: (queued, handled, handle_ms)}}, keys, answers) of the hour in the weeks before."""
        numbers, queues, keys, answers = {}, {}, {}, {}
        for week in range(1, weeks + 1):
            at_s = begin_s - week * WEEK_S
            for number, count in flow_history.calls_by_number(db, at_s * 1000, (at_s + 3600) * 1000).items():
                numbers.setdefault(number, {})[week] = count
            for name, counts in Figures.total(db, "queues", QUARTER_S, at_s, at_s + 3600):
                queues.setdefault(name, {})[week] = (counts["queued"], counts["handled"], counts["handle_ms"])
            some, told = flow_history.choices(db, at_s * 1000, (at_s + 3600) * 1000)
            for where, counted in some.items():
                for key, count in counted.items():
                    keys.setdefault(where, {})[key] = keys.get(where, {}).get(key, 0) + count
            for where, (ok, failed) in told.items():
                known = answers.setdefault(where, [0, 0])
                known[0], known[1] = known[0] + ok, known[1] + failed
        return numbers, queues, keys, answers

    @staticmethod
    def _calls(config, body, past):
        """{number of ours: calls in the hour}."""
        ours, given = {row["number"] for row in config["numbers"]}, body.get("calls") or {}
        if not isinstance(given, dict):
            raise Problem(422, "bad calls", "calls must be {number of ours: calls an hour}.")
        weeks, found = sorted({week for rows in past.values() for week in rows}), {}
        for number, rows in past.items():
            if number in ours:
                found[number] = staffing.forecast([(rows.get(week, 0), 0, 0) for week in weeks])[0]
        for number, count in given.items():
            if number not in ours:
                raise Problem(422, "bad calls", "calls: %s is none of our numbers." % number[:40])
            found[number] = number_of(count, "calls of %s" % number, 0, 1e6)
        return {number: round(count, 3) for number, count in sorted(found.items())}


def _of(body, name, default, least, most):
    return default if body.get(name) is None else number_of(body[name], name, least, most)


def _by_node(config, body, part):
    """What is given for nodes of flows.  Raises Problem that names flow and node."""
    given = body.get(part) or {}
    if not isinstance(given, dict):
        raise Problem(422, "bad " + part, "%s must be {flow: {node: ...}}." % part)
    for flow, nodes in given.items():
        if flow not in config["ivr"] or not isinstance(nodes, dict):
            raise Problem(422, "bad " + part, "%s: there is no flow %s." % (part, flow[:40]))
        for node, value in nodes.items():
            known = config["ivr"][flow]["nodes"].get(node)
            if known is None:
                raise Problem(422, "bad " + part, "%s: flow %s has no node %s." % (part, flow, node[:40]))
            if not isinstance(value, PARTS[part]) or not value:
                raise Problem(422, "bad " + part, "%s: %s.%s must be %s." % (part, flow, node, "digits" if part == "entered" else "an object"))
            if part == "entered" and not set(value) <= set("0123456789"):
                raise Problem(422, "bad " + part, "entered: %s.%s must be digits." % (flow, node))
            if part == "shares":
                if known["type"] not in KEYED:
                    raise Problem(422, "bad " + part, "shares: %s.%s is a %s, at which no key is pressed." % (flow, node, known["type"]))
                keys = set(known.get("choices") or ()) | {"", flow_history.HANG_UP} | ({"entered"} if known["type"] == "collect" else set())
                for key, weight in value.items():
                    number_of(weight, "shares: %s.%s: %s" % (flow, node, key or "no key"), 0, 1e9)
                    if key not in keys:
                        raise Problem(422, "bad " + part, "shares: %s.%s has no key %s; it has %s." % (flow, node, key[:20], ", ".join(sorted(key or "\"\"" for key in keys))))
                if not sum(value.values()):
                    raise Problem(422, "bad " + part, "shares: %s.%s needs a weight above 0." % (flow, node))
            elif part == "answers":
                if set(value) - {"ok", "result"} or "result" not in value:
                    raise Problem(422, "bad " + part, "answers: %s.%s must be {\"result\", \"ok\"?: share}." % (flow, node))
                number_of(value.get("ok", 1), "answers: %s.%s: ok" % (flow, node), 0, 1)
    return {flow: {node: value for node, value in nodes.items()} for flow, nodes in given.items()}


def _take_past(config, asked, past):
    """Keys and answers of before, where nothing is given for a node.  Returns the branches: [{"flow", "node", "keys", "from"}]."""
    branches = [{"flow": flow, "node": node, "keys": value, "from": "given"} for flow, nodes in asked["shares"].items() for node, value in nodes.items()]
    for (flow, node), counted in past[2].items():
        known = config["ivr"].get(flow, {"nodes": {}})["nodes"].get(node)
        if known is None or known["type"] not in ("menu", "survey") or node in asked["shares"].get(flow, ()):
            continue
        keys = {key: count for key, count in counted.items() if key in known["choices"] or key in ("", flow_history.HANG_UP)}
        if keys:
            asked["shares"].setdefault(flow, {})[node] = keys
            branches.append({"flow": flow, "node": node, "keys": keys, "from": "history"})
    for (flow, node), (ok, failed) in past[3].items():
        if "ok" not in asked["answers"].get(flow, {}).get(node, {"ok": 1}) and ok + failed:
            asked["answers"][flow][node] = dict(asked["answers"][flow][node], ok=ok / (ok + failed))
    return sorted(branches, key=lambda row: (row["flow"], row["node"]))


def _handle(config, body, past):
    """{queue: s, "": of any other conversation}."""
    given, found = body.get("handle_s"), {"": 180.0}
    weeks = sorted({week for rows in past.values() for week in rows})
    for name, rows in past.items():
        handle_s = staffing.forecast([rows.get(week, (0, 0, 0)) for week in weeks])[1]
        if handle_s:
            found[name] = handle_s
    if isinstance(given, dict):
        for name, value in given.items():
            if name and name not in {row["name"] for row in config["queues"]}:
                raise Problem(422, "bad handle_s", "handle_s: there is no queue %s." % name[:40])
            found[name] = number_of(value, "handle_s: %s" % name, 1, 86400)
    elif given is not None:
        found = {"": number_of(given, "handle_s", 1, 86400)}
    return found


def _lengths(config, prompts):
    """{"name language": s} of the prompts of the flows."""
    names = {name for flow in config["ivr"].values() for node in flow["nodes"].values() for part in ("prompts", "invalid", "no_input")
             for name in (node.get(part) if isinstance(node.get(part), list) else ()) if isinstance(name, str)} | {"invalid", "no_input"}
    found = {}
    for name in sorted(names):
        for language in config["site"]["languages"]:
            items, _ = prompts.items([{"prompt": name, "language": language}])
            seconds = sum(_seconds(item["file"]) for item in items if "file" in item)
            if seconds:
                found["%s %s" % (name, language)] = round(seconds, 2)
    return found


def _seconds(path):
    try:
        with open(path, "rb") as file:
            rate = int.from_bytes(file.read(WAV_HEADER)[WAV_RATE:WAV_RATE + 4], "little")
            return (file.seek(0, 2) - WAV_HEADER) / rate if 4000 <= rate <= 400_000 else 0.0
    except OSError:
        return 0.0
