"""Announcements that are switched on: heard by callers of a number, a queue, the house; over a kill.

The rig replays the whole journal after every step and compares, so each of these tests is one of replay too."""

import asyncio
import copy

import pytest

from firmware.config.schema import check
from firmware.control.client import ControlClient, ControlError
from tests.control.switchboard_rig import CONFIG, Rig

SALES, BOSS = "02150801001", "02150801002"


def world(**row):
    config = copy.deepcopy(CONFIG)
    config["announcements"] = [dict({"name": "outage", "prompt": "outage"}, **row)]
    rig = Rig(config)
    assert rig.command("command.announcement", name="outage", on=True, by="chief") is None
    return rig


NOTICE = ["outage zh_CN", "outage en"]


def test_the_switch_is_recorded_once_and_outlives_a_kill_and_a_checkpoint():
    rig = world()
    assert rig.command("command.announcement", name="outage", on=True) is None          # is on already
    assert "no announcement fire" in rig.command("command.announcement", name="fire", on=True)
    rows = [record["data"] for record in rig.journal if record["kind"] == "announcement.switched"]
    assert rows == [{"name": "outage", "on": True, "by": "chief"}]
    rig.kill()
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.sb = rig.replayed(rig.journal[-1:])
    assert [(row["on"], row["by"]) for row in rig.sb.snapshot()["announcements"]] == [(True, "chief")]
    assert rig.command("command.announcement", name="outage", on=False) is None
    rig.offer()
    assert rig.call()["state"] == "ivr"


def test_a_caller_of_the_house_hears_it_whole_and_then_goes_on():
    rig = world()
    rig.offer()
    assert rig.call()["state"] == "announcing" and rig.heard() == NOTICE and rig.call()["answered_ms"]
    assert not rig.press("1")
    rig.kill()                                                  # media plays on
    assert rig.heard() == NOTICE and len(rig.actions_of("media.signal")) == 1
    rig.played()
    assert rig.call()["state"] == "ivr"
    rig.press("1")
    assert rig.call()["state"] == "queued"                      # once in a call
    rig.hang_up()
    rig.finished()


def test_it_is_said_again_where_media_does_not_play_it_after_a_kill():
    rig = world()
    rig.offer(called=BOSS)
    rig.media["signals"].clear()
    rig.kill()
    assert rig.heard() == NOTICE
    rig.played(reason="error")                                  # no such prompt: the caller goes on
    assert rig.last("leg.create")["line"] == "2001" and rig.heard() == ["ringback"]
    rig.hang_up()
    rig.finished()


def test_callers_are_cleared_where_it_says_so():
    rig = world(then="clear", numbers=[SALES])
    rig.offer("p1", called=SALES)
    rig.offer("p2", called=BOSS, timeslot=2)
    assert rig.call(1)["state"] == "ringing"
    rig.played("p1")
    assert rig.cdrs[0]["result"] == "self_service" and rig.cdrs[0]["cause"] == 16
    rig.hang_up("p2")
    rig.finished()


def test_on_the_way_into_a_queue_nobody_rings_before_it_is_heard():
    rig = world(queues=["sales"])
    rig.offer()
    assert rig.call()["state"] == "ivr"
    rig.press("1")
    assert rig.call()["state"] == "announcing" and not rig.actions_of("leg.create")
    rig.wait(700000)                                            # media never says that it has ended
    assert [record["queue"] for record in rig.journal if record["kind"] == "queue.entered"] == ["sales"] and rig.actions_of("leg.create")
    rig.finished()


def test_hanging_up_while_it_plays():
    rig = world()
    rig.offer()
    rig.hang_up()
    rig.finished()


def test_one_that_the_configuration_loses_is_off():
    rig = world()
    rig.offer()
    for rows in ([], rig.config["announcements"]):
        rig.config = dict(rig.config, announcements=rows)
        rig.sb.configure(rig.config, rig.now)
        rig.settle()
    assert [row["on"] for row in rig.sb.snapshot()["announcements"]] == [False]
    rig.played()
    assert rig.call()["state"] == "ivr"


@pytest.mark.parametrize("row, path, words", (
    ({"queues": ["moon"]}, "queues[0]", "none of the queues"), ({"numbers": [["x"]]}, "numbers[0]", "none of the numbers"),
    ({"numbers": "1"}, "numbers", "square brackets"), ({"then": "sing"}, "then", "go_on")))
def test_the_settings_are_checked(row, path, words):
    errors = check({"announcements": [dict({"name": "outage", "prompt": "p"}, **row)]})[1]
    assert [error.path for error in errors] == ["announcements[0]." + path] and words in errors[0].advice


def test_over_the_api_and_a_restart(site):
    def switch(house):
        client = ControlClient(site.run)
        running = client.get("/v1/configuration")
        running["configuration"]["announcements"] = [{"name": "outage", "prompt": "goodbye"}]
        client.post("/v1/configuration/apply", running)
        assert client.post("/v1/announcements/outage", {"on": True, "by": "chief"}) == {"ok": True}
        for name, body, status in (("fire", {"on": True}, 404), ("outage", {"on": "yes"}, 422), ("outage", {}, 422), ("outage", {"on": True, "name": "x"}, 422)):
            with pytest.raises(ControlError) as caught:
                client.post("/v1/announcements/" + name, body)
            assert caught.value.status == status

    def look(house):
        row, = ControlClient(site.run).get("/v1/announcements")["announcements"]
        assert row["on"] and row["by"] == "chief" and row["then"] == "go_on"

    async def scenario():
        for act in (switch, look):
            house, media = site.whole()
            await house.start()
            try:
                await asyncio.wait_for(asyncio.to_thread(act, house), 20)
            finally:
                await house.stop()
    asyncio.run(scenario())


def waiting(**row):
    """Two callers wait in sales, the announcement is off."""
    rig = world(**row)
    rig.command("command.announcement", name="outage", on=False)
    for agent in ("1001", "1002", "1003"):
        rig.do("agent.status", agent=agent, status="on_break", reason="r")
    for leg in ("p1", "p2"):
        rig.offer(leg, called=SALES, timeslot=int(leg[1:]))
        rig.played(leg)
    return rig


def test_who_waits_already_hears_it_and_keeps_the_place():
    rig = waiting(queues=["sales"])
    assert rig.heard("p1") == ["default"] == rig.heard("p2")
    rig.command("command.announcement", name="outage", on=True)
    assert rig.heard("p1") == NOTICE == rig.heard("p2") and rig.call(1)["position"] == 2
    rig.kill()
    rig.played("p1")
    assert rig.heard("p1") == ["default"]
    rig.command("command.announcement", name="outage", on=False)
    rig.command("command.announcement", name="outage", on=True)
    assert rig.heard("p1") == ["default"]                       # once in a call


def test_who_waits_already_is_cleared_with_it():
    rig = waiting(then="clear")
    rig.command("command.announcement", name="outage", on=True)
    assert rig.heard("p1") == NOTICE and rig.queue("sales")["waiting"] == 0
    rig.played("p1")
    rig.played("p2")
    rig.finished()
    assert [cdr["result"] for cdr in rig.cdrs] == ["overflow", "overflow"]


def test_who_comes_by_overflow_hears_that_of_the_new_queue():
    rig = waiting(queues=["service"])
    rig.config["queues"][0]["overflow"] = [{"when": "wait", "limit": 30, "to": "queue", "target": "service"}]
    rig.sb.configure(rig.config, rig.now)
    rig.settle()
    rig.command("command.announcement", name="outage", on=True)
    rig.offer("p3", called=SALES, timeslot=3)
    rig.played("p3")
    rig.wait(31000)
    assert rig.call(2)["queue"] == "service" and rig.heard("p3") == NOTICE
