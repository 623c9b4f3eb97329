"""What 64 spans cost and how soon a fault is known: `python -m hil.line_bench`.

A house of its own on the emulated board, all 64 lines sent straight back, no signalling, no calls.  Measured: processor time of the board's
emulator, media and control; how often control looks at all framers; from the loss of a signal at the connector to the state of the span and
to the alarm on the API; then what spans in packets cost media (CESoPSN, 31 timeslots, 1 ms, pairs of our own spans that send to each other).
"""

import json
import socket
import subprocess
import sys
import time

from hil import scratch
from hil.board.bench import ask
from hil.ports import free_port
from hil.rig import CHECKOUT, Rig, die_with_us
from hil.soak import process_row

SPANS, IDLE_S, PACKETS_S, APART_S = 64, 12.0, 10.0, 0.4
REGISTERS = 6                   # that a look at one E1 framer reads: drivers/framer/falc_e1.py, STATUS and EVENTS
COUNTERS = 8                    # octets that it reads each second besides
ALARM_MS, STATE_MS = 3000.0, 600.0      # G.7710 and T1.231: 2.5 s +- 0.5 s; ours: two looks that agree, and the way to the page
PSEUDOWIRES = 16


class LineBench:
    """rig: started, without a far exchange."""

    def __init__(self, rig):
        self.rig = rig

    def configure(self, spans, bearers=()):
        """64 spans without signalling; bearers: {span: row}."""
        running = self.rig.product.get("/configuration")
        data, bearers = running["configuration"], dict(bearers)
        template = {name: value for name, value in data["spans"][0].items() if name != "bearer"}
        data["spans"] = [{**template, "span": span, "signalling": "none", "crc4": False, **({"bearer": bearers[span]} if span in bearers else {})}
                         for span in range(1, spans + 1)]
        self.rig.product.post("/configuration/apply", running)

    def wait_up(self, spans):
        """Until all are watched and none has an alarm that stands, 90 s at most: alarms end ten seconds after what made them."""
        deadline = time.monotonic() + 90
        while len(self.rig.product.get("/performance")["spans"]) < spans or any(
                row["severity"] in ("critical", "major") and row["members"][0].startswith("span ") for row in self.rig.product.get("/alarms")["alarms"]):
            if time.monotonic() > deadline:
                raise RuntimeError("the spans did not come up: %s" % self.rig.product.get("/alarms")["alarms"])
            time.sleep(0.5)

    def processors(self):
        """Seconds of each process so far."""
        pids = {**self.rig.pids(), "board": self.rig.board.pid}
        return {name: process_row(pids[name])["cpu_s"] for name in ("media", "control", "board")}

    def cores(self, seconds):
        """({process: cores}, requests of registers a second)."""
        before, began, asked = self.processors(), time.monotonic(), self.status()["requests"]
        time.sleep(seconds)
        took = time.monotonic() - began
        return {name: (after - before[name]) / took for name, after in self.processors().items()}, (self.status()["requests"] - asked) / took

    def status(self):
        return ask(str(self.rig.run_dir), {"do": "status", "span": 1})["board"]

    def faults(self):
        """([ms from the loss of signal to the span's state], [ms to the alarm]), one of each span, APART_S apart."""
        broken, states, alarms, span = {}, {}, {}, 0
        deadline = time.monotonic() + SPANS * APART_S + 30
        due = time.monotonic()
        while len(alarms) < SPANS and time.monotonic() < deadline:
            if span < SPANS and time.monotonic() >= due:
                span, due = span + 1, due + APART_S
                ask(str(self.rig.run_dir), {"do": "inject", "span": span, "fault": "rx_los"})
                broken[span] = time.monotonic()
            if len(states) < len(broken):
                now = {int(span) for span, row in self.rig.product.get("/lines")["lines"].items() if row["level_db"] is None}
                at = time.monotonic()
                for one in now & set(broken) - set(states):
                    states[one] = 1000 * (at - broken[one])
            now = {int(member.split()[1]) for row in self.rig.product.get("/alarms")["alarms"] if row["kind"] == "los" for member in row["members"]}
            at = time.monotonic()
            for one in now & set(broken) - set(alarms):
                alarms[one] = 1000 * (at - broken[one])
            time.sleep(0.01)
        return list(states.values()), list(alarms.values())

    def packets(self, count):
        """(cores of media with so many spans in packets less what it takes without, us of a tick that it reserves for one)."""
        ports = []
        while len(set(ports)) < count:
            ports = [free_port(socket.SOCK_DGRAM) for _ in range(count)]
        base, _ = self.cores(PACKETS_S / 2)
        reserved = self.rig.product.get("/media")["admission"]["reserved_us"]
        first = SPANS - count + 1
        bearers = {first + n: {"kind": "cesopsn", "local": "127.0.0.1:%d" % ports[n], "remote": "127.0.0.1:%d" % ports[n ^ 1], "timeslots": "1-31",
                               "packet_ms": 1, "jitter_ms": 40} for n in range(count)}
        self.configure(SPANS, bearers)
        self.wait_up(SPANS)
        cores, _ = self.cores(PACKETS_S)
        return cores["media"] - base["media"], (self.rig.product.get("/media")["admission"]["reserved_us"] - reserved) / count


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def measure(pseudowires=PSEUDOWIRES):
    """All figures, a dict."""
    with scratch.folder("lines-", memory=True) as folder, Rig(folder) as rig:
        rig.start(exchange=False)
        lines = subprocess.Popen([sys.executable, "-m", "hil.storm", "--echo", str(rig.run_dir)], cwd=CHECKOUT, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, preexec_fn=die_with_us)
        try:
            lines.stdout.readline()
            bench = LineBench(rig)
            bench.configure(SPANS)
            bench.wait_up(SPANS)
            cores, requests = bench.cores(IDLE_S)
            states, alarms = bench.faults()
            for span in range(1, SPANS + 1):
                ask(str(rig.run_dir), {"do": "inject", "span": span, "fault": "rx_los", "on": False})
            bench.wait_up(SPANS)
            packets, reserved_us = bench.packets(pseudowires)
        finally:
            lines.terminate()
            lines.wait()
    return {"cores": cores, "polls": (requests - COUNTERS * SPANS) / (REGISTERS * SPANS), "state_ms": states, "alarm_ms": alarms,
            "packets_cores": packets, "reserved_us": reserved_us, "pseudowires": pseudowires}


def results():
    """For `make bench`."""
    found = measure()
    span_us = 1e6 * found["packets_cores"] / found["pseudowires"] / 100
    rows = [("line.emulator_cores", found["cores"]["board"], "cores, 64 spans", "own aim: well under half a core", 0.5),
            ("line.media_cores", found["cores"]["media"], "cores, 64 spans", None, None),
            ("line.control_cores", found["cores"]["control"], "cores, 64 spans", None, None),
            ("line.polls", found["polls"], "looks at 64 framers/s", "own aim: five a second", 5.0),
            ("line.state_p99_ms", quantile(found["state_ms"], 0.99), "ms, LOS to the line on the API", "two looks that agree: at most", STATE_MS),
            ("line.alarm_p99_ms", quantile(found["alarm_ms"], 0.99), "ms, LOS to alarm on the API", "G.7710: 2.5 +- 0.5 s, at most", ALARM_MS),
            ("line.pseudowire_us", span_us, "us a tick and CESoPSN span", "what admission reserves", found["reserved_us"])]
    return [{"name": name, "value": value, "unit": unit, "reference": reference, "reference_value": against,
             "ratio": round(value / against, 3) if against else None} for name, value, unit, reference, against in rows]


if __name__ == "__main__":
    print(json.dumps(results() if len(sys.argv) < 2 else measure(int(sys.argv[1])), indent=1))
