"""The part of the switchboard's state that follows calls and their way through flows: one method for each record
kind (core_state.py)."""

from firmware.call import call as calls

CALL_TIMERS = ("announce", "closing", "comfort", "consult", "home", "ivr", "mailbox", "overflow", "park", "register", "relax", "reserve", "ring", "secret", "signal", "test", "tier", "wait")


class CallFolds:
    """Methods of CoreState: records of calls and of the IVR."""

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
                            "tried": [], "cause": None, "ring_ms": data["ring_ms"], "cls": data["cls"],
                            "overlap": bool(data.get("overlap"))}
            if data.get("span") is not None:
                call.outside["span"] = data["span"]

    def call_more_digits(self, record, data, call):
        if call is not None and call.outside is not None:
            ways = [dict(way, number=way["number"] + data["suffix"]) for way in call.outside["ways"]]
            call.outside = dict(call.outside, digits=data["digits"], ways=ways)

    def call_dialled(self, record, data, call):
        if call is not None and call.outside is not None:
            call.outside = dict(call.outside, overlap=False)

    def call_hunted(self, record, data, call):
        if call is not None and call.outside is not None:
            out = dict(call.outside)
            out["way"], out["cause"] = data["way"], data["cause"]
            if data["trunk"] is not None:
                out["tried"] = out["tried"] + [data["trunk"]]
                out["attempts"] += 1
            if data.get("locked"):
                out["locked"], out["tried"] = True, []
            call.outside = out

    def call_preempting(self, record, data, call):
        if call is not None and call.outside is not None:
            call.outside = dict(call.outside, way=data["way"], tried=[], preempted=data["count"], waits=[data["of"]] + data["trunk"])
            self.timers.set("preempt", data["of"], data["deadline_ms"])
            self.keep_trunk(call)

    def call_preempted(self, record, data, call):
        if call is not None and call.outside is not None:
            if data["outcome"] == "late":       # not waited for again
                call.outside = dict(call.outside, late=(call.outside.get("late") or []) + call.outside["waits"][:1])
            self.give_trunk(call)

    def call_seeking(self, record, data, call):
        if call is not None:
            self.give_sought(call)
            call.seeking = {name: data[name] for name in ("of", "trunk", "group", "target", "join", "count", "late")}
            self.timers.set("preempt", data["of"], data["deadline_ms"])
            self.keep_sought(call)

    def call_sought(self, record, data, call):
        if call is not None:
            self.give_sought(call)

    def keep_sought(self, call):
        """As keep_trunk(), for a consultation."""
        self.group(call.seeking["group"]).hold(call.id, *call.seeking["trunk"])

    def give_sought(self, call):
        """Nothing is waited for any more."""
        if call.seeking is not None:
            self.timers.cancel("preempt", call.seeking["of"])
            self.group(call.seeking["group"]).free(call.id, *call.seeking["trunk"])
            call.seeking = None

    def keep_trunk(self, call):
        """The circuit that was taken for an emergency call is nobody else's."""
        waits, way = call.outside["waits"], call.outside["ways"][call.outside["way"]]
        self.group(way["trunk_group"]).hold(call.id, waits[1], waits[2])

    def give_trunk(self, call):
        if call.outside is not None and call.outside.get("waits"):
            waits, way = call.outside["waits"], call.outside["ways"][call.outside["way"]]
            self.timers.cancel("preempt", waits[0])
            self.group(way["trunk_group"]).free(call.id, waits[1], waits[2])
            call.outside = dict(call.outside, waits=None)

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

    def call_screening(self, record, data, call):
        if call is not None:
            call.screening = record["leg"]
            self.timers.set("ring", call.id, data["deadline_ms"])

    def call_screened(self, record, data, call):
        if call is not None:
            call.screening = None

    def call_ringing_ended(self, record, data, call):
        if call is not None:
            call.target_leg = call.screening = None
            call.failed_cause = data["cause"]
            self.timers.cancel("ring", call.id)

    def call_bridged(self, record, data, call):
        if call is not None:
            call.state = calls.TALKING
            call.bridge = data["bridge"]
            call.agent_leg = data["legs"][1]
            call.agent = record["agent"]
            call.last_agent = record["agent"] or call.last_agent
            call.agent_answered_ms = record["ts_ms"]

    def call_unbridged(self, record, data, call):
        if call is not None:
            call.bridge = None
            call.held = call.dead_air = None

    def call_dead_air(self, record, data, call):
        if call is not None:
            call.dead_air = record["ts_ms"]

    def call_dead_air_over(self, record, data, call):
        if call is not None:
            call.dead_air = None

    def call_announcing(self, record, data, call):
        if call is not None:
            call.state = calls.ANNOUNCING
            call.announcing = {"name": data["name"], "then": data["then"], "to": data["to"]}
            call.announced = (call.announced or []) + [data["name"]]

    def call_announced(self, record, data, call):
        if call is not None:
            call.announced = (call.announced or []) + [data["name"]]

    def duty_begun(self, record, data, call):
        if call is not None:
            call.duty = {"name": data["duty"], "tried": 0, "asked": None}

    def duty_step(self, record, data, call):
        if call is not None:
            call.duty = {"name": data["duty"], "tried": data["tried"], "asked": None}

    def duty_asked(self, record, data, call):
        if call is not None and call.duty is not None:
            call.duty = dict(call.duty, asked=record["leg"])
            self.timers.set("ring", call.id, data["deadline_ms"])

    def duty_ended(self, record, data, call):
        if call is not None:
            call.duty = None

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
            self.give_trunk(call)
            self.give_sought(call)
            for kind in CALL_TIMERS:
                self.timers.cancel(kind, call.id)

    def call_ended(self, record, data, call):
        self.calls.pop(record["call"], None)
        self.floors.pop(record["call"], None)

    # IVR.

    def flow_loaded(self, record, data, call):
        used = dict([(key, True) for key in data.get("used") or []])
        for other in self.calls.values():
            used[other.flow_key] = True
            for key in (other.flow_keys or {}).values():
                used[key] = True
        for key in sorted(self.flows):
            if key not in used:
                del self.flows[key]
        self.flows[data["key"]] = data["definition"]

    def ivr_entered(self, record, data, call):
        if call is not None:
            call.state = calls.IVR
            call.flow_key = data["key"]
            call.flow_keys = dict(data.get("keys") or {data["flow"]: data["key"]})
            call.variables = call.after = call.request = None

    def ivr_moved(self, record, data, call):
        if call is not None:
            call.state = calls.IVR
            before, call.position = call.position or {}, dict(data["position"])
            same = (before.get("flow"), before.get("node")) == (call.position.get("flow"), call.position.get("node"))
            if call.request is not None and not (same and (call.position["waiting"] == "answer" or call.request["ask"] in ("agi", "cti"))):
                call.request = None
            if data.get("set") or data.get("unset"):
                variables = dict(call.variables or {})
                variables.update(data.get("set") or {})
                for name in data.get("unset") or []:
                    variables.pop(name, None)
                call.variables = variables
            self.timers.set("ivr", call.id, data["deadline_ms"])

    def ivr_left(self, record, data, call):
        self.timers.cancel("ivr", record["call"])
        if call is not None:
            call.after = data.get("after")
            call.request = call.message = None

    def ivr_asked(self, record, data, call):
        if call is not None:
            call.requests = (call.requests or 0) + 1
            call.request = {"token": data["token"], "ask": data["ask"]}

    def ivr_recording(self, record, data, call):
        if call is not None:
            call.message = data["recording"]
