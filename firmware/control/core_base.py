"""What all decisions of the switchboard share: state, configuration, records and actions.

A decision is a function of the modules core_calls, core_ivr, core_queues, core_ending and core_recovery; it
gets the Core, looks at core.state and core's configuration, and says what shall be:

    core.emit("leg.answered", call=call.id, leg=leg, by="near")     state has changed when this returns
    core.act("leg.answer", leg=leg)                                 goes out after the commit

Nothing else may change core.state.  core.touch(queue) asks for a look at that
queue's callers and agents at the end of the event (core_dispatch.dispatch).
"""

from firmware.acd.agent import LOGGED_OUT
from firmware.acd.strategy import strategy_of
from firmware.call import outside
from firmware.call.records import make
from firmware.call.routing import Router
from firmware.call.trunk_group import groups_of
from firmware.control import core_callback_rules
from firmware.control.core_ready import Ready
from firmware.control.core_state import CoreState

# Who ended a call, as the CDR names them.
CALLER = "caller"
AGENT = "agent"
CALLEE = "callee"
SWITCH = "switch"

# Q.850 causes that the switchboard gives.
NORMAL = 16
BUSY = 17
NO_ANSWER = 19
SUBSCRIBER_ABSENT = 20
ELSEWHERE = 26             # non-selected user clearing: another telephone has answered
TEMPORARY_FAILURE = 41

# Invented: longest time for an adapter to end a leg. Above T305 + T308 twice (38 s) and SIP's 64 T1 (32 s).
RELEASE_GUARD_MS = 60000
# Invented: longest prompt that we wait for; then its end is assumed lost.
PROMPT_GUARD_MS = 180000
# Invented: how long media may take to close a recording.
RECORDING_GUARD_MS = 60000

# Zones without summer time, so that the core needs no zone database; control passes a function for the others.
FIXED_ZONES_MS = {"Asia/Shanghai": 28800000, "Asia/Hong_Kong": 28800000, "Asia/Taipei": 28800000, "Asia/Singapore": 28800000,
                  "Asia/Tokyo": 32400000, "Asia/Seoul": 32400000, "UTC": 0, "Etc/UTC": 0}


def civil_date(days):
    """Days since 1970-01-01 -> (year, month, day), proleptic Gregorian."""
    days += 719468                                  # to 0000-03-01, so that a leap day ends the year
    era = days // 146097
    day_of_era = days - era * 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year_of_era + era * 400 + (1 if month <= 2 else 0), month, day


class Core:
    """State, configuration, and what the present event has decided so far.

    config: plain data checked by firmware/config/schema.py; ids: .next(prefix); utc_offset_ms: function(utc_ms) or None.
    ways_on: what a flow's command leads to, {"do": function(core, call, command)}.  unusable: function, {(span, timeslot)} that take no call though their
    span is up.
    Raises ConfigError on a configuration that cannot route."""

    def __init__(self, config, ids, utc_offset_ms, ways_on, unusable=tuple):
        self.ids = ids
        self.ways_on = ways_on
        self.unusable = unusable
        self.now_ms = 0
        self.records = []
        self.actions = []
        self.touched = {}
        self.unfed = {}                 # queues that were touched since campaigns were looked at
        self.answer = None              # what the present command found out
        self.refusal = None             # why the present command was not carried out
        self.home_due = []              # what is asked of legs on home telephones: core_home.settle, at the end of the event
        self.secrets = {}               # call -> digits that are written nowhere, not even into the state
        self.private = {}               # call -> secret entries of its flow; written nowhere either
        self._given_offset = utc_offset_ms
        self.state = None
        self.ready = Ready(self)
        self.configure(config)
        self.state = CoreState(groups_of(config), self.utc_offset_ms, self._initial)

    def configure(self, config):
        """Take a configuration.  Raises ConfigError and changes nothing if it cannot route."""
        router = Router(config)
        strategies = {}
        queues = config.get("queues") or []
        for index in range(len(queues)):
            strategies[queues[index]["name"]] = strategy_of(queues[index].get("strategy", "longest_idle"), "queues[%d].strategy" % index)
        groups = groups_of(config)
        self.router, self.strategies, self.config = router, strategies, config
        self.strategy_names = dict([(queue["name"], queue.get("strategy", "longest_idle")) for queue in queues])
        self.site = config.get("site") or {}
        self.flows = config.get("ivr") or {}
        self.queue_names = [queue["name"] for queue in queues]
        self.queue_configs = {}
        self.members = {}               # queue -> [(agent, level, weight)] in configured order
        for queue in queues:
            self.queue_configs[queue["name"]] = queue
            self.members[queue["name"]] = []
        self.agent_names = []
        self.agent_configs = {}
        self.agent_of_line = {}
        self._initial = {}
        for agent in config.get("agents") or []:
            name = agent["name"]
            self.agent_names.append(name)
            self.agent_configs[name] = agent
            self._initial[name] = agent.get("initial_status", LOGGED_OUT)
            if agent.get("line"):
                self.agent_of_line[agent["line"]] = name
        self.make_members()
        self.line_rows = {}
        for line in config.get("lines") or []:
            self.line_rows[line["name"]] = line
        self.home_rows = dict([(name, row) for name, row in self.line_rows.items() if (row.get("home") or {}).get("number")])
        self.sip_trunk_rows = dict([(row["name"], row) for row in config.get("sip_trunks") or []])
        self.line_names = [line["name"] for line in config.get("lines") or []]
        self.announcement_rows = {}
        for row in config.get("announcements") or []:
            self.announcement_rows[row["name"]] = row
        self.services = dict([(row["name"], row["kind"]) for row in config.get("services") or []])
        self.mailbox_rows = dict([(row["name"], row) for row in config.get("mailboxes") or []])
        self.vips = [row for row in config.get("caller_lists") or [] if row["treatment"] == "vip"]
        self.do_not_call = core_callback_rules.never_called([row for row in config.get("caller_lists") or [] if row["treatment"] == "do_not_call"],
                                                            (config.get("desk") or {}).get("country") or "86")
        self.screening = [row for row in config.get("caller_lists") or [] if row["treatment"] in ("blocked", "allowed")]
        self.duty_rows = dict([(row["name"], row) for row in config.get("duty") or []])
        self.calendars = dict([(row["name"], row["days"]) for row in config.get("calendars") or []])
        self.lookup_rows = dict([(row["name"], row) for row in config.get("lookups") or []])
        self.number_rows = {}
        for number in config.get("numbers") or []:
            self.number_rows[number["number"]] = number
        self.group_rows = {}
        for group in config.get("trunk_groups") or []:
            self.group_rows[group["name"]] = group
        # Where ringing tone is ours to give: Q.931 by the side, SS7 and CAS always (Q.764 2.1.4: the exchange of the called party).
        self.network_spans = [span["span"] for span in config.get("spans") or []
                              if span.get("side") == "network" or span.get("signalling") in ("ss7", "r2", "cas")]
        # Who is a subscriber of ours at a PRI is not told a number that is restricted; other exchanges are, which keep it to themselves.
        self.subscriber_spans = [span["span"] for span in config.get("spans") or [] if span.get("side") == "network" and span.get("signalling", "pri") == "pri"
                                 and span.get("variant", "etsi") != "qsig"]
        # Whose callers are behind us, not a carrier's: what they dial is an emergency number before it is a number of ours.
        self.home_groups = set([span.get("trunk_group") for span in config.get("spans") or [] if span.get("side") == "network" and span.get("signalling", "pri") == "pri"
                                or span.get("signalling") == "cas" and (span.get("cas") or {}).get("protocol", "")[:3] == "fxs"])
        self.mcid_spans = [span["span"] for span in config.get("spans") or [] if span.get("signalling", "pri") == "pri"
                           and span.get("variant", "etsi") == "etsi" and span.get("side", "user") == "user"]
        self.span_techs = {}
        for span in config.get("spans") or []:
            self.span_techs[span["span"]] = span.get("signalling", "pri")
        if self.state is not None:
            self._take_over(groups)

    def make_members(self):
        """Who serves which queue: the configuration, or what a supervisor has ordered since."""
        for queue in self.members:
            self.members[queue] = []
        for name in self.agent_names:
            ordered = self.state.assigned.get(name) if self.state is not None else None
            rows = (self.agent_configs[name].get("queues") or []) if ordered is None else ordered
            for member in rows:
                if member["queue"] in self.members:
                    self.members[member["queue"]].append((name, member.get("level", 1), member.get("weight", 10)))
        self.rivals = {}                # queue -> core_ahead.rivals(), as it is asked for
        self.memberships = {}           # agent -> [(queue, level, place, weight)]
        self.places = {}                # queue -> {agent: place}
        for queue in self.members:
            places = self.places[queue] = {}
            for name, level, weight in self.members[queue]:
                self.memberships.setdefault(name, []).append((queue, level, len(places), weight))
                places[name] = len(places)
        self.ready.mark_all()

    def _take_over(self, groups):
        """The configuration changes under a living state: trunks that are held stay held."""
        self.state.initial = self._initial
        for name in sorted(self.state.groups):
            old = self.state.groups[name]
            if name in groups:
                groups[name].take_over(old)
            elif old.seized():
                groups[name] = old
        self.state.groups = groups
        for name in self.agent_names:
            self.state.agent(name)
        for queue in self.queue_names:
            self.touch(queue)

    def utc_offset_ms(self, utc_ms):
        """Offset of the site's time."""
        if self._given_offset is not None:
            return self._given_offset(utc_ms)
        return FIXED_ZONES_MS.get(self.site.get("timezone"), 0)

    def emit(self, kind, call=None, leg=None, agent=None, queue=None, **data):
        """Record a change and apply it."""
        record = make(kind, self.now_ms, call, leg, agent, queue, data)
        self.records.append(record)
        known = self.state.legs.get(leg) if leg is not None else None
        line = known.line if known is not None else None
        if agent is not None and kind in ("agent.seated", "agent.unseated"):
            line = self.state.agent(agent).seat         # its own agent may be ready from now on
        self.state.apply(record)
        self.ready.mark(record, line)
        return record

    def act(self, do, **parameters):
        """Ask for an action; media actions only while media is there."""
        if self.state.serving or self.home_rows:
            parameters = self._at_home(do, parameters)
            if parameters is None:
                return
        if do[:6] == "media.":
            leg = self.state.legs.get(parameters.get("leg"))
            if not self.state.media_up or leg is not None and leg.tech == "none":
                return
        action = {"do": do}
        action.update(parameters)
        self.actions.append(action)

    def _at_home(self, do, parameters):
        """The same for the trunk's leg that serves a home telephone; None: nothing is left to do outside."""
        leg = parameters.get("leg")
        if do == "media.subtract" and leg in self.state.serving:
            self.home_due.append(("gone", leg, None))
            return None
        if do[:4] == "leg.":
            if not self.is_at_home(leg):
                return parameters
            if do in ("leg.create", "leg.release"):
                self.home_due.append((do[4:], leg, parameters.get("cause")))
            return None
        for name in ("leg", "from", "to", "left", "right"):
            if parameters.get(name) is not None and self.is_at_home(parameters[name]):
                parameters[name] = self.real_leg(parameters[name])
                if parameters[name] is None and name in ("leg", "from", "to"):
                    return None
        if parameters.get("legs"):
            real = [self.real_leg(leg) for leg in parameters["legs"]]
            parameters["legs"] = [leg for leg in real if leg is not None]
        for name in ("gain_db", "muted"):
            value = parameters.get(name)
            if value:
                real = [(self.real_leg(leg), leg) for leg in value]
                real = [row for row in real if row[0] is not None]
                parameters[name] = dict([(row[0], value[row[1]]) for row in real]) if isinstance(value, dict) else [row[0] for row in real]
        return parameters

    def is_at_home(self, leg):
        """Whether a leg is on a home telephone, or was."""
        return isinstance(leg, str) and leg[:1] == "h"

    def real_leg(self, leg):
        """The leg that adapters and media know: that of the trunk where it is on a home telephone; None: nobody is there yet."""
        if not self.is_at_home(leg):
            return leg
        row = self.state.homes.get(self.state.serving.get(leg))
        return row["leg"] if row is not None and row["state"] == "up" else None

    def phone_leg(self, line):
        """(id, tech) of a new leg on a line."""
        return (self.ids.next("h"), "home") if line in self.home_rows else (self.ids.next("l"), "sip")

    def touch(self, queue):
        """This queue may have a caller for an agent now."""
        self.touched[queue] = self.unfed[queue] = True

    def queues_of(self, name):
        """Names of the queues that an agent serves."""
        return [row[0] for row in self.memberships.get(name) or ()]

    def touch_agent(self, name):
        """This agent may be ready now."""
        for queue in self.queues_of(name):
            self.touch(queue)

    def call_of(self, leg):
        """The call of a leg's id, or None."""
        known = self.state.legs.get(leg)
        return self.state.calls.get(known.call) if known is not None else None

    def agent_on(self, line):
        """Name of the agent whose line this is now, or None: who has logged in there, else the configured one."""
        name = self.state.seats.get(line)
        if name is not None and name in self.agent_configs:
            return name
        owner = self.agent_of_line.get(line) if line is not None else None
        return owner if owner is not None and self.state.agent(owner).seat in (None, line) else None

    def line_of(self, name):
        """The line at which an agent is now, or None."""
        seat = self.state.agent(name).seat
        if seat is not None:
            return seat
        line = (self.agent_configs.get(name) or {}).get("line") or None
        return line if line not in self.state.seats or self.agent_on(line) == name else None

    def refuse(self, sentence):
        """Say why a command is not carried out.  Returns False."""
        self.refusal = sentence
        return False

    def classes_of_line(self, line):
        """What a line may call: classes of call/outside.py."""
        classes = (self.line_rows.get(line) or {}).get("classes")
        return outside.LINE_CLASSES if classes is None else classes

    def helps(self, group):
        """What callers of a trunk group get who dial an emergency number: one of outside.HELP."""
        return (self.group_rows.get(group) or {}).get("emergency", outside.HELPED)

    def classes_of_group(self, group):
        """What callers of a trunk group may call outside: what the group says, and emergency numbers unless a person has ordered otherwise."""
        said = (self.group_rows.get(group) or {}).get("classes") or ()
        classes = tuple([kind for kind in said if kind != outside.EMERGENCY])
        return classes if self.helps(group) == outside.NOT_HELPED else classes + (outside.EMERGENCY,)

    def found(self, digits, complete, line, group):
        """What the router finds for a caller.  line: of ours that calls; None: a caller of a trunk group.  Returns (verdict, route)."""
        if line is not None:
            return self.router.find(digits, complete, True, outside.CLASSES)
        return self.router.find(digits, complete, False, self.classes_of_group(group), group in self.home_groups)

    def span_is_up(self, span):
        """Whether outgoing calls may be tried on a span or SIP trunk."""
        return (self.state.spans.get(span) or {}).get("state") == "up"

    def tech_of_span(self, span):
        """How calls on a span are signalled: one of leg.TRUNK_TECHS; on a SIP trunk, which has a name: "sip"."""
        return "sip" if isinstance(span, str) else self.span_techs.get(span, "pri")

    def is_absent(self, call):
        """Whether nobody is on a call's caller's side: a callback that waits, or whose caller is being dialled."""
        leg = self.state.legs.get(call.caller_leg)
        return leg is not None and leg.tech == "none"

    def local_time(self):
        """(weekday 1-7, minute of the day) of the site."""
        local_ms = self.now_ms + self.utc_offset_ms(self.now_ms)
        return (local_ms // 86400000 + 3) % 7 + 1, local_ms // 60000 % 1440     # 1970-01-01 was a Thursday

    def is_registered(self, line):
        """Whether a line is there."""
        return bool(self.state.lines.get(line))

    def owes(self, name, call):
        """Whether an agent has still to say what a call was about before after-call work may end.  call: id."""
        agent = self.state.agent(name)
        config = self.queue_configs.get(agent.queue) or {}
        return bool(config.get("disposition_required") and config.get("dispositions")) and agent.disposed != call

    def is_ready(self, name):
        """Whether a queue may offer this agent a call."""
        config = self.agent_configs.get(name)
        if config is None:
            return False
        agent = self.state.agent(name)
        if not agent.is_ready(True):
            return False
        line = self.line_of(name)
        return line is not None and self.is_registered(line) and line not in self.state.line_legs

    def takes_call(self, line):
        """Whether a call may ring at a line that is there: nobody is on it, or its telephone talks and has room for one that waits."""
        on_line = self.state.line_legs.get(line)
        if not on_line:
            return True
        most = (self.line_rows.get(line) or {}).get("call_waiting", 0) if line not in self.home_rows else 0
        return len(on_line) <= most and any([self.state.legs[leg].state == "answered" for leg in on_line])

    def is_waiting(self, leg):
        """Whether a leg rings at a telephone that talks."""
        others = [self.state.legs[other] for other in self.state.line_legs.get(leg.line) or [] if other != leg.id]
        return leg.line is not None and any([other.state == "answered" for other in others])

    def recording_path(self, call, recording, suffix=".wav"):
        """Relative path of a recording: by the site's day."""
        year, month, day = civil_date((self.now_ms + self.utc_offset_ms(self.now_ms)) // 86400000)
        return "recordings/%04d/%02d/%02d/%s-%s%s" % (year, month, day, call, recording, suffix)

    def release_leg(self, leg, cause):
        """Have a leg ended; once."""
        if leg.tech == "none":
            self.emit("leg.released", call=leg.call, leg=leg.id, cause=cause, by="near", sip_status=None)
        elif leg.state != "releasing":
            self.emit("leg.releasing", call=leg.call, leg=leg.id, cause=cause, guard_ms=self.now_ms + RELEASE_GUARD_MS)
            self.act("leg.release", leg=leg.id, cause=cause)

    def may_t38(self, leg):
        """Whether we ask the far end of a leg for T.38 when a fax machine is heard."""
        if leg is None or leg.tech != "sip":
            return False
        return (self.line_rows.get(leg.line) or self.sip_trunk_rows.get(leg.span) or {}).get("t38") == "gateway"

    def listen(self, call):
        """Have media listen to the caller: digits, and fax machines where the trunk group wants it."""
        if call.is_data:
            return
        leg = self.state.legs.get(call.caller_leg)
        group = self.group_rows.get(leg.trunk_group) if leg is not None and leg.line is None else None
        more = {"modem": True} if group is not None and group.get("fax_detection") or self.may_t38(leg) else {}
        self.act("media.detect", leg=call.caller_leg, dtmf=True, **more)

    def play(self, call, purpose, items, repeat=1, guard_ms=PROMPT_GUARD_MS):
        """Let the caller hear items; replaces what plays.  repeat 0: for ever."""
        if self.is_absent(call) or call.is_data:
            return
        token = "%s-%d" % (call.id, call.signals + 1)
        self.emit("call.signal", call=call.id, leg=call.caller_leg, token=token, purpose=purpose, items=items, repeat=repeat,
                  deadline_ms=None if repeat == 0 else self.now_ms + guard_ms)
        self.act("media.signal", leg=call.caller_leg, token=token, items=items, repeat=repeat)

    def silence(self, call):
        """Stop what the caller hears from us."""
        if call.signal is not None:
            self.emit("call.signal_ended", call=call.id, leg=call.caller_leg, token=call.signal["token"], reason="stopped")
            self.act("media.stop", leg=call.caller_leg)
