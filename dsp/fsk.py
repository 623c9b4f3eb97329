"""FSK at 1200 bit/s for caller identification: Bell 202 (1200, 2200 Hz) and V.23 (1300, 2100 Hz), sent and heard.

Sent: channel seizure (0101...), mark, then octets with a start and a stop bit, least
significant bit first, continuous phase; Bellcore GR-30: 300 and 180 bits, on hook;
0 and 80 bits within a call.  Heard: each sample is correlated with both frequencies
over the last 7 samples (a bit is 6.67); the sign of the difference, smoothed by
1 2 1, is the bit.  A UART reads it only after LOCK_SAMPLES of nearly pure mark, so speech
gives no octets; a wrong stop bit or silence ends the lock.  The kernel tells octets,
`Receiver` joins them to messages (type, length, parameters, checksum); what the
messages say is in dsp/callerid.py.

Sources: Telcordia GR-30-CORE 2 (data link layer), ITU-T V.23, ETSI EN 300 659-1; thresholds
are ours.  Kernel and Reference agree bit by bit (single precision in a fixed order).
"""

import numpy as np

from dsp import isa
from dsp.dtmf import BLOCK, RATE_HZ, ZERO_DBM0_PEAK
from dsp.tone import SINE, amplitude_of

KINDS = {"bell202": (1200, 2200), "v23": (1300, 2100)}       # mark, space
BAUD, WINDOW, MOST_OCTETS = 1200, 7, 260
LEVEL_DBM0, LOWEST_DBM0 = -13.5, -43                         # GR-30: -13.5 +/- 1 dBm; lowest is ours
PURITY = 0.7                                                 # of the energy that a pure mark would give its filter
LOCK_SAMPLES = 134                                           # 20 bits of mark
OCTET, LOCKED, LOST = 0, 1, 2
EVENT_DTYPE = np.dtype([("slot", "<i4"), ("kind", "u1"), ("octet", "u1"), ("gap", "<u2")])   # gap: samples of mark before the octet
TABLE_DTYPE = np.dtype([("mark_cos", "<f4", 8), ("mark_sin", "<f4", 8), ("space_cos", "<f4", 8), ("space_sin", "<f4", 8),
                        ("lowest", "<f4"), ("purity", "<f4"), ("increment", "<u4", 2), ("zero", "<i4", 12)])
RX_OCTETS, TX_OCTETS = 64, 320


def table(kind):
    """Frequencies of "bell202" or "v23" for both directions: aligned uint8 array."""
    raw = isa.aligned(TABLE_DTYPE.itemsize)
    entry, k = raw.view(TABLE_DTYPE)[0], np.arange(WINDOW)
    for name, hz in zip(("mark", "space"), KINDS[kind]):
        entry[name + "_cos"][:WINDOW], entry[name + "_sin"][:WINDOW] = np.cos(2 * np.pi * hz / RATE_HZ * k), np.sin(2 * np.pi * hz / RATE_HZ * k)
    entry["increment"] = [round(hz / RATE_HZ * 2**32) for hz in KINDS[kind]]
    entry["lowest"] = WINDOW / 2 * (ZERO_DBM0_PEAK * 10 ** (LOWEST_DBM0 / 20)) ** 2
    entry["purity"] = PURITY * WINDOW / 2
    return raw


def new_rx_state(n_slots, at=None):
    """Receivers for slots 0 to n_slots - 1: uint8, aligned, all zero."""
    assert isa.load("_fsk", at).RX_OCTETS == RX_OCTETS and isa.load("_fsk", at).TABLE_OCTETS == TABLE_DTYPE.itemsize
    return isa.aligned(n_slots * RX_OCTETS)


def new_tx_state(n_slots, at=None):
    """Senders for slots 0 to n_slots - 1, silent: uint8, aligned, all zero."""
    assert isa.load("_fsk", at).TX_OCTETS == TX_OCTETS
    return isa.aligned(n_slots * TX_OCTETS)


def detect(frequencies, state, x, slots=None, at=None):
    """frequencies: table(kind). x: int16 (n, 80), row i of slot slots[i] (default i). Returns events, EVENT_DTYPE: at most 10 a row."""
    slots = np.arange(len(x), dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    events = np.empty(10 * len(slots), EVENT_DTYPE)
    count = isa.load("_fsk", at).call_detect(frequencies, state, slots, np.arange(len(x), dtype=np.int32), x, events.view(np.uint8))
    return events[:count]


def put(state, slot, octets, seizure_bits=300, mark_bits=180, level_dbm0=LEVEL_DBM0, at=None):
    """Let a slot send octets from its next sample on.  Raises ValueError where they are too many."""
    if not 0 < len(octets) <= MOST_OCTETS:
        raise ValueError(f"fsk: {len(octets)} octets; give 1 to {MOST_OCTETS}")
    isa.load("_fsk", at).call_put(state, slot, np.frombuffer(bytes(octets), np.uint8), seizure_bits, mark_bits, amplitude_of(level_dbm0))


def generate(frequencies, state, n_samples, slots=None, at=None):
    """Returns (x int16 (n, n_samples), produced int32 (n)): what the slots send next; zeros after the end."""
    slots = np.arange(len(state) // TX_OCTETS, dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    x, produced = np.empty((len(slots), n_samples), np.int16), np.empty(len(slots), np.int32)
    isa.load("_fsk", at).call_generate(frequencies, state, slots, np.arange(len(slots), dtype=np.int32), x, produced)
    return x, produced


def bits_of(octets, seizure_bits=300, mark_bits=180):
    """The bits that are sent; 12 bits of mark end it."""
    bits = [i & 1 for i in range(seizure_bits)] + [1] * mark_bits
    for octet in octets:
        bits += [0, *(octet >> i & 1 for i in range(8)), 1]
    return bits + [1] * 12


def reference(kind, octets, seizure_bits=300, mark_bits=180, level_dbm0=LEVEL_DBM0):
    """The samples of a message, plainly."""
    bits = np.array(bits_of(octets, seizure_bits, mark_bits))
    n = -(-len(bits) * 20 // 3)
    bit = bits[(np.arange(n) * 3) // 20]
    increments = np.where(bit, *[round(hz / RATE_HZ * 2**32) for hz in KINDS[kind]]).astype(np.int64)
    phase = (np.concatenate([[0], np.cumsum(increments)[:-1]]) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    one, quarter = np.float32(1), np.float32(0.25)
    u = one - np.abs(np.abs(phase.astype(np.float32) * np.float32(2.0**-32)) - quarter) * np.float32(4)
    square = u * u
    sine = u * (SINE[0] + square * (SINE[1] + square * (SINE[2] + square * SINE[3])))
    total = np.where(phase < 0, -sine, sine) * np.float32(amplitude_of(level_dbm0))
    return np.floor(total + np.float32(0.5)).astype(np.int16)


class Receiver:
    """Joins octets to messages: feed(event) returns (type, body) when one is whole and its checksum right, else None."""

    LONGEST_GAP = 30 * 7                     # samples of mark within a message; GR-30 allows 10 bits

    def __init__(self):
        self._octets = []
        self.errors = 0

    def feed(self, event):
        if event["kind"] != OCTET:
            self.errors += bool(self._octets)
            self._octets = []
            return None
        if self._octets and event["gap"] > self.LONGEST_GAP:
            self.errors += 1
            self._octets = []
        self._octets.append(int(event["octet"]))
        if len(self._octets) < 3 or len(self._octets) < self._octets[1] + 3:
            return None
        whole, self._octets = self._octets, []
        if sum(whole) & 0xFF:
            self.errors += 1
            return None
        return whole[0], bytes(whole[2:-1])


class Reference:
    """One receiver of the kernel's kind, plainly; feed() takes a block and returns [(kind, octet, gap)]."""

    def __init__(self, frequencies):
        self.table = frequencies.view(TABLE_DTYPE)[0]
        self.history = np.zeros(WINDOW - 1, np.float32)
        self.mark_run = self.gap = self.bit = self.octet = self.clock = 0
        self.locked, self.old = False, np.zeros(2, np.float32)

    def feed(self, x):
        line = np.concatenate([self.history, x.astype(np.float32)])
        self.history = line[BLOCK:]
        parts = [np.zeros(BLOCK, np.float32) for _ in range(5)]
        for k in range(WINDOW):
            y = line[WINDOW - 1 - k:WINDOW - 1 - k + BLOCK]
            for part, name in zip(parts, ("mark_cos", "mark_sin", "space_cos", "space_sin")):
                part += self.table[name][k] * y
            parts[4] += y * y
        mark, space, energy = parts[0] * parts[0] + parts[1] * parts[1], parts[2] * parts[2] + parts[3] * parts[3], parts[4]
        pure = (mark >= self.table["purity"] * energy) & (energy >= self.table["lowest"])
        events, d = [], np.concatenate([self.old, mark - space])
        self.old = d[BLOCK:]
        smooth = d[2:] + (d[1:-1] + d[1:-1]) + d[:-2]
        for one, is_pure, alive in zip((smooth > 0).tolist(), pure.tolist(), (energy >= self.table["lowest"]).tolist()):
            self._sample(one, is_pure, alive, events)
        return events

    def _sample(self, one, is_pure, alive, events):
        self.mark_run = self.mark_run + 1 if is_pure and one else 0
        if not self.locked:
            if self.mark_run >= LOCK_SAMPLES:
                self.locked, self.bit, self.gap = True, 0, min(self.mark_run, 65535)
                events.append((LOCKED, 0, 0))
            return
        if not alive:
            self.locked = False
            events.append((LOST, 0, 0))
        elif self.bit == 0:                  # between octets
            self.gap = min(self.gap + 1, 65535)
            if not one:
                self.bit, self.clock, self.octet = 1, 10, 0
        else:
            self.clock -= 3
            if self.clock <= 0:
                self.clock += 20
                self._bit(one, events)

    def _bit(self, one, events):
        """bit 1: the middle of the start bit; 2 to 9: data; 10: stop."""
        if self.bit == 1:
            self.bit = 0 if one else 2       # a start bit too short is a disturbance
        elif self.bit < 10:
            self.octet = self.octet >> 1 | (0x80 if one else 0)
            self.bit += 1
        elif one:
            events.append((OCTET, self.octet, self.gap))
            self.bit = self.gap = 0
        else:
            self.locked = False
            events.append((LOST, 0, 0))
