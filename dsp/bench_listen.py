"""Something to look at and to listen to: a WAV and a spectrogram for each function, and how the echo canceller settles.

    results() -> rows as dsp/bench.py has them (how much was written, and what the pictures show as numbers)
    python -m dsp.bench_listen

Written to build/bench/: index.html, listen/<function>.wav (left what went in, right what came out, where there is both),
listen/<function>.svg (spectrograms), echo.svg (64 ms) and echo_128ms.svg; drawn by dsp/pictures.py.
Material: the corpus' speech; white noise and one of a car (noise falling 12 dB an octave above 100 Hz),
and babble of six talkers of the corpus; all synthetic.
"""

import html
import json
import pathlib
import wave

import numpy as np

from dsp import bench, callerid, dtmf, echo, fsk, g711, g722, g726, ima, level, mf, mix, modem, noise, pictures, plc, tone, vad, vox, wsola

CHECKOUT = pathlib.Path(__file__).parents[1]
FOLDER = CHECKOUT / "build/bench"
SECONDS = 8
RATE = 8000


def blocks(x):
    """(row of one channel as int16 (1, 80)) of samples, one after another."""
    x = np.clip(np.rint(x), -32768, 32767).astype(np.int16)
    return [np.ascontiguousarray(x[None, i:i + 80]) for i in range(0, len(x) - 79, 80)]


def through(x, work):
    """What work leaves of each block, which it changes in place."""
    parts = blocks(x)
    for part in parts:
        work(part)
    return np.concatenate([part[0] for part in parts])


def write(name, *channels):
    """listen/<name>.wav and .svg of one channel, or of what went in and what came out."""
    n = min(map(len, channels))
    both = np.stack([np.clip(np.rint(one[:n]), -32768, 32767).astype("<i2") for one in channels], 1)
    with wave.open(str(FOLDER / f"listen/{name}.wav"), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(both.tobytes())
    pictures.spectrogram(FOLDER / f"listen/{name}.svg", [one[:n] for one in channels], ("left", "right") if len(channels) > 1 else ("",))


def sounded(plan, names, ms=700):
    table, numbers = tone.compile_plan(plan)
    return np.concatenate([np.concatenate([tone.reference(table, numbers[name], 0, ms * 8), np.zeros(800)]) for name in names])


def tones():
    """{name: (what it is, channels)} of what is generated."""
    country = json.loads((CHECKOUT / "boardconfig/countries/cn.json").read_text())["tones"]
    registers = mf.plan()
    octets = callerid.mdmf({"time": "12312359", "number": "13800138000", "name": "LI LEI"})
    return {"tones_cn": ("the country's tones: " + ", ".join(country), [sounded(country, country, 3000)]),
            "dtmf": ("digits 0 to D", [np.concatenate([tone.digit_samples(digit) for digit in dtmf.DIGITS])]),
            "r2_forward": ("R2 forward signals 1 to 15", [sounded(registers, [f"r2f_{n}" for n in range(1, 16)], 150)]),
            "r2_backward": ("R2 backward signals 1 to 15", [sounded(registers, [f"r2b_{n}" for n in range(1, 16)], 150)]),
            "r1": ("R1: KP 5551234 ST", [np.concatenate([sounded(registers, ["r1_" + name], 170)[:1360] for name in ("KP", *"5551234", "ST")])]),
            "fax_tones": ("CNG, CED, ANSam with reversals", [sounded(modem.plan(), ("cng", "ced", "ansam_pr"), 3000)]),
            "caller_id": ("a caller's number by Bell 202 and V.23", [np.concatenate([fsk.reference(kind, octets) for kind in fsk.KINDS])])}


def voices(speech, others, rng):
    """The same of what works on speech; others: speech of other talkers."""
    n = len(speech)
    white = rng.normal(size=n)
    hz = np.fft.rfftfreq(n, 1 / RATE)
    car = np.fft.irfft(np.fft.rfft(rng.normal(size=n)) / np.maximum(hz / 100, 1) ** 2, n)
    made = {}
    for name, disturbance in (("white", white), ("car", car), ("babble", others.sum(0))):
        noisy = speech + disturbance * speech.std() / disturbance.std() * 10 ** (-10 / 20)
        state = noise.new_state(1)
        made[f"noise_{name}"] = (f"noise reduction, {name} noise at 10 dB", [noisy, through(noisy, lambda x, state=state: noise.reduce(state, x))])
    steps = speech * np.repeat(10 ** (np.array([0, -20, 10, -10]) / 20), n // 4 + 1)[:n] * 0.3
    for preset in ("alc", "agc"):
        state, listener, decision = level.new_state(1, preset), vad.new_state(1), np.zeros(1, np.uint8)
        decisions = []

        def controlled(x, state=state, listener=listener, decision=decision, decisions=decisions):
            vad.detect(listener, x, decision)
            decisions.append(int(decision[0] != 0))
            level.control(state, x, decision)
        made[preset] = (f"level control ({preset}): 0, -20, +10, -10 dB", [steps, through(steps, controlled)])
    made["vad"] = ("speech detection: right a hum where speech was heard", [steps, np.repeat(decisions, 80) * 6000 * np.sin(2 * np.pi * 300 * np.arange(80 * len(decisions)) / RATE)])
    state, lost = plc.new_state(1), rng.random(n // 80 + 1) < 0.1
    parts, out = blocks(speech), []
    for part, gone in zip(parts, lost):
        x = np.zeros_like(part) if gone else part.copy()
        plc.conceal(state, x, np.array([gone], np.uint8))
        out.append(x[0])
    holes = np.concatenate([np.zeros(80) if gone else part[0] for part, gone in zip(parts, lost)])
    made["concealment"] = ("10 % of the blocks lost, without and with G.711 appendix I", [holes, np.concatenate(out)])
    whole = np.clip(speech, -32768, 32767).astype(np.int16)[None, :n // 80 * 80]
    made["g711"] = ("G.711 A-law, there and back", [whole[0], g711.expand(g711.compress(whole, g711.A), g711.A)[0]])
    made["ima"] = ("IMA ADPCM, there and back", [whole[0], ima.decode(ima.encode(whole))[0]])
    made["vox"] = ("Dialogic ADPCM, there and back", [whole[0], vox.decode(vox.encode(whole))[0]])
    wide = np.clip(np.interp(np.arange(2 * whole.shape[1]) / 2, np.arange(whole.shape[1]), whole[0]), -32768, 32767).astype(np.int16)[None]
    made["g722"] = ("G.722, there and back, of narrow-band speech", [whole[0], g722.decode(g722.encode(wide))[0][::2]])
    slow, fast = wsola.stretch(whole[0], 0.75), wsola.stretch(whole[0], 1.5)
    made["speed"] = ("a prompt at 0.75 and, right, at 1.5 of its speed", [slow, np.pad(fast, (0, len(slow) - len(fast)))])
    parties = np.clip(np.rint(np.stack([speech, others[0], others[1]])), -32768, 32767).astype(np.int16)
    mixed = []
    for at in range(0, n - 79, 80):
        block, out = np.ascontiguousarray(parties[:, at:at + 80]), np.zeros((3, 80), np.int16)
        mix.bridges(block, out, [[0, 1, 2]])
        mixed.append(out[0])
    made["conference"] = ("a bridge of three: left what one party says, right what he hears", [parties[0], np.concatenate(mixed)])
    for bits in (2, 3, 4, 5):
        made[f"g726_{8 * bits}"] = (f"G.726 at {8 * bits} kbit/s, there and back", [whole[0], g726.decode(g726.encode(whole, bits), bits)[0]])
    return made


def cancelling(speech, rng, partitions=echo.TAIL_64_MS, away=60, flags=2):
    """(far, near, out, echo return loss enhancement in dB each 100 ms) of a canceller on real speech, path 10 dB down, and noise at -60 dBm0.
    flags: 2 is NLP_OFF."""
    path = np.zeros(away + 240)
    path[away:] = rng.normal(size=240) * np.exp(-np.arange(240) / 40)
    path *= 10 ** (-10 / 20) / np.sqrt((path**2).sum())
    far = np.clip(np.rint(speech), -32768, 32767)
    echoed = np.convolve(far, path)[:len(far)] + rng.normal(size=len(far)) * 16
    state, slots, out = echo.new_state(1, partitions), np.zeros(1, np.int32), []
    for x, y in zip(blocks(far), blocks(echoed)):
        near = y.copy()
        echo.cancel(state, slots, x, near, np.array([flags], np.uint8), partitions=partitions)
        out.append(near[0])
    out = np.concatenate(out)
    power = lambda z: (z[:len(out) // 800 * 800].reshape(-1, 800).astype(float) ** 2).mean(1) + 1
    enhancement = 10 * np.log10(power(echoed) / power(out))
    enhancement[power(echoed) < 2e4] = np.nan                               # nothing to cancel
    return far, echoed, out, enhancement


def results(seconds=SECONDS):
    """Write everything; rows say what was written."""
    (FOLDER / "listen").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    all_speech = bench.speech().astype(float)
    n = seconds * RATE
    speech = all_speech[:n]
    others = np.stack([all_speech[at:at + n] for at in range(60 * RATE, 60 * RATE + 6 * 40 * RATE, 40 * RATE)])     # other files, other talkers
    made = {**tones(), **voices(speech, others, rng)}
    far, echoed, out, enhancement = cancelling(speech, rng)
    made["echo"] = ("echo canceller, non-linear processor off: with echo, without", [echoed, out])
    _, long_echoed, long_out, long_enhancement = cancelling(speech, rng, echo.TAIL_128_MS, 780)
    made["echo_128ms"] = ("echo canceller of 128 ms, the hybrid 97 ms away, non-linear processor off: with echo, without", [long_echoed, long_out])
    _, heard, clean, _ = cancelling(speech, rng, flags=0)
    made["echo_processor"] = ("echo canceller with non-linear processor and comfort noise: with echo, without", [heard, clean])
    for name, (_, channels) in made.items():
        write(name, *channels)
    aims = ((1, 20), (5, 30))               # on speech
    pictures.convergence(FOLDER / "echo.svg", enhancement, "Echo return loss enhancement, 64 ms, one talker: each 100 ms, and the median of a second", aims)
    pictures.convergence(FOLDER / "echo_128ms.svg", long_enhancement, "The same of 128 ms, the hybrid 97 ms away (the aims are those of 64 ms)", aims)
    items = "".join(f'<h2>{name}</h2><p>{html.escape(what)}</p><audio controls src="listen/{name}.wav"></audio><br><img src="listen/{name}.svg" alt="spectrogram">'
                    for name, (what, _) in made.items())
    (FOLDER / "index.html").write_text('<!doctype html><meta charset="utf-8"><title>Strowger: what the functions do</title>'
                                       "<p>Where there are two pictures, the upper one is the left channel, what went in, the lower one the right, what came out. Black is 70 dB below the loudest.</p>"
                                       f'<h2>echo convergence</h2><p>Echo return loss enhancement on speech, each 100 ms with far-end speech.</p><img src="echo.svg" alt="ERLE over time">'
                                       f'<p>The same of 128 ms.</p><img src="echo_128ms.svg" alt="ERLE over time">{items}\n')
    late = enhancement[5 * RATE // 800:]
    blank = {"reference": None, "reference_value": None, "ratio": None}
    return [{"name": "dsp.listen.files", "value": len(made), "unit": "files", "note": "build/bench/index.html", **blank},
            {"name": "dsp.listen.erle_after_5s_db", "value": float(np.nanmedian(late)) if np.isfinite(late).any() else None, "unit": "dB", "note": "median of build/bench/echo.svg", **blank}]


if __name__ == "__main__":
    print(json.dumps(results(), indent=1))
