"""Ring all, a callback that keeps the place, and voicemail with its lamp, on live calls through the whole house.

The callers are libpri's, the telephones baresip's; a callback goes out over the other span.  Control is killed between
the promise and the call."""

import re
import time

import pytest

from hil.probes import align, wav
from hil.rig import CHECKOUT

pytestmark = pytest.mark.live
NIGHT, SALES, CALLER = "02150801008", "02150801001", "13912345678"
PROMPTS = CHECKOUT / "build" / "prompts"
WAIT_S = 30


@pytest.fixture(scope="module")
def second(house):
    """A second telephone, of agent 1002, with a lamp; the queue rings all, takes callbacks; a mailbox."""
    running = house.product.get("/configuration")
    config = running["configuration"]
    config["trunk_groups"].append({"name": "second", "label": "Second"})
    config["spans"][1]["trunk_group"] = "second"
    config["routes"] = [{"number": "9.", "choices": [{"trunk_group": "second", "strip": 1}]}]
    config["site"]["languages"] = ["en"]
    config["mailboxes"] = [{"name": "night", "lines": ["1002"], "min_s": 1, "greeting": "done"}]
    config["numbers"] += [{"number": NIGHT, "application": "mailbox", "target": "night"}, {"number": SALES, "application": "queue", "target": "sales"}]
    config["queues"][0].update(strategy="ring_all", announce_position_s=0, callback={"enabled": True, "key": "*", "prefix": "9"})
    for agent in config["agents"]:
        if agent["name"] == "1002":
            agent["queues"] = [{"queue": config["queues"][0]["name"]}]
    house.product.post("/configuration/apply", running)
    phone = house.phone("1002", answer="manual", waiting=True)
    house.wait(lambda s: any(a["name"] == "1002" and a["registered"] for a in s["agents"]), WAIT_S, "agent 1002's phone")
    yield phone
    house.far.policy()


def test_all_ring_and_the_others_are_told_that_it_was_answered_elsewhere(house, second):
    house.available("1002")
    house.wait_agent_idle("1002", WAIT_S)
    house.wait_agent_idle("1001", WAIT_S)
    mark = second.mark()
    name = house.place(span=1, called=SALES)
    second.wait_for("incoming", WAIT_S, since=mark)
    call = house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking"), None), WAIT_S, "the first answer")
    assert call["agent"] == "1001"              # its telephone answers by itself
    second.wait_for("closed", WAIT_S, since=mark)
    house.far.hangup(name)
    records = house.cdr(call["call"], WAIT_S)["records"]
    ended = [(r["agent"], r["data"]["outcome"]) for r in records if r["kind"] == "agent.offer_ended"]
    assert ended == [("1002", "elsewhere")]
    assert next(a for a in house.state()["agents"] if a["name"] == "1002")["status"] == "available"
    house.available("1002", "logged_out")


def test_a_caller_leaves_and_is_called_back_after_a_kill_of_control(house, second):
    house.available("1001", "on_break")
    name = house.place(span=1, called=SALES)
    house.far.wait_for("connect", WAIT_S, id=name)
    house.wait(lambda s: s["queues"][0]["waiting"] == 1, WAIT_S, "the caller in the queue")
    house.far.dtmf(name, "*")
    house.wait(lambda s: s["callbacks"] and s["callbacks"][0]["position"] == 1, WAIT_S, "the callback in the caller's place")
    house.far.wait_for("released", WAIT_S, id=name)
    house.far.wait_for("record_closed", WAIT_S, id=name)
    heard = wav.read_mono(house.folder / f"{name}.wav")
    assert align.compare(wav.read_mono(PROMPTS / "en" / "callback_promised.wav"), heard).correlation >= 0.95
    house.kill("control")
    house.wait(lambda s: s["callbacks"] and s["callbacks"][0]["position"] == 1, WAIT_S, "the place after the kill")
    house.far.policy(alerting_ms=100, answer_ms=300)
    far_mark = house.far.mark()
    house.wait(lambda s: any(a["name"] == "1001" and a["registered"] for a in s["agents"]), WAIT_S, "agent 1001's phone after the kill")
    house.available("1001")
    incoming = house.far.wait_for("incoming", WAIT_S, since=far_mark)
    assert (incoming["called"], incoming["caller"], incoming["span"]) == (CALLER, SALES, 2)
    call = house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking" and c["callback"]), None), WAIT_S, "the called caller")
    assert call["agent"] == "1001" and not house.state()["callbacks"]
    house.far.hangup(incoming["id"])
    cdr = house.cdr(call["call"], WAIT_S)["cdr"]
    assert (cdr["application"], cdr["caller"], cdr["result"], cdr["out_span"]) == ("callback", CALLER, "answered", 2)
    house.wait_idle(WAIT_S)


def test_a_message_is_left_lights_the_lamp_and_can_be_heard(house, second):
    says = house.files["caller"]
    name = house.place(span=1, called=NIGHT, play=None)
    house.far.wait_for("connect", WAIT_S, id=name)
    house.wait(lambda s: next((c for c in s["calls"] if c["mailbox"] and c["mailbox"]["step"] == "record"), None), 60, "the recording of the message")
    house.far.play(name, says)
    call = house.newest_call()["call"]
    house.kill("control")                       # media records on
    house.wait(lambda s: next((c for c in s["calls"] if c["call"] == call and c["mailbox"]["step"] == "record"), None), WAIT_S, "the message after the kill")
    time.sleep(2.5)                             # some speech
    house.far.hangup(name)
    row = house.wait(lambda s: next((box for box in s["mailboxes"] if box["new"] == 1), None), WAIT_S, "the new message")
    assert row["mailbox"] == "night"
    message, = house.product.get("/mailboxes/night")["messages"]
    assert message["caller"] == CALLER and message["duration_ms"] >= 2000 and message["call"] == call
    lamp = re.compile(r"Messages-Waiting: yes.*?Voice-Message: 1/0", re.S)
    house.wait(lambda s: lamp.search(second.log()), WAIT_S, "the lamp of baresip (RFC 3842)")
    house.product.post("/messages/%s" % message["message"], {"state": "read"})
    house.wait(lambda s: "Voice-Message: 0/1" in second.log(), WAIT_S, "the lamp goes out")
    assert house.cdr(call, WAIT_S)["cdr"]["result"] == "voicemail"
    house.product.post("/messages/%s/delete" % message["message"], {})
    assert house.product.get("/mailboxes/night")["messages"] == []
