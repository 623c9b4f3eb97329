"""Who gets a canceller of 128 ms: places by unit, and what is refused."""

import pytest

from firmware.errors import LocalError
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
