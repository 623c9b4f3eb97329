"""The file of the timeslots' history: bounded, with a cursor, begun anew where it is damaged."""

import sqlite3

import pytest

from firmware.storage.timeslots import KEPT, PRUNE_EVERY, SPAN_ROWS_MOST, TimeslotHistory


@pytest.fixture
def history(tmp_path):
    made = TimeslotHistory(str(tmp_path / "timeslots.db"))
    yield made
    made.close()


def row(at_ms, state, part="call", span=1, timeslot=5, call="c1"):
    return span, timeslot, part, at_ms, state, None, call, "l1"


def test_newest_first_and_what_stands_at_the_beginning_of_a_time(history):
    assert history.cursor() is None
    history.write([row(10, "seized"), row(20, "connected"), row(30, "idle"), row(25, "locked", "service"), row(5, "restarted", "event"), row(1, "seized", timeslot=6)], 7)
    history.write([], 9)
    assert history.cursor() == 9
    assert [one["state"] for one in history.of_timeslot(1, 5, 3)] == ["restarted", "locked", "idle"]
    found, whole = history.of_span(1, 22, 29)
    assert whole and {slot: [(one["at_ms"], one["state"]) for one in rows] for slot, rows in found.items()} == {5: [(20, "connected"), (25, "locked")], 6: [(1, "seized")]}
    assert {place: one["state"] for place, one in history.last("call").items()} == {(1, 5): "idle", (1, 6): "seized"}
    assert history.of_span(2, 0, 99) == ({}, True)


def test_each_timeslot_and_part_keeps_its_newest(history):
    """A busy timeslot does not push out when it was locked, nor another timeslot."""
    history.write([row(1, "locked", "service"), row(1, "seized", timeslot=6)], 1)
    for piece in range(40):
        history.write([row(piece * 100 + n, "idle") for n in range(100)], 2 + piece)
    kept = history.of_timeslot(1, 5, 10_000)
    calls = [one["at_ms"] for one in kept if one["part"] == "call"]
    assert KEPT["call"] <= len(calls) <= KEPT["call"] + PRUNE_EVERY and calls == list(range(3999, 3999 - len(calls), -1))
    assert [one["state"] for one in kept if one["part"] == "service"] == ["locked"] and len(history.of_timeslot(1, 6, 9)) == 1


def test_an_answer_is_cut_and_says_so(history, monkeypatch):
    assert SPAN_ROWS_MOST > 31 * KEPT["call"], "a span's calls of a busy time fit"
    monkeypatch.setattr("firmware.storage.timeslots.SPAN_ROWS_MOST", 10)
    history.write([row(n, "idle") for n in range(30)], 1)
    found, whole = history.of_span(1, 0, 99)
    assert not whole and len(found[5]) == 10


def test_a_write_that_fails_leaves_nothing_of_it(history):
    with pytest.raises(sqlite3.Error):
        history.write([row(1, "idle"), (1, 5, "call", object(), "idle", None, None, None)], 1)
    assert history.cursor() is None and history.of_timeslot(1, 5, 9) == []
    history.write([row(1, "idle")], 2)
    assert len(history.of_timeslot(1, 5, 9)) == 1


def test_a_damaged_file_is_set_aside(tmp_path):
    path = tmp_path / "timeslots.db"
    path.write_bytes(b"no database at all" * 200)
    made = TimeslotHistory(str(path))
    made.write([row(1, "idle")], 2)
    made.close()
    assert (tmp_path / "timeslots.db.damaged").read_bytes().startswith(b"no database")
    assert TimeslotHistory(str(path)).cursor() == 2


def test_a_file_with_damaged_pages_is_set_aside(tmp_path):
    """Pages that are overwritten may open and only be found when they are looked through."""
    path = tmp_path / "timeslots.db"
    made = TimeslotHistory(str(path))
    made.write([row(n, "idle", timeslot=n % 30) for n in range(5000)], 2)
    made.close()
    octets = bytearray(path.read_bytes())
    for begin in range(8 * 4096, len(octets) - 4096, 4096):
        octets[begin + 100:begin + 3000] = bytes(2900)
    path.write_bytes(octets)
    made = TimeslotHistory(str(path))
    assert not made.check() and made.cursor() is None and (tmp_path / "timeslots.db.damaged").exists()
    made.write([row(1, "idle")], 2)
    assert made.check() and made.cursor() == 2
