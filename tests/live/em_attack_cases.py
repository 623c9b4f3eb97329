"""A hostile or broken far end of robbed-bit E&M, on the wire: the T1 of test_cas.py's house, whose 24 circuits hil/em.py plays.

After each attack the far end goes on-hook; then no call and no timeslot is left at either end, and a good call is carried.  Codes and times: t1_table.py
names GR-506; glare is decided as the span's settings say ("yield": the far end's call goes on, "hold": ours does)."""

import random

import pytest

from hil.em import keys
from hil.rig import RigError
from tests.conftest import WHOLE_ONLY
from tests.live import probe_moves
from tests.live.cas_t1_cases import LANDING, ROUTE, SPAN, give

CIRCUITS, GOOD, OUT = range(1, 25), 3, "4321"
FIRST_MS = 1500         # of the product's register here; Q.118 and national: 10 to 20 s
STUCK_MS = 2500         # above T_WINK_MAX, seven times over
WAYS = [("em_wink", "yield"), pytest.param(("em_wink", "hold"), marks=WHOLE_ONLY), pytest.param(("em_immediate", "yield"), marks=WHOLE_ONLY)]


@pytest.fixture
def attacked(house, request):
    """Its parameter's protocol and rule of glare on the T1; afterwards what was there before."""
    protocol, glare = request.param
    before = next(row for row in house.product.get("/configuration")["configuration"]["spans"] if row["span"] == SPAN)["cas"]
    give(house, 0, protocol=protocol, glare=glare, called_length=4, timers={"T_FIRST_DIGIT": FIRST_MS, "T_INTERDIGIT": FIRST_MS})
    yield request.param
    give(house, 0, **before)


def slots(house):
    return next(row for row in house.state()["spans"] if row["span"] == SPAN)["timeslots"]


def at_rest(house):
    """The far end is on-hook everywhere: so is the product, soon, and nothing is held."""
    far = house.em
    far._signals.clear()
    for timeslot in CIRCUITS:
        far.hook(timeslot, False)
        far._say.pop(timeslot, None)
    far.wait(lambda: not any(far.off_hook(timeslot) for timeslot in CIRCUITS), 10, "on-hook on all circuits")
    house.wait(lambda s: not s["calls"] and all(slot["state"] == "idle" for row in s["spans"] if row["span"] == SPAN for slot in row["timeslots"]), 10, "no stuck timeslot")
    far.pause(1000)                     # guard


def good_call(house, protocol):
    """In to the flow, answered, cleared by the caller."""
    far = house.em
    if protocol == "em_wink":
        far.call(GOOD, LANDING)
    else:
        far.hook(GOOD, True)
        far.pause(200)
        far.say(GOOD, keys(LANDING))
    house.wait(lambda s: [(call["state"], call["timeslot"]) for call in s["calls"] if call["span"] == SPAN] == [("ivr", GOOD)], 10, "the call in the flow")
    far.wait(lambda: far.off_hook(GOOD), 10, "the answer")


def seizures_without_digits(house, phone, way):
    """All circuits at once: busy, no call; the register gives up, and they are free when the far end is on-hook."""
    far = house.em
    for timeslot in CIRCUITS:
        far.hook(timeslot, True)
    far.pause(800)
    assert [slot["state"] for slot in slots(house)] == ["busy"] * len(CIRCUITS) and not house.state()["calls"]
    far.pause(FIRST_MS + 800)
    assert not house.state()["calls"]


def cleared_in_each_state(house, phone, way):
    """On-hook before and in the wink, after a digit, in the number, while it is answered, in the flow."""
    far = house.em
    for timeslot, ms in ((1, 30), (2, 80), (4, 200), (5, 450), (6, 700)):
        far._signals[timeslot] = [(0b1111, ms), (0, 50)]
    far.pause(800)
    for timeslot, digits in ((7, "1"), (8, "100"), (9, LANDING), (10, LANDING)):
        far.hook(timeslot, True)
    far.pause(800)
    for timeslot, digits in ((7, "1"), (8, "100"), (9, LANDING), (10, LANDING)):
        far.say(timeslot, keys(digits))
    far.pause(700)
    far.hook(9, False)                  # as the number is complete
    far.pause(1500)


def flapping_bits(house, phone, way):
    """For 2 s any ABCD on all circuits, each of them for 30 ms on average."""
    far, chance = house.em, random.Random(5)
    for timeslot in CIRCUITS:
        steps = [(chance.choice((0, 15, 15, chance.randrange(16))), chance.choice((10, 20, 30, 60))) for _ in range(66)]
        far._signals[timeslot] = steps
    far.wait(lambda: not far._signals, 20, "the bits to stand")


def ours(house, phone, before):
    """A call of ours: the circuit that it has seized."""
    phone.dial(ROUTE + OUT)
    house.em.wait(lambda: house.em.changed(before) is not None, 20, "a seizure of ours")
    return house.em.changed(before)


def glare(house, phone, way):
    """Both ends seize a circuit: one call goes on over it, ours over another one where it yields; both are over afterwards."""
    far, before = house.em, house.em.checker.cas_bits.copy()
    first = ours(house, phone, before)
    far.hook(first, True)
    if way == ("em_wink", "yield"):     # its off-hook lasts longer than any wink
        far.wait(lambda: any(far.off_hook(timeslot) for timeslot in CIRCUITS if timeslot != first), 20, "another circuit")
    far.pause(1500)
    phone.hangup()


def stuck_wink(house, phone, way):
    """The far end winks and never comes back, on each circuit that is tried: the call of ours ends, and no circuit is lost with it."""
    far, before = house.em, house.em.checker.cas_bits.copy()
    ours(house, phone, before)
    until = far.blocks + STUCK_MS // 10
    while far.blocks < until:
        for timeslot in CIRCUITS:
            if far.off_hook(timeslot):
                far.hook(timeslot, True)
        far.pause(50)
    phone.hangup()


@pytest.mark.conformance("R2", "GR-506 (live)", "robbed-bit E&M, a broken far end: 24 seizures without digits, on-hook in each state, bits that flap, glare, a wink that does not end: no stuck timeslot")
@pytest.mark.parametrize("attacked", WAYS, indirect=True)
def test_a_broken_far_end_of_em(house, phone, attacked):
    for attack in (seizures_without_digits, cleared_in_each_state, flapping_bits, glare, stuck_wink):
        def measure(attack=attack):
            try:
                at_rest(house)
                attack(house, phone, attacked)
                at_rest(house)
                good_call(house, attacked[0])
                at_rest(house)
            except (RigError, TimeoutError) as error:
                raise AssertionError("%s: %s" % (attack.__name__, error)) from error
            finally:
                phone.hangup()
        probe_moves.undisturbed(measure, house)
    system = house.state()["system"]
    assert system["ok"] and not system["faults"] and system["turns"]["exceptions"] == 0
