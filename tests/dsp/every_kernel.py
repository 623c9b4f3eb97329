"""The same samples through every kernel, kept in a file: what two machines, or two builds, make of them can be compared.

    python -m tests.dsp.every_kernel OUT.npz      STROWGER_ISA chooses the build
    compare(here, there) -> [(kernel, arrays, greatest difference, allowed)]

Integer kernels, and those whose floating-point sums are of exact integers, must give the same bits.  FLOAT ones (their
multiplications and additions may be fused or not) differ by rounding; what is compared of them is int16 samples.
"""

import sys

import numpy as np

from dsp import amd, dtmf, echo, fsk, g711, g722, g726, hdlc, ima, level, mf, mix, modem, noise, plc, progress, rows, tone, vad, vox, wsola

CHANNELS, BLOCKS = 24, 100
# Root of the mean square of the difference against that of the signal, and why more than nothing.
FLOAT = {"echo": 0.1,           # of what is left of the echo: an adaptive filter, and taps in half precision only where F16C is
         "noise": 0.005, "level": 0.001}
MOST_DECISIONS = {"vad": 0.01}  # part of decisions that may differ: those at the threshold

SIGNALS = {"modem": (2100,), "mf_r1": (1100, 1700)}        # Hz: what is not in the material: CED, KP


def material():
    """int16 (CHANNELS, 80 * BLOCKS): noise in syllables, tones, digits, full scale, silence."""
    rng, t = np.random.default_rng(11), np.arange(80 * BLOCKS)
    x = rng.normal(size=(CHANNELS, len(t))) * 3000 * (0.55 + 0.45 * np.sin(2 * np.pi * (2 + np.arange(CHANNELS)[:, None] / 8) * t / 8000))
    for channel, (low, high) in enumerate(((770, 1336), (941, 1477), (1380, 1500), (540, 660), (450, 450), (1100, 1100), (2100, 2100))):
        x[channel] = 4000 * np.sin(2 * np.pi * low * t / 8000) + 4000 * np.sin(2 * np.pi * high * t / 8000)
        x[channel] *= (t // 1600) % 2
    x[7], x[8] = 32767 * np.sign(np.sin(2 * np.pi * 300 * t / 8000)), 0
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def tones(shape, frequencies):
    """Half of it, after a pause, in all channels, 1 dB apart."""
    t = np.arange(shape[1]) / 8000
    y = sum(5000 * np.sin(2 * np.pi * hz * t) for hz in frequencies) * (t > t[-1] / 8) * (t < t[-1] * 7 / 8)
    return np.rint(10 ** (-np.arange(shape[0])[:, None] / 20) * y).astype(np.int16)


def by_blocks(x, work):
    return [work(np.ascontiguousarray(x[:, at:at + 80])) for at in range(0, x.shape[1], 80)]


def events(found):
    return np.concatenate([np.frombuffer(e.tobytes(), np.uint8) for e in found])


def changed(x, work):
    """What a kernel that works in place leaves."""
    def one(block):
        work(block)
        return block
    return np.hstack(by_blocks(x, one))


def outputs():
    """{"kernel.what": array}"""
    x, found, rng = material(), {}, np.random.default_rng(12)
    octets = rng.integers(0, 256, (CHANNELS, 800)).astype(np.uint8)
    for law in (0, 1):
        found[f"g711.expand{law}"], found[f"g711.compress{law}"] = g711.expand(octets, law), g711.compress(x, law)
        found[f"g711.convert{law}"] = g711.convert(octets, law)
    found["ima.encode"], found["ima.decode"] = ima.encode(x), ima.decode(octets)
    found["vox.encode"], found["vox.decode"] = vox.encode(x), vox.decode(octets)
    found["g722.encode"], found["g722.decode"] = g722.encode(x), g722.decode(octets)
    for bits in (2, 3, 4, 5):
        found[f"g726.encode{bits}"] = g726.encode(x, bits)
        found[f"g726.decode{bits}"] = g726.decode(found[f"g726.encode{bits}"], bits)
    found["rows.turned"] = rows.frames_to_rows(np.ascontiguousarray(octets.T))
    y = np.zeros((CHANNELS, 80), np.int16)
    mix.bridges(np.ascontiguousarray(x[:, :80]), y, [[0, 1, 2], [3, 4], [5], list(range(6, CHANNELS))])
    found["mix.bridges"] = y.copy()
    mix.routes(np.ascontiguousarray(x[:, :80]), y, [0, 1], [[2, 3, 4], [5, 6]], [[4096, 1000, 9000], [4096, 1]])
    found["mix.routes"] = y.copy()
    sending, receiving = hdlc.new_tx_state(8), hdlc.new_rx_state(8)
    for slot in range(8):
        while hdlc.put(sending, slot, rng.integers(0, 256, rng.integers(20, 260)).astype(np.uint8).tobytes()):
            pass
    sent = [hdlc.transmit(sending, 80) for _ in range(20)]
    found["hdlc.sent"] = np.hstack(sent)
    found["hdlc.received"] = np.concatenate([np.frombuffer(b"".join(frame for _, frame in hdlc.receive(receiving, part)) or b"-", np.uint8) for part in sent])
    table, numbers = tone.compile_plan({"dial": {"frequencies_hz": [350, 440], "level_dbm0": -13}, "busy": {"frequencies_hz": [450], "cadence_ms": [350, 350]}})
    state = tone.new_state(4)
    for slot, name in enumerate(("dial", "busy", "dtmf_5", "dtmf_D")):
        tone.start(state, slot, numbers[name])
    found["tone.made"] = np.hstack([tone.generate(table, state, 80)[0] for _ in range(60)])
    for name, kernel, arguments in (("dtmf", dtmf, ()), ("modem", modem, ()), *((f"mf_{kind}", mf, (mf.table(kind),)) for kind in ("r2_forward", "r2_backward", "r1")),
                                    ("progress", progress, (progress.compile_plan({"busy": {"frequencies_hz": [450], "cadence_ms": [200, 200]}})[0],)),
                                    ("fsk", fsk, (fsk.table("v23"),))):
        state = (fsk.new_rx_state if kernel is fsk else kernel.new_state)(CHANNELS)
        heard_tones = x if name not in SIGNALS else tones(x.shape, SIGNALS[name])
        found[f"{name}.events"] = events(by_blocks(heard_tones, lambda block: kernel.detect(*arguments, state, block)))
    state, said, speech = vad.new_state(CHANNELS), np.zeros(CHANNELS, np.uint8), []

    def heard(block):
        vad.detect(state, block, said)
        speech.append(said.copy())
    by_blocks(x, heard)
    found["vad.decisions"] = np.array(speech)
    machine = amd.new_state(CHANNELS)
    for slot in range(CHANNELS):
        amd.start(machine, slot)
    fixed = (np.arange(BLOCKS)[:, None] // (7 + np.arange(CHANNELS)) % 2 * 2).astype(np.uint8)
    turn = iter(fixed)
    found["amd.events"] = events(by_blocks(x, lambda block: amd.detect(machine, block, next(turn))))
    concealing, lost = plc.new_state(CHANNELS), iter(rng.random((BLOCKS, CHANNELS)) < 0.1)
    found["plc.made"] = changed(x, lambda block: plc.conceal(concealing, block, next(lost).astype(np.uint8)))
    found["wsola.made"] = np.concatenate([np.asarray(wsola.stretch(x[channel], 1.3)).reshape(-1) for channel in (9, 10)])
    reducing, levelling = noise.new_state(CHANNELS), level.new_state(CHANNELS)
    found["noise.made"] = changed(x, lambda block: noise.reduce(reducing, block))
    turn = iter(fixed)
    found["level.made"] = changed(x, lambda block: level.control(levelling, block, next(turn)))
    for name, partitions in (("64", echo.TAIL_64_MS), ("128", echo.TAIL_128_MS)):
        cancelling = echo.new_state(CHANNELS, partitions)
        near, far = np.roll(x, 60, 1) // 3, iter(by_blocks(x, np.copy))
        found[f"echo.made{name}"] = changed(near, lambda block: echo.cancel(cancelling, range(CHANNELS), next(far), block, np.full(CHANNELS, echo.NLP_OFF, np.uint8),
                                                                            partitions=partitions))
    return found


def compare(here, there):
    """See the module docstring.  A file that lacks an array of the other is an error."""
    a, b = np.load(here), np.load(there)
    if set(a.files) != set(b.files):
        raise ValueError(f"every_kernel: {sorted(set(a.files) ^ set(b.files))} are in one of {here} and {there} only")
    rows_ = {}
    for name in a.files:
        kernel = name.partition(".")[0]
        one, other = a[name], b[name]
        if not one.size:
            raise ValueError(f"every_kernel: {name} is empty: nothing would be compared; give the kernel something that it tells of")
        if one.shape != other.shape:
            difference = np.inf
        elif kernel in FLOAT:
            difference = np.sqrt(np.mean((one.astype(float) - other) ** 2) / (np.mean(one.astype(float) ** 2) + 1e-9))
        else:
            difference = float(np.mean(one != other))
        count, worst = rows_.get(kernel, (0, 0.0))
        rows_[kernel] = (count + 1, max(worst, float(difference)))
    return [(kernel, count, worst, FLOAT.get(kernel, MOST_DECISIONS.get(kernel, 0))) for kernel, (count, worst) in rows_.items()]


if __name__ == "__main__":
    np.savez(sys.argv[1], **outputs())
