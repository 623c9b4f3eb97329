"""What a test call plays, and what is learnt from what came back meanwhile.

One script for either end, SCRIPT_S long:

    0.0 s   nothing is sent: what is heard is the far end's (its tone, its noise)
    2.0 s   white noise at NOISE_DBM0: the echo path is fitted to it, which gives the echo return loss
    3.5 s   nothing
    4.0 s   TONE_HZ at TONE_DBM0, for whoever listens at the far end
    6.5 s   nothing

analyse(samples) -> {"heard_hz", "heard_dbm0" (None: no tone), "level_dbm0" (all that is heard while we are silent), "erl_db",
"erl_is_least" (no echo was found: the loss is at least erl_db), "looped" (what we send comes back whole), "tone_back_dbm0"}

Echo return loss: power sent against power that comes back correlated with it, over the band of 0 to 4 kHz, in a window of
WINDOW_MS around the strongest echo (G.168 2.4 has ERL as the loss of the echo path; G.122 weighs it by frequency, which this does
not).  0 dBm0: a sine 3.14 dB below the overload of A-law (G.711 table 5; the 0.03 dB of mu-law are left out)."""

import math
import wave

import numpy

RATE = 8000
FULL_SCALE_DBM0 = 3.14
SILENT_S, NOISE_S, PAUSE_S, TONE_S, TAIL_S = 2.0, 1.5, 0.5, 2.5, 0.5
SCRIPT_S = SILENT_S + NOISE_S + PAUSE_S + TONE_S + TAIL_S
NOISE_DBM0, TONE_DBM0, TONE_HZ = -16.0, -10.0, 1020
WINDOW_MS, BEFORE_MS = 40, 8                # of the echo path that is fitted
LATEST_S = 1.3                              # of an echo behind what was sent: two satellite hops; ours
TONE_CLEAR_DB = 12.0                        # a tone must stand so much above the rest; ours
QUIETEST_TONE_DBM0 = -45.0                  # below it nothing counts as a tone; ours
LOOPED_DB = 3.0                             # less loss than this is a loop; ours
SIGNIFICANT = 4.0                           # an echo must have so many times the power that chance gives the fit; ours
SEED = 5086


def rms_of(dbm0):
    """Root mean square of 16-bit samples of a signal of so many dBm0."""
    return 32768 / math.sqrt(2) * 10 ** ((dbm0 - FULL_SCALE_DBM0) / 20)


def dbm0_of(samples):
    """Level of samples; -99 where there is nothing."""
    power = float(numpy.mean(numpy.square(samples, dtype=float))) if len(samples) else 0.0
    return round(20 * math.log10(math.sqrt(power) / rms_of(0)), 1) if power > 1e-3 else -99.0


def noise():
    """The noise of the script, float64 (NOISE_S * RATE,): always the same."""
    return numpy.clip(numpy.random.default_rng(SEED).normal(0, 1, int(NOISE_S * RATE)), -3, 3) * rms_of(NOISE_DBM0)


def script():
    """The whole of what is sent, int16."""
    tone = math.sqrt(2) * rms_of(TONE_DBM0) * numpy.sin(2 * math.pi * TONE_HZ / RATE * numpy.arange(int(TONE_S * RATE)))
    parts = [numpy.zeros(int(SILENT_S * RATE)), noise(), numpy.zeros(int(PAUSE_S * RATE)), tone, numpy.zeros(int(TAIL_S * RATE))]
    return numpy.rint(numpy.concatenate(parts)).astype(numpy.int16)


def write_wav(path, samples):
    """16-bit samples as a file that media plays.  Raises OSError."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def read_wav(path):
    """Samples of a recording of media's, int16.  Raises OSError, EOFError or wave.Error."""
    with wave.open(str(path), "rb") as file:
        channels, octets = file.getnchannels(), file.readframes(file.getnframes())
    samples = numpy.frombuffer(octets[:len(octets) // (2 * channels) * 2 * channels], "<i2")
    return samples.reshape(-1, channels)[:, 0] if channels > 1 else samples


def _tone(samples):
    """(frequency, level in dBm0, level of the rest) of the strongest sine."""
    window = numpy.hanning(len(samples))
    power = numpy.abs(numpy.fft.rfft(samples * window, 4 * len(samples)))
    power[:int(100 * 4 * len(samples) / RATE)] = 0
    best = int(numpy.argmax(power))
    if not 0 < best < len(power) - 1 or not power[best]:
        return None, -99.0, dbm0_of(samples)
    left, middle, right = numpy.log(power[best - 1:best + 2] + 1e-9)
    bend = left - 2 * middle + right
    hz = (best + (0.5 * (left - right) / bend if bend else 0)) * RATE / (4 * len(samples))
    angle = 2 * math.pi * hz / RATE * numpy.arange(len(samples))
    basis = numpy.stack([numpy.cos(angle), numpy.sin(angle)], 1)
    fitted = basis @ numpy.linalg.lstsq(basis, samples, rcond=None)[0]
    return hz, dbm0_of(fitted), dbm0_of(samples - fitted)


def _without_tone(samples, hz, block=800):
    """Samples less a sine of a known frequency, fitted block by block."""
    rest = samples.copy()
    for start in range(0, len(rest), block):
        part = rest[start:start + block]
        angle = 2 * math.pi * hz / RATE * numpy.arange(len(part))
        basis = numpy.stack([numpy.cos(angle), numpy.sin(angle)], 1)
        part -= basis @ numpy.linalg.lstsq(basis, part, rcond=None)[0]
    return rest


def _echo(heard, sent):
    """(loss in dB, whether that is only the least it can be).  heard: float64, with sent somewhere in it or not."""
    length = 1 << (len(heard) + len(sent)).bit_length()
    correlation = numpy.fft.irfft(numpy.fft.rfft(heard, length) * numpy.conj(numpy.fft.rfft(sent, length)), length)
    last = max(1, len(heard) - len(sent))
    place = int(numpy.argmax(numpy.abs(correlation[:last])))
    start, taps = max(0, place - BEFORE_MS * 8), WINDOW_MS * 8
    columns = numpy.lib.stride_tricks.sliding_window_view(numpy.concatenate([numpy.zeros(taps - 1), sent]), taps)[:, ::-1]
    wanted = heard[start:start + len(sent)]
    columns = columns[:len(wanted)]
    gram = columns.T @ columns
    path = numpy.linalg.solve(gram + numpy.eye(taps) * 1e-6 * gram[0, 0], columns.T @ wanted)
    predicted = columns @ path
    rest, power = float(numpy.mean((wanted - predicted) ** 2)), float(numpy.mean(predicted ** 2))
    chance = rest * taps / len(wanted)          # what a fit of so many taps takes from any noise
    reference = float(numpy.mean(sent ** 2))
    if power < SIGNIFICANT * chance or power - chance <= 0:
        return 10 * math.log10(reference / max(SIGNIFICANT * chance, 1e-4)), True
    return 10 * math.log10(reference / (power - chance)), False


def analyse(samples):
    """See the module's docstring.  samples: int16, from about when the script began to its end."""
    heard = numpy.asarray(samples, float)
    silent = heard[int(0.3 * RATE):int((SILENT_S - 0.1) * RATE)]
    hz, tone_dbm0, rest_dbm0 = _tone(silent) if len(silent) >= RATE // 2 else (None, -99.0, -99.0)
    has_tone = hz is not None and tone_dbm0 >= QUIETEST_TONE_DBM0 and tone_dbm0 - rest_dbm0 >= TONE_CLEAR_DB
    figures = {"heard_hz": round(hz, 1) if has_tone else None, "heard_dbm0": tone_dbm0 if has_tone else None, "level_dbm0": dbm0_of(silent),
               "erl_db": None, "erl_is_least": None, "looped": False, "tone_back_dbm0": None}
    rest = _without_tone(heard, hz) if has_tone else heard
    part = rest[int((SILENT_S - 0.1) * RATE):int((SILENT_S + NOISE_S + LATEST_S) * RATE)]
    if len(part) > NOISE_S * RATE:
        loss, least = _echo(part, noise())
        figures.update(erl_db=round(loss, 1), erl_is_least=least, looped=not least and loss < LOOPED_DB)
    back = rest[int((SCRIPT_S - TAIL_S - 1.2) * RATE):int((SCRIPT_S - TAIL_S - 0.2) * RATE)]
    if len(back) >= RATE // 2:
        back_hz, back_dbm0, back_rest = _tone(back)
        if back_hz is not None and abs(back_hz - TONE_HZ) < 2 and back_dbm0 - back_rest >= TONE_CLEAR_DB:
            figures["tone_back_dbm0"] = back_dbm0
    return figures
