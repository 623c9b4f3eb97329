"""Talk-off: signals that detectors hear in hours of speech and music where there is none, beside spandsp in the same run.

    results() -> rows as dsp/bench.py has them; the value is a count, the note says in how many hours
    python -m dsp.bench_talkoff

Material (hours are those of the variants):
  speech    the corpus, 14 minutes in English, French, Spanish and Russian
  mandarin  espeak-ng, synthetic: digits, names and sentences by four voices (left out, and said so, where it is not installed)
  music     synthetic: chords of harmonic tones, arpeggios, vibrato, whistled melodies, 10 minutes
Ours hears all of it; spandsp's DTMF, R2 and R1 receivers and its detectors of CNG and of the answer tone hear the same samples.
Each at SPEEDS (resampled by interpolation: pitch and tempo together), GAINS (clipped
where it is too loud) and two positions of the blocks.  These are augmentations of little
material: hours here are worth less than hours of new talkers.
"""

import ctypes
import ctypes.util
import io
import itertools
import json
import shutil
import subprocess
import wave

import numpy as np

from dsp import bench, dtmf, mf, modem

SPEEDS = (0.78, 0.82, 0.86, 0.9, 0.94, 0.97, 1.0, 1.03, 1.06, 1.1, 1.14, 1.18, 1.22, 1.27)
GAINS_DB = (-9, 6)
OFFSETS = (0, 40)
PIECE = 60 * 8000                             # samples that are in memory in all variants
MANDARIN = ("一二三四五六七八九零", "您好，欢迎致电客户服务中心，普通话请按一，英语请按二。", "请输入您的身份证号码，以井号键结束。", "我想查询一下上个月的话费账单，谢谢。",
            "十三点四十五分到北京西站的高铁还有票吗？", "他说四是四，十是十，十四是十四，四十是四十。", "喂，你好，哪位？对不起，我现在不方便接电话。", "请稍等，正在为您转接人工坐席。")


def mandarin():
    """Synthetic Mandarin at 8 kHz, or None where espeak-ng is not installed."""
    if not shutil.which("espeak-ng"):
        return None
    parts = []
    for (k, text), voice in itertools.product(enumerate(MANDARIN), ("cmn", "cmn+f2", "cmn+m3", "cmn+f4")):
        made = subprocess.run(["espeak-ng", "-v", voice, "-s", str(140 + 10 * (k % 5)), "--stdout", text], check=True, capture_output=True, timeout=60).stdout
        with wave.open(io.BytesIO(made)) as file:
            x, rate = np.frombuffer(file.readframes(2**28), "<i2").astype(float), file.getframerate()
        low = np.convolve(x, np.hamming(7) / np.hamming(7).sum(), "same")
        parts.append(np.interp(np.arange(0, len(x), rate / 8000), np.arange(len(x)), low) * 0.5)
    return np.concatenate(parts)


def music(minutes=10, seed=5):
    """Synthetic music: each bar of 0.3 to 2 s is a chord, an arpeggio or a whistled note, with 1 to 8 harmonics."""
    rng, parts, total = np.random.default_rng(seed), [], 0
    while total < minutes * 60 * 8000:
        n = int(rng.uniform(0.3, 2) * 8000)
        t, x, kind = np.arange(n) / 8000, np.zeros(n), rng.integers(3)
        notes = 440 * 2 ** ((rng.integers(-20, 25) + np.array([[0, 4, 7], [0, 3, 7], [0, 5, 9], [0, 4, 10]][rng.integers(4)])) / 12)
        for k, hz in enumerate(notes[:1 if kind == 2 else 3]):
            vibrato = rng.uniform(0, 0.01) * np.sin(2 * np.pi * rng.uniform(4, 7) * t) / 5
            begin = n // 4 * k if kind == 1 else 0
            envelope = np.where(t * 8000 >= begin, np.minimum((t * 8000 - begin) / 200, 1) * np.exp(-rng.uniform(0, 3) * (t - begin / 8000)), 0)
            for harmonic in range(1, 2 if kind == 2 else rng.integers(2, 9)):
                if harmonic * hz < 3600:
                    x += envelope * np.sin(2 * np.pi * harmonic * hz * (t + vibrato)) / harmonic ** rng.uniform(0.5, 1.5)
        parts.append(x / np.abs(x).max() * rng.uniform(3000, 16000))
        total += n
    return np.concatenate(parts)


def variants(x):
    """Augmented copies, int16."""
    for speed in SPEEDS:
        y = np.interp(np.arange(0, len(x) - 1, speed), np.arange(len(x)), x)
        for gain in GAINS_DB:
            yield np.clip(np.rint(y * 10 ** (gain / 20)), -32768, 32767).astype(np.int16)


class Counter:
    """All detectors at once on rows of blocks: counts of what begins."""

    def __init__(self, n):
        self.receivers = {kind: (mf.table(kind), mf.new_state(n)) for kind in ("r2_forward", "r2_backward", "r1")}
        self.dtmf, self.modem = dtmf.new_state(n), modem.new_state(n)
        self.counts = dict.fromkeys(("dtmf", *self.receivers, "cng", "ced", "modem_tones"), 0)

    def feed(self, rows):
        begun = lambda events: int(events["on"].sum()) if len(events) else 0
        self.counts["dtmf"] += begun(dtmf.detect(self.dtmf, rows))
        for kind, (table, state) in self.receivers.items():
            self.counts[kind] += begun(mf.detect(table, state, rows))
        events = modem.detect(self.modem, rows)
        for kind, tones in (("modem_tones", range(len(modem.NAMES))), ("cng", (modem.CNG,)), ("ced", (modem.ANS, modem.ANSAM))):
            self.counts[kind] += begun(events[np.isin(events["tone"], tones)])


def count(copies):
    """(counts by detector, hours) over copies, all positions of the blocks; shorter ones end in silence."""
    n = max(map(len, copies)) + 80
    rows = np.zeros((len(copies) * len(OFFSETS), n), np.int16)
    for i, (y, offset) in enumerate(itertools.product(copies, OFFSETS)):
        rows[i, offset:offset + len(y)] = y
    counter = Counter(len(rows))
    for i in range(n // 80):
        counter.feed(np.ascontiguousarray(rows[:, 80 * i:80 * i + 80]))
    return counter.counts, len(OFFSETS) * sum(map(len, copies)) / 8000 / 3600


TOLD = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int)     # spandsp's tone_report_func_t
CNG, CED = 1, 2                               # spandsp's MODEM_CONNECT_TONES_FAX_CNG, _FAX_CED


def spandsp_receivers(library, told):
    """{kind of ours: (function that makes a state, receiver, function that frees it, digits it keeps or None)}"""
    def maker(name, *arguments):
        make = getattr(library, name)
        make.restype = ctypes.c_void_p
        return lambda: ctypes.c_void_p(make(None, *arguments))
    tone = lambda which: (maker("modem_connect_tones_rx_init", which, told, None), library.modem_connect_tones_rx, library.modem_connect_tones_rx_free, None)
    r2 = lambda forward: (maker("r2_mf_rx_init", forward, told, None), library.r2_mf_rx, library.r2_mf_rx_free, None)
    return {"dtmf": (maker("dtmf_rx_init", None, None), library.dtmf_rx, library.dtmf_rx_free, library.dtmf_rx_get), "r2_forward": r2(1),
            "r2_backward": r2(0), "r1": (maker("bell_mf_rx_init", None, None), library.bell_mf_rx, library.bell_mf_rx_free, library.bell_mf_rx_get),
            "cng": tone(CNG), "ced": tone(CED)}


def spandsp_counts(copies, kinds=None):
    """{kind: what spandsp hears begin} in all positions of the blocks, or {} where it is not installed."""
    name = ctypes.util.find_library("spandsp")
    if name is None:
        return {}
    library, buffer, begun = ctypes.CDLL(name), ctypes.create_string_buffer(200), []
    told = TOLD(lambda user, code, level, delay: begun.append(code) if code > 0 else None)
    counts = {}
    for kind, (make, receive, release, kept) in spandsp_receivers(library, told).items():
        if kinds is not None and kind not in kinds:
            continue
        del begun[:]
        found = 0
        for y, offset in itertools.product(copies, OFFSETS):
            state = make()
            y = np.concatenate([np.zeros(offset, np.int16), y])
            for begin in range(0, len(y), 80000):
                part = np.ascontiguousarray(y[begin:begin + 80000])
                receive(state, ctypes.c_void_p(part.ctypes.data), len(part))
                found += kept(state, buffer, 128) if kept else 0
            release(state)
        counts[kind] = found + len(begun)
    return counts


def results(seconds=None):
    """Rows; seconds shortens each material (for tests)."""
    rows = []
    for name, x in (("speech", bench.speech().astype(float)), ("mandarin", mandarin()), ("music", music())):
        if x is None:
            rows.append({"name": f"dsp.talkoff.{name}", "value": None, "unit": "not run", "reference": None, "reference_value": None, "ratio": None,
                         "note": "espeak-ng is not installed"})
            continue
        x, total, hours, theirs = x[:seconds and seconds * 8000], {}, 0.0, {}
        for begin in range(0, len(x), PIECE):
            copies = list(variants(x[begin:begin + PIECE]))
            counts, some = count(copies)
            total = {kind: total.get(kind, 0) + value for kind, value in counts.items()}
            hours += some
            theirs = {kind: theirs.get(kind, 0) + heard for kind, heard in spandsp_counts(copies).items()}
        for kind, value in total.items():
            rows.append({"name": f"dsp.talkoff.{name}.{kind}", "value": value, "unit": "false signals", "reference": "spandsp, the same samples" if kind in theirs else None,
                         "reference_value": theirs.get(kind), "ratio": None,
                         "note": f"in {hours:.1f} h: {len(x) / 480000:.1f} minutes at {len(SPEEDS)} speeds, {len(GAINS_DB)} levels, {len(OFFSETS)} positions"})
    return rows


if __name__ == "__main__":
    print(json.dumps(results(), indent=1))
