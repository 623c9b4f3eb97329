"""What is listened for on a leg of a call, what works on its sound, and what is sent to it: by command, and on calls out.

    listen    tones of the call's progress, fax machines and modems, person or machine, callers' numbers (FSK), R1; quiet: for how many seconds
              nobody must speak in a bridge to be told of it (core_dead_air.py), 0: not at all
    enhance   echo, long_tail (its 128 ms), noise, level, vad: before what the configuration says, until the leg ends
    send      a tone of the country or of fax machines, digits, R1 signals, a caller's number, to a leg to which nothing else plays
    heard     what media tells of it: record leg.heard, and the last of each kind in the snapshot

A leg is named by its id, "caller" or "agent" (the other side); without, it is the caller's.

Calls out over a trunk group
    progress_detection   before the answer: busy, congestion and vacant tone end the attempt with the cause that they mean,
                         ringing tone counts as the called party's ringing: for trunks that signal nothing of it
    answer_detection     "note": who answered is recorded.  "people": the caller goes on hearing ringing tone until it is known
                         (dsp/amd.py: one to six seconds); a machine is hung up on, as if nobody had answered
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.control import core_dead_air

WISHES = ("modem", "progress", "answer", "caller_id", "r1", "quiet")
EFFECTS = ("echo", "long_tail", "noise", "level", "vad")
ITEMS = ("tone", "dtmf", "r1", "caller_id")
# Tones of the country's plan that end an attempt, with the cause that they mean (Q.850).
CAUSES = {"busy": 17, "congestion": 42, "vacant": 1}
NO_ANSWER = 19
# Above the longest decision of media (dsp/amd.py, total_ms); then the answer counts as a person's.
SCREENING_MS = 8000


def leg_of(core, event):
    """The leg that a command is about, or None and a refusal."""
    call = core.state.calls.get(event["call"])
    if call is None or call.state == calls.CLEARING:
        core.refuse("there is no open call %s" % event["call"])
        return None, None
    name = event.get("leg") or "caller"
    name = {"caller": call.caller_leg, "agent": call.agent_leg or call.target_leg}.get(name, name)
    leg = core.state.legs.get(name)
    if leg is None or leg.call != call.id or leg.state == legs.RELEASING:
        core.refuse("call %s has no leg %s now" % (call.id, event.get("leg") or "caller"))
        return None, None
    if call.is_data:
        core.refuse("call %s carries data; nothing can be listened for, changed or played there" % call.id)
        return None, None
    return call, leg


def listen(core, event):
    """event: call leg? and some of WISHES; what is not named stays."""
    call, leg = leg_of(core, event)
    if leg is None:
        return False
    given = dict([(name, event[name]) for name in WISHES if event.get(name) is not None])
    if not given:
        return core.refuse("name what to listen for: " + ", ".join(WISHES))
    hear(core, call, leg, given)
    return True


def hear(core, call, leg, given):
    """Listen to a leg for some of WISHES; what is not named stays."""
    wishes = dict(leg.hears)
    wishes.update(given)
    core.emit("leg.listening", call=call.id, leg=leg.id, agent=leg.agent, wishes=wishes)
    core.act("media.listen", leg=leg.id, wishes=wishes)


def enhance(core, event):
    """event: call leg? and some of EFFECTS; what is not named stays."""
    call, leg = leg_of(core, event)
    if leg is None:
        return False
    given = dict([(name, event[name]) for name in EFFECTS if event.get(name) is not None])
    if not given:
        return core.refuse("name what is to change: " + ", ".join(EFFECTS))
    effects = dict(leg.enhance)
    effects.update(given)
    core.emit("leg.enhanced", call=call.id, leg=leg.id, agent=leg.agent, effects=effects)
    core.act("media.enhance", leg=leg.id, effects=effects)
    return True


def send(core, event):
    """event: call leg? and one of ITEMS."""
    call, leg = leg_of(core, event)
    if leg is None:
        return False
    if leg.id == call.caller_leg and call.signal is not None:
        return core.refuse("the caller of %s hears a prompt or music; nothing else can be sent meanwhile" % call.id)
    item = dict([(name, event[name]) for name in ITEMS + ("duration_ms",) if event.get(name) is not None])
    token = "%s-send-%d" % (leg.id, core.now_ms % 100000000)
    core.emit("leg.sent", call=call.id, leg=leg.id, agent=leg.agent, item=item)
    core.act("media.signal", leg=leg.id, token=token, items=[item], repeat=1)
    return True


def again(core):
    """After a restart: media may not have got what was decided last; the same once more changes nothing there."""
    for call in core.state.calls_in_order():
        for name in call.legs:
            leg = core.state.legs.get(name)
            if leg is None or leg.state == legs.RELEASING:
                continue
            if leg.hears:
                core.act("media.listen", leg=leg.id, wishes=dict(leg.hears))
            if leg.enhance:
                core.act("media.enhance", leg=leg.id, effects=dict(leg.enhance))


def heard(core, event):
    """Media heard something that was listened for, or refused a wish."""
    call = core.call_of(event["leg"])
    leg = core.state.legs.get(event["leg"])
    if call is None or leg.state == legs.RELEASING:
        return False
    what, value = event["what"], event["value"]
    core.emit("leg.heard", call=call.id, leg=leg.id, agent=leg.agent, what=what, value=value)
    if what == "progress" and value["on"]:
        _progress(core, call, leg, value["tone"])
    elif what == "quiet":
        core_dead_air.judge(core, call)
    elif what == "answer" and call.screening == leg.id and value["who"] not in ("beep", "beep_end"):
        screened(core, call, value["who"])
    elif what == "refused" and call.screening == leg.id:
        screened(core, call, "unsure")
    return True


# Calls out.

def _group(core, leg):
    call = core.state.calls.get(leg.call)
    if call is not None and call.is_data:
        return {}
    return (core.group_rows.get(leg.trunk_group) or {}) if leg.trunk_group is not None and leg.line is None else {}


def before_answer(core, call, leg):
    """Something can be heard from a called leg: tones of the call's progress are listened for where that is wanted."""
    if _group(core, leg).get("progress_detection") and not leg.hears.get("progress"):
        hear(core, call, leg, {"progress": True})


def _progress(core, call, leg, tone):
    if call.target_leg != leg.id or leg.state not in (legs.CREATED, legs.ALERTING) or not _group(core, leg).get("progress_detection"):
        return
    if tone in CAUSES:
        core.ways_on["ring_failed"](core, call, CAUSES[tone])
    elif tone == "ringback" and leg.state == legs.CREATED:
        core.ways_on["alerting"](core, {"kind": "leg.alerting", "leg": leg.id, "inband": True})


def group_screens(core, leg):
    """Whether callers wait until it is known who answered a leg."""
    return _group(core, leg).get("answer_detection") == "people"


def screens(core, call, leg):
    """A called leg was answered: what is to be done to know by whom.  True: the caller waits for it."""
    if _group(core, leg).get("answer_detection", "off") != "off":
        hear(core, call, leg, {"answer": True})
    if not group_screens(core, leg):
        return False
    core.ways_on["undo_cut_through"](core, call)
    core.emit("call.screening", call=call.id, leg=leg.id, deadline_ms=core.now_ms + SCREENING_MS)
    if not core.is_absent(call):
        core.play(call, "ringback", [{"tone": "ringback"}], 0)
    return True


def screened(core, call, who):
    """It is known who answered, or too late to ask."""
    leg = core.state.legs[call.screening]
    people = who != "machine"
    core.emit("call.screened", call=call.id, leg=leg.id, who=who, connects=people)
    if people:
        core.ways_on["caller_answered" if core.is_absent(call) else "taken"](core, call, leg)
    else:
        core.ways_on["ring_failed"](core, call, NO_ANSWER)
