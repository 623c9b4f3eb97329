"""Decisions in the IVR: the interpreter answers, the call is moved.

Each answer of the interpreter becomes the record "ivr.moved" with the new position, so a
caller stays at his node over a restart.  A call keeps the version of the flow that
it entered: "flow.loaded" puts the definition into the journal once for each version in use.
Where a flow sends a call to, core.ways_on knows (the table WAYS_ON of the switchboard):
queue and telephone come back here by jump() when they fail.
"""

from firmware.call import call as calls
from firmware.control.core_base import SWITCH, TEMPORARY_FAILURE
from firmware.control.core_ending import close, fail, result_of
from firmware.ivr import interpreter


def enter_flow(core, call, name, flow):
    """The caller comes into a flow.  flow: its definition in the configuration."""
    key = "%s@%s" % (name, flow.get("version"))
    while key in core.state.flows and core.state.flows[key] != flow:
        key += "+"                      # changed without a new version number; old calls keep what they have
    if key not in core.state.flows:
        core.emit("flow.loaded", call=call.id, flow=name, key=key, definition=flow)
    core.emit("ivr.entered", call=call.id, flow=name, key=key)
    step(core, call, interpreter.start(flow, call.language), {"start": True})


def flow_of(core, call):
    """The flow version that a call is in, or None if it never was in one."""
    if call.flow_key is None:
        return None
    flow = core.state.flows.get(call.flow_key)
    return flow if flow is not None else core.flows.get(call.flow_key.split("@")[0])


def step(core, call, taken, given):
    """Carry out what the interpreter answers."""
    position, command = taken
    do = command["do"]
    if do == "none":
        return False
    waits = core.now_ms + int(command["timeout_s"] * 1000) if do == "listen" else None
    core.emit("ivr.moved", call=call.id, position=position, input=given, deadline_ms=waits)
    if do == "play":
        core.play(call, "prompt", command["items"])
        return True
    if do == "listen":
        core.silence(call)
        return True
    core.emit("ivr.left", call=call.id, node=position["node"], outcome=do)
    if do != "hangup":
        core.ways_on[do](core, call, command)
    elif command["cause"] == TEMPORARY_FAILURE and not command["items"]:
        fail(core, call, TEMPORARY_FAILURE, "the flow cannot go on")
    else:
        close(core, call, command["cause"], command["items"], result_of(call, SWITCH))
    return True


def jump(core, call, node, why):
    """Continue the call's flow at a node.  False: it has no flow or no such way on."""
    flow = flow_of(core, call)
    if node is None or flow is None or call.position is None:
        return False
    step(core, call, interpreter.jump(flow, call.position, node, why != "overflow"), {"jump": why})
    return True


def not_reached(core, call, failed, cause, result, why):
    """Nobody was reached: back to who gave the call away, on at the node `failed` of the flow, or the end."""
    if not core.ways_on["recall"](core, call) and not jump(core, call, failed, result):
        fail(core, call, cause, why, result)


def repeat_prompt(core, call):
    """After a restart: nothing plays that should."""
    flow = flow_of(core, call)
    if flow is None or not step(core, call, interpreter.repeat(flow, call.position), {"repeat": True}):
        fail(core, call, TEMPORARY_FAILURE, "the flow cannot go on after the restart")


def digit(core, event):
    """The caller pressed a key.  Only the IVR wants it; in conversation it is nobody's business."""
    call = core.call_of(event["leg"])
    if call is None or call.state != calls.IVR or event["leg"] != call.caller_leg:
        return False
    flow = flow_of(core, call)
    return flow is not None and step(core, call, interpreter.digit(flow, call.position, event["digit"]), {"digit": event["digit"]})


def timeout(core, call):
    """No digit came in time."""
    flow = flow_of(core, call)
    if call.state != calls.IVR or flow is None or not step(core, call, interpreter.timeout(flow, call.position), {"timeout": True}):
        return False
    return True
