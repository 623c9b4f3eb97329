"""Settings of tones of the house: what can be played into calls beside the tones of the country."""

from firmware.config.field import Rows, Section, Text, Whole
from firmware.errors import ConfigError

MOST_FREQUENCIES, MOST_STEPS = 4, 8         # dsp/tone.py; a test compares
HIGHEST_HZ = 3999
CLIPS_DBM0 = 3.14                           # peak of a sine that overloads A-law (G.711)

TONE = Section("a tone of one to four frequencies at once", {
    "name": Text("the name used in commands and flows; one of the country's, for example busy: it is played instead", pattern=r"[a-z0-9_]{1,32}",
                 hint="use small letters, digits and underline, at most 32", required=True),
    "frequencies_hz": Text("in Hz, with a + between them", pattern=r"[0-9]{2,4}(\+[0-9]{2,4}){0,3}", hint="give one to four, for example 440+480", required=True),
    "level_dbm0": Whole("of each frequency", -60, 3, unit="dBm0", default=-13),
    "cadence_ms": Text("how long it sounds and pauses in turn, with commas between; empty: it sounds all the time", pattern=r"([0-9]{1,5}(,[0-9]{1,5}){0,7})?",
                       hint="give at most eight times in ms, for example 400,200,400,2000", default="")})

TONES = Rows("tones of the house, beside the country's", TONE, key="name", most=64)


def plan_of(rows):
    """{name: tone} as dsp/tone.py takes it."""
    return {row["name"]: {"frequencies_hz": [int(hz) for hz in row["frequencies_hz"].split("+")], "level_dbm0": row["level_dbm0"],
                          "cadence_ms": [int(ms) for ms in row["cadence_ms"].split(",") if ms]} for row in rows}


def check(result):
    """ConfigErrors of the tones."""
    errors = []
    for i, (name, tone) in enumerate(sorted(plan_of(result["tones"]).items())):
        here = "tones[%d]" % [row["name"] for row in result["tones"]].index(name)
        wrong = [hz for hz in tone["frequencies_hz"] if not 20 <= hz <= HIGHEST_HZ]
        if wrong or len(set(tone["frequencies_hz"])) < len(tone["frequencies_hz"]):
            errors.append(ConfigError(here + ".frequencies_hz", "%s Hz is not between 20 and %d; a line carries nothing else" % (wrong[0], HIGHEST_HZ) if wrong
                                      else "names a frequency twice; give each once"))
        if len(tone["frequencies_hz"]) * 10 ** (tone["level_dbm0"] / 20) > 10 ** (CLIPS_DBM0 / 20):
            errors.append(ConfigError(here + ".level_dbm0", "is so loud that %d frequencies at once are clipped; give less" % len(tone["frequencies_hz"])))
        if 0 in tone["cadence_ms"]:
            errors.append(ConfigError(here + ".cadence_ms", "has a step of 0 ms; leave it out"))
    return errors
