"""The house and the far ends of the load: 64 spans of PRI, SS7 and R2, all tandem.

    with LoadRig(folder, pri=32, ss7=24, r2=8) as load:
        load.prepare()
        load.traffic(calls=912, rate=40)

Trunk groups pri, ss7 and r2; routes 81, 82 and 83 with five more digits.  Far ends choose circuits from the lowest on, the box from
the highest.  One far exchange process for all PRI spans, one for all SS7 spans, one for each R2 span.
"""

import collections
import os
import pathlib
import threading
import time

from hil.board import bench
from hil.load import ends
from hil.load.traffic import Traffic
from hil.rig import Rig

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
OURS, THEIRS = "0-12-4", "0-25-0"          # 100 and 200
SS7_LINKS = 2
BUSY = 0.95
WATCH_S = 0.5
CIRCUITS = 30


def processor_s(pid, thread=None):
    """Seconds of processor time of a process, or of its threads of a name."""
    total = 0
    folders = [pathlib.Path("/proc/%d" % pid)] if thread is None else list(pathlib.Path("/proc/%d/task" % pid).iterdir())
    for folder in folders:
        try:
            text = (folder / "stat").read_text()
        except OSError:
            continue
        name, fields = text.partition("(")[2].rpartition(")")[0], text.rpartition(")")[2].split()
        if thread is None or name == thread:
            total += int(fields[11]) + int(fields[12])
    return total / CLOCK_TICKS


class LoadRig(Rig):
    """pri, ss7, r2: how many spans of each, from span 1 on."""

    def __init__(self, folder, pri=32, ss7=24, r2=8, with_crc4=False, **more):
        self.with_crc4 = with_crc4              # of the PRI spans
        numbers = list(range(1, pri + ss7 + r2 + 1))
        super().__init__(folder, spans=numbers, crc4=(), **more)
        self.pri_spans, self.ss7_spans, self.r2_spans = numbers[:pri], numbers[pri:pri + ss7], numbers[pri + ss7:]
        self.ends = {}
        self.driver = None
        self._looks = collections.deque(maxlen=4000)

    def prepare(self):
        """Board, product, configuration, far ends; all in service."""
        self.start(exchange=False)
        running = self.product.get("/configuration")
        config = running["configuration"]
        config["recording"]["enabled"] = False
        config["agents"], config["queues"][0]["overflow"] = config["agents"][:1], []
        config["trunk_groups"] = [dict(config["trunk_groups"][0])] + [
            {"name": kind, "selection": "descending", "classes": ["national"], "caller": "line"} for kind in ("pri", "ss7", "r2")]
        config["spans"] = ([{"span": n, "crc4": self.with_crc4, "trunk_group": "pri"} for n in self.pri_spans]
                           + [{"span": n, "crc4": False, "trunk_group": "ss7", "signalling": "ss7"} for n in self.ss7_spans]
                           + [{"span": n, "crc4": False, "trunk_group": "r2", "signalling": "r2",
                               "r2": {"variant": "itu", "called_length": 7, "direction": self.r2_direction(n)}} for n in self.r2_spans])
        config["ss7"] = [self.point()] if self.ss7_spans else []
        config["routes"] = [{"number": digits + "xxxxx", "class": "national", "choices": [{"trunk_group": kind}], "hunt_limit": 10}
                            for kind, digits in (("pri", "81"), ("ss7", "82"), ("r2", "83"))]
        self.product.post("/configuration/apply", running)
        import queue
        self.queue = queue.SimpleQueue()
        self.start_ends()
        self.up()
        return self

    def r2_direction(self, span):
        """One way each, as is usual with R2: a double seizure costs both calls (Q.422)."""
        return "in" if self.r2_spans.index(span) % 2 else "out"

    def links(self):
        return [(span, 16, slc) for slc, span in enumerate(self.ss7_spans[:SS7_LINKS])]

    def point(self):
        circuits = [{"cic": 32 * k + first, "span": span, "timeslot": first, "count": 15} for k, span in enumerate(self.ss7_spans) for first in (1, 17)]
        return {"name": "load", "variant": "itu", "point_code": OURS,
                "linksets": [{"name": "a", "adjacent": THEIRS, "links": [{"span": s, "timeslot": t, "slc": c} for s, t, c in self.links()]}],
                "circuit_groups": [{"name": "g", "destination": THEIRS, "circuits": circuits[at:at + 64]} if not at else
                                   {"name": "g%d" % at, "destination": THEIRS, "circuits": circuits[at:at + 64]} for at in range(0, len(circuits), 64)]}

    def make_end(self, kind):
        if kind == "pri":
            return ends.pri(self.run_dir, self.pri_spans, self.queue.put, crc4=self.with_crc4)
        return ends.ss7(self.run_dir, self.ss7_spans, self.links(), self.queue.put, own=200, other=100, variant="itu")

    def start_ends(self):
        if self.pri_spans:
            self.ends["pri"] = [self.make_end("pri").start()]
        if self.ss7_spans:
            self.ends["ss7"] = [self.make_end("ss7").start()]
        if self.r2_spans:
            self.ends["r2"] = [ends.R2(self.run_dir, span, "itu", self.queue.put, self.r2_direction(span) == "in", self.r2_direction(span) == "out").start() for span in self.r2_spans]

    def up(self, timeout_s=60):
        """Wait until every circuit is idle and in service."""
        return self.wait(lambda s: len(s["spans"]) == len(self.spans) and all(span["state"] == "up" for span in s["spans"]) and all(
            slot["state"] in ("idle", "d") for span in s["spans"] for slot in span["timeslots"]) and all(
            link["usable"] for point in s.get("ss7", ()) for link in point["links"]) and s, timeout_s, "all spans up and idle")

    def traffic(self, calls=None, rate=40.0):
        """Start the load."""
        shares = {kind: CIRCUITS * len(spans) for kind, spans in (
            ("pri", self.pri_spans), ("ss7", self.ss7_spans), ("r2", self.r2_spans)) if spans}
        calls = int(BUSY * sum(shares.values())) // 2 if calls is None else calls
        self.driver = Traffic(self.ends, shares, calls, rate, self.queue)
        self.driver.evidence = self.evidence
        threading.Thread(target=self._watch, args=(self.driver,), daemon=True).start()
        return self.driver.start()

    def _watch(self, driver):
        """What the board sees of lines that answer late, of a host that stands still, of media: each WATCH_S while the load runs."""
        while self.driver is driver:
            try:
                told = bench.ask(str(self.run_dir), {"do": "status"})
            except OSError:
                return
            self._looks.append((time.monotonic(), told["board"]["host_stalls"], told["board"]["late_media_frames"],
                                {line["span"]: line["late"] for line in told["lines"]}))
            time.sleep(WATCH_S)

    def disturbed(self):
        """{what: how much} of all looks: times at which the host stood still, frames that media was late with, late blocks of the far ends' lines."""
        looks = list(self._looks)
        if not looks:
            return {}
        first, last = looks[0], looks[-1]
        return {"host_stalls": last[1] - first[1], "late_media_frames": last[2] - first[2],
                "late_line_blocks": sum(last[3].values()) - sum(first[3].values())}

    def evidence(self, call):
        """What disturbed a call's time, in words: late blocks of its far ends' lines, stalls of the host, frames that media was late with."""
        looks = list(self._looks)
        before = [look for look in looks if look[0] <= call.placed - WATCH_S] or looks[:1]
        if not looks:
            return ""
        first, last = before[-1], looks[-1]
        spans = {span for end in (call.caller, call.callee) if end is not None and end.kind == "r2" for span in end.spans}
        late = sum(last[3].get(span, 0) - first[3].get(span, 0) for span in spans)
        words = ["the host stood still %d times" % (last[1] - first[1])] if last[1] != first[1] else []
        words += ["media was late with %d frames" % (last[2] - first[2])] if last[2] != first[2] else []
        words += ["the far end's line was late with %d blocks" % late] if late else []
        return "; meanwhile " + ", ".join(words) if words else "; nothing was late meanwhile"

    def processors(self):
        """{part: seconds of processor time}: control, layer 2 in media, media's other threads, the far ends, board."""
        pids = self.pids()
        layer2, media = processor_s(pids["media"], "layer2"), processor_s(pids["media"])
        tick = processor_s(pids["media"], "tick")
        far = sum(processor_s(end.far.process.pid) for some in self.ends.values() for end in some)
        return {"control": processor_s(pids["control"]), "layer2": layer2, "tick": tick, "media other": media - layer2 - tick, "web": processor_s(pids["web"]),
                "far ends": far, "board": processor_s(self.board.pid), "driver": processor_s(os.getpid()), "at": time.monotonic()}

    def stop(self):
        if self.driver is not None:
            self.driver.stop()
            self.driver = None
        for some in self.ends.values():
            for end in some:
                end.stop()
        self.ends = {}
        super().stop()
