"""`make bench`: measure what there is; a table for people, build/bench.json for machines.

Each room that has something to measure has a module (MODULES; in dsp also every
bench_*.py) with results() -> list of
{"name", "value", "unit", "reference", "reference_value", "ratio"}.  References
are measured in the same run where they can be (the field says so): a row that
names another one ("of") is compared with that row's value.
"""

import argparse
import importlib
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODULES = ("dsp.bench", *(f"dsp.{path.stem}" for path in sorted((ROOT / "dsp").glob("bench_*.py"))),
           "tests.dsp.quality_bench", "firmware.media.bench", "firmware.media.bench_density", "firmware.media.bench_jitter", "firmware.media.bench_rtp", "tests.media.relay_bench", "hil.board.bench", "hil.line_bench", "tests.proto.sip_bench", "tests.control.acd_bench", "tests.control.ivr_bench", "firmware.storage.bench",
           "hil.sip_load", "hil.sip_load_more", "hil.sip_overload", "hil.impaired", "hil.load.takeover", "hil.load.__main__")
FIELDS = ("name", "value", "unit", "reference", "reference_value", "ratio")


def machine():
    """What was measured on."""
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())
    return {"processor": model, "cores": os.cpu_count(), "kernel": platform.release(),
            "python": platform.python_version()}


def commit():
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    dirty = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return done.stdout.strip() + ("+changes" if dirty else "")


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def compare(rows):
    """Rows that name another one: its value is their reference where it was measured in this run."""
    values = {row["name"]: row["value"] for row in rows}
    for row in rows:
        other = values.get(row.get("of"))
        if other and row["value"] is not None:
            row.update(reference=row["of"] + ", in this run", reference_value=other, ratio=round(row["value"] / other, 3))
    return [{field: row.get(field) for field in FIELDS} for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="*", help="measure only the modules whose name contains one of these")
    parser.add_argument("--output", default=str(ROOT / "build/bench.json"))
    options = parser.parse_args()
    results, failed = [], []
    for name in MODULES:
        if options.only and not any(word in name for word in options.only):
            continue
        module = importlib.import_module(name)
        began = time.monotonic()
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        scheduling = os.sched_getscheduler(0), os.sched_getparam(0)
        try:
            rows = module.results()
        except Exception as error:      # the other figures are still worth having
            words = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
            failed.append((name, f"{type(error).__name__}: {words[-1]}"))      # of a traceback its last line
            print("  failed", file=sys.stderr, flush=True)
            continue
        finally:
            os.sched_setscheduler(0, *scheduling)       # what one module asked for is not the next one's
        results += rows
        print(f"  {len(rows)} figures in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    results = compare(results)
    output = pathlib.Path(options.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"machine": machine(), "commit": commit(), "results": results}, indent=1) + "\n")
    width = max([len(row["name"]) for row in results] + [4])
    print(f"{'name':{width}}  {'value':>12}  {'unit':14}  {'reference':>12}  {'ratio':>8}  what the reference is")
    for row in results:
        print(f"{row['name']:{width}}  {number(row['value']):>12}  {row['unit'] or '':14}  "
              f"{number(row['reference_value']):>12}  {number(row['ratio']):>8}  {row['reference'] or ''}")
    print("ratio: of ns the reference's to ours, of all else ours to the reference's")
    for name, why in failed:
        print(f"NOT MEASURED: {name}: {why}")
    print(f"\nwritten: {output}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
