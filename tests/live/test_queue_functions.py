"""Ring all, a callback that keeps the place, and voicemail with its lamp, on live calls through the whole house.

The callers are libpri's, the telephones baresip's; a callback goes out over the other span.  Control is killed between
the promise and the call."""

import json
import re
import socket
import time

import pytest
from selenium.webdriver.common.by import By

from hil.browser import Person
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


@pytest.mark.conformance("RFC 3842", "live baresip", "its lamp is told of a message that was left, and of its having been heard")
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


class Cti:
    """A business application on the CTI link."""

    def __init__(self, port, user, password):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        assert self.ask(do="log_in", user=user, password=password)["ok"]

    def ask(self, **request):
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            line = json.loads(self.lines.readline())
            if "ok" in line:
                return line

    def event(self, kind, **fields):
        """The next record of a kind with these fields."""
        while True:
            record = json.loads(self.lines.readline()).get("record") or {}
            if record.get("kind") == kind and all(record.get(name) == value for name, value in fields.items()):
                return record


def sees(person, selector, word):
    """Wait until a part of the page has a word."""
    deadline = time.monotonic() + WAIT_S
    while word not in (said := person.text(selector, WAIT_S)):
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    return said


def test_the_desk_of_an_agent_on_a_live_call_over_a_kill(house, second):
    """Who calls is known at ring in the CTI link and on the agent's page (Chromium, Chinese customer); disposition, note and ticket from the page;
    an alarm of the early warning on the live page; control is killed while the telephone rings."""
    running = house.product.get("/configuration")
    config = running["configuration"]
    config["queues"][0].update(strategy="longest_idle", dispositions=[{"code": "sold", "label": "成交"}, {"code": "later"}], disposition_required=True)
    config["ticket_templates"] = [{"name": "repair", "label": "报修", "fields": [{"name": "device", "type": "choice", "choices": ["modem", "phone"], "required": "open"}]}]
    config["thresholds"] = [{"name": "nobody", "label": "Nobody ready", "queue": config["queues"][0]["name"], "figure": "agents_ready", "when": "below", "limit": 1,
                             "severity": "major"}]
    config["users"] = [{"name": "bob", "role": "agent", "agent": "1002"}]
    house.product.post("/configuration/apply", running)
    assert house.product.post("/customers/import", {"csv": "name,numbers,company,level\n王小明,+86 139 1234 5678,华东商贸,VIP\n"})["added"] == 1
    house.product.post("/articles", {"title": "退款流程", "body": "三个工作日内退款。", "tags": ["售后"]})
    house.product.put("/users/bob/password", {"password": "bob has a desk"})
    for agent, status in (("1001", "logged_out"), ("1002", "available")):
        house.available(agent, status)
    house.wait_agent_idle("1002", WAIT_S)
    cti = Cti(house.cti_port, "admin", house.product.password)
    assert cti.ask(do="subscribe")["ok"]
    with Person(house.product.url) as person:
        person.sign_in("bob", "bob has a desk")
        for name in ("new", "again"):
            person.driver.find_element(By.NAME, name).send_keys("my own desk now")
        person.driver.find_element(By.CSS_SELECTOR, "main form button").click()
        person.see("#status", WAIT_S)
        assert person.driver.current_url.endswith("/desk"), "an agent comes to the own desk"
        mark = second.mark()
        name = house.place(span=1, called=SALES)
        record = cti.event("agent.popped", agent="1002")
        assert record["pop"]["customer"]["name"] == "王小明" and record["pop"]["caller"] == CALLER
        assert CALLER not in json.dumps(house.product.get("/calls/" + record["call"])["records"][-1]["data"])
        second.wait_for("incoming", WAIT_S, since=mark)
        sees(person, "#call", "王小明")
        house.kill("control")
        house.wait(lambda s: next((c for c in s["calls"] if c["call"] == record["call"] and c["offered_agent"] == "1002"), None), WAIT_S, "the ring after the kill")
        assert all("503" in complaint for complaint in person.complaints()), "what the page asked for while nobody answered"
        mark = second.mark()
        house.wait(lambda s: second.events("incoming", since=0), WAIT_S, "the telephone")
        deadline = time.monotonic() + WAIT_S
        while not any(c["state"] == "talking" for c in house.state()["calls"]):     # the ring from before the kill ends first
            assert time.monotonic() < deadline
            second.answer()
            time.sleep(0.5)
        call = house.wait_call("talking")
        assert (call["call"], call["agent"]) == (record["call"], "1002")
        sees(person, "#call", "华东商贸")
        house.product.post("/broadcasts", {"text": "请注意时间", "agents": ["1002"]})
        sees(person, "#me", "请注意时间")
        person.see("[data-seen]").click()
        house.wait(lambda s: not s["broadcasts"], WAIT_S, "the message was seen")
        person.see("#call textarea").send_keys("wants a call back")
        person.see("#call form[data-post$=notes] button").click()
        sees(person, "#call", "wants a call back")
        person.see("#call details summary").click()
        person.see("#call input[name=title]").send_keys("Modem is dead")
        person.see("#call select[data-type=choice]").send_keys("modem")
        person.see("#call form[data-ticket] button").click()
        sees(person, "#call", "Modem is dead")
        person.see("#search input").send_keys("退款")
        person.see("#search button").click()
        sees(person, "#articles", "退款流程")
        person.picture(house.folder / "desk.png")
        person.see("button[name=language][value=zh_CN]").click()
        sees(person, "#call", "最近通话")
        person.picture(house.folder / "desk-zh.png")
        house.far.hangup(name)
        house.wait(lambda s: next((a for a in s["agents"] if a["name"] == "1002" and a["undone"]), None), WAIT_S, "after-call work waits for the disposition")
        sees(person, "#me", "处理结果")
        person.see("#call form[data-post$=disposition] button").click()
        house.wait_agent_idle("1002", WAIT_S)
        assert not person.complaints(), person.complaints()
        person.driver.get(person.url + "/calls")
        assert call["call"] in person.text("main"), "the own calls"
        person.driver.get(person.url + "/configuration")
        assert "不可读取" in person.text("main"), "who reads Chinese is refused in Chinese"
        house.available("1002", "logged_out")
        house.wait(lambda s: s["thresholds"][0]["state"] == "raised", WAIT_S, "the early warning")
        person.driver.delete_all_cookies()
        person.sign_in("admin", house.product.password)
        sees(person, "#thresholds", "Nobody ready")
        person.picture(house.folder / "live.png")
        person.see("button[data-acknowledge]").click()
        sees(person, "#thresholds", "admin")
        person.driver.get(person.url + "/alarms")
        assert "Nobody ready" in person.text("#now") and "acknowledged by admin" in person.text("#now")
    found = house.product.get("/calls/%s/desk" % call["call"])
    assert [row["text"] for row in found["notes"]] == ["wants a call back"] and [row["code"] for row in found["dispositions"]] == ["sold"]
    assert [row["title"] for row in found["tickets"]] == ["Modem is dead"]
    assert house.product.post("/reports/check", {}) == {"differed": []}
