"""Feature codes: what an agent does by dialling at the telephone, answered by a prompt.

    available | break | log_out | wrap_up_end | wrap_up_extend        of the agent whose line it is
    log_in + agent          sits down at this telephone; an agent with a code is asked for it by keys
    break_reason + number   a break with the reason of that place in the configured list (1 is the first)
    pick_up + agent or line, or nothing rings there: refused
    messages                hears the mailbox of this line
    unpark + place          fetch a parked call

A home telephone may dial those that set its agent's state, too, where its trunk group lets it; it is known by its number alone, so nobody logs in
there without a code.

The keys of a log-in code are kept out of state, journal and log: a restart of control in the middle ends the call.
"""

from firmware.acd import agent as agents
from firmware.control import core_agents, core_calls, core_emergency, core_home, core_mailboxes, core_operations
from firmware.control.core_base import NORMAL
from firmware.control.core_ending import close

# Invented: time for the keys of a log-in code, and how often it may be wrong.
SECRET_MS = 15000
TRIES = 3


def begun(core, call):
    """The route of a feature code that a home telephone has dialled over its trunk, or None."""
    found = core.router.feature(call.called) if call.called_complete else None
    if found is None or core_home.line_of_caller(core, call) is None or core_emergency.asked(
            core, None, core.state.legs[call.caller_leg].trunk_group, call.called):
        return None
    return core.router.find(call.called, True, True)[1]


def line_of(core, call):
    """The line of the telephone that has dialled, of a home telephone its line, or None."""
    line = core.state.legs[call.caller_leg].line
    return core_home.line_of_caller(core, call) if line is None else line


def dialled(core, call, route):
    """A telephone of ours has dialled a feature code."""
    row, argument, action = route["row"], route["argument"], route["target"]
    line = line_of(core, call)
    name = core.agent_on(line)
    core.refusal = None
    at_home = core.state.legs[call.caller_leg].line is None
    if at_home and (action in ("pick_up", "unpark", "messages") or action == "log_in" and not (core.agent_configs.get(argument) or {}).get("pin")):
        core.refuse("a caller who is known by the number alone may not do this")
        _say(core, call, row, argument, name, False)
        return
    if action in ("pick_up", "unpark"):
        event = {"own": call, "target": argument, "place": int(argument) if argument.isdigit() else None}
        if not (core_operations.pick_up if action == "pick_up" else core_operations.unpark)(core, event):
            _say(core, call, row, argument, name, False)
        return
    if action == "messages" and core_mailboxes.own(core, line) is not None:
        core_calls.answer(core, call)
        core.emit("call.feature", call=call.id, leg=call.caller_leg, agent=name, code=row["code"], action=action, argument=argument, done=True, why=None)
        core_mailboxes.listen(core, call, core_mailboxes.own(core, line))
        return
    if action == "log_in" and (core.agent_configs.get(argument) or {}).get("pin"):
        core_calls.answer(core, call)
        _ask(core, call, argument, 0)
        return
    _say(core, call, row, argument, name, _act(core, call, action, argument, row, name, line))


def _act(core, call, action, argument, row, name, line):
    if action == "log_in":
        return core_agents.log_in(core, {"agent": argument, "line": line, "own_leg": call.caller_leg})
    if action == "messages":
        return core.refuse("line %s has no mailbox" % line)
    if name is None:
        return core.refuse("line %s has no agent" % line)
    if action == "available":
        return core_agents.status(core, {"agent": name, "status": agents.AVAILABLE})
    if action == "log_out":
        return core_agents.status(core, {"agent": name, "status": agents.LOGGED_OUT})
    if action == "wrap_up_end" or action == "wrap_up_extend":
        return core_agents.wrap_up(core, {"agent": name, "end": action == "wrap_up_end"})
    reason = row.get("reason") or None
    if action == "break_reason":
        known = [each["name"] for each in core.config.get("break_reasons") or []]
        if not argument.isdigit() or not 1 <= int(argument) <= len(known):
            return core.refuse("there is no reason number %s" % argument)
        reason = known[int(argument) - 1]
    return core_agents.status(core, {"agent": name, "status": agents.ON_BREAK, "reason": reason})


def _say(core, call, row, argument, name, done):
    """Tell the person whether it was done, and end the call."""
    why, core.refusal = core.refusal, None
    core.emit("call.feature", call=call.id, leg=call.caller_leg, agent=name, code=row["code"], action=row["action"], argument=argument,
              done=bool(done), why=None if done else why)
    core_calls.answer(core, call)
    prompts = [{"prompt": "done" if done else "not_possible", "language": language} for language in call.spoken()[:1]]
    close(core, call, NORMAL, prompts, "self_service", None if done else why)


# The code of a log-in.

def _ask(core, call, name, tries):
    core.secrets[call.id] = ""
    core.emit("call.secret", call=call.id, leg=call.caller_leg, agent=name, tries=tries, deadline_ms=core.now_ms + SECRET_MS)
    core.play(call, "secret", [{"prompt": "enter_code", "language": language} for language in call.spoken()[:1]])


def digit(core, call, key):
    """A key of the code.  Whether it was one."""
    if call.secret is None or call.state == "closing":
        return False
    name = call.secret["agent"]
    pin = (core.agent_configs.get(name) or {}).get("pin") or ""
    core.silence(call)
    if key != "#":
        core.secrets[call.id] = core.secrets.get(call.id, "") + key
    given = core.secrets[call.id] if call.id in core.secrets else ""
    if key != "#" and len(given) < len(pin):
        return True
    core.secrets.pop(call.id, None)
    if given != pin and call.secret["tries"] + 1 < TRIES:
        _ask(core, call, name, call.secret["tries"] + 1)
        return True
    line = line_of(core, call)
    done = core_agents.log_in(core, {"agent": name, "line": line, "own_leg": call.caller_leg, "pin": given})
    _say(core, call, {"code": call.called[:len(call.called) - len(name)], "action": "log_in"}, name, name, done)
    return True


def timeout(core, call):
    """The keys did not come."""
    if call.secret is None or call.state == "closing":
        return False
    core.secrets.pop(call.id, None)
    core.refuse("no code was entered")
    _say(core, call, {"code": "", "action": "log_in"}, call.secret["agent"], call.secret["agent"], False)
    return True
