"""Persons on duty: a chain of telephones is called, one after the other, until somebody takes the call.

    begin -> step 1: rings for ring_s -> answered: hears "duty_confirm" -> presses the key: talks with the caller
                 |  not reached, no key in time, another key: step 2, ... the chain again, `rounds` times
                 -> nobody: the mailbox, where there is one, else the end

The caller hears ringing tone (music in between is none: the steps follow at once).  A step is dialled with what one of our
lines may dial; the caller stays the caller, so a kill -9 in the middle goes on as any call to the outside does.
"""

from firmware.call import leg as legs
from firmware.call import outside
from firmware.call.number_plan import MATCH
from firmware.control import core_calls, core_mailboxes, core_outside
from firmware.control.core_base import NO_ANSWER, TEMPORARY_FAILURE
from firmware.control.core_ending import fail


def begin(core, call, name):
    """An answered caller is given to a chain."""
    row = core.duty_rows.get(name)
    if row is None:
        fail(core, call, TEMPORARY_FAILURE, "there is no chain of persons on duty %s" % name)
        return
    core.emit("duty.begun", call=call.id, leg=call.caller_leg, duty=name)
    core.play(call, "ringback", [{"tone": "ringback"}], 0)
    step_on(core, call)


def step_on(core, call):
    """Call the next person.  Whether the chain has the call."""
    duty = call.duty
    row = core.duty_rows.get(duty["name"]) if duty is not None else None
    if duty is None:
        return False
    steps = (row or {}).get("steps") or []
    while row is not None and core.state.calls.get(call.id) is call and duty["tried"] < len(steps) * row["rounds"]:
        step = steps[duty["tried"] % len(steps)]
        core.emit("duty.step", call=call.id, duty=duty["name"], tried=duty["tried"] + 1, to=step["to"], target=step["target"])
        duty = call.duty
        if _call(core, call, step):
            return True
    core.emit("duty.ended", call=call.id, duty=duty["name"], outcome="nobody")
    mailbox = (row or {}).get("mailbox")
    if mailbox and mailbox in core.mailbox_rows:
        core.silence(call)
        core_mailboxes.enter(core, call, mailbox)
    else:
        fail(core, call, NO_ANSWER, "nobody on duty took the call", "no_answer")
    return True


def _call(core, call, step):
    """Let a step's telephone ring.  False: it cannot."""
    kind, target = step["to"], step["target"]
    if kind == "number":
        verdict, route = core.router.find(target, True, True, outside.CLASSES)
        if verdict != MATCH or route["application"] not in ("outside", "line", "agent"):
            return False
        if route["application"] == "outside":
            core_outside.dial(core, call, route, None, step["ring_s"] * 1000)
            return True
        kind, target = route["application"], route["target"]
    line = target if kind == "line" else core.line_of(target)
    if line is None or not core.is_registered(line) or line in core.state.line_legs:
        return False
    core_calls.ring(core, call, kind, target, None, step["ring_s"] * 1000)
    return True


def asks(core, call, leg):
    """A called person has answered: ask for the key, where one is wanted.  False: the call is taken."""
    row = core.duty_rows.get(call.duty["name"]) or {}
    if not row.get("confirm_key"):
        _taken(core, call, leg)
        return False
    core.emit("duty.asked", call=call.id, leg=leg.id, agent=leg.agent, duty=call.duty["name"], deadline_ms=core.now_ms + row["confirm_s"] * 1000)
    hear(core, call, leg.id)
    return True


def hear(core, call, leg):
    """Say to the person what is wanted; also after a restart."""
    languages = core.site.get("languages") or ["en"]
    core.act("media.detect", leg=leg, dtmf=True)
    core.act("media.signal", leg=leg, token="%s-d%d" % (call.id, call.duty["tried"]), repeat=0,
             items=[{"prompt": "duty_confirm", "language": language} for language in languages] + [{"silence_ms": 1000}])


def _taken(core, call, leg):
    core.emit("duty.ended", call=call.id, leg=leg.id, agent=leg.agent, duty=call.duty["name"], outcome="taken")


def digit(core, call, leg, key):
    """A key of the person who was asked."""
    row = core.duty_rows.get(call.duty["name"]) or {}
    core.act("media.stop", leg=leg.id)
    if key != row.get("confirm_key"):
        core_calls.ring_failed(core, call, 21)
        return True
    core.act("media.detect", leg=leg.id, dtmf=False)
    _taken(core, call, leg)
    core_calls.taken(core, call, leg)
    return True


def is_asked(core, call, leg):
    """Whether a leg is that of the person who was asked for the key."""
    known = core.state.legs.get(leg)
    return (call.duty is not None and call.duty["asked"] == leg and call.target_leg == leg and known is not None and known.state == legs.ANSWERED)
