import copy

import pytest

from boardconfig import chassis, schema
from drivers import led, thermal
from firmware.errors import ConfigError
from hil.chassis.box import ADDRESSES


def test_the_reference_board_is_the_emulated_box():
    board = schema.load_board("strowger64")["chassis"]
    assert {row["place"]: row["address"] for row in board["sensors"]} == {
        "inlet": ADDRESSES["sensor_inlet"], "board": ADDRESSES["sensor_board"]}
    assert [row["address"] for row in board["supplies"]] == [ADDRESSES["psu1"], ADDRESSES["psu2"]]
    assert [board[name]["address"] for name in ("fans", "eeprom", "leds", "clock")] == [
        ADDRESSES["fans"], ADDRESSES["eeprom"], ADDRESSES["leds"], ADDRESSES["dpll"]]


def test_chips_named_here_have_drivers():
    assert set(chassis.CHIPS["sensors"]) == set(thermal.CHIPS) and set(chassis.CHIPS["leds"]) == set(led.CHIPS)


@pytest.mark.parametrize("place, value, path", [
    (("fans", "chip"), "lm75", "chassis.fans.chip"), (("fans", "address"), 300, "chassis.fans.address"),
    (("eeprom", "address"), 77, "chassis.eeprom.address"), (("thermal", "inlet", "curve"), [[25, 30]], "chassis.thermal.inlet.curve"),
    (("thermal", "inlet", "curve"), [[25, 90], [30, 30]], "chassis.thermal.inlet.curve"),
    (("thermal", "inlet", "minor_c"), 99, "chassis.thermal.inlet"), (("thermal", "inlet", "curve"), [[25, 5], [45, 100]], "chassis.thermal.inlet.curve"),
    (("sensors", 0, "place"), "roof", "chassis.sensors[0].place"), (("clock", "inputs", 0, "source"), "span 65", "chassis.clock.inputs[0]"),
    (("lasers",), 1, "chassis.lasers")])
def test_a_wrong_chassis_names_its_place(place, value, path):
    board = copy.deepcopy(schema.load_board("strowger64"))
    part = board["chassis"]
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    with pytest.raises(ConfigError) as told:
        schema.check_board(board)
    assert told.value.path == path
