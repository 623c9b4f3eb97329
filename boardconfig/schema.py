"""What a board is made of and what a country sounds like: JSON files, loaded and checked.

    load_country("cn")["tones"]["ringback"]
    -> {"frequencies_hz": [450], "level_dbm0": -10, "cadence_ms": [1000, 4000]}
    load_board("strowger64")["spans"] -> 64

Tone: frequencies_hz sound together, each at level_dbm0 (power of one frequency,
not of the sum); cadence_ms alternates on and off, begins with on, repeats for
ever; [] is a continuous tone.  A tone whose frequency changes has "segments"
besides: [{"frequencies_hz": [...], "duration_ms": n}, ...], [] for silence;
who knows segments plays them instead of the cadence, who does not plays the
cadence, which is a fair substitute.

Sources stand in each file.  Raises ConfigError(path, advice)."""

import json
import os

from boardconfig.bearers import check_list
from boardconfig.chassis import check_chassis
from firmware.errors import ConfigError

DIRECTORY = os.path.dirname(os.path.abspath(__file__))
TONES = ("dial", "ringback", "busy", "congestion", "vacant", "call_waiting")
LAWS = ("A", "U")
SPAN_TYPES = ("e1", "t1", "j1")
# E.180 (03/98) asks for -10 dBm0 +/- 5 dB; North American levels are lower for each of two frequencies
LEVEL_DBM0 = (-30, 0)
FREQUENCY_HZ = (100, 3900)
DURATION_MS = (10, 60000)


def _names(kind):
    return sorted(name[:-5] for name in os.listdir(os.path.join(DIRECTORY, kind)) if name.endswith(".json"))


def _load(kind, name):
    if name not in _names(kind):
        raise ConfigError(kind, "there is no %r, choose one of %s" % (name, ", ".join(_names(kind))))
    with open(os.path.join(DIRECTORY, kind, name + ".json"), encoding="utf-8") as file:
        try:
            return json.load(file)
        except ValueError as error:
            raise ConfigError("%s/%s.json" % (kind, name), "is no JSON: %s" % error) from error


def countries():
    """Names of the countries there is data for."""
    return _names("countries")


def boards():
    """Names of the boards there is data for."""
    return _names("boards")


def load_country(name):
    """A country's plan: {"country", "name", "law", "idle_code", "r2_variant", "crc4", "number_plan", "tones"}."""
    return check_country(_load("countries", name))


def load_board(name="strowger64", path=None):
    """A board's data: {"board", "name", "identity", "spans", "span_types", "framers", "bearers", ...}.

    path: a file of the site in the place of the one of that name, where there is one."""
    if path is None or not os.path.exists(path):
        return check_board(_load("boards", name))
    try:
        with open(path, encoding="utf-8") as file:
            board = json.load(file)
    except (OSError, ValueError) as error:
        raise ConfigError(path, "cannot be read: %s" % error) from error
    if not isinstance(board, dict):
        raise ConfigError(path, "is no description of a board: give its parts in braces, as in boardconfig/boards")
    try:
        return check_board(board)
    except ConfigError as error:
        raise ConfigError("%s: %s" % (path, error.path), error.advice) from error


def _number(path, value, limits, unit):
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not limits[0] <= value <= limits[1]:
        raise ConfigError(path, "%r: give a number of %s from %g to %g" % (value, unit, *limits))


def _choice(path, value, choices):
    if value not in choices:
        raise ConfigError(path, "%r: use one of %s" % (value, ", ".join(map(str, choices))))


def _list(path, value):
    if not isinstance(value, list):
        raise ConfigError(path, "%r: give a list" % (value,))
    return value


def check_tone(path, tone):
    """Raise ConfigError unless the tone can be played."""
    if not isinstance(tone, dict):
        raise ConfigError(path, "%r: give frequencies_hz, level_dbm0 and cadence_ms" % (tone,))
    for unknown in sorted(set(tone) - {"frequencies_hz", "level_dbm0", "cadence_ms", "segments", "note"}):
        raise ConfigError("%s.%s" % (path, unknown), "is not known: use frequencies_hz, level_dbm0, cadence_ms, segments, note")
    frequencies = _list(path + ".frequencies_hz", tone.get("frequencies_hz"))
    if not 1 <= len(frequencies) <= 4:
        raise ConfigError(path + ".frequencies_hz", "give 1 to 4 frequencies, not %d" % len(frequencies))
    for n, value in enumerate(frequencies):
        _number("%s.frequencies_hz[%d]" % (path, n), value, FREQUENCY_HZ, "Hz")
    _number(path + ".level_dbm0", tone.get("level_dbm0"), LEVEL_DBM0, "dBm0")
    cadence = _list(path + ".cadence_ms", tone.get("cadence_ms"))
    if len(cadence) % 2:
        raise ConfigError(path + ".cadence_ms", "has %d entries: give pairs of on and off, or [] for a continuous tone"
                          % len(cadence))
    for n, value in enumerate(cadence):
        _number("%s.cadence_ms[%d]" % (path, n), value, DURATION_MS, "ms")
    for n, segment in enumerate(_list(path + ".segments", tone.get("segments", []))):
        place = "%s.segments[%d]" % (path, n)
        _number(place + ".duration_ms", segment.get("duration_ms"), DURATION_MS, "ms")
        for value in _list(place + ".frequencies_hz", segment.get("frequencies_hz")):
            _number(place + ".frequencies_hz", value, FREQUENCY_HZ, "Hz")


def check_country(country):
    """The country's plan if it is complete; raises ConfigError."""
    _choice("law", country.get("law"), LAWS)
    _number("idle_code", country.get("idle_code"), (0, 255), "code")
    if not isinstance(country.get("crc4"), bool):
        raise ConfigError("crc4", "%r: true or false, whether most trunks of the country use CRC-4" % (country.get("crc4"),))
    plan = country.get("number_plan", {})
    for name in ("country_code", "international_prefix", "trunk_prefix"):
        if not isinstance(plan.get(name), str) or not plan[name].isdigit() and plan[name]:
            raise ConfigError("number_plan." + name, "%r: give the digits as text" % (plan.get(name),))
    if not plan.get("emergency"):
        raise ConfigError("number_plan.emergency", "is empty: name the emergency numbers, they are never blocked")
    for name in TONES:
        if name not in country.get("tones", {}):
            raise ConfigError("tones." + name, "is missing: every country has %s" % ", ".join(TONES))
    for name, tone in country["tones"].items():
        check_tone("tones." + name, tone)
    return country


def check_board(board):
    """The board's data if it is complete; raises ConfigError."""
    spans = board.get("spans")
    _number("spans", spans, (1, 64), "spans")
    for n, value in enumerate(_list("span_types", board.get("span_types"))):
        _choice("span_types[%d]" % n, value, SPAN_TYPES)
    seen = []
    for n, framer in enumerate(_list("framers", board.get("framers"))):
        _choice("framers[%d].driver" % n, framer.get("driver"), ("falc",))
        seen += _list("framers[%d].spans" % n, framer.get("spans"))
    if sorted(seen) != list(range(1, spans + 1)):
        raise ConfigError("framers", "the spans of the framers must be 1 to %d, each once" % spans)
    check_list(board.get("bearers", []), spans)
    if "chassis" in board:
        check_chassis(board["chassis"], spans)
    return board
