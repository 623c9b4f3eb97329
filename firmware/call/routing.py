"""Routing: which application takes a call.

The configuration's "numbers" are asked first, whoever calls.  A call from one of
our own lines may also name a line or an agent ("1002"): these are internal
numbers, which a trunk cannot reach unless a number says so.

    router = Router(config)
    router.find(digits, complete, internal=False, classes=(), behind_us=False) -> (verdict, route)

verdict: number_plan.MATCH, MORE, INCOMPLETE or UNKNOWN; route with MATCH only:
{"application": "ivr"|"queue"|"agent"|"line"|"mailbox"|"duty"|"outside"|"feature", "target", "number", "label"}; a feature code, which only our
own lines may dial, has its "row" and the "argument" dialled behind it; with "outside" also
"class" (the one that tells most of "classes", all that the caller needs) and "row" (of the configuration's "routes"); target is then what is dialled.
classes: of the routes to the outside that the caller can see (outside.py); what is ours comes first, emergency numbers excepted where
the caller is one of ours: a line, or behind_us (an exchange of which we are the network).  A carrier sends numbers of ours only, so its "110" is
an emergency call where no number of ours takes it.  The Q.850 cause for each refusal is in CAUSES.
"""

from firmware.call.areas import Areas
from firmware.call.number_plan import NumberPlan, MATCH, MORE, INCOMPLETE, UNKNOWN
from firmware.call.outside import CLASSES, EMERGENCY, OutsidePlan
from firmware.errors import ConfigError

# What a feature code does; those that are followed by an agent, a line or a place.
WITH_ARGUMENT = ("log_in", "pick_up", "unpark", "break_reason")
FEATURES = ("messages", "available", "break", "log_out", "wrap_up_end", "wrap_up_extend") + WITH_ARGUMENT
APPLICATIONS = ("ivr", "queue", "agent", "line", "mailbox", "duty", "outside", "test")
# What a test number of ours plays: the tones of the Americas and of ITU-T, or what comes in.
TEST_SOUNDS = ("milliwatt_1004", "milliwatt_1020", "loop")

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
                   "agent": _named(config.get("agents") or []), "line": _named(config.get("lines") or []),
                   "mailbox": _named(config.get("mailboxes") or []), "duty": _named(config.get("duty") or []),
                   "test": TEST_SOUNDS}
        self._outside = OutsidePlan(config)
        self.areas = Areas(config)
        self._features = config.get("feature_codes") or []
        for index in range(len(numbers)):
            entry = numbers[index]
            application = entry.get("application")
            if application not in APPLICATIONS:
                raise ConfigError("numbers[%d].application" % index,
                                  "%r is not an application; choose one of %s" % (application, ", ".join(APPLICATIONS)))
            if application == "outside":
                if self.outside(entry.get("target") or "") is None:
                    raise ConfigError("numbers[%d].target" % index, "no route takes %r to the outside; add one to \"routes\" or "
                                                                    "correct the number" % (entry.get("target"),))
            elif entry.get("target") not in targets[application]:
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

    def feature(self, digits, internal=True):
        """(row of the configuration's "feature_codes", what was dialled behind the code), or None.  The longest code wins."""
        best = None
        for row in self._features if internal else ():
            code = row["code"]
            if digits[:len(code)] == code and (len(digits) > len(code)) == (row["action"] in WITH_ARGUMENT):
                if best is None or len(code) > len(best["code"]):
                    best = row
        return None if best is None else (best, digits[len(best["code"]):])

    def outside(self, digits, classes=CLASSES):
        """The route of a whole number to the outside, or None."""
        verdict, row = self._outside.find(digits, True, classes)
        return self._outside_route(digits, row) if verdict == MATCH else None

    def find(self, digits, complete, internal=False, classes=(), behind_us=False):
        """Look up digits; internal: the call comes from one of our own lines; behind_us: from an exchange that has no other way out."""
        rescue = self.outside(digits, (EMERGENCY,)) if EMERGENCY in classes else None
        if rescue is not None and ((internal or behind_us) and complete or behind_us and not self._goes_on(digits, classes)):
            return MATCH, rescue
        feature = self.feature(digits, internal) if complete else None
        if feature is not None:
            row, argument = feature
            return MATCH, {"application": "feature", "target": row["action"], "number": row["code"], "label": row["code"],
                           "row": row, "argument": argument}
        verdict, entry = self._numbers.find(digits, complete)
        if internal and verdict != MATCH:
            second, other = self._internal.find(digits, complete)
            if second == MATCH or verdict == UNKNOWN or second == MORE:
                verdict, entry = second, other
        if verdict == MATCH:
            if entry["application"] == "outside":
                route = self.outside(entry["target"])
                route.update(number=entry["number"], label=entry.get("label") or entry["number"])
                return MATCH, route
            return MATCH, {"application": entry["application"], "target": entry["target"], "number": entry["number"],
                           "label": entry.get("label") or entry["number"]}
        if rescue is not None and complete:
            return MATCH, rescue
        if classes and verdict != MORE:
            second, row = self._outside.find(digits, complete, classes)
            if second == MATCH:
                return MATCH, self._outside_route(digits, row)
            if second == MORE or verdict == UNKNOWN:
                verdict = second
        return verdict, None

    def _goes_on(self, digits, classes):
        """Whether digits that more may follow could still become another number."""
        return self._numbers.find(digits, False)[0] == MORE or self._outside.find(digits, False, classes)[0] == MORE

    def begun(self, digits, internal=False, classes=()):
        """The route to the outside of a number of which more digits will come, once they cannot change it; else None."""
        verdict, _ = self._numbers.find(digits, False)
        if verdict != UNKNOWN or self.feature(digits, internal) is not None:
            return None
        if internal and self._internal.find(digits, False)[0] != UNKNOWN:
            return None
        row = self._outside.begun(digits, classes)
        return None if row is None else self._outside_route(digits, row)

    def _outside_route(self, digits, row):
        classes = self._outside.classes_of(row, digits)
        return {"application": "outside", "target": digits, "number": row["number"], "label": row.get("label") or row["number"],
                "class": classes[-1], "classes": classes, "row": row}


def _is_dialable(name):
    for character in name:
        if character not in "0123456789*#":
            return False
    return bool(name)
