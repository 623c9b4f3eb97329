"""The law of a span's sound (G.711) on calls of test_tandem's house: a tone each way, its level, frequency and distortion measured where it arrives.

Between two laws the tone is converted; where both ends have one law, and on data calls whatever the laws are, each octet goes through as it is."""

import time

import numpy as np
import pytest

from hil.em import ulaw
from hil.probes import exact, wav
from tests.conftest import WHOLE_ONLY
from tests.live import probe_moves

NUMBER = "13900001111"
CODING = {"a": (wav.alaw_compress, wav.alaw_expand), "u": (ulaw, wav.ulaw_expand)}
CLIPS_DBM0 = 3.14           # of an A-law sine whose peak is 32768; mu-law's is 0.03 dB away
LEVEL_DBM0, SECONDS = -10, 2
NEAR_HZ, FAR_HZ = 1004, 820         # what the caller's end says, and the called one
PAYLOAD_TYPES = {"a": (8,), "u": (0,)}
# Laws of span 1 (PRI) and span 2 (SS7), who calls whom, and the law of either end.
CASES = [("a", "u", "pri", "ss7"), ("a", "u", "ss7", "pri"), ("a", "u", "sip a", "ss7"), ("a", "u", "sip u", "pri"), ("a", "u", "sip u", "ss7"), ("a", "u", "ss7", "sip a"),
         ("u", "a", "pri", "ss7"), ("u", "a", "ss7", "pri")]
SAMPLE = (CASES[0], CASES[6])


def tone(hz, law):
    """Octets of a tone."""
    peak = 32768 * 10 ** ((LEVEL_DBM0 - CLIPS_DBM0) / 20)
    return CODING[law][0]((peak * np.sin(2 * np.pi * hz / 8000 * np.arange(8000 * SECONDS))).astype(np.int16)).tobytes()


def figures(octets, law):
    """(level in dBm0, frequency in Hz, signal to distortion in dB) of the second in the middle of a tone.  0 distortion where there is none."""
    samples = CODING[law][1](np.frombuffer(octets, np.uint8)).astype(float)
    loud = np.flatnonzero(np.abs(samples) > 3000)
    assert len(loud) > 8000, "no tone of two seconds came"
    middle = (loud[0] + loud[-1]) // 2
    part, n = samples[middle - 4000:middle + 4000], np.arange(8000)
    spectrum = np.log(np.abs(np.fft.rfft(part * np.hanning(8000))) + 1e-9)
    k = int(np.argmax(spectrum))
    before, top, after = spectrum[k - 1:k + 2]
    hz = k + (before - after) / (2 * (before - 2 * top + after))
    waves = np.column_stack([np.sin(2 * np.pi * hz / 8000 * n), np.cos(2 * np.pi * hz / 8000 * n), np.ones(8000)])
    weights = np.linalg.lstsq(waves, part, rcond=None)[0]
    peak, noise = np.hypot(*weights[:2]), np.std(part - waves @ weights)
    return 20 * np.log10(peak / 32768) + CLIPS_DBM0, hz, 20 * np.log10(peak / np.sqrt(2) / max(noise, 1e-9))


def is_tone(found, hz):
    """Whether the tone arrived as it was sent: G.712 lets no more than 0.3 dB and, for one coding, 33 dB; here are two or three."""
    level, at, distortion = found
    return abs(level - LEVEL_DBM0) < 0.2 and abs(at - hz) < 0.1 and distortion > 32


def set_laws(house, *laws):
    """The laws of spans 1 and 2; a signalling point begins anew with a change of its."""
    running = house.product.get("/configuration")
    spans = running["configuration"]["spans"]
    if [row.get("law", "line") for row in spans] == list(laws):
        return
    anew, mark = spans[1].get("law", "line") != laws[1], house.ss7.mark()
    for row, law in zip(spans, laws, strict=True):
        row["law"] = law
    house.product.post("/configuration/apply", running)
    if anew:
        house.ss7.wait_for("grs", 60, since=mark)
    house.wait_trunks()


def end_of(house, words, laws):
    """(end, its law) of "pri", "ss7", or "sip" with a law."""
    kind, _, law = words.partition(" ")
    if law:
        house.ends["sip"].phone.payload_types = PAYLOAD_TYPES[law]
    return house.ends[kind], law or laws[("pri", "ss7").index(kind)]


def converse(house, near, far, said):
    """A call from near to far, each says its octets.  Returns what each heard."""
    files = [house.folder / ("law-%d.wav" % side) for side in (1, 2)]
    for path, octets in zip(files, said, strict=True):
        wav.write_alaw(path, wav.alaw_expand(np.frombuffer(octets, np.uint8)))         # octets are octets: the far exchange knows no law
    near.answered()
    house.wait_call("talking")
    for end, path, octets in zip((near, far), files, said, strict=True):
        end.say(path, octets)
    for end in (near, far):
        end.said()
    time.sleep(0.2)                     # what is on its way
    near.hang_up()
    for end in (near, far):
        end.over()
    return near.heard(), far.heard()


@pytest.mark.conformance("G.711", "3.2 conversion between A-law and mu-law (live)", "spans of either law, PRI, SS7 and SIP to each other: level, frequency and distortion of a tone both ways")
@pytest.mark.parametrize("one, two, way, out", [pytest.param(*case, marks=() if case in SAMPLE else WHOLE_ONLY) for case in CASES])
def test_a_tone_between_two_laws(house, one, two, way, out):
    house.clear()
    set_laws(house, one, two)
    (near, near_law), (far, far_law) = (end_of(house, words, (one, two)) for words in (way, out))
    said = tone(NEAR_HZ, near_law), tone(FAR_HZ, far_law)
    assert not is_tone(figures(said[0], "au"[near_law == "a"]), NEAR_HZ), "the wrong law is heard"

    def measure():
        house.clear()
        far.expect()
        near.place(house.prefix[out[:3]] + NUMBER)
        far.came()
        heard = converse(house, near, far, said)
        found = figures(heard[0], near_law), figures(heard[1], far_law)
        print(f"{way} {near_law} to {out} {far_law}: {found}")
        assert is_tone(found[0], FAR_HZ) and is_tone(found[1], NEAR_HZ), found
        if near_law == far_law:
            assert exact.match(said[0], heard[1]).exact, str(exact.match(said[0], heard[1]))
    try:
        probe_moves.undisturbed(measure, house)
    finally:
        house.ends["sip"].phone.payload_types = PAYLOAD_TYPES["a"]


@pytest.mark.conformance("G.711", "ours: data calls keep their octets (live)", "64 kbit/s unrestricted between spans of two laws: each of the 256 octets as it is")
def test_data_goes_between_two_laws_as_it_is(house):
    house.clear()
    set_laws(house, "a", "u")
    near, far = house.ends["pri"], house.ends["ss7"]
    said = probe_moves.material(611, SECONDS), probe_moves.material(612, SECONDS)
    assert all(len(set(octets)) == 256 for octets in said)

    def measure():
        house.clear()
        far.expect()
        near.place(house.prefix["ss7"] + NUMBER, capability="data")
        assert far.came()["called"] == NUMBER
        heard = converse(house, near, far, said)
        found = exact.match(said[1], heard[0]), exact.match(said[0], heard[1])
        assert found[0].exact and found[1].exact, "; ".join(map(str, found))
    probe_moves.undisturbed(measure, house)
    set_laws(house, "line", "line")
