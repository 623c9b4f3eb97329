"""Different real speech for each party, chosen by a seed, as 8 kHz A-law WAV files.

    caller, agent = choose(seed=7, count=2, seconds=20, directory="/tmp/t")

Sources: $STROWGER_CORPUS/speech, else ../shared/corpus/speech beside the
checkout, else espeak-ng reading sentences.  No source is used in two files
of one choice.  Files are joined with short pauses and cut to length.
"""

import hashlib
import os
import pathlib
import random
import subprocess
import tempfile

import numpy as np

from hil.probes import wav

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
RATE_HZ = 8000
PAUSE_SAMPLES = 1600
LEAST_SECONDS = 1.4         # single digits are left out
PEAK = 16000                # of 32767: no clipping, and a level people speak at

SENTENCES = (
    "The parcel you sent on Monday has not arrived at the office in the harbour.",
    "Could you tell me which of the two invoices I should pay before Friday?",
    "Our warehouse moved last summer, so the old address is no longer correct.",
    "I would like to speak with somebody about the guarantee of my washing machine.",
    "Please read the serial number aloud, beginning with the letters on the left.",
    "There are seven boxes of blue paper and nine boxes of yellow envelopes.",
    "The engineer comes between ten and twelve and rings before he leaves.",
    "We can change the delivery to the weekend, but not to the evening.",
)
VOICES = ("en-gb", "en-us", "fr", "es", "de", "ru")


def corpus():
    """The folder of speech files, or None."""
    for folder in (os.environ.get("STROWGER_CORPUS"), CHECKOUT.parent / "shared" / "corpus"):
        if folder and (pathlib.Path(folder) / "speech").is_dir():
            return pathlib.Path(folder) / "speech"
    return None


def choose(seed, count, seconds, directory):
    """Write `count` files of `seconds`, none sharing a source. Returns their paths.

    Raises RuntimeError where neither the corpus nor espeak-ng is there.
    """
    rng = random.Random(f"speech-{seed}")
    folder = corpus()
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    makers = _recordings(folder, rng) if folder else _synthetic(rng)
    total = int(seconds * RATE_HZ)
    parts = [[] for _ in range(count)]
    while any(sum(map(len, p)) < total for p in parts):
        shortest = min(range(count), key=lambda k: sum(map(len, parts[k])))
        try:
            samples = next(makers)
        except StopIteration:
            raise RuntimeError(f"There is not enough speech for {count} files of {seconds} s; ask for less.") from None
        parts[shortest] += [samples, np.zeros(PAUSE_SAMPLES, np.int16)]
    paths = []
    for index, part in enumerate(parts):
        path = directory / f"speech-{seed}-{index}.wav"
        wav.write_alaw(path, np.concatenate(part)[:total])
        paths.append(path)
    return paths


def make(path, seed, seconds):
    """Write one 16-bit PCM WAV of speech, 8 kHz mono. Returns its path as text.

    Two seeds may meet the same sources in another order; where the files of
    several parties must share none, use choose()."""
    rng = random.Random(f"speech-{seed}")
    folder = corpus()
    parts, count, total = [], 0, int(seconds * RATE_HZ)
    while count < total:
        for samples in (_recordings(folder, rng) if folder else _synthetic(rng)):
            parts += [samples, np.zeros(PAUSE_SAMPLES, np.int16)]
            count += len(samples) + PAUSE_SAMPLES
            if count >= total:
                break
    wav.write_pcm(path, np.concatenate(parts)[:total])
    return str(path)


def _recordings(folder, rng):
    seen = set()
    # Sorted first: the order that a file system gives must not change what a seed means.
    files = sorted(folder.rglob("*.wav"))
    rng.shuffle(files)
    for path in files:
        if "monkeys" in path.name or "tock" in path.name:
            continue                    # not speech
        samples, rate = wav.read(path)
        digest = hashlib.sha256(samples.tobytes()).digest()
        if rate % RATE_HZ or len(samples) < LEAST_SECONDS * rate or digest in seen:
            continue
        seen.add(digest)
        yield _level(_decimate(samples[:, 0], rate // RATE_HZ))


def _synthetic(rng):
    pairs = [(voice, sentence, pitch) for pitch in (30, 50, 70) for voice in VOICES for sentence in SENTENCES]
    rng.shuffle(pairs)
    for voice, sentence, pitch in pairs:
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            try:
                subprocess.run(["espeak-ng", "-v", voice, "-p", str(pitch), "-w", file.name, sentence],
                               check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError):
                raise RuntimeError("There is no speech: set STROWGER_CORPUS or install espeak-ng.") from None
            samples, rate = wav.read(file.name)
        yield _level(_resample(samples[:, 0], rate))


def _decimate(samples, factor):
    return samples if factor == 1 else _resample(samples, factor * RATE_HZ)


def _resample(samples, rate):
    """To 8 kHz by cutting the spectrum; 3.4 kHz and below pass."""
    n = int(len(samples) * RATE_HZ / rate)
    spectrum = np.fft.rfft(samples.astype(float))
    kept = np.zeros(n // 2 + 1, complex)
    top = min(len(kept), len(spectrum), int(3600 * len(samples) / rate))
    kept[:top] = spectrum[:top]
    return np.fft.irfft(kept, n) * n / len(samples)


def _level(samples):
    samples = np.asarray(samples, float)
    return (samples * (PEAK / max(np.max(np.abs(samples)), 1))).astype(np.int16)
