"""A supervisor's telephone in somebody's call: listen, whisper, barge, take over.

The telephone rings (it may answer by itself), then it is a further leg of the call whose place in the bridge follows
from its mode (core_parties.rooms).  It stays with the call through hold, consultation and transfer, and every change is
in the journal with who asked for it.
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.control import core_calls, core_floor, core_operations, core_parties
from firmware.control.core_base import NORMAL


def monitor(core, event):
    """Listen to a call, or change how.  event: call; agent or line (the supervisor's); mode listen|whisper|barge|take_over|end; by?"""
    call = core.state.calls.get(event["call"])
    if call is None or call.state in (calls.CLOSING, calls.CLEARING):
        return core.refuse("there is no open call %s" % event["call"])
    if call.is_data:
        return core.refuse(core_parties.CARRIES_DATA % call.id)
    name, mode = event.get("agent"), event["mode"]
    line = core.line_of(name) if name is not None else event.get("line")
    if line is None or line not in core.line_rows:
        return core.refuse("there is no telephone of %s" % (name or event.get("line")))
    there = [row for row in call.monitors or [] if row[0] in core.state.legs and core.state.legs[row[0]].line == line]
    if mode == "end":
        if not there:
            return core.refuse("line %s does not listen to call %s" % (line, call.id))
        core.release_leg(core.state.legs[there[0][0]], NORMAL)
        core_parties.wire(core, call)
        return True
    if mode == "take_over":
        return _take_over(core, call, there)
    if mode not in core_parties.MODES:
        return core.refuse("mode is one of listen, whisper, barge, take_over, end")
    if there:
        leg = there[0][0]
    else:
        found = core_operations.telephone(core, {"to": "line", "target": line})
        if not found:
            return False
        if call.state != calls.TALKING:
            return core.refuse("call %s is not in conversation, it is %s" % (call.id, call.state))
        if not core_floor.has_room(core, call):
            return False
        leg = core_operations.create(core, call, line, legs.MONITOR, auto_answer=True, caller_name="%s %s" % (mode, call.agent or ""))
    core.emit("call.monitoring", call=call.id, leg=leg, agent=core.agent_on(line), mode=mode, by=event.get("by"),
              **({"level_db": event["level_db"]} if event.get("level_db") is not None else {}))
    core_parties.wire(core, call)
    return True


def answered(core, call, leg):
    """The supervisor's telephone was answered."""
    core.emit("leg.answered", call=call.id, leg=leg.id, agent=leg.agent, by="far", connects=False)
    if leg.agent is not None:
        core.emit("agent.busy", call=call.id, leg=leg.id, agent=leg.agent, state="talking")
    core_parties.wire(core, call)


def _take_over(core, call, there):
    """The supervisor goes on in place of the agent, who is let go."""
    if not there or core.state.legs[there[0][0]].state != legs.ANSWERED or call.state != calls.TALKING:
        return core.refuse("only a supervisor who is in the conversation can take it over")
    leg, name = there[0][0], there[0][2]
    if call.consult is not None:
        core_parties.consult_over(core, call, "dropped")
    core.emit("call.monitor_ended", call=call.id, leg=leg, agent=name)
    core_parties.detach(core, call, "take_over", apart=False)
    core_calls.connect(core, call, leg, name)
    return True
