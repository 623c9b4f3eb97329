"""Recordings of calls that are up: what a person asks for, pauses, transfers, and recordings that failed.

A pause (a caller says card numbers) is silence of its true length in the file, with marks where it begins and ends; media
tells the place of each mark, which goes into the index.  When the call goes to somebody else, the configuration says
whether a new file begins (recording.on_transfer new_file) or the same goes on with a mark (mark); while nobody
talks it is silent.  The CDR names all files of the call.

Recordings that failed: a call that goes on is recorded anew once the disk takes data again.
What was written before the failure stays a recording of its own; the new one is the call's next segment, and the
time between the two is missing."""

from firmware.call import call as calls
from firmware.control.core_ending import stop_recording

USUAL = {"format": "alaw", "channels": "stereo"}
ONE_CHANNEL = ("g726_16", "g726_24", "g726_32", "g726_40", "vox")
ACTIONS = ("start", "stop", "pause", "resume")


def is_open(core, call):
    """Whether a file of the call is being written."""
    return call.recording is not None and core.state.recordings[call.recording]["state"] == "open"


def room(core, record):
    """The disk takes recordings again: who talks and is not recorded, is from now on.  record: core_calls.record"""
    without = [call for call in core.state.calls_in_order() if call.state == calls.TALKING and call.recording is None and not call.is_data]
    for call in without:
        record(core, call)
    return any(call.recording is not None for call in without)


def command(core, event, record):
    """A person's wish.  event: call action(start|stop|pause|resume) format? channels? text? by?"""
    call = core.state.calls.get(event["call"])
    if call is None or call.state != calls.TALKING:
        return core.refuse("call %s is not in conversation" % event["call"])
    if call.is_data:
        return core.refuse("call %s carries data, which is not recorded" % call.id)
    action, by = event["action"], event.get("by")
    if action == "start":
        if is_open(core, call):
            return core.refuse("call %s is being recorded already" % call.id)
        setting = core.config.get("recording") or {}
        wanted = {"format": event.get("format") or setting.get("format", USUAL["format"])}
        usual = "mono" if wanted["format"] in ONE_CHANNEL else setting.get("channels", USUAL["channels"])
        wanted["channels"] = event.get("channels") or usual
        if wanted["format"] in ONE_CHANNEL and wanted["channels"] == "stereo":
            return core.refuse("format %s has one channel; choose mono, or another format" % wanted["format"])
        core.emit("recording.wished", call=call.id, by=by, **{"as": wanted})
        record(core, call)
        core.answer = {"recording": call.recording}
        return True
    if not is_open(core, call):
        return core.refuse("call %s is not being recorded" % call.id)
    if action == "stop":
        core.emit("recording.wished", call=call.id, by=by, **{"as": "off"})
        stop_recording(core, call.recording)
        return True
    pause = action == "pause"
    if bool(core.state.recordings[call.recording].get("paused")) == pause:
        return core.refuse("the recording of call %s is %s" % (call.id, "paused already" if pause else "not paused"))
    core.emit("recording.paused" if pause else "recording.resumed", call=call.id, agent=call.agent, recording=call.recording, by=by)
    core.act("media.record_pause", recording=call.recording, pause=pause, text=event.get("text") or "")
    return True


def part(core, call):
    """Who was recorded part, and the call goes on: the file ends, or is silent until it goes on."""
    if not is_open(core, call):
        return
    if (core.config.get("recording") or {}).get("on_transfer", "new_file") == "mark":
        segment(core, call, None, None)
    else:
        stop_recording(core, call.recording)


def segment(core, call, left, right):
    """The same file goes on with other legs; a pause that was for the one before ends."""
    held = core.state.recordings[call.recording]
    if (held["left"], held["right"]) == (left, right):
        return
    core.emit("recording.segment", call=call.id, agent=call.agent, recording=call.recording, left=left, right=right)
    core.act("media.record_legs", recording=call.recording, left=left, right=right, text="" if left is None else call.agent or "")
    if held.get("paused") and left is not None:
        core.emit("recording.resumed", call=call.id, agent=call.agent, recording=call.recording, by=None)
        core.act("media.record_pause", recording=call.recording, pause=False, text="")


def repeat(core, call, row):
    """After a restart of control: media's recording (its audit's row) is as the state says.  Media marks what changes."""
    held = core.state.recordings[call.recording]
    if (row.get("left"), row.get("right")) != (held["left"], held["right"]):
        core.act("media.record_legs", recording=call.recording, left=held["left"], right=held["right"], text="")
    if bool(row.get("paused")) != bool(held.get("paused")):
        core.act("media.record_pause", recording=call.recording, pause=bool(held.get("paused")), text="")
