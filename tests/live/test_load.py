"""A sample of the full trunk load (`make load`): calls through the box from one far exchange to another, three spans of PRI, SS7 and R2.

Far ends are libpri, libss7 and libopenr2; each call is proved at both ends by its own tone, and control is killed meanwhile."""

import time

import pytest

from hil.load.__main__ import audit
from hil.load.faults import in_motion
from hil.load.rig import LoadRig
from hil.r2.client import BINARY

SS7 = BINARY.with_name("far-ss7")
pytestmark = [pytest.mark.live, pytest.mark.skipif(not BINARY.exists() or not SS7.exists(), reason="libss7-dev or libopenr2-dev is not installed")]


def until(condition, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_calls_of_three_kinds_cross_and_leave_nothing_behind(tmp_path):
    with LoadRig(tmp_path, 1, 1, 2) as rig:
        driver = rig.prepare().traffic(calls=16, rate=6)
        until(lambda: driver.completed >= 5)
        driver.hold(True)
        until(lambda: all(len(call.connected) == 2 for call in list(driver.live.values()) if call.cleared is None))
        stood = [call for call in list(driver.live.values()) if not in_motion(call)]
        rig.kill("control")
        driver.excuse(in_motion)
        rig.wait(lambda state: len(state["calls"]) >= len(stood), 30, "the calls after the kill")
        driver.excuse(None)
        assert stood and not any(call.failure for call in stood), "a kill of control costs no answered call"
        driver.hold(False)
        done = driver.completed
        until(lambda: driver.completed >= done + 5)
        assert driver.drain(60)
        until(lambda: not audit(rig))
        # Blocks that the host held up are no fault of the way: what counts is that no call was cut short, and whose tone was heard.
        early = [text for text in driver.failures if "own tone" not in text]
        assert not early, early
        assert driver.first_blocks, "the tones were heard"
