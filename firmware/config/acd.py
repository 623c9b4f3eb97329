"""Settings of agents' work and of telephone operations: what schema.py takes into its sections."""

from firmware.call import outside
from firmware.call.routing import FEATURES, WITH_ARGUMENT
from firmware.config.field import Anything, Number, Rows, Secret, Section, Several, Switch, Text, Whole
from firmware.errors import ConfigError

NAME = r"[A-Za-z0-9_.-]{1,32}"
CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00"

COMFORT = Section("a message for who waits", {
    "prompt": Text("what is said, in the languages of the call", pattern=NAME,
                   hint="use letters, digits, dot, dash and underline, at most 32", required=True),
    "after_s": Whole("after this wait in the queue", 1, 3600, unit="s", required=True),
    "every_s": Whole("then again and again after so long; 0: once", 0, 3600, unit="s", default=0)})

TIER = Section("from when on a level of agents is asked", {
    "level": Whole("the level; those above it come with it, where they have no row of their own", 2, 9, required=True),
    "after_s": Whole("after this wait in the queue", 1, 86400, unit="s", required=True)})

CALLBACK_HOURS = Section("hours on some days of the week", {
    "days": Text("the days, 1 Monday to 7 Sunday", pattern=r"[1-7]{1,7}", hint="give digits from 1 to 7, for example 12345",
                 default=outside.ALL_DAYS),
    "from": Text("from when on", pattern=CLOCK, hint="give hours and minutes, for example 08:30", default="00:00"),
    "to": Text("until when; before `from`: over midnight", pattern=CLOCK, hint="give hours and minutes, for example 18:00",
               default="24:00")})

CALLBACK = Section("calling back who does not want to wait, at the place that was kept", {
    "enabled": Switch("callbacks can be asked for", default=False),
    "key": Text("the key by which a waiting caller asks for it, best told by a comfort message; empty: none", pattern=r"[0-9*#]?",
                hint="give one key of the telephone", default=""),
    "first": Text("who is called first when the place is reached: agent (hears it ring) or caller (waits for the agent)",
                  choices=("agent", "caller"), default="agent"),
    "blend": Text("how callbacks stand to callers who wait: equal (by priority and waiting time), inbound_first (only when nobody waits who "
                  "can be served) or outbound_first", choices=("equal", "inbound_first", "outbound_first"), default="equal"),
    "attempts": Whole("how often a caller is called who is busy or does not answer", 1, 20, default=3),
    "retry_s": Whole("after which it is tried again", 10, 86400, unit="s", default=900),
    "ring_s": Whole("how long the caller's telephone rings", 5, 120, unit="s", default=45),
    "expires_s": Whole("after which it is given up", 60, 1209600, unit="s", default=86400),
    "prefix": Number("digits put before the caller's number, so that a route takes it", pattern=r"\+?[0-9*#]{0,20}", hint="give digits only",
                   default=""),
    "classes": Several("the kinds of numbers that may be called back", outside.CLASSES[1:], default=["local", "national"]),
    "hours": Rows("when callers are called back; empty: always", CALLBACK_HOURS, most=32)})

QUEUE_FIELDS = {
    "callback": CALLBACK,
    "announce": Text("what is told each announce_position_s: the position, the expected wait in minutes (as soon as it is known), or both",
                     choices=("position", "wait", "both"), default="position"),
    "ring_most": Whole("how many telephones ring at once for a caller, where the strategy is ring_all", 2, 100, default=20),
    "tiers": Rows("levels of agents that are asked only after a wait; the others are asked as soon as nobody of a lower level is ready",
                  TIER, key="level", most=8),
    "last_agent_wait_s": Whole("how long a caller is kept for the agent of the last call, where that one is busy; needs last_agent_days",
                               0, 600, unit="s", default=0),
    "owner_wait_s": Whole("how long a caller is kept for the agent whom the flow or a lookup names, where that one is busy", 0, 600, unit="s",
                          default=0),
    "comfort": Rows("messages for who waits; one that falls into another announcement comes later", COMFORT, most=16),
    "wrap_up_s": Whole("after-call work after its calls; -1: as the agent's setting says", -1, 3600, unit="s", default=-1),
    "missed_offers": Whole("after how many offers in a row that an agent did not take the agent is set away; 0: never", 0, 20, default=1),
    "missed_pause_s": Whole("how long an agent is not asked after an offer that was not taken, where not set away", 0, 600, unit="s",
                            default=5)}

AGENT_FIELDS = {
    "line": Text("the line of the agent's phone; empty: the agent logs in at some line", pattern="(%s)?" % NAME,
                 hint="use letters, digits, dot, dash and underline, at most 32", default=""),
    "pin": Secret("the code asked for when the agent logs in at a phone; empty: none", pattern=r"([0-9]{4,12})?",
                  hint="use 4 to 12 digits", default=""),
    "auto_answer": Switch("ask the agent's phone to answer calls of queues by itself", default=False),
    "wrap_up_extension_s": Whole("by how much after-call work grows when the agent asks for it", 1, 3600, unit="s", default=30),
    "wrap_up_extensions": Whole("how often the agent may ask for it after one call", 0, 20, default=2)}

BREAK_REASON = Section("a reason for a break", {
    "name": Text("the reason as it is recorded", pattern=NAME, hint="use letters, digits, dot, dash and underline, at most 32", required=True),
    "label": Text("what pages show", default="")})

FEATURE_CODE = Section("what a phone of ours does by dialling", {
    "code": Text("the digits, best with a star in front", pattern=r"[0-9*#]{1,8}", hint="use digits, * and #, at most 8", required=True),
    "action": Text("what it does; %s are followed by an agent, a line, a place or the number of a reason" % ", ".join(WITH_ARGUMENT),
                   choices=FEATURES, required=True),
    "reason": Text("of a break", pattern="(%s)?" % NAME, hint="use a name of break_reasons", default="")})

ANNOUNCEMENT = Section("what callers hear while it is switched on, for example in an emergency", {
    "name": Text("the name of the switch", pattern=NAME, hint="use letters, digits, dot, dash and underline, at most 32", required=True),
    "label": Text("what pages show", default=""),
    "prompt": Text("what is said, in the languages of the call", pattern=NAME,
                   hint="use letters, digits, dot, dash and underline, at most 32", required=True),
    "then": Text("what becomes of the caller: go_on to where the call would have gone, or clear", choices=("go_on", "clear"),
                 default="go_on"),
    "numbers": Anything("a list of our numbers whose callers hear it; without numbers and queues: callers of all numbers", default=[]),
    "queues": Anything("a list of queues whose callers hear it before they wait", default=[])})

FAX_TO = Number("the number of ours to which callers go who turn out to be fax machines before anybody talks with them (the trunk group's "
              "fax_detection must be on); empty: they stay", pattern=r"([0-9*#]{1,32})?", hint="give digits only", default="")

PARTS = {
    "break_reasons": Rows("the reasons for a break that agents choose from; empty: any text", BREAK_REASON, key="name", most=100),
    "feature_codes": Rows("what phones of ours do by dialling", FEATURE_CODE, key="code", most=100),
    "announcements": Rows("announcements that are switched on and off while the switch runs", ANNOUNCEMENT, key="name", most=100),
    "park": Section("parked calls", {
        "first": Whole("the number of the first place", 0, 90000, default=701),
        "places": Whole("how many places there are", 1, 1000, default=20),
        "timeout_s": Whole("after which a call goes back to who parked it", 10, 3600, unit="s", default=120)})}


def check(result):
    """ConfigErrors of references between these parts.  result: the configuration with every default filled in."""
    errors = []
    known = [row["name"] for row in result["break_reasons"]]
    for index, row in enumerate(result["feature_codes"]):
        here = f"feature_codes[{index}]"
        if row["action"] == "break" and known and row["reason"] not in known:
            errors.append(ConfigError(f"{here}.reason", f"{row['reason']!r} is no reason for a break; choose one of {', '.join(known)}"))
        if row["action"] == "break_reason" and not known:
            errors.append(ConfigError(f"{here}.action", "needs a list of break_reasons; add it"))
        for other in result["numbers"]:
            if other["number"].startswith(row["code"]):
                errors.append(ConfigError(f"{here}.code", f"the number {other['number']} begins with it and could not be dialled from our phones; "
                                          "choose another code"))
    for index, row in enumerate(result["announcements"]):
        for part, there in (("numbers", [other["number"] for other in result["numbers"]]), ("queues", [other["name"] for other in result["queues"]])):
            here = f"announcements[{index}].{part}"
            if not isinstance(row[part], list):
                errors.append(ConfigError(here, f"give a list of {part} in square brackets"))
                continue
            for place, item in enumerate(row[part]):
                if item not in there:
                    errors.append(ConfigError(f"{here}[{place}]", f"{str(item)[:40]!r} is none of the {part}; add it or correct the name"))
    for index, row in enumerate(result["queues"]):
        tiers = sorted(row["tiers"], key=lambda tier: tier["level"])
        for one, other in zip(tiers, tiers[1:]):
            if other["after_s"] < one["after_s"]:
                errors.append(ConfigError(f"queues[{index}].tiers", f"level {other['level']} would be asked before level {one['level']}; "
                                          "give the higher level the longer wait"))
        if row["last_agent_wait_s"] and not row["last_agent_days"]:
            errors.append(ConfigError(f"queues[{index}].last_agent_wait_s", "needs last_agent_days; set it, or give 0"))
        for place, message in enumerate(row["comfort"]):
            if 0 < message["every_s"] < 5:
                errors.append(ConfigError(f"queues[{index}].comfort[{place}].every_s", "is too short to be heard; give 0 (once) or 5 and more"))
    ours = {row["number"]: row for row in result["numbers"]}
    for index, row in enumerate(result["numbers"]):
        here = f"numbers[{index}].fax_to"
        if row["fax_to"] and row["fax_to"] not in ours:
            errors.append(ConfigError(here, f"{row['fax_to']} is none of the numbers; add it or choose one of them"))
        elif row["fax_to"] == row["number"]:
            errors.append(ConfigError(here, "is the number itself; choose another one, or leave it empty"))
    return errors
