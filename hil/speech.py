"""Real speech for both ends of a call: seeded, different for each seed.

From the corpus ($STROWGER_CORPUS, or ../shared/corpus beside the checkout);
where there is none, from espeak-ng, which is then synthetic.
"""

import io
import os
import pathlib
import random
import subprocess
import wave

import numpy as np

RATE_HZ = 8000
RMS_DBFS = -20.0       # mean level of what we make, against a full-scale sine: about -17 dBm0
PAUSE_S = 0.25
CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
SENTENCES = ("The quick brown fox jumps over the lazy dog near the river bank.",
             "Please hold the line while I look up your order from last week.",
             "We shipped it on Tuesday and it ought to arrive tomorrow before noon.",
             "Could you read the serial number on the back of the box to me?")


def corpus():
    """The folder of the corpus, or None."""
    for folder in (os.environ.get("STROWGER_CORPUS"), CHECKOUT.parent / "shared" / "corpus"):
        if folder and pathlib.Path(folder).is_dir():
            return pathlib.Path(folder)
    return None


def _read(octets):
    """16-bit mono WAV octets as float samples at 8 kHz."""
    with wave.open(io.BytesIO(octets)) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
    samples = samples.reshape(-1, channels).mean(axis=1)
    if rate == RATE_HZ:
        return samples
    count = int(len(samples) * RATE_HZ / rate)
    spectrum = np.fft.rfft(samples)[: count // 2 + 1]
    return np.fft.irfft(spectrum, count) * (count / len(samples))


def _sources(chance):
    """Endless pieces of speech of one speaker's folder after another."""
    folder = corpus()
    if folder is None:
        voices = ["en-us", "en-gb", "en-gb-scotland"]
        while True:
            yield _read(subprocess.run(["espeak-ng", "-v", chance.choice(voices), "-s", str(chance.randint(130, 180)),
                                        "--stdout", chance.choice(SENTENCES)], capture_output=True, check=True).stdout)
    files = sorted((folder / "speech").glob("*/*.wav")) + [folder / "speech" / "dam9.wav"]
    chance.shuffle(files)
    while True:
        for file in files:
            try:
                piece = _read(file.read_bytes())
            except (wave.Error, EOFError):
                continue
            if len(piece) > RATE_HZ:
                yield piece


def make(path, seed, seconds):
    """Write a mono 8 kHz WAV of speech; returns its path as text.  16-bit PCM."""
    chance = random.Random(f"speech {seed}")
    pieces, count, source = [], 0, _sources(chance)
    while count < seconds * RATE_HZ:
        piece = next(source)
        rms = np.sqrt(np.mean(piece ** 2)) or 1.0
        piece = piece * (32768 / np.sqrt(2) * 10 ** (RMS_DBFS / 20) / rms)
        peak = np.max(np.abs(piece))
        piece *= min(1.0, 28000 / peak)
        pieces += [piece, np.zeros(int(PAUSE_S * RATE_HZ))]
        count += len(piece) + len(pieces[-1])
    samples = np.concatenate(pieces)[: int(seconds * RATE_HZ)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.round(samples).astype("<i2").tobytes())
    return str(path)
