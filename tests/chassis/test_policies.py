"""Heat, power, lamps and watchdog, with the emulated box as the world and time passed in."""

import pytest

from drivers.fan import FanController
from drivers.thermal import TemperatureSensor
from firmware.chassis import liveness, thermal
from firmware.chassis.alarm_table import KINDS
from firmware.chassis.thermal import ThermalPolicy, on_curve
from hil.chassis.box import Box

PLACES = {"inlet": {"curve": [[25, 30], [45, 100]], "minor_c": 45, "major_c": 50, "critical_c": 60},
          "board": {"curve": [[40, 30], [75, 100]], "minor_c": 75, "major_c": 80, "critical_c": 90}}
FANS = [{"fan": n, "failed": False} for n in (1, 2, 3, 4)]


def run(policy, readings, seconds, start_ms, fans=FANS):
    for n in range(seconds):
        answer = policy.step(readings, fans, start_ms + n * 1000)
    return answer, start_ms + seconds * 1000


def test_the_curve():
    curve = [[25, 30], [35, 50], [45, 100]]
    assert [on_curve(curve, c) for c in (-20, 25, 30, 35, 40, 45, 90)] == [30, 30, 40, 50, 75, 100, 100]


def test_up_at_once_down_slowly_and_not_for_a_little():
    policy = ThermalPolicy(PLACES)
    answer, now = run(policy, {"inlet": 25.0, "board": 40.0}, 300, 0)
    assert answer["drive"] == pytest.approx(40, abs=1)                # the floor and the hysteresis above it
    answer, now = run(policy, {"inlet": 38.0, "board": 40.0}, 1, now)
    assert answer["drive"] == 76
    answer, now = run(policy, {"inlet": 37.0, "board": 40.0}, 120, now)
    assert answer["drive"] == 76                                      # within the hysteresis
    answer, now = run(policy, {"inlet": 30.0, "board": 40.0}, 25, now)
    assert answer["drive"] == 61                                      # three steps of 5
    seen = set()
    for n in range(200):
        answer, now = run(policy, {"inlet": 30.0 + n % 2, "board": 40.0}, 1, now)
        seen.add(answer["drive"])
    assert len({drive for drive in seen if drive < 62}) <= 5           # it settles, it does not hunt
    assert run(policy, {"inlet": 30.0, "board": 40.0}, 1, now)[0]["drive"] == run(policy, {"inlet": 31.0, "board": 40.0}, 50, now)[0]["drive"]


@pytest.mark.parametrize("readings, fans", [({"inlet": 25.0}, FANS), ({"inlet": 25.0, "board": 40.0}, None), ({}, FANS),
                                            ({"inlet": 25.0, "board": 40.0}, [*FANS[:3], {"fan": 4, "failed": True}])])
def test_whatever_is_not_known_means_full_drive(readings, fans):
    policy = ThermalPolicy(PLACES)
    run(policy, {"inlet": 25.0, "board": 40.0}, 300, 0)
    answer, _ = run(policy, readings, 1, 300_000, fans)
    assert answer["drive"] == 100 and not answer["shutdown"]


def test_derating_and_shutdown_need_time():
    policy = ThermalPolicy(PLACES)
    _, now = run(policy, {"inlet": 40.0, "board": 70.0}, 10, 0)
    answer, now = run(policy, {"inlet": 40.0, "board": 81.0}, 20, now)
    assert not answer["derate"] and answer["alarms"] == {"temperature board": {"temperature_major": "above 80 C"}}
    answer, now = run(policy, {"inlet": 40.0, "board": 81.0}, 20, now)
    assert answer["derate"] and not answer["shutdown"]
    answer, now = run(policy, {"inlet": 40.0, "board": 78.0}, 300, now)
    assert answer["derate"]                                           # not calm enough yet
    answer, now = run(policy, {"inlet": 40.0, "board": 70.0}, 65, now)
    assert not answer["derate"]
    answer, now = run(policy, {"inlet": 40.0, "board": 84.0}, 5, now)
    answer, now = run(policy, {"inlet": 40.0, "board": 91.0}, 9, now)
    assert not answer["shutdown"] and "temperature_critical" in answer["alarms"]["temperature board"]
    answer, now = run(policy, {"inlet": 40.0, "board": 91.0}, 3, now)
    assert answer["shutdown"]


def test_a_sensor_that_jumps_does_not_switch_the_box_off():
    policy = ThermalPolicy(PLACES)
    _, now = run(policy, {"inlet": 25.0, "board": 45.0}, 10, 0)
    for n in range(30):
        answer = policy.step({"inlet": 25.0, "board": 120.0 if n % 2 else 45.0}, FANS, now + n * 1000)
        assert not answer["shutdown"]
    assert "120.0 C" in policy.step({"inlet": 25.0, "board": 120.0}, FANS, now + 31_000)["suspect"]["board"]


@pytest.mark.parametrize("ambient_c, blocked, steady, shutdown", [
    (25, (), (30, 70), False), (40, (), (80, 100), False), (45, (0, 1), (100, 100), False), (75, (), (100, 100), True)])
def test_the_loop_with_the_emulated_box(ambient_c, blocked, steady, shutdown):
    box = Box(ambient_c=ambient_c, load=0.8)
    fans = FanController(box.bus, 0x4D, 4)
    fans.configure()
    sensors = [TemperatureSensor(box.bus, 0x48, "lm75", "inlet"), TemperatureSensor(box.bus, 0x49, "tmp75", "board")]
    box.chips["fans"].blocked = set(blocked)
    policy, drives = ThermalPolicy(PLACES), []
    for second in range(900):
        answer = policy.step({sensor.place: sensor.celsius() for sensor in sensors}, fans.status()[0], second * 1000)
        fans.drive(answer["drive"])
        box.step(1.0)
        drives.append(answer["drive"])
    assert answer["shutdown"] == shutdown
    if not shutdown:
        assert steady[0] <= min(drives[-100:]) and max(drives[-100:]) <= steady[1]
        assert len(set(drives[-100:])) <= 3
        assert ("fans" in answer["alarms"]) == bool(blocked)
    assert all(kind in KINDS for kinds in answer["alarms"].values() for kind in kinds)


def test_power():
    good = {"present": True, "ok": True, "faults": []}
    dark = {"present": True, "ok": False, "faults": ["no or low mains"]}
    gone = {"present": False, "ok": False, "faults": ["not in its slot"]}
    assert liveness.power_alarms([{"number": 1, **good}, {"number": 2, **good}]) == {}
    assert liveness.power_alarms([{"number": 1, **good}, {"number": 2, **dark}]) == {
        "psu 2": {"psu_failed": "no or low mains; the box runs on one supply"}}
    assert liveness.power_alarms([{"number": 1, **gone}, {"number": 2, **dark}])["psu 1"] == {
        "psu_absent": "not in its slot; no supply says that it is good"}


def test_lamps():
    calm = liveness.lamps("cleared", {1: True, 2: True}, True, "locked", True)
    assert calm == {"status": "on", "alarm_major": "off", "alarm_minor": "off", "clock": "on", "fan": "on", "psu1": "on", "psu2": "on"}
    bad = liveness.lamps("critical", {1: True, 2: False}, False, "freerun", False)
    assert bad == {"status": "slow", "alarm_major": "fast", "alarm_minor": "off", "clock": "fast", "fan": "fast", "psu1": "on", "psu2": "fast"}


def test_the_watchdog_is_fed_only_while_both_turn():
    beats = liveness.Heartbeats(("control", "media"), 0)
    fed = []
    for now_ms in range(0, 90_000, 1000):
        beats.beat("control", now_ms, now_ms)
        beats.beat("media", min(now_ms, 30_000), now_ms)              # media stands from 30 s on
        if not beats.silent(now_ms):
            fed.append(now_ms)
    assert fed[-1] == 45_000 and beats.silent(89_000) == ["media"]
    beats.beat("media", "new process", 90_000)
    assert beats.silent(90_000) == []
    assert set(thermal.KINDS + thermal.FAN_KINDS + liveness.PSU_KINDS) <= set(KINDS)
