"""Decisions about agents: status and reasons, logging in at a line, after-call work, the pause after a missed offer.

A person's wish and a supervisor's order come in as events and go the same way; "by" tells them apart in the journal.
Logging in at a line that is not the configured one ("seat") holds until the log-out; the line's own agent has no
line meanwhile.  Whoever logs out during a call finishes it first.
"""

from firmware.acd import agent as agents
from firmware.control.core_ending import idle, leave_seat, withdraw_one
from firmware.control.core_queues import deserted, still_waiting

# Defaults of an agent's settings; the schema gives them too.
EXTENSION_S = 30
EXTENSIONS = 2


def status(core, event):
    """The person chose a status, or a supervisor did."""
    name, wanted = event["agent"], event["status"]
    if name not in core.agent_configs or wanted not in agents.STATUSES:
        return False
    reason = event.get("reason") if wanted == agents.ON_BREAK else None
    known = [row["name"] for row in core.config.get("break_reasons") or []]
    if wanted == agents.ON_BREAK and known and reason not in known:
        return core.refuse("a break needs one of the reasons %s" % ", ".join(known))
    if wanted != agents.LOGGED_OUT and core.line_of(name) is None:
        return core.refuse("agent %s is at no line; log in at one" % name)
    by = event.get("by") or "agent"
    if core.state.agent(name).locked and by != "supervisor":
        return core.refuse("a supervisor has set the status of agent %s; only a supervisor may change it" % name)
    before = core.state.agent(name)
    if (before.state == agents.WRAP_UP and by != "supervisor" and core.owes(name, before.wrapped)
            and (wanted == agents.LOGGED_OUT or wanted == agents.AVAILABLE and before.status == agents.AVAILABLE)):
        return _owed(core, before)
    _set(core, name, wanted, reason, by, by == "supervisor" and bool(event.get("locked")))
    return True


def _owed(core, agent):
    codes = [row["code"] for row in core.queue_configs[agent.queue]["dispositions"]]
    return core.refuse("queue %s wants a disposition of call %s before after-call work ends; give one of %s" % (agent.queue, agent.wrapped, ", ".join(codes)))


def _set(core, name, wanted, reason, by, locked=False):
    agent = core.state.agent(name)
    if wanted != agent.status or reason != agent.reason or not agent.status_known or locked != agent.locked:
        core.emit("agent.status", agent=name, status=wanted, reason=reason, by=by, **({"locked": True} if locked else {}))
    elif wanted == agents.AVAILABLE:
        wrap_up_over(core, name, by)    # ready again before the time is over
        rested(core, name)
    call = core.state.calls.get(agent.call)
    if wanted != agents.AVAILABLE and call is not None and call.offer_to(name) is not None:
        withdraw_one(core, call, call.offer_to(name), "withdrawn")
        still_waiting(core, call)
    if wanted == agents.LOGGED_OUT:
        wrap_up_over(core, name, by)
        leave_seat(core, name)
        deserted(core, sorted(core.queues_of(name)))
    core.ways_on["home_status"](core, name)
    core.touch_agent(name)


def assign(core, event):
    """A supervisor orders which queues an agent serves, until it is taken back.  event: agent queues([{queue level? weight?}], None: the
    configured ones) by?

    A telephone that rings for a queue that is left rings on."""
    name, rows = event["agent"], event.get("queues")
    if name not in core.agent_configs:
        return core.refuse("there is no agent %s" % name)
    unknown = [row["queue"] for row in rows or () if row["queue"] not in core.queue_configs]
    if unknown:
        return core.refuse("there is no queue %s" % unknown[0])
    if rows is not None:
        rows = [{"queue": row["queue"], "level": row.get("level", 1), "weight": row.get("weight", 10)} for row in rows]
    if rows == core.state.assigned.get(name):
        return True
    before = core.queues_of(name)
    core.emit("agent.assigned", agent=name, queues=rows, by=event.get("by"))
    core.make_members()
    core.touch_agent(name)
    deserted(core, sorted(before))
    return True


def log_in(core, event):
    """A person sits down at a line.  event: agent line status? pin? own_leg?(the leg on which it was dialled)"""
    name, line = event["agent"], event["line"]
    config = core.agent_configs.get(name)
    if config is None:
        return core.refuse("there is no agent %s" % name)
    if line not in core.line_rows:
        return core.refuse("there is no line %s" % line)
    if config.get("pin") and event.get("pin") != config["pin"]:
        return core.refuse("the code of agent %s is another one" % name)
    agent = core.state.agent(name)
    if agent.locked and event.get("by") != "supervisor":
        return core.refuse("a supervisor has set the status of agent %s; only a supervisor may change it" % name)
    if agent.leg is not None or agent.state in (agents.OFFERED, agents.TALKING):
        return core.refuse("agent %s is in a call; end it first" % name)
    others = [leg for leg in core.state.line_legs.get(line) or [] if leg != event.get("own_leg")]
    if others:
        return core.refuse("line %s is in a call" % line)
    there = core.agent_on(line)
    if there is not None and there != name:
        if core.state.agent(there).status != agents.LOGGED_OUT:
            return core.refuse("agent %s is logged in at line %s; log out there first" % (there, line))
        if core.state.agent(there).seat == line:
            core.emit("agent.unseated", agent=there)
    if agent.seat is not None or config.get("line") != line or core.agent_on(line) != name:
        core.emit("agent.seated", agent=name, line=line)
    _set(core, name, event.get("status") or agents.AVAILABLE, None, event.get("by") or "agent")
    return True


def wrap_up_over(core, name, by=None):
    """After-call work has ended: by its time (by None), or somebody ends it; who owes a disposition goes on."""
    agent = core.state.agent(name)
    if agent.state != agents.WRAP_UP:
        return False
    if core.owes(name, agent.wrapped):
        if by is None:
            core.emit("agent.wrap_up_waits", call=agent.wrapped, agent=name, queue=agent.queue)
            return True
        core.emit("call.undisposed", call=agent.wrapped, agent=name, queue=agent.queue, by=by)
    idle(core, name, agent.queue, True)
    return True


def release_undone(core):
    """The configuration has changed: who waits for a disposition that nobody wants any more is free."""
    for name in sorted(core.state.agents):
        agent = core.state.agents[name]
        if agent.undone and not core.owes(name, agent.wrapped):
            wrap_up_over(core, name)


def wrap_up(core, event):
    """After-call work is to end now, or to last longer.  event: agent end?"""
    name = event["agent"]
    config = core.agent_configs.get(name) or {}
    agent = core.state.agent(name) if config else None
    if agent is None or agent.state != agents.WRAP_UP:
        return core.refuse("agent %s does no after-call work" % name)
    if event.get("end"):
        if event.get("by") != "supervisor" and core.owes(name, agent.wrapped):
            return _owed(core, agent)
        return wrap_up_over(core, name, event.get("by") or "agent")
    if agent.undone:
        return core.refuse("the time of after-call work is over; give the disposition of call %s" % agent.wrapped)
    most = config.get("wrap_up_extensions", EXTENSIONS)
    if agent.extended >= most:
        return core.refuse("the after-call work was made longer %d times already, which is the most" % agent.extended
                           if most else "after-call work may not be made longer")
    deadline_ms = core.state.timers.get("wrap_up", name) or core.now_ms
    core.emit("agent.wrap_up_extended", call=agent.wrapped, agent=name, queue=agent.queue,
              deadline_ms=deadline_ms + config.get("wrap_up_extension_s", EXTENSION_S) * 1000)
    return True


def rested(core, name):
    """The pause after a missed offer is over."""
    if not core.state.agent(name).rests:
        return False
    core.emit("agent.rested", agent=name)
    core.touch_agent(name)
    return True
