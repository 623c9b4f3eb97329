"""`make storm`: 64 spans flap together once a second, then all of them slip ten times a second; what that costs and leaves behind.

    python -m hil.storm [--seconds 600] [--together] [--out build/storm]

The lines are sent straight back by a process of its own, so that each is in frame with itself.  Checked: processor time of
control and media, ticks, how many alarms were raised and told, that the pages answer meanwhile, and that all spans are back
afterwards.  Writes storm.json.  Exit code 0 only if every check held.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

from hil import scratch
from hil.board.bench import ask, echo
from hil.line import LineClient
from hil.rig import CHECKOUT, Rig, die_with_us
from hil.soak import process_row

SPANS = 64
SLIPS_PPM = 1250                # ten slips a second
FLAP_S = 1.0
CLEAR_S = 120                   # alarms of the line clear after 10 s: alarm_table.py
CORES_MOST = 0.5                # of control, while 64 spans flap: invented
ALARMS_MOST = 40                # raised in a storm of any length: an alarm of 64 members and its end, flapping, slips; not 64 a second
ANSWER_S = 5.0


def be_punctual():
    """The lines' world does not wait for other processes: a fault that is ended late would be another fault."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(42))
    except OSError:
        pass


def echo_lines(run_dir):
    """The process that sends all lines back, until it is ended."""
    lines = [LineClient(os.path.join(run_dir, "lines", "%d.sock" % span)) for span in range(1, SPANS + 1)]
    be_punctual()
    print("ready", flush=True)
    echo([line.socket for line in lines], float("inf"))


class Storm:
    """rig: a started Rig."""

    def __init__(self, rig, seconds):
        self.rig, self.seconds, self.checks, self.phases = rig, seconds, [], {}

    def configure(self):
        """64 spans without signalling."""
        running = self.rig.product.get("/configuration")
        data = running["configuration"]
        template = data["spans"][0]
        data["spans"] = [{**template, "span": span, "signalling": "none", "crc4": False} for span in range(1, SPANS + 1)]
        self.rig.product.post("/configuration/apply", running)

    def inject(self, fault, **more):
        """The same on all lines."""
        for span in range(1, SPANS + 1):
            answer = ask(str(self.rig.run_dir), {"do": "inject", "span": span, "fault": fault, **more})
            assert answer["ok"], answer

    def up(self):
        """How many spans carry calls, of those that are watched; that they slipped in the last ten minutes is a minor alarm.

        severely_errored_seconds tells of the quarter of an hour, of spans that carry calls, and stands until a quarter was good (M.2120)."""
        watched = len(self.rig.product.get("/performance")["spans"])
        return watched - len({member for alarm in self.rig.product.get("/alarms")["alarms"] if alarm["cleared_ms"] is None and alarm["severity"] in ("critical", "major")
                              and alarm["kind"] != "severely_errored_seconds"
                              for member in alarm["members"] if member.startswith("span ")})

    def wait_up(self, timeout_s):
        """Until all are back, or the time is over."""
        deadline = time.monotonic() + timeout_s
        while self.up() < SPANS and time.monotonic() < deadline:
            time.sleep(0.5)

    def board_s(self):
        """Seconds of the emulated board's own time, which stands still while the host does."""
        return ask(str(self.rig.run_dir), {"do": "status", "span": 1})["board"]["ticks"] / 100

    def figures(self):
        pids = self.rig.pids()
        tick = self.rig.product.get("/media")["tick"]
        pids = {**pids, "board": self.rig.board.pid}
        return {"cpu_s": {name: process_row(pids[name])["cpu_s"] for name in ("control", "media", "web", "board")}, "at": time.monotonic(),
                "late": tick["late_ticks"] - tick["late_ticks_by_host"],
                "newest": max([alarm["id"] for alarm in self.rig.product.get("/alarms/history?limit=1")["alarms"]], default=0)}

    def phase(self, name, begin, each, end):
        """One storm: begin(), each() once a second, end(); then what it took."""
        before, slowest = self.figures(), 0.0
        begin()
        until = time.monotonic() + self.seconds
        told = 0
        while time.monotonic() < until:
            each()
            asked = time.monotonic()
            self.rig.product.get("/health")
            slowest = max(slowest, time.monotonic() - asked)
            if time.monotonic() - told > 30:
                told = time.monotonic()
                print("  %s: %.0f s to go, %d of %d spans up" % (name, until - told, self.up(), SPANS), file=sys.stderr, flush=True)
        end()
        after = self.figures()
        took = after["at"] - before["at"]
        cores = {process: (after["cpu_s"][process] - before["cpu_s"][process]) / took for process in after["cpu_s"]}
        began = self.board_s()
        self.wait_up(CLEAR_S)
        back_s = self.board_s() - began
        alarms = [alarm for alarm in self.rig.product.get("/alarms/history?limit=500")["alarms"] if alarm["id"] > before["newest"]]
        self.phases[name] = {"seconds": took, "cores": cores, "slowest_answer_s": slowest, "late_ticks": after["late"] - before["late"], "back_s": back_s,
                             "alarms": [{"kind": alarm["kind"], "members": len(alarm["members"])} for alarm in alarms]}
        self.check("%s: control, cores" % name, cores["control"] <= CORES_MOST, round(cores["control"], 3))
        self.check("%s: media, cores" % name, True, round(cores["media"], 3))
        self.check("%s: board emulator, cores" % name, True, round(cores["board"], 3))
        self.check("%s: late ticks that the host did not cause" % name, after["late"] == before["late"], after["late"] - before["late"])
        self.check("%s: alarms raised" % name, 0 < len(alarms) <= ALARMS_MOST, len(alarms))
        self.check("%s: members of the largest" % name, max((len(alarm["members"]) for alarm in alarms), default=0) == SPANS,
                   max((len(alarm["members"]) for alarm in alarms), default=0))
        self.check("%s: slowest answer of the pages, s" % name, slowest <= ANSWER_S, round(slowest, 2))
        self.check("%s: spans back" % name, self.up() == SPANS, self.up())
        self.check("%s: seconds of the board's time until all were" % name, back_s <= CLEAR_S, round(back_s, 1))

    def check(self, name, ok, value):
        self.checks.append({"name": name, "ok": bool(ok), "value": value})

    def flap(self):
        """Half a second without a signal."""
        began = time.monotonic()
        self.inject("rx_los")
        time.sleep(max(0.0, began + FLAP_S / 2 - time.monotonic()))
        self.inject("rx_los", on=False)
        time.sleep(max(0.0, began + FLAP_S - time.monotonic()))

    def run(self, together=False):
        """Both storms, one after the other or at once.  Returns the checks."""
        self.configure()
        self.wait_up(60)
        slip, even = lambda: self.inject("ppm", ppm=SLIPS_PPM), lambda: self.inject("ppm", on=False)
        if together:
            self.phase("flap and slips", slip, self.flap, even)
        else:
            self.phase("flap", lambda: None, self.flap, lambda: None)
            self.phase("slips", slip, lambda: time.sleep(1), even)
        return self.checks


def main(given=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="make storm", description="64 spans flap and slip together.")
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("STORM_S", "600")), help="of each storm")
    parser.add_argument("--out", type=pathlib.Path, default=CHECKOUT / "build" / "storm")
    parser.add_argument("--together", action="store_true", help="both at once, in half the time")
    parser.add_argument("--echo", help=argparse.SUPPRESS)
    options = parser.parse_args(given)
    if options.echo:
        return echo_lines(options.echo)
    options.out.mkdir(parents=True, exist_ok=True)
    with scratch.folder("storm-") as folder, Rig(folder) as rig:
        rig.start(exchange=False)
        lines = subprocess.Popen([sys.executable, "-m", "hil.storm", "--echo", str(rig.run_dir)], cwd=CHECKOUT, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, preexec_fn=die_with_us)
        try:
            lines.stdout.readline()
            be_punctual()
            storm = Storm(rig, options.seconds)
            checks = storm.run(options.together)
        finally:
            lines.terminate()
            lines.wait()
    ok = all(check["ok"] for check in checks)
    (options.out / "storm.json").write_text(json.dumps({"ok": ok, "checks": checks, "phases": storm.phases}, indent=1))
    for check in checks:
        print("  %s  %s: %s" % ("ok  " if check["ok"] else "FAIL", check["name"], check["value"]))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
