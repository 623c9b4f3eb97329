import copy
import re

import pytest

from boardconfig import schema
from drivers.tdm import ring
from firmware.errors import ConfigError
from hil.board import _emulator


def test_every_country_and_board_is_complete():
    assert schema.countries() == ["br", "cn", "de", "eu", "fr", "itu", "uk", "us"]
    for name in schema.countries():
        country = schema.load_country(name)
        assert country["country"] == name and country["source"]
        assert country["idle_code"] == (0xD5 if country["law"] == "A" else 0x7F)
    assert schema.boards() == ["strowger64"]


def test_china_as_the_reference_says():
    # ../shared/reference/numbers-and-tones.md, first paragraph
    tones = schema.load_country("cn")["tones"]
    for name, cadence in {"dial": [], "ringback": [1000, 4000], "busy": [350, 350], "congestion": [700, 700],
                          "vacant": [100, 100, 100, 100, 100, 100, 400, 400], "call_waiting": [400, 4000]}.items():
        assert tones[name] == {"frequencies_hz": [450], "level_dbm0": -10, "cadence_ms": cadence}
    assert tones["recording_reminder"]["cadence_ms"] == [400, 10000]


@pytest.mark.parametrize("change, path", [
    ({"frequencies_hz": []}, "frequencies_hz"), ({"frequencies_hz": [50]}, "frequencies_hz[0]"),
    ({"level_dbm0": 3}, "level_dbm0"), ({"level_dbm0": "loud"}, "level_dbm0"), ({"cadence_ms": [100]}, "cadence_ms"),
    ({"cadence_ms": [100, 0]}, "cadence_ms[1]"), ({"volume": 1}, "volume"), ({"cadence_ms": None}, "cadence_ms"),
    ({"segments": [{"frequencies_hz": [9000], "duration_ms": 100}]}, "segments[0].frequencies_hz")])
def test_a_wrong_tone_names_its_place(change, path):
    country = copy.deepcopy(schema.load_country("cn"))
    country["tones"]["busy"].update(change)
    with pytest.raises(ConfigError) as told:
        schema.check_country(country)
    assert told.value.path == "tones.busy." + path


def test_other_mistakes():
    with pytest.raises(ConfigError, match="choose one of br, cn, de, eu"):
        schema.load_country("../boards/strowger64")
    country = copy.deepcopy(schema.load_country("cn"))
    del country["tones"]["vacant"]
    with pytest.raises(ConfigError, match="tones.vacant"):
        schema.check_country(country)
    board = copy.deepcopy(schema.load_board())
    board["framers"][0]["spans"][0] = 2
    with pytest.raises(ConfigError, match=re.escape("each once")):
        schema.check_board(board)


def test_the_board_data_agrees_with_window_and_emulator(tmp_path):
    board = schema.load_board()
    octets = bytearray(_emulator.window_octets(board["spans"]))
    _emulator.Emulator(octets, board["spans"], board["idle_code"])
    (tmp_path / "window").write_bytes(octets)
    window = ring.Window(str(tmp_path / "window"))
    assert window.spans == board["spans"] and window.get("idle_code") == board["idle_code"]
    for name in ("frame_rate_hz", "ring_frames", "burst_frames"):
        assert window.get(name) == board["window"][name]
