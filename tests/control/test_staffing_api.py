"""How many agents are needed: over the API, from figures and from the weeks before."""

import asyncio
import json

import pytest

from firmware.cli.operations import _show_flows, _show_simulation, _show_staffing
from firmware.control import api_staffing
from firmware.control.client import ControlClient, ControlError

DAY_S = 86400


def test_from_figures_and_from_history(site):
    def look(house):
        client = ControlClient(site.run)
        found = client.get("/v1/staffing", calls=100, interval_s=1800, handle_s=180)
        assert (found["model"], found["agents"], found["planned"]) == ("erlang_c", 14, 14) and round(found["service_level"], 3) == 0.888
        found = client.get("/v1/staffing", calls=100, interval_s=1800, handle_s=180, patience_s=120, shrinkage=0.3)
        assert found["model"] == "erlang_a" and found["agents"] < 14 and found["planned"] > found["agents"]
        assert "agents (plan" in _show_staffing(found)
        for query, status in (({}, 422), ({"calls": "x", "handle_s": 1}, 400), ({"queue": "nobody", "day": "2025-11-24"}, 404),
                              ({"queue": "sales", "day": "soon"}, 422), ({"call": 1}, 400), ({"calls": 1e6, "interval_s": 60, "handle_s": 86400}, 409)):
            with pytest.raises(ControlError) as caught:
                client.get("/v1/staffing", **query)
            assert caught.value.status == status, query
        found = client.get("/v1/staffing", queue="sales", day="2025-11-24", weeks=3)
        nine = [row for row in found["intervals"] if row["calls"]]
        assert found["weeks"] == 2 and len(nine) == 1 and len(found["intervals"]) == 96
        # One week before 60 calls, two weeks before 30: (60 + 30 / 2) / (1 + 1 / 2) = 50 calls; each took 120 s.
        assert (nine[0]["calls"], nine[0]["handle_s"]) == (50.0, 120.0) and nine[0]["agents"] >= 8
        assert nine[0]["start_ms"] == house_midnight + 9 * 3600000
        assert "50.0 calls" in _show_staffing(found)
        for query, status in (({}, 422), ({"calls": 1, "handle_s": 1, "agents": 0}, 400), ({"day": "soon", "hour": 9}, 422), ({"calls": 1e6, "handle_s": 9, "agents": 9}, 422),
                              ({"day": "2025-11-24", "hour": 24}, 400), ({"day": "2025-11-24"}, 422)):
            with pytest.raises(ControlError) as caught:
                client.get("/v1/staffing/simulation", **query)
            assert caught.value.status == status, query
        found = client.get("/v1/staffing/simulation", day="2025-11-24", hour=9, weeks=3, runs=2)
        row = next(row for row in found["queues"] if row["queue"] == "sales")
        assert found["model"] == "simulation" and 30 <= row["calls"] <= 70 and row["handle_s"] == 120.0 and 0 <= row["service_level"] <= 1
        assert row["agents"] == len(house.switchboard.core.members["sales"]) and "in time" in _show_simulation(found)
        one = client.get("/v1/staffing/simulation", calls=100, handle_s=180, agents=14, runs=2)
        assert one["queues"][0]["agents"] == 14 and one["queues"][0]["service_level"] > 0.7

    async def scenario():
        nonlocal house_midnight
        house, media = site.whole()
        monday = 1763942400                                   # 2025-11-24, midnight UTC
        offset_s = house.utc_offset_ms(monday * 1000) // 1000
        house_midnight = (monday - offset_s) * 1000
        with house.database.transaction() as write:
            for week, calls in ((1, 60), (2, 30)):
                write.execute("INSERT INTO figures_queues (length, name, start_s, queued, handled, handle_ms) VALUES (900, 'sales', ?, ?, ?, ?)",
                              (monday - offset_s - week * 7 * DAY_S + 9 * 3600, calls, calls, calls * 120000))
        await house.start()
        try:
            await asyncio.wait_for(asyncio.to_thread(look, house), 60)
        finally:
            await house.stop()
    house_midnight = None
    asyncio.run(scenario())


def test_the_flows_with_the_calls_and_the_keys_of_the_weeks_before(site):
    """A menu of which the journal knows the keys; the version that is in force is named; what is wrong is said with flow and node."""
    monday = 1763942400

    def facts(house):
        config = house.config.running()
        number = next(row["number"] for row in config["numbers"] if row["application"] == "ivr")
        flow = next(row["target"] for row in config["numbers"] if row["number"] == number)
        menu = next(name for name, node in config["ivr"][flow]["nodes"].items() if node["type"] == "menu")
        return config, number, flow, menu, sorted(config["ivr"][flow]["nodes"][menu]["choices"])[0]

    def before(house):
        """Forty calls a week before, thirty of which pressed the first key."""
        config, number, flow, menu, key = facts(house)
        at_ms = monday * 1000 - house.utc_offset_ms(monday * 1000) + 9 * 3600_000 - 7 * DAY_S * 1000
        with house.database.transaction() as write:
            for call in range(40):
                write.execute("INSERT INTO cdr (number, call, started_ms, ended_ms, caller, called, body) VALUES (?, ?, ?, ?, '1', ?, ?)",
                              (100000 + call, "c%d" % (100000 + call), at_ms + call * 60_000, at_ms + call * 60_000 + 9000, number, json.dumps({"called": number})))
                for given in (None, {"digit": key} if call % 4 else {"timeout": True}):
                    data = {"position": {"flow": flow, "node": menu if given is None else "x", "waiting": "prompt", "language": "en"}, "input": given or {"start": True}, "deadline_ms": None}
                    write.execute("INSERT INTO journal (ts_ms, kind, call, data) VALUES (?, 'ivr.moved', ?, ?)", (at_ms + call * 60_000, "c%d" % (100000 + call), json.dumps(data)))

    def look(house):
        client = ControlClient(site.run)
        config, number, flow, menu, key = facts(house)
        found = client.post("/v1/staffing/flows", {"day": "2025-11-24", "hour": 9, "weeks": 2, "runs": 3, "handle_s": 60})
        assert found["calls"] == {number: 40.0} and found["branches"] == [{"flow": flow, "node": menu, "keys": {key: 30, "": 10}, "from": "history"}]
        assert found["flows"][0]["flow"] == flow and found["flows"][0]["version"] == str(config["ivr"][flow]["version"]) and 20 < found["flows"][0]["calls"] < 60
        assert "keys by history" in _show_flows(found) and "version" in _show_flows(found)
        given = client.post("/v1/staffing/flows", {"calls": {number: 20}, "shares": {flow: {menu: {key: 1}}}, "runs": 2})
        assert given["branches"][0]["from"] == "given" and {way["node"] for way in given["ways"]} == {config["ivr"][flow]["nodes"][menu]["choices"][key]}
        for body, words in (({}, "day and hour"), ({"calls": {"7": 1}}, "none of our numbers"), ({"calls": {number: 1e6}}, "fewer runs"), ({"calls": {number: 1}, "x": 1}, "no field x"),
                            ({"calls": {number: 1}, "shares": {"nothing": {}}}, "no flow nothing"), ({"calls": {number: 1}, "shares": {flow: {"nowhere": {}}}}, "no node nowhere"),
                            ({"calls": {number: 1}, "shares": {flow: {menu: {"99": 1}}}}, "no key 99"), ({"day": "soon", "hour": 1}, "a date"), ({"day": "2025-11-24", "hour": None}, "Give day"),
                            ({"calls": {number: 1}, "entered": {flow: {menu: "x"}}}, "must be digits"), ({"calls": {number: "many"}}, "a number")):
            with pytest.raises(ControlError, match=words):
                client.post("/v1/staffing/flows", body)

    async def scenario():
        house, media = site.whole()
        before(house)
        await house.start()
        try:
            await asyncio.wait_for(asyncio.to_thread(look, house), 60)
        finally:
            await house.stop()
    asyncio.run(scenario())


def test_simulations_run_one_at_a_time_and_are_ended(site, monkeypatch):
    asked = {"calls": 100, "handle_s": 180, "agents": 14, "runs": 2}

    async def scenario():
        house, _ = site.whole()
        await house.start()
        client, real, begun, may_end, made = ControlClient(site.run), api_staffing._simulated, asyncio.Event(), asyncio.Event(), []

        async def held(question):
            begun.set()
            await may_end.wait()
            return await real(question)

        async def asks():
            return await asyncio.to_thread(lambda: client.get("/v1/staffing/simulation", **asked))
        try:
            monkeypatch.setattr(api_staffing, "_simulated", held)
            first = asyncio.create_task(asks())
            await begun.wait()
            with pytest.raises(ControlError, match="one at a time") as caught:
                await asks()
            assert caught.value.status == 503
            may_end.set()
            assert (await first)["queues"][0]["agents"] == 14
            plain = asyncio.create_subprocess_exec

            async def noted(*args, **more):
                made.append(await plain(*args, **more))
                return made[-1]
            monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
            monkeypatch.setattr(api_staffing, "MOST_S", 0.0)
            with pytest.raises(ControlError, match="ask for fewer runs") as caught:
                await asks()
            assert caught.value.status == 503 and await made[0].wait() == -9
            monkeypatch.setattr(api_staffing, "MOST_S", 60.0)
            assert (await asks())["model"] == "simulation"          # the next one may
        finally:
            await house.stop()
    asyncio.run(asyncio.wait_for(scenario(), 60))
