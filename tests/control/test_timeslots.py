"""The history of the timeslots: what calls and the signalling make of them, complete over a kill at any moment."""

import asyncio
import pathlib
import sqlite3

import pytest

from firmware.control.timeslots import service_of
from tests.control import test_pri_call as pri


async def history(house, part, span=1, timeslot=5):
    """[(state, why, call)] of a part, oldest first."""
    rows = await house.timeslots.ask(lambda store: store.of_timeslot(span, timeslot, 500))
    return [(row["state"], row["why"], row["call"]) for row in rows[::-1] if row["part"] == part]


async def called(house, far):
    call = far.call()
    await pri.settle()
    far.exchange()
    return call, house.state()["calls"][0]["call"]


async def hung_up(far, call):
    far.request("disconnect_request", call, cause=16)
    await pri.settle()
    far.exchange()


@pytest.mark.parametrize("kill_at", ["never", "before it is written", "after it is written", "when it is half over"])
def test_a_call_on_a_timeslot_is_told_once_over_a_kill(site, kill_at):
    async def scenario():
        house, media, far = await pri.house_with_far(site)
        await house.timeslots.write()
        call, name = await called(house, far)

        async def killed(house):
            pri.kill(house)
            house, _ = site.whole(media)
            await house.start()
            await pri.settle()
            far.house = house
            far.exchange()
            return house
        if kill_at == "when it is half over":
            house = await killed(house)
        await hung_up(far, call)
        if kill_at == "after it is written":
            await house.timeslots.write()
        if kill_at in ("before it is written", "after it is written"):
            house = await killed(house)
        assert await history(house, "call") == [("seized", "in", name), ("connected", None, name), ("idle", "cause 16", name)]
        assert house.turns.exceptions == 0
        await house.stop()
    pri.run(scenario())


def test_what_the_signalling_says_is_a_record_once_and_known_after_a_restart(site):
    async def scenario():
        house, media, far = await pri.house_with_far(site)
        house.timeslots.look()
        spans = house.adapters[0]
        house.turns.run("lock", spans.manage_channels, 1, "lock", [5, 6])
        house.timeslots.look()
        house.timeslots.look()
        kinds = [record["data"] for record in house.stores.journal.everything() if record["kind"] == "timeslots.service"]
        assert kinds[-1] == {"span": 1, "timeslots": [5, 6], "state": "locked", "why": ""} and len(kinds) == 3, "span 1, span 2, the lock"
        await house.stop()
        house, _ = site.whole(media)
        await house.start()
        await pri.settle()
        far.house = house
        far.exchange()
        house.timeslots.look()
        assert await history(house, "service") == [("in_service", "", None), ("locked", "", None)]
        house.turns.run("restart", house.adapters[0].manage_channels, 1, "restart", [7])
        far.exchange()
        await pri.settle()
        far.exchange()
        assert await history(house, "event", timeslot=7) == [("restarted", "out", None)] * 2, "when the link came up, and by hand"
        far.events += far.machine.restart(far.now(), [9])
        far.exchange()
        await pri.settle()
        assert await history(house, "event", timeslot=9) == [("restarted", "out", None), ("restarted", "in", None)]
        config = house.config.running()
        config = {**config, "spans": config["spans"][:1]}
        await house.apply_configuration(config, config["revision"])
        for _ in range(200):
            if [row["span"] for row in house.state()["spans"]] == [1]:
                break
            house.turns.expire()
            await asyncio.sleep(0.05)
        house.timeslots.look()
        assert (await history(house, "service", span=2))[-1] == ("unconfigured", "", None)
        await house.stop()
    pri.run(scenario())


def test_a_disk_that_refuses_costs_no_call_and_nothing_of_the_history(site):
    async def scenario():
        house, media, far = await pri.house_with_far(site)
        call, name = await called(house, far)
        real = house.timeslots._history.write

        def refuse(rows, seq):
            raise sqlite3.OperationalError("database or disk is full")
        house.timeslots._history.write = refuse
        await hung_up(far, call)
        await house.timeslots.write()
        assert any("history of the timeslots" in fault for fault in house.health()["faults"]) and house.state()["calls"] == []
        house.timeslots._history.write = real
        assert [row[0] for row in await history(house, "call")] == ["seized", "connected", "idle"]
        assert not any("history of the timeslots" in fault for fault in house.health()["faults"])
        await house.stop()
    pri.run(scenario())


def test_a_damaged_history_is_begun_anew_beside_calls(site):
    async def scenario():
        house, media, far = await pri.house_with_far(site)
        house.timeslots._note({"ts_ms": 5}, (1, 5), "call", "idle", "x" * 200_000)
        await house.timeslots.write()
        path = pathlib.Path(house.timeslots._history.path)
        await house.stop()
        octets = path.read_bytes()
        path.write_bytes(octets[:4096] + bytes(len(octets) - 4096))
        house, _ = site.whole(media)
        await house.start()
        await pri.settle()
        far.house = house
        far.exchange()
        await house.timeslots.check()
        _, name = await called(house, far)
        assert path.with_name("timeslots.db.damaged").exists() and (await history(house, "call"))[0] == ("seized", "in", name)
        assert house.turns.exceptions == 0 and not any("timeslots" in fault for fault in house.health()["faults"])
        await house.stop()
    pri.run(scenario())


def test_two_legs_on_one_timeslot_and_one_that_moves(site):
    """Glare (Q.931 5.7): the far end's call and ours meet; the timeslot is idle only when both have let go of it."""
    async def scenario():
        house, _, _ = await pri.house_with_far(site)
        await house.timeslots.write()
        slots, seq = house.timeslots, house.stores.journal.last_seq()
        for kind, leg, call, data in (("leg.created", "l90", "c90", {"span": 1, "timeslot": 5}), ("leg.offered", "l91", "c91", {"span": 1, "timeslot": 5}),
                                      ("leg.seized", "l90", "c90", {"span": 1, "timeslot": 6}), ("leg.answered", "l90", "c90", {}), ("leg.created", "l92", "c92", {"span": "sip", "timeslot": 1}),
                                      ("leg.releasing", "l91", "c91", {"cause": 17}), ("leg.released", "l91", "c91", {"cause": 17}), ("leg.released", "l90", "c90", {"cause": 16}), ("leg.released", "l92", "c92", {})):
            slots.committed([{"kind": kind, "seq": seq, "ts_ms": 5, "call": call, "leg": leg, "data": data}])
        assert await history(house, "call") == [("seized", "out", "c90"), ("seized", "in", "c91"), ("seized", "in", "c91"), ("clearing", "cause 17", "c91"), ("idle", "cause 17", "c91")]
        assert await history(house, "call", timeslot=6) == [("seized", "out", "c90"), ("connected", None, "c90"), ("idle", "cause 16", "c90")]
        assert not slots._legs and not slots._on
        await house.stop()
    pri.run(scenario())


UP = {"state": "up", "alarms": []}


@pytest.mark.parametrize("row, slot, told", [
    (UP, {"state": "idle"}, ("in_service", "")), (UP, {"state": "busy"}, ("in_service", "")),
    ({"state": "alarm", "alarms": ["los", "lfa"]}, {"state": "blocked"}, ("alarm", "los, lfa")), ({"state": "down", "alarms": []}, {"state": "blocked"}, ("down", "")),
    ({"state": "unknown", "alarms": []}, {"state": "blocked"}, None),
    (UP, {"state": "blocked", "service": {"near": "locked", "far": None}}, ("locked", "")), (UP, {"state": "busy", "service": {"near": "locked", "far": None}}, ("locked", "")),
    (UP, {"state": "blocked", "service": {"near": "restart_ignored", "far": None}}, ("out_of_service", "restart_ignored")),
    (UP, {"state": "blocked", "service": {"near": None, "far": "maintenance"}}, ("blocked", "maintenance")),
    (UP, {"state": "blocked", "blocked_by": ["near", "far"]}, ("locked", "")), (UP, {"state": "blocked", "blocked_by": ["far"]}, ("blocked", "")),
    (UP, {"state": "blocked", "blocked_by": ["far_hardware"]}, ("alarm", "far_hardware")), (UP, {"state": "blocked", "why": "blocking"}, ("locked", "")),
    (UP, {"state": "blocked", "why": "blocked"}, ("blocked", "")), (UP, {"state": "blocked", "why": "alarm"}, ("alarm", "alarm")),
    (UP, {"state": "blocked", "why": "not_acknowledged"}, ("out_of_service", "not_acknowledged")), (UP, {"state": "blocked"}, ("out_of_service", ""))])
def test_what_each_signalling_says_of_a_timeslot(row, slot, told):
    assert service_of(row, slot) == told
