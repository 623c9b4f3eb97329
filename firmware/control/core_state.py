"""The state of the switchboard, as the fold over its journal.

CoreState.apply(record) is the only code that changes calls, legs, agents, queues,
lines, recordings and timers.  It takes everything it needs from the record, never
from the configuration or a clock: whatever the configuration says today, the journal
of yesterday gives yesterday's state.  It decides nothing and never fails on a record
of a kind, call, leg or agent that it does not know (a replay may begin in the middle).

One method for each record kind, named after it: "queue.left" -> queue_left.  They stand by subject in
core_state_legs.py, _calls.py, _operations.py (hold, consult, conference, park, listening) and _acd.py.
"""

from firmware.acd import agent as agents
from firmware.acd import queue as queues
from firmware.acd.expected import Expected
from firmware.acd.statistics import Statistics
from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.call.records import CDRProjection, KINDS
from firmware.call.trunk_group import TrunkGroup
from firmware.control.core_state_acd import AcdFolds
from firmware.control.core_state_callbacks import CallbackFolds
from firmware.control.core_state_calls import CallFolds
from firmware.control.core_state_campaigns import CampaignFolds
from firmware.control.core_state_desk import DeskFolds
from firmware.control.core_state_faxes import FaxFolds
from firmware.control.core_state_floor import FloorFolds
from firmware.control.core_state_home import HomeFolds
from firmware.control.core_state_legs import LegFolds
from firmware.control.core_state_mailboxes import MailboxFolds
from firmware.control.core_state_operations import OperationFolds
from firmware.control.core_state_kept import KeptFolds
from firmware.control.core_state_tests import TestFolds
from firmware.control.core_state_trail import TrailFolds
from firmware.control.core_timers import Timers


class CoreState(LegFolds, CallFolds, OperationFolds, AcdFolds, CallbackFolds, MailboxFolds, FloorFolds, DeskFolds, TestFolds, KeptFolds, HomeFolds, FaxFolds, TrailFolds, CampaignFolds):
    """Everything the switchboard knows.

    groups: {name: TrunkGroup} of the configuration; utc_offset_ms: for the statistics' days;
    initial: {agent: status} before any record says otherwise."""

    def __init__(self, groups, utc_offset_ms, initial):
        self.initial = initial
        self.calls = {}
        self.legs = {}
        self.agents = {}
        self.queues = {}
        self.seats = {}         # line -> the agent who has logged in there
        self.assigned = {}      # agent -> [{queue level weight}] that a supervisor has ordered, instead of the configured queues
        self.turns = {}         # queue -> the agent whom it asked last
        self.last_agents = {}   # caller's number -> [agent, ts_ms], oldest first
        self.messages = {}      # id -> message of a mailbox: what core_state_mailboxes.py makes of the records
        self.greetings = {}     # mailbox -> path of the greeting that its owner recorded
        self.wrong_codes = {}   # mailbox -> (wrong codes in a row, the last one's ms)
        self.callbacks = {}     # id -> what core_state_callbacks.py makes of the records
        self.campaigns = {}     # name -> core_state_campaigns.py
        self.faxes = {}         # id -> document for a number: core_state_faxes.py
        self.alarms, self.changes = {}, []      # of the box and the configuration: core_state_trail.py
        self.paces = {}         # queue -> Expected
        self.customers = {}     # caller of customer_day -> the agent whose customer that is
        self.customer_counts = {}       # agent -> how many
        self.customer_day = None
        self.shares = {}        # queue -> {"at", "passes": {agent: pass}} of acd/strategy.py
        self.lines = {}         # line -> registered
        self.line_legs = {}     # line -> legs on it
        self.homes, self.serving = {}, {}       # of home agents: core_state_home.py
        self.floors = {}        # call -> what people play there, how its conference is set: core_state_floor.py
        self.broadcasts = {}    # id -> message that waits to be seen: core_state_desk.py
        self.warnings = {}      # threshold -> what stands of it
        self.notices = {}       # id -> mail that is to be sent
        self.recordings = {}    # recording -> {"call", "path", "state": "open"|"stopping", "left", "right"}
        self.spans = {}         # span, or name of a SIP trunk -> {"state", "alarms"}
        self.announcements = {}     # name of one that is on -> {"since_ms", "by"}
        self.erasures = {}      # id -> a person's data that are still to be erased: core_kept.py
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

    def pace(self, queue):
        """What callers of a queue have waited lately."""
        if queue not in self.paces:
            self.paces[queue] = Expected()
        return self.paces[queue]

    def group(self, name):
        """The trunk group of a name."""
        if name not in self.groups:
            self.groups[name] = TrunkGroup(name)
        return self.groups[name]

    def calls_in_order(self):
        """All calls, in the order of arrival."""
        return sorted(self.calls.values(), key=_order)

    # Recordings and the house.

    def recording_started(self, record, data, call):
        self.recordings[data["recording"]] = {"call": record["call"], "path": data["path"], "state": "open",
                                              "left": data["left"], "right": data["right"]}
        if call is not None:
            call.recording = data["recording"]

    def recording_wished(self, record, data, call):
        if call is not None:
            call.recorded_as = data["as"]

    def recording_paused(self, record, data, call):
        if data["recording"] in self.recordings:
            self.recordings[data["recording"]]["paused"] = True

    def recording_resumed(self, record, data, call):
        if data["recording"] in self.recordings:
            self.recordings[data["recording"]]["paused"] = False

    def recording_segment(self, record, data, call):
        if data["recording"] in self.recordings:
            self.recordings[data["recording"]].update(left=data["left"], right=data["right"])

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
                "assigned": [[name, [dict(row) for row in self.assigned[name]]] for name in sorted(self.assigned)],
                "turns": [[name, self.turns[name]] for name in sorted(self.turns)],
                "last_agents": [[caller] + self.last_agents[caller] for caller in self.last_agents],
                "customers": [self.customer_day, [[customer, self.customers[customer]] for customer in self.customers],
                              [[name, self.customer_counts[name]] for name in sorted(self.customer_counts)]],
                "messages": [dict(self.messages[name]) for name in sorted(self.messages)],
                "greetings": [[name, self.greetings[name]] for name in sorted(self.greetings)],
                "wrong_codes": [[name] + list(self.wrong_codes[name]) for name in sorted(self.wrong_codes)],
                "callbacks": [dict(self.callbacks[name]) for name in sorted(self.callbacks)],
                "faxes": [dict(self.faxes[name]) for name in sorted(self.faxes)],
                "campaigns": [dict(self.campaigns[name], rows=list(self.campaigns[name]["rows"]), later=list(self.campaigns[name]["later"])) for name in sorted(self.campaigns)],
                "alarms": [dict(self.alarms[name]) for name in sorted(self.alarms)], "changes": [dict(row) for row in self.changes],
                "broadcasts": [dict(self.broadcasts[name]) for name in sorted(self.broadcasts)],
                "warnings": [[name, dict(self.warnings[name])] for name in sorted(self.warnings)],
                "notices": [dict(self.notices[name]) for name in sorted(self.notices)],
                "loads": [[queue] + self.paces[queue].dump() for queue in sorted(self.paces)],
                "shares": [[queue, self.shares[queue]["at"], sorted(self.shares[queue]["passes"].items())] for queue in sorted(self.shares)],
                "homes": [[name, dict(self.homes[name])] for name in sorted(self.homes)],
                "lines": [[name, self.lines[name]] for name in sorted(self.lines)],
                "recordings": [[name, dict(self.recordings[name])] for name in sorted(self.recordings)],
                "floors": [[name, dict(self.floors[name])] for name in sorted(self.floors)],
                "spans": [[name, self.spans[name]] for name in sorted(self.spans, key=_span_order)],
                "announcements": [[name, dict(self.announcements[name])] for name in sorted(self.announcements)],
                "flows": [[name, self.flows[name]] for name in sorted(self.flows)],
                "groups": [[name, self.groups[name].last(), self.groups[name].idle(), self.groups[name].far()] for name in sorted(self.groups)],
                "erasures": [[name, dict(self.erasures[name])] for name in sorted(self.erasures)],
                "media_up": self.media_up, "order": self.order, "last_ts_ms": self.last_ts_ms, "timers": self.timers.dump()}

    def load(self, dumped):
        """Take dump() back; what the present state has is forgotten."""
        self.calls, self.legs, self.agents, self.queues, self.line_legs, self.seats = {}, {}, {}, {}, {}, {}
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
        for call in self.calls_in_order():
            if call.outside is not None and call.outside.get("waits"):
                self.keep_trunk(call)
            if call.seeking is not None:
                self.keep_sought(call)
        for entry in dumped["agents"]:
            agent = self.agents[entry["name"]] = agents.load(entry)
            if agent.seat is not None:
                self.seats[agent.seat] = agent.name
        self._make_agents()
        for name, entries in dumped["queues"]:
            self.queues[name] = queues.load(name, entries)
        self.assigned = dict([(name, [dict(row) for row in rows]) for name, rows in dumped.get("assigned") or []])
        self.turns = dict([(queue, agent) for queue, agent in dumped.get("turns") or []])
        self.last_agents = dict([(caller, [agent, ts_ms]) for caller, agent, ts_ms in dumped.get("last_agents") or []])
        self.customer_day, customers, counts = dumped.get("customers") or [None, [], []]
        self.customers = dict([(customer, agent) for customer, agent in customers])
        self.customer_counts = dict([(name, count) for name, count in counts])
        self.messages = dict([(row["id"], dict(row)) for row in dumped.get("messages") or []])
        self.greetings = dict([(name, path) for name, path in dumped.get("greetings") or []])
        self.wrong_codes = dict([(row[0], (row[1], row[2])) for row in dumped.get("wrong_codes") or []])
        self.callbacks = dict([(row["id"], dict(row)) for row in dumped.get("callbacks") or []])
        self.faxes = dict([(row["id"], dict(row)) for row in dumped.get("faxes") or []])
        self.campaigns = dict([(row["id"], dict(row, rows=list(row["rows"]))) for row in dumped.get("campaigns") or []])
        self.alarms = dict([(row["id"], dict(row)) for row in dumped.get("alarms") or []])
        self.changes = [dict(row) for row in dumped.get("changes") or []]
        self.broadcasts = dict([(row["broadcast"], dict(row)) for row in dumped.get("broadcasts") or []])
        self.warnings = dict([(name, dict(row)) for name, row in dumped.get("warnings") or []])
        self.notices = dict([(row["id"], dict(row)) for row in dumped.get("notices") or []])
        self.paces = dict([(row[0], Expected(*row[1:])) for row in dumped.get("loads") or []])
        self.shares = {}
        for queue, at, passes in dumped.get("shares") or []:
            self.shares[queue] = {"at": at, "passes": dict([(name, value) for name, value in passes])}
        self.lines, self.recordings, self.spans, self.flows = {}, {}, {}, {}
        for part, table in (("lines", self.lines), ("recordings", self.recordings), ("spans", self.spans), ("flows", self.flows)):
            for name, value in dumped[part]:
                table[name] = dict(value) if isinstance(value, dict) else value
        self.announcements = dict([(name, dict(value)) for name, value in dumped.get("announcements") or []])
        self.floors = dict([(name, dict(value)) for name, value in dumped.get("floors") or []])
        self.erasures = dict([(name, dict(row)) for name, row in dumped.get("erasures") or []])
        self.load_homes(dumped.get("homes") or [])
        self.media_up = dumped["media_up"]
        self.order = dumped["order"]
        self.last_ts_ms = dumped["last_ts_ms"]
        self.timers.load(dumped["timers"])


def _span_order(span):
    return isinstance(span, str), span


def _order(call):
    return call.order
