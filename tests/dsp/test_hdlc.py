"""HDLC against the bitwise reference and, both ways, against spandsp's."""

import ctypes
import ctypes.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import hdlc, isa

KERNEL = "_hdlc"
FRAMES = st.lists(st.binary(min_size=3, max_size=60), min_size=0, max_size=6)
spandsp = ctypes.CDLL(ctypes.util.find_library("spandsp"))
HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint8), ctypes.c_int, ctypes.c_int)


class SpandspStats(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulong) for name in ("bytes", "good_frames", "crc_errors", "length_errors", "aborts")]


def spandsp_receive(octets):
    """(frames with a right FCS, statistics); octets as on the TDM side."""
    frames = []

    def on_frame(_, packet, length, ok):
        if ok and length >= 0:
            frames.append(bytes(packet[:length]))
    handler = HANDLER(on_frame)
    spandsp.hdlc_rx_init.restype = ctypes.c_void_p
    state = ctypes.c_void_p(spandsp.hdlc_rx_init(None, 0, 0, 1, handler, None))
    for octet in octets:
        for i in range(7, -1, -1):
            spandsp.hdlc_rx_put_bit(state, (int(octet) >> i) & 1)
    stats = SpandspStats()
    spandsp.hdlc_rx_get_stats(state, ctypes.byref(stats))
    spandsp.hdlc_rx_free(state)
    return frames, stats


def spandsp_transmit(frames, n_octets):
    """Octets that spandsp sends for frames, as on the TDM side."""
    waiting = list(frames)
    underflow_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

    def feed(_):
        if waiting:
            frame = waiting.pop(0)
            spandsp.hdlc_tx_frame(state, frame, len(frame))
    handler = underflow_type(feed)
    spandsp.hdlc_tx_init.restype = ctypes.c_void_p
    state = ctypes.c_void_p(spandsp.hdlc_tx_init(None, 0, 1, 0, handler, None))
    spandsp.hdlc_tx_flags(state, 2)
    octets = bytes(sum((spandsp.hdlc_tx_get_bit(state) & 1) << (7 - i) for i in range(8)) for _ in range(n_octets))
    spandsp.hdlc_tx_free(state)
    return octets


def sent(frames, n_octets, level, block=80):
    state = hdlc.new_tx_state(1, level)
    for frame in frames:
        assert hdlc.put(state, 0, frame, level)
    return np.concatenate([hdlc.transmit(state, block, at=level)[0] for _ in range(-(-n_octets // block))])


def received(octets, level, block=80, **limits):
    state = hdlc.new_rx_state(1, level)
    for name, value in limits.items():
        hdlc.rx_view(state)[name] = value
    frames = []
    for i in range(0, len(octets), block):
        frames += [frame for _, frame in hdlc.receive(state, np.asarray(octets[i:i + block], np.uint8)[None], at=level)]
    view = hdlc.rx_view(state)[0]
    return frames, {name: int(view[name]) for name in hdlc.RX_COUNTERS}


def test_fcs_check_value():
    """CRC-16/X-25 of "123456789" is 906E."""
    assert hdlc.fcs_reference(b"123456789") == bytes([0x6E, 0x90])


@given(FRAMES)
@settings(max_examples=60, deadline=None)
def test_transmit_equals_the_reference(frames):
    expected = hdlc.octets_reference(hdlc.bits_reference(frames))
    for level in isa.built_levels(KERNEL):
        octets = sent(frames, len(expected), level)
        assert np.array_equal(octets[:len(expected)], expected)


@given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([b"\x7e" * 6, b"\xff" * 3, b"\x00", b"\x3f\xa0" * 3])),
                max_size=8), st.integers(0, 7))
@settings(max_examples=150, deadline=None)
def test_receive_of_anything_equals_the_reference(pieces, shift):
    """Any octets at any bit position, with pieces of flags and aborts; counters too."""
    bits = np.concatenate([np.zeros(shift, np.uint8), np.unpackbits(np.frombuffer(b"".join(pieces) + b"\x7e" * 3, np.uint8))])
    octets = hdlc.octets_reference(list(bits))
    frames, counters = hdlc.receive_reference(np.unpackbits(octets), max_octets=20)
    for level in isa.built_levels(KERNEL):
        for block in (80, 7):
            ours, counted = received(octets, level, block, max_octets=20)
            assert ours == frames
            assert {k: v for k, v in counted.items() if k in counters} == counters


@given(FRAMES, st.integers(0, 7))
@settings(max_examples=100, deadline=None)
def test_frames_survive_at_any_bit_position(frames, shift):
    bits = [1] * shift + hdlc.bits_reference(frames) + [0, 1, 1, 1, 1, 1, 1, 0] * 2
    for level in isa.built_levels(KERNEL):
        assert received(hdlc.octets_reference(bits), level)[0] == frames


def test_shared_flags_and_shared_zeros(level):
    frames = [b"abc", b"\xff\xff\xff\xff", b"xyz123"]
    flag = [0, 1, 1, 1, 1, 1, 1, 0]
    bits = hdlc.bits_reference(frames[:1])[:-1] + flag + flag[1:] + hdlc.bits_reference(frames[1:])[8:] + flag
    ours, counters = received(hdlc.octets_reference(bits), level)
    assert ours == frames
    assert sum(counters[k] for k in ("aborts", "shorts", "residues", "fcs_errors", "giants")) == 0


def test_counts(level):
    """One error of each kind between good frames; each is counted once and costs nothing else."""
    good, flag = b"\x02\x01\x7f\x00\x01", [0, 1, 1, 1, 1, 1, 1, 0]
    frame_bits = hdlc.bits_reference([good])[8:]
    wrong = list(frame_bits)
    wrong[3] ^= 1
    bits = flag + frame_bits + wrong + frame_bits                      # FCS
    bits += frame_bits[:30] + [1] * 9 + flag + frame_bits               # abort
    bits += hdlc.bits_reference([b"\x00" * 513])[8:] + frame_bits       # giant: hunts until the next flag
    bits += hdlc.bits_reference([b"ab"])[8:] + frame_bits               # short
    bits += frame_bits[:24] + [0, 0, 0] + flag + frame_bits             # not whole octets
    frames, counters = received(hdlc.octets_reference(bits + flag * 2), level)
    assert frames == [good] * 6
    assert counters == {"frames": 6, "octets": 30, "fcs_errors": 1, "aborts": 1, "giants": 1, "shorts": 1, "residues": 1, "overruns": 0}


def test_all_ones_and_no_signal_are_quiet(level):
    for octet in (0xFF, 0x00, 0xD5):
        frames, counters = received([octet] * 4000, level)
        assert frames == [] and sum(counters.values()) == 0


@given(FRAMES)
@settings(max_examples=40, deadline=None)
def test_spandsp_understands_us(frames):
    octets = sent(frames, sum(map(len, frames)) * 5 // 4 + 8 * len(frames) + 80, isa.level())
    theirs, stats = spandsp_receive(octets)
    assert theirs == frames
    assert (stats.good_frames, stats.crc_errors, stats.length_errors, stats.aborts) == (len(frames), 0, 0, 0)


@given(FRAMES)
@settings(max_examples=40, deadline=None)
def test_we_understand_spandsp(frames):
    octets = np.frombuffer(spandsp_transmit(frames, sum(map(len, frames)) * 5 // 4 + 10 * len(frames) + 40), np.uint8)
    for level in isa.built_levels(KERNEL):
        ours, counters = received(octets, level)
        assert ours == frames
        assert sum(counters[k] for k in ("fcs_errors", "giants", "shorts", "residues")) == 0


def test_idle_is_flags_and_the_queue_is_bounded(level):
    state = hdlc.new_tx_state(1, level)
    first = hdlc.transmit(state, 80, at=level)[0]
    assert (first == 0x7E).all()
    frame = bytes(range(200))
    n = 0
    while hdlc.put(state, 0, frame, level):
        n += 1
    assert n == 8192 // 204
    assert not hdlc.put(state, 0, b"", level) and not hdlc.put(state, 0, bytes(1025), level)
    octets = np.concatenate([first] + [hdlc.transmit(state, 80, at=level)[0] for _ in range(130)])
    assert received(octets, level)[0] == [frame] * n
    assert hdlc.tx_view(state)["frames"][0] == n


def test_sixty_four_channels_in_sparse_slots(level):
    rng = np.random.default_rng(3)
    tx, rx = hdlc.new_tx_state(70, level), hdlc.new_rx_state(70, level)
    slots = np.int32(rng.permutation(70)[:64])
    want = {int(slot): [rng.integers(0, 256, rng.integers(3, 265)).astype(np.uint8).tobytes() for _ in range(6)] for slot in slots}
    got = {slot: [] for slot in want}
    for slot in want:
        for frame in want[slot]:
            assert hdlc.put(tx, slot, frame, level)
    for _ in range(26):
        for slot, frame in hdlc.receive(rx, hdlc.transmit(tx, 80, slots, level), slots, level):
            got[slot].append(frame)
    assert got == want


def test_no_room_for_a_frame_is_an_overrun(level):
    octets = sent([b"abcd", b"efgh"], 80, level)[None]
    state = hdlc.new_rx_state(1, level)
    frames, index = np.zeros(5, np.uint8), np.zeros(9, hdlc.FRAME_DTYPE)
    zero = np.zeros(1, np.int32)
    assert isa.load(KERNEL, level).call_receive(state, zero, zero, octets, frames, index.view(np.uint8)) == 1
    assert hdlc.rx_view(state)["overruns"][0] == 1
    assert frames[:4].tobytes() == b"abcd"


def test_reset_forgets_half_a_frame(level):
    octets = sent([b"hello there"], 80, level)
    state = hdlc.new_rx_state(1, level)
    assert hdlc.receive(state, octets[None, :6], at=level) == []
    isa.load(KERNEL, level).call_rx_reset(state, 0)
    assert hdlc.receive(state, octets[None, 6:], at=level) == []
    assert hdlc.receive(state, octets[None], at=level) == [(0, b"hello there")]


@pytest.mark.parametrize("length", (3, 264, 1024))
def test_longest_frames(level, length):
    frame = b"\xff" * length
    octets = sent([frame], 4000, level)
    assert received(octets, level, max_octets=1024)[0] == [frame]
