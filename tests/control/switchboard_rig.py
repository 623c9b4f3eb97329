"""A small world around a Switchboard: adapters, media and a journal that obey its actions.

Rig.do(kind, **fields) is one event, Rig.wait(ms) lets time pass.  After every step the
rig replays the whole journal (through JSON) into a fresh Switchboard and compares; it also
checks what must always hold.  Adapters confirm leg.release at once, or when confirm() is called
if `lazy`.  What media and adapters hold can be asked for as audit() and live_legs()."""

import json

from firmware.call.records import CDRProjection, KINDS
from firmware.control.core_parties import rooms
from firmware.control.switchboard import Switchboard

FLOW = {"version": 1, "languages": ["zh_CN", "en"], "start": "greeting", "nodes": {
    "greeting": {"type": "play", "prompts": ["greeting"], "next": "menu"},
    "menu": {"type": "menu", "prompts": ["menu"], "timeout_s": 5, "attempts": 3, "exhausted": "operator",
             "choices": {"1": "sales", "2": "service", "0": "operator", "7": "direct", "9": "english"}},
    "english": {"type": "language", "language": "en", "next": "menu"},
    "direct": {"type": "agent", "agent": "1003", "failed": "sales"},
    "sales": {"type": "queue", "queue": "sales", "overflow": "goodbye"},
    "service": {"type": "queue", "queue": "service"},
    "operator": {"type": "queue", "queue": "operator", "overflow": "goodbye"},
    "goodbye": {"type": "hangup", "prompts": ["goodbye"]}}}

CONFIG = {
    "site": {"name": "test", "timezone": "Asia/Shanghai", "languages": ["zh_CN", "en"]},
    "spans": [{"span": 1, "type": "e1", "d_timeslot": 16, "trunk_group": "carrier"},
              {"span": 2, "type": "e1", "d_timeslot": 16, "trunk_group": "carrier"}],
    "trunk_groups": [{"name": "carrier", "label": "Carrier", "selection": "ascending", "overlap_receiving": True}],
    "numbers": [{"number": "02150801000", "label": "400 800 1000", "application": "ivr", "target": "main"},
                {"number": "02150801001", "label": "Sales", "application": "queue", "target": "sales"},
                {"number": "02150801002", "label": "Boss", "application": "line", "target": "2001"}],
    "ivr": {"main": FLOW},
    "queues": [{"name": "sales", "label": "Sales", "strategy": "longest_idle", "announce_position_s": 20, "music": "default",
                "max_wait_s": 100, "offer_timeout_s": 15},
               {"name": "service", "label": "Service", "max_wait_s": 60},
               {"name": "operator", "label": "Operator"}],
    "agents": [{"name": name, "label": "Agent " + name, "line": name, "wrap_up_s": 5, "initial_status": "available",
                "queues": [{"queue": queue, "level": 1} for queue in queues]}
               for name, queues in (("1001", ("sales", "operator")), ("1002", ("sales", "service")), ("1003", ("service",)))],
    "lines": [{"name": name} for name in ("1001", "1002", "1003", "2001")],
    "recording": {"enabled": True}}


class Ids:
    def __init__(self):
        self.last = {}

    def next(self, prefix):
        self.last[prefix] = self.last.get(prefix, 100) + 1
        return "%s%d" % (prefix, self.last[prefix])


class Rig:
    def __init__(self, config=CONFIG, lazy=False, register=("1001", "1002", "1003", "2001"), checks=True, start=True):
        self.config, self.lazy, self.checks = config, lazy, checks
        self.ids = Ids()
        self.now = 1753920000000            # 2025-07-31 00:00 UTC, 08:00 in Shanghai
        self.journal, self.actions, self.cdrs = [], [], []
        self.adapter = {}                   # leg -> state, as the adapters know it
        self.releasing = []                 # legs whose release waits for confirm()
        self.media = {"bridges": {}, "signals": {}, "recordings": {}, "terminations": {}}
        self.deaf = set()                   # (bridge, leg that does not hear, leg that it does not hear)
        self.projection = CDRProjection()
        self.sb = Switchboard(config, self.ids)
        if start:
            self.sb.resume(self.audit(), {}, self.now)
            self.settle()
            for line in register:
                self.do("line.registered", line=line)

    # Events.

    def do(self, kind, **fields):
        event = dict(fields, kind=kind)
        if kind == "leg.offered" and event["leg"] not in self.adapter:
            self.adapter[event["leg"]] = "setup"
            if self.sb.core.state.media_up:
                self.media["terminations"][event["leg"]] = True
        if kind == "leg.released":
            self.adapter.pop(event["leg"], None)
        if kind == "leg.answered" and event["leg"] in self.adapter:
            self.adapter[event["leg"]] = "answered"
        if kind == "media.lost":
            self.media = {"bridges": {}, "signals": {}, "recordings": {}, "terminations": {}}
            self.deaf = set()
        accepted = self.sb.handle(event, self.now)
        self.settle()
        return accepted

    def offer(self, leg="p1", called="02150801000", complete=True, timeslot=1, caller="13912345678", **more):
        return self.do("leg.offered", leg=leg, tech="pri", trunk_group="carrier", span=1, timeslot=timeslot, caller=caller,
                       caller_presentation="allowed", called=called, called_complete=complete, redirecting="4008001000", **more)

    def dial(self, line, called, leg):
        return self.do("leg.offered", leg=leg, tech="sip", line=line, caller=line, called=called, called_complete=True)

    def wait(self, ms):
        end = self.now + ms
        while True:
            deadline = self.sb.deadline_ms()
            if deadline is None or deadline > end:
                break
            self.now = max(self.now, deadline)
            self.sb.expire(self.now)
            assert self.sb.deadline_ms() is None or self.sb.deadline_ms() > self.now or self.sb.core.records
            self.settle()
        self.now = end

    def command(self, kind, **fields):
        """A command; None when it was carried out, else the sentence of the refusal."""
        accepted = self.do(kind, **fields)
        assert accepted or self.sb.refusal, "refused without a word"
        return None if accepted else self.sb.refusal

    def played(self, leg="p1", reason="done"):
        """What plays to this leg has ended."""
        signal = self.media["signals"].pop(leg)
        return self.do("media.signal_complete", leg=leg, token=signal["token"], reason=reason)

    def press(self, digit, leg="p1"):
        return self.do("media.digit", leg=leg, digit=digit)

    def hang_up(self, leg="p1", cause=16):
        return self.do("leg.released", leg=leg, cause=cause, by="far")

    def confirm(self):
        """Adapters end what they were asked to end."""
        while self.releasing:
            leg, cause = self.releasing.pop(0)
            if leg in self.adapter:
                self.do("leg.released", leg=leg, cause=cause, by="near")

    # The adapters' side.

    def settle(self):
        records, actions = self.sb.take()
        for record in records:
            assert record["kind"] in KINDS, record
            record = json.loads(json.dumps(record))
            record["seq"] = len(self.journal) + 1
            self.journal.append(record)
            cdr = self.projection.apply(record)
            if cdr is not None:
                self.cdrs.append(cdr)
        self.actions += actions
        for action in actions:
            self.obey(action)
        if self.checks:
            self.check()
        if not self.lazy:
            self.confirm()

    def obey(self, action):
        do, leg = action["do"], action.get("leg")
        media = self.media
        if do == "leg.release":
            if leg in self.adapter:
                self.releasing.append((leg, action["cause"]))
        elif do == "leg.create":
            assert leg not in self.adapter
            self.adapter[leg] = "setup"
            media["terminations"][leg] = True
        elif do == "leg.answer":
            if leg in self.adapter:
                self.adapter[leg] = "answered"
        elif do == "media.signal":
            if not str(action["items"][0].get("tone")).startswith("conference"):        # over before anybody looks
                media["signals"][leg] = action
        elif do == "media.stop":
            media["signals"].pop(leg, None)
        elif do == "media.bridge":
            if action["legs"]:
                for other, members in list(media["bridges"].items()):       # media takes a leg out of the bridge where it was
                    media["bridges"][other] = [leg for leg in members if leg not in action["legs"]]
                media["bridges"][action["bridge"]] = action["legs"]
                self.deaf = {pair for pair in self.deaf if pair[0] != action["bridge"] or set(pair[1:]) <= set(action["legs"])}
            else:
                media["bridges"].pop(action["bridge"], None)
        elif do == "media.topology":
            assert {action["from"], action["to"]} <= set(media["bridges"][action["bridge"]]), action
            one, other = (action["bridge"], action["from"], action["to"]), (action["bridge"], action["to"], action["from"])
            self.deaf -= {one, other}
            self.deaf |= {"both": set(), "one": {one}, "none": {one, other}}[action["way"]]
        elif do == "media.conference":
            assert action["bridge"] in media["bridges"], action
        elif do == "media.record":
            media["recordings"][action["recording"]] = action
        elif do == "media.record_legs":
            held = media["recordings"][action["recording"]]
            media["recordings"][action["recording"]] = dict(held, left=action["left"], right=action["right"])
        elif do == "media.record_pause":
            held = media["recordings"][action["recording"]]
            assert bool(held.get("paused")) != action["pause"]
            media["recordings"][action["recording"]] = dict(held, paused=action["pause"])
        elif do == "media.record_stop":
            if media["recordings"].pop(action["recording"], None):
                self.closed = action["recording"]
        elif do == "media.subtract":
            media["terminations"].pop(leg, None)
            media["signals"].pop(leg, None)

    def audit(self):
        return {"terminations": [{"id": leg} for leg in self.media["terminations"]],
                "bridges": [{"id": bridge, "legs": legs} for bridge, legs in self.media["bridges"].items()],
                "signals": [{"id": leg, "token": signal["token"], "position_ms": 0} for leg, signal in self.media["signals"].items()],
                "recordings": [{"id": name, "left": row.get("left"), "right": row.get("right"), "paused": row.get("paused", False)}
                               for name, row in self.media["recordings"].items()], "links": []}

    def live_legs(self):
        return dict((leg, {"state": state}) for leg, state in self.adapter.items())

    # Restart of control.

    def replayed(self, journal=None):
        sb = Switchboard(self.config, self.ids)
        for record in self.journal if journal is None else journal:
            sb.apply(record)
        return sb

    def kill(self, away_ms=300, sip_restores=True):
        """kill -9 of control: the journal is all that is left; SIP cancels what had not been answered."""
        self.sb = self.replayed()
        self.now += away_ms
        if sip_restores:
            for leg in [leg for leg, state in self.adapter.items() if state == "setup" and leg.startswith("l")]:
                del self.adapter[leg]
        self.sb.resume(self.audit(), self.live_legs(), self.now)
        self.settle()
        self.wait(0)

    # What must always hold.

    def check(self):
        state = self.sb.core.state
        other = self.replayed()
        assert other.dump() == self.sb.dump()
        assert other.snapshot(self.now) == self.sb.snapshot(self.now)
        core = self.sb.core
        for queue in core.queue_names:      # the index says what the state says
            wanted = [name for name, *_ in core.members[queue] if core.is_ready(name)]
            assert sorted(core.ready.of(queue)) == sorted(wanted), (queue, wanted)
            for name, candidate in core.ready.of(queue).items():
                assert candidate.idle_since_ms == state.agents[name].idle_since_ms and candidate.idle_order == state.agents[name].idle_order
        for name, agent in state.agents.items():
            on_line = state.line_legs.get(name, [])
            # a telephone that holds its call itself may have another one, and others may wait there
            live = [leg for leg in on_line if state.legs[leg].state != "releasing" and state.legs[leg].role != "caller" and not state.legs[leg].held]
            assert len(live) <= 1 + core.line_rows.get(name, {}).get("call_waiting", 0), "agent %s has %r" % (name, live)
            assert agent.leg is None or agent.leg in state.legs
            assert agent.state not in ("offered", "talking") or agent.call in state.calls
        for call in state.calls.values():
            assert call.legs or call.state != "clearing"
            for leg in call.legs:
                assert state.legs[leg].call == call.id
            queued = [name for name in state.queues if state.queues[name].find(call.id)]
            assert queued == ([call.queue] if call.state == "queued" else [])
        for queue in state.queues.values():
            ranks = [entry.rank() for entry in queue]
            assert ranks == sorted(ranks)
        if state.media_up:
            self.check_bridges()
        ended = [record["call"] for record in self.journal if record["kind"] == "call.ended"]
        assert sorted(ended) == sorted(cdr["call"] for cdr in self.cdrs) and len(set(ended)) == len(ended)
        assert not other.core.records

    def check_bridges(self):
        """Who talks together in media is who talks together in the state."""
        state = self.sb.core.state
        for call in state.calls.values():
            if call.state == "talking":
                assert call.caller_leg in call.legs and call.agent_leg in call.legs, call.dump()
                for bridge, members, heard in rooms(self.sb.core, call):
                    there = [leg for leg in self.media["bridges"].get(bridge) or [] if leg in state.legs]
                    assert sorted(there) == sorted(members + [leg for leg, mode in heard]), (call.dump(), bridge, there, members, heard)
            for leg in ((call.members or []) if call.state == "talking" else []) + [row[0] for row in call.monitors or []]:
                assert leg in call.legs, call.dump()

    def hears(self, leg):
        """The legs that a leg hears."""
        for bridge, members in self.media["bridges"].items():
            if leg in members:
                return sorted(other for other in members if other != leg and (bridge, leg, other) not in self.deaf)
        return []

    def finished(self):
        """All is over: nothing may be left anywhere."""
        state = self.sb.core.state
        assert not state.calls and not state.legs and not state.line_legs and not self.adapter
        assert not self.media["bridges"] and not self.media["signals"] and not self.media["terminations"]
        assert not self.media["recordings"]
        for group in state.groups.values():
            assert group.seized() == 0
        begun = [record["call"] for record in self.journal if record["kind"] in ("leg.offered", "fax.dialled")]
        assert sorted(begun) == sorted(cdr["call"] for cdr in self.cdrs)

    # Looking.

    def call(self, index=0):
        return self.sb.snapshot(self.now)["calls"][index]

    def agent(self, name):
        return [agent for agent in self.sb.snapshot(self.now)["agents"] if agent["name"] == name][0]

    def queue(self, name):
        return [queue for queue in self.sb.snapshot(self.now)["queues"] if queue["name"] == name][0]

    def heard(self, leg="p1"):
        """What plays to a leg, short: ["menu zh_CN", "menu en"]."""
        signal = self.media["signals"].get(leg)
        if signal is None:
            return None
        return [" ".join(str(value) for key, value in sorted(item.items(), key=lambda pair: pair[0] == "language"))
                for item in signal["items"]]

    def actions_of(self, do):
        return [action for action in self.actions if action["do"] == do]

    def last(self, do):
        return [action for action in self.actions if action["do"] == do][-1]

    def to_queue(self, leg="p1", digit="1", **more):
        self.offer(leg, **more)
        self.press(digit, leg)

    def to_talk(self, leg="p1", **more):
        """Through the menu to an agent; returns the agent's leg."""
        self.to_queue(leg, **more)
        other = self.last("leg.create")["leg"]
        self.do("leg.alerting", leg=other)
        self.do("leg.answered", leg=other)
        return other
