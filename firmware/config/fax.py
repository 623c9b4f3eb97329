"""Settings of documents that the box sends to numbers: what schema.py takes into its sections."""

from firmware.call import outside
from firmware.config.field import Number, Section, Several, Switch, Text, Whole

SECTION = Section("documents that are sent to numbers by fax, by a person or a flow", {
    "enabled": Switch("documents may be sent to numbers; each one is a call that costs money", default=False),
    "prefix": Number("digits put before the number, so that a route takes it", pattern=r"\+?[0-9*#]{0,20}", hint="give digits only", default=""),
    "classes": Several("the kinds of numbers to which documents may be sent", outside.CLASSES[1:], default=["local", "national"]),
    "attempts": Whole("how often a number is called that is busy, does not answer, or whose machine does not take all pages", 1, 20, default=3),
    "retry_s": Whole("after which it is tried again", 10, 86400, unit="s", default=300),
    "expires_s": Whole("after which it is given up", 60, 1209600, unit="s", default=86400),
    "ring_s": Whole("how long the number rings", 5, 120, unit="s", default=60),
    "at_once": Whole("how many are sent at the same time", 1, 32, default=2),
    "station": Text("who we say we are (T.30: up to 20 digits, + and blanks); empty: nobody", pattern=r"[0-9+ ]{0,20}", hint="give digits, + and blanks, at most 20", default=""),
    "header": Text("the line at the top of each page; empty: none", pattern=r"[^{}]{0,50}", hint="give at most 50 characters without curly brackets", default="")})
