"""Caller identification by FSK: vectors, the reference bit by bit, lines good and bad, speech, and spandsp at the other end both ways."""

import ctypes
import ctypes.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import callerid, dtmf, fsk, isa, tone

KERNEL = "_fsk"
FIELDS = {"time": "12312359", "number": "13800138000", "name": "LI LEI"}
spandsp = ctypes.CDLL(ctypes.util.find_library("spandsp"))
spandsp.adsi_tx_init.restype = spandsp.adsi_rx_init.restype = ctypes.c_void_p
STANDARDS = {"bell202": 1, "v23": 2}        # ADSI_STANDARD_CLASS, _CLIP


def messages_in(kind, x, level=None):
    """([(type, body)], errors) heard in samples."""
    frequencies, state, receiver = fsk.table(kind), fsk.new_rx_state(1, level), fsk.Receiver()
    x = np.concatenate([np.clip(np.rint(x), -32768, 32767), np.zeros(400)]).astype(np.int16)
    found = [receiver.feed(e) for i in range(len(x) // 80) for e in fsk.detect(frequencies, state, x[None, 80 * i:80 * i + 80].copy(), at=level)]
    return [one for one in found if one], receiver.errors


def test_the_octets_of_known_messages():
    """GR-30's layout counted by hand: type, length, parameters, and a sum of zero modulo 256."""
    octets = callerid.mdmf({"time": "09301122", "number": "6095551212"})
    assert octets == bytes.fromhex("8016") + b"\x01\x0809301122" + b"\x02\x0a6095551212" + octets[-1:] and sum(octets) % 256 == 0
    octets = callerid.sdmf("09301122", "6095551212")
    assert octets[:2] == bytes([4, 18]) and sum(octets) % 256 == 0 and octets[2:-1] == b"093011226095551212"
    assert callerid.parse(4, b"09301122P") == {"time": "09301122", "number_absent": "P"}


@pytest.mark.parametrize("bad", ((0x80, b"\x01\x09123"), (0x80, b"\x02"), (4, b"123"), (0x33, b"x")))
def test_bad_messages_are_refused(bad):
    with pytest.raises(ValueError, match="caller identification"):
        callerid.parse(*bad)


def test_bad_fields_are_refused():
    for fields in ({"time": "1"}, {"number": "12a"}, {"number_absent": "X"}, {"name": "x" * 300}):
        with pytest.raises(ValueError, match="caller identification"):
            callerid.mdmf(fields)
    with pytest.raises(ValueError, match="octets"):
        fsk.put(fsk.new_tx_state(1), 0, bytes(300))


@given(st.integers(0, 255), st.binary(max_size=60))
def test_any_body_is_parsed_or_refused(kind, body):
    try:
        assert isinstance(callerid.parse(kind, body), dict)
    except ValueError:
        pass


def test_the_keypad_form_goes_over_dtmf():
    text = callerid.keypad("13800138000")
    x = np.concatenate([tone.digit_samples(d) for d in text] + [np.zeros(800)])
    heard = "".join(d for d, _ in dtmf.digits_of(x.astype(np.int16)))
    assert heard == text and callerid.parse_keypad(heard) == "13800138000"
    assert callerid.parse_keypad("D123") is None and callerid.parse_keypad("") is None
    with pytest.raises(ValueError, match="begin"):
        callerid.parse_keypad("123")


@pytest.mark.parametrize("kind", fsk.KINDS)
def test_the_sender_equals_the_reference(level, kind):
    octets, state = callerid.mdmf(FIELDS), fsk.new_tx_state(3, level)
    fsk.put(state, 1, octets, at=level)
    x, produced = [], []
    for n_samples in [80] * 100 + [333] * 10:
        y, made = fsk.generate(fsk.table(kind), state, n_samples, at=level)
        x.append(y[1])
        produced.append(int(made[1]))
        assert not y[[0, 2]].any()
    expected = fsk.reference(kind, octets)
    assert sum(produced) == len(expected) and np.array_equal(np.concatenate(x)[:len(expected)], expected) and not np.concatenate(x)[len(expected):].any()


@pytest.mark.parametrize("kind", fsk.KINDS)
def test_frequencies_and_level_measured(kind):
    """V.23 and Bell 202: within 1 % (12 Hz) of mark and space, -13.5 dBm0; from long runs of one bit."""
    for octets, hz in ((b"\xff" * 200, fsk.KINDS[kind][0]), (b"\x00" * 200, fsk.KINDS[kind][1])):
        x = fsk.reference(kind, octets, 0, 0).astype(float)
        size = np.abs(np.fft.rfft(x[:8000] * np.hanning(8000)))
        assert abs(int(np.argmax(size)) - hz) <= 12 * 20        # start and stop bits spread it
        assert abs(20 * np.log10(np.sqrt(2) * x.std() / 22826) + 13.5) < 0.1
    mark = fsk.reference(kind, b"\xff", 0, 400).astype(float)[:2400]
    assert abs(np.argmax(np.abs(np.fft.rfft(mark * np.hanning(2400), 24000))) / 3 - fsk.KINDS[kind][0]) < 1


@pytest.mark.conformance("GR-30", "2.2", "messages are heard from -3 to -40 dBm0, with noise, twist, 1 % off, and split by mark")
@pytest.mark.parametrize("kind", fsk.KINDS)
def test_messages_over_lines(level, kind):
    rng, octets = np.random.default_rng(7), callerid.mdmf(FIELDS)
    wanted = [(0x80, octets[2:-1])]
    clean = fsk.reference(kind, octets).astype(float)
    for dbm0 in (-3, -13.5, -30, -40):
        for lead in (0, 13, 37):
            assert messages_in(kind, np.concatenate([np.zeros(800 + lead), clean * 10 ** ((dbm0 + 13.5) / 20)]), level)[0] == wanted
    heard = 0
    for _ in range(20):
        heard += messages_in(kind, np.concatenate([np.zeros(800), clean]) + rng.normal(size=800 + len(clean)) * clean.std() * 10 ** (-15 / 20), level)[0] == wanted
    assert heard == 20
    spectrum, hz = np.fft.rfft(clean, 1 << 15), np.fft.rfftfreq(1 << 15, 1 / 8000)
    for slope in (-6, 6):                    # dB from 1,000 to 2,000 Hz
        x = np.fft.irfft(spectrum * 10 ** (slope * np.log2(np.maximum(hz, 300) / 1500) / 20))[:len(clean)]
        assert messages_in(kind, x, level)[0] == wanted
    slower = np.interp(np.arange(0, len(clean) - 1, 0.99), np.arange(len(clean)), clean)
    assert messages_in(kind, slower, level)[0] == wanted
    assert messages_in(kind, fsk.reference(kind, octets, 0, 80), level)[0] == wanted       # within a call: no seizure


def test_damage_is_an_error_not_a_message():
    octets = callerid.mdmf(FIELDS)
    wrong = octets[:5] + bytes([octets[5] ^ 4]) + octets[6:]
    assert messages_in("bell202", fsk.reference("bell202", wrong)) == ([], 1)
    cut = fsk.reference("bell202", octets)[:-1500]
    assert messages_in("bell202", cut) == ([], 1)
    assert messages_in("bell202", np.concatenate([cut, np.zeros(4000), fsk.reference("bell202", octets)])) == ([(0x80, octets[2:-1])], 1)


@pytest.mark.parametrize("kind", fsk.KINDS)
def test_spandsp_at_the_other_end(kind):
    """Both ways: what we send its receiver delivers, what it sends ours does."""
    octets, got = callerid.mdmf(FIELDS), []
    taker = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint8), ctypes.c_int)(lambda _, data, n: got.append(bytes(data[:n])))
    receiver = ctypes.c_void_p(spandsp.adsi_rx_init(None, STANDARDS[kind], taker, None))
    x = np.concatenate([np.zeros(800, np.int16), fsk.reference(kind, octets), np.zeros(4000, np.int16)])
    spandsp.adsi_rx(receiver, x.ctypes.data_as(ctypes.c_void_p), len(x))
    spandsp.adsi_rx_free(receiver)
    assert [one[:len(octets) - 1] for one in got] == [octets[:-1]]
    sender = ctypes.c_void_p(spandsp.adsi_tx_init(None, STANDARDS[kind]))
    body = (ctypes.c_uint8 * 100)(*octets[:-1])
    spandsp.adsi_tx_put_message(sender, body, len(octets) - 1)
    out = np.zeros(24000, np.int16)
    made = 0
    while made < len(out):
        n = spandsp.adsi_tx(sender, out[made:].ctypes.data_as(ctypes.c_void_p), min(800, len(out) - made))
        made += n
        if n < 800:
            break
    spandsp.adsi_tx_free(sender)
    assert messages_in(kind, out)[0] == [(0x80, octets[2:-1])]


def test_speech_gives_no_message(speech):
    """14.5 minutes of speech: no message; the octets and locks it gives are counted."""
    x = np.concatenate([y for _, y in speech])
    for kind in fsk.KINDS:
        frequencies, state, receiver, kinds, found = fsk.table(kind), fsk.new_rx_state(1), fsk.Receiver(), [], []
        for i in range(len(x) // 80):
            for e in fsk.detect(frequencies, state, x[None, 80 * i:80 * i + 80]):
                kinds.append(int(e["kind"]))
                found.append(receiver.feed(e))
        print(kind, "locks", kinds.count(fsk.LOCKED), "octets", kinds.count(fsk.OCTET))
        assert not any(found) and kinds.count(fsk.OCTET) < 200


@given(st.binary(min_size=1, max_size=12), st.integers(0, 40), st.integers(0, 60), st.integers(-45, 0), st.sampled_from([0, 30, 1000]), st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_the_receiver_equals_the_reference(octets, seizure, mark, dbm0, noise, seed):
    rng = np.random.default_rng(seed)
    x = np.concatenate([fsk.reference("bell202", octets, seizure, mark, dbm0), np.zeros(rng.integers(0, 300)), fsk.reference("bell202", octets, 0, 30, dbm0), np.zeros(400)])
    x = np.clip(np.rint(x + rng.normal(size=len(x)) * noise), -32768, 32767).astype(np.int16)
    frequencies = fsk.table("bell202")
    reference = fsk.Reference(frequencies)
    expected = [event for i in range(len(x) // 80) for event in reference.feed(x[80 * i:80 * i + 80])]
    for level in isa.built_levels(KERNEL):
        state = fsk.new_rx_state(2, level)
        found = [(int(e["kind"]), int(e["octet"]), int(e["gap"])) for i in range(len(x) // 80)
                 for e in fsk.detect(frequencies, state, x[None, 80 * i:80 * i + 80].copy(), [1], level)]
        assert found == expected
