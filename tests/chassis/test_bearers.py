"""Spans that media carries: what is wanted of media, what its answers become; media and turns are the test's."""

import types

import pytest

from firmware.chassis.all_lines import AllLines
from firmware.chassis.bearers import Bearers
from firmware.config import bearer, demo, schema
from firmware.errors import LocalError

LINE = {"span": 2, "kind": "cesopsn", "local": "127.0.0.1:2142", "remote": "127.0.0.1:2143"}
FIGURES = {"slips_repeated": 0, "slips_left_out": 0, "frames_missing": 0, "frames_played": 0}


def configuration(**bearer_of_two):
    config, errors = schema.check(demo.configuration({name: "secret-" + name for name in demo.AGENTS}))
    assert not errors
    config["spans"][1]["bearer"].update(bearer_of_two)
    return config


class House:
    """commands: sent to media; turns: made."""

    def __init__(self, config):
        self.commands, self.made, self.now_ms = [], [], 0
        self.config = types.SimpleNamespace(running=lambda: config)
        self.turns = types.SimpleNamespace(clock=types.SimpleNamespace(now_ms=lambda: self.now_ms),
                                           run=lambda what, function, *args: self.made.append((function, args)))
        self.media = types.SimpleNamespace(command=lambda do, done, refused, **p: self.commands.append((do, done, refused, p)), serving=True)


def answer(span=2, alarms=None, loop="none", **figures):
    return {"ticks": 1, "rows": [{"span": span, "alarms": alarms or {}, "figures": {**FIGURES, **figures}, "loop": loop, "timeslot": None, "rai": False,
                                  "ais": False, "ppm": None, "within_ppm": None, "level_ms": 20.0}]}


def make(config=None, described=(LINE,)):
    house, told, seen = House(config or configuration()), [], []
    return house, Bearers(house, list(described), lambda *args: None, seen.append), seen


def test_the_row_of_the_configuration_wins_over_the_description():
    row = {"local": "127.0.0.1:5", "remote": "127.0.0.1:6"}
    assert bearer.in_force(configuration(), [LINE])[0][2]["remote"] == "127.0.0.1:2143"
    assert bearer.in_force(configuration(kind="satop", **row), [LINE])[0][2] == {
        "kind": "satop", **row, "timeslots": "1-31", "cas": False, "packet_ms": 1, "jitter_ms": 20, "rtp": False, "rtp_payload_type": 96, "type": "e1",
        "crc4": configuration()["spans"][1]["crc4"], "dahdi_span": 0}
    assert bearer.in_force(configuration(kind="board"), [LINE]) == ({}, [])
    found, errors = bearer.in_force(configuration(), [{**LINE, "timeslots": "1-3"}])
    assert found == {} and "a PRI uses timeslots 1 to 31" in str(errors[0])
    config = configuration()
    config["spans"][1]["bearer"].update(kind="cesopsn", local="x", remote="127.0.0.1:6")
    assert any(error.path == "spans[1].bearer.local" for error in bearer.check(config))
    assert any(error.path == "spans[1].bearer.local" for error in schema.check(config)[1])


def test_media_is_told_all_of_it_and_what_it_refuses_is_said():
    house, bearers, seen = make()
    bearers.media_found({}, 0)
    do, done, refused, parameters = house.commands.pop()
    assert do == "bearers_set" and [row["span"] for row in parameters["rows"]] == [2]
    done({"faults": {"2": "span 2: open 127.0.0.1:2142: somebody has it"}}, 0)
    for _ in range(2):
        bearers.polled({"ticks": 1, "rows": []}, False)
    assert house.made[-1][1] == (2, ["configuration"])
    assert seen[-1]["spans"][2][0] == {"configuration": "span 2: open 127.0.0.1:2142: somebody has it"}
    assert bearers.lines()[2]["bearer"]["fault"].endswith("somebody has it")
    bearers.configure(configuration(kind="board"), 0)
    assert house.commands[-1][3] == {"rows": []} and bearers.lines() == {}


def test_alarms_are_told_when_two_looks_agree_and_those_of_packets_stay_here():
    house, bearers, seen = make()
    bearers.polled(answer(), False)
    assert house.made == []
    bearers.polled(answer(), False)
    assert house.made[-1][1] == (2, [])
    for _ in range(3):
        bearers.polled(answer(alarms={"los": "no packets", "pw_stranger": "from x"}), False)
    assert [args for _, args in house.made] == [(2, []), (2, ["los"])]
    assert seen[-1]["spans"][2][0] == {"los": "no packets", "pw_stranger": "from x"}


def test_a_span_that_gets_another_signalling_is_told_of_again():
    """Its new adapter has heard nothing: it would stay "unknown" on a line without a fault."""
    house, bearers, seen = make()
    for _ in range(3):
        bearers.polled(answer(), False)
    bearers.configure(configuration(), 0)
    for _ in range(3):
        bearers.polled(answer(), False)
    assert [args for _, args in house.made] == [(2, []), (2, [])]


def test_slips_and_seconds_are_what_was_new():
    house, bearers, seen = make()
    bearers.polled(answer(slips_left_out=5, frames_missing=80, frames_played=8000), True)
    assert seen[-1]["spans"][2][1] == {"defects": set(), "slips": 0, "slips_left_out": 0} and seen[-1]["seconds"] == {2: {"fas_errors": 0}}
    bearers.polled(answer(slips_left_out=7, slips_repeated=1, frames_missing=81, frames_played=16000), True)
    assert seen[-1]["spans"][2][1] == {"defects": set(), "slips": 3, "slips_left_out": 2} and seen[-1]["seconds"] == {2: {"fas_errors": 1}}
    bearers.media_lost(0)
    bearers.polled(answer(), True)             # counters that begin anew
    assert seen[-1]["spans"][2][1]["slips"] == 0 and seen[-1]["seconds"] == {2: {"fas_errors": 0}}


def test_each_span_says_what_carries_it():
    house, bearers, _ = make()
    bearers.polled(answer(loop="local"), False)
    state = {"spans": [{"span": 1}, {"span": 2}], "system": {"faults": [], "ok": True}}
    bearers.describe(state, {})
    assert [row["bearer"] for row in state["spans"]] == ["board", "cesopsn 127.0.0.1:2143"] and state["system"]["ok"]
    framers = types.SimpleNamespace(lines=lambda: {1: {"loop": None}})
    lines = AllLines(framers, bearers).lines()
    assert lines[1]["bearer"] == {"kind": "board"} and lines[2]["bearer"]["level_ms"] == 20.0 and lines[2]["loop"]["kind"] == "local"
    with pytest.raises(LocalError, match="loop codes are for a T1"):
        import asyncio
        asyncio.run(AllLines(framers, bearers).send_code(2, "line_up"))


def test_a_description_that_does_not_fit_is_a_fault_and_its_span_the_boards():
    house, bearers, _ = make(described=[{**LINE, "timeslots": "1-3"}])
    assert bearers.wanted == {}
    state = {"spans": [], "system": {"faults": [], "ok": True}}
    bearers.describe(state, {})
    assert "a PRI uses timeslots 1 to 31" in state["system"]["faults"][0] and not state["system"]["ok"]
