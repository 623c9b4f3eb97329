"""Make the prompt files: espeak-ng's placeholder voices and the music on hold.

    python buildroot/prompts/generate.py build/prompts

Writes <language>/<name>.wav and music.wav, A-law, 8 kHz, mono.  A file whose
text did not change is kept.  The tune is our own; it is computed, not copied.
"""

import hashlib
import pathlib
import shutil
import struct
import subprocess
import sys
import wave
import io

import numpy as np

from texts import OTHER_VOICES, TEXTS, VOICES

RATE_HZ = 8000
SPEECH_PEAK = 0.45    # of full scale: about -16 dBm0 mean speech level; ours
MUSIC_PEAK = 0.16     # music stays below speech; ours
WAVE_FORMAT_ALAW = 6


def alaw(samples):
    """G.711 A-law octets of float samples in -1..1 (clause 3.1, by decision on the segment)."""
    value = np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int32)
    sign = np.where(value >= 0, 0x80, 0x00)
    magnitude = np.where(value >= 0, value, -value - 1) >> 4
    power = np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32)
    segment = np.maximum(power - 3, 0)
    chord = (segment << 4) | ((magnitude >> np.maximum(power - 4, 0)) & 0x0F)
    code = sign | np.where(magnitude < 32, magnitude, chord)
    return (code ^ 0x55).astype(np.uint8).tobytes()


def wav(octets):
    """A WAV file of A-law octets, with its fact chunk."""
    body = (b"WAVE" + b"fmt " + struct.pack("<IHHIIHHH", 18, WAVE_FORMAT_ALAW, 1, RATE_HZ, RATE_HZ, 1, 8, 0)
            + b"fact" + struct.pack("<II", 4, len(octets)) + b"data" + struct.pack("<I", len(octets))
            + octets + b"\0" * (len(octets) & 1))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def to_8k(samples, rate_hz):
    """Band-limit to 3.4 kHz and resample, by FFT (files are short)."""
    count = len(samples)
    target = int(count * RATE_HZ / rate_hz)
    spectrum = np.fft.rfft(samples)
    frequency = np.arange(len(spectrum)) * rate_hz / count
    spectrum[(frequency > 3400) | (frequency < 150)] = 0
    return np.fft.irfft(spectrum[: target // 2 + 1], target) * (target / count)


def speak(text, voice):
    """The samples of a spoken text, silence at both ends cut short."""
    done = subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "--stdout", text],
                          capture_output=True, check=True)
    with wave.open(io.BytesIO(done.stdout)) as file:
        raw = np.frombuffer(file.readframes(1 << 24), dtype="<i2").astype(float) / 32768
        samples = to_8k(raw, file.getframerate())
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    if not len(loud):
        raise SystemExit(f"espeak-ng said nothing for {text!r}; install its voices (espeak-ng-data).")
    samples = samples[max(loud[0] - 160, 0): loud[-1] + 800]
    return samples * (SPEECH_PEAK / np.max(np.abs(samples)))


def music():
    """Thirty-two seconds of a quiet pentatonic tune that loops without a seam."""
    beat = RATE_HZ // 2
    scale = [262, 294, 330, 392, 440, 523, 587]
    steps = [2, 3, 4, 3, 2, 0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0, 4, 5, 6, 5, 4, 3, 4, 2, 1, 2, 3, 1, 0, 1, 2, 0] * 2
    total = np.zeros(beat * len(steps))
    time = np.arange(beat * 3) / RATE_HZ
    for index, step in enumerate(steps):
        note = np.zeros(len(time))
        for harmonic, level in ((1, 1.0), (2, 0.35), (3, 0.12)):
            note += level * np.sin(2 * np.pi * scale[step] * harmonic * time)
        note *= np.minimum(time / 0.02, 1) * np.exp(-time * 2.2)
        at = np.arange(index * beat, index * beat + len(note)) % len(total)
        total[at] += note
    return total * (MUSIC_PEAK / np.max(np.abs(total)))


def beep():
    """A short tone before a message is recorded."""
    time = np.arange(int(RATE_HZ * 0.35)) / RATE_HZ
    return 0.25 * np.sin(2 * np.pi * 950 * time) * np.minimum(1, np.minimum(time, time[::-1]) / 0.01)


def main(folder):
    folder = pathlib.Path(folder)
    if not shutil.which("espeak-ng"):
        raise SystemExit("espeak-ng is not installed; run `make setup` first.")
    wanted = [(folder / language / f"{name}.wav", text, OTHER_VOICES.get(language, {}).get(name, VOICES[language]))
              for language, texts in TEXTS.items() for name, text in texts.items()]
    made = 0
    program = pathlib.Path(__file__).read_bytes()
    for path, text, voice in wanted:
        mark = path.with_suffix(".text")
        key = hashlib.sha256(program + f"{voice}\n{text}\n".encode()).hexdigest() + "\n"
        if path.exists() and mark.exists() and mark.read_text() == key:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav(alaw(speak(text, voice))))
        mark.write_text(key)
        made += 1
    for language in TEXTS:
        (folder / language / "beep.wav").write_bytes(wav(alaw(beep())))
    tune = folder / "music.wav"
    if made or not tune.exists():
        tune.write_bytes(wav(alaw(music())))
    print(f"prompts: {len(wanted)} in {folder} ({made} made now; placeholder voices by espeak-ng)")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "build/prompts")
