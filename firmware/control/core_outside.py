"""Decisions of calls to the outside: permission, the hunt for a trunk, what the caller hears meanwhile.

    dial -> call.dialling: the ways that are open now, kept with the call
        hunt -> leg.created on a trunk that the group selects -> call.ringing
            | refused with a cause that concerns the channel (ANOTHER_TRUNK): another trunk of the group
            | nothing came, or the data link failed: another span of the group
            | ... that concerns the way (ANOTHER_WAY): the next choice
            |     all of it only before the called party rings, and at most hunt_limit trunks
    | no trunk at all, and it is an emergency call: one is taken from another call, or is one that is locked (core_emergency.py)
            | any other cause: it is the answer, and the caller gets it

The caller hears the far end as soon as that says there is something to hear (progress description
1 or 8, Q.931 4.5.23): the path is cut through before the answer, and the caller is told so (PROGRESS or
ALERTING with description 8, SIP 183).  Where the called party rings and nothing is to be heard, whoever
is nearer to the caller gives ringing tone: a telephone its own (180), a carrier's exchange its own
(ALERTING); we do, to a caller who has been answered and on spans where we are the network.
"""

from firmware.call import call as calls
from firmware.call import carriage
from firmware.call import leg as legs
from firmware.call import outside
from firmware.control import core_emergency, core_overlap
from firmware.control.core_base import SWITCH
from firmware.control.core_ending import clear
from firmware.control.core_ivr import not_reached

NO_CIRCUIT = 34             # Q.850
NETWORK_OUT_OF_ORDER = 38
REJECTED = 21
BEARER_NOT_IMPLEMENTED = 65
INCOMPATIBLE_DESTINATION = 88
DIGITAL = ("pri", "ss7")    # techs whose circuits carry 64 kbit/s unrestricted
# A guard above T303 twice, T310 and T301 of Q.931 9.2 (8 + 60 + 180 s), which end a set-up by themselves.
SET_UP_GUARD_MS = 260000


def local_time(core):
    """(weekday 1-7, minute of the day) of the site."""
    return core.local_time()


def forbidden(core, call, route):
    """Why the calling line may not have a route, as a sentence, or None."""
    return forbidden_to(core, core.state.legs[call.caller_leg].line, route)


def forbidden_to(core, line, route):
    """The same for a line; None: a caller from outside."""
    if line is None:
        return None
    kinds = (outside.INTERNAL,) if route["application"] in ("agent", "line") else route.get("classes") or ()
    for kind in kinds:
        if kind != outside.EMERGENCY and kind not in core.classes_of_line(line):
            return "line %s may not make %s calls" % (line, kind)
    return None


def dial(core, call, route, failed, ring_ms=None, overlap=False):
    """Begin a call to the outside.  route: from the router; failed: node of the flow if nobody is reached; overlap: digits follow."""
    why = carriage.refusal(call.carried, call.called != route["target"], _alike(core, call, route["target"]))
    if why is not None and route["class"] != outside.EMERGENCY:
        not_reached(core, call, failed, carriage.ROUTING_ERROR, "failed", why)
        return
    weekday, minute = local_time(core)
    ways = outside.ways(route["row"], route["target"], weekday, minute, overlap, core.router.areas)
    if overlap:
        ways = [way for way in ways if core_overlap.sends(core, call, way)]
    core.emit("call.dialling", call=call.id, leg=call.caller_leg, digits=route["target"], route=route["number"], cls=route["class"], ways=ways,
              limit=core_emergency.LIMIT if route["class"] == outside.EMERGENCY else route["row"].get("hunt_limit") or outside.HUNT_LIMIT, failed=failed, ring_ms=ring_ms or SET_UP_GUARD_MS,
              **({"overlap": True} if overlap else {}))
    hunt(core, call)


def _alike(core, call, digits):
    """How many other calls from trunks are being set up from the same caller to the same number."""
    caller = core.state.legs.get(call.caller_leg)
    if not call.caller or caller is None or caller.line is not None:
        return 0
    return len([other for other in core.state.calls.values() if other is not call and other.state == calls.RINGING and other.outside is not None
                and other.outside["digits"] == digits and other.caller == call.caller])


def hunt(core, call):
    """Seize the next trunk, or end the attempt with the last cause."""
    state = core.state
    while True:
        out = call.outside
        if out["way"] >= len(out["ways"]) or out["attempts"] >= out["limit"]:
            if core_emergency.preempt(core, call):
                return
            if core_emergency.reopened(core, call):
                continue
            not_reached(core, call, call.failed, out["cause"] or NO_CIRCUIT, "failed",
                             "no trunk for %s: %s" % (out["digits"], "no choice of the route is open now" if not out["ways"]
                                                      else "%d tried" % out["attempts"]))
            return
        way = out["ways"][out["way"]]
        group = state.groups.get(way["trunk_group"])
        carries = _carries(core, call, way)
        trunk = None
        if group and carries and not is_kept(core, way, call.outside.get("cls")) and not core_emergency.goes_round(core, call, way):
            trunk = group.select(lambda span, timeslot: _is_worth_a_try(core, out, span, timeslot) and (
                not call.is_data or core.tech_of_span(span) in DIGITAL) and (not out.get("overlap") or core.tech_of_span(span) == "pri"))
        if trunk is not None:
            break
        up = [span for span, timeslot in group.trunks if core.span_is_up(span)] if group else []
        core.emit("call.hunted", call=call.id, way=out["way"] + 1, trunk=None,
                  cause=out["cause"] or (NETWORK_OUT_OF_ORDER if not up else NO_CIRCUIT if carries else BEARER_NOT_IMPLEMENTED))
    _seize(core, call, way, trunk)


def is_kept(core, way, cls):
    """Whether what is free of a trunk group is kept for emergency calls.  cls: of the route of the call that asks."""
    kept = (core.group_rows.get(way["trunk_group"]) or {}).get("reserved", 0)
    if not kept or cls == outside.EMERGENCY:
        return False
    group = core.state.groups[way["trunk_group"]]
    free = [trunk for trunk in group.trunks if group.holder(*trunk) is None and core.span_is_up(trunk[0])]
    if len(free) > kept:
        unusable = core.unusable()
        free = [trunk for trunk in free if trunk not in unusable]
    return len(free) <= kept


def _is_worth_a_try(core, out, span, timeslot):
    return out.get("span") in (None, span) and core.span_is_up(span) and [span, timeslot] not in out["tried"] and [span, None] not in out["tried"]


def connected(core, call, leg):
    """The number of who answered as a caller from outside may be told it (COLP), or None: not wanted, or not known."""
    caller = core.state.legs.get(call.caller_leg)
    group = core.group_rows.get(caller.trunk_group) if caller is not None and caller.line is None else None
    if group is None or not group.get("connected_number"):
        return None
    number = leg.heard.get("connected")
    if leg.line is not None:
        number = outside.shown_number(dict(group, caller="line"), core.line_rows.get(leg.line) or {}, {})
    if number is None:
        return None
    # A carrier keeps a restricted number to itself; whom we are the network of does not get it (EN 300 098).
    hidden = number["presentation"] != "allowed" and (leg.line is not None or caller.span in core.network_spans)
    return {"number": "" if hidden else number["number"], "type": number["type"], "presentation": number["presentation"]}


def malicious(core, event):
    """A person says that a caller is malicious: the network of the trunk registers the call (MCID, EN 300 130).  event: call leg? by?"""
    call = core.state.calls.get(event["call"])
    if call is None or call.state == calls.CLEARING:
        return core.refuse("there is no open call %s" % event["call"])
    name = {None: call.caller_leg, "caller": call.caller_leg, "agent": call.agent_leg}.get(event.get("leg"), event.get("leg"))
    leg = core.state.legs.get(name)
    if leg is None or leg.call != call.id or leg.line is not None or leg.state != legs.ANSWERED:
        return core.refuse("call %s has no answered trunk there; MCID is asked for while the caller is connected" % call.id)
    if leg.span not in core.mcid_spans:
        return core.refuse("the trunk of call %s has no malicious call identification (PRI of etsi, our side user)" % call.id)
    core.emit("leg.malicious", call=call.id, leg=leg.id, agent=call.agent, outcome="asked", by=event.get("by"))
    core.act("leg.mcid", leg=leg.id)
    return True


def malicious_told(core, event):
    """What became of it, or the far end says it of a call of ours."""
    call = core.call_of(event["leg"])
    if call is None:
        return False
    core.emit("leg.malicious", call=call.id, leg=event["leg"], outcome=event["outcome"], why=event.get("why"))
    return True


VERBS = ("hold", "retrieve", "transfer")


def network(core, event):
    """The network of a trunk holds a call (EN 300 141), or joins the two parties of a call itself (explicit call transfer, EN 300 369).

    event: call verb leg?("caller"|"agent"|id: of hold and retrieve) by?.  After a transfer both trunks are free, and the call is over for us."""
    call, verb = core.state.calls.get(event["call"]), event["verb"]
    if call is None or call.state == calls.CLEARING:
        return core.refuse("there is no open call %s" % event["call"])
    if verb not in VERBS:
        return core.refuse("%s is none of %s" % (str(verb)[:20], ", ".join(VERBS)))
    name = {None: call.caller_leg, "caller": call.caller_leg, "agent": call.agent_leg}.get(event.get("leg"), event.get("leg"))
    wanted = [name] if verb != "transfer" else [call.caller_leg, call.agent_leg]
    for each in wanted:
        leg = core.state.legs.get(each)
        if leg is None or leg.call != call.id or leg.line is not None or leg.state != legs.ANSWERED or leg.span not in core.mcid_spans:
            return core.refuse("call %s has no answered trunk there that is a PRI of etsi with our side user" % call.id)
    if verb == "transfer" and (call.consult is not None or call.members or call.monitors or call.held):
        return core.refuse("call %s has more parties, or is held; two trunks that talk are transferred" % call.id)
    core.emit("leg.network", call=call.id, leg=wanted[0], verb=verb, outcome="asked", by=event.get("by"))
    core.act("leg.network", leg=wanted[0], verb=verb, other=wanted[1] if verb == "transfer" else None)
    return True


def network_told(core, event):
    """What became of it."""
    call = core.call_of(event["leg"])
    if call is None:
        return False
    core.emit("leg.network", call=call.id, leg=event["leg"], verb=event["verb"], outcome=event["outcome"], why=event.get("why"))
    return True


def unanswered(core, leg):
    """A leg ends: what its network was asked and did not answer has failed, so no question stands open in the journal."""
    for kind in ("network", "malicious"):
        asked = leg.heard.get(kind)
        if asked is not None and asked["outcome"] == "asked":
            more = {"verb": asked["verb"]} if kind == "network" else {}
            core.emit("leg." + kind, call=leg.call, leg=leg.id, outcome="failed", why="the call ended before the network answered", **more)


def refused_bearer(core, leg):
    """The cause for a data call that cannot be carried: the network's answer or the user's (Q.931 5.1.5.2, 5.2.2)."""
    return BEARER_NOT_IMPLEMENTED if leg.span in core.network_spans else INCOMPATIBLE_DESTINATION


def _carries(core, call, way):
    """Whether a way takes calls of this bearer: data wants a trunk group that is meant for it, of digital trunks."""
    return not call.is_data or carries_data(core, way["trunk_group"])


def carries_data(core, group):
    """Whether a trunk group is meant for data calls."""
    return bool((core.group_rows.get(group) or {}).get("data_calls"))


def _seize(core, call, way, trunk):
    leg = create_leg(core, call, way, trunk, core.state.legs[call.caller_leg].line, call.outside.get("cls"))
    core.emit("call.ringing", call=call.id, leg=leg, deadline_ms=core.now_ms + call.outside["ring_ms"], failed=call.failed)


def create_leg(core, call, way, trunk, line, cls):
    """A leg to the outside on a trunk [span, timeslot].  line: of our telephone that calls, or None; cls: of the route.  Returns its id."""
    row = core.group_rows.get(way["trunk_group"]) or {}
    known = dict(call.received or {"number": call.caller, "type": call.caller_type}, presentation=call.caller_presentation)
    if call.callback is not None:       # we call: with the number of ours that was dialled, where there was one
        known, line = {"number": call.called, "type": None, "presentation": "allowed"}, None
    elif line is not None and getattr(core.state.legs.get(call.caller_leg), "line", None) != line:
        known = dict(known, presentation="allowed")     # an agent asks somebody: who withheld the number is another one
    caller = outside.shown_number(row, core.line_rows.get(line) if line is not None else None, known)
    # A number of ours diverts the call where it is not the one that was dialled; what is only passed on keeps what it brought.
    redirecting, more = None, carriage.referrer(call.carried)
    if line is None and call.callback is None and not core.is_absent(call):
        diverted = call.called and (call.outside is None or call.outside["digits"] != call.called)
        redirecting, more = carriage.onward(call.carried, {
            "number": call.called, "type": "unknown", "presentation": "allowed", "reason": "unconditional"} if diverted else None)
        if not row.get("redirecting", True):
            redirecting = None
    if trunk[0] in core.subscriber_spans and cls != outside.EMERGENCY:
        caller, redirecting = _without_digits(caller), _without_digits(redirecting)
    called = {"number": way["number"], "type": way["type"], "plan": way["plan"]}
    leg, tech = core.ids.next("l"), core.tech_of_span(trunk[0])
    core.emit("leg.created", call=call.id, leg=leg, role=legs.CALLEE, tech=tech, line=None, caller=caller["number"] if caller else "",
              caller_name=call.shown_name(), trunk_group=way["trunk_group"], span=trunk[0], timeslot=trunk[1], called=called,
              cls=cls)
    core.act("leg.create", leg=leg, tech=tech, line=None, trunk_group=way["trunk_group"], call=call.id, span=trunk[0], timeslot=trunk[1],
             exclusive=row.get("channel", "exclusive") == "exclusive", called=called, caller=caller, redirecting=redirecting,
             bearer=call.bearer or "speech", carried=more,
             **({"priority": True} if cls == outside.EMERGENCY else {}),
             **({"locked": True} if cls == outside.EMERGENCY and call.outside is not None and call.outside.get("locked") else {}),
             **({"complete": False} if call.outside is not None and call.outside.get("overlap") and not call.called_complete else {}))
    return leg


def _without_digits(number):
    """A number for a subscriber of ours: what is restricted goes no further (EN 300 093, EN 300 207)."""
    return dict(number, number="") if number is not None and number["presentation"] == "restricted" else number


def seized(core, event):
    """The channel is another one than was asked for: ours was taken, or the far end chose (Q.931 5.1.2, 5.2.3.1)."""
    leg = core.state.legs.get(event["leg"])
    if leg is None or leg.span is None or leg.role == legs.CALLER or (leg.span, leg.timeslot) == (event["span"], event["timeslot"]):
        return False
    core.emit("leg.seized", call=leg.call, leg=leg.id, span=event["span"], timeslot=event["timeslot"])
    return True


def hunt_on(core, call, leg, cause, by):
    """The trunk gave no way to the called party: try on.  False: what happened is the answer.

    leg: as it was; it is gone."""
    out = call.outside
    if out is None or leg.span is None or leg.state != legs.CREATED or call.bridge is not None:
        return False
    way, trunk = out["way"], [leg.span, leg.timeslot]
    if by == "failure" or (leg.tech == "sip" and cause in outside.ANOTHER_WAY):
        trunk = [leg.span, None]        # the other SIP trunks of a group are other carriers or gateways
    elif cause in outside.ANOTHER_WAY:
        way += 1
    elif cause not in outside.ANOTHER_TRUNK:
        return False
    core.emit("call.ringing_ended", call=call.id, leg=leg.id, outcome="failed", cause=cause)
    core.emit("call.hunted", call=call.id, leg=leg.id, way=way, cause=cause, trunk=trunk)
    hunt(core, call)
    return True


# What the caller hears before the answer.

def cut_through(core, call, leg):
    """Join caller and called party before the answer; nobody is there to hear it where the box calls by itself."""
    if call.bridge is None and not core.is_absent(call):
        core.silence(call)
        bridge = core.ids.next("b")
        core.emit("call.cut_through", call=call.id, leg=leg.id, bridge=bridge, legs=[call.caller_leg, leg.id])
        core.act("media.bridge", bridge=bridge, legs=[call.caller_leg, leg.id])


def undo_cut_through(core, call):
    """The called party did not answer: the path is taken away again."""
    if call.bridge is not None and call.state == calls.RINGING:
        bridge = call.bridge
        core.emit("call.unbridged", call=call.id, agent=call.agent, bridge=bridge)
        core.act("media.bridge", bridge=bridge, legs=[])


def progress(core, call, leg):
    """Something is to be heard from the called side."""
    caller = core.state.legs.get(call.caller_leg)
    if call.state != calls.RINGING or leg.id != call.target_leg or call.bridge is not None or caller is None:
        return
    cut_through(core, call, leg)
    if caller.state in (legs.PROCEEDING, legs.ALERTING):
        core.act("leg.progress", leg=caller.id, inband=True)


def alert_caller(core, call, leg, inband):
    """The called party rings."""
    core_overlap.over(core, call, leg)
    caller = core.state.legs.get(call.caller_leg)
    if leg.id != call.target_leg or caller is None:
        return
    if inband and leg.span is not None:
        cut_through(core, call, leg)
    ours = call.bridge is None and not call.is_data and (caller.state == legs.ANSWERED or caller.span in core.network_spans)
    if caller.state == legs.PROCEEDING:
        core.emit("leg.alerting", call=call.id, leg=caller.id, inband=call.bridge is not None or ours)
        core.act("leg.alerting", leg=caller.id, inband=call.bridge is not None or ours, **({"waiting": True} if core.is_waiting(leg) else {}))
    if ours and call.signal is None and caller.state != legs.RELEASING:
        core.play(call, "ringback", [{"tone": "ringback"}], 0)


def resume(core, call, tokens):
    """After a restart, in the middle of a set-up.  tokens: of what media plays to the caller.  False: it cannot go on."""
    if core_emergency.waits(core, call):
        return True
    target = core.state.legs.get(call.target_leg)
    caller = core.state.legs.get(call.caller_leg)
    if target is None or caller is None or target.span is None or legs.RELEASING in (target.state, caller.state):
        return False
    if call.bridge is not None:
        core.act("media.bridge", bridge=call.bridge, legs=[call.caller_leg, target.id])
    elif call.signal is not None and call.signal["token"] not in tokens:
        core.play(call, call.signal["purpose"], call.signal["items"], call.signal["repeat"])
    return True


# Where the way begins: what the caller dialled, or a flow.

def refuse(core, call, why):
    """The caller may not have what was dialled."""
    clear(core, call, REJECTED, SWITCH, "rejected", why)


def from_flow(core, call, command):
    """A node of the flow dials the outside."""
    route = core.router.outside(command["number"])
    if route is None:
        not_reached(core, call, command["failed"], 3, "failed", "no route takes %s to the outside" % command["number"])
        return
    core.silence(call)
    dial(core, call, route, command["failed"], int(command["ring_s"] * 1000))

