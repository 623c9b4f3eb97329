"""Agents at any ordinary telephone: the box calls it through a trunk, and for queues, transfers and monitors it is a line as any other.

A line whose configuration has `home.number` has no SIP telephone.  Legs on it (id "h17", tech "home") are known to the switchboard
alone; what is asked of media for one is asked of the trunk's leg that serves it, and what that leg hears counts as its own.
The call to the person is a call of its own, application "home": hunted, permitted, billed and found again as any call out.

    nailed     called when the agent logs in (or becomes available again), and the leg stays up until the log-out:
               a caller is put through after a short tone, or when a key is pressed
    per_call   called for each call that is given to it; the registered telephone is the person's word

    called -> answered -> asked for the code or a key (a machine does neither) -> up -> serves one leg after the other -> down

A nailed leg that drops sets its agent away ("telephone lost"), so that nobody is offered; whoever becomes available again is called
again.  Where media has died, and took the leg with it, the box calls again by itself.  A kill of control changes nothing for a leg
that is up; who was being asked is asked again, and what was to be put through is offered anew.  Digits of a code live in memory only.
"""

from firmware.acd import agent as agents
from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.call import outside
from firmware.control import core_calls, core_outside
from firmware.control.core_base import NORMAL, SUBSCRIBER_ABSENT, SWITCH
from firmware.control.core_ending import clear

NAILED, PER_CALL = "nailed", "per_call"
HUNT_MOST = 4               # trunks that are tried for one attempt; invented
ASKED_MS = 20000            # for the code or the key; invented
TRIES = 3                   # of the code; invented
SERVED = ("media.digit", "media.modem_tone", "media.heard", "leg.held", "leg.retrieved")
# What tells an agent that a caller comes: the beginning of a ringing tone, which every country has.
TONE = {"tone": "ringback", "duration_ms": 400}
# Causes of a hunt that found nothing which say nothing of the person's telephone or its number: circuits and networks were short.
SHORT = outside.ANOTHER_TRUNK + (34, 38, 41, 42, 47, 58)
LOST, NOT_REACHED = "telephone lost", "telephone not reached"


def setting(core, line, name):
    """One setting of a home telephone."""
    return ((core.line_rows.get(line) or {}).get("home") or {}).get(name)


def is_up(core, line):
    """Whether the person's telephone is there, and was proved to be a person's."""
    return (core.state.homes.get(line) or {}).get("state") == "up"


# The call to the person.

def begin(core, line, serves=None):
    """Call the person.  serves: leg that waits for it, of one call; None: the leg is to stay up.  Returns why not, or None."""
    number = setting(core, line, "number")
    route = core.router.outside(number)
    if route is None:
        return "no route takes %s to the outside" % number
    why = core_outside.forbidden_to(core, line, route)
    if why is not None:
        return why
    if not core.state.media_up:
        return "media is not there"
    call, name = core.ids.next("c"), core.agent_on(line)
    core.emit("home.called", call=call, leg=core.ids.next("l"), agent=name, order=core.state.order + 1, line=line, number=number, serves=serves,
              languages=core.site.get("languages") or ["en"])
    weekday, minute = core.local_time()
    core.emit("call.dialling", call=call, leg=core.state.calls[call].caller_leg, digits=route["target"], route=route["number"], cls=route["class"],
              ways=outside.ways(route["row"], route["target"], weekday, minute, areas=core.router.areas), limit=route["row"].get("hunt_limit") or HUNT_MOST, failed=None,
              ring_ms=(setting(core, line, "ring_s") or 45) * 1000)
    core_outside.hunt(core, core.state.calls[call])
    return None


def line_of_caller(core, call):
    """The line whose home telephone is the caller, where the caller's trunk group lets those dial feature codes; or None."""
    group = core.state.legs[call.caller_leg].trunk_group
    if not (core.group_rows.get(group) or {}).get("feature_codes") or not call.caller:
        return None
    moment = core_outside.local_time(core)
    for line in sorted(core.home_rows):
        route = core.router.outside(setting(core, line, "number"))
        ways = outside.ways(route["row"], route["target"], *moment, areas=core.router.areas) if route is not None else ()
        if (group, call.caller) in [(way["trunk_group"], way["number"]) for way in ways]:
            return line
    return None


def row_of(core, call):
    """(line, row) of a home call, or (None, None): another one serves the line by now."""
    line = call.target
    row = core.state.homes.get(line)
    return (line, row) if row is not None and row["call"] == call.id else (None, None)


def alerting(core, call):
    """The person's telephone rings."""
    line, row = row_of(core, call)
    if row is not None and row["serves"] in core.state.legs:
        core_calls.alerting(core, {"kind": "leg.alerting", "leg": row["serves"]})


def answered(core, call, leg):
    """Somebody or something took the call: it is asked who it is."""
    core.emit("leg.answered", call=call.id, leg=leg.id, by="far", connects=False)
    core.emit("call.ringing_ended", call=call.id, leg=leg.id, outcome="answered", cause=None)
    absent = call.caller_leg
    line, row = row_of(core, call)
    asks = setting(core, line, "confirm") or "key" if row is not None else "key"
    pin = (core.agent_configs.get(row["agent"]) or {}).get("pin") if row is not None else None
    core.emit("home.joined", call=call.id, leg=leg.id, line=call.target, asks="key" if asks == "pin" and not pin else asks,
              deadline_ms=core.now_ms + ASKED_MS)
    core.emit("leg.released", call=call.id, leg=absent, cause=NORMAL, by="near", sip_status=None)
    if row is None:
        clear(core, call, NORMAL, SWITCH, "self_service", "the line has another telephone by now")
        return
    core.act("media.detect", leg=leg.id, dtmf=True)
    _ask(core, call, line)


def _ask(core, call, line):
    asks = core.state.homes[line]["asks"]
    if asks == "none":
        _proved(core, call, line)
        return
    core.secrets[call.id] = ""
    prompt = "enter_code" if asks == "pin" else "duty_confirm"
    core.play(call, "home", [{"prompt": prompt, "language": language} for language in call.spoken()] + [{"silence_ms": 2000}], 0)


def _proved(core, call, line):
    """It is the person."""
    core.secrets.pop(call.id, None)
    core.emit("home.up", call=call.id, leg=call.caller_leg, agent=core.state.homes[line]["agent"], line=line)
    row = core.state.homes[line]
    if row["mode"] == NAILED:
        core_calls.line(core, {"kind": "line.registered", "line": line})
        _wait(core, call)
    elif row["serves"] in core.state.legs and core.state.legs[row["serves"]].state != legs.RELEASING:
        core.silence(call)
        core_calls.answered(core, {"kind": "leg.answered", "leg": row["serves"]})
    else:
        clear(core, call, NORMAL, SWITCH, "self_service", "the call it was for is over")


def _wait(core, call):
    """A leg that stays up hears silence between two calls: a stream over IP goes on, so that NAT and the far end keep it."""
    core.play(call, "home", [{"silence_ms": 1000}], 0)


def digit(core, call, key):
    """A key of the person, while nothing is served that is answered."""
    line, row = row_of(core, call)
    if row is None:
        return False
    if row["state"] == "asking":
        return _asked_key(core, call, line, row, key)
    if row["serves"] in core.state.legs and core.state.legs[row["serves"]].state == legs.ALERTING and setting(core, line, "answer") == "key":
        core.silence(call)
        core_calls.answered(core, {"kind": "leg.answered", "leg": row["serves"]})
        return True
    return False


def _asked_key(core, call, line, row, key):
    if row["asks"] != "pin":
        _proved(core, call, line)
        return True
    pin = (core.agent_configs.get(row["agent"]) or {}).get("pin") or ""
    if key != "#":
        core.secrets[call.id] = core.secrets.get(call.id, "") + key
    given = core.secrets.get(call.id, "")
    if key != "#" and len(given) < len(pin):
        return True
    if given == pin:
        _proved(core, call, line)
    elif row["tries"] + 1 < TRIES:
        core.emit("home.asked", call=call.id, agent=row["agent"], line=line, tries=row["tries"] + 1, deadline_ms=core.now_ms + ASKED_MS)
        _ask(core, call, line)
    else:
        clear(core, call, NORMAL, SWITCH, "self_service", "the code of agent %s was wrong %d times" % (row["agent"], TRIES))
    return True


def timeout(core, call):
    """Nobody proved to be a person."""
    line, row = row_of(core, call)
    if row is None or row["state"] != "asking":
        return False
    clear(core, call, NORMAL, SWITCH, "self_service", "nobody at %s %s" % (call.called, "entered the code" if row["asks"] == "pin" else "pressed a key"))
    return True


def played(core, call):
    """What was played to the person is over: the tone before a caller."""
    line, row = row_of(core, call)
    if row is not None and row["serves"] in core.state.legs and core.state.legs[row["serves"]].state == legs.ALERTING:
        core_calls.answered(core, {"kind": "leg.answered", "leg": row["serves"]})


# Legs of callers that the person's telephone serves.

def create(core, leg):
    """A leg on a home telephone is wanted.  leg: its id."""
    known = core.state.legs.get(leg)
    if known is None or known.state == legs.RELEASING:
        return
    line = known.line
    row = core.state.homes.get(line)
    if setting(core, line, "mode") == PER_CALL:
        why = begin(core, line, leg) if row is None or row["state"] == "down" else "the telephone has another call"
    else:
        why = None if row is not None and row["state"] == "up" and row["serves"] is None else "the telephone is not there"
        if why is None:
            _serve(core, core.state.calls[row["call"]], line, leg)
    if why is not None:
        core.emit("home.refused", call=known.call, leg=leg, line=line, why=why)
        _gone(core, leg, SUBSCRIBER_ABSENT, short=True)


def _serve(core, call, line, leg):
    core.silence(call)
    core.emit("home.serves", call=call.id, leg=leg, line=line)
    core_calls.alerting(core, {"kind": "leg.alerting", "leg": leg})
    announce = setting(core, line, "announce") or "tone"
    if setting(core, line, "answer") == "key":
        core.play(call, "home", [{"tone": "ringback"}], 0)
    elif announce == "none":
        core_calls.answered(core, {"kind": "leg.answered", "leg": leg})
    else:
        core.play(call, "home", [TONE] if announce == "tone" else [{"prompt": announce, "language": language} for language in call.spoken()[:1]])


def _gone(core, leg, cause, by="far", short=False):
    """short: the person was not even called, so an offer was not missed."""
    if leg in core.state.legs:
        core_calls.released(core, {"kind": "leg.released", "leg": leg, "cause": cause, "by": by, "short": short})


def _was_short(call):
    """Whether the hunt for a trunk to the person found nothing, through no fault of the person's."""
    out = call.outside
    return out is not None and (out["way"] >= len(out["ways"]) or out["attempts"] >= out["limit"]) and (out["cause"] or SHORT[0]) in SHORT


def _free(core, leg):
    """A leg is gone: its telephone waits, or its call ends."""
    line = core.state.serving.get(leg)
    row = core.state.homes.get(line)
    if row is None or row["serves"] != leg:
        return
    call = core.state.calls.get(row["call"])
    core.emit("home.freed", call=row["call"], leg=leg, agent=row["agent"], line=line)
    if call is None or call.state == calls.CLEARING:
        return
    if row["mode"] == PER_CALL or core.state.agent(row["agent"]).status == agents.LOGGED_OUT:
        clear(core, call, NORMAL, SWITCH, "self_service", "the telephone is not wanted any more")
        return
    for members in ([row["leg"]], []):          # out of whatever bridge it is in
        core.act("media.bridge", bridge="home-" + row["leg"], legs=members)
    core.act("media.stop", leg=row["leg"])
    known = core.state.legs[row["leg"]]
    core.act("media.listen", leg=known.id, wishes=dict(known.hears))
    core.act("media.enhance", leg=known.id, effects=dict(known.enhance))
    core.act("media.detect", leg=known.id, dtmf=True)
    _wait(core, call)


def settle(core):
    """At the end of an event: what was asked of legs on home telephones meanwhile is done, and what follows from it."""
    while core.home_due:
        what, leg, cause = core.home_due.pop(0)
        if what == "create":
            create(core, leg)
        elif what == "release":
            _gone(core, leg, cause, "near")
        elif what in ("lost", "short"):
            _gone(core, leg, cause, short=what == "short")
        else:
            _free(core, leg)


def clearing(core, call, cause, reason):
    """The call to the person ends, whoever ends it."""
    line, row = row_of(core, call)
    core.secrets.pop(call.id, None)
    if row is None:
        return
    was, name = row["state"], row["agent"]
    core.emit("home.down", call=call.id, leg=row["leg"], agent=name, line=line, why=reason or "hung up", cause=cause)
    if row["serves"] is not None:
        core.home_due.append(("short" if was == "calling" and _was_short(call) else "lost", row["serves"], cause))
    if row["mode"] != NAILED:
        return
    core_calls.line(core, {"kind": "line.unregistered", "line": line})
    if core.state.media_up and name is not None and core.state.agent(name).status == agents.AVAILABLE and core.line_of(name) == line:
        core.emit("agent.status", call=call.id, agent=name, status=agents.ON_BREAK, reason=LOST if was == "up" else NOT_REACHED, by="switch")
        core.touch_agent(name)


# When a telephone is wanted.

def status(core, name):
    """A person or a supervisor has chosen a status."""
    wanted = core.state.agent(name).status
    for line in sorted(core.state.homes):
        row = core.state.homes[line]
        if row["agent"] == name and row["state"] != "down" and row["serves"] is None and (wanted == agents.LOGGED_OUT or core.line_of(name) != line):
            clear(core, core.state.calls[row["call"]], NORMAL, SWITCH, "self_service", "agent %s has logged out" % name)
    line = core.line_of(name)
    mode = setting(core, line, "mode") if setting(core, line, "number") else None
    if mode == PER_CALL:
        core_calls.line(core, {"kind": "line.registered" if wanted != agents.LOGGED_OUT else "line.unregistered", "line": line})
    elif mode == NAILED and wanted != agents.LOGGED_OUT and (core.state.homes.get(line) or {"state": "down"})["state"] == "down":
        why = begin(core, line)
        if why is not None:
            core.emit("home.refused", agent=name, line=line, why=why)
            if wanted == agents.AVAILABLE:
                core.emit("agent.status", agent=name, status=agents.ON_BREAK, reason=NOT_REACHED, by="switch")


def look(core):
    """After a change of the configuration, or when media or a trunk is back: lines that are gone, agents who wait for their telephone."""
    for line in sorted(core.state.homes):
        row = core.state.homes[line]
        if row["state"] != "down" and (setting(core, line, "number"), setting(core, line, "mode")) != (row["number"], row["mode"]):
            clear(core, core.state.calls[row["call"]], NORMAL, SWITCH, "self_service", "the configuration of line %s has changed" % line)
    up = {}                             # trunk group -> whether a trunk of it is up, asked once
    for name in core.agent_names:
        line = core.line_of(name)
        if _wants(core, name, line) and _has_trunk(core, line, up):
            status(core, name)
    for line in sorted(core.state.homes):
        if not setting(core, line, "number"):
            core.emit("home.removed", line=line)


def _wants(core, name, line):
    """Whether an agent who is available waits for the home telephone."""
    if not setting(core, line, "number") or core.state.agent(name).status != agents.AVAILABLE:
        return False
    if setting(core, line, "mode") == PER_CALL:
        return not core.is_registered(line)
    return (core.state.homes.get(line) or {"state": "down"})["state"] == "down"


def _has_trunk(core, line, up):
    """Whether a trunk that leads to a home telephone is up: after a start, trunks come one by one."""
    route = core.router.outside(setting(core, line, "number"))
    ways = outside.ways(route["row"], route["target"], *core.local_time(), areas=core.router.areas) if route is not None else []
    for name in [way["trunk_group"] for way in ways]:
        if name not in up:
            group = core.state.groups.get(name)
            up[name] = group is not None and any(core.span_is_up(trunk[0]) for trunk in group.trunks)
        if up[name]:
            return True
    return False


def resume(core, call):
    """After a restart of control, with media there: the person hears on what was to be heard."""
    line, row = row_of(core, call)
    if row is None:
        clear(core, call, NORMAL, SWITCH, "self_service", "the line has another telephone by now")
    elif row["state"] == "asking":
        _ask(core, call, line)
    elif row["serves"] is None or row["serves"] not in core.state.legs:
        _wait(core, call)


def snapshot(core, line):
    """How a home telephone is, or None for a line with a SIP telephone."""
    if not setting(core, line, "number"):
        return None
    row = core.state.homes.get(line) or {"state": "down", "call": None, "leg": None, "why": None}
    return {"number": setting(core, line, "number"), "mode": setting(core, line, "mode"), "state": row["state"], "call": row["call"], "leg": row["leg"],
            "why": row["why"]}
