"""Settings of voicemail and of the mail server: what schema.py takes into its sections."""

import re

from firmware.config.field import Anything, Rows, Secret, Section, Switch, Text, Whole
from firmware.errors import ConfigError

NAME = r"[A-Za-z0-9_-]{1,32}"
ADDRESS = r"[^\s@<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9.-]{1,190}"

MAILBOX = Section("a mailbox for messages of callers", {
    "name": Text("the name used in rules and flows", pattern=NAME, hint="use letters, digits, dash and underline, at most 32", required=True),
    "label": Text("what pages and mails show", default=""),
    "greeting": Text("the prompt before the tone, until the owner records one", pattern=r"[A-Za-z0-9_.-]{1,60}",
                     hint="use letters, digits, dot, dash and underline, at most 60", default="voicemail_greeting"),
    "pin": Secret("the code for listening by telephone; empty: only at its lines, without a code", pattern=r"([0-9]{4,12})?", hint="use 4 to 12 digits",
                  default=""),
    "lines": Anything("a list of lines whose lamps show its messages and which may listen", default=[]),
    "takes_calls": Switch("calls to these lines that nobody answers go to it", default=True),
    "max_s": Whole("the longest message", 10, 1800, unit="s", default=180),
    "min_s": Whole("what is shorter is no message", 0, 30, unit="s", default=2),
    "most": Whole("how many messages are kept; more callers are not taken", 1, 1000, default=100),
    "keep_days": Whole("after which messages are deleted; 0: never", 0, 3660, unit="days", default=30),
    "email": Anything("a list of mail addresses that are told of each message", default=[]),
    "attach": Switch("the mail has the message as a WAV file; else a link only", default=True)})

MAIL = Section("the mail server to which messages are given", {
    "host": Text("its name or address; empty: no mail", pattern=r"[A-Za-z0-9.:-]{0,200}", hint="give a host name or address", default=""),
    "port": Whole("its port", 1, 65535, default=25),
    "security": Text("none, starttls or tls", choices=("none", "starttls", "tls"), default="none"),
    "user": Text("the name for the log-in; empty: none", default=""),
    "password": Secret("its password", default=""),
    "from": Text("the sender's address", pattern=r"(%s)?" % ADDRESS, hint="give one mail address", default=""),
    "link": Text("the beginning of the link to a message, for example https://switch.example/api/v1/messages/", default="")})

PARTS = {"mailboxes": Rows("mailboxes for messages of callers", MAILBOX, key="name", most=2000), "mail": MAIL}


def check(result):
    """ConfigErrors of references.  result: the configuration with every default filled in."""
    errors, used = [], {}
    lines = {row["name"] for row in result["lines"]}
    for index, row in enumerate(result["mailboxes"]):
        here = f"mailboxes[{index}]"
        for name in ("lines", "email"):
            if not isinstance(row[name], list) or any(not isinstance(item, str) for item in row[name]):
                errors.append(ConfigError(f"{here}.{name}", "give a list in square brackets of texts in quotes"))
                row = dict(row, **{name: []})
        for place, line in enumerate(row["lines"]):
            if line not in lines:
                errors.append(ConfigError(f"{here}.lines[{place}]", f"there is no line {line[:40]!r}; create it first or choose another"))
            elif line in used:
                errors.append(ConfigError(f"{here}.lines[{place}]", f"line {line!r} has the lamp of mailbox {used[line]!r}; a telephone has one"))
            used.setdefault(line, row["name"])
        for place, address in enumerate(row["email"]):
            if not re.fullmatch(ADDRESS, address):
                errors.append(ConfigError(f"{here}.email[{place}]", f"{address[:40]!r} is no mail address; give one such as name@example.org"))
        if row["email"] and not (result["mail"]["host"] and result["mail"]["from"]):
            errors.append(ConfigError(f"{here}.email", "needs mail.host and mail.from; give the mail server, or leave the list empty"))
        if row["min_s"] >= row["max_s"]:
            errors.append(ConfigError(f"{here}.min_s", "is not below max_s; give less"))
    if result["mail"]["user"] and result["mail"]["security"] == "none":
        errors.append(ConfigError("mail.security", "the password would go over the network in clear; use starttls or tls, or no user"))
    return errors
