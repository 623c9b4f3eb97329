"""Errored seconds over a threshold, and D channels that do not come up: what is raised when, and what ends it."""

from types import SimpleNamespace

import pytest

from firmware.chassis.error_thresholds import MAJOR, MINOR, ErrorThresholds
from firmware.chassis.performance import QUARTER_S, Performance
from firmware.links.span_manage import LOCKED, SIDES, Management
from tests.chassis.test_keeper import House

QUARTER = 1_763_780_400 // QUARTER_S * QUARTER_S


class Line:
    """A span whose seconds the test gives: errored blocks of each."""

    def __init__(self):
        self.performance, self.thresholds, self.at_s, self.stands = Performance(), ErrorThresholds(), QUARTER, {}

    def run(self, seconds, errors=0, lost=False):
        for n in range(seconds):
            self.performance.second(self.at_s, {"crc_errors": errors(n) if callable(errors) else errors}, {"los"} if lost else ())
            self.stands = self.thresholds.second(1, self.at_s, self.performance, lost)
            self.at_s += 1
        return self.stands


def test_120_errored_seconds_raise_and_the_first_good_quarter_ends_it():
    line = Line()
    assert line.run(119, 3) == {}
    assert line.run(1, 3) == {MINOR: "ES 120, SES 0 (120 s)"}
    line.run(QUARTER_S - 120)
    assert set(line.run(60)) == {MINOR}                # the quarter in which it came is no good one
    assert line.run(QUARTER_S - 60) == {MINOR: "ES 120, SES 0 (900 s)"}
    assert line.run(60) == {}


def test_15_severe_ones_are_major_alone_and_fade_to_minor_and_nothing():
    line = Line()
    line.run(130, 3)
    severe = line.run(150, lambda n: 400 if n % 10 == 0 else 3)
    assert set(severe) == {MAJOR} and severe[MAJOR].startswith("ES 2") and "SES 15" in severe[MAJOR]
    line.run(QUARTER_S - 280)
    line.run(QUARTER_S, lambda n: 3 if n < 200 else 0)
    assert set(line.run(60)) == {MINOR}
    line.run(QUARTER_S - 60)
    assert line.run(60) == {}


def test_a_few_errored_seconds_hold_it_and_short_quarters_do_not_end_it():
    line = Line()
    line.run(QUARTER_S, lambda n: 3 if n < 120 else 0)
    line.run(QUARTER_S, lambda n: 3 if n < 20 else 0)
    assert line.run(60) == {MINOR: "ES 20, SES 0 (900 s)"}
    line.at_s += QUARTER_S                             # the box was off
    line.run(60)
    assert set(line.stands) == {MINOR}


def test_nothing_is_raised_while_the_signal_is_lost():
    line = Line()
    line.run(119, 3)
    line.run(5, lost=True)
    assert line.stands == {}
    assert set(line.run(10)) == {MINOR}


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path, None)
    house.now_ms = QUARTER * 1000
    yield house
    house.die()


def test_the_keeper_raises_it_and_takes_it_up_after_a_kill(tmp_path):
    house = House(tmp_path, None, QUARTER * 1000)
    house.counters = {1: {"crc_errors": 2}}
    assert house.run(100) == [] and house.run(30) == [("errored_seconds", ["span 1"])]
    alarm = house.keeper.alarms.active()[0]
    assert alarm["severity"] == "minor" and alarm["detail"] == {"span 1": "ES 120, SES 0 (120 s)"}
    house.die()
    again = House(tmp_path, None, house.now_ms + 1000)
    assert again.run(30) == [("errored_seconds", ["span 1"])] and again.keeper.alarms.active()[0]["id"] == alarm["id"]
    again.now_ms = (QUARTER + QUARTER_S) * 1000
    again.run(QUARTER_S)
    assert again.run(30) == []
    again.die()


def test_64_spans_are_one_alarm(house):
    house.spans = {span: {"crc4": True} for span in range(1, 65)}
    house.counters = {span: {"crc_errors": 2} for span in house.spans}
    house.run(125)
    assert [(kind, len(members)) for kind, members in house.run(1)] == [("errored_seconds", 64)]


def test_our_own_loop_is_not_counted(house):
    polled = {"board": None, "spans": {1: ({"alarms": ["lfa"]}, {"second": True, "defects": set(), "slips": 0})}, "settings": house.spans,
              "heartbeat": 1, "seconds": {1: {"crc_errors": 900}}, "loops": {1: {"kind": "local", "by": "us"}}}
    house.keeper.framers(polled)
    house.run(12)
    assert house.keeper.list_performance()["1"]["quarter"]["seconds"] == 9 and house.keeper.list_performance()["1"]["quarter"]["es"] == 0
    polled["loops"] = {1: {"kind": "remote", "by": "us"}}
    house.keeper.framers(polled)
    house.run(12)
    assert house.keeper.list_performance()["1"]["quarter"]["ses"] == 2        # a defect that stands at the end of a second is of the next too


# -- D channels --

def data_links(**given):
    span = {"closing_ms": None, "condemned": False, "open_links": set(), "locked": [], "opened": True, "links": {1: 0}, "alarmed": {1: [], 2: []},
            "machine": SimpleNamespace(config={"timeslots": [1, 2]}), "row": {"side": "user"}, **given}
    span["state_of"] = lambda number: "alarm" if span["alarmed"][number] else "down"
    links = Management()
    links.spans = {1: SimpleNamespace(**span)}
    return links.data_links()


def test_which_span_lacks_its_data_link():
    assert data_links() == {1: SIDES["user"]}
    assert data_links(open_links={1}) == data_links(alarmed={1: ["los"]}) == data_links(closing_ms=5) == {1: ""}
    assert data_links(opened=False) == data_links(alarmed={}) == {1: None}
    assert data_links(locked=[[1, LOCKED], [2, LOCKED]]) == {1: ""} and data_links(locked=[[1, LOCKED]]) == {1: SIDES["user"]}


def test_of_a_group_with_a_back_up_one_span_is_told_and_only_where_none_is_up():
    group = {1: 0, 2: 1}
    assert data_links(links=group, open_links={2}) == {1: "", 2: ""}
    assert data_links(links=group) == {1: SIDES["user"], 2: ""}
    assert data_links(links=group, alarmed={1: ["los"], 2: []}) == {1: "", 2: SIDES["user"]}


def test_a_d_channel_is_an_alarm_after_a_minute_and_ends_by_itself(house):
    house.keeper.data_links = lambda: house.links
    house.links = {span: SIDES["user"] for span in range(1, 65)}
    assert house.run(59) == []
    assert [(kind, len(members)) for kind, members in house.run(4)] == [("d_channel_down", 64)]
    house.links = {span: "" for span in house.links}
    assert house.run(6) == []
    house.links = {1: SIDES["user"]}
    house.keeper.tested = lambda: {1: "running"}
    assert house.run(70) == []
    house.keeper.tested = dict
    assert house.run(63) == [("d_channel_down", ["span 1"])]
    house.links = {1: None}
    assert house.run(20) == [("d_channel_down", ["span 1"])]
    house.links = {}
    assert house.run(20) == []
