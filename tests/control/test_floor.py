"""What people play into calls that are up, and how conferences are set: on the switchboard, over kills."""

import pytest

from firmware.control import operations
from firmware.control.commands import Problem
from tests.control.test_operations import consulting, floor, talking


def conference(rig, wanted="1002"):
    call, agent = talking(rig)
    leg = consulting(rig, call, wanted)
    assert rig.command("command.conference", call=call) is None
    return call, agent, leg


def set_in_media(rig):
    return {name: value for name, value in rig.last("media.conference").items() if name not in ("do", "bridge")}


def test_a_prompt_is_played_paused_sought_stopped_and_goes_on_where_it_was():
    rig = floor()
    call, agent = talking(rig)
    assert rig.command("command.play", call=call, leg="agent", prompt="greeting", speed=1.5, start_ms=500) is None
    action = rig.last("media.signal")
    assert (action["leg"], action["start_ms"], action["speed"], action["volume_db"]) == (agent, 500, 1.5, 0)
    assert rig.command("command.player", call=call, leg="agent", pause=True, seek_ms=4000) is None
    first = rig.last("media.player")
    assert first["pause"] and first["speed"] == 1.5 and first["seek"]["ms"] == 4000
    assert rig.command("command.player", call=call, leg="agent", pause=False, seek_ms=6000) is None
    assert rig.last("media.player")["seek"]["id"] != first["seek"]["id"]
    rig.kill()
    assert rig.command("command.player", call=call, leg="agent", stop=True) is None
    rig.do("media.signal_complete", leg=agent, token=action["token"], reason="stopped", position_ms=7300)
    assert "nothing" in rig.command("command.player", call=call, leg="agent", pause=True)
    assert rig.command("command.play", call=call, leg="agent", prompt="greeting", resume=True) is None
    assert rig.last("media.signal")["start_ms"] == 7300
    rig.do("media.signal_complete", leg=agent, token=rig.last("media.signal")["token"], reason="done", position_ms=9000)
    assert rig.command("command.play", call=call, leg="agent", prompt="greeting", resume=True) is None
    assert rig.last("media.signal")["start_ms"] == 0, "after its end it begins anew"
    assert "one of" in rig.command("command.play", call=call, leg="agent")
    assert "no leg" in rig.command("command.play", call=call, leg="l99", tone="busy")
    rig.hang_up("p1")
    rig.finished()
    assert rig.sb.core.state.floors == {}


def test_what_media_no_longer_plays_after_a_kill_has_ended():
    rig = floor()
    call, agent = talking(rig)
    rig.command("command.play", call=call, prompt="greeting")
    rig.media["signals"].clear()
    rig.kill()
    assert [r["data"]["reason"] for r in rig.journal if r["kind"] == "play.ended"] == ["lost"]
    rig.command("command.play", call=call, prompt="greeting")
    rig.kill()
    assert "p1" in rig.media["signals"], "what plays is no stray"
    rig.command("command.hold", call=call)
    assert "hears a prompt or music" in rig.command("command.play", call=call, prompt="greeting")


def test_parties_of_a_conference_are_muted_and_made_louder():
    rig = floor()
    call, agent, leg = conference(rig)
    assert set_in_media(rig) == {"loudest": 0}
    assert rig.command("command.party", call=call, leg=leg, mute=True) is None
    assert rig.command("command.party", call=call, leg="caller", gain_db=6) is None
    assert rig.command("command.room", call=call, loudest=3) is None
    wanted = {"loudest": 3, "gain_db": {"p1": 6}, "muted": [leg]}
    assert set_in_media(rig) == wanted
    rig.kill()
    assert set_in_media(rig) == wanted
    rig.command("command.party", call=call, leg=leg, mute=False)
    assert set_in_media(rig) == {"loudest": 3, "gain_db": {"p1": 6}}
    assert "mute, gain_db" in rig.command("command.party", call=call, leg=leg)
    rig.hang_up(leg)
    assert set_in_media(rig) == {"loudest": 3, "gain_db": {"p1": 6}}, "what was set stays for two"
    rig.hang_up("p1")
    rig.finished()


def test_tones_tell_who_comes_and_goes():
    rig = floor()
    call, agent, leg = conference(rig)
    tones = [(a["leg"], a["items"]) for a in rig.actions_of("media.signal") if a["items"][0].get("tone", "").startswith("conference")]
    assert sorted(tones) == sorted((other, [{"tone": "conference_in", "duration_ms": 220}]) for other in ("p1", agent, leg))
    rig.hang_up(leg)
    tones = [(a["leg"], a["items"][0]["tone"]) for a in rig.actions_of("media.signal") if a["items"][0].get("tone") == "conference_out"]
    assert sorted(tones) == sorted([("p1", "conference_out"), (agent, "conference_out")])


def tones_of(rig):
    return [(action["leg"], action["items"][0]["tone"]) for action in rig.actions_of("media.signal") if action["items"][0].get("tone", "").startswith("conference")]


@pytest.mark.parametrize("leaves", ("caller", "agent"))
def test_who_began_a_conference_and_leaves_is_told_too(leaves):
    rig = floor()
    call, agent, leg = conference(rig)
    before = len(tones_of(rig))
    rig.hang_up("p1" if leaves == "caller" else agent)
    assert sorted(tones_of(rig)[before:]) == sorted((other, "conference_out") for other in (agent if leaves == "caller" else "p1", leg))


def test_a_conference_has_tones_or_none_as_it_was_told():
    rig = floor()
    call, agent, leg = conference(rig)
    before = len(tones_of(rig))
    assert rig.command("command.room", call=call, tones=False) is None
    assert set_in_media(rig) == {"loudest": 0}, "nothing of the sound has changed"
    rig.kill()
    assert rig.command("command.room", call=call, loudest=2) is None
    rig.hang_up(leg)
    assert len(tones_of(rig)) == before
    other = consulting(rig, call, "1003")
    assert rig.command("command.room", call=call, tones=True) is None
    assert rig.command("command.conference", call=call) is None
    assert sorted(tones_of(rig)[before:]) == sorted((each, "conference_in") for each in ("p1", agent, other))
    assert "loudest, tones" in rig.command("command.room", call=call)


def test_a_configuration_without_tones_has_them_where_one_conference_wants_them():
    rig = floor()
    rig.config["conference"] = {"tones": False}
    rig.sb.configure(rig.config, rig.now)
    call, agent, leg = conference(rig)
    assert not tones_of(rig)
    rig.command("command.room", call=call, tones=True)
    rig.hang_up(leg)
    assert sorted(tones_of(rig)) == sorted([("p1", "conference_out"), (agent, "conference_out")])


def test_a_conference_has_its_most():
    rig = floor()
    rig.config["conference"] = {"most": 3}
    rig.sb.configure(rig.config, rig.now)
    call, agent, leg = conference(rig)
    assert "full" in rig.command("command.consult", call=call, to="agent", target="1003", by="1001")


@pytest.mark.parametrize("most, full", ((2, True), (3, False)))
def test_who_listens_takes_a_place_too(most, full):
    rig = floor()
    rig.sb.configure(dict(rig.config, conference={"most": most, "loudest": 0, "tones": False, "announce": "off"}), rig.now)
    call, agent = talking(rig)
    why = rig.command("command.monitor", call=call, line="2001", mode="listen")
    assert why == ("the conference of call %s is full: %d take part at most" % (call, most) if full else None)
    if not full:
        rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
        assert rig.command("command.monitor", call=call, line="2001", mode="whisper") is None, "there already: no further place"
        assert "full" in rig.command("command.monitor", call=call, line="2002", mode="listen")


def test_a_supervisor_whispers_at_a_level():
    rig = floor()
    call, agent = talking(rig)
    assert rig.command("command.monitor", call=call, mode="whisper", line="2001", level_db=-9) is None
    leg = rig.last("leg.create")["leg"]
    rig.do("leg.alerting", leg=leg)
    rig.do("leg.answered", leg=leg)
    assert set_in_media(rig) == {"loudest": 0, "gain_db": {leg: -9}}
    assert sorted(rig.hears(agent)) == sorted(["p1", leg]) and rig.hears("p1") == [agent]
    rig.kill()
    assert set_in_media(rig) == {"loudest": 0, "gain_db": {leg: -9}}
    rig.hang_up(leg)
    assert set_in_media(rig) == {"loudest": None}


@pytest.mark.parametrize("operation, fields, words", [
    ("play", {"call": "c1", "prompt": "x", "speed": 2.5}, "0.5 to 2"), ("play", {"call": "c1", "prompt": "x", "volume_db": 13}, "-40 to 12"),
    ("player", {"call": "c1", "seek_ms": -1}, "from 0"), ("party", {"call": "c1"}, "needs leg"), ("room", {"call": "c1", "loudest": 17}, "0 to 16"), ("room", {"call": "c1", "tones": 1}, "tones"),
    ("monitor", {"call": "c1", "mode": "whisper", "agent": "1", "level_db": 1.5}, "whole number")])
def test_wrong_fields_get_a_sentence(operation, fields, words):
    with pytest.raises(Problem) as caught:
        operations.event_of(operation, fields)
    assert words in str(caught.value)
