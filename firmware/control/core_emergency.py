"""Calls to emergency numbers: from anywhere, never refused by us, and with a circuit even where none is free.

Who may: every telephone, whatever it may call otherwise, also one that is in another call; an agent in a call; a flow; the callers of every trunk group (an
exchange behind us or beside us, a channel bank, a gateway, a SIP trunk), whatever the group's classes say, black lists or not.  What a person has ordered
for a group (trunk_groups[].emergency) is the only exception: "guests" get a circuit only where one is free, "refused" get none.
A carrier sends numbers of ours, so its "110" is an emergency call only where no number of ours takes it; who is behind us means it always (routing.py).

Where all circuits of all ways are taken, one is taken from another call (Q.850 cause 8, pre-emption):

    hunt finds nothing -> call.preempting: a circuit is chosen and kept for this call; the call on it is cleared
        its leg is released -> call.preempted -> hunt (CAS: after the guard time of the circuit)
        not in WAIT_MS -> call.preempted(late) -> hunt, which may take another one, MOST times in all
    nobody has one to give -> call.hunted(locked): once more, also on circuits that a person has locked or drained (PRI, SS7)

A call that came in on the group that it would go out by has been sent to us by who should have taken it: nobody loses a circuit for it, and ROUND_MOST of them
at once are a loop between the two exchanges, which would take every circuit there is.

An agent who consults an emergency number in the middle of a call has the same right (call.seeking, call.sought): the caller waits with music meanwhile.

Chosen is first what is being released anyhow, then calls that the box makes by itself, then calls through from trunk to trunk, then those
of telephones by class (premium, international, national, local), then calls that came in; of these the youngest.  Never another
emergency call.  The order is ours; no standard at hand ranks civil calls.
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.call import outside
from firmware.call.number_plan import MATCH
from firmware.control.core_base import SWITCH
from firmware.control.core_ending import clear, result_of

PREEMPTION = 8              # Q.850
WAIT_MS = 6000              # ours: above T308 of Q.931 (4 s); a far end that is silent for so long will not free the circuit soon
SETTLE_MS = 1000            # ours: above the guard times of GR-506 (750 ms) and Q.422 (100 ms)
MOST = 3                    # ours
RANKS = ("premium", "international", "national", "local")
LIMIT = 1000                # trunks tried: all there are
ROUND_MOST = 4              # ours: above what a wrong number in two exchanges can be, below what fills a span


def is_emergency(call):
    """Whether a call has been dialled to an emergency number."""
    return call.outside is not None and call.outside.get("cls") == outside.EMERGENCY


def _is_spared(core, victim):
    """Whether a call is an emergency call, or somebody in it speaks with an emergency number: a consultation, a conference, a transfer."""
    return is_emergency(victim) or outside.EMERGENCY in [core.state.legs[name].cls for name in victim.legs]


def _may_take(core, call):
    """Whether others give up a circuit for this caller: anybody's call for help, but that of guests."""
    caller = core.state.legs.get(call.caller_leg)
    return caller is not None and caller.tech != "none" and (caller.line is not None or core.helps(caller.trunk_group) == outside.HELPED)


def asked(core, line, trunk_group, digits):
    """Whether dialled digits are a whole emergency number that this caller can reach."""
    verdict, route = core.found(digits or "", True, line, trunk_group)
    return verdict == MATCH and route.get("class") == outside.EMERGENCY


def may_become(core, trunk_group, digits):
    """Whether digits of a caller from outside, of whom more may come, may still become an emergency number."""
    if core.helps(trunk_group) == outside.NOT_HELPED:
        return False
    for row in core.config.get("routes") or []:
        if row.get("class") == outside.EMERGENCY and outside.is_whole(row["number"]) and row["number"][:len(digits)] == digits:
            return True
    return False


def _sender(core, call):
    """The trunk group that sent us the very number that is called, or None."""
    caller = core.state.legs.get(call.caller_leg)
    return caller.trunk_group if caller is not None and caller.line is None and call.called == call.outside["digits"] else None


def goes_round(core, call, way):
    """Whether an emergency call is one of a loop between two exchanges, each of which sends it to the other."""
    if not is_emergency(call) or _sender(core, call) != way["trunk_group"]:
        return False
    return len([other for other in core.state.calls.values() if other is not call and other.state == calls.RINGING and is_emergency(other)
                and other.outside["digits"] == call.outside["digits"] and _sender(core, other) == way["trunk_group"]]) >= ROUND_MOST


def _best(core, call, ways, late, but=None):
    """(index of the way, trunk, call, its leg): what is taken for a call, or None.  but: a trunk group from which nothing is taken."""
    best = None
    for index, way in enumerate(ways):
        group = core.state.groups.get(way["trunk_group"])
        for trunk in group.trunks if group is not None and way["trunk_group"] != but else ():
            victim, leg = _on(core, call, group, trunk)
            if victim is None or not core.span_is_up(trunk[0]) or leg.id in (late or ()):
                continue
            key = (_rank(core, victim, leg), -victim.order, index)
            if best is None or key < best[0]:
                best = key, index, trunk, victim, leg
    return best and best[1:]


def _take(core, call, victim, leg):
    if victim.state != calls.CLEARING and leg.state != legs.RELEASING:
        clear(core, victim, PREEMPTION, SWITCH, result_of(victim, SWITCH), "its circuit was taken for the emergency call %s" % call.id)


def seek(core, call, ways, target, join, before=None):
    """The same for a consultation: an agent in a call asks an emergency number.  ways: of its route; before: what was sought, in vain.  False: none."""
    count, late = (before["count"], before["late"]) if before is not None else (0, [])
    best = _best(core, call, ways, late) if count < MOST else None
    if best is None:
        return False
    index, trunk, victim, leg = best
    core.emit("call.seeking", call=call.id, victim=victim.id, of=leg.id, trunk=list(trunk), group=ways[index]["trunk_group"], target=target, join=join,
              count=count + 1, late=late, deadline_ms=core.now_ms + WAIT_MS)
    _take(core, call, victim, leg)
    return True


def preempt(core, call):
    """Take a circuit from another call.  False: there is none to take, or it is no emergency call."""
    out = call.outside
    if not is_emergency(call) or not _may_take(core, call) or out.get("preempted", 0) >= MOST:
        return False
    best = _best(core, call, out["ways"], out.get("late"), _sender(core, call))
    if best is None:
        return False
    index, trunk, victim, leg = best
    core.emit("call.preempting", call=call.id, victim=victim.id, of=leg.id, way=index, trunk=list(trunk), count=out.get("preempted", 0) + 1,
              deadline_ms=core.now_ms + WAIT_MS)
    _take(core, call, victim, leg)
    return True


def reopened(core, call):
    """Nothing is free and nobody has a circuit to give: whether the hunt begins once more, with the circuits that we have locked or drained."""
    if not is_emergency(call) or call.outside.get("locked"):
        return False
    core.emit("call.hunted", call=call.id, way=0, trunk=None, cause=call.outside["cause"], locked=True)
    return True


def _on(core, call, group, trunk):
    """(call, leg) on a trunk that may be taken, or (None, None)."""
    leg = core.state.legs.get(group.holder(*trunk))
    victim = core.state.calls.get(leg.call) if leg is not None else None
    if victim is None or victim is call or _is_spared(core, victim) or group.holders(*trunk) > 1:
        return None, None
    return victim, leg


def _rank(core, victim, leg):
    if leg.state == legs.RELEASING:
        return 0
    caller = core.state.legs.get(victim.caller_leg)
    if victim.callback is not None or core.is_absent(victim):
        return 1
    if victim.outside is None:
        return 10
    if caller is not None and caller.line is None:
        return 2
    kind = victim.outside.get("cls")
    return 3 + (RANKS.index(kind) if kind in RANKS else len(RANKS))


def freed(core, leg):
    """A leg is gone; somebody may have waited for its circuit."""
    if core.state.timers.get("preempt", leg.id) is None:
        return
    call = _waiting(core, leg.id)
    if call is None:
        return
    if leg.tech in ("r2", "cas") and call.seeking is not None:
        core.emit("call.seeking", call=call.id, victim=leg.call, of=leg.id, **{name: call.seeking[name] for name in ("trunk", "group", "target", "join", "count", "late")},
                  deadline_ms=core.now_ms + SETTLE_MS)
    elif leg.tech in ("r2", "cas"):
        out = call.outside
        core.emit("call.preempting", call=call.id, victim=leg.call, of=leg.id, way=out["way"], trunk=out["waits"][1:], count=out["preempted"],
                  deadline_ms=core.now_ms + SETTLE_MS)
    else:
        _go_on(core, call, "freed")


def due(core, name):
    """It took too long, or the circuit has had its guard time.  name: of the leg that was waited for."""
    call = _waiting(core, name)
    if call is not None:
        _go_on(core, call, "late" if name in core.state.legs else "freed")


def _waiting(core, name):
    for call in core.state.calls_in_order():
        if call.outside is not None and (call.outside.get("waits") or [None])[0] == name or call.seeking is not None and call.seeking["of"] == name:
            return call
    return None


def _go_on(core, call, outcome):
    if call.seeking is not None:
        sought = dict(call.seeking)
        if outcome == "late":
            sought["late"] = sought["late"] + [sought["of"]]
        core.emit("call.sought", call=call.id, outcome=outcome)
        core.ways_on["sought"](core, call, sought)
        return
    core.emit("call.preempted", call=call.id, outcome=outcome)
    core.ways_on["hunt"](core, call)


def waits(core, call):
    """Whether a call waits for a circuit that was taken for it."""
    caller = core.state.legs.get(call.caller_leg)
    return call.outside is not None and bool(call.outside.get("waits")) and caller is not None and caller.state != legs.RELEASING
