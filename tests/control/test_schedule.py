"""Shifts and adherence: by hand-made cases, and through the house with an agent who comes late."""

import datetime

import pytest

from firmware.errors import LocalError
from firmware.storage import desk, desk_shifts as shifts
from tests.control.desk_rig import DeskHouse, prepared, run

HOUR = 3600
DAY0 = 1_764_000_000 // 86400 * 86400          # a midnight of UTC


def day_of(date, minutes):
    days = {"2026-11-23": 0, "2026-11-24": 1}.get(date)
    return None if days is None else DAY0 + days * 86400 + minutes * 60


@pytest.fixture
def db(tmp_path):
    connection, _ = desk.open_file(str(tmp_path / "desk.db"))
    yield connection
    connection.close()


HEAD = "agent,date,from,to,activity\n"


@pytest.mark.parametrize("text, line, field, word", [
    ("agent,date,from\n", 1, "to", "missing"), (HEAD + "9,2026-11-23,08:00,12:00,work\n", 2, "agent", "no agent"),
    (HEAD + "a,2026-11-31,08:00,12:00,\n", 2, "date", "2026-11-31"), (HEAD + "a,2026-11-23,8:00,12:00,\n", 2, "from", "8:00"),
    (HEAD + "a,2026-11-23,08:00,25:00,\n", 2, "to", "25:00"), (HEAD + "a,2026-11-23,08:00,08:00,\n", 2, "to", "same"),
    (HEAD + "a,2026-11-23,08:00,12:00,\na,2026-11-23,11:00,13:00,\n", 3, "from", "line 2"), (HEAD + "a,2026-11-23\n", 2, "(line)", "cells"),
    (HEAD + "a,2026-11-23,08:00,12:00,\"work\na,2026-11-23,13:00,15:00,\n", 2, "(line)", "quote"),
    (HEAD + "a,2026-11-23,08:00,12:00,tea time\n", 2, "activity", "work"), (HEAD + "a,2026-11-23,22:00,06:00,\na,2026-11-24,05:00,09:00,\n", 3, "from", "line 2")])
def test_a_bad_plan_names_line_and_field(text, line, field, word):
    with pytest.raises(shifts.BadRows) as caught:
        shifts.parse(text, {"a"}, day_of)
    error = caught.value.errors[0]
    assert (error["line"], error["field"]) == (line, field) and word in error["advice"]


def test_a_plan_replaces_the_days_that_it_names_and_nothing_else(db):
    def plan(text):
        return shifts.load(db, [shift for _, shift in shifts.parse(HEAD + text, {"a", "b"}, day_of)], day_of)
    assert plan("a,2026-11-23,08:00,12:00,work\na,2026-11-23,12:00,12:30,break\nb,2026-11-23,22:00,06:00,\na,2026-11-24,08:00,16:00,\n") == {"shifts": 4, "days": 3}
    plan("a,2026-11-23,09:00,10:00,\n")
    assert [(row["agent"], (row["start_s"] - DAY0) / HOUR, (row["end_s"] - DAY0) / HOUR) for row in shifts.page(db, DAY0, DAY0 + 2 * 86400)] == [
        ("a", 9, 10), ("a", 32, 40), ("b", 22, 30)]
    with pytest.raises(LocalError, match="overlaps"):
        plan("a,2026-11-23,20:00,24:00,\nb,2026-11-24,05:00,06:30,\n")
    assert len(shifts.page(db, DAY0, DAY0 + 2 * 86400)) == 3, "nothing of it"


def status(seq, at_s, status, reason=None):
    return {"seq": seq, "ts_ms": at_s * 1000, "kind": "agent.status", "call": None, "leg": None, "agent": "a", "queue": None,
            "data": {"status": status, "reason": reason, "by": "agent"}}


def test_adherence_by_the_definition(db):
    """Planned 8-12 work, 12-12:30 break, 12:30-13 training: half an hour late, a break of the right length 10 min early, another reason for the training."""
    at = DAY0
    shifts.load(db, [("a", "2026-11-23", at + 8 * HOUR, at + 12 * HOUR, "work"), ("a", "2026-11-23", at + 12 * HOUR, at + 12 * HOUR + 1800, "break"),
                     ("a", "2026-11-23", at + 12 * HOUR + 1800, at + 13 * HOUR, "training")], day_of)
    desk.fold(db, [status(1, at - 9 * HOUR, "logged_out"), status(2, at + 8 * HOUR + 1800, "available"), status(3, at + 12 * HOUR - 600, "on_break", "lunch"),
                   status(4, at + 12 * HOUR + 1200, "available"), status(5, at + 12 * HOUR + 1800, "on_break", "training"),
                   status(6, at + 12 * HOUR + 2700, "on_break", "lunch")])
    row, = shifts.adherence(db, at * 1000, (at + 86400) * 1000, ["a", "b"])
    assert row["planned_ms"] == 5 * HOUR * 1000 and row["planned_work_ms"] == 4 * HOUR * 1000
    assert row["adhered_ms"] == ((4 * HOUR - 1800 - 600) + 1200 + 900) * 1000
    assert row["available_ms"] == (4 * HOUR - 1800 - 600 + 600) * 1000
    assert abs(row["adherence"] - 14100 / 18000) < 1e-9 and abs(row["conformance"] - 12600 / 14400) < 1e-9
    row, = shifts.adherence(db, at * 1000, (at + 9 * HOUR) * 1000, ["a"])      # the day is not over: planned so far
    assert (row["planned_ms"], row["adhered_ms"]) == (HOUR * 1000, 1800 * 1000)
    before = desk.dump(db)
    desk.rebuild(db, iter([status(1, at - 9 * HOUR, "logged_out")]))
    assert desk.dump(db) != before


def test_through_the_house(site):
    def configure(config):
        prepared(config)
        config["teams"] = [{"name": "red", "agents": ["1001"], "queues": ["sales"]}]
        config["users"] = [{"name": "sue", "role": "supervisor", "teams": ["red"]}, {"name": "anna", "role": "agent", "agent": "1001"}]

    async def scenario():
        async with DeskHouse(site, configure) as desk_:
            body = {"agent": "1001", "date": "2030-11-25", "shifts": [{"from": "08:30", "to": "12:00"}, {"from": "12:00", "to": "13:00", "activity": "break"}]}
            assert (await desk_.ask("POST", "/v1/schedule", body, "sue"))["shifts"] == 2
            rows = (await desk_.ask("GET", "/v1/schedule", None, "anna", **{"from": "2030-11-25"}))["shifts"]
            assert [row["activity"] for row in rows] == ["work", "break"] and rows[0]["end_s"] - rows[0]["start_s"] == 12600
            assert (rows[0]["start_s"] + 8 * HOUR) % 86400 == 8.5 * HOUR, "the site's time is Shanghai's"
            for user, change, status_, word in (("sue", {"agent": "1002"}, 403, "1002"), ("sue", {"date": "x"}, 422, "date"), ("sue", {"shifts": [{"from": "8"}]}, 422, "shifts[0]"),
                                                ("sue", {"shifts": [{"from": "08:00", "to": "12:00"}, {"from": "11:00", "to": "13:00"}]}, 422, "shifts[1].from"),
                                                ("anna", {}, 403, "may not plan"), ("sue", {"shifts": {}}, 422, "shifts")):
                error = await desk_.refused("POST", "/v1/schedule", {**body, **change}, user)
                assert error.status == status_ and word in str(error)
            error = await desk_.refused("POST", "/v1/schedule/import", {"csv": HEAD + "1001,2030-11-25,08:00,12:00,\n1002,2030-11-25,08:00,12:00,\n"}, "sue")
            assert error.problem["errors"][0]["line"] == 3

            now = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8)))
            today, yesterday = now.date().isoformat(), (now.date() - datetime.timedelta(days=1)).isoformat()
            text = HEAD + "".join("1001,%s,00:00,24:00,work\n" % day for day in (yesterday, today))
            assert (await desk_.ask("POST", "/v1/schedule/import", {"csv": text}))["days"] == 2
            await desk_.ask("PUT", "/v1/agents/1001/status", {"status": "available"})
            answer = await desk_.ask("GET", "/v1/schedule/adherence", None, "anna", **{"from": yesterday, "to": today, "interval": "day"})
            first, second = answer["rows"]
            assert first["planned_ms"] == 86_400_000 and first["adherence"] == 0 and 0 <= second["adherence"] < 1 and "planned" in answer["formulas"]["adherence"]
            assert (await desk_.refused("GET", "/v1/schedule", **{"from": "x"})).status == 400
            assert (await desk_.refused("GET", "/v1/schedule", **{"from": "2030-11-25", "to": "2030-11-22"})).status == 400
            # A week before: 30 calls of 3 min at 9 o'clock.  6 erlang; Erlang C for 80 % in 20 s: 8 agents give 71 %, 9 give 86 %.
            monday_s = rows[0]["start_s"] - 30600
            with desk_.house.database.transaction() as write:
                write.execute("INSERT INTO figures_queues (length, name, start_s, queued, handled, handle_ms) VALUES (900, 'sales', ?, 30, 30, ?)",
                              (monday_s - 7 * 86400 + 9 * HOUR, 30 * 180_000))
            found = await desk_.ask("GET", "/v1/schedule/coverage", None, "sue", queue="sales", day="2030-11-25")
            at = {(row["start_ms"] // 1000 - monday_s) / HOUR: row for row in found["intervals"]}
            assert (at[9]["agents"], at[9]["scheduled"], at[9]["missing"]) == (9, 1, 8)
            assert (at[8.25]["scheduled"], at[8.5]["scheduled"], at[12]["scheduled"], at[8.5]["missing"]) == (0, 1, 0, 0)
            assert (await desk_.refused("GET", "/v1/schedule/coverage", None, "sue", queue="service", day="2030-11-25")).status == 403
            assert (await desk_.refused("GET", "/v1/schedule/coverage")).status == 422
            assert (await desk_.ask("POST", "/v1/schedule", {**body, "shifts": []}))["days"] == 1
            assert (await desk_.ask("GET", "/v1/schedule", **{"from": "2030-11-25"}))["shifts"] == []
    run(scenario())
