"""The first call through the switchboard, and the ways in which it can go otherwise."""

import copy

import pytest

from firmware.errors import ConfigError
from firmware.control.switchboard import Switchboard
from tests.control.switchboard_rig import CONFIG, Ids, Rig


def actions_of(rig, *names):
    return [action["do"] for action in rig.actions if action["do"] in names]


def test_the_first_call():
    rig = Rig()
    rig.offer()
    assert actions_of(rig, "leg.proceeding", "leg.answer") == ["leg.proceeding", "leg.answer"]
    assert rig.heard() == ["greeting zh_CN", "greeting en"]
    assert rig.call()["state"] == "ivr" and rig.call()["span"] == 1 and rig.call()["redirecting"] == "4008001000"
    rig.wait(8000)
    rig.played()
    assert rig.heard() == ["menu zh_CN", "menu en"]
    rig.wait(2000)
    rig.press("1")
    assert rig.heard() == ["please_wait zh_CN", "please_wait en"]
    create = rig.last("leg.create")
    assert (create["line"], create["caller"], create["caller_name"], create["tech"]) == ("1001", "13912345678", "Sales", "sip")
    assert rig.agent("1001")["state"] == "offered" and rig.call()["position"] == 1 and rig.call()["offered_agent"] == "1001"
    leg = create["leg"]
    rig.do("leg.alerting", leg=leg)
    rig.wait(3000)
    rig.do("leg.answered", leg=leg)
    assert rig.heard() is None and list(rig.media["bridges"].values()) == [["p1", leg]]
    record = rig.last("media.record")
    assert record["left"] == "p1" and record["right"] == leg
    assert record["path"] == "recordings/2025/07/31/%s-%s.wav" % (rig.call()["call"], record["recording"])
    call = rig.call()
    assert call["state"] == "talking" and call["agent"] == "1001" and call["recording"] == record["recording"]
    rig.wait(60000)
    rig.hang_up()
    assert rig.agent("1001")["state"] == "wrap_up"
    rig.do("media.record_closed", recording=record["recording"], octets=960058, duration_ms=60000)
    rig.wait(5000)
    assert rig.agent("1001")["state"] == "idle"
    rig.finished()
    cdr = rig.cdrs[0]
    start = cdr["started_ms"]
    assert cdr == {"call": call["call"], "started_ms": start, "answered_ms": start, "ended_ms": start + 73000, "caller": "13912345678",
                   "caller_presentation": "allowed", "called": "02150801000", "redirecting": "4008001000", "trunk_group": "carrier", "span": 1, "timeslot": 1,
                   "application": "ivr", "queue": "sales", "queue_entered_ms": start + 10000, "wait_ms": 3000, "agent": "1001",
                   "agent_answered_ms": start + 13000, "talk_ms": 60000, "cause": 16, "released_by": "caller", "language": None,
                   "recording": [record["recording"]], "result": "answered", "line": None, "dialled": None,
                   "out_trunk_group": None, "out_span": None, "out_timeslot": None, "out_attempts": None, "quality": {}, "audio_missing": [],
                   "transfers": 0, "agents": ["1001"]}
    queue = rig.queue("sales")
    assert (queue["offered"], queue["answered"], queue["abandoned"], queue["service_level"]) == (1, 1, 0, 1.0)


def test_agent_hangs_up():
    rig = Rig()
    leg = rig.to_talk()
    rig.wait(1000)
    rig.hang_up(leg)
    assert [a["cause"] for a in rig.actions if a["do"] == "leg.release" and a["leg"] == "p1"] == [16]
    rig.wait(90000)
    assert rig.cdrs[0]["released_by"] == "agent" and rig.cdrs[0]["cause"] == 16
    rig.media["recordings"].clear()
    rig.finished()


def test_overlap():
    rig = Rig()
    rig.offer(called="", complete=False)
    assert actions_of(rig, "leg.need_more_digits") == ["leg.need_more_digits"]
    for count in range(1, 11):
        rig.do("leg.digits", leg="p1", called="02150801000"[:count], called_complete=False)
        assert rig.call()["state"] == "collecting"
    rig.do("leg.digits", leg="p1", called="02150801000", called_complete=False)
    assert rig.call()["state"] == "ivr" and rig.call()["called"] == "02150801000"
    assert not rig.do("leg.digits", leg="p1", called="021508010009", called_complete=False)
    assert len(actions_of(rig, "leg.need_more_digits")) == 1
    rig.hang_up()
    assert rig.cdrs[0]["called"] == "02150801000" and rig.cdrs[0]["result"] == "self_service"


@pytest.mark.parametrize("called,complete,cause", [("999", False, 1), ("021508010", True, 28), ("", True, 28), ("021508010001", True, 1)])
def test_numbers_that_nothing_answers(called, complete, cause):
    rig = Rig()
    rig.offer(called=called, complete=complete)
    assert rig.last("leg.release")["cause"] == cause
    assert rig.cdrs[0]["cause"] == cause and rig.cdrs[0]["result"] == "rejected" and rig.cdrs[0]["answered_ms"] is None
    rig.finished()


def test_t302_runs_out():
    rig = Rig()
    rig.offer(called="021", complete=False)
    rig.do("leg.digits", leg="p1", called="021", called_complete=True)
    assert rig.cdrs[0]["cause"] == 28
    rig.finished()


def test_menu_wrong_and_missing_digits():
    rig = Rig()
    rig.offer()
    rig.played()
    rig.press("5")
    assert rig.heard() == ["invalid zh_CN", "menu zh_CN", "invalid en", "menu en"]
    rig.played()
    assert rig.heard() is None
    rig.wait(4999)
    assert rig.heard() is None
    rig.wait(1)
    assert rig.heard() == ["no_input zh_CN", "menu zh_CN", "no_input en", "menu en"]
    rig.played()
    rig.wait(5000)
    rig.played()
    rig.wait(5000)
    assert rig.call()["queue"] == "operator"


def test_language_choice_is_kept():
    rig = Rig()
    rig.offer()
    rig.played()
    rig.press("9")
    assert rig.heard() == ["menu en"] and rig.call()["language"] == "en"
    rig.press("2")
    assert rig.heard() == ["please_wait en"]
    rig.hang_up()
    assert rig.cdrs[0]["language"] == "en" and rig.cdrs[0]["result"] == "abandoned"


def test_barge_in_on_the_greeting_chooses():
    rig = Rig()
    rig.offer()
    rig.press("2")
    assert rig.call()["queue"] == "service"


def test_queue_music_positions_and_overflow():
    rig = Rig(register=())
    rig.to_queue("p1")
    rig.to_queue("p2", timeslot=2)
    rig.played("p1")
    rig.played("p2")
    assert rig.heard("p2") == ["default"] and rig.last("media.signal")["repeat"] == 0
    rig.wait(20000)
    assert rig.heard("p2") == ["position_before zh_CN", "2 zh_CN", "position_after zh_CN", "position_before en", "2 en", "position_after en"]
    assert rig.heard("p1")[1] == "1 zh_CN"
    rig.played("p1")
    rig.played("p2")
    assert rig.heard("p2") == ["default"]
    rig.hang_up("p1")
    rig.wait(20000)
    assert rig.heard("p2")[1] == "1 zh_CN"
    rig.wait(60000)
    assert rig.heard("p2") == ["goodbye zh_CN", "goodbye en"]
    rig.played("p2")
    assert [(cdr["result"], cdr["cause"], cdr["wait_ms"]) for cdr in rig.cdrs] == [("abandoned", 16, 20000), ("overflow", 16, 100000)]
    rig.finished()


def test_overflow_without_a_node_says_goodbye():
    rig = Rig(register=())
    rig.to_queue(digit="2")
    rig.wait(60000)
    assert rig.heard() == ["goodbye zh_CN", "goodbye en"] and rig.call()["state"] == "closing"
    rig.wait(60000)
    assert rig.cdrs[0]["result"] == "overflow"
    rig.finished()


def test_missed_offer_goes_to_the_next_agent():
    rig = Rig()
    rig.to_queue()
    first = rig.last("leg.create")
    rig.do("leg.alerting", leg=first["leg"])
    rig.wait(15000)
    assert (rig.agent("1001")["status"], rig.agent("1001")["reason"]) == ("on_break", "missed offer")
    second = rig.last("leg.create")
    assert (first["line"], second["line"]) == ("1001", "1002") and rig.call()["position"] == 1
    rig.do("leg.released", leg=second["leg"], cause=17, by="far")
    assert rig.agent("1002")["reason"] == "offer refused"
    assert rig.queue("sales")["agents_ready"] == 0 and rig.call()["state"] == "queued"
    rig.do("agent.status", agent="1001", status="available")
    third = rig.last("leg.create")
    assert third["line"] == "1001"
    rig.do("leg.answered", leg=third["leg"])
    assert rig.call()["waiting_since_ms"] is None and rig.call()["agent"] == "1001"


def test_a_phone_that_never_rang_is_out_of_reach_and_not_offered_while_it_is_silent():
    rig = Rig()
    rig.to_queue()
    rig.wait(15000)
    assert (rig.agent("1001")["status"], rig.agent("1001")["reason"]) == ("on_break", "line out of reach")
    rig.do("line.unregistered", line="1001")        # the INVITE has run out
    rig.do("line.unregistered", line="1002")
    rig.do("agent.status", agent="1001", status="available")
    assert rig.last("leg.create")["line"] == "1002" and not rig.agent("1001")["registered"]
    rig.do("line.registered", line="1001")
    rig.do("leg.released", leg=rig.last("leg.create")["leg"], cause=102, by="far")
    assert rig.last("leg.create")["line"] == "1001" and rig.agent("1002")["reason"] == "line out of reach"


def test_longest_idle_agent_first_and_wrap_up_counts():
    rig = Rig()
    leg = rig.to_talk("p1")
    assert rig.last("leg.create")["line"] == "1001"
    rig.hang_up("p1")
    rig.wait(5000)
    rig.to_talk("p2")
    assert rig.last("leg.create")["line"] == "1002"
    rig.hang_up("p2")
    rig.wait(5000)
    rig.to_talk("p3")
    assert rig.last("leg.create")["line"] == "1001"
    assert leg


def test_no_offer_in_wrap_up_and_ready_early():
    rig = Rig(register=("1001",))
    rig.to_talk("p1")
    rig.hang_up("p1")
    count = len(actions_of(rig, "leg.create"))
    rig.to_queue("p2")
    rig.wait(4999)
    assert len(actions_of(rig, "leg.create")) == count
    rig.do("agent.status", agent="1001", status="available")
    assert len(actions_of(rig, "leg.create")) == count + 1


def test_no_second_call_before_the_first_leg_is_gone():
    rig = Rig(register=("1001",), lazy=True)
    leg = rig.to_talk("p1")
    rig.hang_up("p1")
    rig.wait(5000)
    rig.to_queue("p2")
    assert rig.agent("1001")["state"] == "idle" and rig.last("leg.create")["leg"] == leg
    rig.confirm()
    assert rig.last("leg.create")["leg"] != leg


def test_caller_abandons_while_the_agent_rings():
    rig = Rig(register=("1001",))
    rig.to_queue("p1")
    rig.wait(7000)
    idle = rig.sb.core.state.agent("1001").idle_since_ms
    rig.hang_up("p1")
    assert rig.last("leg.release")["leg"] == rig.last("leg.create")["leg"]
    assert rig.agent("1001")["state"] == "idle" and rig.agent("1001")["status"] == "available"
    assert rig.sb.core.state.agent("1001").idle_since_ms == idle
    assert rig.cdrs[0]["result"] == "abandoned" and rig.cdrs[0]["wait_ms"] == 7000 and rig.queue("sales")["abandoned"] == 1
    rig.finished()


def test_break_while_ringing_passes_the_call_on():
    rig = Rig()
    rig.to_queue()
    rig.do("agent.status", agent="1001", status="on_break", reason="lunch")
    assert rig.last("leg.create")["line"] == "1002"
    assert rig.agent("1001")["reason"] == "lunch"


def test_answer_crossing_the_cancel_is_ended():
    rig = Rig(register=("1001",), lazy=True)
    rig.to_queue()
    leg = rig.last("leg.create")["leg"]
    rig.wait(15000)
    count = len([a for a in rig.actions if a["do"] == "leg.release" and a["leg"] == leg])
    rig.do("leg.answered", leg=leg)
    assert len([a for a in rig.actions if a["do"] == "leg.release" and a["leg"] == leg]) == count + 1
    assert rig.call()["state"] == "queued"


def test_max_wait_passes_while_a_telephone_rings():
    rig = Rig(register=())
    rig.to_queue(digit="2")
    rig.wait(50000)
    rig.do("line.registered", line="1002")
    rig.wait(12000)
    assert rig.call()["state"] == "queued" and rig.call()["offered_agent"] == "1002"
    rig.wait(3000)
    assert rig.call()["state"] == "closing" and rig.agent("1002")["status"] == "on_break"


def test_the_leg_of_who_was_called_directly_fails_in_conversation():
    rig = Rig()
    rig.offer(called="02150801002")
    leg = rig.last("leg.create")["leg"]
    rig.do("leg.answered", leg=leg)
    rig.do("leg.released", leg=leg, cause=41, by="failure")
    assert rig.heard() == ["busy"] and rig.call()["state"] == "closing"
    rig.wait(5000)
    assert rig.cdrs[0]["cause"] == 41 and rig.cdrs[0]["released_by"] == "switch" and rig.cdrs[0]["result"] == "answered"


def test_a_silent_telephone_ends_no_call_while_its_adapter_says_nothing():
    rig = Rig()
    leg = rig.to_talk()
    rig.do("media.rtp_timeout", leg=leg)
    assert rig.call()["state"] == "talking"
    rig.do("media.rtp_started", leg=leg)
    rig.do("media.rtp_timeout", leg=leg)
    rig.do("line.unregistered", line="1001")
    assert rig.call()["state"] == "talking"
    rig.do("leg.released", leg=leg, cause=41, by="failure")
    assert rig.call()["state"] == "queued"


def test_direct_line():
    rig = Rig()
    rig.offer(called="02150801002")
    leg = rig.last("leg.create")["leg"]
    assert rig.call()["state"] == "ringing" and actions_of(rig, "leg.answer") == []
    rig.do("leg.alerting", leg=leg)
    assert rig.last("leg.alerting")["leg"] == "p1"
    rig.wait(4000)
    rig.do("leg.answered", leg=leg)
    assert rig.last("leg.answer")["leg"] == "p1" and rig.call()["state"] == "talking" and rig.call()["recording"]
    rig.hang_up(leg)
    cdr = rig.cdrs[0]
    assert (cdr["result"], cdr["answered_ms"] - cdr["started_ms"], cdr["talk_ms"]) == ("answered", 4000, 0)


@pytest.mark.parametrize("event,cause,result", [(("leg.released", 17), 17, "busy"), (("leg.released", 20), 20, "no_answer"), (None, 19, "no_answer")])
def test_direct_line_not_reached(event, cause, result):
    rig = Rig()
    rig.offer(called="02150801002")
    if event:
        rig.do(event[0], leg=rig.last("leg.create")["leg"], cause=event[1], by="far")
    else:
        rig.wait(60000)
    assert (rig.cdrs[0]["cause"], rig.cdrs[0]["result"]) == (cause, result)
    rig.finished()


def test_direct_line_busy_or_absent():
    rig = Rig(register=("1001", "1003"))
    rig.offer("p1", called="02150801002")
    assert rig.cdrs[0]["cause"] == 20
    rig.do("line.registered", line="2001")
    rig.offer("p2", called="02150801002")
    rig.offer("p3", called="02150801002", timeslot=3)
    assert rig.cdrs[1]["cause"] == 17 and rig.cdrs[1]["result"] == "busy"


def test_internal_call_keeps_both_agents_from_the_queues():
    rig = Rig(register=("1001", "1002"))
    rig.dial("1001", "1002", "s1")
    leg = rig.last("leg.create")["leg"]
    assert (rig.agent("1001")["state"], rig.agent("1002")["state"]) == ("talking", "offered")
    rig.do("leg.alerting", leg=leg)
    rig.do("leg.answered", leg=leg)
    rig.to_queue("p1")
    assert rig.last("leg.create")["leg"] == leg
    rig.hang_up("s1")
    assert rig.agent("1001")["state"] in ("offered", "idle") and rig.last("leg.create")["leg"] != leg
    assert rig.cdrs[0]["application"] == "agent" and rig.cdrs[0]["span"] is None


def test_internal_call_to_a_busy_agent_and_to_nothing():
    rig = Rig(register=("1001", "1002", "1003"))
    rig.dial("1001", "1002", "s1")
    rig.dial("1003", "1002", "s2")
    assert rig.last("leg.release")["cause"] == 17 and rig.agent("1003")["state"] == "idle"
    rig.dial("1003", "*55", "s3")
    assert rig.last("leg.release")["cause"] == 1
    rig.dial("1003", "02150801000", "s4")
    assert rig.heard("s4") == ["greeting zh_CN", "greeting en"]
    rig.dial("1003", "1001", "s5")
    assert rig.last("leg.release")["cause"] == 17 and rig.last("leg.release")["leg"] == "s5"


def test_a_trunk_cannot_dial_internal_numbers():
    rig = Rig()
    rig.offer(called="1001")
    assert rig.cdrs[0]["cause"] == 1


def test_flow_to_an_agent_and_back():
    rig = Rig(register=("1003",))
    rig.offer()
    rig.press("7")
    leg = rig.last("leg.create")["leg"]
    assert rig.heard() == ["ringback"] and rig.agent("1003")["state"] == "offered"
    rig.do("leg.released", leg=leg, cause=17, by="far")
    assert rig.call()["queue"] == "sales" and rig.agent("1003")["state"] == "idle" and rig.agent("1003")["status"] == "available"


def test_transfers_that_lead_to_each_other_end():
    config = copy.deepcopy(CONFIG)
    config["ivr"]["main"]["nodes"]["direct"]["failed"] = "direct"      # a check refuses it; a configuration may slip by
    rig = Rig(config, register=())
    rig.offer()
    rig.press("7")
    assert rig.heard() == ["busy"]
    rig.wait(5000)
    assert rig.cdrs[0]["cause"] == 41
    rig.finished()


def test_media_dies():
    rig = Rig()
    leg = rig.to_talk("p1")
    rig.offer("p2", timeslot=2)
    rig.offer("p3", timeslot=3, called="0215", complete=False)
    recording = rig.last("media.record")["recording"]
    before = len(rig.actions)
    rig.do("media.lost")
    assert not [a for a in rig.actions[before:] if a["do"].startswith("media.")]
    assert [(cdr["cause"], cdr["released_by"], cdr["result"]) for cdr in rig.cdrs] == [
        (41, "switch", "answered"), (41, "switch", "self_service"), (41, "switch", "failed")]
    assert [r["data"]["reason"] for r in rig.journal if r["kind"] == "recording.closed"] == ["media_lost"]
    rig.finished()
    rig.offer("p4")
    assert rig.cdrs[3]["cause"] == 41
    rig.do("media.back")
    rig.media["terminations"].clear()
    rig.offer("p5")
    assert rig.heard("p5")
    assert leg and recording


def test_hang_up_through_the_api():
    rig = Rig()
    rig.to_talk()
    assert rig.do("command.hangup", call=rig.call()["call"])
    assert not rig.do("command.hangup", call="c999")
    assert rig.cdrs[0]["released_by"] == "switch" and rig.cdrs[0]["cause"] == 16


def test_adapter_that_never_confirms():
    rig = Rig(lazy=True)
    rig.to_talk()
    rig.do("command.hangup", call=rig.call()["call"])
    assert rig.sb.core.state.group("carrier").seized() == 1
    rig.wait(60000)
    assert len(rig.cdrs) == 1 and rig.sb.core.state.group("carrier").seized() == 0


def test_missing_music_gives_ringback_and_missing_prompts_end_somewhere():
    rig = Rig(register=())
    rig.to_queue()
    rig.played(reason="error")
    rig.played(reason="error")
    assert rig.heard() == ["ringback"]
    config = copy.deepcopy(CONFIG)
    config["ivr"]["main"]["nodes"]["greeting"]["next"] = "greeting"
    rig = Rig(config)
    rig.offer()
    for _ in range(8):
        rig.played(reason="error")
    assert rig.heard() == ["busy"]
    rig.wait(5000)
    assert rig.cdrs[0]["cause"] == 41
    rig.finished()


def test_a_lost_end_of_prompt_does_not_stop_the_flow():
    rig = Rig()
    rig.offer()
    rig.wait(180000)
    assert rig.heard() == ["menu zh_CN", "menu en"]


def test_a_failed_recording_goes_on_as_a_new_segment_when_there_is_room():
    rig = Rig()
    rig.to_talk("p1")
    first = rig.last("media.record")["recording"]
    rig.do("recording.room")
    assert rig.last("media.record")["recording"] == first
    rig.media["recordings"].clear()
    rig.do("media.record_failed", recording=first, error="No space left on device")
    assert rig.call()["recording"] is None
    rig.kill()
    rig.do("recording.room")
    second = rig.last("media.record")
    assert second["recording"] != first and rig.call()["recording"] == second["recording"] and second["path"].endswith(".wav")
    rig.hang_up("p1")
    assert rig.cdrs[0]["recording"] == [first, second["recording"]]
    rig.do("recording.room")
    rig.finished()


def test_withheld_number_and_no_recording():
    config = dict(CONFIG, recording={"enabled": False})
    rig = Rig(config)
    rig.do("leg.offered", leg="p1", tech="pri", trunk_group="carrier", span=1, timeslot=1, caller="139", caller_presentation="restricted",
           called="02150801001", called_complete=True, redirecting=None)
    create = rig.last("leg.create")
    assert create["caller"] == "anonymous"
    assert rig.call()["caller_presentation"] == "restricted"
    rig.do("leg.answered", leg=create["leg"])
    assert rig.call()["recording"] is None and rig.call()["application"] == "queue"


def test_calls_inside_keep_their_flow():
    config = copy.deepcopy(CONFIG)
    rig = Rig(config)
    rig.offer("p1")
    changed = copy.deepcopy(CONFIG)
    changed["ivr"]["main"]["version"] = 2
    changed["ivr"]["main"]["nodes"]["menu"]["choices"]["1"] = "service"
    rig.config = changed
    rig.sb.configure(changed, rig.now)
    rig.offer("p2", timeslot=2)
    rig.press("1", "p1")
    rig.press("1", "p2")
    assert [call["queue"] for call in rig.sb.snapshot(rig.now)["calls"]] == ["sales", "service"]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("digit, queue", [("1", "sales"), ("2", "service")])
def test_callers_of_a_removed_queue_leave_it_at_once(digit, queue, restart):
    """One is offered to an agent, one waits: overflow node (sales) or goodbye (service); nobody waits for ever."""
    rig = Rig(register=("1002",))
    rig.to_queue("p1", digit=digit)
    rig.to_queue("p2", digit=digit, timeslot=2)
    assert rig.agent("1002")["state"] == "offered" and rig.call(1)["state"] == "queued"
    changed = copy.deepcopy(CONFIG)
    changed["queues"] = [row for row in changed["queues"] if row["name"] != queue]
    changed["numbers"] = [row for row in changed["numbers"] if row["target"] != queue]
    for agent in changed["agents"]:
        agent["queues"] = [member for member in agent["queues"] if member["queue"] != queue]
    rig.config = changed
    if restart:
        rig.kill()
    else:
        rig.sb.configure(changed, rig.now)
        rig.settle()
    for leg in ("p1", "p2"):
        assert rig.heard(leg) == ["goodbye zh_CN", "goodbye en"]
        rig.played(leg)
    assert [cdr["result"] for cdr in rig.cdrs] == ["overflow", "overflow"]
    assert (rig.agent("1002")["state"], rig.agent("1002")["status"]) == ("idle", "available")
    rig.finished()


def test_configuration_that_leads_nowhere():
    for change in ({"numbers": [{"number": "1", "application": "ivr", "target": "none"}]}, {"numbers": [{"number": "1", "application": "x"}]},
                   {"queues": [{"name": "q", "strategy": "random"}]}, {"numbers": [{"number": "1a", "application": "ivr", "target": "main"}]}):
        with pytest.raises(ConfigError):
            Switchboard(dict(CONFIG, **change), Ids())


def test_checkpoint_replaces_what_went_before():
    rig = Rig()
    rig.to_talk("p1")
    rig.to_queue("p2", timeslot=2)
    rig.to_queue("p3", timeslot=3)
    rig.sb.checkpoint(rig.now)
    rig.settle()
    start = len(rig.journal) - 1
    rig.wait(25000)
    rig.hang_up("p2")
    other = rig.replayed(rig.journal[start:])
    assert other.dump() == rig.sb.dump() and other.snapshot(rig.now) == rig.sb.snapshot(rig.now)
    cdrs = 0
    from firmware.call.records import CDRProjection
    projection = CDRProjection()
    for record in rig.journal[start:]:
        cdr = projection.apply(record)
        if cdr:
            cdrs += 1
            assert cdr == rig.cdrs[0]
    assert cdrs == 1


def test_span_states_are_journaled_once():
    rig = Rig()
    assert rig.do("span.state", span=1, state="up", alarms=[])
    assert not rig.do("span.state", span=1, state="up", alarms=[])
