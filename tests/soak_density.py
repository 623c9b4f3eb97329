"""`make soak SOAK=density`: an hour of full density in real time, minute by minute.

    python -m tests.soak_density [--seconds N] [--minute N] [--channels N] [--out DIR]

All channels that admission lets in do everything (firmware/media/bench_density_run.py) and stay.  Each minute has its figures; in its
beginning the recordings begin anew in new files and the old ones go, since an hour of 1,000 recordings is 58 GB.  What the functions have
done is proved of the last minute.  Writes soak-density.json and soak-density.svg; ends with 1 where a check failed.
"""

import argparse
import asyncio
import json
import os
import pathlib
import sys

from firmware.media import bench_density_run
from hil import scratch
from hil.soak_picture import picture

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
TICK_MS = 10
MEMORY_MB = 16                  # ours: what media may hold more at the end than after the first minute
FIGURES = ("p50_ms", "p99_ms", "p999_ms", "longest_ms")


class Soak(bench_density_run.Density):
    """A density run whose last step goes on.  minutes: a row for each."""

    def __init__(self, folder, options):
        super().__init__(folder, short=True, steps=(options.channels,))
        self.options, self.minutes, self.closed, self.round = options, [], set(), 0

    def event(self, event):
        super().event(event)
        if event["kind"] == "record_closed":
            self.closed.add(event["id"])

    async def measure(self, channels, seconds):
        if not self.last_step:
            return
        await asyncio.sleep(bench_density_run.SETTLE_S if self.options.seconds < bench_density_run.LEARNT_S else bench_density_run.LEARNT_S)
        for began in range(0, self.options.seconds, self.options.minute):
            self.digits.clear()
            taken = self.take(channels, min(self.options.minute, self.options.seconds - began))
            await asyncio.gather(taken, *([self.record_anew()] if began else []))
            self.minutes.append(self._row(began))
            print(told(self.minutes[-1]), flush=True)

    def file(self, n):
        return self.folder / f"{n}-{self.round}.wav"     # the same file again would be a command repeated

    async def record_anew(self):
        """What is recorded ends, its files go, and it is recorded on in new ones."""
        self.closed.clear()
        old = [self.file(n) for n in self.recorded]
        self.round += 1
        await self.call_all([("record_stop", {"id": f"w{n}"}) for n in self.recorded])
        while len(self.closed) < len(self.recorded):        # what is still on its way to the disk
            self.client.ack(self.last)
            await asyncio.sleep(0.1)
        for path in old:
            path.unlink()
        await self.record(self.recorded)

    def _row(self, began):
        point = self.points[-1]
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return {"at_s": began, "seconds": point["took_s"], "channels": point["channels"], "ticks": point["ticks"], "late": point["late"],
                "late_by_host": point["late_by_host"], "stolen_cores": point["stolen_cores"], "cores": point["cores"], "voice_cores": point["voice_cores"],
                "load_late": point["load"]["late"], "resident_mb": resident / 1024, **{name: point["tick"][name] for name in FIGURES}}


def told(row):
    """A row for people."""
    return (f"{row['at_s']:5d} s  {row['channels']} channels  {row['late']} of {row['ticks']} ticks late ({row['late_by_host']} by the host)  "
            f"p99.9 {row['p999_ms']:.2f} ms  longest {row['longest_ms']:.2f} ms  {row['cores']:.3f} cores  {row['resident_mb']:.0f} MB")


def verdicts(rows, proof):
    """[{"name", "value", "limit", "ok"}]: what must hold of an hour."""
    checks = []

    def check(name, value, limit, ok):
        checks.append({"name": name, "value": value, "limit": limit, "ok": bool(ok)})

    late, worst = sum(row["late"] for row in rows), max(row["p999_ms"] for row in rows)
    check("late ticks", late, 0, late == 0)
    check("p99.9 of the worst minute, ms", worst, 0.8 * TICK_MS, worst <= 0.8 * TICK_MS)
    more = rows[-1]["resident_mb"] - rows[0]["resident_mb"]
    check("resident memory more than after the first minute, MB", round(more, 1), MEMORY_MB, more <= MEMORY_MB)
    check("echo loss, dB", round(float(proof["echo_loss_db"][0]), 1), 30, proof["echo_loss_db"][0] >= 30)
    check("digits found, of those dialled", round(float(proof["digits_found"][0]), 3), 0.95, proof["digits_found"][0] >= 0.95)
    return checks


def panels(rows):
    """As hil/soak_picture.py takes them."""
    def of(name):
        return [(row["at_s"] + row["seconds"], row[name]) for row in rows]

    return [("Time of a tick", "ms", {"p99.9": of("p999_ms"), "p50": of("p50_ms")}), ("Late ticks in a minute", "", {"": of("late")}),
            ("Processor time of media", "cores", {"": of("cores")}), ("Resident memory of media", "MB", {"": of("resident_mb")})]


def arguments(given=None):
    parser = argparse.ArgumentParser(prog="make soak SOAK=density", description="An hour of full density, minute by minute.")
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("SOAK_S", "3600")))
    parser.add_argument("--minute", type=int, default=60, help="seconds that have a row")
    parser.add_argument("--channels", type=int, default=bench_density_run.STEPS[-1])
    parser.add_argument("--out", type=pathlib.Path, default=CHECKOUT / "build" / "soak")
    return parser.parse_args(given)


def main(given=None):
    options = arguments(given)
    options.out.mkdir(parents=True, exist_ok=True)
    with scratch.folder("soak-density-") as folder:
        run = Soak(folder, options)
        asyncio.run(run.run())
        proof = run.proof()
    checks = verdicts(run.minutes, proof)
    ok = all(check["ok"] for check in checks)
    report = {"ok": ok, "channels": run.minutes[-1]["channels"], "refusal": run.refusal, "checks": checks, "rows": run.minutes,
              "proof": {name: [float(value), unit, note] for name, (value, unit, note) in proof.items()}}
    (options.out / "soak-density.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    title = f"{report['channels']} channels that do everything, {options.seconds} s: {'every check held' if ok else 'NOT every check held'}"
    (options.out / "soak-density.svg").write_text(picture(title, panels(run.minutes), options.seconds), encoding="utf-8")
    for check in checks:
        print(f"  {'ok  ' if check['ok'] else 'FAIL'}  {check['name']}: {check['value']} (limit {check['limit']})")
    print(f"The report is {options.out}/soak-density.json, the picture soak-density.svg.")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
