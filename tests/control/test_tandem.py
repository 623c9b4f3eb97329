"""Calls from trunk to trunk: what is passed on, what is a diversion, what goes round in circles.  On the small world of switchboard_rig.py."""

import pytest

from tests.control.test_outside import world

THROUGH = {"carrier": {"classes": ["national"]}}
BROUGHT = {"caller_name": "Wang", "hops": 9, "redirecting": {"number": "4008001000", "type": "national", "presentation": "allowed", "reason": "busy"},
           "redirections": 2, "user_user": "0448"}


def test_a_call_passed_through_keeps_what_it_brought():
    rig = world(**THROUGH)
    rig.offer(called="913912345678", carried=BROUGHT)
    create = rig.last("leg.create")
    assert create["redirecting"] == BROUGHT["redirecting"]
    assert create["carried"] == {"caller_name": "Wang", "hops": 8, "redirections": 2, "user_user": "0448"}
    assert rig.call()["caller_name"] == "Wang"


def test_a_number_of_ours_diverts_and_is_counted():
    rig = world(**THROUGH)
    rig.offer(called="02150801009", carried=BROUGHT)
    create = rig.last("leg.create")
    assert create["redirecting"]["number"] == "02150801009" and create["redirecting"]["reason"] == "unconditional"
    assert create["carried"]["redirections"] == 3 and create["carried"]["hops"] == 8


def test_a_call_without_anything():
    rig = world(**THROUGH)
    rig.offer(called="913912345678")
    create = rig.last("leg.create")
    assert (create["redirecting"], create["carried"]) == (None, {})


@pytest.mark.parametrize("called, carried", [("913912345678", {"hops": 1}), ("02150801009", {"redirections": 5, "redirecting": BROUGHT["redirecting"]})])
def test_a_counter_that_is_used_up_ends_the_call(called, carried):
    rig = world(**THROUGH)
    rig.offer(called=called, carried=carried)
    assert rig.last("leg.release") == {"do": "leg.release", "leg": "p1", "cause": 25} and not [a for a in rig.actions if a["do"] == "leg.create"]


def test_the_same_call_that_comes_back_is_ended_at_the_fourth_time():
    rig = world(**THROUGH)
    for number in range(1, 5):
        rig.offer(leg="p%d" % number, called="913912345678", timeslot=number)
    assert len([a for a in rig.actions if a["do"] == "leg.create"]) == 3
    assert rig.last("leg.release") == {"do": "leg.release", "leg": "p4", "cause": 25}
    rig.offer(leg="p5", called="913912345678", timeslot=5, caller="13700002222")       # another caller is no loop
    assert len([a for a in rig.actions if a["do"] == "leg.create"]) == 4


def test_an_emergency_call_is_never_taken_for_a_loop():
    rig = world(**THROUGH)
    rig.offer(called="110", carried={"hops": 0})
    assert rig.last("leg.create")["called"]["number"] == "110"


def test_the_last_trunks_are_kept_for_emergency_calls():
    """A group of 60 trunks keeps 59: one call goes out, the next takes the second way, an emergency call the first."""
    rig = world(carrier={"reserved": 59})
    rig.dial("1001", "913912345678", "s1")
    assert rig.last("leg.create")["trunk_group"] == "carrier"
    rig.dial("1002", "913912345678", "s2")
    assert rig.last("leg.create")["trunk_group"] == "second"
    rig.dial("1003", "110", "s3")
    assert (rig.last("leg.create")["trunk_group"], rig.last("leg.create")["called"]["number"]) == ("carrier", "110")


DATA = {"carrier": {"classes": ["national"], "data_calls": True}, "second": {"data_calls": True}}


def test_circuits_that_take_no_call_are_not_counted_as_free():
    """Locked by hand or blocked by the far end, which only the circuits' machines know."""
    rig = world(carrier={"reserved": 3})
    for usable, out in ((4, True), (3, False)):
        rig.sb.unusable = lambda: {(2, timeslot) for timeslot in range(1 + usable, 32)} | {(1, timeslot) for timeslot in range(1, 32)}
        rig.dial("1001", "913912345678", "s%d" % usable)
        assert bool([create for create in rig.actions_of("leg.create") if create["trunk_group"] == "carrier"]) == out
        rig.hang_up("s%d" % usable)
        rig.actions.clear()


def test_data_goes_from_trunk_to_trunk_and_nobody_listens():
    """64 kbit/s unrestricted: the bearer goes on, nothing is detected, played or recorded, and it can be neither held nor listened to."""
    rig = world(**DATA)
    rig.offer(called="913912345678", bearer="unrestricted_digital")
    create = rig.last("leg.create")
    assert create["bearer"] == "unrestricted_digital"
    rig.do("leg.alerting", leg=create["leg"])
    rig.do("leg.answered", leg=create["leg"])
    assert rig.call()["state"] == "talking"
    assert {a["do"] for a in rig.actions if a["do"].startswith("media.")} == {"media.bridge"}
    for command, more in (("command.hold", {}), ("command.play", {"tone": "busy"}), ("command.record", {"action": "start"}), ("command.listen", {"modem": True}),
                          ("command.monitor", {"mode": "listen", "line": "1001"})):
        assert not rig.sb.handle(dict({"kind": command, "call": rig.call()["call"]}, **more), rig.now) and "data" in rig.sb.refusal, command


@pytest.mark.parametrize("called, groups, cause", [("02150801000", DATA, 88), ("913912345678", {"carrier": {"classes": ["national"]}}, 88)])
def test_data_for_who_speaks_is_refused(called, groups, cause):
    rig = world(**groups)
    rig.offer(called=called, bearer="unrestricted_digital")
    assert rig.last("leg.release")["cause"] == cause and not [a for a in rig.actions if a["do"] in ("leg.create", "leg.answer")]
