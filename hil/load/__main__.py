"""`make load`: full trunk load on the emulated board, with faults in its middle, and an audit with the far ends.

    python -m hil.load [--seconds 600] [--rate 40] [--spans 32,24,8] [--faults all|none|NAME,...] [--out DIR]

Far ends are processes of their own (libpri, libss7, libopenr2); every call is proved by its own tone at both ends.
Set-up delay is measured at the far ends: from the moment at which the calling exchange hands its last address signal to the line
until the called one has the set-up, so both lines' transmission (20 ms of the board's window, 6 ms of a SETUP) is in it.
Cores of signalling: processor time of control and of media's layer 2 thread.  Exit code 0 only if every check held; a call that fails ends
nothing, it is in the report with what disturbed its time.  load.json is written anew each SAMPLE_S, so a run that is cut leaves its figures.
"""

import argparse
import collections
import json
import pathlib
import sys
import time

from hil import scratch
from hil.load import faults
from hil.load.rig import LoadRig
from hil.rig import CHECKOUT

SECONDS, RATE = 600, 40.0   # how long, and calls a second
FILL_S = 6.0                # beyond the time that filling takes at the rate
SAMPLE_S = 10.0
SETTLED_S = 4.0


def quantile(values, share):
    """Of a list; None of an empty one."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def audit(rig):
    """Circuits that the box and the far ends see differently, while nothing is set up or cleared: [(span, timeslot, ours, theirs)]."""
    state = rig.state()
    ours = {(span["span"], slot["timeslot"]) for span in state["spans"] for slot in span["timeslots"] if slot["state"] == "busy"}
    theirs = {place for some in rig.ends.values() for end in some for place in end.taken()}
    return sorted((*place, place in ours, place in theirs) for place in ours ^ theirs)


class Load:
    """One run on a prepared LoadRig."""

    def __init__(self, rig, seconds, rate, calls=None, wanted=(), say=print):
        self.rig, self.seconds, self.rate, self.calls, self.wanted, self.say = rig, seconds, rate, calls, wanted, say
        self.checks, self.rows, self.faults = [], [], []
        self.figures, self.failures, self.different, self.stuck = {}, [], [], []
        self._seen = {}             # {kind: set-ups that a row has told of}
        self.on_row = lambda: None

    def check(self, name, ok, value, unit=""):
        self.checks.append({"name": name, "ok": bool(ok), "value": value, "unit": unit})

    def run(self):
        driver = self.driver = self.rig.traffic(self.calls, self.rate)
        time.sleep(driver.most / self.rate + FILL_S)
        driver.clear_statistics()
        before, began = self.rig.processors(), time.monotonic()
        self.busy = []
        while time.monotonic() - began < self.seconds:
            time.sleep(min(SAMPLE_S, max(0.1, began + self.seconds - time.monotonic())))
            self.busy.append(2 * len(driver.live))
            row = {"at_s": round(time.monotonic() - began), "placed": driver.placed, "up": len(driver.live), "completed": driver.completed,
                   "failed": driver.outcomes["failed"], **self._sample(driver)}
            self.rows.append(row)
            self.say("%(at_s)5d s: %(placed)d placed, %(up)d up, %(completed)d completed, %(failed)d failed; set-up p95 %(set_up_p95_ms)s ms, the host stood still %(host_stalls)d times" % row)
            self.failures = list(driver.failures)
            self._figures(driver, before)
            self.on_row()
        self.check("calls set up and cleared", driver.completed > 0, driver.completed)
        self.check("calls that failed, were cut short or heard another tone", not driver.failures, len(driver.failures))
        self.failures = list(driver.failures)
        for name in self.wanted:
            self.fault(name)
            self.on_row()
        self.at_rest()
        self.at_the_end()
        return self.checks

    def _sample(self, driver):
        """The set-up delay of the last SAMPLE_S beside what disturbed it: on a shared host both change together."""
        fresh, stalls = [], self.rig.disturbed().get("host_stalls", 0)
        for kind, some in list(driver.set_ups_ms.items()):
            fresh += some[self._seen.get(kind, 0):]
            self._seen[kind] = len(some)
        stalls, self._seen["stalls"] = stalls - self._seen.get("stalls", 0), stalls
        p95 = quantile(fresh, 0.95)
        return {"set_up_p95_ms": None if p95 is None else round(p95, 1), "host_stalls": stalls}

    def _figures(self, driver, before):
        """Of what has been so far."""
        set_ups, first_blocks = {kind: list(some) for kind, some in list(driver.set_ups_ms.items())}, collections.Counter(dict(driver.first_blocks))     # it goes on
        self.after = self.rig.processors()
        self.cores = {name: (self.after[name] - before[name]) / (self.after["at"] - before["at"]) for name in before if name != "at"}
        self.figures = {"calls": driver.placed, "failures": driver.outcomes["failed"], "rate": driver.placed / (self.after["at"] - before["at"]),
                        "cores": self.cores["control"] + self.cores["layer2"], "busy": sum(self.busy) / max(1, len(self.busy)),
                        "set_up_p95_ms": quantile([ms for some in set_ups.values() for ms in some], 0.95),
                        "set_up_p95_ms_by_kind": {kind: quantile(some, 0.95) for kind, some in set_ups.items()},
                        "set_up_p50_ms": quantile([ms for some in set_ups.values() for ms in some], 0.5),
                        "tone_after_answer_p95_ms": 10 * (quantile(list(first_blocks.elements()), 0.95) or 0),
                        "glares": driver.glares, "processors": {name: round(value, 3) for name, value in self.cores.items()},
                        "disturbed": self.rig.disturbed()}

    def fault(self, name):
        """One fault under load: what dies, and whether it must."""
        driver = self.driver
        driver.clear_statistics()
        time.sleep(1.0)
        answered = [call for call in list(driver.live.values()) if not faults.in_motion(call)]
        rule = []
        driver.excuse(lambda call: not rule or rule[0](call))       # until begin() has returned
        rule.append(faults.FAULTS[name](self.rig))
        until = time.monotonic() + faults.CUT_S
        while time.monotonic() < until:     # what it hits now may fail of it later: a tone that began late is judged at the clearing
            for call in list(driver.live.values()):
                call.excused = call.excused or rule[0](call)
            time.sleep(0.05)
        time.sleep(faults.SETTLE_S)
        spared = [call for call in answered if not rule[0](call)]
        lost = [call for call in spared if call.failure is not None]
        failed, died = driver.outcomes["failed"], driver.outcomes["died with the fault"]
        self.faults.append({"fault": name, "answered_before": len(answered), "died_with_it": died, "failed_beside": failed,
                            "longest_turn_ms": self.rig.product.get("/health")["turns"]["longest_ms"], "first": list(driver.failures)[:10]})
        self.say("fault: %s: %d calls stood, %d died with it, %d failed beside" % (name, len(answered), died, failed))
        self.check("fault: %s: calls lost that must not be" % name, not lost and not failed, max(len(lost), failed))
        driver.end_excuse()
        driver.clear_statistics()
        time.sleep(10.0)
        self.check("after it: calls that failed within 10 s", not driver.failures, len(driver.failures))
        self.failures += list(driver.failures)

    def at_rest(self):
        """Nothing is placed or cleared for a moment: both ends must see the same circuits taken."""
        self.driver.hold(True)
        time.sleep(SETTLED_S + (25 if self.rig.r2_spans else 5))
        different = audit(self.rig)
        self.check("circuits that box and far ends see differently with %d calls up" % len(self.driver.live), not different, len(different))
        self.different = different
        self.driver.hold(False)

    def at_the_end(self):
        drained = self.driver.drain(120)
        self.check("all calls drained", drained, len(self.driver.live), "left")
        time.sleep(SETTLED_S)
        deadline = time.monotonic() + 60
        while (stuck := audit(self.rig)) and time.monotonic() < deadline:
            time.sleep(1.0)
        busy = [(span["span"], slot["timeslot"]) for span in self.rig.state()["spans"] for slot in span["timeslots"] if slot["state"] == "busy"]
        self.stuck = stuck + [(*place, True, None) for place in busy]
        self.check("stuck timeslots at the end", not stuck and not busy, len(self.stuck))
        self.check("exceptions in turns", not self.rig.product.get("/health")["turns"]["exceptions"], self.rig.product.get("/health")["turns"]["exceptions"])


def results():
    """Rows for make bench: the load, without the faults of `make load`."""
    with scratch.folder("load-") as folder, LoadRig(folder) as rig:
        load = Load(rig.prepare(), SECONDS, RATE, say=lambda text: None)
        load.run()
        found = load.figures
    aim = "aim of the issue: 40 calls/s, 95 % of 1,920 circuits"
    return [{"name": "trunk.load.calls", "value": found["calls"], "unit": "calls in %d s" % SECONDS, "reference": aim, "reference_value": RATE * SECONDS, "ratio": found["calls"] / (RATE * SECONDS)},
            {"name": "trunk.load.failures", "value": found["failures"], "unit": "calls", "reference": aim, "reference_value": 0.0},
            {"name": "trunk.load.circuits_busy", "value": found["busy"], "unit": "circuits", "reference": aim, "reference_value": 1824.0, "ratio": found["busy"] / 1824},
            {"name": "trunk.load.cores", "value": found["cores"], "unit": "cores", "reference": aim, "reference_value": 0.5, "ratio": found["cores"] / 0.5},
            {"name": "trunk.load.setup_p95_ms", "value": found["set_up_p95_ms"], "unit": "ms", "reference": "Q.543 at the far ends, lines included; aim",
             "reference_value": 100.0, "ratio": found["set_up_p95_ms"] / 100}]


def main(given=None):
    parser = argparse.ArgumentParser(prog="make load", description="Full trunk load, faults, and an audit with the far ends.")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--calls", type=int, help="how many calls are up (default: 95 %% of the circuits)")
    parser.add_argument("--spans", default="32,24,8", help="of PRI, SS7 and R2")
    parser.add_argument("--faults", default="all", help="all, none, or names: " + ", ".join(faults.FAULTS))
    parser.add_argument("--out", type=pathlib.Path, default=CHECKOUT / "build" / "load")
    options = parser.parse_args(given)
    wanted = {"all": list(faults.FAULTS), "none": []}.get(options.faults, options.faults.split(","))
    if set(wanted) - set(faults.FAULTS):
        parser.error("there is no fault %s; known are %s" % (", ".join(set(wanted) - set(faults.FAULTS)), ", ".join(faults.FAULTS)))
    options.out.mkdir(parents=True, exist_ok=True)
    with scratch.folder("load-") as folder, LoadRig(folder, *map(int, options.spans.split(","))) as rig:
        load = Load(rig.prepare(), options.seconds, options.rate, options.calls, wanted, lambda text: print(text, flush=True))

        def write(ended=False):
            notes = collections.Counter(note[:80] for note in load.driver.notes).most_common(20)
            report = {"ok": ended and all(check["ok"] for check in load.checks), "ended": ended, "figures": load.figures, "checks": load.checks, "faults": load.faults,
                      "failures": load.failures[:300], "different": load.different[:100], "stuck": load.stuck[:100], "notes": notes, "rows": load.rows}
            (options.out / "load.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
            return report
        load.on_row = write
        checks = load.run()
        for name in ("media", "control"):
            log = rig.data_dir / "log" / f"{name}.log"
            if log.exists():
                (options.out / log.name).write_bytes(log.read_bytes())
        report = write(True)
    print(json.dumps(load.figures))
    for check in checks:
        print(f"  {'ok  ' if check['ok'] else 'FAIL'}  {check['name']}: {check['value']} {check['unit']}".rstrip())
    for failure in load.failures[:10]:
        print("        " + failure)
    print(f"The report is {options.out}/load.json.")
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
