"""When a page counts as away, and when its call is given up."""

import pytest

from firmware.links.sip_browsers import LEFT_TIMEOUT_MS, PATIENCE_MS, SIPBrowsers
from firmware.links.sip_probe import RTP_TIMEOUT_MS

PAGE = {"browser": {"far_ufrag": "abcd"}, "direction": "sendrecv"}


class House(SIPBrowsers):
    """What SIPBrowsers is the half of: `told` holds what the core hears, `modified` RTP timeouts, `released` legs."""

    def __init__(self, **legs):
        self.legs = {leg: dict({"line": "1001", "state": "answered", "far": PAGE, "held": False}, **row) for leg, row in legs.items()}
        self._probe_at, self._given_up_at, self.told, self.modified, self.released = {}, {}, [], [], []
        self.config, self.turns, self.media, self.endpoint = {"dead_s": {}}, self, self, self

    def post(self, event):
        self.told.append((event["kind"], event["leg"]))

    def command(self, kind, id, timeout_ms):
        self.modified.append((id, timeout_ms))

    def request(self, primitive, now_ms):
        return []

    def _take(self, events, now_ms):
        pass

    def _set(self, leg, **values):
        self.legs[leg].update(values)

    def _release(self, leg, cause, now_ms):
        self.released.append((leg, cause))
        del self.legs[leg]

    def go_on(self, until_ms):
        while (at := self.deadline_ms()) is not None and at <= until_ms:
            self.expire(at)


def lost(house, leg, now_ms):
    house._on_flow_lost({"leg": leg}, now_ms)


def closed(house, leg, now_ms):
    house._dtls_closed({"id": leg}, now_ms)


@pytest.mark.parametrize("leaves", (lost, closed))
def test_a_page_that_is_closed_is_away_soon_and_given_up_after_its_patience(leaves):
    house = House(l1={})
    leaves(house, "l1", 0)
    assert house.modified == [("l1", LEFT_TIMEOUT_MS)] and not house.told, "its sound is looked at sooner: it may go on"
    house._silence("l1", True, 1500)
    assert house.told == [("leg.away", "l1")]
    house.go_on(1500 + PATIENCE_MS - 1)
    assert not house.released
    house.go_on(1500 + PATIENCE_MS)
    assert house.released == [("l1", 41)]


def test_one_that_fell_silent_first_is_given_up_from_the_moment_it_leaves():
    house = House(l1={})
    house._silence("l1", True, 0)
    assert house.told == [("leg.away", "l1")], "the network may be cut: its patience is dead_s"
    house.go_on(PATIENCE_MS + 1)
    assert not house.released
    lost(house, "l1", 20000)
    house.go_on(20000 + PATIENCE_MS)
    assert house.released and house.told == [("leg.away", "l1")]


def test_a_page_that_is_loaded_anew_and_takes_its_call_over_stays():
    house = House(l1={})
    lost(house, "l1", 0)
    house._silence("l1", True, 1500)
    house._speaks_again("l1")           # its INVITE with Replaces
    assert ("leg.back", "l1") not in house.told
    house._silence("l1", False, 4000)
    assert house.told == [("leg.away", "l1"), ("leg.back", "l1")]
    house.go_on(60000)
    assert not house.released


def test_a_connection_that_comes_back_is_that_of_the_web_process():
    house = House(l1={})
    lost(house, "l1", 0)
    house._on_flow_back({"leg": "l1"}, 900)
    assert house.modified == [("l1", LEFT_TIMEOUT_MS), ("l1", RTP_TIMEOUT_MS)] and not house.told
    house._silence("l1", True, 9000)
    house.go_on(9000 + PATIENCE_MS)
    assert house.told == [("leg.away", "l1")] and not house.released


def test_what_is_no_browser_or_sends_nothing_by_right_is_not_away():
    house = House(l1={"far": dict(PAGE, browser=None)}, l2={"far": dict(PAGE, direction="inactive")}, l3={"state": "alerting"})
    for leg in ("l1", "l2"):
        house._silence(leg, True, 0)
    lost(house, "l1", 0)
    lost(house, "l3", 0)
    assert not house.told and not house.modified


def test_the_next_process_goes_on_waiting():
    house = House(l1={"silent": True, "away": True, "left_ms": 5}, l2={"silent": True, "away": True})
    house._resume_probes(1000)
    house.go_on(1000 + PATIENCE_MS)
    assert [leg for leg, _ in house.released] == ["l1"]
