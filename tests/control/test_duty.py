"""Persons on duty, calendars, lists of callers, account owners, callbacks beside callers: on the switchboard.

The rig replays the whole journal after every step and compares, so each of these tests is one of replay too."""

import asyncio
import copy
import http.server
import json
import sqlite3
import threading
import time

import pytest

from firmware.call import calendar
from firmware.config.schema import check
from firmware.links import lookups
from tests.control.switchboard_rig import Rig
from tests.control.test_acd import SALES, to
from tests.control.test_outside import config as outside_config

NIGHT = "02150801008"


def world(queue=None, **parts):
    config = copy.deepcopy(outside_config())
    config["queues"][0].update(queue or {}, announce_position_s=0)
    config["mailboxes"] = [{"name": "night"}]
    config["duty"] = [{"name": "night", "rounds": 2, "confirm_key": "1", "confirm_s": 10, "mailbox": "night", "steps": [
        {"to": "number", "target": "913900000001", "ring_s": 20}, {"to": "line", "target": "2001", "ring_s": 15}]}]
    config["numbers"].append({"number": NIGHT, "application": "duty", "target": "night"})
    config.update(parts)
    for agent in config["agents"]:
        agent["queues"], agent["wrap_up_s"] = [{"queue": "sales"}], 0
    rig = Rig(config)
    for span in (1, 2, 3):
        rig.do("span.state", span=span, state="up", alarms=[])
    return rig


def created(rig):
    action = rig.last("leg.create")
    return action["line"] or action["called"]["number"], action["leg"]


# Persons on duty.

def test_the_second_person_takes_the_call_by_the_key_over_a_kill():
    rig = world()
    rig.offer("p1", called=NIGHT)
    number, leg = created(rig)
    assert number == "13900000001" and rig.adapter["p1"] == "answered" and rig.heard("p1") == ["ringback"]
    rig.do("leg.alerting", leg=leg)
    rig.wait(21000)                             # the time limit of the step
    line, leg = created(rig)
    assert line == "2001"
    rig.do("leg.answered", leg=leg)
    assert rig.heard(leg)[0] == "duty_confirm zh_CN" and not rig.media["bridges"] and rig.call()["state"] == "ringing"
    assert not rig.press("1", "p1")             # the caller's keys are nobody's
    rig.kill()
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.sb = rig.replayed(rig.journal[-1:])
    rig.press("1", leg)
    assert sorted(list(rig.media["bridges"].values())[0]) == sorted(["p1", leg]) and leg not in rig.media["signals"]
    rig.wait(3000)
    rig.hang_up("p1")
    assert rig.cdrs[-1]["result"] == "answered" and rig.cdrs[-1]["talk_ms"] == 3000 and rig.cdrs[-1]["agent_answered_ms"]
    rig.media["recordings"].clear()
    rig.wait(70000)
    rig.finished()


def test_no_key_another_key_busy_nobody_at_all_then_the_mailbox():
    rig = world()
    rig.offer("p1", called=NIGHT)
    rig.do("leg.answered", leg=created(rig)[1])
    rig.wait(10100)                             # an answering machine presses no key
    rig.do("leg.answered", leg=created(rig)[1])
    rig.press("9", created(rig)[1])             # will not
    number, leg = created(rig)
    assert number == "13900000001"              # second round
    rig.do("leg.released", leg=leg, cause=17, by="far")
    rig.do("line.unregistered", line="2001") if created(rig)[0] != "2001" else None
    rig.do("leg.released", leg=created(rig)[1], cause=21, by="far")
    assert rig.call()["state"] == "mailbox" and rig.heard("p1")[0] == "voicemail_greeting zh_CN"
    assert [record["data"]["target"] for record in rig.journal if record["kind"] == "duty.step"] == ["913900000001", "2001"] * 2
    rig.hang_up("p1")


def test_no_trunk_nobody_registered_no_mailbox():
    rig = world()
    rig.config["duty"][0]["mailbox"] = ""
    for span in (1, 2, 3):
        rig.do("span.state", span=span, state="down", alarms=[])
    rig.do("line.unregistered", line="2001")
    rig.offer("p1", called=NIGHT)
    assert rig.heard("p1") == ["busy"]
    rig.wait(6000)
    rig.finished()
    assert rig.cdrs[0]["result"] == "no_answer"


def test_a_closed_queue_gives_its_callers_to_the_person_on_duty_who_hangs_up():
    rig = world({"hours": [{"days": "7", "from": "01:00", "to": "02:00"}], "overflow": [to("closed", "night", kind="duty")]})
    rig.offer("p1", called=SALES)
    number, leg = created(rig)
    assert number == "13900000001"
    rig.do("leg.answered", leg=leg)
    rig.hang_up(leg)                            # without the key: the next one
    assert created(rig)[0] == "2001"
    rig.hang_up("p1")
    rig.wait(1000)
    rig.finished()


# Calendars.

def test_days_and_hours_of_a_calendar():
    days = [{"date": "2025-10-01", "to": "2025-10-07"}, {"date": "12-24", "from_time": "09:00", "to_time": "12:00"}, {"date": "12-30", "to": "01-02"}]
    found = [calendar.day_of(days, date) for date in ((2025, 9, 30), (2025, 10, 1), (2025, 10, 7), (2026, 10, 1), (2031, 12, 24), (2026, 1, 1), (2026, 1, 3))]
    assert [row and row["date"] for row in found] == [None, "2025-10-01", "2025-10-01", None, "12-24", "12-30", None]
    assert [calendar.is_open(days[1], minute) for minute in (539, 540, 719, 720)] == [False, True, True, False] and not calendar.is_open(days[0], 600)


def test_a_queue_is_closed_on_a_holiday_and_open_the_next_day():
    rig = world({"calendar": "cn"}, calendars=[{"name": "cn", "days": [{"date": "2025-07-31"}, {"date": "2025-08-01", "from_time": "09:00", "to_time": "10:00"}]}])
    assert rig.queue("sales")["open"] is False
    rig.offer("p1", called=SALES)
    assert rig.heard("p1")[0] == "goodbye zh_CN"
    rig.wait(24 * 3600000)
    assert rig.queue("sales")["open"] is False          # 08:00 of the day that opens at nine
    rig.wait(3600000)
    assert rig.queue("sales")["open"] is True
    rig.wait(24 * 3600000)
    assert rig.queue("sales")["open"] is True           # an ordinary day


# Lists of callers.

def test_blocked_callers_are_refused_or_told():
    rig = world(caller_lists=[{"name": "bad", "numbers": ["13900000xxx"], "treatment": "blocked", "priority": 9, "skills": {}, "prompt": ""},
                              {"name": "odd", "numbers": ["0044."], "treatment": "blocked", "priority": 9, "skills": {}, "prompt": "goodbye"}])
    rig.offer("p1", called=SALES, caller="13900000123")
    assert rig.last("leg.release")["cause"] == 21 and rig.cdrs[-1]["result"] == "rejected" and rig.cdrs[-1]["answered_ms"] is None
    rig.offer("p2", called=SALES, caller="004420123", timeslot=2)
    assert rig.heard("p2")[0] == "goodbye zh_CN"
    rig.played("p2")
    rig.offer("p3", called=SALES, caller="1390000012", timeslot=3)
    assert rig.call()["state"] == "queued"
    assert [record["data"]["list"] for record in rig.journal if record["kind"] == "call.blocked"] == ["bad", "odd"]


def test_a_white_list_lets_its_callers_in_and_nobody_else():
    """The first list that has the number decides; who shows no number is on none."""
    shape = {"priority": 9, "skills": {}, "prompt": ""}
    rig = world(caller_lists=[{"name": "ours", "numbers": ["13900000xxx"], "treatment": "allowed", **shape},
                              {"name": "all", "numbers": ["x."], "treatment": "blocked", **shape}])
    for number, (caller, taken) in enumerate((("13900000123", True), ("13900001123", False), ("5551", False))):
        leg = "w%d" % number
        rig.do("leg.offered", leg=leg, tech="pri", trunk_group="carrier", span=1, timeslot=1 + number, caller=caller, caller_presentation="allowed",
               called="02150801000", called_complete=True)
        assert (leg in rig.adapter) == taken, caller
        assert rig.sb.explain("02150801000", None, "carrier", rig.now, caller)["allowed"] == taken


def test_vips_are_served_first_by_who_can():
    rig = world(caller_lists=[{"name": "gold", "numbers": ["138."], "treatment": "vip", "priority": 8, "skills": {"vip": 2}, "prompt": ""}])
    for agent in rig.config["agents"]:
        agent["skills"] = {"vip": 2} if agent["name"] == "1003" else {}
    for name in ("1001", "1002", "1003"):
        rig.do("agent.status", agent=name, status="on_break", reason="r")
    for leg, caller in (("p1", "131"), ("p2", "13812345678")):
        rig.offer(leg, called=SALES, caller=caller, timeslot=int(leg[1:]))
    assert [(call["caller"], call["position"], call["priority"]) for call in rig.sb.snapshot(rig.now)["calls"]] == [("131", 2, 0), ("13812345678", 1, 8)]
    rig.do("agent.status", agent="1001", status="available")
    assert rig.call(0)["offered_agent"] == "1001"
    rig.do("agent.status", agent="1003", status="available")
    assert rig.call(1)["offered_agent"] == "1003"


# Account owners.

def owned(**queue):
    lookup = {"name": "crm", "kind": "http", "url": "http://x/{caller}", "timeout_ms": 800}
    return world(dict({"owner_lookup": "crm", "owner_wait_s": 30}, **queue), lookups=[lookup])


def test_the_owner_of_the_account_gets_the_call_and_is_waited_for():
    rig = owned()
    rig.offer("p1", called=SALES)
    ask = rig.last("lookup.ask")
    assert (ask["lookup"], ask["caller"]) == ("crm", "13912345678") and rig.actions_of("leg.create") == []
    assert rig.do("lookup.answered", call=ask["call"], lookup="crm", agent="1003")
    line, leg = created(rig)
    assert line == "1003"
    rig.do("leg.answered", leg=leg)
    rig.offer("p2", called=SALES, timeslot=2)
    rig.do("lookup.answered", call=rig.last("lookup.ask")["call"], lookup="crm", agent="1003")
    assert len(rig.actions_of("leg.create")) == 1               # busy: waited for
    rig.kill()
    rig.wait(30000)
    assert created(rig)[0] == "1001"


@pytest.mark.parametrize("answer", [{"agent": None, "error": "TimeoutError: x"}, {"agent": "nobody"}, None])
def test_without_an_answer_the_caller_goes_to_anybody(answer):
    rig = owned()
    rig.offer("p1", called=SALES)
    call = rig.last("lookup.ask")["call"]
    if answer is None:
        rig.kill()
        rig.wait(900)
        assert not rig.do("lookup.answered", call=call, lookup="crm", agent="1003")     # too late
    else:
        rig.do("lookup.answered", call=call, lookup="crm", **answer)
    assert created(rig)[0] == "1001"


class CRM(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = {"/139": b'{"agent": "1003"}', "/slow": b'{"agent": "1003"}', "/list": b"[]"}.get(self.path, b'{"name": 5}')
        if self.path == "/slow":
            self.server.gate.wait(30)
        self.send_response(200 if self.path != "/gone" else 500)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def test_questions_by_http_and_sqlite_end_in_time(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), CRM)
    server.gate = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = "http://127.0.0.1:%d/{caller}" % server.server_address[1]
    row = {"name": "crm", "kind": "http", "url": url, "field": "agent", "timeout_ms": 20000}
    told = []

    class Turns:
        def handle(self, event):
            told.append(event)

    class House:
        turns = Turns()
        data_dir = str(tmp_path)

        class config:
            @staticmethod
            def running():
                return {"lookups": [row]}

        @staticmethod
        def spawn(coroutine):
            tasks.append(asyncio.ensure_future(coroutine))
    tasks = []

    async def main():
        adapter = lookups.Lookups(House)
        for caller in ("139", "777", "gone", "list"):
            adapter.carry_out({"call": caller, "lookup": "crm", "caller": caller, "called": "1"}, 0)
        adapter.carry_out({"call": "c9", "lookup": "unknown", "caller": "1", "called": "1"}, 0)
        adapter.flush()
        await asyncio.gather(*tasks)
        row["timeout_ms"] = 50
        adapter.carry_out({"call": "slow", "lookup": "crm", "caller": "slow", "called": "1"}, 0)
        adapter.flush()
        await asyncio.gather(*tasks)
        adapter.stop()
    asyncio.run(main())
    server.gate.set()
    server.shutdown()
    server.server_close()
    answers = {event["call"]: (event["agent"], event["error"] is None) for event in told}
    assert answers == {"139": ("1003", True), "777": (None, True), "gone": (None, False), "list": (None, False), "c9": (None, False), "slow": (None, False)}
    db = sqlite3.connect(tmp_path / "crm.db")
    db.executescript("CREATE TABLE owner (number, agent); INSERT INTO owner VALUES ('139', '1002')")
    db.close()
    question = {"kind": "sqlite", "file": str(tmp_path / "crm.db"), "query": "SELECT agent FROM owner WHERE number = :caller"}
    assert lookups.ask(question, "139", "1", time.monotonic() + 60) == "1002" and lookups.ask(question, "138", "1", time.monotonic() + 60) is None
    with pytest.raises(sqlite3.Error):
        lookups.ask(dict(question, query="DELETE FROM owner"), "139", "1", time.monotonic() + 60)
    with pytest.raises(sqlite3.Error):
        lookups.ask(dict(question, query="WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"), "1", "1",
                    time.monotonic() + 0.2)


@pytest.mark.parametrize("blend, order", [("equal", ["callback", "131"]), ("inbound_first", ["131", "callback"]), ("outbound_first", ["callback", "131"])])
def test_callbacks_stand_to_callers_as_the_blend_says(blend, order):
    rig = world({"callback": {"enabled": True, "prefix": "9", "blend": blend}})
    for name in ("1001", "1002", "1003"):
        rig.do("agent.status", agent=name, status="on_break", reason="r")
    assert rig.command("command.callback", queue="sales", number="1390000") is None
    rig.wait(1000)
    rig.offer("p1", called=SALES, caller="131")
    places = sorted((call["position"], "callback" if call["callback"] else call["caller"]) for call in rig.sb.snapshot(rig.now)["calls"])
    assert [name for _, name in places] == order


@pytest.mark.parametrize("config, path, words", [
    ({"calendars": [{"name": "c", "days": [{"date": "2026-13-01"}]}]}, "calendars[0].days[0].date", "2026-10-01"),
    ({"calendars": [{"name": "c", "days": [{"date": "2026-10-05", "to": "2026-10-01"}]}]}, "calendars[0].days[0].to", "exchange"),
    ({"calendars": [{"name": "c", "days": [{"date": "10-05", "from_time": "09:00"}]}]}, "calendars[0].days[0].to_time", "both"),
    ({"caller_lists": [{"name": "v", "treatment": "vip", "numbers": ["12a"]}]}, "caller_lists[0].numbers[0]", "no number"),
    ({"caller_lists": [{"name": "v", "treatment": "vip", "skills": {"x": 11}}]}, "caller_lists[0].skills", "1 to 10"),
    ({"duty": [{"name": "d", "steps": []}]}, "duty[0].steps", "at least one"),
    ({"duty": [{"name": "d", "steps": [{"to": "line", "target": "9"}]}]}, "duty[0].steps[0].target", "no line"),
    ({"lookups": [{"name": "l", "kind": "sqlite"}]}, "lookups[0].file", "needs it"),
    ({"queues": [{"name": "q", "calendar": "x"}]}, "queues[0].calendar", "in calendars"),
    ({"queues": [{"name": "q", "owner_lookup": "x"}]}, "queues[0].owner_lookup", "in lookups")])
def test_what_cannot_be_is_said(config, path, words):
    errors = check(config)[1]
    assert errors[0].path == path and words in errors[0].advice
