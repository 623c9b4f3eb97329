"""Flows in the switchboard: services, secrets, versions, messages, programs, surveys; each step is replayed by the rig."""

import copy
import json

import pytest

from tests.control.switchboard_rig import CONFIG, Rig

NODES = {
    "hello": {"type": "menu", "prompts": ["menu"], "exhausted": "bye", "choices": {
        "1": "account", "2": "look", "3": "message", "4": "sales", "5": "crm", "6": "sub", "7": "write", "8": "room"}},
    "account": {"type": "collect", "prompts": ["account"], "into": "account", "length": 4, "next": "pin", "failed": "bye"},
    "pin": {"type": "collect", "prompts": ["pin"], "into": "pin", "length": 6, "min_length": 4, "secret": True, "next": "ask", "failed": "bye"},
    "ask": {"type": "http", "service": "bank", "path": "/a/{account}", "method": "POST", "body": {"pin": "{pin}"}, "take": {"balance": "body.balance"},
            "timeout_s": 3, "next": "tell", "failed": "sorry"},
    "tell": {"type": "play", "prompts": [{"money": "{balance}"}], "next": "bye"},
    "look": {"type": "http", "service": "bank", "path": "/x", "take": {"balance": "body.balance"}, "next": "tell", "failed": "sorry"},
    "write": {"type": "sql", "service": "db", "statement": "insert into t values (:caller)", "parameters": {"caller": "{caller}"}, "next": "bye", "failed": "sorry"},
    "sorry": {"type": "play", "prompts": ["sorry"], "next": "bye"},
    "message": {"type": "record", "into": "words", "prompts": ["speak"], "most_s": 20, "next": "again", "failed": "sorry"},
    "again": {"type": "play", "prompts": ["thanks", {"recording": "words"}], "next": "bye"},
    "sales": {"type": "queue", "queue": "sales", "after": "rate"},
    "rate": {"type": "survey", "survey": "csat", "question": "q1", "prompts": ["rate"], "choices": "12345", "next": "bye"},
    "crm": {"type": "cti", "application": "crm", "data": {"who": "{caller}"}, "next": "bye", "failed": "sorry"},
    "sub": {"type": "flow", "flow": "sub", "next": "bye"},
    "room": {"type": "conference", "room": "team{called}", "most": 3, "failed": "sorry"},
    "bye": {"type": "hangup", "prompts": ["goodbye"]}}
SUB = {"version": 1, "languages": ["en"], "start": "a", "nodes": {"a": {"type": "play", "prompts": ["sub"], "next": "b"}, "b": {"type": "return"}}}


def rig(**room):
    """room: more of its node."""
    config, nodes = copy.deepcopy(CONFIG), copy.deepcopy(NODES)
    nodes["room"].update(room)
    config["ivr"] = {"main": {"version": 1, "languages": ["en"], "start": "hello", "nodes": nodes}, "sub": copy.deepcopy(SUB)}
    return Rig(config)


def press(world, keys):
    for key in keys:
        world.press(key)


def answer(world, ok=True, result=None):
    asked = world.last("ivr.ask")
    return world.do("ivr.answer", call=asked["call"], token=asked["token"], ok=ok, result=result)


def kinds(world, kind):
    return [record["data"] for record in world.journal if record["kind"] == kind]


def end(world):
    if world.sb.core.state.calls:
        world.hang_up()
    world.finished()
    assert not world.sb.core.private


def test_a_secret_entry_reaches_the_service_and_nothing_else():
    world = rig()
    world.offer()
    press(world, "11234")
    assert world.heard() == ["pin en"]
    before = len(world.journal)
    press(world, "0909#")
    asked = world.last("ivr.ask")
    assert asked["request"]["body"].reveal() == {"pin": "0909"} and asked["request"]["path"] == "/a/1234"
    assert "0909" not in repr(asked) and "0909" not in json.dumps(world.journal)
    assert [record["data"]["input"] for record in world.journal[before:] if record["kind"] == "ivr.moved"] == [{"key": "hidden"}] * 5
    assert "9" not in json.dumps([record["data"].get("position", {}).get("entry") for record in world.journal])
    assert answer(world, result={"status": 200, "body": {"balance": "12.50"}})
    assert world.heard() == ["12.50 en"] and world.call()["data"] == {"account": "1234", "balance": "12.50"}
    assert not answer(world, result={"status": 200, "body": {}})      # a late second answer
    world.played()
    world.played()
    end(world)


@pytest.mark.parametrize("how", ("refused", "late", "status"))
def test_a_service_that_fails_leads_to_failed(how):
    world = rig()
    world.offer()
    press(world, "112340909#")
    if how == "late":
        world.wait(4100)
    else:
        answer(world, how == "status", {"status": 503, "body": None} if how == "status" else "bank cannot be reached")
    assert world.heard() == ["sorry en"]
    assert world.call()["state"] == "ivr" and "error" in json.dumps(world.journal[-2]["data"])
    end(world)


def test_a_kill_between_question_and_answer():
    world = rig()
    world.offer()
    press(world, "2")
    first = world.last("ivr.ask")
    world.kill()
    again = world.last("ivr.ask")
    assert again["token"] != first["token"] and again["request"] == first["request"]        # it only reads: asked once more
    assert not world.do("ivr.answer", call=first["call"], token=first["token"], ok=True, result={"status": 200, "body": {"balance": 1}})
    answer(world, result={"status": 200, "body": {"balance": 2}})
    assert world.heard() == ["2 en"]
    end(world)
    world = rig()
    world.offer()
    press(world, "7")
    count = len(world.actions_of("ivr.ask"))
    world.kill()
    assert len(world.actions_of("ivr.ask")) == count and world.heard() == ["sorry en"]      # an insert is not repeated
    end(world)


def test_a_kill_loses_what_was_secret_and_it_is_asked_for_again():
    world = rig()
    world.offer()
    press(world, "1123409")
    world.kill()
    world.wait(6000)
    assert world.heard() == ["no_input en", "pin en"]
    press(world, "0909#")
    world.kill()
    assert world.heard() == ["sorry en"]                    # a POST is not repeated
    end(world)
    world = rig()
    world.config["ivr"]["main"]["nodes"]["pin"]["next"] = "crm"
    world.config["ivr"]["main"]["nodes"]["crm"]["next"] = "ask"
    world.offer()
    press(world, "112340909#")
    world.kill()
    call = world.call()["call"]
    assert world.command("command.ivr", call=call, operation={"do": "go"}) is None
    assert world.heard() == ["pin en"]                      # the value is gone: the caller is asked again
    end(world)


def test_versions_stay_with_the_calls_that_have_them():
    world = rig()
    world.offer()
    new = copy.deepcopy(world.config)
    new["ivr"]["main"] = {"version": 2, "languages": ["en"], "start": "x", "nodes": {"x": {"type": "hangup", "prompts": ["new"]}}}
    new["ivr"]["sub"]["nodes"]["a"]["prompts"] = ["other"]
    new["ivr"]["sub"]["version"] = 2
    world.config = new
    world.sb.configure(new, world.now)
    world.settle()
    world.kill()
    press(world, "6")
    assert world.heard() == ["sub en"]                      # the version that was there when the call came
    world.offer("p2", timeslot=2)
    assert world.heard("p2") == ["new en"]
    assert sorted(world.sb.core.state.flows) == ["main@1", "main@2", "sub@1"]
    world.kill()
    world.played()
    assert world.heard() == ["goodbye en"]
    world.hang_up("p2")
    end(world)


def test_a_message_of_the_caller():
    world = rig()
    world.offer()
    press(world, "3")
    assert world.heard() == ["speak en", "beep en"]
    world.played()
    recording = world.last("media.record")
    assert recording["left"] == "p1" and recording["right"] is None
    world.kill()
    assert recording["recording"] in world.media["recordings"]
    world.wait(5000)
    press(world, "#")
    assert not world.media["recordings"]
    world.do("media.record_closed", recording=recording["recording"], octets=1, duration_ms=5000)
    assert world.heard() == ["thanks en", recording["path"]]
    end(world)
    world = rig()                                           # nothing is said for long: it ends by itself
    world.offer()
    press(world, "3")
    world.played()
    world.wait(20100)
    world.do("media.record_closed", recording=world.closed, octets=1, duration_ms=20000)
    assert world.heard()[0] == "thanks en"
    end(world)
    world = rig()                                           # the disk refuses
    world.offer()
    press(world, "3")
    world.played()
    world.do("media.record_failed", recording=list(world.media["recordings"])[0], error="no room")
    world.media["recordings"].clear()
    assert world.heard() == ["sorry en"]
    end(world)
    world = rig()                                           # the caller hangs up: the message stays
    world.offer()
    press(world, "3")
    world.played()
    world.hang_up()
    world.do("media.record_closed", recording=world.closed, octets=1, duration_ms=3000)
    end(world)
    assert world.cdrs[0]["recording"] == [world.closed]


def test_the_caller_rates_when_the_agent_has_hung_up():
    world = rig()
    world.offer()
    agent = (press(world, "4"), world.last("leg.create")["leg"])[1]
    world.do("leg.answered", leg=agent)
    assert world.call()["state"] == "talking"
    world.do("leg.released", leg=agent, cause=16, by="far")
    world.do("media.record_closed", recording=world.closed, octets=1, duration_ms=3000)
    assert world.call()["state"] == "ivr" and world.heard() == ["rate en"]
    name = kinds(world, "ivr.survey")
    world.kill()
    press(world, "5")
    answered = [record for record in world.journal if record["kind"] == "ivr.survey"]
    assert name == [] and len(answered) == 1 and answered[0]["data"] == {"survey": "csat", "question": "q1", "answer": "5"}
    assert answered[0]["agent"] == "1001" and answered[0]["queue"] == "sales"
    assert world.heard() == ["goodbye en"]
    world.wait(6000)
    assert world.agent("1001")["state"] == "idle"
    end(world)
    assert world.cdrs[0]["result"] == "answered" and world.cdrs[0]["agent"] == "1001"


def test_the_caller_who_hangs_up_first_rates_nothing():
    world = rig()
    world.offer()
    press(world, "4")
    agent = world.last("leg.create")["leg"]
    world.do("leg.answered", leg=agent)
    world.hang_up()
    end(world)
    assert kinds(world, "ivr.survey") == []


def test_a_program_on_the_cti_link_has_the_call():
    world = rig()
    world.offer()
    press(world, "5")
    call = world.call()["call"]
    assert kinds(world, "ivr.asked")[-1] == {"token": call + "-q1", "ask": "cti", "service": "crm", "data": {"who": "13912345678"}}

    def operate(**operation):
        return world.command("command.ivr", call=call, operation=operation)
    assert operate(do="play", items=["hello", {"number": 5}], keys="9") is None and world.heard() == ["hello en", "5 en"]
    press(world, "9")
    assert kinds(world, "ivr.told")[-1]["result"] == {"key": "9"} and world.heard() is None
    assert operate(do="collect", items=["enter"], length=3) is None
    press(world, "1")
    world.kill()                                            # what was keyed is in the journal: it goes on
    press(world, "23")
    assert kinds(world, "ivr.told")[-1]["result"] == {"digits": "123", "timeout": False}
    assert operate(do="collect", items=["enter"], length=3, secret=True) is None
    press(world, "1")
    world.kill()                                            # a secret is in no journal
    assert kinds(world, "ivr.told")[-1]["result"] == {"interrupted": True}
    assert operate(do="set", variables={"name": "Li"}) is None and world.call()["data"] == {"name": "Li"}
    assert "play" in operate(do="dance") and "no node" in operate(do="go", node="nowhere")
    assert operate(do="go", node="sorry") is None and world.heard() == ["sorry en"]
    assert "no program" in operate(do="play", items=[])
    end(world)
    world = rig()                                           # a program that does nothing: failed after its time
    world.offer()
    press(world, "5")
    world.wait(61500)
    assert world.heard() == ["sorry en"]
    end(world)


def test_configurations_of_older_versions_go_on():
    """A call that a checkpoint of an older version holds has no flow_keys."""
    world = rig()
    world.offer()
    whole = json.loads(json.dumps(world.sb.whole(world.now)))
    for call in whole["state"]["calls"]:
        for name in ("flow_keys", "variables", "request", "requests", "message", "after", "last_agent"):
            call.pop(name)
        call["position"] = {name: call["position"].get(name, "" if name == "ahead" else 0) for name in ("node", "waiting", "language", "missed", "wrong", "ahead", "errors")}
    world.checks = False
    world.journal = [{"kind": "core.checkpoint", "ts_ms": world.now, "call": None, "leg": None, "agent": None, "queue": None, "data": whole, "seq": 1}]
    world.kill()
    press(world, "3")
    assert world.heard() == ["speak en", "beep en"]


def test_callers_of_one_room_talk_together():
    world = rig()
    for number in (1, 2, 3, 4):
        world.offer("p%d" % number, timeslot=number)
        world.press("8", "p%d" % number)
        if number == 1:
            assert world.heard("p1") == ["default"] and world.call()["state"] == "parked"
            world.kill()
            assert world.heard("p1") == ["default"]
        if number == 3:
            world.kill()
    assert world.hears("p1") == ["p2", "p3"] and world.hears("p3") == ["p1", "p2"]
    assert world.heard("p4") == ["sorry en"]                # the room is full
    world.hang_up("p4")
    world.hang_up("p1")                                     # who began it may leave
    assert world.hears("p2") == ["p3"]
    world.hang_up("p3")
    world.wait(60000)
    world.media["recordings"].clear()
    for leg in list(world.adapter):
        world.hang_up(leg)
    world.finished()


@pytest.mark.parametrize("tones", (None, True, False))
def test_a_room_has_tones_as_its_node_says(tones):
    """Left out: as configured, which is with them."""
    world = rig(**({} if tones is None else {"tones": tones}))
    for number in (1, 2, 3):
        world.offer("p%d" % number, timeslot=number)
        world.press("8", "p%d" % number)
    world.kill()
    world.hang_up("p1")
    heard = [(action["leg"], action["items"][0]["tone"]) for action in world.actions_of("media.signal") if action["items"][0].get("tone", "").startswith("conference")]
    assert sorted(heard) == ([] if tones is False else [("p1", "conference_in"), ("p2", "conference_in"), ("p2", "conference_out"), ("p3", "conference_in"), ("p3", "conference_out")])


def test_no_digit_stands_in_the_log_of_a_fault():
    """RFC 4733 and INFO alike reach the switchboard as this event; a fault in its handling logs it."""
    from firmware.control.turns import without_digits
    event = {"media event": {"event": 7, "kind": "digit", "id": "l1", "digit": "9", "duration_ms": 90}}
    assert "9" not in repr(without_digits(event)).replace("90", "") and without_digits("timers") == "timers"
    assert "1234" not in repr(without_digits({"kind": "ivr.answer", "call": "c1", "result": {"body": "1234"}}))
