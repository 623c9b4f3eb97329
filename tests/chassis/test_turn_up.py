"""What the turn-up says to each fault that installers fight with."""

import asyncio
import concurrent.futures
import itertools
import json
import math
import types
from types import SimpleNamespace

import pytest

from firmware.chassis import line_orders, turn_up, turn_up_pairs, turn_up_tests
from firmware.chassis.alarm_table import KINDS
from firmware.chassis.turn_up_judge import SENTENCES, judge
from firmware.errors import LocalError
from firmware.proto.sip.causes import meaning

GOOD = {"span": 3, "type": "e1", "framing": "esf", "crc4": True, "side": "user", "signalling": "pri", "d_timeslot": 16, "alarms": set(),
        "seconds": 10, "errors": 0, "far_errors": 0, "blocks": 10000, "slips": 0, "clock_selected": False, "link_up": True, "loop": None,
        "code": None, "looped": False, "crossed": None}
FAULTS = [
    ({"alarms": {"los"}, "link_up": False, "looped": None}, {"los", "link_waits"}),
    ({"alarms": {"ais"}, "link_up": False}, {"ais", "link_waits"}),
    ({"alarms": {"lfa"}, "link_up": False}, {"lfa_e1", "link_waits"}),
    ({"alarms": {"lfa"}, "type": "t1", "link_up": False}, {"lfa_t1", "link_waits"}),
    ({"alarms": {"rai"}, "crc4": False, "link_up": False}, {"rai", "link_down"}),
    ({"alarms": {"rai"}}, {"rai_crc4"}),
    ({"alarms": {"no_crc4"}}, {"crc4_far_off"}),
    ({"errors": 7}, {"errors"}),
    ({"far_errors": 7}, {"far_errors"}),
    ({"type": "t1", "errors": 3300, "blocks": 3330}, {"crc_all"}),
    ({"slips": 2}, {"clock_follow"}),
    ({"slips": 2, "side": "network"}, {"clock_far"}),
    ({"slips": 2, "clock_selected": True}, {"clock_selected"}),
    ({"looped": True, "link_up": False}, {"looped_far", "link_looped"}),
    ({"loop": "remote", "link_up": False}, {"looped_near", "link_looped"}),
    ({"loop": "remote", "code": "line_up", "link_up": False}, {"looped_code", "link_looped"}),
    ({"crossed": 4, "link_up": False}, {"crossed", "link_down"}),
    ({"answers": 9}, {"pairs_crossed"}),
    ({"answers": 9, "crossed": 9}, {"crossed"}),        # a loop at the far end says more
    ({"link_up": False}, {"link_down", "pairs_untested"}),
    ({"link_up": False, "prbs": {"busy": True}}, {"link_down", "prbs_busy"}),        # asked for already
    ({"link_up": False, "errors": 7}, {"link_down", "errors"}),
    ({"errors": 7, "far_errors": 4}, {"errors_both"}),
    ({"errors": 7, "far_errors": 4, "level_db": 2.0, "limit_db": 23.1, "transmit": "ok"}, {"errors_both"}),
    ({"errors": 7, "far_errors": 4, "type": "t1"}, {"errors", "far_errors"}),
    ({"alarms": {"los"}, "link_up": False, "looped": None, "transmit": "open"}, {"los_open", "link_waits"}),
    ({"alarms": {"los"}, "link_up": False, "looped": None, "transmit": "ok"}, {"los_pairs", "link_waits"}),
    ({"alarms": {"los"}, "link_up": False, "looped": None, "transmit": "ok", "weak_db": 26.0, "limit_db": 23.1}, {"los_weak", "link_waits"}),
    ({"alarms": {"rai", "transmit_open"}, "transmit": "open"}, {"transmit_open", "link_waits"}),
    ({"alarms": {"rai", "transmit_short"}, "transmit": "short"}, {"transmit_short", "link_waits"}),
    ({"alarms": {"weak"}, "errors": 7, "level_db": 19.0, "limit_db": 23.1, "transmit": "ok"}, {"weak", "errors"}),
    ({"errors": 7, "level_db": 2.0, "limit_db": 23.1, "transmit": "ok"}, {"errors_level_good"}),
    ({"d_span": 1}, {"link_of_group"}),                  # NFAS: neither tested by a D channel of its own nor in lack of one
    ({"d_span": 1, "link_up": False}, {"link_of_group_down"}),
]


def test_a_good_span_passes():
    findings = judge(GOOD)
    assert {f["result"] for f in findings} == {"pass"} and "link_up" in {f["key"] for f in findings}


@pytest.mark.parametrize("change, keys", FAULTS)
def test_each_fault_has_its_sentence(change, keys):
    findings = judge({**GOOD, **change})
    assert {f["key"] for f in findings if f["result"] != "pass"} == keys
    assert all(f["text"] == SENTENCES[f["key"]] % f["arguments"] for f in findings)


@pytest.mark.parametrize("alarm", ["framer", "card", "configuration"])
def test_a_line_that_nothing_carries_is_said_to_be_nothing_else(alarm):
    findings = judge({**GOOD, "alarms": {alarm}, "looped": True, "link_up": False})
    assert [f["key"] for f in findings] == ["not_carried", "link_waits"] and KINDS[alarm]["text"] in findings[0]["text"]


def test_the_offset_is_told():
    text = next(f["text"] for f in judge({**GOOD, "slips": 4}) if f["check"] == "clock")
    assert "50.0 ppm" in text                               # 4 slips of 125 us in 10 s


CALLS = {"number": "", "out": None, "in": None, "incoming_s": 0, "least_erl_db": 6, "least_tone_dbm0": -30}
SILENT_CALLER = {"timeslot": 1, "why": None, "figures": {"looped": False, "heard_hz": None, "heard_dbm0": None, "level_dbm0": -60.0, "erl_db": None}}
CUT = {"timeslot": 1, "answer_ms": 900, "cause": 16, "figures": None, "why": "the call ended before it was measured"}


def results(**change):
    return {f["key"]: f["result"] for f in judge({**GOOD, **change})}


@pytest.mark.parametrize("came, key", [(SILENT_CALLER, "call_in_silent"), (CUT, "call_in_unmeasured")])
def test_a_call_that_nobody_asked_for_fails_no_span(came, key):
    assert results(**{**CALLS, "in": came})[key] == "note"
    assert results(**{**CALLS, "in": came, "incoming_s": 20})[key] == "fail"


def test_a_call_that_nobody_wanted_is_no_lack_of_a_number():
    assert "call_none" in results(**CALLS) and "call_unwanted" in results(**CALLS, configured_number="8")


def test_a_failed_call_on_a_clean_line_asks_for_the_test_of_the_pairs():
    failed = {**CALLS, "number": "1", "out": {**CUT, "answer_ms": None}}
    assert results(**failed)["pairs_untested"] == "note"
    assert not any("pairs_untested" in results(**{**failed, **more}) for more in ({"alarms": {"rai"}}, {"crossed": 4}, {"type": "t1"}, {"far_errors": 1}))


def clocks(**ppm):
    return {name[1:]: {"ppm": offset, "within_ppm": 12.5, "slips": 9 if offset else 0, "seconds": 10, "errored": 0} for name, offset in ppm.items()}


@pytest.mark.parametrize("seen, key", [
    (clocks(s3=60.0), "clock_follow"),                                          # no other evidence
    (None, "clock_follow"),
    (clocks(s3=60.0, s4=0.0, s5=0.0, s6=0.0), "clock_odd"),
    (clocks(s3=60.0, s4=-50.0, s5=-50.0), "clock_odd"),                         # the others have one clock, which is not the box's
    (clocks(s3=60.0, s4=60.0, s5=60.0), "clock_follow"),                        # all of them are away from the box
    (clocks(s3=60.0, s4=60.0, s5=60.0, s6=0.0), "clock_follow"),
    (clocks(s3=60.0, s4=0.0), "clock_odd"),
    (clocks(s3=60.0, s4=-50.0), "clock_follow"),                                # who is right cannot be said
    (clocks(s3=60.0, s4=-50.0, s5=0.0, s6=120.0), "clock_follow"),
    (clocks(s3=20.0, s4=0.0, s5=0.0), "clock_follow")])                         # within what can be told apart
def test_a_far_end_that_is_the_odd_one_is_no_clock_source(seen, key):
    for side in ("user", "network"):
        found = next(f for f in judge({**GOOD, "slips": 5, "side": side, "clocks": seen}) if f["check"] == "clock")
        assert found["key"] == ("clock_far" if side == "network" and key == "clock_follow" else key)
    assert results(slips=5, clock_selected=True, clocks=seen)["clock_selected"] == "fail"


def test_alarms_are_named_in_words():
    found = next(f for f in judge({**GOOD, "bad_seconds": 3, "bad_names": {"rai", "transmit_open"}}) if f["key"] == "alarm_seconds")
    assert found["arguments"]["names"] == "rai, transmit_open" and "rai" not in found["text"] and "transmit_open" not in found["text"]


def test_no_sentence_names_a_field():
    from webui.render import CATALOGUES
    said = [*SENTENCES.values(), *(CATALOGUES["zh_CN"].gettext("turn_up." + key) for key in SENTENCES)]
    assert not [text for text in said if "impedance_ohm" in text]


def test_every_alarm_is_there_in_chinese():
    from firmware.chassis.alarm_table import KINDS
    from webui.render import CATALOGUES
    messages = CATALOGUES["zh_CN"].messages
    assert [name for kind in KINDS for name in ("kind." + kind, "advice." + kind) if name not in messages] == []


def test_every_sentence_is_there_in_both_languages():
    from webui.render import CATALOGUES
    missing = [(language, key) for language in CATALOGUES for key in SENTENCES
               if language != "en" and CATALOGUES[language].gettext("turn_up." + key) == "turn_up." + key]
    assert not missing


class Lines:
    """Spans whose receive pair belongs to a far end; it sends RAI at the look after it received AIS.  deaf: far ends that never do."""

    def __init__(self, receives, deaf=(), always=()):
        self.receives, self.deaf, self.always = receives, deaf, always
        self.ais, self.rai, self.orders = {}, set(), 0

    async def force(self, span, rai, ais, by):
        self.ais[span], self.orders = ais, self.orders + 1

    @property
    def looks(self):
        """Asking for it lets a look pass."""
        self.rai = {span for span, far in self.receives.items() if self.ais.get(far) and far not in self.deaf} | set(self.always)
        self._looks = getattr(self, "_looks", 0) + 1
        return self._looks

    def defects(self, span):
        return {"rai"} if span in self.rai else set()


@pytest.mark.parametrize("change, expected", [
    ({}, {}), ({3: 7, 7: 3}, {3: 7, 7: 3}), ({1: 64, 64: 1, 2: 5, 5: 2}, {1: 64, 64: 1, 2: 5, 5: 2}), ({4: 5, 5: 6, 6: 4}, {4: 5, 5: 6, 6: 4})])
def test_the_far_end_that_answers_on_another_span_is_found(change, expected):
    spans = list(range(1, 65))
    lines = Lines({span: change.get(span, span) for span in spans})
    found = asyncio.run(turn_up_pairs.ask(spans, lines, lines))
    assert found == {span: expected.get(span, span) for span in spans}
    assert not any(lines.ais.values())                      # ended


def test_a_far_end_that_does_not_answer_is_not_accused():
    spans = list(range(1, 17))
    lines = Lines({**{span: span for span in spans}, 2: 3, 3: 2}, deaf={2, 9}, always={5})
    found = asyncio.run(turn_up_pairs.ask(spans, lines, lines))
    assert found == {span: span for span in spans if span not in (2, 3, 5, 9)} | {2: 3}


@pytest.mark.parametrize("count", [1, 2, 20, 21, 64, 128])
def test_a_turn_seen_wrongly_is_no_other_span(count):
    sent = turn_up_pairs.words(range(count))
    assert len(set(sent.values())) == count and len({sum(word) for word in sent.values()}) == 1
    for span, turn in itertools.product(sent, range(len(sent[0]))):
        word = list(sent[span])
        word[turn] = not word[turn]
        assert turn_up_pairs.read(sent, {span: word}) == {}
    assert math.comb(len(sent[0]), len(sent[0]) // 2) >= count


def test_a_line_that_comes_and_goes_is_not_called_unplugged():
    for change in ({"alarms": {"los"}, "link_up": False, "transmit": "open"}, {}):
        found = judge({**GOOD, **change, "comings": 5, "comings_min": 1.4})
        assert [f["key"] for f in found if f["check"] == "signal"] == ["comes_goes"] and "5 times in 1 min: a loose plug" in found[0]["text"]
    assert results(comings=1, comings_min=1.4)["signal_ok"] == "pass"


def test_the_cause_of_a_call_that_failed_is_told_in_words():
    from webui.render import CATALOGUES
    from webui.sayings import Sayings
    found = next(f for f in judge({**GOOD, **CALLS, "number": "1", "out": {**CUT, "answer_ms": None, "cause": 1, "meaning": meaning(1), "why": "no trunk for 1: 1 tried"}}) if f["check"] == "call out")
    assert "cause 1, Unallocated number: no trunk for 1: 1 tried." in found["text"]
    said = Sayings(CATALOGUES["zh_CN"]).sentence(found)
    assert "未分配的号码" in said and "已尝试 1 条" in said


# -- a run: cancelled, cut by a kill, with media that refuses --

class Media:
    """Bit error tests by name.  refuse: {verb: names that it does not take}."""

    def __init__(self):
        self.client, self.serving, self.tests, self.refuse, self.all_names = self, True, {}, {}, []

    async def call(self, verb, id=None, **given):
        if id in self.refuse.get(verb, ()):
            raise LocalError("media: not connected")
        if verb == "bert_start":
            self.tests[id] = {"id": id, "errors": 0, "bits": 9, "synced": True, **given}
            self.all_names.append(id)
        elif verb == "bert_insert":
            self.tests[id]["errors"] += given["errors"] if id.startswith("own-loop-") else 0        # the far end is not in loop
        elif verb == "bert_stop":
            return {"bert": self.tests.pop(id)} if id in self.tests else {}
        return {"berts": [dict(row) for row in self.tests.values()]}


class House:
    """What a TurnUp asks of its house, of the lines and of the keeper; each save is what a killed process leaves."""

    def __init__(self, saved=None):
        self.media, self.loops, self.forced, self.saved, self.now_ms, self.looks = Media(), {}, {}, saved, 1000, 0
        self.turns = SimpleNamespace(clock=SimpleNamespace(now_ms=lambda: self.now_ms), fault=None, run=self.run)
        self.config = SimpleNamespace(running=lambda: {"site": {"name": "x"}, "numbers": [], "spans": [{"span": n, "enabled": True} for n in (1, 2, 3)]})
        self.stores = SimpleNamespace(machines=SimpleNamespace(load=lambda name: self.saved, save=self.save))
        self.switchboard = SimpleNamespace(core=SimpleNamespace(span_is_up=lambda span: True))
        self.clock_selection, self.lines, self.comings = SimpleNamespace(selected=None), lambda: {}, lambda span, since_ms: 0
        self.span_with, self.came_in = lambda span: SimpleNamespace(up=True, links={span: 0}, open_links={span}, number=span), lambda span, since_ms: None
        self.turn_up = turn_up.TurnUp(self, self, self, self, lambda row: [1, 2], self)

    def save(self, name, state):
        self.saved = json.loads(json.dumps(state))

    def run(self, what, function):
        self.turn_up.save(self.stores)
        self.turn_up.saved()

    def sums(self, span):
        return dict.fromkeys(("seconds", "errors", "far_errors", "slips"), 0)

    def defects(self, span):
        return set()

    def hears_us(self, span, does):
        self.heard_us = getattr(self, "heard_us", {}) | {span: does}

    def examine_clocks(self):
        self.looks += 3
        return {"spans": {}}

    async def loop(self, span, kind, by="us"):
        self.loops[span] = kind

    async def force(self, span, rai, ais, by):
        self.forced[span], self.looks = ais, self.looks + 3

    def begin(self, **options):
        return self.turn_up.begin([{**GOOD, "span": span} for span in (1, 2, 3)], **options)

    async def until(self, stage):
        while not any(report["stage"] == stage for report in self.turn_up.last["spans"]):
            await asyncio.sleep(0)


@pytest.fixture
def at_once(monkeypatch):
    for module, name in ((turn_up_tests, "TEST_S"), (turn_up_tests, "OWN_LOOP_S"), (turn_up, "SETTLE_S"), (turn_up, "LOOK_S"), (turn_up, "KEEP_S")):
        monkeypatch.setattr(module, name, 0.001)
    monkeypatch.setattr(turn_up_tests, "QUIET_S", 0)


def run_until(stage, act):
    async def whole():
        house = House()
        house.begin(seconds=3600, loop=True)
        await house.until(stage)
        return house, await act(house)
    return asyncio.run(whole())


def test_whose_data_link_a_span_of_a_group_is_judged_by(at_once):
    async def facts(house, **link):
        house.span_with = lambda span: SimpleNamespace(number=1, **{"links": {1: 0, 2: 1}, "open_links": {2}, "up": True, **link})
        house.turn_up._reports = {span: {"started_ms": 0} for span in (1, 2, 3)}
        return [(told["d_span"], told["link_up"]) for span in (1, 2, 3) for told in [house.turn_up._facts({**GOOD, "span": span}, 5, {}, {})]]
    assert asyncio.run(facts(House())) == [(None, False), (None, True), (1, True)]      # the back-up carries the group, the first is down
    assert asyncio.run(facts(House(), links={1: 0}, open_links={1})) == [(None, True), (1, True), (1, True)]


@pytest.mark.parametrize("stage", ["own loop", "pairs", "watches"])
def test_a_run_that_is_cancelled_gives_everything_back(at_once, stage):
    house, run = run_until(stage, lambda house: house.turn_up.cancel(2))
    assert not run["running"] and run["ended_ms"] and house.media.tests == {} and not any(house.forced.values()) and set(house.loops.values()) <= {"none"}
    for report in run["spans"]:
        assert report["verdict"] == "cancelled" and report["findings"][0]["key"] == "cut_cancelled" and stage in report["findings"][0]["text"]
    keys = {finding["key"] for finding in run["spans"][0]["findings"]}
    assert ("prbs_ok" in keys) == (stage != "own loop") and ("no_loop" in keys) == (stage == "watches")
    with pytest.raises(LocalError, match="no turn-up runs"):
        asyncio.run(house.turn_up.cancel())
    assert house.saved["spans"][1]["verdict"] == "cancelled"


def test_a_loop_that_a_person_ordered_outlives_the_turn_up(at_once):
    async def whole():
        house = House()
        house.loops[2] = "remote"
        house.lines = lambda: {2: {"loop": {"kind": "remote", "by": "us"}, "bearer": {"kind": "board"}}}
        house.begin(seconds=0, loop=True)
        await house.until("own loop")
        with pytest.raises(LocalError, match="being tested with loops"):
            house.turn_up.must_not_hold(1)
        while house.turn_up.whole()["running"]:
            await asyncio.sleep(0)
        house.turn_up.must_not_hold(1)
        saved = {**house.turn_up.whole(), "ended_ms": None}
        saved["spans"][1].update(running=True, stage="own loop")
        again = House(saved)                                    # killed: the loop stands again by what was kept of it
        again.lines = house.lines
        again.turn_up.media_found({}, 0)
        for _ in range(9):
            await asyncio.sleep(0)
        return house, again
    house, again = asyncio.run(whole())
    assert house.loops == {1: "none", 2: "remote", 3: "none"} and again.loops == {}
    texts = [finding["text"] for finding in house.turn_up.last["spans"][1]["findings"] if finding["result"] == "fail"]
    assert any("looped already: remote loop, ordered by us" in text for text in texts) and any("end the loop, then test again" in text for text in texts)


class SlowHouse(House):
    """Orders take turns of the loop, as they wait for a framer's thread; what nobody waits for any more is not carried out (line_orders.py)."""

    def __init__(self):
        super().__init__()
        self.orders, self.heard = 0, {}
        self.lines = lambda: {span: {"level_db": None} for span in (1, 2, 3, 4)}

    def begin(self, **options):
        """Of four: the word of the fourth ends with all ones."""
        return self.turn_up.begin([{**GOOD, "span": span} for span in (1, 2, 3, 4)], **options)

    def defects(self, span):
        return {"los"} if self.turn_up._reports[span]["stage"] in ("loop", "watches", "listens") else set()

    async def _order(self):
        self.orders += 1
        for _ in range(3):
            await asyncio.sleep(0)

    async def loop(self, span, kind, by="us"):
        await self._order()
        await super().loop(span, kind)

    async def force(self, span, rai, ais, by):
        await self._order()
        await super().force(span, rai, ais, by)

    async def listen(self, span, sensitivity):
        await self._order()
        self.heard[span] = sensitivity


def test_whatever_order_a_cancelled_run_is_in_nothing_stays_on_a_line(at_once, monkeypatch):
    """Cancelled in the middle of each order that it gives, those that take back among them."""
    async def settled(self, rows):
        pass
    monkeypatch.setattr(turn_up_tests.LineTests, "_settled", settled)
    monkeypatch.setattr(turn_up_tests, "CLOSE_S", 0)

    async def whole(cut):
        house = SlowHouse()
        run = house.begin(seconds=0, loop=True)
        while house.orders < cut and run["ended_ms"] is None:
            await asyncio.sleep(0)
        if run["ended_ms"] is None:
            await house.turn_up.cancel()
        return house
    orders = asyncio.run(whole(1000)).orders
    assert orders > 20
    for cut in range(1, orders + 1):
        house = asyncio.run(whole(cut))
        assert set(house.loops.values()) <= {"none"} and not any(house.forced.values()) and not any(house.heard.values()) and house.media.tests == {}, cut
        assert not house.turn_up.whole()["running"]


def test_a_run_that_is_cancelled_before_its_first_step_is_over():
    async def whole():
        house = House()
        house.begin(seconds=1)
        await house.turn_up.cancel(1)
        return house.turn_up.tested(), house.begin(seconds=1)["number"]
    assert asyncio.run(whole()) == ({1: "cancelled", 2: "cancelled", 3: "cancelled"}, 2)


@pytest.mark.parametrize("stage, taken_back", [("own loop", "loops"), ("pairs", "forced"), ("watches", None)])
def test_a_run_that_a_kill_cuts_is_kept_and_what_it_set_is_taken_back(at_once, stage, taken_back):
    async def die(house):
        return house.saved, house.media

    async def again(saved, media):
        house = House(saved)
        house.media.tests = dict(media.tests)
        house.media.tests["bert-1-all"] = {"id": "bert-1-all", "errors": 0}      # a person's
        left = {name: row for name, row in house.turn_up.tested().items()}
        first = house.turn_up.whole()
        house.turn_up.media_found({}, 0)
        house.begin(seconds=1, loop=False)
        assert house.turn_up.last["number"] == 2
        while house.turn_up.whole()["running"]:
            await asyncio.sleep(0)
        return house, left, first
    _, (saved, media) = run_until(stage, die)
    house, left, run = asyncio.run(again(saved, media))
    assert left == {1: "interrupted", 2: "interrupted", 3: "interrupted"} and not run["running"] and run["ended_ms"]
    first = run["spans"][0]["findings"]
    assert first[0]["key"] == "cut_interrupted" and stage in first[0]["text"] and ("prbs_ok" in {f["key"] for f in first}) == (stage != "own loop")
    assert set(house.media.tests) == {"bert-1-all"}
    assert house.loops == ({1: "none", 2: "none", 3: "none"} if taken_back == "loops" else {})
    assert house.forced == ({1: False, 2: False, 3: False} if taken_back == "forced" else {})
    assert [report["verdict"] for report in house.turn_up.last["spans"]] == ["pass"] * 3


def test_a_test_that_cannot_be_stopped_keeps_no_other_running_and_is_told(at_once):
    async def whole(house):
        house.media.refuse["bert_stop"] = ("own-loop-1-2", "pairs-1-1")
        return await house.turn_up.cancel()
    house, run = run_until("watches", whole)
    assert house.media.tests == {}

    async def begun():
        house = House()
        house.media.refuse["bert_stop"] = ("own-loop-1-2", "pairs-1-1")
        house.begin(seconds=1, loop=True)
        while house.turn_up.whole()["running"]:
            await asyncio.sleep(0)
        return house
    house = asyncio.run(begun())
    assert set(house.media.tests) == {"own-loop-1-2", "pairs-1-1"} and set(house.loops.values()) == {"none"}
    failed = {report["span"]: [finding["text"] for finding in report["findings"] if finding["result"] == "fail"] for report in house.turn_up.last["spans"]}
    assert failed[3] == [] and "could not be taken back: media: not connected" in failed[1][0] and "could not be taken back" in failed[2][-1]


def test_an_order_that_nobody_waits_for_any_more_is_not_carried_out():
    done, future = [], concurrent.futures.Future()
    orders = line_orders.LineOrders()
    orders._begin_orders(types.SimpleNamespace(load=lambda name: None))
    future.cancel()
    orders._orders.extend([(1, done.append, future), (1, done.append, concurrent.futures.Future())])
    orders._carry_out({1: "framer"})
    assert done == ["framer"]
