"""Decisions of the desk: who calls is asked once a call and told when a telephone rings; dispositions; records of what persons write down.

    queue entered, or an agent's telephone rings -> call.customer_asked, action customer.ask
    event customer.found -> call.customer; for each telephone that rings, and for who has the call already -> agent.popped

A record names customers and texts by keys only (storage/desk.py).  A queue that wants dispositions holds its agents in after-call work until
they have given one (Core.owes); a supervisor ends it without, which is a record of its own."""

from firmware.acd import agent as agents
from firmware.call import call as calls
from firmware.control.core_ending import idle

# What control's desk, house and keeper may have written into the journal: kind -> what its data must have.
RECORDED = {"call.noted": ("key",), "ticket.opened": ("template", "state"), "ticket.changed": ("ticket", "revision", "changes"),
            "desk.changed": ("what", "change"), "access.denied": ("user", "what"), "recording.heard": ("recording", "by"),
            "configuration.changed": ("revision", "paths", "count"), "alarm.raised": ("alarm", "fault", "severity"),
            "alarm.changed": ("alarm", "joined", "left", "detail", "repeats"), "alarm.acknowledged": ("alarm", "by", "note"), "alarm.cleared": ("alarm", "fault"),
            "timeslots.service": ("span", "timeslots", "state", "why"), "timeslots.restarted": ("span", "timeslots", "by")}


def _setting(core, name):
    return (core.config.get("desk") or {}).get(name)


def _from_outside(core, call):
    leg = core.state.legs.get(call.caller_leg)
    return leg is not None and leg.line is None


def ask(core, call):
    """Have it found out who calls, once a call."""
    if call.customer is None and _setting(core, "screen_pop") and call.caller and call.caller_presentation == "allowed" and _from_outside(core, call):
        core.emit("call.customer_asked", call=call.id, lookup=_setting(core, "customer_lookup") or None)
        _put(core, call)


def _put(core, call):
    core.act("customer.ask", call=call.id, lookup=_setting(core, "customer_lookup") or None, caller=call.caller, called=call.called)


def ask_again(core):
    """After a restart: what was asked and not answered."""
    for call in core.state.calls_in_order():
        if call.customer == {}:
            _put(core, call)


def pop(core, call, name, leg):
    """An agent gets to see a call: tell who calls, now or as soon as it is known."""
    if name is None or not _setting(core, "screen_pop") or not _from_outside(core, call):
        return
    ask(core, call)
    known = call.customer
    if known != {}:                     # None: a caller without a number
        known = known or {"customer": None, "source": "none"}
        more = {"key": known["key"]} if known.get("key") else {}
        core.emit("agent.popped", call=call.id, leg=leg, agent=name, queue=call.queue, customer=known["customer"], source=known["source"], **more)


def found(core, event):
    """It is known who calls, or that nobody knows.  event: call customer source others? key? error?"""
    call = core.state.calls.get(event["call"])
    if call is None or call.customer != {}:
        return False
    more = dict([(name, event[name]) for name in ("key", "error") if event.get(name)])
    core.emit("call.customer", call=call.id, customer=event.get("customer"), others=event.get("others") or 0, source=event["source"], **more)
    for offer in call.offers:
        pop(core, call, offer["agent"], offer["leg"])
    ringing = core.state.legs.get(call.target_leg)
    if ringing is not None:
        pop(core, call, ringing.agent, ringing.id)
    if call.state == calls.TALKING:
        pop(core, call, call.agent, call.agent_leg)
    return True


def dispose(core, event):
    """An agent says what a call was about.  event: call code agent? queue? key? by?"""
    name, call = event.get("agent"), core.state.calls.get(event["call"])
    agent = core.state.agents.get(name)
    queue = event.get("queue")
    if agent is not None and event["call"] in (agent.wrapped, agent.call):
        queue = agent.queue
    elif call is not None and queue is None:
        queue = call.queue
    codes = [row["code"] for row in (core.queue_configs.get(queue) or {}).get("dispositions") or []]
    if not codes:
        return core.refuse("call %s belongs to no queue that has dispositions" % event["call"])
    if event["code"] not in codes:
        return core.refuse("%s is no disposition of queue %s; choose one of %s" % (event["code"][:40], queue, ", ".join(codes)))
    waits = agent is not None and agent.state == agents.WRAP_UP and agent.undone and agent.wrapped == event["call"]
    more = {"key": event["key"]} if event.get("key") else {}
    core.emit("call.disposed", call=event["call"], agent=name, queue=queue, code=event["code"], by=event.get("by"), **more)
    if waits:
        idle(core, name, agent.queue, True)
    return True


def record(core, event):
    """Write down what persons did at the desk.  event: record data call? agent? queue?; answer of ticket.opened: {"ticket"}"""
    kind, data = event["record"], dict(event["data"])
    if kind not in RECORDED or [name for name in RECORDED[kind] if name not in data]:
        return core.refuse("%s is nothing that the desk writes down" % kind)
    if kind == "ticket.opened":
        data["ticket"] = core.ids.next("t")
        core.answer = {"ticket": data["ticket"]}
    core.emit(kind, call=event.get("call"), agent=event.get("agent"), queue=event.get("queue"), **data)
    return True
