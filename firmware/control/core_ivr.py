"""Decisions in the IVR: the interpreter answers, the call is moved.

Each answer of the interpreter becomes the record "ivr.moved" with the new position (variables: only those that changed),
so a caller stays at his node over a restart.  A call keeps the versions of the flows that it entered, sub-flows too:
"flow.loaded" puts each definition into the journal once for each version in use, "ivr.entered" says which ones the call has.
Where a flow sends a call to, core.ways_on knows (the table WAYS_ON of the switchboard): queue and telephone come back
here by jump() when they fail, or when the other side has hung up and the node says where it goes on (call.after).

Secret entries are in core.private alone, which no record, checkpoint or log has.  While the caller may press such keys a
recording of the call is paused.  Services are asked by the adapter links/ivr_services.py (actions ivr.ask, ivr.tell).
"""

from firmware.call import call as calls
from firmware.control import core_documents
from firmware.control.core_base import NORMAL, SWITCH, TEMPORARY_FAILURE, civil_date
from firmware.control.core_ending import close, fail, free_agents, result_of, stop_recording
from firmware.errors import LocalError
from firmware.ivr.interpreter import FIELDS, Visit

# Invented: how much longer than the adapter this end waits for an answer, so that its own words come first.
GRACE_MS = 1000
TEXT_MAX = 200


def enter_flow(core, call, name, flow):
    """The caller comes into a flow.  flow: its definition in the configuration."""
    keys = {}
    _load(core, call, name, flow, keys)
    core.private.pop(call.id, None)
    core.emit("ivr.entered", call=call.id, flow=name, key=keys[name], keys=keys)
    step(core, call, visit(core, call).start(name, call.language), {"start": True})


def _load(core, call, name, flow, keys):
    """Put a flow and all that it leads into into the journal."""
    key = "%s@%s" % (name, flow.get("version"))
    while key in core.state.flows and core.state.flows[key] != flow:
        key += "+"                      # changed without a new version number; old calls keep what they have
    if key not in core.state.flows:
        core.emit("flow.loaded", call=call.id, flow=name, key=key, definition=flow, used=sorted(keys.values()))
    keys[name] = key
    for other in sorted(set([node["flow"] for node in flow["nodes"].values() if node["type"] == "flow"])):
        if other not in keys and other in core.flows:
            _load(core, call, other, core.flows[other], keys)


def visit(core, call):
    """The interpreter for a call, with what its flows may know."""
    flows = {}
    for name in sorted(call.flow_keys or {}):
        flow = core.state.flows.get(call.flow_keys[name])
        flows[name] = flow if flow is not None else core.flows.get(name)
    local_ms = core.now_ms + core.utc_offset_ms(core.now_ms)
    facts = {"caller": call.caller if call.caller_presentation == "allowed" else "", "called": call.called, "redirecting": call.redirecting or "", "call": call.id,
             "queue": call.queue, "agent": call.agent or call.last_agent, "time": time_of(local_ms)}
    return Visit(flows, facts, core.private.setdefault(call.id, {}))


def time_of(local_ms):
    """What expressions know of the site's time: {weekday 1-7, hour, minute, clock "09:05", date "2026-01-05", day 1-31, month, year}."""
    year, month, day = civil_date(local_ms // 86400000)
    minute = local_ms // 60000 % 1440
    return {"weekday": (local_ms // 86400000 + 3) % 7 + 1, "hour": minute // 60, "minute": minute % 60, "clock": "%02d:%02d" % (minute // 60, minute % 60),
            "date": "%04d-%02d-%02d" % (year, month, day), "day": day, "month": month, "year": year}


def flow_of(core, call):
    """The flow version that a call is in, or None if it never was in one."""
    if not call.flow_keys or call.position is None:
        return None
    name = call.position.get("flow") or call.flow_key.split("@")[0]
    flow = core.state.flows.get(call.flow_keys.get(name))
    return flow if flow is not None else core.flows.get(name)


def where(call):
    """A call's position, with the flow that positions of older versions did not name."""
    position = dict(call.position)
    position.setdefault("flow", call.flow_key.split("@")[0])
    position["variables"] = call.variables or {}
    return position


def moved(core, call, position, given, deadline_ms):
    """Record a new position: what differs from a bare one, and the variables that changed."""
    short = {"node": position["node"], "waiting": position["waiting"], "language": position["language"]}
    for name in FIELDS:
        if name != "variables" and name not in short and position[name] != FIELDS[name]:
            short[name] = position[name]
    before, after = call.variables or {}, position["variables"]
    more = {}
    if after is not before and after != before:
        more["set"] = dict([(name, after[name]) for name in sorted(after) if name not in before or before[name] != after[name]])
        gone = [name for name in sorted(before) if name not in after]
        if gone:
            more["unset"] = gone
    core.emit("ivr.moved", call=call.id, position=short, input=given, deadline_ms=deadline_ms, **more)


def step(core, call, taken, given):
    """Carry out what the interpreter answers."""
    position, command = taken
    do = command["do"]
    if do == "none":
        return False
    if command.get("private"):
        given = {"key": "hidden"}
    if command.get("survey"):
        core.emit("ivr.survey", call=call.id, agent=call.agent or call.last_agent, queue=call.queue, **command["survey"])
    now_ms = core.now_ms
    if do == "keep" or do == "record_stop" or do == "told" and command.get("at_once"):
        moved(core, call, position, given, core.state.timers.get("ivr", call.id))
        if do == "record_stop":
            _stop(core, call)
        elif do == "told":
            _tell(core, call, command["result"])
        return True
    waits_ms = None
    if do == "listen":
        waits_ms = now_ms + int(command["timeout_s"] * 1000)
    elif do == "record":
        waits_ms = now_ms + command["most_s"] * 1000
    elif do in ("ask", "program", "wait"):
        waits_ms = now_ms + int(command["timeout_s"] * 1000) + GRACE_MS
    elif do == "told":
        waits_ms = now_ms + int(_patience_s(core, call, position) * 1000) + GRACE_MS
    moved(core, call, position, given, waits_ms)
    _guard_recording(core, call, position)
    if do == "play":
        core.play(call, "prompt", command["items"])
    elif do == "listen" or do == "wait" and command.get("quiet"):
        core.silence(call)
    elif do == "wait":
        pass
    elif do == "record":
        core.silence(call)
        _record(core, call)
    elif do == "told":
        core.silence(call)
        _tell(core, call, command["result"])
    elif do in ("ask", "program"):
        _ask(core, call, command)
    else:
        _leave(core, call, position, command)
    return True


def _leave(core, call, position, command):
    do = command["do"]
    core.emit("ivr.left", call=call.id, node=position["node"], outcome=do, after=command.get("after"))
    core.private.pop(call.id, None)
    if do != "hangup":
        core.ways_on[do](core, call, command)
    elif command["cause"] == TEMPORARY_FAILURE and not command["items"]:
        fail(core, call, TEMPORARY_FAILURE, "the flow cannot go on: %s" % (position["error"] or {}).get("text", "no reason is known"))
    else:
        close(core, call, command["cause"], command["items"], result_of(call, SWITCH))


# Services and programs.

def _ask(core, call, command):
    """Have the adapter ask; media may play meanwhile."""
    token = "%s-q%d" % (call.id, (call.requests or 0) + 1)
    if command["kind"] == "send_fax":
        core.silence(call)
        ok, result = core.ways_on["fax_wanted"](core, call, command["request"])
        step(core, call, visit(core, call).answer(where(call), ok, result), {"answer": "send_fax", "ok": ok} if ok else {"answer": "send_fax", "ok": ok, "why": result})
        return
    speaks = command["kind"] in ("speak", "fax")
    if command["items"] and not speaks:
        core.play(call, "prompt", command["items"])
    else:
        core.silence(call)
    core.emit("ivr.asked", call=call.id, token=token, ask=command["kind"],
              service=command["request"].get("service") or command["request"].get("application"),
              data=command["request"]["data"] if command["kind"] == "cti" else None)
    if command["kind"] == "fax" and command["request"]["role"] == "receives":      # a document of its own, of whose name the end is the token
        command["request"]["document"] = "%s-%s" % (command["request"]["document"][:40], token)
    caller = {"caller": call.shown_caller(), "called": call.called, "language": call.language or (call.languages or ["en"])[0]}
    core.act("ivr.ask", leg=call.caller_leg, call=call.id, token=token, ask=command["kind"], request=command["request"], caller=caller)
    if command["kind"] == "fax":
        core_documents.started(core, call, token, command["request"])
    if speaks:                          # the stream is there before it is played
        core.play(call, "prompt", [{"stream": token}])


def answered(core, event):
    """An answer of a service: call token ok result (ok false: a sentence)."""
    call = core.state.calls.get(event["call"])
    if call is None or call.state != calls.IVR or call.request is None or call.request["token"] != event["token"]:
        return False
    ok = bool(event["ok"])
    if call.request["ask"] == "fax":
        core_documents.ended(core, call, ok, event)
    if not ok:
        event = dict(event, result=str(event["result"])[:TEXT_MAX])
    given = {"answer": call.request["ask"], "ok": ok}
    if not ok:
        given["why"] = event["result"]
    return step(core, call, visit(core, call).answer(where(call), ok, event["result"]), given)


def spoken_to(core, event):
    """The caller begins to speak to a recognize node: call token."""
    call = core.state.calls.get(event["call"])
    if call is None or call.state != calls.IVR or call.request is None or call.request["token"] != event["token"]:
        return False
    return step(core, call, visit(core, call).speech(where(call)), {"speech": True})


def operated(core, event):
    """A program that has the call wants something done: call operation token?(of the AGI adapter; else CTI or REST)."""
    call = core.state.calls.get(event["call"])
    if call is None or call.state != calls.IVR or call.position is None or call.request is None:
        return core.refuse("call %s is in no program's hands" % event["call"])
    if event.get("token") not in (None, call.request["token"]) or (event.get("token") is None) != (call.request["ask"] == "cti"):
        return core.refuse("call %s is in another program's hands" % call.id)
    operation = event["operation"]
    try:
        taken = visit(core, call).operate(where(call), operation)
    except LocalError as error:
        return core.refuse(str(error))
    return step(core, call, taken, {"operation": operation.get("do")})


def _tell(core, call, result):
    """Give a program the result of what it wanted: the CTI link reads the journal, the adapter of AGI is told."""
    if call.request is None:
        return
    if call.request["ask"] == "cti":
        core.emit("ivr.told", call=call.id, token=call.request["token"], result=result)
    else:
        core.act("ivr.tell", leg=call.caller_leg, call=call.id, token=call.request["token"], result=result)


def _patience_s(core, call, position):
    """How long a program may do nothing: its node's time limit."""
    flow = core.state.flows.get((call.flow_keys or {}).get(position["flow"])) or core.flows.get(position["flow"])
    node = flow["nodes"].get(position["node"]) if flow else None
    return (node or {}).get("timeout_s", 60)


# Messages of callers, and recordings that must not hear a secret.

def _record(core, call):
    if call.recording is not None and core.state.recordings[call.recording]["state"] == "open":
        stop_recording(core, call.recording)
    recording = core.ids.next("r")
    path = core.recording_path(call.id, recording)
    core.emit("ivr.recording", call=call.id, leg=call.caller_leg, recording=recording)
    core.emit("recording.started", call=call.id, agent=None, recording=recording, path=path, left=call.caller_leg, right=None)
    core.act("media.record", recording=recording, path=path, left=call.caller_leg, right=None, call=call.id, channels="mono")


def _stop(core, call):
    if call.message is not None and core.state.recordings.get(call.message, {}).get("state") == "open":
        stop_recording(core, call.message)


def recorded(core, call, recording, path, duration_ms, why):
    """A message of a caller is on the disk, or is not (why)."""
    if call.state != calls.IVR or call.message != recording:
        return
    ok = why is None and duration_ms is not None
    result = {"recording": recording, "duration_ms": duration_ms, "path": path} if ok else "the recording failed: %s" % (why or "its end is not known")
    step(core, call, visit(core, call).recorded(where(call), ok, result), {"recorded": recording})


def _guard_recording(core, call, position):
    """Pause the recording of a call as long as its caller may press secret keys."""
    recording = core.state.recordings.get(call.recording)
    if recording is None or recording["state"] != "open":
        return
    secret = visit(core, call).expects_secret(position)
    if secret != bool(recording.get("paused")):
        core.emit("recording.paused" if secret else "recording.resumed", call=call.id, recording=call.recording)
        core.act("media.record_pause", recording=call.recording, pause=secret, text="secret entry")


# What comes from outside the flow.

def jump(core, call, node, why):
    """Continue the call's flow at a node.  False: it has no flow or no such way on."""
    flow = flow_of(core, call)
    if node is None or flow is None:
        return False
    step(core, call, visit(core, call).jump(where(call), node, why not in ("overflow", "after")), {"jump": why})
    return True


def not_reached(core, call, failed, cause, result, why):
    """Nobody was reached: back to who gave the call away, on at the node `failed` of the flow, or the end."""
    if call.duty is not None and core.ways_on["duty_next"](core, call):
        return
    if not core.ways_on["recall"](core, call) and not jump(core, call, failed, result):
        fail(core, call, cause, why, result)


def after_talk(core, call, leg):
    """The agent's side has hung up, and the flow wants the caller back.  leg: of that side; it is out of the state already."""
    node, agent = call.after, call.agent
    core.silence(call)
    if call.recording is not None and core.state.recordings[call.recording]["state"] == "open":
        stop_recording(core, call.recording)
    if call.bridge is not None:
        bridge = call.bridge
        core.emit("call.unbridged", call=call.id, agent=agent, bridge=bridge)
        core.act("media.bridge", bridge=bridge, legs=[])
    core.emit("call.detached", call=call.id, leg=leg.id, agent=agent, queue=call.queue, by=agent, recall=None, why="after")
    for monitor in list(call.monitors or []):
        if monitor[0] in core.state.legs:
            core.release_leg(core.state.legs[monitor[0]], NORMAL)
    free_agents(core, call, but=core.state.legs[call.caller_leg].line)
    if not jump(core, call, node, "after"):
        fail(core, call, TEMPORARY_FAILURE, "the flow cannot go on", "answered")


def prompted(core, call, reason):
    """What was said to the caller has ended."""
    if flow_of(core, call) is None:
        fail(core, call, TEMPORARY_FAILURE, "the flow of the call is gone")
    else:
        step(core, call, visit(core, call).done(where(call), reason == "error"), {"prompt": reason})


def recover(core, call, playing, streams=()):
    """After a restart.  playing: whether media still plays what it should; streams: that media has."""
    if flow_of(core, call) is None:
        fail(core, call, TEMPORARY_FAILURE, "the flow cannot go on after the restart")
        return
    waiting = call.position.get("waiting")
    if waiting == "recording" and call.message in core.state.recordings:
        return                          # media records on, or will say that it does not
    if waiting == "answer" and call.request is not None and call.request["token"] in streams:
        return                          # the service still hears the caller, or speaks; what it said meanwhile comes again
    operation = call.position.get("operation")
    if operation and waiting in ("prompt", "digit") and call.request is not None and call.request["ask"] == "cti" and not operation.get("secret") and (
            call.signal is None or playing):
        return                          # the program's collect goes on: what was keyed and when it ends are in the journal
    if waiting in ("answer", "program", "recording") or operation:
        step(core, call, visit(core, call).repeat(where(call)), {"repeat": True})
    elif call.signal is not None and not playing:
        repeat_prompt(core, call)


def repeat_prompt(core, call):
    """Nothing plays that should."""
    if flow_of(core, call) is None or not step(core, call, visit(core, call).repeat(where(call)), {"repeat": True}):
        fail(core, call, TEMPORARY_FAILURE, "the flow cannot go on after the restart")


def digit(core, event):
    """The caller pressed a key.  Only the IVR wants it; in conversation it is nobody's business."""
    call = core.call_of(event["leg"])
    if call is None or call.state != calls.IVR or event["leg"] != call.caller_leg or flow_of(core, call) is None:
        return False
    return step(core, call, visit(core, call).digit(where(call), event["digit"]), {"digit": event["digit"]})


def timeout(core, call):
    """No digit, answer or program came in time."""
    if call.state != calls.IVR or flow_of(core, call) is None:
        return False
    if call.position.get("waiting") == "recording":
        core.emit("core.timer_dropped", timer="ivr", name=call.id)
        _stop(core, call)
        return True
    return step(core, call, visit(core, call).timeout(where(call)), {"timeout": True})
