"""The strip chart: where a bar lies, how long it is, what is left out; and the pages that show it, in both languages."""

import pytest

from tests.webui.test_lines import LINES
from webui.lines import LOOPS, PATTERNS
from webui.render import LANGUAGES, render
from webui.strip import LEFT, PERIODS, WIDTH, strip

HOUR_MS = 3600_000
BEGIN_MS = 1_790_000_000_000


def row(minute, state, part="call", why=None, call=None):
    return {"at_ms": BEGIN_MS + minute * 60_000, "part": part, "state": state, "why": why, "call": call, "leg": None}


def told(*states):
    return {"span": 1, "from_ms": BEGIN_MS, "to_ms": BEGIN_MS + HOUR_MS, "whole": True, "timeslots": [{"timeslot": 5, "states": list(states)}]}


def test_bars_lie_where_their_time_is():
    bars = strip(told(row(-30, "connected", call="c1"), row(15, "idle"), row(30, "seized", call="c2"), row(45, "connected", call="c2")))["rows"][0]["bars"]
    assert [(bar["kind"], bar["call"], bar["x"], bar["width"]) for bar in bars] == [
        ("connected", "c1", LEFT, WIDTH / 4), ("seized", "c2", LEFT + WIDTH / 2, WIDTH / 4), ("connected", "c2", LEFT + WIDTH * 3 / 4, WIDTH / 4)]


def test_parts_are_apart_and_moments_are_one_unit_wide():
    bars = strip(told(row(0, "in_service", "service"), row(15, "locked", "service"), row(20, "restarted", "event", "in"), row(30, "in_service", "service"), row(30, "connected"), row(60, "idle")))["rows"][0]["bars"]
    assert [(bar["kind"], bar["part"], bar["width"]) for bar in bars] == [("locked", "service", WIDTH / 4), ("connected", "call", WIDTH / 2), ("restarted", "event", 1.0)]


def test_thousands_of_short_calls_are_no_more_than_the_picture_is_wide():
    states = [one for n in range(3600) for one in (row(n / 60, "seized"), row(n / 60 + 0.001, "connected"), row(n / 60 + 0.01, "idle"))]
    bars = strip(told(*states))["rows"][0]["bars"]
    assert WIDTH / 3 < len(bars) <= WIDTH and all(LEFT <= bar["x"] < LEFT + WIDTH for bar in bars)
    assert strip({**told(), "timeslots": []})["rows"] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_of_a_timeslot_render(language):
    common = {"site": "x", "user": "admin", "path": "/lines/1", "zone": "Asia/Shanghai", "span": 1}
    states = [row(5, kind, "service", "los <b>") for kind in ("locked", "blocked", "alarm", "down", "out_of_service", "unconfigured", "in_service")] + [
        row(20, "restarted", "event", "in"), row(30, "seized", why="out", call="c7"), row(40, "connected", call="c7"), row(50, "clearing", why="cause 16", call="c7"), row(55, "idle", why="cause 16", call="c7")]
    page = render("line.html", language, **common, line=LINES["1"], report=None, alarms=[], berts=[], patterns=PATTERNS, loops=LOOPS, bins=[], now=None, nfas=None, why=None,
                  strip=strip(told(*states)), whole=False, period=60, periods=PERIODS)
    assert page.count("<rect") == len(states) - 2 and "was." not in page and "strip.6" not in page and "<b>" not in page and " style=" not in page
    assert ("由本端" if language == "zh_CN" else "by us") in page and ("请选择较短的时间" if language == "zh_CN" else "shorter time") in page
    page = render("timeslot.html", language, **common, slot={"timeslot": 5, "state": "idle", "call": None}, states=states, calls=[])
    assert page.count("<tr data-state=") == len(states) and "was." not in page and "<b>" not in page and ("原因值 16" if language == "zh_CN" else "cause 16") in page
