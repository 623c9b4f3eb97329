"""Decisions of the ACD: who waits, what the waiting hear, and which agent is offered which call.

    enter -> please wait, music, position announcements
        dispatch -> offer to the longest-idle ready agent -> connected
                        | no answer, refused, out of reach: the agent is set away, the caller keeps
                        |   the place and the next agent is offered the call
                        | the caller leaves: the offer is withdrawn, the agent stays ready
        longest wait -> overflow node of the flow, or goodbye

dispatch() runs at the end of every event over the queues that the event touched.  It takes
the caller who is first over all of them (priority, then entry), so an agent who
serves several queues serves whoever waits longest.
"""

from firmware.acd import agent as agents
from firmware.acd.strategy import Candidate, select
from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.control import core_ivr
from firmware.control.core_base import BUSY, NO_ANSWER, NORMAL, SUBSCRIBER_ABSENT, TEMPORARY_FAILURE
from firmware.control.core_ending import close, fail, leave, withdraw

# Defaults of the queue's settings (seconds); the schema gives them too.
DEFAULTS = {"announce_position_s": 20, "max_wait_s": 1800, "offer_timeout_s": 15, "service_level_s": 20, "short_abandon_s": 5,
            "music": "default", "max_waiting": None}

# Why an agent was set away, by the outcome of the offer.
AWAY = {"no_answer": "missed offer", "rejected": "offer refused", "failed": "line out of reach"}


def setting(core, queue, name):
    """A setting of a queue, in its own unit."""
    value = (core.queue_configs.get(queue) or {}).get(name)
    return DEFAULTS[name] if value is None else value


# Waiting.

def enter(core, call, queue, overflow):
    """The caller joins a queue.  overflow: node of the flow for when the wait is too long, or None."""
    if queue not in core.queue_configs:
        fail(core, call, TEMPORARY_FAILURE, "there is no queue %s" % queue)
        return
    limit = setting(core, queue, "max_waiting")
    if limit is not None and len(core.state.queue(queue)) >= limit:
        core.emit("queue.refused", call=call.id, queue=queue, reason="full")
        close(core, call, NORMAL, _say(call, ["queue_full", "goodbye"]), "overflow", "the queue is full")
        return
    announce_s = setting(core, queue, "announce_position_s")
    max_wait_s = setting(core, queue, "max_wait_s")
    core.emit("queue.entered", call=call.id, leg=call.caller_leg, queue=queue, priority=0, order=core.state.order + 1, overflow=overflow,
              max_wait_until_ms=core.now_ms + max_wait_s * 1000 if max_wait_s else None,
              announce_at_ms=core.now_ms + announce_s * 1000 if announce_s else None,
              service_level_ms=setting(core, queue, "service_level_s") * 1000,
              short_abandon_ms=setting(core, queue, "short_abandon_s") * 1000)
    core.play(call, "announcement", _say(call, ["please_wait"]))
    core.touch(queue)


def _say(call, prompts):
    items = []
    for language in call.spoken():
        for prompt in prompts:
            items.append({"prompt": prompt, "language": language})
    return items


def music(core, call):
    """The music of the queue, for ever."""
    core.play(call, "music", [{"music": setting(core, call.queue, "music")}], 0)


def announce(core, call):
    """Say the position; the music comes back when it is said."""
    if call.state != calls.QUEUED:
        return False
    position = core.state.queue(call.queue).position(call.id)
    announce_s = setting(core, call.queue, "announce_position_s")
    core.emit("queue.announced", call=call.id, queue=call.queue, position=position,
              announce_at_ms=core.now_ms + announce_s * 1000 if announce_s else None)
    if call.signal is not None and call.signal["purpose"] == "announcement":
        return True                     # still speaking: this one is left out
    items = []
    for language in call.spoken():
        items.append({"prompt": "position_before", "language": language})
        items.append({"number": position, "language": language})
        items.append({"prompt": "position_after", "language": language})
    core.play(call, "announcement", items)
    return True


def max_wait(core, call):
    """The caller has waited as long as the queue allows.  A telephone that rings may still be answered."""
    if call.state != calls.QUEUED:
        return False
    if call.offer is not None:
        core.emit("queue.overdue", call=call.id, queue=call.queue)
    else:
        _overflow(core, call)
    return True


def _overflow(core, call, why="the longest wait has passed"):
    leave(core, call, "overflow")
    if not core_ivr.jump(core, call, call.overflow, "overflow"):
        close(core, call, NORMAL, _say(call, ["goodbye"]), "overflow", why)


def leave_removed(core):
    """Callers in a queue that the configuration no longer has: nobody would ever serve them."""
    for call in core.state.calls_in_order():
        if call.state == calls.QUEUED and call.queue not in core.queue_configs:
            withdraw(core, call, "withdrawn")
            _overflow(core, call, "the queue was removed")


# Offering.

def dispatch(core):
    """Give waiting callers to ready agents, in the queues that this event has touched."""
    while core.touched:
        best = None
        for queue in sorted(core.touched):
            entry = _first_unoffered(core, queue)
            candidates = _candidates(core, queue) if entry is not None else None
            if not candidates:
                del core.touched[queue]
                continue
            if best is None or entry.rank() < best[0].rank():
                best = (entry, candidates, queue)
        if best is None:
            return
        entry, candidates, queue = best
        chosen = select(candidates, queue, core.strategies[queue])
        _offer(core, core.state.calls[entry.call], chosen.name)


def _first_unoffered(core, queue):
    if queue not in core.queue_configs or queue not in core.state.queues:
        return None
    for entry in core.state.queues[queue]:
        if core.state.calls[entry.call].offer is None:
            return entry
    return None


def _candidates(core, queue):
    found = []
    for name, level in core.members[queue]:
        if core.is_ready(name):
            agent = core.state.agent(name)
            found.append(Candidate(name, level, agent.idle_since_ms, agent.idle_order))
    return found


def _offer(core, call, name):
    line = core.agent_configs[name]["line"]
    leg = core.ids.next("l")
    caller = call.shown_caller()
    caller_name = core.queue_configs[call.queue].get("label") or call.queue
    core.emit("leg.created", call=call.id, leg=leg, agent=name, queue=call.queue, role=legs.AGENT, tech="sip", line=line, caller=caller,
              caller_name=caller_name)
    core.emit("agent.offered", call=call.id, leg=leg, agent=name, queue=call.queue,
              deadline_ms=core.now_ms + setting(core, call.queue, "offer_timeout_s") * 1000)
    core.act("leg.create", leg=leg, tech="sip", line=line, caller=caller, caller_name=caller_name, call=call.id)


def offer_timeout(core, call):
    """The agent's telephone rang long enough, or never said that it rings: then it is out of reach."""
    if call.offer is None:
        return False
    rang = core.state.legs[call.offer["leg"]].state != legs.CREATED
    offer_failed(core, call, NO_ANSWER if rang else SUBSCRIBER_ABSENT)
    return True


def offer_failed(core, call, cause):
    """The offered agent did not take the call: set away, and the next one is asked."""
    name = call.offer["agent"]
    outcome = "rejected" if cause in (BUSY, 21) else "no_answer" if cause in (18, NO_ANSWER) else "failed"
    withdraw(core, call, outcome, cause)
    if core.state.agent(name).status == agents.AVAILABLE:
        core.emit("agent.status", call=call.id, agent=name, status=agents.ON_BREAK, reason=AWAY[outcome], by="switch")
    _still_waiting(core, call)


def _still_waiting(core, call):
    if call.overdue:
        _overflow(core, call)
    else:
        core.touch(call.queue)


def connected(core, call):
    """The offered agent has answered: the caller has waited enough.  Returns the agent's name."""
    name, leg = call.offer["agent"], call.offer["leg"]
    leave(core, call, "answered")
    core.emit("agent.connected", call=call.id, leg=leg, agent=name, queue=call.queue)
    return name


# Agents.

def take_line(core, name, call, state):
    """The agent's line is in a call that no queue gave."""
    core.emit("agent.busy", call=call.id, agent=name, state=state)


def wrap_up_over(core, name):
    """After-call work has ended."""
    agent = core.state.agent(name)
    if agent.state != agents.WRAP_UP:
        return False
    core.emit("agent.idle", agent=name, queue=agent.queue, reset=True)
    core.touch_agent(name)
    return True


def status(core, event):
    """The person chose a status."""
    name, wanted = event["agent"], event["status"]
    if name not in core.agent_configs or wanted not in agents.STATUSES:
        return False
    agent = core.state.agent(name)
    reason = event.get("reason") if wanted == agents.ON_BREAK else None
    if wanted != agent.status or reason != agent.reason or not agent.status_known:
        core.emit("agent.status", agent=name, status=wanted, reason=reason, by="agent")
    elif wanted == agents.AVAILABLE:
        wrap_up_over(core, name)        # ready again before the time is over
    call = core.state.calls.get(agent.call)
    if wanted != agents.AVAILABLE and call is not None and call.offer is not None and call.offer["agent"] == name:
        withdraw(core, call, "withdrawn")
        _still_waiting(core, call)
    core.touch_agent(name)
    return True
