"""What is listened for, enhanced and sent on a leg by command; calls out that tones or answering machines end.

The rig replays the whole journal after every step and compares, so each of these tests is one of replay too."""

import copy

import pytest

from tests.control.switchboard_rig import CONFIG, Rig


def world(**group):
    config = copy.deepcopy(CONFIG)
    config["trunk_groups"][0].update(group, classes=["national"])
    config["lines"][3]["classes"] = ["national"]
    config["routes"] = [{"number": "9.", "class": "national", "choices": [{"trunk_group": "carrier", "strip": 1, "prefix": ""}]}]
    config["ivr"]["main"]["nodes"]["direct"] = {"type": "outside", "number": "9123", "ring_s": 60, "failed": "sales"}
    rig = Rig(config)
    rig.do("span.state", span=1, state="up", alarms=[])
    return rig


def talking(rig):
    rig.dial("1001", "2001", "s1")
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    return rig.call()["call"]


def out(rig):
    """A caller whom the flow sends to the outside; returns the leg there."""
    rig.offer()
    rig.played()
    rig.press("7")
    return rig.last("leg.create")["leg"]


def heard(rig):
    return [(record["leg"], record["data"]["what"]) for record in rig.journal if record["kind"] == "leg.heard"]


def test_a_leg_is_listened_to_enhanced_and_sent_to():
    rig = world()
    call = talking(rig)
    assert rig.command("command.listen", call=call, progress=True, answer=True) is None
    assert rig.last("media.listen") == {"do": "media.listen", "leg": "s1", "wishes": {"progress": True, "answer": True}}
    assert rig.command("command.listen", call=call, answer=False, caller_id="v23") is None
    assert rig.last("media.listen")["wishes"] == {"progress": True, "answer": False, "caller_id": "v23"}
    assert rig.command("command.enhance", call=call, leg="agent", noise=True, level="agc") is None
    other = rig.last("media.enhance")["leg"]
    assert other != "s1" and rig.last("media.enhance")["effects"] == {"noise": True, "level": "agc"}
    assert rig.command("command.send", call=call, leg="agent", r1="K12S") is None
    assert rig.last("media.signal")["items"] == [{"r1": "K12S"}] and rig.last("media.signal")["leg"] == other
    assert rig.do("media.heard", leg="s1", what="caller_id", value={"fields": {"number": "123"}})
    legs = {leg["leg"]: leg for leg in rig.call()["legs"]}
    assert legs["s1"]["heard"] == {"caller_id": {"fields": {"number": "123"}}} and legs["s1"]["listens"]["progress"]
    rig.actions.clear()
    rig.kill()
    again = [action for action in rig.actions if action["do"] in ("media.listen", "media.enhance")]
    assert [(action["do"], action["leg"]) for action in again] == [("media.listen", "s1"), ("media.enhance", other)]
    rig.do("leg.released", leg="s1", cause=16, by="far")
    rig.finished()


@pytest.mark.parametrize("kind, fields, words", (
    ("command.listen", {"call": "c9", "progress": True}, "no open call"), ("command.listen", {}, "name what"), ("command.enhance", {}, "name what"),
    ("command.listen", {"leg": "l9", "progress": True}, "no leg l9"), ("command.enhance", {"leg": "nobody", "echo": True}, "no leg nobody")))
def test_refusals_say_why(kind, fields, words):
    rig = world()
    call = talking(rig)
    assert words in rig.command(kind, **dict({"call": call}, **fields))


def test_nothing_is_sent_over_a_prompt():
    rig = world()
    rig.offer()
    assert "hears a prompt" in rig.command("command.send", call=rig.call()["call"], dtmf="1")


@pytest.mark.parametrize("tone, cause, outcome", (("busy", 17, "busy"), ("vacant", 1, "failed"), ("congestion", 42, "failed")))
def test_tones_end_an_attempt_where_that_is_wanted(tone, cause, outcome):
    for wanted in (True, False):
        rig = world(progress_detection=wanted)
        leg = out(rig)
        rig.do("leg.progress", leg=leg, inband=True)
        assert (("media.listen", leg) in [(a["do"], a.get("leg")) for a in rig.actions]) == wanted
        if not wanted:
            continue
        assert rig.do("media.heard", leg=leg, what="progress", value={"tone": "dial", "on": True})
        assert rig.call()["state"] == "ringing"
        rig.do("media.heard", leg=leg, what="progress", value={"tone": tone, "on": True})
        ended = [record["data"] for record in rig.journal if record["kind"] == "call.ringing_ended"]
        assert ended == [{"outcome": outcome, "cause": cause}] and rig.call()["queue"] == "sales"       # the flow goes on
        rig.hang_up()
        rig.finished()


def test_ringing_tone_is_ringing():
    rig = world(progress_detection=True)
    leg = out(rig)
    rig.do("leg.progress", leg=leg, inband=True)
    rig.do("media.heard", leg=leg, what="progress", value={"tone": "ringback", "on": True})
    assert [record["leg"] for record in rig.journal if record["kind"] == "leg.alerting"] == [leg]
    rig.do("media.heard", leg=leg, what="progress", value={"tone": "ringback", "on": True})
    rig.do("leg.answered", leg=leg)
    rig.do("media.heard", leg=leg, what="progress", value={"tone": "busy", "on": True})      # after the answer it is talk
    assert rig.call()["state"] == "talking" and len(heard(rig)) == 3


@pytest.mark.parametrize("who", ("person", "silence", "unsure"))
def test_a_person_gets_the_call(who):
    rig = world(answer_detection="people")
    leg = out(rig)
    rig.do("leg.answered", leg=leg)
    assert rig.call()["state"] == "ringing" and rig.last("media.listen")["wishes"] == {"answer": True}
    rig.kill()                                               # in the middle of it
    assert rig.last("media.listen")["wishes"] == {"answer": True} and rig.call()["state"] == "ringing"
    rig.wait(1500)
    rig.do("media.heard", leg=leg, what="answer", value={"who": who, "ms": 1500, "words": 1})
    assert rig.call()["state"] == "talking"
    rig.wait(10000)
    rig.do("media.heard", leg=leg, what="answer", value={"who": "beep", "hz": 1000, "words": 0})
    assert rig.call()["state"] == "talking"
    rig.hang_up()
    rig.finished()
    assert rig.cdrs[0]["result"] == "answered" and rig.cdrs[0]["talk_ms"] == 10000


def test_a_machine_is_hung_up_on_and_the_flow_goes_on():
    rig = world(answer_detection="people")
    leg = out(rig)
    rig.do("leg.progress", leg=leg, inband=True)
    rig.do("leg.answered", leg=leg)
    assert rig.last("media.signal")["items"] == [{"tone": "ringback"}]        # the caller does not hear the machine
    rig.do("media.heard", leg=leg, what="answer", value={"who": "machine", "ms": 1900, "words": 5})
    assert leg not in rig.adapter and rig.call()["queue"] == "sales"
    rig.hang_up()
    rig.finished()
    assert rig.cdrs[0]["agent_answered_ms"] is None


def test_a_decision_that_never_comes_and_a_refusal_count_as_a_person():
    for refused in (False, True):
        rig = world(answer_detection="people")
        leg = out(rig)
        rig.do("leg.answered", leg=leg)
        if refused:
            rig.do("media.heard", leg=leg, what="refused", value={"error": "no room"})
        else:
            rig.wait(8001)
        assert rig.call()["state"] == "talking"


def test_either_side_may_hang_up_meanwhile():
    for far in (False, True):
        rig = world(answer_detection="people")
        leg = out(rig)
        rig.do("leg.answered", leg=leg)
        if far:
            rig.do("leg.released", leg=leg, cause=16, by="far")
            assert rig.call()["queue"] == "sales"
        rig.hang_up()
        rig.finished()


def test_noted_only():
    rig = world(answer_detection="note")
    leg = out(rig)
    rig.do("leg.answered", leg=leg)
    assert rig.call()["state"] == "talking" and rig.last("media.listen")["wishes"] == {"answer": True}
    rig.do("media.heard", leg=leg, what="answer", value={"who": "machine", "ms": 1900, "words": 5})
    assert rig.call()["state"] == "talking" and heard(rig) == [(leg, "answer")]
