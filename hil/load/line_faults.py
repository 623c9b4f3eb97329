"""`make line-faults`: 64 PRI spans full of calls, each with its own tones both ways; then each kind of fault of a line on one span after another.

    python -m hil.load.line_faults [--calls 960] [--out build/line-faults]

Of each fault is measured, in the board's own time: until the framer sees it and until it sees its end, until the alarm list has it and until it
lets go of it.  Meanwhile every call that has no end on that span must go on octet by octet: each far end knows its tone and compares blocks of
80 samples (hil/far/proof.h), so a sample lost, doubled or changed is a break.  Where others were disturbed, the fault is tried
again if the board says that somebody was late (a host that stood still), and counts against us if it does not.  Exit code 0 only if every
check held.

Limits: G.775 (LOS within 255 bits, AIS within two double frames), G.706 (loss after 3 signals, back after 3 frames, CRC-4 multiframe within
8 ms), all of them less than the 10 ms by which the board counts; G.7710 and T1.231 for alarms (2.5 +- 0.5 s, 10 +- 0.5 s).
"""

import argparse
import json
import pathlib
import sys
import time

from hil import scratch
from hil.board.bench import ask
from hil.load.rig import LoadRig
from hil.rig import CHECKOUT

LOS, AIS, LFA, RAI = 7, 6, 5, 4             # bits of FRS0
# name: (the board's fault, bit of FRS0 that shows it, kind in the alarm list)
FAULTS = {
    "loss of signal": ({"fault": "rx_los"}, LOS, "los"),
    "loss of frame": ({"fault": "rx_lof"}, LFA, "lfa"),
    "AIS": ({"fault": "rx_ais"}, AIS, "ais"),
    "RAI": ({"fault": "rx_rai"}, RAI, "rai"),
    "cable of 40 dB": ({"fault": "cable", "rx_db": 40, "tx_db": 40}, LOS, "los"),
    "pairs exchanged": ({"fault": "pairs"}, LOS, "los"),
    "slips": ({"fault": "ppm", "ppm": 400}, None, "slips"),
    "CRC errors, 20 a second": ({"fault": "rx_crc_rate", "rate": 20}, None, None),
    "bit errors, 1 in 100,000": ({"fault": "rx_bits", "rate": 1e-5}, None, None),
    "loop plug": ({"fault": "plug"}, None, None),
}
SEEN_MS, GONE_MS = 20, 60                   # of the board's time, which goes in steps of 10 ms; gone: frame and CRC-4 multiframe found, too
ALARM_S, CLEAR_S, LOOK_S = (2.0, 3.0), (9.5, 10.5), 0.1
SLACK_S = 0.3                               # our look, and the answer of the API
QUALITY_S = 6.0                             # how long a fault without a defect lasts
ATTEMPTS, FILL_S = 3, 90


class LineFaults:
    """rig: a prepared LoadRig."""

    def __init__(self, rig, calls, say=print):
        self.rig, self.calls, self.say = rig, calls, say
        self.checks, self.rows = [], []
        self.end = rig.ends["pri"][0]

    def check(self, name, ok, value):
        self.checks.append({"name": name, "ok": bool(ok), "value": value})

    def fill(self):
        """Place calls until all circuits are taken."""
        self.driver = self.rig.traffic(self.calls, 30.0)
        deadline = time.monotonic() + FILL_S
        while len(self.driver.live) < self.calls and time.monotonic() < deadline:
            time.sleep(0.5)
        self.driver.hold(True)
        time.sleep(3)                       # the last are answered, tones are heard
        return sum(1 for row in self.end.far.status()["calls"] if row.get("heard"))

    def board(self, **request):
        answer = ask(str(self.rig.run_dir), request)
        if not answer["ok"]:
            raise RuntimeError(answer["error"])
        return answer

    def ticks(self):
        return self.board(do="status", span=1)["board"]["ticks"]

    def late(self):
        told = self.board(do="status")
        return sum(line["late"] for line in told["lines"]) + told["board"]["late_media_frames"]

    def tones(self, span):
        """{key: (span, breaks, silent, other)} of calls without an end on that span, and how many octets all have heard."""
        rows = {row["id"]: row for row in self.end.far.status()["calls"] if row.get("heard")}
        kept = {}
        for call in list(self.driver.live.values()):
            ends = [rows.get(call.name), rows.get(call.callee_key)]
            if all(ends) and span not in (ends[0]["span"], ends[1]["span"]):
                for row in ends:
                    kept[row["id"]] = (row["span"], row["breaks"], row["silent"], row["other"], row["heard"])
        return kept

    def alarm(self, span, kind):
        """The alarm of that kind that stands on that span now."""
        return next((row for row in self.rig.product.get("/alarms")["alarms"] if row["kind"] == kind and "span %d" % span in row["members"]
                     and row["cleared_ms"] is None), None)

    def until(self, condition, timeout_s):
        """The board's ticks when condition() came true, or None."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if condition():
                return self.ticks()
            time.sleep(LOOK_S)
        return None

    def changed(self, span, bit):
        return self.board(do="status", span=span)["lines"][0]["changed_ticks"][bit]

    def one(self, name, span):
        """One fault on one span.  Returns its figures."""
        fault, bit, kind = FAULTS[name]
        row = {"fault": name, "span": span}
        before, late = self.tones(span), self.late()
        began = self.board(do="inject", span=span, on=True, **fault)["ticks"]
        if kind is not None:
            raised = self.until(lambda: self.alarm(span, kind), 30)
            row["alarm_s"] = None if raised is None else (raised - began) / 100
        else:
            time.sleep(QUALITY_S)
            row["errored_seconds"] = self.rig.product.get("/performance")["spans"][str(span)]["quarter"]["es"]
        if bit is not None:
            row["seen_ms"] = 10 * (self.changed(span, bit) - began)
        ended = self.board(do="inject", span=span, **{**fault, "on": False})["ticks"]
        if bit is not None:
            cleared = self.until(lambda: not self.alarm(span, kind), 60)
            row["clear_s"] = None if cleared is None else (cleared - ended) / 100
            row["gone_ms"] = 10 * (self.changed(span, bit) - ended)
        else:
            time.sleep(1)
        after = self.tones(span)
        row["calls"], row["spans"] = len(before) // 2, len({value[0] for value in before.values()})
        row["heard_samples"] = 80 * sum(after[key][4] - value[4] for key, value in before.items() if key in after)
        row["lost"] = sorted(key for key, value in before.items() if after.get(key, (0,))[:4] != value[:4])
        row["late"] = self.late() - late
        return row

    def run(self):
        """All faults, each on a span of its own.  Returns the checks."""
        tones = self.fill()
        self.check("timeslots that carry a tone", tones >= 2 * self.calls - 4, tones)
        for place, name in enumerate(FAULTS):
            span = 3 + 6 * place
            self.driver.excuse(lambda call: True)
            for attempt in range(ATTEMPTS):
                row = self.one(name, span)
                if not row["lost"] or not row["late"]:
                    break
                self.say("  %s: %d tones were broken while somebody was late; again" % (name, len(row["lost"])))
            self.rows.append({**row, "attempts": attempt + 1})
            self.say("  %s" % json.dumps({**row, "lost": len(row["lost"])}))
            self.judge(row)
        deadline = time.monotonic() + 90
        while (down := [span["span"] for span in self.rig.state()["spans"] if span["state"] != "up"]) and time.monotonic() < deadline:
            time.sleep(1)
        self.check("spans that are not up again", not down, down)
        return self.checks

    def judge(self, row):
        name, bit, kind = row["fault"], *FAULTS[row["fault"]][1:]
        self.check("%s: others, tones broken of %d on %d spans" % (name, 2 * row["calls"], row["spans"]), not row["lost"] and row["spans"] == 63,
                   len(row["lost"]))
        if bit is not None:
            self.check("%s: seen by the framer, ms" % name, 0 <= row["seen_ms"] <= SEEN_MS, row["seen_ms"])
            self.check("%s: gone, ms" % name, 0 <= row["gone_ms"] <= GONE_MS, row["gone_ms"])
            self.check("%s: alarm after s" % name, row["alarm_s"] and ALARM_S[0] <= row["alarm_s"] <= ALARM_S[1] + SLACK_S, row["alarm_s"])
            self.check("%s: alarm ends after s" % name, row["clear_s"] and CLEAR_S[0] - SLACK_S <= row["clear_s"] <= CLEAR_S[1] + SLACK_S, row["clear_s"])
        elif kind is not None:
            self.check("%s: alarm" % name, row["alarm_s"] is not None, row["alarm_s"])
        elif name != "loop plug":
            self.check("%s: errored seconds counted" % name, row["errored_seconds"] > 0, row["errored_seconds"])


def main(given=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="make line-faults", description="Faults on one span while 64 carry calls.")
    parser.add_argument("--calls", type=int, default=960)
    parser.add_argument("--out", type=pathlib.Path, default=CHECKOUT / "build" / "line-faults")
    options = parser.parse_args(given)
    options.out.mkdir(parents=True, exist_ok=True)
    with scratch.folder("faults-", memory=True) as folder:
        with LoadRig(folder, pri=64, ss7=0, r2=0, with_crc4=True) as rig:
            faults = LineFaults(rig.prepare(), options.calls, say=lambda text: print(text, file=sys.stderr, flush=True))
            checks = faults.run()
    ok = all(check["ok"] for check in checks)
    (options.out / "line-faults.json").write_text(json.dumps({"ok": ok, "checks": checks, "faults": faults.rows}, indent=1))
    for check in checks:
        print("  %s  %s: %s" % ("ok  " if check["ok"] else "FAIL", check["name"], check["value"]))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
