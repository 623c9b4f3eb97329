"""What people play into a call that is up, and how its conference is set.

    play      a prompt, number, digits, music or tone to one leg, over what it hears: at a place (start_ms, or resume: where it was
              stopped last), volume and speed of its own; play.ended says how far it came
    player    pause, place, volume, speed of it; stop
    party     one party of the conversation: mute (listens only), gain
    room      how many are heard at once (the loudest; 0 all), and whether tones tell who comes and goes, for everybody
    joined, parted    tones to those who talk, and the number of a telephone where the configuration wants it

A conference in media is asked for where more than two talk or anything of it is set; supervisors are in it at the level that they
whisper with, and compete for a place among the loudest as others do.
"""

from firmware.call import call as calls
from firmware.control.core_listening import leg_of

ITEMS = ("prompt", "number", "digits", "music", "tone")
USUAL = {"loudest": 0, "gain_db": {}, "muted": []}
PARTIES_MOST = 128          # of a bridge in media
SETTING = {"most": 32, "loudest": 0, "tones": True, "announce": "tone"}     # the schema gives them too
TONE_MS = 220


def _floor(core, call):
    return core.state.floors.get(call.id) or {"plays": {}, "places": {}, "conference": {}, "count": 0}


# Playing.

def play(core, event):
    """event: call leg? one of ITEMS, language? repeat? start_ms? resume? volume_db? speed? by?"""
    call, leg = leg_of(core, event)
    if leg is None:
        return False
    if leg.id == call.caller_leg and call.signal is not None:
        return core.refuse("the caller of %s hears a prompt or music; nothing else can be played meanwhile" % call.id)
    named = [name for name in ITEMS if event.get(name) is not None]
    if len(named) != 1:
        return core.refuse("name one of %s" % ", ".join(ITEMS))
    name = named[0]
    item = {name: event[name]}
    if name not in ("music", "tone"):
        item["language"] = event.get("language") or (call.spoken() or [None])[0] or "en"
    floor, what = _floor(core, call), "%s %s %s" % (leg.id, name, event[name])
    start_ms = event.get("start_ms") or (floor["places"].get(what) if event.get("resume") else None) or 0
    token = "%s-play%d" % (leg.id, floor["count"] + 1)
    how = {"volume_db": event.get("volume_db") or 0, "speed": event.get("speed") or 1}
    repeat = 1 if event.get("repeat") is None else event["repeat"]
    core.emit("play.started", call=call.id, leg=leg.id, agent=leg.agent, token=token, what=what, items=[item], repeat=repeat,
              start_ms=start_ms, by=event.get("by"), **how)
    core.act("media.signal", leg=leg.id, token=token, items=[item], repeat=repeat, start_ms=start_ms, **how)
    core.answer = {"start_ms": start_ms}
    return True


def player(core, event):
    """event: call leg? and some of pause seek_ms volume_db speed stop"""
    call, leg = leg_of(core, event)
    if leg is None:
        return False
    row = _floor(core, call)["plays"].get(leg.id)
    if row is None:
        return core.refuse("nothing that a person asked for plays on leg %s" % leg.id)
    if event.get("stop"):
        core.act("media.stop", leg=leg.id, token=row["token"])
        return True
    pause = event.get("pause")
    how = {"paused": row["paused"] if pause is None else pause,
           "volume_db": row["volume_db"] if event.get("volume_db") is None else event["volume_db"],
           "speed": row["speed"] if event.get("speed") is None else event["speed"]}
    core.emit("play.changed", call=call.id, leg=leg.id, agent=leg.agent, token=row["token"], seek_ms=event.get("seek_ms"), by=event.get("by"), **how)
    seek = {} if event.get("seek_ms") is None else {"seek": {"id": "%s-%d" % (row["token"], _floor(core, call)["count"]), "ms": event["seek_ms"]}}
    core.act("media.player", leg=leg.id, token=row["token"], pause=how["paused"], volume_db=how["volume_db"], speed=how["speed"], **seek)
    return True


def over(core, event):
    """Something that was played has ended.  Whether it was a person's."""
    call = core.call_of(event["leg"])
    row = None if call is None else _floor(core, call)["plays"].get(event["leg"])
    if row is None or row["token"] != event.get("token"):
        return False
    core.emit("play.ended", call=call.id, leg=event["leg"], token=row["token"], reason=event.get("reason") or "done",
              position_ms=event.get("position_ms") or 0, error=event.get("error"))
    return True


def plays(core, leg, token):
    """Whether a token is one that a person asked for."""
    return any(floor["plays"].get(leg, {}).get("token") == token for floor in core.state.floors.values())


def again(core, audit):
    """After a restart of control: what media no longer plays has ended."""
    there = [(signal.get("id"), signal.get("token")) for signal in (audit or {}).get("signals") or []]
    for name in sorted(core.state.floors):
        for leg, row in sorted(core.state.floors[name]["plays"].items()):
            if (leg, row["token"]) not in there:
                core.emit("play.ended", call=name, leg=leg, token=row["token"], reason="lost", position_ms=0, error=None)


# Conferences.

def _setting(core):
    return dict(SETTING, **(core.config.get("conference") or {}))


def _conference(core, call):
    wanted = dict(USUAL, loudest=_setting(core)["loudest"])
    wanted.update(_floor(core, call)["conference"])
    return wanted


def settings(core, call, members, heard):
    """Parameters of media's conference for these talkers and supervisors [(leg, mode)]; loudest None: a plain bridge."""
    set_, levels = set(_floor(core, call)["conference"]) - {"tones"}, {row[0]: row[3] for row in call.monitors or [] if len(row) > 3 and row[3]}
    wanted = _conference(core, call)
    here = members + [leg for leg, mode in heard]
    gains = dict([(leg, wanted["gain_db"][leg]) for leg in sorted(wanted["gain_db"]) if leg in here])
    gains.update([(leg, levels[leg]) for leg, mode in heard if leg in levels])
    muted = [leg for leg in wanted["muted"] if leg in here]
    if len(members) < 3 and not gains and not muted and not set_:
        return {"loudest": None}
    more = {"gain_db": gains} if gains else {}
    if muted:
        more["muted"] = muted
    return dict(more, loudest=wanted["loudest"])


def _talking(core, event):
    call = core.state.calls.get(event["call"])
    if call is None or call.state != calls.TALKING:
        return core.refuse("call %s is not in conversation" % event["call"])
    return call


def party(core, event):
    """event: call leg mute? gain_db? by?"""
    call = _talking(core, event)
    if not call:
        return False
    call, leg = leg_of(core, event)
    if leg is None:
        return False
    if event.get("mute") is None and event.get("gain_db") is None:
        return core.refuse("name what is to change: mute, gain_db")
    now = _conference(core, call)
    gains, muted = dict(now["gain_db"]), [name for name in now["muted"] if name != leg.id]
    if event.get("gain_db") is not None:
        gains[leg.id] = event["gain_db"]
    if event["mute"] if event.get("mute") is not None else leg.id in now["muted"]:
        muted.append(leg.id)
    _set(core, call, now["loudest"], gains, muted, event)
    return True


def room(core, event):
    """event: call loudest? tones? by?"""
    call = _talking(core, event)
    if not call:
        return False
    if event.get("loudest") is None and event.get("tones") is None:
        return core.refuse("name what is to change: loudest, tones")
    if event.get("tones") is not None:
        set_tones(core, call, event["tones"], event.get("by"))
    if event.get("loudest") is not None:
        now = _conference(core, call)
        _set(core, call, event["loudest"], now["gain_db"], now["muted"], event)
    return True


def set_tones(core, call, tones, by=None):
    """Whether tones tell who comes to this conference and leaves it, whatever the configuration says."""
    core.emit("conference.tones", call=call.id, tones=tones, by=by)


def _set(core, call, loudest, gains, muted, event):
    gains = dict([(leg, gains[leg]) for leg in sorted(gains) if leg in call.legs])
    core.emit("conference.set", call=call.id, loudest=loudest, gain_db=gains, muted=sorted(leg for leg in muted if leg in call.legs), by=event.get("by"))
    core.ways_on["wire"](core, call)


def has_room(core, call):
    """Whether one more party may come into a conversation; else refused."""
    most = min(_setting(core)["most"], PARTIES_MOST)
    return 2 + len(call.members or []) + len(call.monitors or []) < most or core.refuse(
        "the conference of call %s is full: %d take part at most" % (call.id, most))


def told(core, call, leg, tone):
    """Those who talk hear that somebody came ("conference_in") or went ("conference_out")."""
    setting, floor = _setting(core), _floor(core, call)
    if not floor["conference"].get("tones", setting["tones"]) or call.state != calls.TALKING:
        return
    items = [{"tone": tone, "duration_ms": TONE_MS}]
    line = leg.line if leg is not None else None
    if setting["announce"] == "line" and line and line.isdigit():
        items.append({"digits": line, "language": (call.spoken() or ["en"])[0]})
    present = [call.caller_leg, call.agent_leg] + list(call.members or [])
    for other in present:
        if other not in core.state.legs or other in floor["plays"] or other == call.caller_leg and call.signal is not None:
            continue
        core.act("media.signal", leg=other, token="%s-%s-%d" % (other, tone[11:], core.now_ms % 100000000), items=items, repeat=1)
