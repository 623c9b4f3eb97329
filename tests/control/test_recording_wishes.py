"""What people and the configuration ask of recordings: form of file, start, stop, pause, what a transfer does."""

import pytest

from firmware.config import demo, schema
from firmware.control import core_recordings, operations
from firmware.media import formats
from tests.control.test_operations import consulting, floor, talking


def recording(**setting):
    rig = floor()
    rig.sb.configure(dict(rig.config, recording={"enabled": True, **setting}), rig.now)
    rig.config["recording"] = {"enabled": True, **setting}
    return rig


def held(rig):
    """What media writes now."""
    return rig.media["recordings"]


def test_the_names_of_forms_are_media_s():
    assert schema.RECORDING_FORMATS == operations.FORMATS == formats.NAMES
    for name in formats.NAMES:
        single = name in core_recordings.ONE_CHANNEL
        assert single == (formats.form(name, None).channels == 1)


@pytest.mark.parametrize("setting, told, suffix", [
    ({}, {}, ".wav"), ({"format": "alaw", "channels": "stereo"}, {}, ".wav"), ({"format": "ima", "channels": "mono"}, {"format": "ima", "channels": "mono"}, ".wav"),
    ({"format": "vox", "channels": "mono"}, {"format": "vox", "channels": "mono"}, ".vox")])
def test_the_configuration_chooses_the_form(setting, told, suffix):
    rig = recording(**setting)
    talking(rig)
    action = rig.last("media.record")
    assert {name: action[name] for name in ("format", "channels") if name in action} == told and action["path"].endswith(suffix)


def test_a_person_stops_starts_and_pauses():
    rig = recording(format="ima", channels="stereo")
    call, agent = talking(rig)
    (name,) = held(rig)
    assert "already" in rig.command("command.record", call=call, action="start")
    assert "not paused" in rig.command("command.record", call=call, action="resume")
    assert rig.command("command.record", call=call, action="pause", text="card") is None
    assert rig.last("media.record_pause") == {"do": "media.record_pause", "recording": name, "pause": True, "text": "card"}
    assert "paused already" in rig.command("command.record", call=call, action="pause")
    rig.kill()
    assert held(rig)[name]["paused"] and "paused already" in rig.command("command.record", call=call, action="pause")
    held(rig)[name]["paused"] = False                   # media's answer to the pause came to nobody: the state counts
    rig.kill()
    assert held(rig)[name]["paused"]
    assert rig.command("command.record", call=call, action="resume") is None and not held(rig)[name]["paused"]
    assert rig.command("command.record", call=call, action="stop") is None and not held(rig)
    assert "not being recorded" in rig.command("command.record", call=call, action="pause")
    assert "one channel" in rig.command("command.record", call=call, action="start", format="g726_32", channels="stereo")
    assert rig.command("command.record", call=call, action="start", format="g726_32", by="1001") is None
    assert list(held(rig).values())[0]["format"] == "g726_32" and list(held(rig).values())[0]["channels"] == "mono"
    rig.hang_up("p1")
    rig.finished()
    assert len(rig.cdrs[0]["recording"]) == 2


def test_who_asked_for_no_recording_gets_none_after_a_transfer():
    rig = recording()
    call, agent = talking(rig)
    rig.command("command.record", call=call, action="stop")
    consulting(rig, call)
    assert rig.command("command.transfer", call=call) is None
    assert rig.call()["state"] == "talking" and not held(rig)


@pytest.mark.parametrize("on_transfer", ("new_file", "mark"))
def test_a_transfer_begins_a_file_or_a_segment(on_transfer):
    rig = recording(on_transfer=on_transfer)
    call, agent = talking(rig)
    (name,) = held(rig)
    rig.command("command.record", call=call, action="pause")
    leg = consulting(rig, call)
    assert rig.command("command.transfer", call=call) is None
    if on_transfer == "mark":
        assert list(held(rig)) == [name] and (held(rig)[name]["left"], held(rig)[name]["right"]) == ("p1", leg)
        assert rig.last("media.record_legs")["text"] == "1002" and not held(rig)[name]["paused"]
        silent = [a for a in rig.actions_of("media.record_legs") if a["left"] is None]
        assert len(silent) == 1, "silent while nobody talks"
    else:
        assert name not in held(rig) and [row["right"] for row in held(rig).values()] == [leg]
    rig.kill()
    rig.hang_up("p1")
    rig.finished()
    assert len(rig.cdrs[0]["recording"]) == (1 if on_transfer == "mark" else 2)


@pytest.mark.parametrize("on_transfer", ("new_file", "mark"))
def test_a_conversation_of_three_is_recorded_on_when_one_leaves(on_transfer):
    rig = recording(on_transfer=on_transfer)
    call, agent = talking(rig)
    leg = consulting(rig, call)
    rig.command("command.conference", call=call)
    rig.hang_up(agent)
    assert [(row["left"], row["right"]) for row in held(rig).values()] == [("p1", leg)]
    rig.hang_up("p1")
    rig.finished()


def test_a_configuration_that_cannot_be_is_refused():
    config = demo.configuration({name: "secret-" + name for name in demo.AGENTS})
    config["recording"] = {"format": "g726_32"}
    _, errors = schema.check(config)
    assert [error.path for error in errors] == ["recording.channels"] and "mono" in errors[0].advice
    config["recording"]["channels"] = "mono"
    assert schema.check(config)[1] == []
