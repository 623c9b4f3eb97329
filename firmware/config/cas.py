"""Settings of spans with channel-associated signalling: R2 ("r2"), E&M and loop or ground start ("cas")."""

import re

from firmware.call.trunk_group import bearers
from firmware.config.field import IMPACT_SPAN, Number, Section, Switch, Table, Text, Whole
from firmware.errors import ConfigError

R2_VARIANTS = ("ar", "br", "cn", "co", "cz", "ec", "id", "itu", "mx", "ph", "ve")     # files of boardconfig/r2; a test compares
CATEGORIES = ("subscriber", "priority", "maintenance", "coin", "operator", "data", "international", "international_data",
              "international_priority", "international_operator", "collect", "toll_operator", "toll_automatic",
              "verification", "test")           # proto/r2/variant.py; a test compares
PROTOCOLS = ("em_immediate", "em_wink", "em_delay", "fgb", "fgd", "fxo_loop", "fxo_ground", "fxs_loop", "fxs_ground")
DIRECTIONS = ("both", "in", "out")
LONGEST_TIMER_MS = 600000
R2_TIMERS = ("T_SEIZE", "T_ABANDON", "T_DOUBLE", "T_GUARD", "T_RELEASE", "T_METERING", "T_PULSE", "T_DOUBLE_ANSWER", "T1", "T2", "T3",
             "T_DIGIT", "T_DECIDE", "T_PULSE_DELAY", "T_DEAF", "T_ANSWER_DELAY", "T_ANSWER", "T_CLEAR_BACK", "T_HELD", "T_ALARM",
             "T_DTMF_START", "T_DTMF_OFF", "T_FIRST_DIGIT", "T_INTERDIGIT")
CAS_TIMERS = ("T_START_DELAY", "T_WINK_WAIT", "T_WINK_MIN", "T_WINK_MAX", "T_DELAY_MAX", "T_WINK_DELAY", "T_WINK", "T_AFTER_WINK",
              "T_DISCONNECT", "T_GUARD", "T_RELEASE", "T_BREAK", "T_MAKE", "T_PAUSE", "T_DIGIT_END", "T_DIAL_TONE", "T_TIP_GROUND",
              "T_RING_ON", "T_RING_OFF", "T_RING_GONE", "T_OPEN", "T_ANSWER", "T_ASSUME", "T_ACK", "T_ALARM", "T_DTMF_OFF",
              "T_FIRST_DIGIT", "T_INTERDIGIT")

_COMMON = {
    "circuits": Text("the timeslots in use; empty: all", pattern=r"([0-9]{1,2}(-[0-9]{1,2})?(,[0-9]{1,2}(-[0-9]{1,2})?)*)?",
                     hint="give numbers and ranges, for example 1-15,17-31", default="", impact=IMPACT_SPAN),
    "direction": Text("who may begin a call on it", choices=DIRECTIONS, default="both", impact=IMPACT_SPAN),
    "called_length": Whole("how many digits of the called number are asked for; 0: as many as our numbers need", 0, 32, default=0,
                           impact=IMPACT_SPAN),
    "timers": Table("timers of the protocol that are not the standard's, in ms",
                    Whole("the time", 0, LONGEST_TIMER_MS, unit="ms"), impact=IMPACT_SPAN)}

R2 = Section("R2 signalling of this span", {
    **_COMMON,
    "variant": Text("the country's form of R2", choices=R2_VARIANTS, default="cn", impact=IMPACT_SPAN),
    "address": Text("how numbers come: mfc, compelled multi-frequency signals; dtmf, without caller and category",
                    choices=("mfc", "dtmf"), default="mfc", impact=IMPACT_SPAN),
    "caller": Text("what is asked for of the caller", choices=("number", "category", "none"), default="number", impact=IMPACT_SPAN),
    "caller_after": Whole("after how many digits of the called number the caller is asked for; 0: after the last", 0, 32, default=0,
                          impact=IMPACT_SPAN),
    "caller_length": Whole("how many digits of the caller's number are asked for; 0: all", 0, 32, default=0, impact=IMPACT_SPAN),
    "pulse_caller": Switch("ask for the caller by a pulsed signal where the number ended by silence", default=False,
                           impact=IMPACT_SPAN),
    "category": Text("the category that our outgoing calls show", choices=CATEGORIES, default="subscriber", impact=IMPACT_SPAN),
    "charge": Switch("callers pay for the calls that we answer", default=True, impact=IMPACT_SPAN),
    "immediate": Switch("accept by A-6 instead of a signal of group B, where the variant has it", default=False, impact=IMPACT_SPAN),
    "double_answer": Switch("refuse collect calls by a double answer (Brazil)", default=False, impact=IMPACT_SPAN),
    "hold_clear_back_s": Whole("how long a clear-back is taken for a break only; 0: it ends the call", 0, 120, unit="s", default=0,
                               impact=IMPACT_SPAN)}, impact=IMPACT_SPAN)

CAS = Section("E&M, loop or ground start signalling of this span", {
    **_COMMON,
    "protocol": Text("E&M with immediate, wink or delay dial start, feature group B or D; fxo: we look like telephones to an "
                     "exchange, fxs: like an exchange to telephones", choices=PROTOCOLS, default="em_wink", impact=IMPACT_SPAN),
    "address": Text("how numbers come; protocol: as is usual with it", choices=("protocol", "dtmf", "mf", "pulse", "none"),
                    default="protocol", impact=IMPACT_SPAN),
    "glare": Text("who keeps a circuit that both ends seize: yield, the far end; hold, we", choices=("yield", "hold"), default="yield",
                  impact=IMPACT_SPAN),
    "pilot": Number("fxo: the number that a ringing line is taken to have called", pattern=r"[0-9*#]{0,32}", hint="give digits only",
                  default="", impact=IMPACT_SPAN),
    "answer_after_s": Whole("fxo: a call out counts as answered so long after its digits", 0, 120, unit="s", default=0,
                            impact=IMPACT_SPAN)}, impact=IMPACT_SPAN)


def check_span(row, path):
    """ConfigErrors of one span's row; its values have the right types."""
    errors, kind = [], row["signalling"]
    if kind not in ("r2", "cas"):
        return errors
    settings, here = row[kind], "%s.%s" % (path, kind)
    last = 31 if row["type"] == "e1" else 24
    for first, _, end in [part.partition("-") for part in settings["circuits"].split(",") if part]:
        end = end or first
        if not 1 <= int(first) <= int(end) <= last:
            errors.append(ConfigError(here + ".circuits", "%s is no range of timeslots of this span: they are 1 to %d"
                                      % (first if first == end else first + "-" + end, last)))
    if not errors and not bearers(row):
        errors.append(ConfigError(here + ".circuits", "no circuit is left; timeslot 16 of an E1 carries the signalling"))
    if kind == "r2" and row["type"] != "e1":
        errors.append(ConfigError(path + ".signalling", "R2 needs timeslot 16 of an E1 span; a T1 or J1 has cas"))
    known = R2_TIMERS if kind == "r2" else CAS_TIMERS
    for name in settings["timers"]:
        if name not in known:
            errors.append(ConfigError("%s.timers.%s" % (here, re.sub(r"[^\w]", "?", name)[:32]), "is no timer of this signalling; "
                                      "known are %s" % ", ".join(known)))
    if kind == "cas":
        errors += _check_cas(row, settings, here)
    elif settings["hold_clear_back_s"] and settings["timers"].get("T_CLEAR_BACK"):
        errors.append(ConfigError(here + ".timers.T_CLEAR_BACK", "is what hold_clear_back_s says; remove one of them"))
    return errors


def _check_cas(row, settings, here):
    protocol, address = settings["protocol"], settings["address"]
    if row["type"] == "e1" and protocol[:2] == "fx":
        yield ConfigError(here + ".protocol", "loop and ground start are signals of a T1; an E1 span has the em_ and fg protocols")
    if protocol in ("fgb", "fgd") and address not in ("protocol", "mf"):
        yield ConfigError(here + ".address", "feature groups have MF digits; choose protocol")
    if settings["pilot"] and protocol[:3] != "fxo":
        yield ConfigError(here + ".pilot", "is for fxo protocols, where no digits come; leave it empty")
    if settings["answer_after_s"] and protocol[:3] != "fxo":
        yield ConfigError(here + ".answer_after_s", "is for fxo protocols, which have no answer signal; give 0")
