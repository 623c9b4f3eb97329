"""What players play: prompts in memory, tones of the country, playlists.

Items of `signal`:
    {"file": path}  {"silence_ms": n}  {"tone": name, duration_ms?}  {"dtmf": "12#"}
    {"r1": "K5551234S"}        R1 signals, K is KP, S is ST (Q.320)
    {"caller_id": {"standard": "v23"|"bell202", "format": "mdmf"|"sdmf", time?, number?, name?, number_absent?, name_absent?,
                   on_hook? (default true: seizure and mark of 300 and 180 bits; else 80 of mark), alert? (2130 + 2750 Hz first)}}
    {"stream": id}             what comes from a service outside (streams.py), until it ends
Tones are the country's, the house's own (setting "tones"), and those of fax machines and modems (dsp/modem.py): cng, ced, ans, ans_pr, ansam, ansam_pr, calling.

Prompt files are WAV, see wav.py.  They are read once and kept as arrays; law octets
stay law octets, so a prompt reaches a leg of its own law unchanged.
"""

import os

import numpy

from dsp import callerid, fsk, mf, modem, tone
from firmware.errors import LocalError
from firmware.media import _engine
from firmware.media.wav import read_wav

CACHE_OCTETS = 256 << 20        # ours: more than an hour of prompts in A-law, eight times over
HOUSE_TONES = {         # ours, in every country: somebody comes to a conference, or leaves it
    "conference_in": {"frequencies_hz": [880], "level_dbm0": -20}, "conference_out": {"frequencies_hz": [587], "level_dbm0": -20},
    # of test numbers: the milliwatt of the Americas and that of ITU-T
    "milliwatt_1004": {"frequencies_hz": [1004], "level_dbm0": 0}, "milliwatt_1020": {"frequencies_hz": [1020], "level_dbm0": 0}}
ITEMS = 500                     # of one playlist
SAMPLES_A_MS = 8
R1_NAMES = {"K": "KP", "S": "ST"}
FSK_SAMPLES = 30000             # of the longest message: 492 bits and 260 octets at 1200 bit/s
ALERT = {"frequencies_hz": [2130, 2750], "level_dbm0": -18, "cadence_ms": [100, 60]}    # ETSI EN 300 659-1 6.1.1: DT-AS of 100 ms, data 45 ms later or more


def caller_id_samples(given):
    """int16 samples of a caller identification message.  given: as the item.  Raises LocalError."""
    fields = {name: value for name, value in given.items() if name in callerid.PARAMETERS}
    unknown = set(given) - set(callerid.PARAMETERS) - {"standard", "format", "on_hook", "alert"}
    standard, form = given.get("standard", "v23"), given.get("format", "mdmf")
    on_hook, alert = given.get("on_hook", True), given.get("alert", False)
    if unknown or standard not in fsk.KINDS or form not in ("mdmf", "sdmf") or not isinstance(on_hook, bool) or not isinstance(alert, bool):
        raise LocalError(f"signal: caller_id {str(given)[:80]!r}: give standard {' or '.join(fsk.KINDS)}, format mdmf or sdmf, on_hook, alert "
                         f"(true, false) and {', '.join(callerid.PARAMETERS)}")
    if not fields or not all(isinstance(value, str) for value in fields.values()):
        raise LocalError("signal: caller_id has no text of " + ", ".join(callerid.PARAMETERS))
    try:
        octets = callerid.mdmf(fields) if form == "mdmf" else callerid.sdmf(fields.get("time", ""), fields.get("number") or fields.get("number_absent", ""))
        state = fsk.new_tx_state(1)
        fsk.put(state, 0, octets, *((300, 180) if on_hook else (0, 80)))
    except ValueError as error:
        raise LocalError(f"signal: {error}") from error
    samples, produced = fsk.generate(fsk.table(standard), state, FSK_SAMPLES)
    parts = [samples[0, :produced[0]]]
    if alert:
        table, names = tone.compile_plan({"alert": ALERT})
        parts.insert(0, tone.reference(table, names["alert"], 0, (ALERT["cadence_ms"][0] + ALERT["cadence_ms"][1]) * SAMPLES_A_MS))
    return numpy.ascontiguousarray(numpy.concatenate(parts), numpy.int16)


class Prompts:
    """Cache of prompt files; a file that changed is read again."""

    def __init__(self):
        self._cache = {}         # path: (stamp, prompt), least recently used first
        self._octets = 0

    def get(self, path):
        """(kind, law, array) of a file.  Raises LocalError."""
        try:
            status = os.stat(path)
        except (OSError, ValueError) as error:
            raise LocalError(f"prompt {path} cannot be read ({error}); check the file") from error
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        held = self._cache.pop(path, None)
        if held is not None and held[0] != stamp:
            self._octets -= held[1][2].nbytes
            held = None
        if held is None:
            held = (stamp, read_wav(path))
            self._octets += held[1][2].nbytes
        self._cache[path] = held
        while self._octets > CACHE_OCTETS and len(self._cache) > 1:
            oldest = next(iter(self._cache))
            self._octets -= self._cache.pop(oldest)[1][2].nbytes
        return held[1]

    def preload(self, folder):
        """Read all prompts below a folder; returns how many.  Bad ones are left for get() to tell."""
        count = 0
        for where, _, names in os.walk(folder):
            for name in sorted(names):
                if name.endswith(".wav"):
                    try:
                        self.get(os.path.join(where, name))
                        count += 1
                    except LocalError:
                        pass
        return count


class Player:
    """Turns items of the signal command into playlists of the engine."""

    def __init__(self):
        self.prompts = Prompts()
        self.stream_address = None      # function(id) of Streams
        self.plan, self.own = {}, {}
        self._table, self._tones = tone.compile_plan({**modem.plan(), **HOUSE_TONES})
        self._registers, self._register_tones = tone.compile_plan(mf.plan())

    def set_plan(self, plan, own=None):
        """Tones of the country, and those that are the house's own and go before them; tones that sound go on with the table they began with.

        Raises LocalError."""
        own = own or {}
        if (plan, own) == (self.plan, self.own):
            return
        try:
            self._table, self._tones = tone.compile_plan({**modem.plan(), **HOUSE_TONES, **plan, **own})
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            raise LocalError(f"tones: the plan cannot be compiled ({error}); "
                             "correct the country's tone plan") from error
        self.plan, self.own = plan, own

    def compile(self, items):
        """Returns (Playlist, duration in ms of one round or None for an endless one)."""
        if not isinstance(items, list) or not 0 < len(items) <= ITEMS:
            raise LocalError(f"signal: items is no list of 1 to {ITEMS} items")
        rows = []
        for item in items:
            rows += self._rows(item)
        total, endless = 0, False
        for kind, _, length, _, name in rows:
            endless = endless or length < 0
            total += max(length, 0)
        return _engine.Playlist(rows), None if endless else total // SAMPLES_A_MS

    def _rows(self, item):
        if isinstance(item, dict):
            if isinstance(item.get("file"), str):
                kind, law, array = self.prompts.get(item["file"])
                return [(kind, law, len(array), array, 0)]
            if isinstance(item.get("tone"), str):
                length = self._length(item["duration_ms"], "duration_ms") if "duration_ms" in item else -1
                return [("tone", 0, length, self._table, self._tone(item["tone"]))]
            if isinstance(item.get("dtmf"), str) and 0 < len(item["dtmf"]) <= 64:
                return [("tone", 0, -1, self._table, self._tone("dtmf_" + digit)) for digit in item["dtmf"].upper()]
            if isinstance(item.get("r1"), str) and 0 < len(item["r1"]) <= 64:
                return [("tone", 0, -1, self._registers, self._register(signal)) for signal in item["r1"].upper()]
            if isinstance(item.get("stream"), str) and self.stream_address is not None:
                return [("stream", 0, -1, self.stream_address(item["stream"]), 0)]
            if isinstance(item.get("caller_id"), dict):
                array = caller_id_samples(item["caller_id"])
                return [("linear", 0, len(array), array, 0)]
            if "silence_ms" in item:
                return [("silence", 0, self._length(item["silence_ms"], "silence_ms"), None, 0)]
        raise LocalError(f"signal: {str(item)[:80]!r} is no item; use file, tone, dtmf, r1, caller_id or silence_ms")

    def _tone(self, name):
        if name not in self._tones:
            there = ", ".join(sorted(n for n in self._tones if not n.startswith("dtmf_")))
            raise LocalError(f"signal: the tone plan has no {name[:40]!r}; it has {there or 'no tones yet'}")
        return self._tones[name]

    def _register(self, signal):
        name = "r1_" + R1_NAMES.get(signal, signal)
        if name not in self._register_tones:
            raise LocalError(f"signal: R1 has no signal {signal!r}; it has 0 to 9, K (KP) and S (ST)")
        return self._register_tones[name]

    @staticmethod
    def _length(value, name):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 86400000:
            raise LocalError(f"signal: {name} is {str(value)[:40]}, not 1 to 86400000 ms")
        return value * SAMPLES_A_MS
