"""`make soak`: hours of calls through the whole house, and what that leaves behind.

    python -m hil.soak [--seconds N] [--calls-a-second X] [--kill-every N] [--out DIR] [--seed N]

A far exchange on four spans places calls (hil/soak_traffic.py) to twelve agents whose telephones answer by
themselves and hang up now and then.  With --kill-every, control and web are killed in turn.  Each SAMPLE_S a row is taken:
memory, descriptors, threads and processor time of each process, calls, ticks, sizes on the disk.
At the end all calls drain, and the checks of `verdicts` decide.  Writes soak.json and soak.svg.
Exit code 0 only if every check held.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time

from hil import scratch
from hil.phone.probe import ProbePhone
from hil.product import ProductError
from hil.rig import CHECKOUT, Rig, RigError
from hil.soak_picture import draw
from hil.soak_traffic import Traffic

SPANS = (1, 2, 3, 4)
AGENTS = 12
SAMPLE_S = 10
WARM_UP_S = 60              # what a process takes once: caches, pools, the first of everything
TALK_S, MOST = 8.0, 80
AGENT_ENDS = 0.25           # share of the conversations
EXCUSED_S = 8               # after a kill: the time to come back, and a caller's patience
PAGE = 500
PROCESSES = ("supervisor", "media", "control", "web")
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
# What a process may grow by after the warm-up, in a call: its list of calls is on the disk.  A leak of one leg object is more.
OCTETS_A_CALL = 1000
ALLOWED_MB = 8.0            # noise of allocators, whatever the number of calls


class Agents:
    """Telephones that answer by themselves; some hang up first."""

    def __init__(self, rig, names, seed):
        lines = {entry["name"]: entry["password"] for entry in rig.product.get("/configuration")["configuration"]["lines"]}
        self.random = random.Random(seed)
        self.phones = [ProbePhone(name, lines[name], rig.sip_port) for name in names]
        self._seen = [0] * len(names)
        self._due = {}

    def start(self):
        for phone in self.phones:
            phone.start(20)
        return self

    def act(self):
        """To be called about twice a second."""
        now = time.monotonic()
        for index, phone in enumerate(self.phones):
            answered = len(phone.events("answered"))
            if answered > self._seen[index]:
                self._seen[index] = answered
                if self.random.random() < AGENT_ENDS:
                    self._due[phone] = now + 1 + self.random.expovariate(1 / TALK_S)
                else:
                    self._due.pop(phone, None)
            if self._due.get(phone, now + 1) <= now:
                del self._due[phone]
                phone.hangup()

    def stop(self):
        for phone in self.phones:
            phone.stop()


def process_row(pid):
    """{"rss_mb", "descriptors", "threads", "cpu_s"} of a process; None when it is not there."""
    try:
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                      if ":\t" in line)
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return {"rss_mb": int(status["VmRSS"].split()[0]) / 1024, "threads": int(status["Threads"]),
                "descriptors": len(os.listdir(f"/proc/{pid}/fd")), "cpu_s": (int(fields[11]) + int(fields[12])) / CLOCK_TICKS}
    except (OSError, KeyError):
        return None


def size_mb(folder, pattern):
    """Of the files below a folder; those that go meanwhile count nothing."""
    total = 0
    for path in folder.glob(pattern):
        try:
            total += path.stat().st_size
        except OSError:
            pass
    return total / 1e6


class Soak:
    """One run.  rig: a started Rig."""

    def __init__(self, rig, options):
        self.rig, self.options = rig, options
        self.rows, self.kills = [], []
        self.ended = threading.Event()
        self.began = time.monotonic()

    def configure(self):
        """More spans, lines and agents than the demonstration has."""
        running = self.rig.product.get("/configuration")
        data = running["configuration"]
        for span in SPANS[2:]:
            data["spans"].append({"span": span, "crc4": False, "trunk_group": "carrier"})
        template = data["agents"][0]
        names = [f"2{n:03d}" for n in range(1, AGENTS + 1)]
        data["lines"] += [{"name": name, "password": f"soak-{name}-{os.urandom(6).hex()}"} for name in names]
        data["agents"] = [{**template, "name": name, "label": f"Agent {name}", "line": name, "wrap_up_s": 1} for name in names]
        self.rig.product.post("/configuration/apply", running)
        return names

    def sample(self):
        """One row; media's figures are left out while control is away."""
        row = {"at_s": round(time.monotonic() - self.began, 1), "processes": {}, "calls": len(self.traffic.live),
               "placed": self.traffic.placed, "database_mb": size_mb(self.rig.data_dir, "strowger.db"), "wal_mb": size_mb(self.rig.data_dir, "strowger.db-wal"),
               "log_mb": size_mb(self.rig.data_dir, "log/*"), "recordings_mb": size_mb(self.rig.data_dir, "recordings/**/*.wav")}
        pids = self.rig.pids()
        for name in PROCESSES:
            row["processes"][name] = process_row(pids[name]) if name in pids else None
        try:
            figures = self.rig.product.get("/media")
            row["tick"] = {name: figures["tick"][name] for name in ("ticks", "late_ticks", "late_ticks_by_host", "p999_ms")}
            turns = self.rig.product.get("/health")["turns"]
            row["turns"] = {name: turns[name] for name in ("count", "longest_ms", "exceptions")}
        except (ProductError, KeyError):
            pass
        self.rows.append(row)
        return row

    def kill(self):
        """Control and web in turn."""
        name = ("control", "web")[len(self.kills) % 2]
        if name == "control":
            self.traffic.excuse(EXCUSED_S)
        self.kills.append({"at_s": round(time.monotonic() - self.began, 1), "process": name})
        self.rig.kill(name)

    def run(self):
        options, rig = self.options, self.rig
        agents = Agents(rig, self.configure(), options.seed).start()
        for span in SPANS:
            rig.far.wait_for("link_up", 20, span=span)
        self.traffic = Traffic(rig.far, SPANS, options.calls_a_second, TALK_S, MOST, options.seed).start()
        self.began = time.monotonic()
        self.sample()
        due_sample, due_kill = SAMPLE_S, options.kill_every or float("inf")
        try:
            while (now := time.monotonic() - self.began) < options.seconds and not self.ended.wait(0.5):
                agents.act()
                if now >= due_sample:
                    due_sample += SAMPLE_S
                    row = self.sample()
                    print(f"{now:7.0f} s of {options.seconds}: {row['placed']} calls placed, {row['calls']} up, "
                          f"{len(self.traffic.failures)} failed; control {(row['processes']['control'] or {}).get('rss_mb', 0):.0f} MB",
                          flush=True)
                if now >= due_kill and now < options.seconds - 2 * EXCUSED_S:
                    due_kill += options.kill_every
                    self.kill()
            self.drained = self.traffic.drain(60)
            time.sleep(2)               # wrap-up ends, recordings are closed
            self.last = self.sample()
            return self.verdicts()
        finally:
            self.traffic.stop()
            agents.stop()

    # -- what must hold --

    def cdrs(self):
        """All CDRs, newest first."""
        found = []
        while True:
            page = self.rig.product.get(f"/calls?limit={PAGE}" + (f"&before={found[-1]['call']}" if found else ""))["calls"]
            found += page
            if len(page) < PAGE:
                return found

    def verdicts(self):
        """[{"name", "ok", "value", "unit"}]."""
        checks = []

        def check(name, ok, value, unit=""):
            checks.append({"name": name, "ok": bool(ok), "value": value, "unit": unit})

        traffic, rig = self.traffic, self.rig
        check("calls placed", traffic.placed > 0, traffic.placed)
        check("calls that did not go as their plan said", not traffic.failures, len(traffic.failures))
        check("all calls drained", self.drained, len(traffic.live), "left")
        try:
            rig.wait_idle(10)
            idle = True
        except RigError:
            idle = False
        check("no call and no timeslot is held at the end", idle, "")
        cdrs = self.cdrs()
        lost_by_kill = traffic.outcomes["cut by a kill"]
        check("a CDR for each call", traffic.placed - lost_by_kill <= len(cdrs) <= traffic.placed, len(cdrs))
        open_recordings, missing, short = 0, 0, 0
        answered = [cdr for cdr in cdrs if cdr.get("talk_ms")]
        for cdr in random.Random(1).sample(answered, min(100, len(answered))):
            recordings = rig.product.get(f"/calls/{cdr['call']}")["recordings"]
            open_recordings += sum(r["state"] == "recording" for r in recordings)
            missing += not recordings
            short += sum(r["duration_ms"] or 0 for r in recordings) < cdr["talk_ms"] - 1000
        check("of up to 100 answered calls: without a recording", not missing, missing)
        check("with a recording still open", not open_recordings, open_recordings)
        check("with a recording more than 1 s short", not short, short)
        self.growth(check)
        exceptions = max((row["turns"]["exceptions"] for row in self.rows if "turns" in row), default=0)
        check("exceptions caught in turns", exceptions == 0, exceptions)
        ours = [row["tick"]["late_ticks"] - row["tick"]["late_ticks_by_host"] for row in self.rows if "tick" in row]
        check("late ticks that the host did not cause", not ours or ours[-1] == 0, ours[-1] if ours else "no figures")
        if traffic.set_up_ms:
            ordered = sorted(traffic.set_up_ms)
            check("set-up to answer, median", True, round(ordered[len(ordered) // 2], 1), "ms")
            check("set-up to answer, 99 %", True, round(ordered[int(len(ordered) * 0.99)], 1), "ms")
        return checks

    def growth(self, check):
        """What each process has at the end, beside what it had after the warm-up.  A killed one began anew."""
        killed = {kill["process"]: kill["at_s"] for kill in self.kills}
        for name in PROCESSES:
            rows = [row for row in self.rows if row["at_s"] >= killed.get(name, 0) + WARM_UP_S and row["processes"].get(name)]
            if len(rows) < 2:
                continue
            first, last = rows[0], rows[-1]
            calls = last["placed"] - first["placed"]
            grown_mb = last["processes"][name]["rss_mb"] - first["processes"][name]["rss_mb"]
            check(f"{name}: memory grown", grown_mb <= ALLOWED_MB + calls * OCTETS_A_CALL / 1e6, round(grown_mb, 2),
                  f"MB in {calls} calls")
        for name in PROCESSES:
            begin, end = self.rows[0]["processes"].get(name), self.last["processes"].get(name)
            if begin and end and name not in killed:
                more = end["threads"] - begin["threads"]
                check(f"{name}: threads more than at the beginning", more <= 2, more)
                most = max(row["processes"][name]["descriptors"] for row in self.rows if row["processes"].get(name))
                check(f"{name}: descriptors at the end", end["descriptors"] <= begin["descriptors"] + 8, end["descriptors"],
                      f"at most {most}")


def arguments(given=None):
    parser = argparse.ArgumentParser(prog="make soak", description="Calls for hours, and what that leaves behind.")
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("SOAK_S", "1800")))
    parser.add_argument("--calls-a-second", type=float, default=1.0)
    parser.add_argument("--kill-every", type=int, default=300, help="seconds; 0: nothing is killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, default=CHECKOUT / "build" / "soak")
    return parser.parse_args(given)


def main(given=None):
    options = arguments(given)
    options.out.mkdir(parents=True, exist_ok=True)
    with scratch.folder("soak-") as folder, Rig(folder, spans=SPANS) as rig:
        rig.start(exchange=False)
        rig.start_exchange()
        soak = Soak(rig, options)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: soak.ended.set())
        checks = soak.run()
        for name in ("media", "control", "web"):
            log = rig.data_dir / "log" / f"{name}.log"
            if log.exists():
                (options.out / log.name).write_bytes(log.read_bytes())
    ok = all(check["ok"] for check in checks)
    report = {"ok": ok, "seconds": options.seconds, "seed": options.seed, "checks": checks, "kills": soak.kills,
              "outcomes": dict(soak.traffic.outcomes), "failures": soak.traffic.failures[:200], "rows": soak.rows}
    (options.out / "soak.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    draw(report, options.out / "soak.svg")
    for outcome, count in sorted(soak.traffic.outcomes.items()):
        print(f"  {count:6d}  {outcome}")
    for check in checks:
        print(f"  {'ok  ' if check['ok'] else 'FAIL'}  {check['name']}: {check['value']} {check['unit']}".rstrip())
    for failure in soak.traffic.failures[:20]:
        print(f"        {failure}")
    print(f"The report is {options.out}/soak.json, the picture soak.svg.")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
