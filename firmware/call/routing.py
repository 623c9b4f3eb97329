"""Routing: which application takes a call.

The configuration's "numbers" are asked first, whoever calls.  A call from one of
our own lines may also name a line or an agent ("1002"): these are internal
numbers, which a trunk cannot reach unless a number says so.

    router = Router(config)
    router.find(digits, complete, internal=False) -> (verdict, route)

verdict: number_plan.MATCH, MORE, INCOMPLETE or UNKNOWN; route with MATCH only:
{"application": "ivr"|"queue"|"agent"|"line", "target", "number", "label"}.
The Q.850 cause for each refusal is in CAUSES.
"""

from firmware.call.number_plan import NumberPlan, MATCH, MORE, INCOMPLETE, UNKNOWN
from firmware.errors import ConfigError

APPLICATIONS = ("ivr", "queue", "agent", "line")

# Q.850: 1 unallocated number, 28 invalid number format (address incomplete).
CAUSES = {UNKNOWN: 1, INCOMPLETE: 28}


def _named(items):
    names = {}
    for item in items:
        names[item["name"]] = item
    return names


class Router:
    """The routes of one configuration.  Raises ConfigError where a route leads nowhere."""

    def __init__(self, config):
        numbers = config.get("numbers") or []
        targets = {"ivr": config.get("ivr") or {}, "queue": _named(config.get("queues") or []),
                   "agent": _named(config.get("agents") or []), "line": _named(config.get("lines") or [])}
        for index in range(len(numbers)):
            entry = numbers[index]
            application = entry.get("application")
            if application not in APPLICATIONS:
                raise ConfigError("numbers[%d].application" % index,
                                  "%r is not an application; choose one of %s" % (application, ", ".join(APPLICATIONS)))
            if entry.get("target") not in targets[application]:
                raise ConfigError("numbers[%d].target" % index,
                                  "there is no %s named %r; create it first or choose another" % (application, entry.get("target")))
        self._numbers = NumberPlan(numbers)
        internal = []
        agents = config.get("agents") or []
        taken = {}
        for agent in agents:
            internal.append({"number": agent["name"], "application": "agent", "target": agent["name"], "label": agent.get("label")})
            taken[agent["name"]] = True
        for line in config.get("lines") or []:
            if line["name"] not in taken:
                internal.append({"number": line["name"], "application": "line", "target": line["name"], "label": line.get("label")})
        dialable = []
        for entry in internal:
            if _is_dialable(entry["number"]):
                dialable.append(entry)
        self._internal = NumberPlan(dialable)

    def find(self, digits, complete, internal=False):
        """Look up digits; internal: the call comes from one of our own lines."""
        verdict, entry = self._numbers.find(digits, complete)
        if internal and verdict != MATCH:
            second, other = self._internal.find(digits, complete)
            if second == MATCH or verdict == UNKNOWN or second == MORE:
                verdict, entry = second, other
        if verdict != MATCH:
            return verdict, None
        return MATCH, {"application": entry["application"], "target": entry["target"], "number": entry["number"],
                       "label": entry.get("label") or entry["number"]}


def _is_dialable(name):
    for character in name:
        if character not in "0123456789*#":
            return False
    return bool(name)
