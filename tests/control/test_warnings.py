"""The traffic early warning and messages to agents: on the switchboard with replay after every step, and through a house with mail."""

import asyncio
import threading

import pytest

from firmware.acd import thresholds
from firmware.config import warnings
from tests.control import test_mailer
from tests.control.desk_rig import DeskHouse, prepared, run
from tests.control.test_acd import answer, ring, world

ROW = {"name": "w", "label": "Sales waits", "enabled": True, "queue": "sales", "figure": "waiting", "when": "above", "limit": 1, "clear": 0, "for_s": 10, "interval_min": 30,
       "least": 2, "severity": "major", "plan": "p"}
PLAN = {"name": "p", "steps": [{"after_min": 0, "mail": ["a@example.org"], "agents": ["1003"], "teams": []},
                               {"after_min": 5, "mail": ["boss@example.org"], "agents": [], "teams": ["red"]}]}


def watched(plans=(PLAN,), **row):
    rig = world(sales={"max_wait_s": 3000})
    rig.sb.configure(dict(rig.config, thresholds=[dict(ROW, **row)], escalation_plans=list(plans), teams=[{"name": "red", "agents": ["1001", "1002"], "queues": ["sales"]}]),
                     rig.now)
    rig.config = rig.sb.core.config
    rig.settle()
    for name in ("1001", "1002", "1003"):
        rig.do("agent.status", agent=name, status="on_break")
    return rig


def kinds(rig):
    return [r["kind"].split(".")[1] for r in rig.journal if r["kind"].startswith("threshold.")]


def look(rig, ms=0, **counted):
    rig.wait(ms)
    rig.do("figures.look", counted=counted)
    return rig.sb.snapshot(rig.now)["thresholds"][0]


def test_an_alarm_lasts_before_it_is_raised_and_ends_with_hysteresis():
    rig = watched()
    assert look(rig)["state"] == "ok"
    ring(rig, "p1")
    assert look(rig)["state"] == "ok", "at the limit nothing is raised"
    ring(rig, "p2")
    assert look(rig, 1000)["state"] == "pending"
    rig.hang_up("p2")
    assert look(rig, 5000)["state"] == "ok" and kinds(rig) == ["crossed", "back"]
    ring(rig, "p3")
    look(rig)
    rig.kill()
    assert look(rig, 9000)["state"] == "pending"
    row = look(rig, 1000)
    assert row["state"] == "raised" and row["value"] == 2 and 10000 <= rig.now - row["since_ms"] < 11000
    rig.hang_up("p3")
    assert look(rig, 1000)["state"] == "raised", "one caller waits: not over before 0"
    rig.kill()
    rig.hang_up("p1")
    assert look(rig, 1000)["state"] == "ok" and kinds(rig)[-1] == "cleared"
    assert len([r for r in rig.journal if r["kind"] == "threshold.raised"]) == 1


def raised(**row):
    rig = watched(for_s=0, **row)
    ring(rig, "p1"), ring(rig, "p2")
    look(rig)
    return rig


def test_the_plan_goes_up_step_by_step_until_a_person_acknowledges():
    rig = raised()
    told = [r["data"]["to"] for r in rig.journal if r["kind"] == "notice.queued"]
    sent = [r["data"]["agents"] for r in rig.journal if r["kind"] == "broadcast.sent"]
    assert told == [["a@example.org"]] and sent == [["1003"]]
    rig.kill()
    look(rig, 295000)
    assert len([r for r in rig.journal if r["kind"] == "threshold.escalated"]) == 1, "no step twice"
    look(rig, 5000)
    assert [r["data"]["to"] for r in rig.journal if r["kind"] == "notice.queued"][1] == ["boss@example.org"]
    assert [r["data"]["agents"] for r in rig.journal if r["kind"] == "broadcast.sent"][1] == ["1001", "1002"]
    rig.hang_up("p1"), rig.hang_up("p2")
    look(rig, 1000)
    assert [r["data"]["to"] for r in rig.journal if r["kind"] == "notice.queued"][2] == ["a@example.org", "boss@example.org"], "who was told hears that it is over"
    assert "恢复" in rig.journal[-1]["data"]["subject"] or "恢复" in [r for r in rig.journal if r["kind"] == "notice.queued"][-1]["data"]["subject"]


def test_acknowledged_it_goes_no_further_and_stays_until_it_is_over():
    rig = raised()
    assert "no alarm" in rig.command("command.threshold_ack", threshold="x")
    assert rig.command("command.threshold_ack", threshold="w", by="sue", note="I call two more") is None
    assert "by sue" in rig.command("command.threshold_ack", threshold="w", by="bob")
    rig.kill()
    row = look(rig, 900000)
    assert row["state"] == "raised" and row["acked"]["by"] == "sue" and row["step"] == 1
    rig.sb.configure(dict(rig.config, thresholds=[]), rig.now)
    rig.config = rig.sb.core.config
    rig.settle()
    rig.do("figures.look")
    assert kinds(rig)[-1] == "cleared" and rig.journal[-1]["data"]["why"] == "removed"


@pytest.mark.parametrize("figure, when, limit, counts, state", [
    ("service_level", "below", 80, {"events": 10, "events_answered": 7, "events_abandoned": 1}, "raised"),      # 7/9 = 77.8 %
    ("service_level", "below", 77, {"events": 10, "events_answered": 7, "events_abandoned": 1}, "ok"),
    ("service_level", "below", 80, {"events": 1, "events_answered": 0}, "ok"),                                  # too few
    ("abandon_rate", "above", 5, {"queued": 20, "abandoned": 2}, "raised"), ("abandon_rate", "above", 10, {"queued": 20, "abandoned": 2}, "ok"),
    ("agents_ready", "below", 1, {}, "raised"), ("agents_logged_in", "below", 1, {}, "ok"), ("expected_wait", "above", 5, {}, "ok"),
    ("longest_wait", "above", 3, {}, "ok"), ("callbacks", "above", 0, {}, "ok")])
def test_the_figures(figure, when, limit, counts, state):
    rig = watched(figure=figure, when=when, limit=limit, clear=-1, for_s=0, plan="")
    assert look(rig, 0, sales={"30": counts})["state"] == state


def test_the_longest_wait_is_looked_at():
    rig = watched(figure="longest_wait", limit=5, clear=-1, for_s=0, plan="")
    ring(rig, "p1")
    assert look(rig, 5000)["state"] == "ok" and look(rig, 1000)["state"] == "raised"


def test_judging_needs_no_clock_of_its_own():
    row = dict(ROW, for_s=0)
    assert thresholds.judge(row, 2, None, 5) == "raised" and thresholds.judge(row, None, None, 5) is None
    assert thresholds.judge(row, None, {"state": "raised"}, 5) == "cleared" and thresholds.shown("service_level", 77.8) == "77.8 %"


def test_references_are_checked():
    result = {"queues": [{"name": "sales"}], "agents": [{"name": "1001"}], "teams": [], "mail": {"host": ""},
              "thresholds": [dict(ROW, queue="x", plan="y"), dict(ROW, plan="", clear=5), dict(ROW, plan="", figure="service_level", limit=300), dict(ROW, plan="", interval_min=20)],
              "escalation_plans": [{"name": "p", "steps": [{"after_min": 5, "mail": ["a@b.de", "x"], "agents": ["9"], "teams": "z"},
                                                           {"after_min": 1, "mail": 5, "agents": [], "teams": []}]}]}
    assert [error.path for error in warnings.check(result)] == [
        "thresholds[0].queue", "thresholds[0].plan", "thresholds[1].clear", "thresholds[2].limit", "thresholds[3].interval_min",
        "escalation_plans[0].steps[0].agents[0]", "escalation_plans[0].steps[0].teams", "escalation_plans[0].steps[0].mail[1]", "escalation_plans[0].steps[0].mail",
        "escalation_plans[0].steps[1].after_min", "escalation_plans[0].steps[1].mail"]


def test_a_message_is_kept_until_each_has_seen_it():
    rig = watched()
    assert "nobody" in rig.command("command.broadcast", text="x", agents=[])
    assert "no team blue" in rig.command("command.broadcast", text="x", teams=["blue"])
    assert rig.command("command.broadcast", text="开会", teams=["red"], agents=["1003"], by="sue", urgent=True) is None
    name = rig.sb.answer["broadcast"]
    assert rig.sb.answer["agents"] == ["1001", "1002", "1003"]
    rig.kill()
    for agent in ("1001", "1003"):
        assert rig.command("command.broadcast_seen", broadcast=name, agent=agent) is None
    assert "does not wait" in rig.command("command.broadcast_seen", broadcast=name, agent="1001")
    row, = rig.sb.snapshot(rig.now)["broadcasts"]
    assert (row["agents"], row["seen"], row["text"]) == (["1002"], ["1001", "1003"], "开会")
    assert rig.command("command.broadcast_seen", broadcast=name, agent="1002") is None
    assert rig.sb.snapshot(rig.now)["broadcasts"] == []
    rig.command("command.broadcast", text="later", queues=["sales"], expires_s=60)
    rig.kill()
    rig.wait(60000)
    assert rig.journal[-1]["kind"] == "broadcast.ended" and rig.journal[-1]["data"]["agents"] == ["1001", "1002", "1003"]
    rig.command("command.broadcast", text="wrong", agents=["1001"])
    assert rig.command("command.broadcast_withdraw", broadcast=rig.sb.answer["broadcast"]) is None
    assert answer and rig.sb.snapshot(rig.now)["broadcasts"] == []


def test_through_the_house_with_mail_list_acknowledgement_and_a_kill(site, monkeypatch):
    from firmware.control import watch
    monkeypatch.setattr(watch, "LOOK_S", 0.02)
    monkeypatch.setattr(watch, "COUNT_S", 0.0)
    monkeypatch.setattr(watch, "AGAIN_S", (0, 0, 0))
    server = test_mailer.Server(refuse=1)

    def configure(config):
        prepared(config)
        config["mail"] = {"host": "127.0.0.1", "port": server.server_address[1], "from": "switch@example.org"}
        config["teams"] = [{"name": "red", "agents": ["1001", "1002"], "queues": ["sales"]}]
        config["users"] = [{"name": "sue", "role": "supervisor", "teams": ["red"]}, {"name": "anna", "role": "agent", "agent": "1001"}]
        config["escalation_plans"] = [{"name": "p", "steps": [{"mail": ["team@example.org"], "teams": ["red"]}, {"after_min": 60, "mail": ["boss@example.org"]}]}]
        config["thresholds"] = [{"name": "busy", "label": "太忙", "queue": "sales", "figure": "waiting", "limit": 0, "severity": "critical", "plan": "p"},
                                {"name": "sl", "queue": "sales", "figure": "service_level", "when": "below", "limit": 80, "least": 1, "severity": "minor"}]

    async def scenario():
        async with DeskHouse(site, configure, [watch.Watch]) as desk:
            for name in ("1001", "1002"):
                await desk.ask("PUT", "/v1/agents/%s/status" % name, {"status": "on_break"})
            desk.call("p1")
            await desk.until(lambda: desk.state()["thresholds"][0]["state"] == "raised")
            await desk.until(lambda: len(server.mails) == 1 and not desk.house.switchboard.core.state.notices)
            rows = (await desk.ask("GET", "/v1/thresholds", user="sue"))["thresholds"]
            assert (rows[0]["state"], rows[0]["value"], rows[0]["step"], rows[1]["state"]) == ("raised", 1, 1, "ok")
            assert (await desk.refused("GET", "/v1/thresholds", user="anna")).status == 403
            message, = (await desk.ask("GET", "/v1/broadcasts", user="anna"))["broadcasts"]
            assert "排队人数" in message["text"] and message["urgent"]
            assert (await desk.refused("POST", "/v1/broadcasts/%s/seen" % message["broadcast"], {"agent": "1002"}, "anna")).status == 403
            await desk.ask("POST", "/v1/broadcasts/%s/seen" % message["broadcast"], {}, "anna")
            assert (await desk.ask("GET", "/v1/broadcasts", agent="1001"))["broadcasts"] == []
            for body, word in (({"text": "x", "teams": ["blue"]}, "teams"), ({"text": "x", "agents": ["1003"]}, "teams")):
                assert word in str(await desk.refused("POST", "/v1/broadcasts", body, "sue"))
            assert (await desk.ask("POST", "/v1/broadcasts", {"text": "Lunch later", "queues": ["sales"], "teams": ["red"]}, "admin"))["agents"]
            for body, word in (({"text": ""}, "text"), ({"text": "x", "agents": "1001"}, "agents"), ({"text": "x", "expires_s": 1}, "expires_s"),
                               ({"text": "x", "urgent": 1}, "urgent"), ({"text": "x"}, "nobody"), ({"text": "x", "agents": ["9"]}, "no agent 9")):
                assert word in str(await desk.refused("POST", "/v1/broadcasts", body)).lower()
            assert (await desk.refused("POST", "/v1/thresholds/x/acknowledge", {})).status == 404
        async with DeskHouse(site, None, [watch.Watch]) as desk:        # control comes back: the alarm stands, nobody is told twice
            assert desk.state()["thresholds"][0]["state"] == "raised"
            await desk.ask("POST", "/v1/thresholds/busy/acknowledge", {"note": "two more come"}, "sue")
            assert (await desk.refused("POST", "/v1/thresholds/busy/acknowledge", {}, "sue")).status == 409
            desk.hang_up("p1")
            await desk.until(lambda: desk.state()["thresholds"][0]["state"] == "ok")
            await desk.until(lambda: len(server.mails) == 2 and not desk.house.switchboard.core.state.notices)
            row, = (await desk.ask("GET", "/v1/thresholds/history"))["alarms"]
            assert (row["name"], row["acked_by"], row["step"], row["limit"]) == ("busy", "sue", 1, 0) and row["cleared_ms"] >= row["raised_ms"]
            assert len(desk.records("threshold.raised")) == 1 and len(desk.records("threshold.escalated")) == 1
            assert (await desk.ask("GET", "/v1/health"))["turns"]["exceptions"] == 0
    try:
        run(scenario())
    finally:
        server.shutdown()
        server.server_close()
    assert [to for to, _ in server.mails] == [["<team@example.org>"]] * 2
    assert "告警" in server.mails[0][1]["Subject"] and "太忙" in server.mails[0][1]["Subject"] and "恢复" in server.mails[1][1]["Subject"]


def test_callers_are_counted_beside_the_loop_in_one_view_and_an_api_that_asks_counts_nothing(site, monkeypatch):
    from firmware.control import watch
    monkeypatch.setattr(watch, "LOOK_S", 0.02)
    monkeypatch.setattr(watch, "COUNT_S", 0.0)
    sums, threads, held, go_on = watch.Figures.sums, [], threading.Event(), threading.Event()
    go_on.set()

    def slow(*args):
        threads.append(threading.get_ident())
        held.set()
        assert go_on.wait(30)
        return sums(*args)
    monkeypatch.setattr(watch.Figures, "sums", slow)

    def configure(config):
        prepared(config)
        config["thresholds"] = [{"name": "lost", "queue": "sales", "figure": "abandon_rate", "limit": 90, "least": 1, "severity": "minor"}]

    async def scenario():
        async with DeskHouse(site, configure, [watch.Watch]) as desk:
            watcher = next(adapter for adapter in desk.house.adapters if adapter.name == "watch")

            def queued():
                return watcher.counted.get("sales", {}).get("30", {}).get("queued")
            for name in ("1001", "1002"):
                await desk.ask("PUT", "/v1/agents/%s/status" % name, {"status": "on_break"})
            desk.call("p1")
            await desk.until(lambda: queued() == 1)
            go_on.clear()
            held.clear()
            await asyncio.to_thread(held.wait, 30)          # counting has its view, and the loop is free
            before, counted = len(threads), watcher.counted
            desk.call("p2")
            await desk.until(lambda: len(desk.records("queue.entered")) == 2)
            row, = (await desk.ask("GET", "/v1/thresholds"))["thresholds"]
            assert row["value"] == 0 and len(threads) == before and watcher.counted is counted
            go_on.set()
            await desk.until(lambda: watcher.counted is not counted)
            assert queued() == 1, "what was committed meanwhile is of another view"
            await desk.until(lambda: queued() == 2)
            assert threading.get_ident() not in threads
    run(scenario())
