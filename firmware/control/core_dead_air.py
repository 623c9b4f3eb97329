"""Dead air: a conversation in which nobody speaks any more.

From the configuration's dead_air.after_s on (0: not at all) those who talk with each other are listened to for silence as soon as they do
(wish "quiet" of core_listening.py); a person may ask it of legs by command.  Media counts a leg's silence from the moment at which it comes into
its bridge (media/quiet.py), so music, queues and hold are none.  Where all who talk are silent, the call has record call.dead_air, until one of them
speaks (call.dead_air_over) or the call ends; chassis/audio_alarms.py makes an alarm of it.  A fax is no silence; data is not listened to.
"""

from firmware.call import call as calls


def _talk(call):
    """The legs that should hear each other now."""
    if call.state != calls.TALKING or call.held or call.is_data:
        return []
    return [leg for leg in [call.caller_leg, call.agent_leg] + (call.members or []) if leg is not None]


def watch(core, call, hear):
    """Listen for silence to those who talk and are not listened to yet.  hear: core_listening.hear."""
    after_s = (core.config.get("dead_air") or {}).get("after_s", 0)
    if after_s:
        for name in _talk(call):
            leg = core.state.legs.get(name)
            if leg is not None and leg.hears.get("quiet") is None:
                hear(core, call, leg, {"quiet": after_s})


def judge(core, call):
    """A leg fell silent, or is not any more."""
    talk = _talk(call)
    quiet = [core.state.legs[name].heard.get("quiet") or {} for name in talk if name in core.state.legs]
    dead = len(quiet) > 1 and False not in [bool(value.get("quiet")) for value in quiet]
    if dead and call.dead_air is None:
        core.emit("call.dead_air", call=call.id, leg=call.caller_leg, agent=call.agent, legs=talk, ms=min([value["ms"] for value in quiet]))
    elif not dead and call.dead_air is not None:
        core.emit("call.dead_air_over", call=call.id, leg=call.caller_leg, agent=call.agent)
