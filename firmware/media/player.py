"""What players play: prompts in memory, tones of the country, playlists.

Prompt files are WAV, see wav.py.  They are read once and kept as arrays; law octets
stay law octets, so a prompt reaches a leg of its own law unchanged.
"""

import os

from dsp import tone
from firmware.errors import LocalError
from firmware.media import _engine
from firmware.media.wav import read_wav

CACHE_OCTETS = 256 << 20        # ours: more than an hour of prompts in A-law, eight times over
ITEMS = 500                     # of one playlist
SAMPLES_A_MS = 8


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
        self.plan = {}
        self._table, self._tones = tone.compile_plan({})

    def set_plan(self, plan):
        """Tones of the country; tones that sound go on with the table they began with.  Raises LocalError."""
        if plan == self.plan:
            return
        try:
            self._table, self._tones = tone.compile_plan(plan)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            raise LocalError(f"tones: the plan cannot be compiled ({error}); "
                             "correct the country's tone plan") from error
        self.plan = plan

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
            if "silence_ms" in item:
                return [("silence", 0, self._length(item["silence_ms"], "silence_ms"), None, 0)]
        raise LocalError(f"signal: {str(item)[:80]!r} is no item; use file, tone, dtmf or silence_ms")

    def _tone(self, name):
        if name not in self._tones:
            there = ", ".join(sorted(n for n in self._tones if not n.startswith("dtmf_")))
            raise LocalError(f"signal: the tone plan has no {name[:40]!r}; it has {there or 'no tones yet'}")
        return self._tones[name]

    @staticmethod
    def _length(value, name):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 86400000:
            raise LocalError(f"signal: {name} is {str(value)[:40]}, not 1 to 86400000 ms")
        return value * SAMPLES_A_MS
