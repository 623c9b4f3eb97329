"""Settings of calendars, lists of callers, duty chains and lookups: what schema.py takes into its sections."""

import re

from firmware.config.field import Anything, Rows, Section, Text, Whole
from firmware.config.written import dialable
from firmware.errors import ConfigError

NAME = r"[A-Za-z0-9_.-]{1,32}"
HINT = "use letters, digits, dot, dash and underline, at most 32"
DATE = r"(20[0-9]{2}-)?(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
CLOCK = r"(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)?"
PATTERN = r"\+?[0-9*#x]{1,32}\.?"

DAY = Section("a day, or several", {
    "date": Text("the first day, 2026-10-01, or 12-25 for each year", pattern=DATE, hint="give 2026-10-01, or 12-25 for each year", required=True),
    "to": Text("the last day, in the same form; empty: that one day", pattern="(%s)?" % DATE, hint="give 2026-10-01, or 12-25 for each year",
               default=""),
    "label": Text("what pages show", default=""),
    "from_time": Text("open from; empty: closed", pattern=CLOCK, hint="give hours and minutes, for example 08:30", default=""),
    "to_time": Text("open until", pattern=CLOCK, hint="give hours and minutes, for example 12:00", default="")})

CALENDAR = Section("days on which other hours hold than in the week", {
    "name": Text("the name used in queues", pattern=NAME, hint=HINT, required=True),
    "days": Rows("the days; the first that fits holds", DAY, most=1000)})

CALLERS = Section("callers who are treated differently", {
    "name": Text("the name of the list", pattern=NAME, hint=HINT, required=True),
    "numbers": Anything("a list of calling numbers: x any digit, . at the end any further ones", default=[]),
    "treatment": Text("vip: served earlier, by `priority` and `skills`; blocked: the call is refused, or hears `prompt` and is cleared; "
                      "allowed: not blocked by the lists that follow (with a list x. of blocked ones behind it nobody else gets in); "
                      "do_not_call: never called by campaigns",
                      choices=("vip", "blocked", "allowed", "do_not_call"), required=True),
    "priority": Whole("of a vip in each queue, where it is above the queue's", 0, 9, default=9),
    "skills": Anything("skills with levels that the agent of a vip must have, for example {\"vip\": 1}", default={}),
    "prompt": Text("what a blocked caller hears; empty: is refused without an answer", pattern="(%s)?" % NAME, hint=HINT, default="")})

STEP = Section("one person of the chain", {
    "to": Text("the kind of target", choices=("number", "line", "agent"), default="number"),
    "target": Text("the number as one of our lines would dial it, or the line or agent", pattern=r"[A-Za-z0-9_.*#+-]{1,32}",
                   hint="use letters, digits, dot, dash and underline, at most 32", required=True),
    "ring_s": Whole("how long the telephone rings", 5, 120, unit="s", default=25)})

DUTY = Section("who is called, one after the other, until somebody takes the call", {
    "name": Text("the name used in numbers, rules and flows", pattern=NAME, hint=HINT, required=True),
    "label": Text("what pages show", default=""),
    "steps": Rows("the persons, in order", STEP, most=20),
    "rounds": Whole("how often the chain is gone through", 1, 10, default=2),
    "confirm_key": Text("the key by which a person takes the call, so that no answering machine does; empty: none", pattern=r"[0-9*#]?",
                        hint="give one key of the telephone", default="1"),
    "confirm_s": Whole("how long there is for the key", 3, 60, unit="s", default=10),
    "mailbox": Text("where the caller may leave a message when nobody takes the call; empty: nowhere", pattern="(%s)?" % NAME, hint=HINT, default="")})

LOOKUP = Section("a question to a system of the house: whose account is this caller's", {
    "name": Text("the name used in queues", pattern=NAME, hint=HINT, required=True),
    "kind": Text("http: GET, the answer is JSON with the agent's name; sqlite: a query of a file; sql: a query of one of the services (PostgreSQL, MySQL, "
                 "SQLite)", choices=("http", "sqlite", "sql"), default="http"),
    "service": Text("of sql: the service that is asked", pattern="(%s)?" % NAME, hint=HINT, default=""),
    "url": Text("of http; {caller} and {called} are put in", pattern=r"(https?://[^\s\"<>]{1,400})?", max_octets=450,
                hint="begin with http:// or https://", default=""),
    "field": Text("of http: the member of the answer that names the agent", pattern=NAME, hint=HINT, default="agent"),
    "file": Text("of sqlite: the file, which is only read", default=""),
    "query": Text("of sqlite and sql: gives the agent's name in the first column; :caller and :called are put in", max_octets=1000, default=""),
    "timeout_ms": Whole("after which the caller goes to anybody", 50, 5000, unit="ms", default=800)})

QUEUE_FIELDS = {
    "calendar": Text("days on which other hours hold; empty: none", pattern="(%s)?" % NAME, hint=HINT, default=""),
    "owner_lookup": Text("the question that tells the account's owner, to whom the caller is given first; empty: none", pattern="(%s)?" % NAME,
                         hint=HINT, default="")}

PARTS = {"calendars": Rows("days on which other hours hold", CALENDAR, key="name", most=100),
         "caller_lists": Rows("callers who are treated differently; the first list that has the number", CALLERS, key="name", most=100),
         "duty": Rows("chains of persons on duty", DUTY, key="name", most=200),
         "lookups": Rows("questions to systems of the house", LOOKUP, key="name", most=100)}

MOST_NUMBERS = 20000    # in one list; invented


def check(result):
    """ConfigErrors of references.  result: the configuration with every default filled in."""
    errors = []
    for i, row in enumerate(result["calendars"]):
        for j, day in enumerate(row["days"]):
            here = f"calendars[{i}].days[{j}]"
            if day["to"] and len(day["to"]) != len(day["date"]):
                errors.append(ConfigError(f"{here}.to", "is in another form than date; give both with the year, or both without"))
            elif day["to"] and len(day["date"]) > 5 and day["to"] < day["date"]:
                errors.append(ConfigError(f"{here}.to", f"{day['to']} is before {day['date']}; exchange them"))
            if bool(day["from_time"]) != bool(day["to_time"]) or day["from_time"] and day["from_time"] >= day["to_time"]:
                errors.append(ConfigError(f"{here}.to_time", "give both, from_time and a later to_time, or none: closed"))
    for i, row in enumerate(result["caller_lists"]):
        here = f"caller_lists[{i}]"
        if not isinstance(row["numbers"], list) or len(row["numbers"]) > MOST_NUMBERS:
            errors.append(ConfigError(f"{here}.numbers", f"give a list in square brackets of at most {MOST_NUMBERS} numbers"))
            continue
        row["numbers"] = [dialable(number) if isinstance(number, str) else number for number in row["numbers"]]
        for j, number in enumerate(row["numbers"]):
            if not isinstance(number, str) or not re.fullmatch(PATTERN, number):
                errors.append(ConfigError(f"{here}.numbers[{j}]", f"{str(number)[:40]!r} is no number; give digits, x for any digit, . at the end"))
        skills = row["skills"]
        if not isinstance(skills, dict) or any(not re.fullmatch(NAME, skill) or isinstance(level, bool) or not isinstance(level, int)
                                               or not 1 <= level <= 10 for skill, level in skills.items()):
            errors.append(ConfigError(f"{here}.skills", 'give skills with levels of 1 to 10 in braces, for example {"vip": 1}'))
    names = {part: {row["name"] for row in result[part]} for part in ("calendars", "lookups", "lines", "agents", "mailboxes")}
    for i, row in enumerate(result["queues"]):
        for field, part in (("calendar", "calendars"), ("owner_lookup", "lookups")):
            if row[field] and row[field] not in names[part]:
                errors.append(ConfigError(f"queues[{i}].{field}", f"there is no {row[field]!r} in {part}; add it or choose another"))
    for i, row in enumerate(result["duty"]):
        if not row["steps"]:
            errors.append(ConfigError(f"duty[{i}].steps", "is empty; name at least one person"))
        if row["mailbox"] and row["mailbox"] not in names["mailboxes"]:
            errors.append(ConfigError(f"duty[{i}].mailbox", f"there is no mailbox {row['mailbox']!r}; add it or choose another"))
        for j, step in enumerate(row["steps"]):
            if step["to"] in ("line", "agent") and step["target"] not in names[step["to"] + "s"]:
                errors.append(ConfigError(f"duty[{i}].steps[{j}].target", f"there is no {step['to']} {step['target']!r}; create it first or choose another"))
    for i, row in enumerate(result["lookups"]):
        must = {"http": ("url",), "sqlite": ("file", "query"), "sql": ("service", "query")}[row["kind"]]
        for field in must:
            if not row[field]:
                errors.append(ConfigError(f"lookups[{i}].{field}", f"is missing; a lookup of kind {row['kind']} needs it"))
        if row["kind"] == "sql" and row["service"]:
            kind = next((one["kind"] for one in result["services"] if one["name"] == row["service"]), None)
            if kind not in ("postgresql", "mysql", "sqlite"):
                errors.append(ConfigError(f"lookups[{i}].service", f"there is no {row['service']!r} in services that is a database; add it or choose another"))
            if not row["query"].lstrip().lower().startswith("select"):
                errors.append(ConfigError(f"lookups[{i}].query", "must begin with select: a lookup only reads"))
    return errors
