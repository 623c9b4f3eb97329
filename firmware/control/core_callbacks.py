"""Callbacks: a caller who will not wait hangs up, keeps the place, and is called when it is reached.

    asked     by a key while waiting (the queue's setting), by a flow's node, by a person through the API
    waits     as a call of its own in the queue, with the waiting time, priority and needs of the caller; nobody is on it: its
              caller's leg is "absent" (tech "none"), which no adapter and no media know
    served    like any caller, when an agent is ready:
                first "agent"   the agent's telephone rings; answered, the box dials the number, the agent hears it ring
                first "caller"  the box dials; who answers hears "callback_hello" and is at the old place in the queue.
                                Never more are dialled than agents are ready who can take them, over all queues that share agents, and these
                are left to them (acd/claims.py)
    fails     busy, no answer: again after retry_s, `attempts` times; no trunk free, the agent hung up: again, not counted
    ends      reached | exhausted | expired | cancelled | removed | forbidden (the number may not be called any more)

What may be called is the toll permission of the queue's setting (classes), checked when it is asked for and again before
each call; when, its hours.  Everything is in the journal: a kill -9 loses no place, and an attempt in the middle goes on or
is made again.  Reports: the caller who leaves counts as "callbacks", the callback itself is no further caller.
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.control import core_dispatch, core_ivr, core_outside, core_queues
from firmware.control.core_callback_rules import UNTRIED, is_time, look_again, never, next_opening_ms, permitted, setting, waiting_for
from firmware.control.core_base import NORMAL, SWITCH
from firmware.control.core_ending import clear, close, leave
from firmware.control.core_queues import say

# Invented: after an attempt that failed at our side.
SOON_MS = 30000
BLENDS = {"equal": 0, "inbound_first": -10, "outbound_first": 10}      # to the priority, which is 0 to 9
MOST = 2000             # that wait at once; invented


# Asking.

def key(core, call, digit):
    """A waiting caller pressed a key.  Whether it was the one that asks for a callback."""
    queue = call.queue
    if call.callback is not None or not setting(core, queue, "enabled") or digit != setting(core, queue, "key") or call.offers:
        return False
    return ask(core, call, queue, None)


def from_flow(core, call, command):
    """A node of the flow: {"queue", "number"? (digits that the caller entered), "failed" node}."""
    if not ask(core, call, command["queue"], command.get("number")):
        core_ivr.not_reached(core, call, command.get("failed"), 21, "failed", "no callback is possible")


def ask(core, call, queue, number):
    """Give the caller's place to a callback and say goodbye.  False: it is not possible, and a waiting caller was told so."""
    by = "key" if number is None else "entered"
    number = number or (call.caller if core_queues.is_known(call) else "")
    why = "queue %s takes no callbacks" % queue if not setting(core, queue, "enabled") or queue not in core.queue_configs else (
        permitted(core, queue, number)[1])
    if why is None and len(core.state.callbacks) >= MOST:
        why = "too many callbacks wait"
    waits = call.state == calls.QUEUED
    if why is not None:
        core.emit("callback.refused", call=call.id, queue=queue, why=why)
        if waits:
            core.play(call, "announcement", say(call, ["not_possible"]))
        return False
    entry = core.state.queue(queue).find(call.id) if waits and call.queue == queue else None
    old = waiting_for(core, queue, number)
    if old is None:
        _emit(core, call, queue, number, by, priority=call.priority if entry else None, since_ms=call.waits_since_ms if entry else core.now_ms,
              order=entry.order if entry else core.state.order + 1, skills=call.skills if entry else None, given=call.given or {},
              called=call.called, language=call.language, languages=list(call.languages))
        old = waiting_for(core, queue, number)
    leave(core, call, "callback")
    close(core, call, NORMAL, say(call, ["callback_promised", "goodbye"]), "callback", "a callback waits in the place")
    if old["call"] is None and old["due_ms"] is None:
        _wait(core, old)
    return True


def _emit(core, call, queue, number, by, priority, since_ms, order, skills, given, called, language, languages, due_ms=None, note=None, **more):
    config = core.queue_configs[queue]
    needs = dict(config.get("skills") or {})
    needs.update(given.get("skills") or {})
    core.emit("callback.asked", call=call.id if call is not None else None, queue=queue, callback=core.ids.next("k"), number=number, by=by,
              priority=core_queues.setting(core, queue, "priority") if priority is None else priority, since_ms=since_ms, order=order,
              skills=needs if skills is None else skills, given=given, called=called, language=language, languages=languages, due_ms=due_ms,
              note=note, expires_ms=max(core.now_ms, due_ms or 0) + setting(core, queue, "expires_s") * 1000, **more)


def for_campaign(core, campaign, index, entry, queue, first):
    """A row of a campaign comes into its queue, as a callback that nobody asked for."""
    before = set(core.state.callbacks)
    _emit(core, None, queue, entry["number"], "campaign", None, core.now_ms, core.state.order + 1, None, {}, "", None, list(core.site.get("languages") or ["en"]), None,
          entry["note"], campaign=[campaign, index], first=first, attempts=entry["attempts"])
    _wait(core, core.state.callbacks[[name for name in core.state.callbacks if name not in before][0]])


def command(core, event):
    """A person asks for a callback.  event: queue number agent? at_ms? note?  Answer: {"callback"}"""
    queue, number = event["queue"], event["number"]
    if queue not in core.queue_configs:
        return core.refuse("there is no queue %s" % queue)
    if not setting(core, queue, "enabled"):
        return core.refuse("queue %s takes no callbacks; switch its setting callback on" % queue)
    why = permitted(core, queue, number)[1]
    if why is None and waiting_for(core, queue, number) is not None:
        why = "a callback to %s waits in queue %s already" % (number, queue)
    if why is None and len(core.state.callbacks) >= MOST:
        why = "too many callbacks wait"
    agent = event.get("agent")
    if why is None and agent is not None and agent not in core.places[queue]:
        why = "agent %s does not serve queue %s" % (agent, queue)
    if why is not None:
        return core.refuse(why)
    at_ms = event.get("at_ms")
    due_ms = at_ms if at_ms is not None and at_ms > core.now_ms else None
    languages = list(core.site.get("languages") or ["en"])
    _emit(core, None, queue, number, "api", None, due_ms or core.now_ms, core.state.order + 1, None, {"agent": agent} if agent else {}, "", None,
          languages, due_ms, event.get("note"))
    row = waiting_for(core, queue, number)
    if due_ms is None:
        _wait(core, row)
    core.answer = {"callback": row["id"]}
    return True


def cancel(core, event):
    """A callback is not wanted any more.  event: callback by?"""
    row = core.state.callbacks.get(event["callback"])
    if row is None:
        return core.refuse("there is no callback %s" % event["callback"])
    call = core.state.calls.get(row["call"])
    if call is not None and not (core.is_absent(call) and call.state == calls.QUEUED):
        return core.refuse("callback %s is being made just now; hang up call %s" % (row["id"], call.id))
    end(core, row, "cancelled")
    return True


# Waiting.

def _wait(core, row):
    """The callback is in its place in the queue, as a call without a caller."""
    queue = row["queue"]
    call = core.ids.next("c")
    core.emit("callback.waits", call=call, leg=core.ids.next("l"), queue=queue, callback=row["id"], order=row["order"], caller=row["number"],
              caller_presentation="allowed", called=row["called"], languages=row["languages"],
              look_at_ms=next_opening_ms(core, queue), **({"campaign": row["campaign"][0]} if row.get("campaign") else {}))
    _queue(core, core.state.calls[call], row)


def _queue(core, call, row):
    queue = row["queue"]
    owner = row["given"].get("agent")
    more = {}
    wait_s = core_queues.setting(core, queue, "owner_wait_s")
    if owner is not None and wait_s:
        more["reserved"] = [owner, core.now_ms + wait_s * 1000]
    core.emit("queue.entered", call=call.id, leg=call.caller_leg, queue=queue, order=row["order"], overflow=None, priority=row["priority"] + BLENDS[setting(core, queue, "blend")],
              max_wait_until_ms=None, announce_at_ms=None, overflow_at_ms=None, service_level_ms=core_queues.setting(core, queue, "service_level_s") * 1000,
              short_abandon_ms=0, since_ms=row["since_ms"], given=row["given"], skills=row["skills"], relax=[], callback=row["id"], **more)
    core.touch(queue)


def timer(core, name):
    """A callback's time: to be tried again, or the hours begin."""
    row = core.state.callbacks.get(name)
    if row is None:
        return
    if row["call"] is None:
        if row["queue"] not in core.queue_configs:
            end(core, row, "removed")
        else:
            _wait(core, row)
    else:
        core.emit("callback.looked", queue=row["queue"], callback=name, look_at_ms=next_opening_ms(core, row["queue"]))
        core.touch(row["queue"])


def expired(core, name):
    """It has waited as long as it may; an attempt that is under way goes on."""
    row = core.state.callbacks.get(name)
    call = core.state.calls.get(row["call"]) if row is not None else None
    if row is not None and (call is None or call.state == calls.QUEUED and core.is_absent(call)):
        end(core, row, "expired")


def _over(core, call, row, outcome):
    if row.get("campaign"):
        core.touch(row["queue"])        # room for another number
    core.emit("callback.ended", call=call, queue=row["queue"], callback=row["id"], number=row["number"], outcome=outcome,
              **({"campaign": row["campaign"][0]} if row.get("campaign") else {}))


def end(core, row, outcome):
    """Over before it was made."""
    _over(core, row["call"], row, outcome)
    call = core.state.calls.get(row["call"])
    if call is not None:
        clear(core, call, NORMAL, SWITCH, "callback", "the callback is %s" % outcome)


# Making the call.

def agent_answered(core, call, leg):
    """The agent is there: dial the caller."""
    row = core.state.callbacks.get(call.callback)
    name = core_dispatch.connected(core, call, leg.id)
    core.emit("callback.dialled", call=call.id, leg=leg.id, agent=name, queue=call.queue, callback=call.callback, first="agent")
    _drop_absent(core, call)
    _dial(core, call, row)


def dial_caller(core, call):
    """Somebody is ready: dial the caller first."""
    row = core.state.callbacks[call.callback]
    leave(core, call, "callback")
    core.emit("callback.dialled", call=call.id, leg=call.caller_leg, queue=call.queue, callback=call.callback, first="caller")
    _dial(core, call, row)


def _dial(core, call, row):
    route, why = permitted(core, row["queue"], row["number"]) if row is not None else (None, "the callback is gone")
    barred = row is not None and row.get("campaign") and never(core, row["number"]) is not None
    late = route is not None and not barred and not is_time(core, row["queue"])        # the hours ended while the agent's telephone rang: it waits again
    if route is None or barred or late:
        if row is not None and not late:
            _over(core, call.id, row, "do_not_call" if barred else "forbidden")
        close(core, call, NORMAL, say(call, ["not_possible"]), "failed", "the hours for calling are over" if late else why)
        return
    core_outside.dial(core, call, route, None, setting(core, row["queue"], "ring_s") * 1000)


def _drop_absent(core, call):
    for name in list(call.legs):
        leg = core.state.legs.get(name)
        if leg is not None and leg.tech == "none":
            core.emit("leg.released", call=call.id, leg=name, cause=NORMAL, by="near", sip_status=None)


def caller_answered(core, call, leg):
    """The dialled caller is there: at the old place in the queue, in front of everybody who came later."""
    row = core.state.callbacks[call.callback]
    if leg.state != legs.ANSWERED:          # else it was not known yet who answered
        core.emit("leg.answered", call=call.id, leg=leg.id, by="far", connects=False)
    core.emit("call.ringing_ended", call=call.id, leg=leg.id, outcome="answered", cause=None)
    core.emit("callback.joined", call=call.id, leg=leg.id, queue=row["queue"], callback=row["id"])
    _drop_absent(core, call)
    _queue(core, call, row)
    look_again(core)
    core.listen(call)
    if row.get("campaign"):
        core_queues.music(core, call)
    else:
        core.play(call, "announcement", say(call, ["callback_hello"]))


def reached(core, call):
    """Caller and agent talk: it is done."""
    row = core.state.callbacks.get(call.callback)
    if row is not None and row["call"] == call.id:
        _over(core, call.id, row, "reached")


def ended(core, call):
    """A call of a callback is over without a conversation: it is tried again."""
    row = core.state.callbacks.get(call.callback)
    if row is None or row["call"] != call.id:
        return
    look_again(core)                        # the agent who was kept for it is free for others
    if row["queue"] in core.queue_configs:
        core.touch(row["queue"])
    cause = (call.outside or {}).get("cause") if call.failed_cause is None else call.failed_cause
    tried = call.outside is not None and cause is not None and cause not in UNTRIED or row["joined"]
    attempts = row["attempts"] + (1 if tried else 0)
    outcome = None
    if attempts >= setting(core, row["queue"], "attempts"):
        outcome = "exhausted"
    elif core.now_ms >= row["expires_ms"]:
        outcome = "expired"
    elif row["queue"] not in core.queue_configs:
        outcome = "removed"
    if outcome is not None:
        _over(core, call.id, row, outcome)
        return
    core.emit("callback.failed", call=call.id, queue=row["queue"], callback=row["id"], attempts=attempts, cause=cause,
              due_ms=core.now_ms + (setting(core, row["queue"], "retry_s") * 1000 if tried else SOON_MS))
    if row.get("campaign") and tried:   # gives its room to another number meanwhile; not where no trunk was free, else all numbers would be looked at for one
        whole = core.state.campaigns.get(row["campaign"][0])
        _over(core, call.id, core.state.callbacks[row["id"]], "later" if whole is not None and whole["state"] != "stopped" else "not_called")


def snapshot(core):
    """[{callback queue number state("waiting"|"later"|"calling") since_ms due_ms expires_ms attempts by call position agent note}], oldest first."""
    found = []
    for row in sorted([row for row in core.state.callbacks.values() if row.get("campaign") is None], key=lambda row: (row["since_ms"], row["order"])):
        call = core.state.calls.get(row["call"])
        position = core.state.queue(row["queue"]).position(call.id) if call is not None and call.state == calls.QUEUED else None
        found.append({"callback": row["id"], "queue": row["queue"], "number": row["number"], "since_ms": row["since_ms"], "due_ms": row["due_ms"],
                      "state": "later" if call is None else "waiting" if position is not None and core.is_absent(call) else "calling",
                      "expires_ms": row["expires_ms"], "attempts": row["attempts"], "by": row["by"], "call": row["call"], "position": position,
                      "agent": row["given"].get("agent"), "note": row["note"]})
    return found


