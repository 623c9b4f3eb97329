"""Settings of PRI spans: NFAS, timers, numbering of channels."""

from firmware.config.field import IMPACT_SPAN, Section, Table, Text, Whole
from firmware.errors import ConfigError

# Timers of proto/q931/codes.py that run on a primary rate; a test compares.
TIMER_NAMES = ("T301", "T302", "T303", "T304", "T305", "T306", "T308", "T309", "T310", "T313", "T316", "T322")
BACKED_UP = ("ni2", "5ess", "dms100")       # variants with a back-up D channel; EN 300 403 has none

NFAS = Section("several spans with one D channel (non-facility associated signalling)", {
    "group": Text("the name that its spans share; empty: this span has a D channel of its own", pattern=r"[A-Za-z0-9_.-]{0,32}",
                  hint="use letters, digits, dot, dash and underline, at most 32", default="", impact=IMPACT_SPAN),
    "interface": Whole("the interface identifier of the span (Q.931 4.5.13), as the far end has it", 0, 126, default=0, impact=IMPACT_SPAN),
    "d_channel": Text("primary: carries the D channel of the group; backup: carries the one that takes over; none: bearers only",
                      choices=("primary", "backup", "none"), default="primary", impact=IMPACT_SPAN)})
LEAST_MS = 100
TIMERS = Table("timers of Q.931 that differ from the standard's, by name, in ms; T309 of the user side may be 0: calls end with their D channel (5.8.9)",
               Whole("how long", 0, 600000, unit="ms"))
RESTART_IGNORED = Text("what becomes of channels whose RESTART the far end never answers (T316 twice): alarm, and they stay in use, or block, and a "
                       "person puts them in service again (Q.931 5.5.1.1)", choices=("alarm", "block"), default="alarm", impact=IMPACT_SPAN)
CHANNEL_NUMBERING = Text("what a channel number means: timeslot, 1 to 31, or consecutive, 1 to 30 of an E1 (Q.931 4.5.13)",
                         choices=("timeslot", "consecutive"), default="timeslot", impact=IMPACT_SPAN)


CHANNEL_FORM = Text("how our messages name a channel: by its number, or by the slot map, a bit for each timeslot, which is read from the far end in any case "
                    "(Q.931 4.5.13)", choices=("number", "map"), default="number", impact=IMPACT_SPAN)


def check(result):
    """ConfigErrors of a whole configuration."""
    errors, groups = [], {}
    for i, row in enumerate(result["spans"]):
        for name, value in row["timers"].items():
            if value < LEAST_MS and (value, name, row["side"]) != (0, "T309", "user"):
                errors.append(ConfigError(f"spans[{i}].timers.{name}", f"is {value}; give {LEAST_MS} to 600000 ms (only T309 of the user side may be 0)"))
            if name not in TIMER_NAMES:
                errors.append(ConfigError(f"spans[{i}].timers.{name}", f"is no timer that can be set; choose one of {', '.join(TIMER_NAMES)}"))
        if row["nfas"]["group"] and row["signalling"] == "pri" and row["enabled"]:
            groups.setdefault(row["nfas"]["group"], []).append((i, row))
    for name, members in sorted(groups.items()):
        errors.extend(_check_group(name, members))
    return errors


def _check_group(name, members):
    first, row = members[0]
    here = f"spans[{first}].nfas"
    for kind, most in (("primary", 1), ("backup", 1)):
        found = [i for i, other in members if other["nfas"]["d_channel"] == kind]
        if len(found) > most or (kind == "primary" and not found):
            return [ConfigError(f"{here}.d_channel", f"group {name} has {len(found)} spans with the {kind} D channel; "
                                + ("give one span the primary" if kind == "primary" else "at most one may have the back-up"))]
        if kind == "backup" and found and row["variant"] not in BACKED_UP:
            return [ConfigError(f"spans[{found[0]}].nfas.d_channel", f"variant {row['variant']} has no back-up D channel; use none, or one of "
                                                                    f"{', '.join(BACKED_UP)}")]
    for i, other in members[1:]:
        for key in ("variant", "side", "type", "trunk_group"):
            if other[key] != row[key]:
                return [ConfigError(f"spans[{i}].{key}", f"differs from that of span {row['span']}, which has the same D channel (group {name})")]
    seen = {}
    for i, other in members:
        interface = other["nfas"]["interface"]
        if interface in seen:
            return [ConfigError(f"spans[{i}].nfas.interface", f"{interface} is that of span {seen[interface]} too; the far end tells them apart by it")]
        seen[interface] = other["span"]
    return []
