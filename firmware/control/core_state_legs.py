"""The part of the switchboard's state that follows legs: one method for each record kind (core_state.py)."""

from firmware.call import call as calls
from firmware.call import leg as legs


class LegFolds:
    """Methods of CoreState: records of legs."""

    def leg_offered(self, record, data, call):
        call = calls.Call(record["call"], data["order"])
        self.order = max(self.order, data["order"])
        for name in ("caller", "caller_presentation", "caller_type", "called", "called_complete", "redirecting", "bearer", "carried", "received"):
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
            self.group(leg.trunk_group).seize(leg.id, leg.span, leg.timeslot, True)

    def leg_created(self, record, data, call):
        leg = legs.Leg(record["leg"], record["call"], data["role"], data["tech"], legs.CREATED)
        leg.line, leg.cls = data["line"], data.get("cls")
        if call is not None:
            self._add_leg(call, leg, record["agent"])
            if data.get("span") is not None:
                leg.trunk_group, leg.span, leg.timeslot = data["trunk_group"], data["span"], data["timeslot"]
                self.group(leg.trunk_group).seize(leg.id, leg.span, leg.timeslot)

    def leg_seized(self, record, data, call):
        leg = self.legs.get(record["leg"])
        if leg is not None:
            if call is not None and call.outside is not None:       # what the adapter could not take is not asked for again
                call.outside = dict(call.outside, tried=call.outside["tried"] + [[leg.span, leg.timeslot]])
            self.group(leg.trunk_group).move(leg.id, (leg.span, leg.timeslot), (data["span"], data["timeslot"]))
            leg.span, leg.timeslot = data["span"], data["timeslot"]

    def _begin_call(self, record, data, application, **known):
        """A call that nobody has offered: the switch dials for it, or it waits; its caller's leg is of no technology.  known: attributes of it."""
        call = calls.Call(record["call"], data["order"])
        call.application, call.called_complete = application, True
        for name, value in known.items():
            setattr(call, name, value)
        if "languages" in data:
            call.languages = list(data["languages"])
        call.started_ms = record["ts_ms"]
        call.caller_leg = record["leg"]
        self.calls[call.id] = call
        self.order = max(self.order, data["order"])
        self._add_leg(call, legs.Leg(record["leg"], call.id, legs.CALLER, "none", legs.ANSWERED), None)
        return call

    def _caller_is(self, call, leg):
        if call is not None and leg in self.legs:
            call.caller_leg = leg
            self.legs[leg].role = legs.CALLER

    def _add_leg(self, call, leg, agent):
        self.legs[leg.id] = leg
        call.legs.append(leg.id)
        if leg.line is not None:
            self.line_legs.setdefault(leg.line, []).append(leg.id)
        if agent is not None and self.agent(agent).leg is None:
            self.agent(agent).leg = leg.id
            leg.agent = agent

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
        leg = self._leg_state(record, legs.ANSWERED)
        if leg is not None and data.get("connected"):
            leg.heard = dict(leg.heard, connected=data["connected"])
        if call is not None and record["leg"] == call.caller_leg:
            call.answered_ms = record["ts_ms"]

    def _flag(self, record, name, value):
        if record["leg"] in self.legs:
            setattr(self.legs[record["leg"]], name, value)

    def leg_malicious(self, record, data, call):
        leg = self.legs.get(record["leg"])
        if leg is not None:
            leg.heard = dict(leg.heard, malicious={"outcome": data["outcome"], "why": data.get("why")})

    def leg_network(self, record, data, call):
        leg = self.legs.get(record["leg"])
        if leg is not None:
            leg.heard = dict(leg.heard, network={"verb": data["verb"], "outcome": data["outcome"], "why": data.get("why")})

    def leg_held(self, record, data, call):
        self._flag(record, "held", True)

    def leg_retrieved(self, record, data, call):
        self._flag(record, "held", False)

    def leg_rtp_lost(self, record, data, call):
        self._flag(record, "rtp_lost", True)

    def leg_rtp_back(self, record, data, call):
        self._flag(record, "rtp_lost", False)

    def leg_away(self, record, data, call):
        self._flag(record, "away", dict(data))

    def leg_back(self, record, data, call):
        self._flag(record, "away", None)

    def leg_audio_missing(self, record, data, call):
        leg = self.legs.get(record["leg"])
        if leg is not None:
            leg.missing = sorted({*(leg.missing or []), data["direction"]})

    def leg_audio_back(self, record, data, call):
        leg = self.legs.get(record["leg"])
        if leg is not None:
            leg.missing = [name for name in leg.missing or [] if name != data["direction"]]

    def leg_fax_heard(self, record, data, call):
        if record["leg"] in self.legs:
            self.legs[record["leg"]].fax.append(data["tone"])

    def leg_t38(self, record, data, call):
        self._flag(record, "t38", data["state"])

    def leg_listening(self, record, data, call):
        self._flag(record, "hears", dict(data["wishes"]))

    def leg_enhanced(self, record, data, call):
        self._flag(record, "enhance", dict(data["effects"]))

    def leg_streaming(self, record, data, call):
        leg = self.legs.get(record["leg"])
        if leg is not None:
            leg.streams = dict(leg.streams)
            leg.streams.pop(data["stream"], None)
            if data["on"]:
                leg.streams[data["stream"]] = {"service": data["service"], "other": data["other"]}

    def leg_streamed(self, record, data, call):
        """For the journal only."""

    def leg_sent(self, record, data, call):
        """For the journal only."""

    def leg_heard(self, record, data, call):
        leg = self.legs.get(record["leg"])
        if leg is not None:
            leg.heard = dict(leg.heard)
            leg.heard[data["what"]] = data["value"]

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
        plays = self._plays(record)
        if plays.pop(leg.id, None) is not None:
            self._floor(record, "plays", plays)
        if leg.line is not None:
            self.line_legs[leg.line].remove(leg.id)
            if not self.line_legs[leg.line]:
                del self.line_legs[leg.line]
        if leg.span is not None:
            self.group(leg.trunk_group).free(leg.id, leg.span, leg.timeslot)
        agent = leg.agent or record["agent"]
        if agent is not None and self.agent(agent).leg == leg.id:
            self.agent(agent).leg = None
