"""Decisions of the ACD: which agent is offered which call, and what becomes of the offer.

dispatch() runs at the end of every event over the queues that the event touched.  It takes
the caller who is first over all of them (priority, then waiting time), so an agent who
serves several queues serves whoever waits longest.  A caller for whom nobody with the skills is
ready holds up nobody: the next one is looked at.

    who may be asked   ready, has the skills that are needed now, in a level that is open now (tiers by time)
    reserved           a caller who is kept for one agent (of the last call, or the account's owner) is offered to that
                       agent alone until the time is over or the agent is not there
    ring all           every ready agent's telephone rings, up to ring_most; who becomes ready while the caller waits
                       rings too.  The first answer gets the call, the others are told "answered elsewhere"
                       (Q.850 26, RFC 3326); a telephone that only rang does not count as a missed offer, since nobody
                       was meant, but rests as after one
"""

from firmware.acd import agent as agents
from firmware.acd import skills
from firmware.acd.strategy import MEASURED, RING_ALL, STRIDE, Ask, effective_pass, open_level, select, several
from firmware.call import leg as legs
from firmware.control import core_callback_rules as callbacks
from firmware.control import core_desk
from firmware.control.core_base import BUSY, ELSEWHERE, NO_ANSWER, SUBSCRIBER_ABSENT
from firmware.control.core_ending import leave, withdraw_one
from firmware.control.core_queues import is_known, setting, still_waiting

# Why an agent was set away, by the outcome of the offer.
AWAY = {"no_answer": "missed offer", "rejected": "offer refused", "failed": "line out of reach"}

SHORT_REST_MS = 1000        # after an offer that failed at once, else the same agent would be asked within the same moment for ever; invented


def dispatch(core):
    """Give waiting callers to ready agents, in the queues that this event has touched."""
    if not core.touched:
        return
    found = {}                          # what is known until the next offer: queue -> first servable
    free = callbacks.spare(core)        # whom callers who are being called back do not need; None: all
    if free is not None:
        callbacks.look_again(core)      # an agent more in one queue may free another in another
    while core.touched:
        best = None
        for queue in sorted(core.touched):
            if queue not in found:
                found[queue] = _first_servable(core, queue, free)
            if found[queue] is None:
                del core.touched[queue]
            elif best is None or found[queue][0].rank() < found[best][0].rank():
                best = queue
        if best is None:
            return
        entry, able = found[best]
        call = core.state.calls[entry.call]
        if core.is_absent(call) and callbacks.first(core, call, best) == "caller":
            core.ways_on["callback_dial"](core, call)
            found, free = {}, callbacks.spare(core)
            continue
        for name in _choose(core, call, able, best):
            if free is not None and name not in free:
                continue                # ring all: one of those before was the last that could be spared
            _offer(core, call, name)
            if free is not None:
                found, free = {}, callbacks.spare(core)
            for queue in core.queues_of(name):
                found.pop(queue, None)


def _most(core, queue):
    """How many agents a queue may ask at once for a caller."""
    return setting(core, queue, "ring_most") if core.strategy_names[queue] == RING_ALL else 1


def _first_servable(core, queue, free):
    """The first caller for whom somebody is ready: (entry, [Candidate]), or None.  free: who may be taken, None: all."""
    if queue not in core.queue_configs or not core.state.queues.get(queue):
        return None
    there = core.ready.of(queue)
    if not there:
        return None
    if core.strategy_names[queue] in MEASURED:
        there = core.ready.with_figures(queue)
    if free is not None:                # the others are for who is being called back
        there = dict([(name, there[name]) for name in there if name in free])
    most = _most(core, queue)
    hopeless = {}
    for entry in core.state.queues[queue]:
        call = core.state.calls[entry.call]
        if call.offers and (len(call.offers) >= most or call.overdue):
            continue
        if core.is_absent(call) and not (core.state.media_up and callbacks.is_time(core, queue)):
            continue
        if call.reserved is not None and _is_kept(core, call, queue):
            known = there.get(call.reserved[0])
            if known is not None and skills.fits(known.has, call.skills or {}):
                return entry, [known]
            continue
        needs, level = call.skills or {}, open_level(call.tiers or ())
        key = (skills.key(needs), level)
        if key not in hopeless:
            able = [one for one in there.values() if (level is None or one.level <= level) and (not needs or skills.fits(one.has, needs))]
            if able:
                return entry, able
            hopeless[key] = True        # callers with the same needs fare the same
    return None


def _is_kept(core, call, queue):
    """Whether the agent for whom a caller is kept is there, busy or not."""
    name, until_ms = call.reserved
    if name == "":                      # a lookup is asked
        return core.now_ms < until_ms
    return core.now_ms < until_ms and core.state.agent(name).status == agents.AVAILABLE and name in core.places[queue]


def _choose(core, call, able, queue):
    """Names of the agents to ask: the one whom the caller knows, else by the queue's strategy."""
    known = preferred(core, call, queue)
    if known is not None and not call.offers:
        for one in able:
            if one.name == known:
                return [known]
    if core.strategy_names[queue] == RING_ALL:
        return [one.name for one in several(able, _most(core, queue) - len(call.offers))]
    return [_strategic(core, call.skills or {}, able, queue)]


def preferred(core, call, queue):
    """The agent whom a caller shall come to if it can be: the account's owner, else the one of the last call, or None."""
    owner = (call.given or {}).get("agent")
    if owner is not None and owner in core.places[queue]:
        return owner
    known = core.state.last_agents.get(call.caller)
    days = setting(core, queue, "last_agent_days")
    if known is not None and days and core.now_ms - known[1] <= days * 86400000 and is_known(call):
        return known[0]
    return None


def _strategic(core, needs, able, queue):
    """By the queue's strategy."""
    share = core.state.shares.get(queue) or {"at": 0, "passes": {}}
    last = core.state.turns.get(queue)
    ask = Ask(core.now_ms, needs, core.places[queue].get(last, -1), len(core.members[queue]), core.state.customer_counts,
              share["passes"], share["at"])
    return select(able, core.strategies[queue], ask).name


def ready_agent(core, queue):
    """The agent whom a queue would ask now for a caller without needs, or None."""
    able = list(core.ready.with_figures(queue).values())
    return _strategic(core, {}, able, queue) if able else None


def _offer(core, call, name):
    line = core.line_of(name)
    leg, tech = core.phone_leg(line)
    caller = call.shown_caller()
    caller_name = core.queue_configs[call.queue].get("label") or call.queue
    core.emit("leg.created", call=call.id, leg=leg, agent=name, queue=call.queue, role=legs.AGENT, tech=tech, line=line, caller=caller,
              caller_name=caller_name)
    core.emit("agent.offered", call=call.id, leg=leg, agent=name, queue=call.queue,
              deadline_ms=core.now_ms + setting(core, call.queue, "offer_timeout_s") * 1000)
    more = {"auto_answer": True} if core.agent_configs[name].get("auto_answer") else {}
    core.act("leg.create", leg=leg, tech=tech, line=line, caller=caller, caller_name=caller_name, call=call.id, **more)
    core_desk.pop(core, call, name, leg)


def offer_timeout(core, leg):
    """The agent's telephone rang long enough, or never said that it rings: then it is out of reach.  leg: the Leg."""
    call = core.state.calls.get(leg.call)
    offer = call.offer_at(leg.id) if call is not None else None
    if offer is None:
        return False
    offer_failed(core, call, offer, NO_ANSWER if leg.state != legs.CREATED else SUBSCRIBER_ABSENT)
    return True


def offer_failed(core, call, offer, cause, short=False):
    """The offered agent did not take the call: rests or is set away, as the queue says, and the next one is asked.

    short: the telephone at home was not even called, so nothing was missed; this comes at once, so the agent rests in any case."""
    name = offer["agent"]
    outcome = "rejected" if cause in (BUSY, 21) else "no_answer" if cause in (18, NO_ANSWER) else "failed"
    before, most = core.state.agent(name).missed, setting(core, call.queue, "missed_offers")
    counts = not short and (outcome != "no_answer" or core.strategy_names.get(call.queue) != RING_ALL)
    missed = before + 1 if counts else before
    rests = most == 0 or missed < most or not counts
    pause_ms = max(SHORT_REST_MS if short else 0, setting(core, call.queue, "missed_pause_s") * 1000)
    withdraw_one(core, call, offer, outcome, cause, missed=missed, rest_until_ms=core.now_ms + pause_ms if rests else None)
    if core.state.agent(name).status == agents.AVAILABLE and not rests:
        core.emit("agent.status", call=call.id, agent=name, status=agents.ON_BREAK, reason=AWAY[outcome], by="switch")
    still_waiting(core, call)


def connected(core, call, leg):
    """An offered agent has answered: the caller has waited enough.  leg: its id.  Returns the agent's name."""
    offer = call.offer_at(leg)
    name = offer["agent"]
    for other in list(call.offers):
        if other is not offer:
            withdraw_one(core, call, other, "elsewhere", ELSEWHERE)
    leave(core, call, "answered")
    more = {"remember": True} if setting(core, call.queue, "last_agent_days") and is_known(call) else {}
    if call.talked is not None and call.talked[1] == call.queue:
        more["again"] = True
    strategy = core.strategy_names.get(call.queue)
    if strategy == "fewest_customers":
        more["customer"] = [core.state.statistics.bucket(core.now_ms), call.caller if is_known(call) else call.id]
    elif strategy == "weighted_share" and name in core.places[call.queue]:
        share = core.state.shares.get(call.queue) or {"at": 0, "passes": {}}
        weight = core.members[call.queue][core.places[call.queue][name]][2]
        own = effective_pass(name, weight, Ask(core.now_ms, passes=share["passes"], at=share["at"]))
        more["share"] = [own, own + STRIDE // weight]
    core.emit("agent.connected", call=call.id, leg=leg, agent=name, queue=call.queue, **more)
    return name
