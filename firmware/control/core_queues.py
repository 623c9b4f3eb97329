"""Decisions of the ACD: who waits, what the waiting hear; which agent is offered which call: core_dispatch.py.

    enter -> closed, full, nobody logged in, ...: core_overflow, the caller is given on
    enter -> please wait, music, position announcements
        core_dispatch -> offer to a ready agent with the skills, by the queue's strategy -> connected
                        | no answer, refused, out of reach: the agent is set away, the caller keeps
                        |   the place and the next agent is offered the call
                        | the caller leaves: the offer is withdrawn, the agent stays ready
        needs relax as the queue says; a rule "wait" gives the caller on (core_overflow)
        longest wait -> overflow node of the flow, or goodbye
"""

from firmware.acd import comfort as comforts
from firmware.acd import expected, skills
from firmware.call import calendar
from firmware.call import call as calls
from firmware.control import core_announcements, core_desk, core_ivr, core_overflow
from firmware.control.core_ahead import Ahead
from firmware.control.core_base import NORMAL, TEMPORARY_FAILURE
from firmware.control.core_ending import close, fail, leave, withdraw

# Defaults of the queue's settings (seconds); the schema gives them too.
DEFAULTS = {"announce_position_s": 20, "max_wait_s": 1800, "offer_timeout_s": 15, "service_level_s": 20, "short_abandon_s": 5,
            "music": "default", "priority": 0, "last_agent_days": 0, "missed_offers": 1, "missed_pause_s": 5,
            "announce": "position", "ring_most": 20, "last_agent_wait_s": 0, "owner_wait_s": 0}


# Targets of rules that are neither queue nor flow, and the way there.
AWAY_TO = {"mailbox": "voicemail", "duty": "duty"}


def setting(core, queue, name):
    """A setting of a queue, in its own unit."""
    value = (core.queue_configs.get(queue) or {}).get(name)
    return DEFAULTS[name] if value is None else value


# Waiting.

def enter(core, call, queue, overflow, given=None):
    """The caller joins a queue, or is given on by its rules.

    overflow: node of the flow for when the wait is too long, or None; given: {"priority"?, "skills"?} of the flow."""
    if queue not in core.queue_configs:
        fail(core, call, TEMPORARY_FAILURE, "there is no queue %s" % queue)
        return
    given = given or {}
    notice = core_announcements.due(core, call, queue=queue)
    if notice is not None:
        core_announcements.begin(core, call, notice, {"queue": queue, "overflow": overflow, "given": given})
        return
    why, rule = core_overflow.at_entry(core, queue)
    if why is None:
        _join(core, call, queue, overflow, given, core.now_ms, core.state.order + 1)
        core.play(call, "announcement", say(call, ["please_wait"]))
        core.touch(queue)
    elif core_overflow.in_circles(core, call):
        core.emit("queue.refused", call=call.id, queue=queue, reason="loop")
        close(core, call, NORMAL, say(call, ["goodbye"]), "overflow", "the rules of the queues lead back to each other")
    elif rule is None:
        core.emit("queue.refused", call=call.id, queue=queue, reason=why)
        if not core_ivr.jump(core, call, overflow, "overflow"):
            close(core, call, NORMAL, say(call, ["queue_full", "goodbye"] if why == "full" else ["goodbye"]), "overflow",
                  "the queue is %s" % why)
    else:
        core.emit("queue.refused", call=call.id, queue=queue, reason=why, to={rule["to"]: rule["target"]})
        if rule["to"] == "flow":
            core_ivr.enter_flow(core, call, rule["target"], core.flows[rule["target"]])
        elif rule["to"] in AWAY_TO:
            core.ways_on[AWAY_TO[rule["to"]]](core, call, {rule["to"]: rule["target"]})
        else:
            _join(core, call, rule["target"], overflow, given, core.now_ms, core.state.order + 1)
            core.play(call, "announcement", say(call, ["please_wait"]))
            core.touch(rule["target"])


def _join(core, call, queue, overflow, given, since_ms, order, **again):
    """since_ms: since when the caller waits, other queues included; order: number of arrival there; again: of wait_again()."""
    announce_s = setting(core, queue, "announce_position_s")
    max_wait_s = setting(core, queue, "max_wait_s")
    config = core.queue_configs[queue]
    needs = dict(config.get("skills") or {})
    needs.update(given.get("skills") or {})
    vip = calendar.treatment(core.vips, call.caller) if is_known(call) else None
    if vip is not None:
        needs.update(vip["skills"])
    needs, relax_at = skills.step_on(needs, skills.schedule(config.get("relax") or [], since_ms), core.now_ms)
    priority = given.get("priority")
    priority = setting(core, queue, "priority") if priority is None else priority
    if vip is not None:
        priority = max(priority, vip["priority"])
    more = {"comfort": comforts.schedule(config["comfort"], core.now_ms)} if config.get("comfort") else {}
    if config.get("tiers"):
        more["tiers"] = sorted([[core.now_ms + row["after_s"] * 1000, row["level"]] for row in config["tiers"]])
    if again:
        more.update(again)
    else:
        more.update(_reservation(core, call, queue, given))
    if not again and (not core.ready.of(queue) or core.state.queues.get(queue)):
        more["load"] = Ahead(core).load(queue, (-priority, since_ms, order), needs)
        more["expected_ms"] = core.state.paces[queue].estimate_ms(more["load"]) if queue in core.state.paces else None
    core.emit("queue.entered", call=call.id, leg=call.caller_leg, queue=queue, order=order, overflow=overflow,
              priority=priority, max_wait_until_ms=core.now_ms + max_wait_s * 1000 if max_wait_s else None,
              announce_at_ms=core.now_ms + announce_s * 1000 if announce_s else None,
              overflow_at_ms=core_overflow.first_look_ms(core, queue),
              service_level_ms=setting(core, queue, "service_level_s") * 1000,
              short_abandon_ms=setting(core, queue, "short_abandon_s") * 1000,
              since_ms=since_ms, given=given, skills=needs, relax=relax_at, **more)
    core_desk.ask(core, call)
    if "looks_up" in more:
        core.act("lookup.ask", call=call.id, lookup=more["looks_up"], caller=call.caller, called=call.called)


def wait_again(core, call):
    """The agent's telephone has failed: the caller waits on where he was, for anybody, and is no second caller of the queue."""
    talked_ms = (call.talked[0] if call.talked else 0) + core.now_ms - call.agent_answered_ms
    _join(core, call, call.queue, call.overflow, call.given or {}, call.waits_since_ms, core.state.order + 1, talked_ms=talked_ms, tiers=call.tiers)
    core.play(call, "announcement", say(call, ["please_wait"]))
    core.touch(call.queue)
    deserted(core, [call.queue])


def _reservation(core, call, queue, given):
    """For whom the caller is kept at first: {"reserved": [agent, until_ms]}, or {}; while a lookup is asked, for nobody ("")."""
    lookup = core.lookup_rows.get((core.queue_configs[queue].get("owner_lookup")) or "")
    if lookup is not None and given.get("agent") is None and is_known(call):
        return {"reserved": ["", core.now_ms + lookup["timeout_ms"]], "looks_up": lookup["name"]}
    owner = given.get("agent")
    if owner is not None and owner in core.places[queue]:
        wait_s = setting(core, queue, "owner_wait_s")
    else:
        known = core.state.last_agents.get(call.caller)
        fits = known is not None and is_known(call) and core.now_ms - known[1] <= setting(core, queue, "last_agent_days") * 86400000
        owner, wait_s = (known[0], setting(core, queue, "last_agent_wait_s")) if fits else (None, 0)
    return {"reserved": [owner, core.now_ms + wait_s * 1000]} if owner is not None and wait_s else {}


def looked_up(core, event):
    """A lookup has told the account's owner, or nothing.  event: call lookup agent error"""
    call = core.state.calls.get(event["call"])
    if call is None or call.state != calls.QUEUED or call.reserved is None or call.reserved[0] != "":
        return False
    owner = event.get("agent")
    known = owner in core.places[call.queue] if call.queue in core.places else False
    wait_s = setting(core, call.queue, "owner_wait_s")
    core.emit("queue.owner", call=call.id, queue=call.queue, owner=owner if known else None, lookup=event["lookup"], error=event.get("error"),
              unknown=owner if owner and not known else None,
              reserved=[owner, core.now_ms + wait_s * 1000] if known and wait_s else None)
    core.touch(call.queue)
    return True


def unreserve(core, call):
    """The agent for whom the caller was kept has not become ready in time: anybody may take the call."""
    if call.state != calls.QUEUED:
        return False
    core.emit("queue.unreserved", call=call.id, queue=call.queue)
    core.touch(call.queue)
    return True


def open_tier(core, call):
    """The caller has waited long enough for further levels of agents."""
    if call.state != calls.QUEUED:
        return False
    core.emit("queue.tiers", call=call.id, queue=call.queue, tiers=[row for row in call.tiers or [] if row[0] > core.now_ms])
    core.touch(call.queue)
    return True


def relax(core, call):
    """The caller has waited long enough to need less."""
    if call.state != calls.QUEUED:
        return False
    needs, left = skills.step_on(call.skills, call.relax, core.now_ms)
    core.emit("queue.relaxed", call=call.id, queue=call.queue, skills=needs, relax=left)
    core.touch(call.queue)
    return True


def give_on(core, call, rule):
    """Carry out a rule on a waiting caller without an offer: another queue, the waiting time kept, or a flow."""
    order = core.state.queue(call.queue).find(call.id).order
    before = setting(core, call.queue, "music") if call.queue in core.queue_configs else None
    leave(core, call, "overflow", to={rule["to"]: rule["target"]}, when=rule["when"])
    if rule["to"] == "flow":
        core_ivr.enter_flow(core, call, rule["target"], core.flows[rule["target"]])
        return
    if rule["to"] in AWAY_TO:
        core.ways_on[AWAY_TO[rule["to"]]](core, call, {rule["to"]: rule["target"]})
        return
    _join(core, call, rule["target"], call.overflow, call.given or {}, call.waits_since_ms, order)
    if call.signal is None or call.signal["purpose"] == "music" and setting(core, call.queue, "music") != before:
        music(core, call)
    core_announcements.tell_waiting(core, call)
    core.touch(call.queue)


def overflow_due(core, call):
    """A rule "wait" may fit now.  A telephone that rings may still be answered."""
    if call.state != calls.QUEUED or call.offer is not None:
        return False
    return _give_on_or_wait(core, call)


def _give_on_or_wait(core, call):
    """Whether a rule "wait" was looked at: carried out, or to be looked at again."""
    rule, again_ms = core_overflow.waited(core, call)
    if rule is not None:
        give_on(core, call, rule)
    elif again_ms is not None:
        core.emit("queue.overflow_at", call=call.id, queue=call.queue, at_ms=again_ms)
    return rule is not None or again_ms is not None


def deserted(core, queues):
    """Nobody may be logged in any more to these queues: their rules "no_agents"."""
    for queue in queues:
        for entry in list(core.state.queues.get(queue) or ()) if core_overflow.asks_for_agents(core, queue) else []:
            call = core.state.calls[entry.call]
            rule = core_overflow.without_agents(core, queue)
            if rule is not None and call.offer is None and call.callback is None:
                give_on(core, call, rule)


def say(call, prompts):
    """Items that say prompts in the languages of a call."""
    items = []
    for language in call.spoken():
        for prompt in prompts:
            items.append({"prompt": prompt, "language": language})
    return items


def music(core, call):
    """The music of the queue, for ever."""
    core.play(call, "music", [{"music": setting(core, call.queue, "music")}], 0)


def announce(core, call):
    """Say the position, or the expected wait; the music comes back when it is said."""
    if call.state != calls.QUEUED:
        return False
    position = core.state.queue(call.queue).position(call.id)
    announce_s = setting(core, call.queue, "announce_position_s")
    what = setting(core, call.queue, "announce")
    wait_ms = core_overflow.expected_of_ms(core, call) if what != "position" else None
    told = expected.minutes(wait_ms) if wait_ms is not None else None
    core.emit("queue.announced", call=call.id, queue=call.queue, position=position, minutes=told,
              announce_at_ms=core.now_ms + announce_s * 1000 if announce_s else None)
    if call.signal is not None and call.signal["purpose"] == "announcement":
        return True                     # still speaking: this one is left out
    items = []
    for language in call.spoken():
        if what != "wait":
            items.append({"prompt": "position_before", "language": language})
            items.append({"number": position, "language": language})
            items.append({"prompt": "position_after", "language": language})
        if told is not None:
            items.append({"prompt": "wait_before", "language": language})
            items.append({"number": told, "language": language})
            items.append({"prompt": "wait_after_one" if told == 1 else "wait_after", "language": language})
    if items:
        core.play(call, "announcement", items)
    return True


def comfort(core, call):
    """Say the comfort message that is due; the music comes back when it is said."""
    if call.state != calls.QUEUED or not call.comfort:
        return False
    prompt, plan = comforts.step(call.comfort, core.now_ms, call.signal is not None and call.signal["purpose"] == "announcement")
    core.emit("queue.comforted", call=call.id, queue=call.queue, prompt=prompt, comfort=plan)
    if prompt is not None:
        core.play(call, "announcement", say(call, [prompt]))
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
        close(core, call, NORMAL, say(call, ["goodbye"]), "overflow", why)


def leave_removed(core):
    """Callers in a queue that the configuration no longer has: nobody would ever serve them."""
    for call in core.state.calls_in_order():
        if call.state == calls.QUEUED and call.queue not in core.queue_configs:
            withdraw(core, call, "withdrawn")
            _overflow(core, call, "the queue was removed")
    deserted(core, core.queue_names)


def is_known(call):
    """Whether the caller's number says who it is."""
    return bool(call.caller) and call.caller_presentation == "allowed"


def still_waiting(core, call):
    """An offer is over: the caller waits on, unless others ring still or the wait is too long by now."""
    if call.offers:
        return
    if call.overdue:
        _overflow(core, call)
        return
    if core_overflow.is_waited(core, call):
        _give_on_or_wait(core, call)
    if call.state == calls.QUEUED:
        core.touch(call.queue)


# Agents.

def take_line(core, name, call, state):
    """The agent's line is in a call that no queue gave."""
    core.emit("agent.busy", call=call.id, agent=name, state=state)
