"""A hostile or broken far end of R2, on the wire: a span of test_cas's house whose 30 circuits a script plays (hil/r2_script.py).

After each attack no call and no timeslot is left at either end, and a good call is carried."""

import random
import re

import pytest

from hil.r2_script import ACKNOWLEDGED, ANSWERED, BLOCKED, CIRCUITS, IDLE, SEIZED, ScriptedR2
from hil.rig import RigError
from tests.conftest import WHOLE_ONLY
from tests.live import probe_moves

SPAN, OURS, NOBODY, OUT = 40, "1000", "1999", "4321"
T3_MS = 2000            # of the product's incoming registers here; Q.476 has 8 to 24 s
CONFIGURED = {"span": SPAN, "signalling": "r2", "crc4": False, "trunk_group": "attacked", "r2": {
    "variant": "itu", "caller": "none", "called_length": 4, "timers": {"T3": T3_MS}}}
ROUTE = {"number": "6.", "choices": [{"trunk_group": "attacked", "strip": 1}]}


@pytest.fixture
def attacker(house):
    """At the line for this test only: a thread of this process that answers each block would make the other far ends here late."""
    with ScriptedR2(house.run_dir, SPAN) as far:
        house.wait(lambda s: span_of(s)["state"] == "up" and idle(s), 30, "the attacked span up and idle")
        yield far


def span_of(state):
    return next(row for row in state["spans"] if row["span"] == SPAN)


def idle(state):
    """No call, and each circuit of the span is free."""
    return not state["calls"] and all(slot["state"] in ("idle", "d") for slot in span_of(state)["timeslots"])


def at_rest(house, far):
    """The far end has nothing on the line any more: so has the product, at once."""
    far.each_block = None
    far.hush()
    far.send(CIRCUITS, IDLE)
    far.until(CIRCUITS, IDLE)
    house.wait(idle, 10, "an idle span")


def withstood(house, far, attack):
    """After attack() all is at rest, and a good call on a circuit of before is answered and cleared.  Again only where the host made a line late: 10 ms
    that the board fills with idle code are the end of a tone, and the next digit comes twice."""
    def measure():
        try:
            at_rest(house, far)
            attack()
            at_rest(house, far)
            good_call(house, far)
        except RigError as error:
            raise AssertionError(str(error)) from error
    probe_moves.undisturbed(measure, house)


def good_call(house, far):
    """In to the flow, answered, cleared by the caller."""
    assert far.dial(3, OURS)[-2:] == [3, 6], "address complete; subscriber's line free, charge"
    house.wait(lambda s: [call["state"] for call in s["calls"] if call["span"] == SPAN] == ["ivr"], 10, "the call answered by its flow")
    far.until(3, ANSWERED)
    at_rest(house, far)


@pytest.mark.conformance("R2", "Q.476 (live)", "all 30 circuits seized at once without a digit: each acknowledged, given up after T3 without a call, free after clear forward")
def test_thirty_seizures_without_digits(house, attacker):
    def attack():
        attacker.seize(*CIRCUITS)
        attacker.pause(T3_MS + 500)
        assert not house.state()["calls"] and len([slot for slot in span_of(house.state())["timeslots"] if slot["state"] == "busy"]) == len(CIRCUITS)
    withstood(house, attacker, attack)


@pytest.mark.conformance("R2", "Q.422 clear forward (live)", "clear forward in seven states at once: seized, in a signal, between signals, before the category, just accepted, "
                         "answered, refused")
def test_clear_forward_in_each_state(house, attacker):
    def attack():
        far = attacker
        far.seize(1, 2, 4, 5)
        far.signal(2, 1)
        far.exchange(4, 1)
        for digit in OURS:
            far.exchange(5, int(digit) or 10)
        assert far.dial(6, OURS)[-1] == 6
        far.until(6, ANSWERED)
        assert far.dial(7, NOBODY)[-1] == 5, "unallocated number (Q.441)"
        far.dial(8, OURS)                           # accepted, perhaps not answered yet
        house.wait(lambda s: sorted(call["timeslot"] for call in s["calls"] if call["state"] == "ivr") == [6, 8], 10, "the two calls that are answered")
    withstood(house, attacker, attack)


@WHOLE_ONLY
@pytest.mark.conformance("R2", "Q.455 (live)", "one tone, three tones, a tone that does not end, foreign frequencies, chatter and noise are no digits: no call, given up after T3")
def test_tones_that_are_no_signals(house, attacker):
    def attack():
        far, chance = attacker, random.Random(7)
        sounds = {1: (1380,), 2: (1380, 1500, 1620), 4: (1380, 1500), 5: (697, 1209), 6: (1140, 1020), 7: (), 8: (1500, 1740), 9: tuple(range(300, 3400, 50)), 10: (1380, 1400)}
        far.seize(*sounds)

        def each_block(number):
            for timeslot, tones in sounds.items():
                if timeslot == 8:                   # 10 ms on and off
                    tones = tones if number % 2 else ()
                elif timeslot == 7:                 # another pair each 10 ms, too short for any
                    tones = chance.sample((1380, 1500, 1620, 1740, 1860, 1980), 2)
                far.sound(timeslot, *tones)
        far.each_block = each_block
        far.pause(2 * T3_MS)
        assert [(call["timeslot"], call["called"]) for call in house.state()["calls"]] == []
    withstood(house, attacker, attack)


@pytest.mark.conformance("R2", "Q.422 recognition time (live)", "line bits of all 30 circuits flap for 2 s, in any pattern: each circuit is free when they stand, and carries a call")
def test_bits_that_flap(house, attacker):
    def attack():
        chance = random.Random(11)

        def each_block(number):
            for timeslot in CIRCUITS:
                if chance.random() < 0.3:
                    attacker.send([timeslot], chance.choice((IDLE, SEIZED, ANSWERED, BLOCKED, chance.randrange(16))))
        attacker.each_block = each_block
        attacker.pause(2000)
    withstood(house, attacker, attack)


@pytest.mark.conformance("R2", "Q.422 double seizing (live)", "both ends seize a circuit: the call of ours goes on over another one, and the first is free when both have cleared")
@pytest.mark.conformance("R2", "Q.422 blocking in a call (live)", "blocking bits in an answered call do not hold its circuit after them")
def test_a_double_seizure_and_blocking_in_a_call(house, phone, attacker):
    def attack():
        far = attacker
        phone.hangup()
        far.dial(2, OURS)
        far.until(2, ANSWERED)
        phone.dial("6" + OUT)
        far.wait(lambda: any(far.seen(timeslot) == SEIZED for timeslot in CIRCUITS), 10, lambda: "a seizure")
        first = next(timeslot for timeslot in CIRCUITS if far.seen(timeslot) == SEIZED)
        far.send([first], SEIZED)
        far.wait(lambda: any(far.seen(timeslot) == SEIZED for timeslot in CIRCUITS if timeslot != first), 15, lambda: "another circuit")
        second = next(timeslot for timeslot in CIRCUITS if timeslot != first and far.seen(timeslot) == SEIZED)
        far.send([second], ACKNOWLEDGED)
        far.send([2], BLOCKED)
        far.pause(500)
        phone.hangup()
        far.wait(lambda: far.seen(second) == IDLE, 10, lambda: "clear forward")
    withstood(house, attacker, attack)


def test_what_the_circuits_say_of_it(house):
    """Faults of the far end are counted and in the trace; nothing of ours went wrong."""
    assert span_of(house.state())["counters"].get("protocol_errors", 0) > 0
    system = house.state()["system"]
    assert system["ok"] and not system["faults"] and system["turns"]["exceptions"] == 0
    assert re.search(rb"far end sends ABCD", house.product.octets("/api/v1/trace")), "in the trace as text"
