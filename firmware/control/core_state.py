"""The state of the switchboard, as the fold over its journal.

CoreState.apply(record) is the only code that changes calls, legs, agents, queues,
lines, recordings and timers.  It takes everything it needs from the record, never
from the configuration or a clock: whatever the configuration says today, the journal
of yesterday gives yesterday's state.  It decides nothing and never fails on a record
of a kind, call, leg or agent that it does not know (a replay may begin in the middle).

One method for each record kind, named after it: "queue.left" -> queue_left.
"""

from firmware.acd import agent as agents
from firmware.acd import queue as queues
from firmware.acd.statistics import Statistics
from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.call.records import CDRProjection, KINDS
from firmware.call.trunk_group import TrunkGroup
from firmware.control.core_timers import Timers

CALL_TIMERS = ("announce", "closing", "ivr", "offer", "overflow", "relax", "ring", "signal", "wait")

# Invented: how many callers' last agents are remembered.
REMEMBERED = 5000


class CoreState:
    """Everything the switchboard knows.

    groups: {name: TrunkGroup} of the configuration; utc_offset_ms: for the statistics' days;
    initial: {agent: status} before any record says otherwise."""

    def __init__(self, groups, utc_offset_ms, initial):
        self.initial = initial
        self.calls = {}
        self.legs = {}
        self.agents = {}
        self.queues = {}
        self.turns = {}         # queue -> the agent whom it asked last
        self.last_agents = {}   # caller's number -> [agent, ts_ms], oldest first
        self.lines = {}         # line -> registered
        self.line_legs = {}     # line -> legs on it
        self.recordings = {}    # recording -> {"call", "path", "state": "open"|"stopping", "left", "right"}
        self.spans = {}         # span, or name of a SIP trunk -> {"state", "alarms"}
        self.flows = {}         # key -> flow definition that calls use
        self.groups = groups
        self.media_up = True
        self.order = 0          # last number of arrival given
        self.last_ts_ms = 0
        self.timers = Timers()
        self.cdrs = CDRProjection()
        self.statistics = Statistics(utc_offset_ms)
        self._make_agents()

    def _make_agents(self):
        for name in sorted(self.initial):
            self.agent(name)

    def apply(self, record):
        """Take one record, live or from the journal."""
        kind = record["kind"]
        if kind not in KINDS:
            return
        self.last_ts_ms = record["ts_ms"]
        self.cdrs.apply(record)
        self.statistics.apply(record)
        fold = getattr(self, kind.replace(".", "_"), None)
        if fold is not None:
            fold(record, record["data"], self.calls.get(record["call"]))

    # Parts of the state, made when first named.

    def agent(self, name):
        """The agent of a name."""
        if name not in self.agents:
            self.agents[name] = agents.Agent(name, self.initial.get(name, agents.LOGGED_OUT))
        return self.agents[name]

    def queue(self, name):
        """The queue of a name."""
        if name not in self.queues:
            self.queues[name] = queues.Queue(name)
        return self.queues[name]

    def group(self, name):
        """The trunk group of a name."""
        if name not in self.groups:
            self.groups[name] = TrunkGroup(name)
        return self.groups[name]

    def calls_in_order(self):
        """All calls, in the order of arrival."""
        return sorted(self.calls.values(), key=_order)

    # Legs.

    def leg_offered(self, record, data, call):
        call = calls.Call(record["call"], data["order"])
        self.order = max(self.order, data["order"])
        for name in ("caller", "caller_presentation", "caller_type", "called", "called_complete", "redirecting", "bearer"):
            setattr(call, name, data.get(name))
        call.started_ms = record["ts_ms"]
        call.caller_leg = record["leg"]
        self.calls[call.id] = call
        leg = legs.Leg(record["leg"], call.id, legs.CALLER, data["tech"], legs.OFFERED)
        leg.trunk_group = data["trunk_group"]
        leg.span = data["span"]
        leg.timeslot = data["timeslot"]
        leg.line = data["line"]
        self._add_leg(call, leg, record["agent"])
        if leg.span is not None:
            self.group(leg.trunk_group).seize(leg.id, leg.span, leg.timeslot)

    def leg_created(self, record, data, call):
        leg = legs.Leg(record["leg"], record["call"], data["role"], data["tech"], legs.CREATED)
        leg.line = data["line"]
        if call is not None:
            self._add_leg(call, leg, record["agent"])
            if data.get("span") is not None:
                leg.trunk_group, leg.span, leg.timeslot = data["trunk_group"], data["span"], data["timeslot"]
                self.group(leg.trunk_group).seize(leg.id, leg.span, leg.timeslot)

    def leg_seized(self, record, data, call):
        leg = self.legs.get(record["leg"])
        if leg is not None:
            self.group(leg.trunk_group).move(leg.id, (leg.span, leg.timeslot), (data["span"], data["timeslot"]))
            leg.span, leg.timeslot = data["span"], data["timeslot"]

    def _add_leg(self, call, leg, agent):
        self.legs[leg.id] = leg
        call.legs.append(leg.id)
        if leg.line is not None:
            self.line_legs.setdefault(leg.line, []).append(leg.id)
        if agent is not None and self.agent(agent).leg is None:
            self.agent(agent).leg = leg.id

    def leg_digits(self, record, data, call):
        if call is not None:
            call.called = data["called"]
            call.called_complete = data["called_complete"]

    def _leg_state(self, record, state):
        leg = self.legs.get(record["leg"])
        if leg is not None and leg.state != legs.RELEASING:
            leg.state = state
        return leg

    def leg_proceeding(self, record, data, call):
        self._leg_state(record, legs.PROCEEDING)

    def leg_alerting(self, record, data, call):
        self._leg_state(record, legs.ALERTING)

    def leg_answered(self, record, data, call):
        self._leg_state(record, legs.ANSWERED)
        if call is not None and record["leg"] == call.caller_leg:
            call.answered_ms = record["ts_ms"]

    def _flag(self, record, name, value):
        if record["leg"] in self.legs:
            setattr(self.legs[record["leg"]], name, value)

    def leg_held(self, record, data, call):
        self._flag(record, "held", True)

    def leg_retrieved(self, record, data, call):
        self._flag(record, "held", False)

    def leg_rtp_lost(self, record, data, call):
        self._flag(record, "rtp_lost", True)

    def leg_rtp_back(self, record, data, call):
        self._flag(record, "rtp_lost", False)

    def leg_audio_missing(self, record, data, call):
        leg = self.legs.get(record["leg"])
        if leg is not None:
            leg.missing = sorted({*(leg.missing or []), data["direction"]})

    def leg_audio_back(self, record, data, call):
        leg = self.legs.get(record["leg"])
        if leg is not None:
            leg.missing = [name for name in leg.missing or [] if name != data["direction"]]

    def leg_quality(self, record, data, call):
        """For the CDR and the journal only."""

    def leg_releasing(self, record, data, call):
        leg = self._leg_state(record, legs.RELEASING)
        if leg is not None:
            leg.cause = data["cause"]
            self.timers.set("release", leg.id, data["guard_ms"])

    def leg_released(self, record, data, call):
        self.timers.cancel("release", record["leg"])
        leg = self.legs.pop(record["leg"], None)
        if leg is None:
            return
        if call is not None and leg.id in call.legs:
            call.legs.remove(leg.id)
        if leg.line is not None:
            self.line_legs[leg.line].remove(leg.id)
            if not self.line_legs[leg.line]:
                del self.line_legs[leg.line]
        if leg.span is not None:
            self.group(leg.trunk_group).free(leg.id, leg.span, leg.timeslot)
        if record["agent"] is not None and self.agent(record["agent"]).leg == leg.id:
            self.agent(record["agent"]).leg = None

    # Calls.

    def call_routed(self, record, data, call):
        if call is not None:
            call.application = data["application"]
            call.target = data["target"]
            call.label = data["label"]
            call.languages = list(data["languages"])

    def call_signal(self, record, data, call):
        if call is not None:
            call.signal = {"token": data["token"], "purpose": data["purpose"], "items": data["items"], "repeat": data["repeat"]}
            call.signals += 1
            self.timers.set("signal", call.id, data["deadline_ms"])

    def call_signal_ended(self, record, data, call):
        if call is not None:
            call.signal = None
            self.timers.cancel("signal", call.id)

    def call_dialling(self, record, data, call):
        if call is not None:
            call.state = calls.RINGING
            call.failed = data["failed"]
            call.outside = {"digits": data["digits"], "ways": data["ways"], "way": 0, "attempts": 0, "limit": data["limit"],
                            "tried": [], "cause": None, "ring_ms": data["ring_ms"]}

    def call_hunted(self, record, data, call):
        if call is not None and call.outside is not None:
            out = dict(call.outside)
            out["way"], out["cause"] = data["way"], data["cause"]
            if data["trunk"] is not None:
                out["tried"] = out["tried"] + [data["trunk"]]
                out["attempts"] += 1
            call.outside = out

    def call_cut_through(self, record, data, call):
        if call is not None:
            call.bridge = data["bridge"]

    def call_ringing(self, record, data, call):
        if call is not None:
            call.state = calls.RINGING
            call.target_leg = record["leg"]
            call.failed = data["failed"]
            call.waited = True
            self.timers.set("ring", call.id, data["deadline_ms"])

    def call_ringing_ended(self, record, data, call):
        if call is not None:
            call.target_leg = None
            self.timers.cancel("ring", call.id)

    def call_bridged(self, record, data, call):
        if call is not None:
            call.state = calls.TALKING
            call.bridge = data["bridge"]
            call.agent_leg = data["legs"][1]
            call.agent = record["agent"]
            call.agent_answered_ms = record["ts_ms"]

    def call_unbridged(self, record, data, call):
        if call is not None:
            call.bridge = None

    def call_closing(self, record, data, call):
        if call is not None:
            call.state = calls.CLOSING
            call.closing = {"cause": data["cause"], "released_by": data["released_by"], "result": data["result"]}
            self.timers.set("closing", call.id, data["deadline_ms"])

    def call_clearing(self, record, data, call):
        if call is not None:
            call.state = calls.CLEARING
            call.signal = None
            call.result = data["result"]
            for kind in CALL_TIMERS:
                self.timers.cancel(kind, call.id)

    def call_ended(self, record, data, call):
        self.calls.pop(record["call"], None)

    # IVR.

    def flow_loaded(self, record, data, call):
        used = {}
        for other in self.calls.values():
            used[other.flow_key] = True
        for key in sorted(self.flows):
            if key not in used:
                del self.flows[key]
        self.flows[data["key"]] = data["definition"]

    def ivr_entered(self, record, data, call):
        if call is not None:
            call.state = calls.IVR
            call.flow_key = data["key"]

    def ivr_moved(self, record, data, call):
        if call is not None:
            call.state = calls.IVR
            call.position = dict(data["position"])
            self.timers.set("ivr", call.id, data["deadline_ms"])

    def ivr_left(self, record, data, call):
        self.timers.cancel("ivr", record["call"])

    # Queues and agents.

    def queue_entered(self, record, data, call):
        if call is not None:
            self.order = max(self.order, data["order"])
            call.state = calls.QUEUED
            call.waited = True
            call.queue = record["queue"]
            call.queue_entered_ms = record["ts_ms"]
            call.overdue = False
            call.result = None
            call.overflow = data["overflow"]
            call.since_ms = data.get("since_ms", record["ts_ms"])
            call.priority = data["priority"]
            call.given = data.get("given")
            call.skills, call.relax = data.get("skills") or {}, data.get("relax") or []
            self.queue(call.queue).enter(call.id, data["priority"], call.since_ms, data["order"])
            self.timers.set("wait", call.id, data["max_wait_until_ms"])
            self.timers.set("overflow", call.id, data.get("overflow_at_ms"))
            self.timers.set("relax", call.id, call.relax[0][0] if call.relax else None)
            self.timers.set("announce", call.id, data["announce_at_ms"])

    def queue_relaxed(self, record, data, call):
        if call is not None:
            call.skills, call.relax = data["skills"], data["relax"]
            self.timers.set("relax", call.id, call.relax[0][0] if call.relax else None)

    def queue_overflow_at(self, record, data, call):
        self.timers.set("overflow", record["call"], data["at_ms"])

    def queue_refused(self, record, data, call):
        if call is not None:
            self._hop(call, record)

    def _hop(self, call, record):
        """Count the overflows of one moment: those that lead to each other take no time."""
        call.hops = (call.hops or 0) + 1 if call.hops_ms == record["ts_ms"] else 1
        call.hops_ms = record["ts_ms"]

    def queue_announced(self, record, data, call):
        self.timers.set("announce", record["call"], data["announce_at_ms"])

    def queue_overdue(self, record, data, call):
        self.timers.cancel("wait", record["call"])
        if call is not None:
            call.overdue = True

    def queue_left(self, record, data, call):
        self.queue(record["queue"]).leave(record["call"])
        if call is not None and data["reason"] == "overflow":
            call.result = "overflow"
            self._hop(call, record)
        for kind in ("wait", "announce", "overflow", "relax"):
            self.timers.cancel(kind, record["call"])

    def agent_status(self, record, data, call):
        agent = self.agent(record["agent"])
        if data["status"] == agents.AVAILABLE and agent.status != agents.AVAILABLE:
            self._newly_idle(agent, record)
        agent.status = data["status"]
        agent.reason = data["reason"]
        agent.status_known = True
        if agent.state == agents.IDLE:
            agent.since_ms = record["ts_ms"]

    def _agent_state(self, record, state):
        agent = self.agent(record["agent"])
        agent.state = state
        agent.since_ms = record["ts_ms"]
        agent.call = record["call"]
        agent.queue = record["queue"]
        self.timers.cancel("wrap_up", agent.name)
        return agent

    def _newly_idle(self, agent, record):
        self.order += 1
        agent.idle_since_ms = record["ts_ms"]
        agent.idle_order = self.order

    def agent_offered(self, record, data, call):
        self._agent_state(record, agents.OFFERED)
        self.turns[record["queue"]] = record["agent"]
        if call is not None:
            call.offer = {"agent": record["agent"], "leg": record["leg"]}
            self.timers.set("offer", call.id, data["deadline_ms"])

    def agent_offer_ended(self, record, data, call):
        agent = self._agent_state(record, agents.IDLE)
        agent.call = agent.queue = None
        if call is not None:
            call.offer = None
            self.timers.cancel("offer", call.id)

    def agent_busy(self, record, data, call):
        self._agent_state(record, data["state"])

    def agent_connected(self, record, data, call):
        self._agent_state(record, agents.TALKING)
        if call is not None:
            call.offer = None
            self.timers.cancel("offer", call.id)
            if data.get("remember"):
                self.last_agents.pop(call.caller, None)
                self.last_agents[call.caller] = [record["agent"], record["ts_ms"]]
                if len(self.last_agents) > REMEMBERED:
                    del self.last_agents[next(iter(self.last_agents))]

    def agent_wrap_up(self, record, data, call):
        agent = self._agent_state(record, agents.WRAP_UP)
        agent.wrapped = record["call"]
        agent.call = None
        self.timers.set("wrap_up", agent.name, data["deadline_ms"])

    def agent_idle(self, record, data, call):
        agent = self._agent_state(record, agents.IDLE)
        agent.call = agent.queue = agent.wrapped = None
        if data["reset"]:
            self._newly_idle(agent, record)

    def line_registered(self, record, data, call):
        self.lines[data["line"]] = True

    def line_unregistered(self, record, data, call):
        self.lines[data["line"]] = False

    # Recordings and the house.

    def recording_started(self, record, data, call):
        self.recordings[data["recording"]] = {"call": record["call"], "path": data["path"], "state": "open",
                                              "left": data["left"], "right": data["right"]}
        if call is not None:
            call.recording = data["recording"]

    def recording_stopping(self, record, data, call):
        if data["recording"] in self.recordings:
            self.recordings[data["recording"]]["state"] = "stopping"
            self.timers.set("recording", data["recording"], data["guard_ms"])

    def recording_closed(self, record, data, call):
        self.recordings.pop(data["recording"], None)
        self.timers.cancel("recording", data["recording"])
        if call is not None and call.recording == data["recording"]:
            call.recording = None

    def recording_failed(self, record, data, call):
        self.recording_closed(record, data, call)

    def span_state(self, record, data, call):
        self.spans[data["span"]] = {"state": data["state"], "alarms": data["alarms"]}

    def media_lost(self, record, data, call):
        self.media_up = False

    def media_back(self, record, data, call):
        self.media_up = True

    def core_timer_dropped(self, record, data, call):
        self.timers.cancel(data["timer"], data["name"])

    def core_checkpoint(self, record, data, call):
        self.load(data["state"])

    # The whole.

    def dump(self):
        """The whole state but CDRs and statistics, as plain data with string keys."""
        return {"calls": [call.dump() for call in self.calls_in_order()],
                "legs": [leg.dump() for leg in self.legs.values()],      # in order of arrival: so they hold lines and trunks
                "agents": [self.agents[name].dump() for name in sorted(self.agents)],
                "queues": [[name, self.queues[name].dump()] for name in sorted(self.queues)],
                "turns": [[name, self.turns[name]] for name in sorted(self.turns)],
                "last_agents": [[caller] + self.last_agents[caller] for caller in self.last_agents],
                "lines": [[name, self.lines[name]] for name in sorted(self.lines)],
                "recordings": [[name, dict(self.recordings[name])] for name in sorted(self.recordings)],
                "spans": [[name, self.spans[name]] for name in sorted(self.spans, key=_span_order)],
                "flows": [[name, self.flows[name]] for name in sorted(self.flows)],
                "groups": [[name, self.groups[name].last(), self.groups[name].idle()] for name in sorted(self.groups)],
                "media_up": self.media_up, "order": self.order, "last_ts_ms": self.last_ts_ms, "timers": self.timers.dump()}

    def load(self, dumped):
        """Take dump() back; what the present state has is forgotten."""
        self.calls, self.legs, self.agents, self.queues, self.line_legs = {}, {}, {}, {}, {}
        for name in sorted(self.groups):
            self.groups[name].restore(None)
        for entry in dumped["groups"]:
            self.group(entry[0]).restore(*entry[1:])
        for entry in dumped["calls"]:
            self.calls[entry["id"]] = calls.load(entry)
        for entry in dumped["legs"]:
            leg = legs.load(entry)
            self.legs[leg.id] = leg
            if leg.line is not None:
                self.line_legs.setdefault(leg.line, []).append(leg.id)
            if leg.span is not None:
                self.group(leg.trunk_group).hold(leg.id, leg.span, leg.timeslot)
        for entry in dumped["agents"]:
            self.agents[entry["name"]] = agents.load(entry)
        self._make_agents()
        for name, entries in dumped["queues"]:
            self.queues[name] = queues.load(name, entries)
        self.turns = dict([(queue, agent) for queue, agent in dumped.get("turns") or []])
        self.last_agents = dict([(caller, [agent, ts_ms]) for caller, agent, ts_ms in dumped.get("last_agents") or []])
        self.lines, self.recordings, self.spans, self.flows = {}, {}, {}, {}
        for part, table in (("lines", self.lines), ("recordings", self.recordings), ("spans", self.spans), ("flows", self.flows)):
            for name, value in dumped[part]:
                table[name] = dict(value) if isinstance(value, dict) else value
        self.media_up = dumped["media_up"]
        self.order = dumped["order"]
        self.last_ts_ms = dumped["last_ts_ms"]
        self.timers.load(dumped["timers"])


def _span_order(span):
    return isinstance(span, str), span


def _order(call):
    return call.order
