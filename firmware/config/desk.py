"""Settings of the desk: screen pop, dispositions, templates of tickets.  What schema.py takes into its sections."""

import re

from firmware.config.field import Anything, Rows, Section, Switch, Text, Whole
from firmware.errors import ConfigError

NAME = r"[A-Za-z0-9_.-]{1,32}"
HINT = "use letters, digits, dot, dash and underline, at most 32"

DISPOSITION = Section("what a call can have been about", {
    "code": Text("the code as it is recorded", pattern=NAME, hint=HINT, required=True),
    "label": Text("what pages show", default="")})

QUEUE_FIELDS = {
    "dispositions": Rows("what the agent says a call was about; empty: nothing is asked", DISPOSITION, key="code", most=200),
    "disposition_required": Switch("after-call work ends only with a code: not by its time, not by the agent; a supervisor may end it", default=False)}

FIELD = Section("a field of a ticket", {
    "name": Text("the name as it is recorded", pattern=NAME, hint=HINT, required=True),
    "label": Text("what pages show", default=""),
    "type": Text("text; whole: a number between least and most; date; choice out of choices; flag: yes or no; number: of a telephone",
                 choices=("text", "whole", "date", "choice", "flag", "number"), default="text"),
    "required": Text("when it must be given: never (no), when the ticket is opened, or before it is closed", choices=("no", "open", "close"), default="no"),
    "pattern": Text("of a text: a regular expression that it fits whole; empty: any", default=""),
    "hint": Text("what is said when it does not fit", default=""),
    "least": Whole("of a whole number", -10**9, 10**9, default=0),
    "most": Whole("of a whole number", -10**9, 10**9, default=10**9),
    "choices": Anything("of a choice: a list of texts", default=[])})

TEMPLATE = Section("a kind of ticket", {
    "name": Text("the name as it is recorded", pattern=NAME, hint=HINT, required=True),
    "label": Text("what pages show", default=""),
    "fields": Rows("what is written down", FIELD, key="name", most=60),
    "due_h": Whole("by when it is to be done after it was opened; 0: no time", 0, 10000, unit="h", default=0)})

PARTS = {
    "desk": Section("what agents see of a caller", {
        "screen_pop": Switch("tell the CTI link and the agent's page who calls when the telephone rings", default=True),
        "customer_lookup": Text("the question of `lookups` that tells who a caller is, besides our own list; its whole answer is shown; empty: none",
                                pattern="(%s)?" % NAME, hint=HINT, default=""),
        "country": Text("the country's code, which callers' numbers may carry", pattern=r"[0-9]{1,3}", hint="give the digits, for example 86", default="86"),
        "customer_fields": Anything("names of further fields of customers, a list", default=[])}),
    "ticket_templates": Rows("the kinds of tickets", TEMPLATE, key="name", most=100)}


def check(result):
    """ConfigErrors of these parts.  result: the configuration with every default filled in."""
    errors = []
    desk = result["desk"]
    if desk["customer_lookup"] and desk["customer_lookup"] not in [row["name"] for row in result["lookups"]]:
        errors.append(ConfigError("desk.customer_lookup", f"there is no {desk['customer_lookup']!r} in lookups; add it or choose another"))
    if not isinstance(desk["customer_fields"], list) or len(desk["customer_fields"]) > 40 or any(
            not isinstance(name, str) or not re.fullmatch(NAME, name) for name in desk["customer_fields"]):
        errors.append(ConfigError("desk.customer_fields", "give a list of at most 40 names in square brackets; " + HINT))
    for i, row in enumerate(result["queues"]):
        if row["disposition_required"] and not row["dispositions"]:
            errors.append(ConfigError(f"queues[{i}].disposition_required", "needs dispositions to choose from; add them"))
    for i, template in enumerate(result["ticket_templates"]):
        for j, field in enumerate(template["fields"]):
            here = f"ticket_templates[{i}].fields[{j}]"
            if field["type"] == "choice" and (not isinstance(field["choices"], list) or not field["choices"] or any(
                    not isinstance(one, str) or not one or len(one) > 100 for one in field["choices"])):
                errors.append(ConfigError(f"{here}.choices", "give a list of texts in square brackets"))
            if field["least"] > field["most"]:
                errors.append(ConfigError(f"{here}.most", f"is below least, {field['least']}; exchange them"))
            try:
                re.compile(field["pattern"])
            except re.error as error:
                errors.append(ConfigError(f"{here}.pattern", f"is no regular expression ({error}); correct it"))
    return errors
