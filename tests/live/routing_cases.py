"""Live routing: which way and which circuit a call takes, who may call, and that the explanation tells it before; collected in
test_outgoing.py, in the house of pri_house.py.  The far end is libpri; callers come in over span 1 and out over spans 12 and 3."""

import contextlib
import copy
import time

import pytest

from tests.conftest import WHOLE_ONLY
from tests.live.conftest import CALLER
from tests.live.pri_house import channels, hang_up, hang_up_one, talk_through

NATIONAL_ISDN, UNKNOWN_ISDN = 0x21, 0x01        # type and plan of a number, octet 3 of Q.931 4.5.8
OUT = "13912345678"


@contextlib.contextmanager
def configured(house, change):
    """The configuration with a change; afterwards what it was before."""
    running = house.product.get("/configuration")
    before = copy.deepcopy(running["configuration"])
    change(running["configuration"])
    house.product.post("/configuration/apply", running)
    try:
        yield
    finally:
        house.wait_idle(30)
        house.product.post("/configuration/apply", {"revision": house.product.get("/configuration")["revision"], "configuration": before})


def group(configuration, name):
    return next(row for row in configuration["trunk_groups"] if row["name"] == name)


def explained(house, digits, **who):
    """What the switch says would become of a number."""
    query = "&".join(f"{name}={value}" for name, value in (who or {"trunk_group": "carrier"}).items())
    return house.product.get(f"/routes/{digits}?{query}")


def goes_as_explained(house, digits):
    """A call from span 1 takes the way and the circuit that were explained.  Returns (its ends, libpri's event)."""
    told = next(way for way in explained(house, digits)["ways"] if way["why"] is None)
    mark = house.far.mark()
    name = house.place(span=1, called=digits, record=False)
    out = house.far.wait_for("incoming", 30, since=mark)
    house.far.wait_for("connect", 30, id=name)
    assert [out["span"], out["timeslot"], out["called"]] == [*told["first"], told["number"]], (told, out)
    return (name, out["id"]), out


def takes(house, count):
    """Timeslots of calls to span 12, one after the other; the first is over before the last one."""
    taken, ends = [], []
    for number in range(count):
        if number == count - 1:
            hang_up_one(house, *ends.pop(0))
            house.wait(lambda s: len(s["calls"]) == count - 2, 30, "the end of the first call")
        both, out = goes_as_explained(house, "812" + OUT)
        taken.append(out["timeslot"])
        ends.append(both)
    for both in ends:
        hang_up_one(house, *both)
    house.wait_idle(30)
    return taken


@WHOLE_ONLY
@pytest.mark.parametrize("selection, right", (
    ("ascending", lambda t: t == [1, 2, 1]), ("descending", lambda t: t == [31, 30, 31]),
    ("round_robin", lambda t: t[1:] == [after(t[0]), after(after(t[0]))]), ("round_robin_descending", lambda t: [after(t[1]), after(t[2])] == t[:2]),
    ("longest_idle", lambda t: len(set(t)) == 3)))
def test_the_next_circuit_is_the_one_that_the_selection_says(house, phone, selection, right):
    house.far.policy()
    with configured(house, lambda c: group(c, "span12").update(selection=selection)):
        taken = takes(house, 3)
        assert right(taken), taken


def after(timeslot):
    """The next bearer of an E1, upwards."""
    return {15: 17, 31: 1}.get(timeslot, timeslot + 1)


@WHOLE_ONLY
def test_the_order_is_opposite_to_what_the_far_end_takes(house, phone):
    """The far end's calls on the lowest circuits make ours the highest, and the other way round."""
    house.far.policy()
    for timeslots, ours in (((1, 2), 31), ((31, 30, 29, 28), 1)):
        with configured(house, lambda c: group(c, "span12").update(selection="opposite")):
            ends = []
            for timeslot in timeslots:
                name, out = talk_through(house, 12, 3, timeslot=timeslot, record=False)
                ends.append((name, out["id"]))
            for both in ends:
                hang_up_one(house, *both)
            house.wait_idle(30)
            both, out = goes_as_explained(house, "812" + OUT)
            hang_up(house, *both)
            assert out["timeslot"] == ours


def test_a_reserved_circuit_is_for_emergency_calls_and_others_overflow(house, phone):
    """Two circuits are left on span 12, one of them reserved: the second call goes by the next choice, a call for help takes the reserved one."""
    def change(configuration):
        group(configuration, "span12").update(reserved=1)
        configuration["routes"].append({"number": "7.", "class": "national", "choices": [{"trunk_group": "span12", "strip": 1}, {"trunk_group": "span3", "strip": 1}]})
    house.far.policy()
    house.wait_agent_idle(phone.user, 30)
    channels(house, 12, "drain", *range(3, 16), *range(17, 32))
    try:
        with configured(house, change):
            first, out = goes_as_explained(house, "7" + OUT)
            assert (out["span"], out["timeslot"]) == (12, 1)
            told = explained(house, "7" + OUT)["ways"][0]
            assert "reserved: 1" in told["why"] and told["first"] is None
            second, out = goes_as_explained(house, "7" + OUT)
            assert out["span"] == 3
            mark, rings = house.far.mark(), phone.mark()
            phone.dial("110")
            assert (house.far.wait_for("incoming", 30, since=mark, span=12)["timeslot"]) == 2
            phone.wait_for("answered", 30, since=rings)
            phone.hangup()
            for both in (first, second):
                hang_up_one(house, *both)
    finally:
        channels(house, 12, "unlock")


def test_numbers_are_rewritten_by_prefix_type_area_and_hour(house, phone):
    """A carrier's prefix and type of number; the 0 before a mobile number of elsewhere; provinces of their own; a choice that is shut at this hour."""
    today = int(time.strftime("%u", time.gmtime(time.time() + 8 * 3600)))          # of the site, Shanghai
    shut = "".join(str(day) for day in range(1, 8) if day not in (today, today % 7 + 1, (today + 5) % 7 + 1))

    def change(configuration):
        configuration["site"]["area"] = "021"
        configuration["areas"] = [{"code": "021", "province": "Shanghai", "mobile": "1391700-1391799"}, {"code": "0755", "province": "Guangdong", "mobile": "1392800"}]
        configuration["routes"] += [
            {"number": "71.", "class": "national", "choices": [{"trunk_group": "span12", "strip": 2, "prefix": "17951", "type": "national"}]},
            {"number": "72.", "class": "national", "choices": [{"trunk_group": "span3", "strip": 2, "areas": "Guangdong"},
                                                               {"trunk_group": "span12", "strip": 2, "mobile_zero": True}]},
            {"number": "73.", "class": "national", "choices": [{"trunk_group": "span3", "strip": 2, "days": shut}, {"trunk_group": "span12", "strip": 2}]}]
    house.far.policy()
    with configured(house, change):
        for dialled, span, sent, plan in (("71" + OUT, 12, "17951" + OUT, NATIONAL_ISDN), ("7213917123456", 12, "13917123456", UNKNOWN_ISDN),
                                          ("7213800138000", 12, "013800138000", UNKNOWN_ISDN), ("7213928001234", 3, "13928001234", UNKNOWN_ISDN),
                                          ("73" + OUT, 12, OUT, UNKNOWN_ISDN)):
            both, out = goes_as_explained(house, dialled)
            call = house.newest_call()["call"]
            hang_up(house, *both)
            assert (out["span"], out["called"], out["called_plan"]) == (span, sent, plan), out
            cdr = house.cdr(call)["cdr"]
            assert (cdr["called"], cdr["dialled"]) == (dialled, sent), "as received, and as sent"
        assert "is closed now" in explained(house, "73" + OUT)["closed"][0]["why"]
        assert explained(house, "7213928001234")["area"] == {"code": "0755", "label": "", "province": "Guangdong"}


def test_who_may_call_what(house, phone):
    """Black and white lists of callers, toll limits of a trunk group and of a line; emergency numbers all the same."""
    def change(configuration):
        configuration["caller_lists"] = [{"name": "white", "treatment": "allowed", "numbers": ["13700000001"]}, {"name": "black", "treatment": "blocked", "numbers": ["1."]}]
        configuration["routes"].append({"number": "76.", "class": "premium", "choices": [{"trunk_group": "span12", "strip": 2}]})
        next(line for line in configuration["lines"] if line["name"] == phone.user)["classes"] = []
        group(configuration, "carrier")["classes"] = ["national"]

    def cause_of(caller, called):
        name = f"w{next(house.numbers)}"
        mark = house.far.mark()
        house.far.call(name, span=1, called=called, caller=caller)
        out = house.far.wait_for("incoming", 30, since=mark, span=12) if explained(house, called, trunk_group="carrier", caller=caller)["allowed"] else None
        cause = None if out else house.far.wait_for("hangup", 30, id=name)["cause"]
        if out:
            house.far.wait_for("connect", 30, id=name)
            house.far.hangup(name)
        house.far.wait_for("released", 30, id=name)
        return cause
    house.far.policy()
    house.wait_agent_idle(phone.user, 30)
    with configured(house, change):
        assert cause_of(CALLER, "812" + OUT) == 21 and "black" in explained(house, "812" + OUT, trunk_group="carrier", caller=CALLER)["why"]
        assert cause_of("13700000001", "812" + OUT) is None
        assert cause_of(CALLER, "110") is None, "a blocked caller"
        assert cause_of("13700000001", "76" + OUT) == 1, "not for this group's callers"
        rings = phone.mark()
        phone.dial("812" + OUT)
        assert phone.wait_for("refused", 30, since=rings)["status"] == 403
        told = explained(house, "812" + OUT, line=phone.user)
        assert not told["allowed"] and told["cause"] == 21
        mark, rings = house.far.mark(), phone.mark()
        phone.dial("110")
        house.far.wait_for("incoming", 30, since=mark, span=12)
        phone.wait_for("answered", 30, since=rings)
        phone.hangup()
