"""The switchboard's view for the API: plain data, shapes in switchboard.py."""

from firmware.call import call as calls
from firmware.control import core_announcements, core_broadcasts, core_warnings, core_callbacks, core_home, core_mailboxes, core_overflow
from firmware.control.core_ahead import Ahead


def snapshot(core, now_ms):
    """Calls in order of arrival; queues, agents and lines in the configuration's order."""
    state = core.state
    places, ahead = {}, Ahead(core)        # call -> (position, expected wait)
    for name in state.queues:
        position, pace = 0, state.paces.get(name)
        for entry in state.queues[name]:
            position += 1
            places[entry.call] = (position, pace.estimate_ms(ahead.load(name, entry.rank(), state.calls[entry.call].skills or {})) if pace is not None else None)
    return {"calls": [_call(state, call, places.get(call.id, (None, None))) for call in state.calls_in_order()],
            "queues": [_queue(core, name, now_ms) for name in core.queue_names],
            "agents": [_agent(core, name) for name in core.agent_names],
            "lines": [{"name": name, "registered": core.is_registered(name), "agent": core.agent_on(name), "call": _line_call(state, name), "home": core_home.snapshot(core, name)}
                      for name in core.line_names],
            "mailboxes": core_mailboxes.snapshot(core), "callbacks": core_callbacks.snapshot(core),
            "announcements": core_announcements.snapshot(core), "thresholds": core_warnings.snapshot(core, now_ms), "broadcasts": core_broadcasts.snapshot(core),
            "trunk_groups": [{"name": name, "label": state.groups[name].label, "trunks": len(state.groups[name].trunks),
                              "seized": state.groups[name].seized()} for name in sorted(state.groups)]}


def _line_call(state, name):
    on_line = state.line_legs.get(name)
    return state.legs[on_line[0]].call if on_line else None


def _call(state, call, place):
    waits = call.state == calls.QUEUED
    caller = state.legs.get(call.caller_leg)
    return {"call": call.id, "state": call.state, "caller": call.caller, "caller_name": call.shown_name() or None,
            "caller_presentation": call.caller_presentation, "caller_received": (call.received or {}).get("number"), "called": call.called, "redirecting": call.redirecting,
            "trunk_group": caller.trunk_group if caller else None, "span": caller.span if caller else None,
            "timeslot": caller.timeslot if caller else None, "application": call.application, "target": call.target,
            "dialled": call.outside["digits"] if call.outside else None,
            "language": call.language, "node": call.position["node"] if call.position else None, "queue": call.queue,
            "position": place[0],
            "waiting_since_ms": call.waits_since_ms if waits else None, "priority": call.priority if waits else None,
            "skills": (call.skills or {}) if waits else {}, "expected_wait_ms": place[1] if waits else None,
            "agent": call.agent, "offered_agent": call.offer["agent"] if call.offer else None,
            "offered_agents": [offer["agent"] for offer in call.offers], "started_ms": call.started_ms,
            "answered_ms": call.answered_ms, "agent_answered_ms": call.agent_answered_ms, "recording": call.recording,
            "customer": (call.customer or {}).get("customer"), "callback": call.callback, "mailbox": dict(call.mailbox, list=None) if call.mailbox else None, "held": bool(call.held), "place": call.place,
            "dead_air": call.dead_air,
            "data": dict(call.variables or {}), "program": dict(call.request) if call.request and call.request["ask"] in ("agi", "cti") else None,
            "consult": dict([(key, call.consult[key]) for key in ("leg", "state", "to", "target", "agent", "join")]) if call.consult else None,
            "members": list(call.members or []),
            "monitors": [{"leg": row[0], "mode": row[1], "agent": row[2], "line": state.legs[row[0]].line} for row in call.monitors or []
                         if row[0] in state.legs],
            "legs": [{"leg": name, "role": state.legs[name].role, "tech": state.legs[name].tech, "state": state.legs[name].state,
                      "line": state.legs[name].line, "trunk_group": state.legs[name].trunk_group, "span": state.legs[name].span, "timeslot": state.legs[name].timeslot,
                      "audio_missing": list(state.legs[name].missing or []), "fax": list(state.legs[name].fax), "t38": state.legs[name].t38,
                      "listens": dict(state.legs[name].hears), "enhance": dict(state.legs[name].enhance), "heard": dict(state.legs[name].heard),
                      "streams": dict(state.legs[name].streams)}
                     for name in call.legs]}


def _queue(core, name, now_ms):
    state = core.state
    queue = state.queues.get(name)
    config = core.queue_configs[name]
    figures = state.statistics.queue_figures(name, now_ms)
    abandons = config.get("service_level_abandons") or "ignore"
    since_ms = queue.longest_since_ms() if queue is not None else None
    return {"name": name, "label": config.get("label") or name, "waiting": len(queue) if queue is not None else 0,
            "longest_wait_ms": max(0, now_ms - since_ms) if since_ms is not None else 0, "longest_since_ms": since_ms,
            "agents": len(core.members[name]), "agents_ready": len(core.ready.of(name)), "agents_logged_in": core_overflow.logged_in(core, name), "strategy": config.get("strategy") or "longest_idle",
            "open": core_overflow.is_queue_open(core, name, now_ms), "service_level_abandons": abandons,
            "service_level": figures["service_level" if abandons == "ignore" else "service_level_" + abandons],
            "service_level_s": config.get("service_level_s") or 20, "offered": figures["queued"], "answered": figures["answered"],
            "abandoned": figures["abandoned"], "short_abandoned": figures["short_abandoned"],
            "overflowed": figures["overflowed"], "expected_wait_ms": core_overflow.expected_ms(core, name),
            "expected_error_ms": figures["expected_error_average_ms"]}


def _agent(core, name):
    agent = core.state.agent(name)
    config = core.agent_configs[name]
    line = core.line_of(name)
    return {"name": name, "label": config.get("label") or name, "line": line, "registered": core.is_registered(line), "home": core_home.snapshot(core, line) if line is not None else None,
            "status": agent.status, "reason": agent.reason, "state": agent.state, "since_ms": agent.since_ms, "call": agent.call,
            "seat": agent.seat, "locked": agent.locked, "missed": agent.missed, "rests": agent.rests, "wrap_up_until_ms": core.state.timers.get("wrap_up", name),
            "wrapped": agent.wrapped, "undone": agent.undone, "queues": core.queues_of(name), "assigned": name in core.state.assigned}
