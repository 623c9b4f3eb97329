"""Turn-up of many spans at once against libpri, some of them with faults that a seed chooses: `python -m hil.acceptance`.

Starts a house of its own, gives each span a fault or none, lets the command `strowger turn-up` test all spans beside one another
(own loop, PRBS, watch, a test call out over each span; and a call in over each span from the far exchange), writes the
acceptance reports in both languages as HTML and PDF, and compares what was said with what had been done.  The expectation is in
FAULTS; the turn-up knows nothing of it.  Prints one JSON object; exit code 1 where they differ."""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import time
import wave

import numpy

from hil import scratch
from hil.board.bench import ask
from hil.rig import CHECKOUT, Rig

NUMBER, OURS = "10000", "02150809999"
# fault: (board's faults, a key that must be among the findings that failed)
FAULTS = {"unplugged": ([{"fault": "unplug"}], "los_open"), "ais": ([{"fault": "rx_ais"}], "ais"), "one way": ([{"fault": "rx_rai"}], "rai_crc4"),
          "plug": ([{"fault": "plug"}], "looped_far"), "bit errors": ([{"fault": "rx_bits", "rate": 3e-6}], "errors_level_good"),
          "far clock": ([{"fault": "ppm", "ppm": 400}], "clock_follow"), "no frames": ([{"fault": "rx_lof"}], "lfa_e1"),
          "pairs exchanged": ([{"fault": "pairs"}], "los_pairs"), "receive pair broken": ([{"fault": "rx_open"}], "los_pairs"),
          "transmit pair broken": ([{"fault": "tx_open"}], "transmit_open"), "transmit pair shorted": ([{"fault": "tx_short"}], "transmit_short"),
          "long cable": ([{"fault": "cable", "rx_db": 19, "tx_db": 10}], "weak"), "too long a cable": ([{"fault": "cable", "rx_db": 26, "tx_db": 10}], "los_weak"),
          "receive pairs crossed": ([{"fault": "crossed"}], "pairs_crossed"),
          "coax on a 120 ohm socket": ([{"fault": "cable", "ohm": 75}], "errors_level_good"), "no CRC-4 there": ([], "crc4_far_off")}
NO_CALLS = ("los_open", "los_pairs", "los_weak", "ais", "lfa_e1", "rai_crc4", "looped_far", "transmit_open", "transmit_short", "pairs_crossed")
CROSSED = "receive pairs crossed"       # takes two spans, each of which must be named


def tone_file(path, hz=1004, dbm0=-10.0, seconds=10):
    """A test tone of the far end: A-law would do, 16 bits are simpler."""
    peak = 32768 * 10 ** ((dbm0 - 3.14) / 20)
    samples = numpy.rint(peak * numpy.sin(2 * numpy.pi * hz / 8000 * numpy.arange(seconds * 8000))).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
        file.writeframes(samples.tobytes())
    return path


def configure(product, spans):
    """The spans of the far exchange as PRI, and a test number of ours."""
    running = product.get("/configuration")
    made = running["configuration"]
    like = made["spans"][0]
    made["spans"] = [{**like, "span": span, "crc4": True} for span in spans]
    made["numbers"].append({"number": OURS, "label": "Test", "application": "test", "target": "milliwatt_1020"})
    made["turn_up"] = {**made.get("turn_up", {}), "number": NUMBER}
    product.post("/configuration/apply", running)


def prove(folder, out, count, seed, seconds=8, faulty=None, loop=True):
    """One run.  Returns {"seed", "faults", "said", "wrong", "seconds"}."""
    chance = random.Random(seed)
    spans = tuple(range(1, count + 1))
    wanted = {span: chance.choice(sorted(FAULTS)) for span in sorted(chance.sample(spans, count // 3 if faulty is None else faulty))}
    partners = {}
    for span in [span for span, fault in wanted.items() if fault == CROSSED]:
        partner = chance.choice([other for other in spans if other not in wanted])
        wanted[partner], partners[span] = CROSSED, partner
    out.mkdir(parents=True, exist_ok=True)
    with Rig(folder, spans=spans, crc4=[span for span in spans if wanted.get(span) != "no CRC-4 there"]) as rig:
        rig.start_board()
        rig.start_product()
        configure(rig.product, spans)
        rig.start_exchange()
        for span in spans:
            rig.far.wait_for("link_up", 60, span=span)
        rig.far.policy(incoming="answer", alerting_ms=100, answer_ms=400, repeat=True, play=str(tone_file(rig.folder / "far-tone.wav")))
        for span, fault in wanted.items():
            for row in FAULTS[fault][0]:
                if fault == CROSSED:
                    if span not in partners:
                        continue
                    row = {**row, "with": partners[span]}
                ask(str(rig.run_dir), {"do": "inject", "span": span, "on": True, **row})
        time.sleep(2)
        since = time.monotonic()
        words = ["turn-up", *map(str, spans), "--seconds", str(seconds), "--incoming", "30", "--json", *(["--loop"] if loop else [])]
        for language in ("en", "zh_CN"):
            if language == "zh_CN":
                words = ["turn-up", "show", "--json"]
            files = [part for kind in ("html", "pdf") for part in ("--" + kind, str(out / ("acceptance.%s.%s" % (language, kind))))]
            started = subprocess.Popen([sys.executable, "-m", "firmware.cli", "--run", str(rig.run_dir), *words, *files, "--language", language],
                                       stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)
            if language == "en":
                call_in(rig, [span for span in spans if FAULTS.get(wanted.get(span), (None, None))[1] not in NO_CALLS])
            told = started.communicate(timeout=600)[0]
            if started.returncode:
                raise RuntimeError("the command turn-up failed: %s" % told)
            run = json.loads(told)
        took = time.monotonic() - since
    (out / "run.json").write_text(json.dumps(run, indent=1, ensure_ascii=False))
    said = {report["span"]: [finding["key"] for finding in report["findings"] if finding["result"] == "fail"] for report in run["spans"]}
    wrong = {span: said[span] for span in spans
             if (FAULTS[wanted[span]][1] not in said[span] if span in wanted else said[span])}
    return {"seed": seed, "spans": count, "faults": wanted, "crossed": partners, "said": said, "wrong": wrong, "turn_up_s": round(took, 1)}


def call_in(rig, spans):
    """A call from outside to our test number over each span, once the watch has begun."""
    def stages():
        try:
            return {report["span"]: report["stage"] for report in rig.product.get("/turn_up")["spans"]}
        except Exception:
            return {}
    deadline = time.monotonic() + 120
    while not any(stage in ("watches", "calls", "waits for a call") for stage in stages().values()) and time.monotonic() < deadline:
        time.sleep(0.2)
    for span in spans:
        rig.far.call("in%d" % span, span=span, called=OURS, caller="13912345678", play=str(rig.folder / "far-tone.wav"), repeat=True)


def main():
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spans", type=int, default=16)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--out", type=pathlib.Path, default=CHECKOUT / "build" / "turn-up")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 31) if options.seed is None else options.seed
    with scratch.folder("turn-up-", memory=True) as folder:
        result = prove(pathlib.Path(folder), options.out, options.spans, seed, options.seconds)
    print(json.dumps(result, indent=1))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
