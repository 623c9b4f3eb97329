"""Who gets a canceller of 128 ms: places by unit, and what is refused."""

import logging
import types

import pytest

from firmware.errors import LocalError
from firmware.media import table
from firmware.media.long_tails import GROUP, PLACES, UNIT, LongTails


def test_no_group_of_lanes_serves_two_units():
    tails, owner = LongTails(), {}
    for slot in (0, 1, UNIT, 5 * UNIT, 2, 5 * UNIT + 63, *range(3, 3 + GROUP)):
        place = tails.take(slot, "enhance")
        assert owner.setdefault(place // GROUP, slot // UNIT) == slot // UNIT
    assert tails.used() == 6 + GROUP
    given = {tails.take(4 * UNIT, "enhance") for _ in range(GROUP)}
    for place in given:
        tails.give_back(place)
    assert tails.take(9 * UNIT, "enhance") in given         # a group without legs is anybody's


def test_every_unit_has_a_group_and_no_more_places_than_there_are():
    tails = LongTails()
    for unit in range(PLACES // GROUP):
        tails.take(unit * UNIT, "enhance")
    for _ in range(GROUP - 1):
        tails.take(0, "enhance")
    with pytest.raises(LocalError, match=f"128 ms are in use .{PLACES // GROUP + GROUP - 1} of {PLACES}.") as refusal:
        tails.take(0, "enhance")
    assert refusal.value.cause == 47
    tails.take(UNIT, "enhance")


class Engine:
    """Takes all commands; keeps what the cancellers are told: (slot, place + 1 or 0)."""

    def __init__(self):
        self.places = {}

    def enhance(self, slot, bits, level, place):
        self.places[slot] = place

    def done(self):
        return 1

    def position(self, slot):
        return 0, 0

    def __getattr__(self, name):
        return lambda *args, **more: 1


def test_a_leg_without_a_place_gets_64_ms_and_the_call_goes_on(caplog):
    """All circuits of 64 E1 want 128 ms: the calls come before the places; who asks for 128 ms by command is told that there are none."""
    engine, costs = Engine(), {"paid": 0}

    def reserve(before, after, what, emergency=False, fresh=0):
        costs["paid"] += after - before
    admission = types.SimpleNamespace(cost=lambda kind, enhance, *rest: 2 if enhance["long_tail"] else 1, reserve=reserve,
                                      fresh=lambda enhance: 0, release=lambda cost: None)
    made = table.Table(engine, None, None, None, admission)
    wanted = {"echo": True, "long_tail": True}
    legs = [(span, timeslot) for span in range(1, 65) for timeslot in range(1, 32) if timeslot != 16]
    with caplog.at_level(logging.WARNING, "firmware.media"):
        for span, timeslot in legs[:1500]:
            made.add({"id": f"l{span}.{timeslot}", "kind": "timeslot", "span": span, "timeslot": timeslot, "law": "A", "enhance": wanted})
    assert len(caplog.records) == 1 and "64 ms are to be had" in caplog.text
    rows = {row["id"]: row for row in made.audit()["terminations"]}
    long = {name for name, row in rows.items() if row["enhance"]["long_tail"]}
    assert len(rows) == 1500 and len(long) == made.long_tails.used() and all(row["enhance"]["echo"] for row in rows.values())
    assert {name for name, row in rows.items() if row["long_tail_refused"]} == set(rows) - long != set()
    assert costs["paid"] == 1500 + len(long)                # paid for what works
    places = [engine.places[made.terminations[name].slot] for name in long]
    assert len(set(places)) == len(long) and 0 not in places and set(engine.places.values()) == {0, *places}
    short = min(set(rows) - long)
    span, timeslot = map(int, short[1:].split("."))
    assert made.add({"id": short, "kind": "timeslot", "span": span, "timeslot": timeslot, "law": "A", "enhance": wanted}) == {} and len(caplog.records) == 1
    with pytest.raises(LocalError, match="64 ms are to be had") as refusal:
        made.enhance({"id": short, "long_tail": True})
    assert refusal.value.cause == 47 and made.terminations[short].enhance["echo"]
    made.enhance({"id": short, "echo": False, "long_tail": False})
    made.enhance({"id": short, **wanted, "or_less": True})  # a check of the circuit is over: the configuration's again
    assert made.terminations[short].enhance["echo"] and not made.terminations[short].enhance["long_tail"]
    made.enhance({"id": short, "noise": True})
    assert made.terminations[short].long_refused            # still less than was wanted
    for name in long:
        made.subtract({"id": name})
    made.reap()
    made.enhance({"id": short, "long_tail": True})
    row = next(row for row in made.audit()["terminations"] if row["id"] == short)
    assert row["enhance"]["long_tail"] and not row["long_tail_refused"]
