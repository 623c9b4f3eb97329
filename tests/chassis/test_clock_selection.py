"""Clock selection, with time passed in, and with the DPLL driver on the emulated chip."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.clock import DPLL
from firmware.chassis.clock_selection import BARE_WAIT_MS, QUALITIES, ClockSelection
from firmware.errors import ConfigError, LocalError
from hil.chassis.box import Box

THREE = [{"source": "span 1", "priority": 1}, {"source": "span 9", "priority": 2}, {"source": "span 17", "priority": 2}]


class Clock:
    def __init__(self, sources=THREE, **options):
        self.now_ms, self.selection, self.log = 0, ClockSelection(sources, 0, **options), []
        self.good = {row["source"]: True for row in sources}
        self.ssm = {}

    def run(self, seconds, **changes):
        for name, good in changes.items():
            self.good["span " + name[4:]] = good
        end_ms = self.now_ms + seconds * 1000
        while self.now_ms < end_ms:
            for name, good in self.good.items():
                self.selection.report(name, good, self.now_ms, "" if good else "no signal", self.ssm.get(name))
            before = self.selection.selected
            if self.selection.expire(self.now_ms) != before:
                self.log.append((self.now_ms, self.selection.selected))
            self.now_ms += 200
        return self.selection.selected


def test_the_lowest_priority_number_wins_and_a_short_fault_changes_nothing():
    clock = Clock()
    assert clock.run(5) == "span 1"
    clock.run(0.8, span1=False)
    assert clock.run(5, span1=True) == "span 1" and len(clock.log) == 1


def test_failure_restores_after_the_wait_only():
    clock = Clock()
    clock.run(5)
    assert clock.run(2, span1=False) == "span 9"
    assert "span 1 is lost (no signal); span 9 is the next" in clock.selection.why
    assert clock.run(290, span1=True) == "span 9"
    assert clock.run(20) == "span 1" and "better than span 9" in clock.selection.why
    clock.run(2, span1=False)
    clock.run(200, span1=True)
    clock.run(2, span1=False)                      # fails again while it waits: the wait begins anew
    assert clock.run(290, span1=True) == "span 9"
    assert clock.run(20) == "span 1"


def test_no_switch_back_between_equals():
    clock = Clock()
    clock.run(5)
    clock.run(2, span1=False, span9=False)
    assert clock.selection.selected == "span 17"
    assert clock.run(1000, span9=True) == "span 17"          # equal priority: it stays
    assert clock.run(10) == "span 17" and clock.selection.switches == 2
    assert clock.run(400, span1=True) == "span 1"


def test_holdover_and_free_run():
    clock = Clock()
    clock.run(5)
    clock.run(3, span1=False, span9=False, span17=False)
    selection = clock.selection
    assert selection.selected is None
    assert selection.mode({"locked": False, "history": True}) == "holdover"
    assert selection.mode({"locked": False, "history": False}) == "freerun" == selection.mode(None)
    assert selection.alarms("holdover") == {"clock": {"clock_holdover": selection.why}} and "no other source" in selection.why
    clock.run(BARE_WAIT_MS / 1000 - 3, span9=True)
    assert selection.selected is None
    assert clock.run(5) == "span 9"                           # rather than none, without the long wait
    assert selection.mode({"locked": True, "history": True}) == "locked" and selection.alarms("locked") == {}


def test_quality_comes_before_priority():
    clock = Clock()
    clock.ssm = {"span 1": 0xB, "span 17": 0x2}
    assert clock.run(5) == "span 17"
    clock.ssm["span 17"] = 0xF
    assert clock.run(5) == "span 1"                           # span 9 has "sec" by configuration, span 1 by SSM: priority
    assert "DNU" in [row["reason"] for row in clock.selection.describe() if row["source"] == "span 17"][0]


def test_lock_out_and_force():
    clock = Clock()
    clock.run(5)
    clock.selection.lock_out("span 1", True)
    assert clock.run(1) == "span 9"
    clock.selection.force("span 17")
    assert clock.run(1) == "span 17" and "forced" in clock.selection.why
    assert clock.run(2, span17=False) == "span 9"             # a forced source that fails is not followed
    clock.selection.lock_out("span 1", False)
    clock.selection.force(None)
    assert clock.run(2) == "span 1"
    with pytest.raises(LocalError, match="no clock source"):
        clock.selection.force("span 99")


def test_wrong_configuration():
    with pytest.raises(ConfigError, match="twice"):
        ClockSelection([THREE[0], THREE[0]], 0)
    with pytest.raises(ConfigError, match="quality is one of"):
        ClockSelection([{**THREE[0], "quality": "best"}], 0)
    empty = ClockSelection([], 0)
    assert empty.expire(1000) is None and empty.alarms("freerun") == {}


def test_with_the_dpll():
    box, clock = Box(), Clock([{"source": "span %d" % span, "priority": n + 1} for n, span in enumerate((1, 9, 17))])
    dpll, inputs = DPLL(box.bus, 0x68), {"span 1": 0, "span 9": 1, "span 17": 2, None: None}
    dpll.configure()
    dpll.select(inputs[clock.run(5)])
    assert box.chips["dpll"].following == 0
    box.chips["dpll"].signal[0] = False
    assert dpll.status()["holdover"]                          # by itself, before anybody decides
    clock.good["span 1"] = dpll.status()["inputs"][0]["signal"]
    dpll.select(inputs[clock.run(3)])
    assert box.chips["dpll"].following == 1 and clock.selection.mode(dpll.status()) == "locked"
    dpll.select(inputs[clock.run(3, span9=False, span17=False)])
    assert clock.selection.mode(dpll.status()) == "holdover"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(1, 30)), max_size=25))
def test_what_is_followed_is_never_long_bad(steps):
    clock = Clock(wait_to_restore_ms=20_000)
    for number, good, seconds in steps:
        clock.run(seconds, **{"span" + str((1, 9, 17)[number]): good})
        selected = clock.selection.selected
        if selected is not None and seconds >= 2:
            assert clock.good[selected]
    good = any(clock.good.values())
    assert (clock.run(60) is not None) == good
    assert set(QUALITIES) == {"prc", "ssu_a", "ssu_b", "sec", "dnu"}
