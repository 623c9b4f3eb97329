"""What agents do with calls that are up: hold, consult, transfer, conference, park, pick up.

Commands come from the API, the CTI link, a telephone's REFER (leg.transfer) or its feature codes; all of them name
the call and, where it is not plain, who acts ("by": agent, line or leg).  A command that cannot be carried out
changes nothing and says why (core.refuse).

    consult    the target's telephone rings, the caller hears music; answered, agent and target talk
    change_over    the agent talks with the other one of caller and consulted party, who waits meanwhile
    transfer   with a target: at once (blind); nobody takes it: it comes back to the agent (recall)
               without: the consulted party gets the call, also while it still rings
    conference the consulted party comes into the conversation; invite: as soon as it answers
    park       the call waits at a numbered place; fetched from any telephone, after a while it comes back

A target is {"to": "agent"|"line"|"queue"|"flow"|"number", "target"}; "number" is what the agent's telephone could
dial.  Consulting a queue asks the agent whom the queue would choose now; it does not wait there.  A consultation with
the outside tries one trunk of each way and no second one.
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.call import outside
from firmware.call.number_plan import MATCH
from firmware.control import core_calls, core_desk, core_dispatch, core_emergency, core_floor, core_ivr, core_outside, core_overflow, core_parties, core_queues, core_recordings
from firmware.control.core_base import NO_ANSWER, NORMAL, SWITCH
from firmware.control.core_ending import clear, leave, stop_recording, withdraw
from firmware.control.core_parties import acting, detach, hold as hold_call, unhold, wire

# Invented: how long a consulted telephone rings.
CONSULT_MS = 60000
# Defaults of the setting "park"; the schema gives them too.
PARK = {"first": 701, "places": 20, "timeout_s": 120}


def _call(core, event):
    call = core.state.calls.get(event["call"])
    return call if call is not None else core.refuse("there is no open call %s" % event["call"])


# Targets.

def resolve(core, line, kind, target):
    """{"to", "target", "route"?} of something that can be reached, or False (refused).  line: of who asks, or None."""
    if kind == "number":
        verdict, route = core.router.find(target, True, True, outside.CLASSES)
        if verdict != MATCH:
            return core.refuse("no number, line or route takes %s" % target)
        why = core_outside.forbidden_to(core, line, route)
        if why is not None:
            return core.refuse(why)
        kind = {"ivr": "flow"}.get(route["application"], route["application"])
        if kind == "feature":
            return core.refuse("%s is a feature code, no target" % target)
        return {"to": kind, "target": route["target"], "route": route}
    known = {"agent": core.agent_configs, "line": core.line_rows, "queue": core.queue_configs, "flow": core.flows}.get(kind)
    if known is None or target not in known:
        return core.refuse("there is no %s %s" % (kind, target))
    return {"to": kind, "target": target}


def telephone(core, found):
    """The line of an agent, line or queue that can ring now, or False (refused)."""
    kind, target = found["to"], found["target"]
    if kind == "queue":
        target = core_dispatch.ready_agent(core, target)
        if target is None:
            return core.refuse("no agent of queue %s is ready" % found["target"])
        kind = "agent"
    line = core.line_of(target) if kind == "agent" else target
    if line is None or not core.is_registered(line):
        return core.refuse("%s %s is not reachable: no telephone is registered" % (kind, target))
    if line in core.state.line_legs:
        return core.refuse("%s %s is busy" % (kind, target))
    return line


def create(core, call, line, role, auto_answer=False, caller_name=""):
    """A new leg to a telephone.  Returns its id."""
    (leg, tech), name, caller = core.phone_leg(line), core.agent_on(line), call.shown_caller()
    core.emit("leg.created", call=call.id, leg=leg, agent=name, role=role, tech=tech, line=line, caller=caller, caller_name=caller_name)
    more = {"auto_answer": True} if auto_answer else {}
    core.act("leg.create", leg=leg, tech=tech, line=line, caller=caller, caller_name=caller_name, call=call.id, **more)
    if name is not None and core.state.agent(name).call is None:
        core_queues.take_line(core, name, call, "offered")
    return leg


def create_outside(core, call, route):
    """A new leg to the outside: the first way that is open and has a trunk.  Its id, or None."""
    for way in _ways(core, route):
        group = core.state.groups.get(way["trunk_group"])
        trunk = group.select(lambda span, timeslot: core.span_is_up(span)) if group and not core_outside.is_kept(core, way, route["class"]) else None
        if trunk is not None:
            return core_outside.create_leg(core, call, way, trunk, core.state.legs[call.agent_leg].line, route["class"])
    return None


def _ways(core, route):
    return outside.ways(route["row"], route["target"], *core_outside.local_time(core), areas=core.router.areas)


# Hold.

def hold(core, event):
    """The caller waits with music."""
    call = _call(core, event)
    if not call or not acting(core, call, event.get("by")):
        return False
    if call.held or call.consult is not None or call.members:
        return core.refuse("call %s is %s" % (call.id, "held already" if call.held else "in consultation or a conference"))
    hold_call(core, call, call.agent or "")
    return True


def retrieve(core, event):
    """The agent is with the caller again; a consultation ends."""
    call = _call(core, event)
    if not call or not acting(core, call, event.get("by")):
        return False
    if call.consult is not None:
        core_parties.consult_over(core, call, "dropped")
    elif call.held:
        if call.seeking is not None or call.register is not None:
            core.act("media.stop", leg=call.agent_leg)
        unhold(core, call)
    else:
        return core.refuse("call %s is not held" % call.id)
    return True


# Consultation and conference.

def consult(core, event):
    """Ask somebody meanwhile.  event: call by? to target join?(true: into the conversation at once)"""
    call = _call(core, event)
    if not call or not acting(core, call, event.get("by")):
        return False
    if call.consult is not None or call.seeking is not None:
        return core.refuse("call %s is in consultation already; end it first" % call.id)
    if call.members is not None and not core_floor.has_room(core, call):
        return False
    found = resolve(core, core.state.legs[call.agent_leg].line, event["to"], event["target"])
    if not found:
        return False
    if found["to"] == "flow":
        return core.refuse("a flow cannot be consulted; transfer the call to it")
    if found["to"] == "outside":
        leg = create_outside(core, call, found["route"])
        if leg is None and found["route"]["class"] == outside.EMERGENCY and core_emergency.seek(core, call, _ways(core, found["route"]), event["target"], bool(event.get("join"))):
            _ask_meanwhile(core, call)
            return True
        if leg is None:
            return core.refuse("no trunk is free for %s" % found["route"]["target"])
    else:
        line = telephone(core, found)
        leg = line and create(core, call, line, legs.CALLEE)
    if not leg:
        return False
    _consulting(core, call, found, leg, bool(event.get("join")))
    return True


def _consulting(core, call, found, leg, whole):
    """A leg calls the party that is asked."""
    core.emit("call.consulting", call=call.id, leg=leg, agent=core.state.legs[leg].agent, to=found["to"], target=found["target"],
              bridge=core.ids.next("b"), join=whole, deadline_ms=core.now_ms + CONSULT_MS)
    core_desk.pop(core, call, core.state.legs[leg].agent, leg)
    if not whole:
        _ask_meanwhile(core, call)


def _ask_meanwhile(core, call):
    """The caller waits with music, the agent hears ringing."""
    if not call.held and not call.members:
        hold_call(core, call, call.agent or "")
    else:
        wire(core, call)
    core.act("media.signal", leg=call.agent_leg, token="%s-a%d" % (call.id, call.signals), items=[{"tone": "ringback"}], repeat=0)


def sought(core, call, was):
    """A circuit that was taken for an emergency consultation is free, or was not given back in time: core_emergency.seek()."""
    agent = core.state.legs.get(call.agent_leg)
    if call.state != calls.TALKING or agent is None or agent.state == legs.RELEASING:
        return
    found = resolve(core, agent.line, "number", was["target"])
    route = found and found.get("route")
    leg = create_outside(core, call, route) if route else None
    if leg is not None:
        _consulting(core, call, found, leg, was["join"])
    elif not route or not core_emergency.seek(core, call, _ways(core, route), was["target"], was["join"], was):
        core.act("media.stop", leg=call.agent_leg)
        unhold(core, call)


def consult_timeout(core, call):
    """The consulted telephone rang long enough."""
    if call.consult is None or call.consult["state"] != "ringing":
        return False
    core_parties.consult_over(core, call, "no_answer", NO_ANSWER)
    return True


def _with_two(core, event):
    """The call of a command that needs a consulted party who has answered, or False (refused)."""
    call = _call(core, event)
    if not call or not acting(core, call, event.get("by")):
        return False
    if call.consult is None or call.consult["join"] or call.consult["state"] == "ringing":
        return core.refuse("call %s has no consulted party that has answered" % call.id)
    return call


def conference(core, event):
    """The consulted party comes into the conversation."""
    call = _with_two(core, event)
    if call:
        core_parties.join(core, call)
    return bool(call)


def change_over(core, event):
    """The agent talks with the other one: with the caller while the consulted party waits, or back."""
    call = _with_two(core, event)
    if call:
        core_parties.change_over(core, call)
    return bool(call)


# Transfer.

def transfer(core, event):
    """Give the call away.  event: call by? to? target? (none: to the consulted party) referred_by?(as a telephone names itself: RFC 3892)"""
    call = _call(core, event)
    if not call or not acting(core, call, event.get("by")):
        return False
    if event.get("target") is None:
        if call.consult is None or call.consult["join"]:
            return core.refuse("call %s has nobody in consultation; name a target" % call.id)
        complete(core, call)
        return True
    if call.members:
        return core.refuse("call %s is a conference; leave it by hanging up" % call.id)
    found = resolve(core, core.state.legs[call.agent_leg].line, event["to"], event["target"])
    if not found:
        return False
    why, rule = core_overflow.at_entry(core, found["target"]) if found["to"] == "queue" else (None, None)
    if why is not None and rule is None:            # the caller would hear goodbye there
        return core.refuse("queue %s is %s and has no rule for that; the caller stays" % (found["target"], why))
    if call.consult is not None:
        core_parties.consult_over(core, call, "dropped")
    referrer = event.get("referred_by") or core.state.legs[call.agent_leg].line
    core.emit("call.transferred", call=call.id, leg=call.agent_leg, agent=call.agent, queue=call.queue, by=call.agent, to=found["to"],
              target=found["target"], **({"carried": dict(call.carried or {}, referred_by=referrer)} if referrer else {}))
    detach(core, call, "transfer", recall=call.agent)
    if found["to"] == "queue":
        core_queues.enter(core, call, found["target"], None, {})
    elif found["to"] == "flow":
        core_ivr.enter_flow(core, call, found["target"], core.flows[found["target"]])
    elif found["to"] == "outside":
        core_outside.dial(core, call, found["route"], None)
    else:
        core_calls.ring(core, call, found["to"], found["target"], None)
    return True


def complete(core, call):
    """The consulted party gets the call; the agent's side leaves it."""
    consult_ = call.consult
    leg, talks = consult_["leg"], consult_["state"] != "ringing"
    name = call.agent
    core.emit("call.transferred", call=call.id, leg=call.agent_leg, agent=name, queue=call.queue, by=name, to=consult_["to"],
              target=consult_["target"])
    core_parties.drop_bridge(core, call)
    core.act("media.stop", leg=call.agent_leg)
    core.emit("call.consult_ended", call=call.id, leg=leg, agent=consult_["agent"], outcome="transferred", cause=None)
    if call.members:                    # the others talk on; the consulted party comes to them
        old = core.state.legs.get(call.agent_leg)
        core.emit("call.joined", call=call.id, leg=leg, agent=consult_["agent"])
        core_parties.turn(core, call, call.caller_leg, leg, "left")
        if old is not None:
            core_parties.release_party(core, call, old)
        wire(core, call)
        return
    detach(core, call, "transfer", recall=None if talks else name, apart=not talks)
    if talks:
        core_calls.connect(core, call, leg, consult_["agent"])
        return
    core.emit("call.ringing", call=call.id, leg=leg, agent=consult_["agent"], deadline_ms=core.now_ms + CONSULT_MS, failed=None)
    core.play(call, "ringback", [{"tone": "ringback"}], 0)


def recall(core, call):
    """Nobody took a transferred or parked call: back to the agent who gave it away.  Whether that telephone rings now."""
    name = call.recall
    if name is None:
        return False
    core.emit("call.detached", call=call.id, agent=name, queue=call.queue, by=name, recall=None, why="recall")
    line = core.line_of(name)
    if line is None or not core.is_registered(line) or line in core.state.line_legs:
        return False
    core_calls.ring(core, call, "agent", name, None)
    return True


def refer(core, event):
    """A telephone asks for a transfer (SIP REFER).  event: leg, referred_by, and called (digits) or other (the leg of its second call)."""
    call = core.call_of(event["leg"])
    if call is None:
        return core.refuse("there is no call on leg %s" % event["leg"])
    if event.get("other") is None:
        return transfer(core, {"call": call.id, "by": event["leg"], "to": "number", "target": event.get("called") or "", "referred_by": event.get("referred_by")})
    second = core.call_of(event["other"])
    if second is None or second is call:
        return core.refuse("there is no second call on leg %s" % event["other"])
    if second.state == calls.RINGING and second.caller_leg == event["other"]:
        target = second.called              # not answered yet: the same as a transfer at once to the number
        clear(core, second, NORMAL, SWITCH, "self_service", "transferred by the telephone before the answer")
        return transfer(core, {"call": call.id, "by": event["leg"], "to": "number", "target": target, "referred_by": event.get("referred_by")})
    if not acting(core, call, event["leg"]) or not acting(core, second, event["other"]):
        return False
    for each in (call, second):
        if each.consult is not None or each.members:
            return core.refuse("call %s is in consultation or a conference" % each.id)
    _merge(core, call, second)
    return True


def _merge(core, call, second):
    """The far party of the second call gets the first one."""
    leg = core.state.legs[second.caller_leg]
    core.emit("call.transferred", call=call.id, leg=call.agent_leg, agent=call.agent, queue=call.queue, by=call.agent, to="call",
              target=second.id)
    for each in (call, second):
        core.silence(each)
        if each is call:
            core_recordings.part(core, call)
        elif core_recordings.is_open(core, each):
            stop_recording(core, each.recording)
    bridge = second.bridge
    core.emit("call.unbridged", call=second.id, agent=second.agent, bridge=bridge)
    core.act("media.bridge", bridge=bridge, legs=[])
    core.emit("leg.moved", call=call.id, leg=leg.id, agent=leg.agent, role=legs.CALLEE, **{"from": second.id})
    detach(core, call, "transfer", apart=False)
    core_calls.connect(core, call, leg.id, core.agent_on(leg.line))
    clear(core, second, NORMAL, SWITCH, "answered", "its party was given to call %s" % call.id)


# Park.

def park(core, event):
    """The call waits at a numbered place.  event: call by? place?"""
    call = _call(core, event)
    if not call or not acting(core, call, event.get("by")):
        return False
    if call.consult is not None or call.members:
        return core.refuse("call %s is in consultation or a conference" % call.id)
    setting = core.config.get("park") or PARK
    taken = [other.place for other in core.state.calls.values() if other.place is not None]
    free = [place for place in range(setting["first"], setting["first"] + setting["places"]) if place not in taken]
    place = event.get("place")
    if place is None and free:
        place = free[0]
    if place not in free:
        return core.refuse("place %s is not free" % place if place is not None else "all places are taken")
    detach(core, call, "park", recall=call.agent)
    core.emit("call.parked", call=call.id, leg=call.caller_leg, queue=call.queue, place=place,
              deadline_ms=core.now_ms + setting["timeout_s"] * 1000)
    core_parties.hold_music(core, call)
    core.answer = {"place": place}
    return True


def park_timeout(core, call):
    """Nobody fetched it: back to who parked it, else the end."""
    if call.state != calls.PARKED:
        return False
    core.emit("call.unparked", call=call.id, outcome="recalled")
    core.silence(call)
    core_ivr.not_reached(core, call, None, NO_ANSWER, "no_answer", "nobody fetched the parked call")
    return True


def unpark(core, event):
    """Fetch a parked call to a telephone.  event: call or place; agent or line; own?(the call of the telephone that dialled)"""
    parked = [call for call in core.state.calls_in_order()
              if call.state == calls.PARKED and (call.id == event.get("call") or call.place == event.get("place"))]
    if not parked:
        return core.refuse("nothing is parked there")
    return _fetch(core, parked[0], event, lambda: core.emit("call.unparked", call=parked[0].id, outcome="fetched"))


def _fetch(core, call, event, let_go):
    """Give a waiting caller to a telephone: the one that dialled, or one that rings."""
    if event.get("own") is not None:
        let_go()
        take(core, call, event["own"])
        return True
    kind = "agent" if event.get("agent") is not None else "line"
    found = resolve(core, None, kind, event.get(kind) or "")
    line = found and telephone(core, found)
    if not line:
        return False
    let_go()
    core_calls.ring(core, call, "line", line, call.failed)
    return True


def take(core, call, own):
    """The telephone that dialled gets a call: its leg comes from its own call into that one."""
    leg = core.state.legs[own.caller_leg]
    name = core.agent_on(leg.line)
    core_calls.answer(core, own)
    core_calls.answer(core, call)
    core.silence(own)
    core_parties.move(core, own, call, leg, legs.CALLEE)
    core_calls.connect(core, call, leg.id, name)
    clear(core, own, NORMAL, SWITCH, "self_service", "went into call %s" % call.id)


def pick_up(core, event):
    """Take a call that rings at another telephone.  event: call, or target (agent or line); by agent or line; own?"""
    ringing = [call for call in core.state.calls_in_order() if _rings(core, call, event)]
    if not ringing:
        return core.refuse("nothing rings there")
    call = ringing[0]
    if call.target_leg is not None and core.state.legs[call.target_leg].line is None:
        return core.refuse("call %s rings outside" % call.id)
    chosen = event.get("agent") or event.get("line")

    def is_there(offer):
        leg = core.state.legs.get(offer["leg"])
        return offer["agent"] == chosen or leg is not None and leg.line == chosen
    if chosen is not None and True in [is_there(offer) for offer in call.offers]:
        return core.refuse("call %s rings there itself; lift the handset" % call.id)

    def let_go():
        if call.offer is not None:
            withdraw(core, call, "withdrawn", NORMAL)
            leave(core, call, "answered")
        else:
            leg = core.state.legs[call.target_leg]
            core.emit("call.ringing_ended", call=call.id, leg=leg.id, outcome="picked_up", cause=None)
            core_parties.release_party(core, call, leg)
    return _fetch(core, call, event, let_go)


def _rings(core, call, event):
    ringing = [core.state.legs.get(leg) for leg in [offer["leg"] for offer in call.offers] or [call.target_leg]]
    ringing = [leg for leg in ringing if leg is not None]
    if not ringing or call.state not in (calls.QUEUED, calls.RINGING):
        return False
    wanted = event.get("target")
    if event.get("call") is not None:
        return call.id == event["call"]
    return wanted is not None and True in [wanted in (leg.line, leg.agent) for leg in ringing]
