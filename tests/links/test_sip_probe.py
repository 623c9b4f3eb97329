"""When silent telephones are asked: never hundreds at once, and each in its turn."""

import collections

import pytest

from firmware.links.sip_probe import BURST, BURST_MS, DEAD_S, PROBE_AGAIN_MS, RTP_TIMEOUT_MS, SilentPhones
from firmware.proto.sip.session import PROBE_MS


class House(SilentPhones):
    """What SilentPhones is the half of; `asked` holds (ms, leg), `limits` until when each may be silent."""

    def __init__(self, legs):
        self.legs, self._probe_at, self.asked, self.endpoint, self.now_ms = {leg: dict(row, line="1001") for leg, row in legs.items()}, {}, [], self, 0
        self.config, self.limits = {"dead_s": {}}, []

    def request(self, primitive, now_ms):
        assert primitive["kind"] == "probe_request"
        self.asked.append((now_ms, primitive["leg"]))
        self.limits.append(primitive["until_ms"])
        return []

    def _take(self, events, now_ms):
        pass

    def _set(self, leg, **values):
        self.legs[leg].update(values)

    def go_on(self, until_ms):
        """Let the deadlines come; each moves the clock on."""
        while (at := self.deadline_ms()) is not None and at <= until_ms:
            self.now_ms = max(self.now_ms, at)
            before = len(self.asked), len(self._probe_at)
            self.expire(self.now_ms)
            assert (len(self.asked), len(self._probe_at)) != before, "a deadline at which nothing is done comes at once again"


def after_a_restart(count):
    house = House({"l%d" % number: {"silent": True} for number in range(count)})
    house._resume_probes(0)
    return house


def fall_silent(count):
    house = House({"l%d" % number: {} for number in range(count)})
    for leg in house.legs:
        house._silence(leg, True, 0)
    return house


@pytest.mark.parametrize("begin", [after_a_restart, fall_silent])
def test_a_thousand_are_asked_in_small_parts_and_again_in_time(begin):
    house = begin(1000)
    house.go_on(3 * PROBE_AGAIN_MS - 1)
    bursts = collections.Counter(at // BURST_MS for at, _ in house.asked)
    assert max(bursts.values()) == BURST
    times = {leg: [at for at, other in house.asked if other == leg] for leg in ("l0", "l500", "l999")}
    for asked in times.values():
        assert len(asked) == 3 and {later - sooner for sooner, later in zip(asked, asked[1:])} == {PROBE_AGAIN_MS}


def test_nobody_is_asked_twice_before_all_were_asked_once():
    house = after_a_restart(2500)       # more than have room in PROBE_AGAIN_MS
    house.go_on(5 * PROBE_AGAIN_MS)
    legs = [leg for _, leg in house.asked]
    assert len(set(legs[:2500])) == 2500


def test_one_is_asked_at_once_and_no_more_when_it_is_heard_again():
    house = fall_silent(1)
    house.go_on(0)
    assert house.asked == [(0, "l0")] and house.deadline_ms() == PROBE_AGAIN_MS
    house._silence("l0", False, 50)
    assert house.deadline_ms() is None


def test_legs_that_are_gone_take_no_room():
    house = fall_silent(2 * BURST)
    for number in range(BURST):
        del house.legs["l%d" % number]
    house.go_on(0)
    assert len(house.asked) == BURST


@pytest.mark.parametrize("dead_s", (None, 10, 3600))
def test_the_last_question_is_asked_in_time_for_its_answer(dead_s):
    house = fall_silent(1)
    if dead_s:
        house.config["dead_s"]["1001"] = dead_s
    limit_ms = (dead_s or DEAD_S) * 1000 - RTP_TIMEOUT_MS
    house.go_on(limit_ms - 1)
    times = [at for at, _ in house.asked]
    assert set(house.limits) == {limit_ms} and limit_ms - PROBE_MS <= max(times) < limit_ms
    assert min(later - sooner for sooner, later in zip(times, times[1:])) >= PROBE_MS, "each has had its time"
    assert all(later - sooner < PROBE_AGAIN_MS + PROBE_MS for sooner, later in zip(times, times[1:]))


def test_an_answer_is_a_sign_of_life_and_so_is_sound():
    house = fall_silent(1)
    house.go_on(0)
    house._on_alive({"leg": "l0"}, 20)
    house.go_on(PROBE_AGAIN_MS)
    assert house.limits == [DEAD_S * 1000 - RTP_TIMEOUT_MS, 20 + DEAD_S * 1000]


def test_who_unregisters_while_it_is_silent_is_asked_at_once_and_for_the_last_time():
    house = fall_silent(1)
    house.go_on(0)
    house._telephone_left("1002", 3000)
    assert house.deadline_ms() == PROBE_AGAIN_MS
    house.now_ms = DEAD_S * 2000
    house._telephone_left("1001", house.now_ms)
    house.go_on(house.now_ms)
    assert house.asked[1:] == [(house.now_ms, "l0")] and house.limits[1] < house.now_ms
