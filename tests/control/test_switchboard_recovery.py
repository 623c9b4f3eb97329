"""kill -9 of control at every kind of moment: the journal, the audit and the adapters heal the rest."""

import pytest

from tests.control.switchboard_rig import Rig


def acted(rig, since, do):
    return [action for action in rig.actions[since:] if action["do"] == do]


def test_talking_goes_on():
    rig = Rig()
    leg = rig.to_talk()
    rig.wait(10000)
    since = len(rig.actions)
    before = rig.call()
    rig.kill()
    assert rig.call() == before
    assert acted(rig, since, "media.bridge")[0]["legs"] == ["p1", leg]
    assert not acted(rig, since, "leg.release") and not acted(rig, since, "media.record") and not acted(rig, since, "media.signal")
    rig.wait(5000)
    rig.hang_up(leg)
    assert rig.cdrs[0]["talk_ms"] == 15300 and rig.cdrs[0]["cause"] == 16
    rig.finished()


def test_waiting_keeps_place_time_and_music():
    rig = Rig(register=())
    rig.to_queue("p1")
    rig.wait(3000)
    rig.to_queue("p2", timeslot=2)
    rig.played("p1")
    rig.played("p2")
    before = rig.sb.snapshot(rig.now)["calls"]
    since = len(rig.actions)
    rig.kill()
    assert rig.sb.snapshot(rig.now)["calls"] == before
    assert not acted(rig, since, "media.signal")
    rig.wait(20000)
    assert rig.heard("p2")[1] == "2 zh_CN"
    rig.do("line.registered", line="1001")
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    assert rig.call(0)["agent"] == "1001"
    rig.hang_up("p1")
    assert rig.cdrs[0]["wait_ms"] == 23300


def test_music_that_stopped_comes_back():
    rig = Rig(register=())
    rig.to_queue()
    rig.played()
    rig.media["signals"].clear()
    rig.kill()
    assert rig.heard() == ["default"]
    rig.wait(20000)
    rig.media["signals"].clear()
    rig.kill()
    assert rig.heard() == ["default"]


def test_offered_agent_is_offered_again_and_not_punished():
    rig = Rig(register=("1001",))
    rig.to_queue()
    first = rig.last("leg.create")["leg"]
    rig.kill()
    second = rig.last("leg.create")["leg"]
    assert first != second and rig.agent("1001")["status"] == "available" and rig.agent("1001")["state"] == "offered"
    rig.do("leg.answered", leg=second)
    assert rig.call()["state"] == "talking"
    assert "missed offer" not in str(rig.journal)


def test_offer_that_sip_still_holds_is_cancelled_first():
    rig = Rig(register=("1001",), lazy=True)
    rig.to_queue()
    first = rig.last("leg.create")["leg"]
    rig.kill(sip_restores=False)
    assert rig.last("leg.release")["leg"] == first and rig.last("leg.create")["leg"] == first
    rig.confirm()
    assert rig.last("leg.create")["leg"] != first


def test_digits_die_with_cause_41():
    rig = Rig()
    rig.offer(called="0215", complete=False)
    rig.kill()
    assert rig.cdrs[0]["cause"] == 41 and rig.cdrs[0]["result"] == "failed"
    rig.finished()


def test_ringing_directly_dies_with_cause_41():
    rig = Rig()
    rig.offer(called="02150801002")
    rig.kill()
    assert rig.cdrs[0]["cause"] == 41
    rig.finished()


def test_ivr_goes_on():
    rig = Rig()
    rig.offer()
    rig.played()
    rig.kill()
    assert rig.heard() == ["menu zh_CN", "menu en"]
    token = rig.media["signals"].pop("p1")["token"]
    rig.kill()
    assert rig.heard() == ["menu zh_CN", "menu en"]
    assert not rig.do("media.signal_complete", leg="p1", token=token, reason="done")    # the old one, late
    rig.played()
    rig.wait(1000)
    rig.kill()
    assert rig.heard() is None
    rig.wait(3700)
    assert rig.heard()[0] == "no_input zh_CN"
    rig.press("1")
    assert rig.call()["queue"] == "sales"


def test_legs_that_are_gone_are_released():
    rig = Rig()
    leg = rig.to_talk()
    del rig.adapter[leg]
    rig.kill()
    assert rig.call()["state"] == "queued" and rig.heard() == ["default"], "the agent's: the caller waits on, with music"
    rig = Rig()
    rig.to_talk()
    del rig.adapter["p1"]
    rig.kill()
    assert rig.cdrs[0]["cause"] == 41
    rig.media["terminations"].pop("p1", None)
    rig.finished()


def test_legs_without_a_record_are_released():
    rig = Rig()
    rig.adapter["p9"] = "setup"
    rig.media["terminations"]["p9"] = True
    rig.kill()
    rig.finished()


def test_lost_answer_is_repeated():
    rig = Rig()
    rig.offer()
    rig.adapter["p1"] = "setup"
    since = len(rig.actions)
    rig.kill()
    assert acted(rig, since, "leg.answer")


def test_release_is_repeated():
    rig = Rig(lazy=True)
    rig.to_talk()
    rig.do("command.hangup", call=rig.call()["call"])
    rig.releasing.clear()
    rig.kill()
    rig.confirm()
    rig.finished()


def test_media_died_too():
    rig = Rig()
    rig.to_talk("p1")
    rig.to_queue("p2", timeslot=2)
    rig.media = {"bridges": {}, "signals": {}, "recordings": {}, "terminations": {}}
    rig.kill()
    assert [cdr["cause"] for cdr in rig.cdrs] == [41, 41]
    rig.wait(60000)
    rig.finished()
    assert [r["data"]["reason"] for r in rig.journal if r["kind"] == "recording.closed"] == ["unconfirmed"]


def test_lost_recording_begins_anew_in_another_file():
    rig = Rig()
    rig.to_talk()
    first = rig.last("media.record")
    rig.media["recordings"].clear()
    rig.kill()
    second = rig.last("media.record")
    assert second["path"] != first["path"] and rig.call()["recording"] == second["recording"]
    rig.hang_up()
    assert rig.cdrs[0]["recording"] == [first["recording"], second["recording"]]


def test_strays_in_media_are_removed():
    rig = Rig()
    rig.media["bridges"]["b1"] = ["l1", "l2"]
    rig.media["recordings"]["r1"] = {}
    rig.media["terminations"]["l1"] = True
    rig.kill()
    rig.finished()


def test_first_start_journals_the_initial_status():
    rig = Rig()
    first = [r for r in rig.journal if r["kind"] == "agent.status"]
    assert [r["agent"] for r in first] == ["1001", "1002", "1003"]
    rig.do("agent.status", agent="1002", status="on_break", reason="lunch")
    rig.kill()
    assert rig.agent("1002")["reason"] == "lunch" and len([r for r in rig.journal if r["kind"] == "agent.status"]) == 4


def test_wrap_up_ends_although_control_died():
    rig = Rig(register=("1001",))
    rig.to_talk()
    rig.hang_up()
    rig.kill(away_ms=20000)
    assert rig.agent("1001")["state"] == "idle"


@pytest.mark.parametrize("step", range(12))
def test_a_kill_after_each_step_of_the_first_call(step):
    """Either the call lives on or the caller gets a defined end; nothing stays seized."""
    rig = Rig(register=("1001",))
    leg = []
    steps = [lambda: rig.offer(called="021508", complete=False),
             lambda: rig.do("leg.digits", leg="p1", called="02150801000", called_complete=True),
             lambda: rig.wait(500), lambda: "p1" in rig.media["signals"] and rig.played(), lambda: rig.press("1"), lambda: rig.wait(300),
             lambda: rig.do("leg.alerting", leg=rig.last("leg.create")["leg"]),
             lambda: rig.do("leg.answered", leg=rig.last("leg.create")["leg"]), lambda: rig.wait(2000), lambda: rig.hang_up(),
             lambda: rig.wait(1000), lambda: rig.wait(5000)]
    for index, take in enumerate(steps):
        if index >= 6 and not rig.actions_of("leg.create"):
            break
        take()
        if index == step:
            rig.kill()
    rig.hang_up()
    rig.wait(70000)
    rig.finished()
    assert len(rig.cdrs) == 1 and not leg
    if step >= 4:
        assert rig.cdrs[0]["result"] == "answered"
