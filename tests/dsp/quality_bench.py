"""How well the voice functions do their work, beside others in the same run: rows of `make bench`, on the material of tests/dsp.

    results() -> rows as dsp/bench.py has them
    python -m tests.dsp.quality_bench

  echo   least ERLE over the eight models of G.168 Annex D, ERL 10 dB, processor off, at 1 s and at 5 s, 64 ms and 128 ms; the reference is issue 3's aim
  noise  how much less noise is left in pauses, at 10 dB; STOI (pystoi) of what comes out, the reference that of what went in; speexdsp and WebRTC beside
  vad    hits and false alarms per 10 ms over white, car and babble noise at 5, 10 and 20 dB (labels and noises are made: tests/dsp/noises.py)
  amd    persons and machines told as such (synthetic calls: tests/dsp/answers.py), our decision fed by each detector of speech
All noise and all answers are synthetic.
"""

import ctypes
import json
import shutil

import numpy as np

from dsp import amd, bench_enhance, echo, noise, vad
from tests.corpus import FOLDER
from tests.dsp import answers, noises
from tests.dsp.cancelling import Line
from tests.dsp.conftest import corpus_speech
from tests.dsp.line import active_speech, at_level, css, erle, models, path
from tests.dsp.test_noise import mixtures, pauses, run
from tests.dsp.test_vad import labelled, ours, rates, samples, speexdsp, webrtc

AIMS = {"speech": (20, 30), "css": (25, 33)}          # issue 3: dB at 1 s and 5 s
TAILS = (("echo_64ms", echo.TAIL_64_MS, 200), ("echo_128ms", echo.TAIL_128_MS, 880))     # samples to the hybrid


def row(name, value, unit, reference=None, reference_value=None, note=""):
    return {"name": "dsp." + name, "value": value, "unit": unit, "reference": reference, "reference_value": reference_value,
            "ratio": value / reference_value if value is not None and reference_value else None, "note": note}


def talkers(speech):
    """Speech of 5.6 s, loud at 1 s and at 5 s, from its first word on."""
    found = [(name, active_speech(x)) for name, x in speech]
    return {name: x[:44800] for name, x in found if len(x) > 44800 and np.sqrt(np.mean(x[40000:44000] ** 2)) > 0.3
            and np.sqrt(np.mean(x[8000:12000] ** 2)) > 0.3}


def echoes(speech):
    """Least ERLE over models and talkers."""
    rows = []
    for name, partitions, delay in TAILS:
        paths = [path(model, 10, delay) for model in models(FOLDER).values()]
        for kind, signals in (("speech", talkers(speech).values()), ("css", [css(5.6)])):
            least = [[], []]
            for x in signals:
                returned, _, out = Line(paths, partitions).run(at_level(x, -15), flags=echo.NLP_OFF)
                for at, seconds in enumerate((1.0, 5.0)):
                    least[at].append(min(erle(returned[i], out[i], seconds) for i in range(len(paths))))
            rows += [row(f"{name}.erle_{kind}_{seconds}s_db", min(least[at]), "dB, least of 8 models and %d signals" % len(least[at]), "aim of issue 3", AIMS[kind][at])
                     for at, seconds in enumerate((1, 5))]
    return rows


def speex_denoised(x):
    library = ctypes.CDLL("libspeexdsp.so.1")
    library.speex_preprocess_state_init.restype = ctypes.c_void_p
    state, y = ctypes.c_void_p(library.speex_preprocess_state_init(160, 8000)), samples(x)
    for at in range(0, len(y) // 160 * 160, 160):
        library.speex_preprocess_run(state, ctypes.c_void_p(y.ctypes.data + 2 * at))
    return y


def webrtc_denoised(x):
    library = bench_enhance.webrtc_library()
    if library is None:
        return None
    state, y = ctypes.c_void_p(library.apm_new(1, 0, 0)), samples(x)
    library.apm_run(state, ctypes.c_void_p(y.ctypes.data), len(y))
    return y


def best_delay(x, y):
    """Samples that y is late, 0 to 400."""
    middle = slice(len(x) // 4, len(x) // 2)
    return max(range(0, 400, 4), key=lambda late: np.dot(x[middle], y[middle.start + late:middle.stop + late].astype(float)))


def noises_reduced(speech):
    """White, car and babble at 10 dB: noise left in pauses and intelligibility, ours and others'."""
    import pystoi
    names = {"vm-options.wav", "conf-adminmenu-18.wav"}
    voices = [noises.at_dbm0(np.concatenate([np.full(12000, 8), x, np.full(6000, 8)])[:240000], -20) for name, x in speech if name in names][:2]
    makers = {"ours": lambda x: run(x[None])[0], "speexdsp": speex_denoised, "webrtc": webrtc_denoised}
    found = {}
    for kind, x, mixed, z in mixtures(voices, speech, 10):
        off = pauses(x)
        found.setdefault((kind, "input"), []).append((0.0, pystoi.stoi(x, mixed, 8000)))
        for name, work in makers.items():
            y = work(mixed)
            if y is None:
                continue
            late = noise.DELAY_SAMPLES if name == "ours" else best_delay(x, y)
            left = noises.energies(y[late:].astype(float))
            quiet = off[:len(left)]
            found.setdefault((kind, name), []).append((10 * np.log10(noises.energies(z)[:len(left)][quiet].mean() / left[quiet].mean()),
                                                       pystoi.stoi(x[:len(x) - late], y[late:].astype(float), 8000)))
    rows = []
    for kind in ("white", "car", "babble"):
        mean = {name: np.mean(found[kind, name], 0) for name in ("input", *makers) if (kind, name) in found}
        for name in list(mean)[1:]:
            tail = "" if name == "ours" else "_" + name
            rows.append(row(f"noise.{kind}_10db.reduction{tail}_db", mean[name][0], "dB in pauses", "aim of issue 3" if kind != "babble" and not tail else None,
                            12 if kind != "babble" and not tail else None))
            rows.append(row(f"noise.{kind}_10db.stoi{tail}", mean[name][1], "STOI", "of what went in", mean["input"][1]))
    rows.append(row("noise.delay_ms", noise.DELAY_SAMPLES / 8, "ms"))
    return rows


DETECTORS = (("", lambda x: ours(x[None])[0]), ("_speexdsp", speexdsp), ("_webrtc2", lambda x: webrtc(x, 2)), ("_webrtc3", lambda x: webrtc(x, 3)))


def detectors_of_speech(speech):
    mixed, found = labelled(speech), {}
    for name, decide in DETECTORS:
        found[name] = rates(mixed, decide)
    others = {"_speexdsp": "speexdsp", "_webrtc2": "WebRTC, mode 2", "_webrtc3": "WebRTC, mode 3"}
    rows = []
    for at, what in enumerate(("hits", "false_alarms")):
        rows += [row(f"vad.{what}{name}", float(found[""][at]), "of labelled blocks", other, float(found[name][at]), found[name][2])
                 for name, other in others.items()]
    return rows


def answered(x, speech):
    """What amd decides of a call, fed with these decisions."""
    state, said = amd.new_state(1), np.zeros(1, np.uint8)
    amd.start(state, 0)
    for i in range(min(len(x) // 80, len(speech))):
        said[0] = vad.SPEECH if speech[i] else vad.NONE
        for event in amd.detect(state, np.ascontiguousarray(x[None, 80 * i:80 * i + 80]), said):
            if event["kind"] not in (amd.BEEP, amd.BEEP_END):
                return int(event["kind"])
    return amd.UNSURE


def answering_machines():
    if not shutil.which("espeak-ng"):
        return [row("amd.persons", None, "not run: espeak-ng is not installed")]
    calls, right = answers.calls(), {}
    for name, decide in DETECTORS:
        told = [(is_machine, answered(x, decide(x))) for is_machine, x, _ in calls]
        right[name] = [np.mean([kind == (amd.MACHINE if machine else amd.PERSON) for machine, kind in told if machine == wanted]) for wanted in (False, True)]
    rows = []
    for at, what in enumerate(("persons", "machines")):
        rows += [row(f"amd.{what}{name}", float(right[""][at]), "of those told as such", f"the same decision, fed by {name[1:]}", float(right[name][at]),
                     f"{len(calls)} synthetic calls") for name, _ in DETECTORS[1:]]
    return rows


def results():
    """Measure everything; see the module docstring."""
    speech = corpus_speech(FOLDER)
    return echoes(speech) + noises_reduced(speech) + detectors_of_speech(speech) + answering_machines()


if __name__ == "__main__":
    print(json.dumps(results(), indent=1))
