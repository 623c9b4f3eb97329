"""The scenarios of firmware/call under CPython; the portability gate runs the same under MicroPython."""

import pytest
from hypothesis import given, settings, strategies as st

from boardconfig.schema import countries, load_country
from firmware.call import outside
from firmware.call.number_plan import NumberPlan
from firmware.call.routing import Router
from firmware.config.demo import AGENTS, configuration
from firmware.errors import ConfigError
from tests.portability.scenarios import call_core


@pytest.mark.parametrize("name", ("number_plan", "routing", "trunk_groups", "outside_calls", "plain_data", "cdr"))
def test_scenario(name):
    getattr(call_core, name)()


def test_the_countries_are_those_of_the_board_data():
    plans = {name: load_country(name)["number_plan"] for name in countries()}
    assert outside.HOMES == {name: (plan["country_code"], plan["international_prefix"]) for name, plan in plans.items()}


# Toll limits: whatever is dialled and however the routes are made.

NUMBER = st.builds(lambda plus, body, end: plus + body + end, st.sampled_from(("", "", "+")), st.text("0019x*#", min_size=1, max_size=4),
                   st.sampled_from((".", "")))
CHOICE = st.fixed_dictionaries({"trunk_group": st.just("a"), "strip": st.integers(0, 3),
                                "prefix": st.sampled_from(("", "", "0", "00", "+", "1", "17951")),
                                "type": st.sampled_from(outside.TYPES)})
ROUTE = st.fixed_dictionaries({"number": NUMBER, "class": st.sampled_from(outside.CLASSES[1:5]), "choices": st.lists(CHOICE, min_size=1, max_size=2)})
TRUNKS = [{"name": "a"}]


def check_what_is_sent(router, abroad, digits, complete=True):
    """Nothing that leaves without "international" is international; nothing leaves that is no number."""
    for classes in (outside.LINE_CLASSES, ("local",), ("national", "premium"), outside.CLASSES):
        verdict, route = router.find(digits, complete, classes == outside.LINE_CLASSES, classes)
        if route is None or route["application"] != "outside" or not set(route["classes"]) <= {*classes, "emergency"}:
            continue
        for way in outside.ways(route["row"], digits, 1, 600):
            assert way["number"] and not set(way["number"]) - set("0123456789*#"), (digits, way)
            if "international" not in classes:
                home = abroad == "011" and way["number"].startswith("1")        # +1 where the route says so is no call abroad
                assert way["type"] != "international" or home, (digits, route, way)
                assert way["type"] == "international" or not way["number"].startswith(abroad), (digits, route, way)


@settings(max_examples=400, deadline=None)
@given(st.lists(ROUTE, min_size=1, max_size=4), st.sampled_from(("eu", "us", "cn")),
       st.lists(st.one_of(st.text("0019+*# a", max_size=12), st.text(max_size=6)), min_size=1, max_size=8), st.booleans())
def test_no_dialled_string_is_an_international_call_of_a_line_that_may_not(rows, country, dialled, complete):
    try:
        router = Router({"site": {"country": country}, "routes": rows, "trunk_groups": TRUNKS})
    except ConfigError:
        return
    for digits in dialled:
        check_what_is_sent(router, outside.HOMES[country][1], digits, complete)
        for row in rows:
            check_what_is_sent(router, outside.HOMES[country][1], row["number"].rstrip(".").replace("x", "0") + digits, complete)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(outside.HOMES)), st.text("0123456789+*# a-", max_size=14), st.sampled_from(("", "9", "90", "900", "9011", "+")))
def test_the_demonstration_holds_its_lines_to_their_classes(country, digits, begin):
    config = configuration({name: "x" for name in AGENTS})
    config["site"]["country"] = country
    check_what_is_sent(Router(config), outside.HOMES[country][1], begin + digits)


# The tree of a number plan answers as a look at every pattern would.

def looked_up(entries, digits, complete):
    best, longer = None, False
    for index, entry in enumerate(entries):
        open_end, body = entry["number"][-1] == ".", entry["number"].rstrip(".")
        if not all(symbol == digit or (symbol == "x" and digit in "0123456789") for symbol, digit in zip(body, digits)):
            continue
        rest = digits[len(body):]
        if len(digits) < len(body):
            longer = True
        elif not rest or (open_end and not set(rest) - set("0123456789")):
            rank = (body.count("x") - len(body), -len(body), index)
            best, longer = min(best or (rank, entry), (rank, entry), key=lambda pair: pair[0]), longer or open_end
    if longer and not complete:
        return "more", None
    return ("match", best[1]) if best else ("incomplete" if longer else "unknown", None)


@settings(max_examples=200, deadline=None)
@given(st.lists(NUMBER, max_size=8), st.lists(st.text("019*#+", max_size=7), min_size=1, max_size=6), st.booleans())
def test_a_number_plan_of_any_patterns(numbers, dialled, complete):
    entries = [{"number": number, "index": index} for index, number in enumerate(numbers)]
    plan = NumberPlan(entries)
    for digits in dialled:
        assert plan.find(digits, complete) == looked_up(entries, digits, complete), digits


def test_digits_settle_on_an_open_pattern_once_nothing_else_can_win():
    plan = NumberPlan([{"number": n} for n in ("9.", "900.", "95511", "0x1.", "+86.", "110")])
    settled = lambda digits: (plan.settled(digits) or {}).get("number")
    assert [settled(d) for d in ("", "9", "90", "91", "900", "9001", "95", "9551", "95511", "955119", "96", "0", "021", "0215", "03", "11", "110")] == [
        None, None, None, "9.", "900.", "900.", None, None, None, "9.", "9.", None, "0x1.", "0x1.", None, None, None]
    assert settled("9*") is None and settled("91*") is None and settled("+861") == "+86."
