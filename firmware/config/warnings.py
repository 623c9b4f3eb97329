"""Settings of the traffic early warning: thresholds on live figures, escalation plans.  What schema.py takes into its sections."""

import re

from firmware.acd.thresholds import COUNTED, FIGURES
from firmware.config.field import Anything, Rows, Section, Switch, Text, Whole
from firmware.config.mailboxes import ADDRESS
from firmware.errors import ConfigError

NAME = r"[A-Za-z0-9_.-]{1,32}"
HINT = "use letters, digits, dot, dash and underline, at most 32"

THRESHOLD = Section("a limit of a live figure of a queue", {
    "name": Text("the name in records and pages", pattern=NAME, hint=HINT, required=True),
    "label": Text("what pages and mails show", default=""),
    "enabled": Switch("is watched", default=True),
    "queue": Text("the queue", pattern=NAME, hint=HINT, required=True),
    "figure": Text("waiting and callbacks: how many; longest_wait, expected_wait: seconds; agents_ready, agents_logged_in: how many; service_level, "
                   "abandon_rate: per cent of the interval", choices=FIGURES, required=True),
    "when": Text("the alarm is raised above or below the limit", choices=("above", "below"), default="above"),
    "limit": Whole("in the figure's unit; at the limit itself nothing is raised", 0, 86400, required=True),
    "clear": Whole("the value at which the alarm ends, on the good side of the limit; -1: at the limit", -1, 86400, default=-1),
    "for_s": Whole("for how long it must last", 0, 3600, unit="s", default=0),
    "interval_min": Whole("of service_level and abandon_rate: the last minutes, in quarters of an hour, the present one included", 15, 1440, unit="min",
                          default=30),
    "least": Whole("of service_level and abandon_rate: how many callers must have come before it counts", 1, 10000, default=5),
    "severity": Text("X.733", choices=("warning", "minor", "major", "critical"), default="minor"),
    "plan": Text("the escalation plan; empty: nobody is told", pattern="(%s)?" % NAME, hint=HINT, default="")})

STEP = Section("who is told, when nobody has acknowledged the alarm", {
    "after_min": Whole("after it was raised; 0: at once", 0, 1440, unit="min", default=0),
    "mail": Anything("a list of mail addresses", default=[]),
    "agents": Anything("a list of agents who get a message", default=[]),
    "teams": Anything("a list of teams whose agents get it", default=[])})

PLAN = Section("who is told of an alarm, step by step", {
    "name": Text("the name used in thresholds", pattern=NAME, hint=HINT, required=True),
    "steps": Rows("the steps, in order of their time", STEP, most=20)})

PARTS = {"thresholds": Rows("limits of live figures that raise alarms", THRESHOLD, key="name", most=500),
         "dead_air": Section("conversations in which nobody speaks any more", {
             "after_s": Whole("how long nobody must have spoken before an alarm names the call; 0: nobody listens for it, which would cost a little of the tick", 0, 600,
                              unit="s", default=0)}),
         "escalation_plans": Rows("who is told of alarms", PLAN, key="name", most=100)}


def check(result):
    """ConfigErrors of references.  result: the configuration with every default filled in."""
    errors = []
    queues, plans = {row["name"] for row in result["queues"]}, {row["name"] for row in result["escalation_plans"]}
    agents, teams = {row["name"] for row in result["agents"]}, {row["name"] for row in result["teams"]}
    for i, row in enumerate(result["thresholds"]):
        here = f"thresholds[{i}]"
        if row["queue"] not in queues:
            errors.append(ConfigError(f"{here}.queue", f"there is no queue {row['queue']!r}; add it or choose another"))
        if row["plan"] and row["plan"] not in plans:
            errors.append(ConfigError(f"{here}.plan", f"there is no {row['plan']!r} in escalation_plans; add it or choose another"))
        if row["clear"] >= 0 and (row["clear"] > row["limit"] if row["when"] == "above" else row["clear"] < row["limit"]):
            errors.append(ConfigError(f"{here}.clear", f"{row['clear']} is on the bad side of the limit {row['limit']}; the alarm would end while it holds"))
        if row["figure"] in COUNTED and row["limit"] > 100:
            errors.append(ConfigError(f"{here}.limit", "is per cent; give 0 to 100"))
        if row["interval_min"] % 15:
            errors.append(ConfigError(f"{here}.interval_min", "give a multiple of 15"))
    for i, plan in enumerate(result["escalation_plans"]):
        last = -1
        for j, step in enumerate(plan["steps"]):
            here = f"escalation_plans[{i}].steps[{j}]"
            if step["after_min"] < last:
                errors.append(ConfigError(f"{here}.after_min", "is before the step above; order them by time"))
            last = max(last, step["after_min"])
            for name, known, what in (("agents", agents, "agent"), ("teams", teams, "team")):
                if not isinstance(step[name], list):
                    errors.append(ConfigError(f"{here}.{name}", f"give a list of {name} in square brackets"))
                    continue
                errors.extend(ConfigError(f"{here}.{name}[{place}]", f"there is no {what} {str(one)[:40]!r}; add it or choose another")
                              for place, one in enumerate(step[name]) if not isinstance(one, str) or one not in known)
            if not isinstance(step["mail"], list) or len(step["mail"]) > 50:
                errors.append(ConfigError(f"{here}.mail", "give a list of at most 50 addresses in square brackets"))
                continue
            errors.extend(ConfigError(f"{here}.mail[{place}]", f"{str(one)[:60]!r} is no mail address") for place, one in enumerate(step["mail"])
                          if not isinstance(one, str) or not re.fullmatch(ADDRESS, one))
            if step["mail"] and not result["mail"]["host"]:
                errors.append(ConfigError(f"{here}.mail", "needs a mail server; give mail.host first"))
    return errors
