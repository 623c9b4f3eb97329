"""Overload on the SIP side: 1.5, 3 and 10 times the calls that come through clean, what comes of them, and what those that are up notice.

    python -m hil.sip_overload [RATE,RATE...]      # build/sip_overload.json and .svg; results() for make bench

Capacity is the highest rate of a ladder of sip_load's calls without a failure or retransmission.  STANDING calls with sound both ways (sound_ends.c) are up
all the time: no packet of them may be lost, and each must take a re-INVITE and its BYE afterwards.  Each refusal is timed by sipp
from the INVITE to the answer.  At last half the capacity is offered: the first second from which on all come through is when the switch is back to normal.
"""

import csv
import html
import json
import math
import pathlib
import sys
import time

from hil import scratch
from hil.load.takeover import SoundEnds, scenarios
from hil.ports import UDP, free_block
from hil.sip_load import SIPLoad, last_row, row
from hil.sip_load_more import caller_scenario

STANDING, CALM_S = 40, 10
LADDER, FACTORS, AIMS = (60, 80, 90, 100, 110, 120, 130, 150, 180), (1.5, 3, 10), (0.9, 0.85, 0.8)
BUILD = pathlib.Path("build")


class Overload(SIPLoad):
    """A house with two trunks for the load and two for the calls that stand."""

    def __init__(self, folder):
        super().__init__(folder)
        self.seconds = []           # of each overload: (factor, per_second())
        self.standing = None

    def more(self, config):
        """See SIPLoad."""
        self.ports.update({name: free_block({UDP: (0,)}) for name in ("stand-in", "stand-out")})
        config["trunk_groups"] += [{"name": "stand-in", "classes": ["national"]}, {"name": "stand-out", "caller_number": "02150809001"}]
        config["sip_trunks"] += [dict(config["sip_trunks"][-1], name=name, trunk_group=name, session_s=0,
                                      addresses=[{"address": "127.0.0.1", "port": self.ports[name]}]) for name in ("stand-in", "stand-out")]
        config["routes"].append({"number": "776.", "choices": [{"trunk_group": "stand-out"}]})

    def stand(self, count, hold_ms):
        """Calls with sound, set up now; each has a re-INVITE after hold_ms and its BYE."""
        ports = [free_block({UDP: (0,)}) for _ in range(2)]
        paths = [self.folder / name for name in ("stand-caller.xml", "stand-callee.xml")]
        for path, text in zip(paths, scenarios(ports, hold_ms, 1000)):
            path.write_text(text)
        ends = SoundEnds(ports, count)
        uas, _ = self._sipp("stand-uas", "-sf", str(paths[1]), "-p", str(self.ports["stand-out"]), "-aa")
        time.sleep(0.5)
        uac, folder = self._sipp("stand-uac", "-sf", str(paths[0]), "-p", str(self.ports["stand-in"]), "-s", "7769", "-m", str(count), "-r", "10",
                                 "-l", str(count), "-aa", "-recv_timeout", "30000")
        self.rig.wait(lambda s: len(s["calls"]) >= count, 60, "the calls that stand")
        time.sleep(2)
        ends.ask("watch")
        self.standing = {"ends": ends, "uac": uac, "uas": uas, "folder": folder, "count": count}

    def stood(self):
        """What the calls that stand have noticed: {"calls", "legs", "packets", "lost", "longest_gap_ms", "reinvited", "ended", "failed"}."""
        its = self.standing
        counted = its["ends"].ask("count")
        rows = [leg for end in counted for leg in end["legs"]]
        its["uac"].wait(180)
        its["ends"].stop()
        time.sleep(1.2)
        told = last_row(its["folder"] / "stat.csv")
        its["uas"].terminate()
        its["uas"].wait(10)
        return {"calls": its["count"], "legs": len(rows), "packets": sum(leg[0] for leg in rows), "lost": max(0, sum(leg[2] for leg in rows) - sum(end["dropped"] for end in counted)),
                "longest_gap_ms": max(leg[1] for leg in rows) / 1000, "reinvited": int(told.get("GenericCounter2(C)") or 0), "ended": int(told["SuccessfulCall(C)"]),
                "failed": int(told["FailedCall(C)"])}

    def overload(self, capacity, factor, seconds):
        """Trunk-to-trunk calls at factor times the capacity: what comes through, how fast the rest is refused."""
        rate = max(1, round(capacity * factor))
        uas, _ = self._sipp("overload-uas-%d" % rate, "-sn", "uas", "-p", str(self.ports["out"]))
        time.sleep(0.5)
        path = self.folder / ("overload-%d.xml" % rate)
        path.write_text(caller_scenario("777%d" % rate, 1000, refusals=True))
        process, folder = self._sipp("overload-%d" % rate, "-sf", str(path), "-p", str(self.ports["in"]), "-m", str(rate * seconds), "-r", str(rate), "-l", "20000",
                                     "-recv_timeout", "20000", "-trace_rtt", "-rtt_freq", "1")
        began = time.monotonic()
        process.wait(seconds + 180)
        took = max(seconds, time.monotonic() - began - 1)       # the last calls stand for a second; what waited longer came late
        uas.terminate()
        uas.wait(10)
        told = last_row(folder / "stat.csv")
        refused = int(told.get("GenericCounter1(C)") or 0)
        self.seconds.append((factor, per_second(folder / "stat.csv")))
        good, times = int(told["SuccessfulCall(C)"]) - refused, refusal_times_ms(folder)
        return {"factor": factor, "rate": rate, "good": good, "refused": refused, "failed": int(told["FailedCall(C)"]), "retransmissions": int(told["Retransmissions(C)"]),
                "goodput": good / took, "ratio": good / took / capacity, "refusal_ms": sum(times) / len(times) if times else None,
                "refusal_p99_ms": times[math.ceil(len(times) * 0.99) - 1] if times else None, "refusal_worst_ms": times[-1] if times else None,
                "refusals_above_100_ms": sum(value > 100 for value in times)}

    def calm(self, rate, seconds=CALM_S):
        """Calls at a rate right after the overload: {"failed", "refused", "normal_after_s"}."""
        uas, _ = self._sipp("calm-uas", "-sn", "uas", "-p", str(self.ports["out"]))
        time.sleep(0.5)
        path = self.folder / "calm.xml"
        path.write_text(caller_scenario("7773", 1000, refusals=True))
        process, folder = self._sipp("calm", "-sf", str(path), "-p", str(self.ports["in"]), "-m", str(rate * seconds), "-r", str(rate), "-recv_timeout", "20000")
        process.wait(seconds + 60)
        uas.terminate()
        uas.wait(10)
        told, each = last_row(folder / "stat.csv"), per_second(folder / "stat.csv")
        self.seconds.append((0, each))
        wrong = [number for number, second in enumerate(each) if second[1]]
        return {"rate": rate, "failed": int(told["FailedCall(C)"]), "refused": int(told.get("GenericCounter1(C)") or 0), "normal_after_s": wrong[-1] + 1 if wrong else 0}


def refusal_times_ms(folder):
    """Of each refusal, in order of length: sipp's -trace_rtt."""
    found = []
    for path in folder.glob("*_rtt.csv"):
        lines = [line.split(";") for line in path.read_text().splitlines()[1:]]         # when, ms, which timer
        found += [float(line[1]) for line in lines if len(line) > 2 and line[2].strip().strip('"') == "2"]
    return sorted(found)


def per_second(path):
    """[(calls begun, refused, come through, ms of the refusals)] of each second of a statistics file of sipp."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))[:-1]
    out = []
    for row in rows:
        refused = int(row.get("GenericCounter1(P)") or 0)
        out.append((int(row["OutgoingCall(P)"]), refused, max(0, int(row["SuccessfulCall(P)"]) - refused), seconds_of(row.get("ResponseTime2(P)")) * 1000))
    return out


def seconds_of(text):
    """sipp's "00:00:00:012000" in seconds."""
    parts = (text or "").split(":")
    return int(parts[0]) * 3600 + int(parts[1]) * 60 + int(parts[2]) + int(parts[3]) / 1e6 if len(parts) == 4 else 0.0


def draw(rows, capacity, path, seconds=()):
    """What came through at each factor of overload, in percent of the capacity, with the aim of each as a line; below it each second.

    seconds: [(factor, per_second())], the calm after the overload last, with factor 0."""
    width, height = 640, 560 if seconds else 330
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">' % (width, height),
             '<rect width="%d" height="%d" fill="#ffffff"/><text x="20" y="22" font-size="15">Overload: come through, in %% of the capacity of %g calls a second</text>' % (width, height, capacity)]

    def level(share):
        return 250 - 200 * share
    for share in (0, 0.5, 1):
        parts.append('<line x1="60" x2="620" y1="%.1f" y2="%.1f" stroke="#dddddd"/><text x="24" y="%.1f">%d %%</text>' % (level(share), level(share), level(share) + 4, 100 * share))
    for place, (row, aim) in enumerate(zip(rows, AIMS)):
        x, top = 80 + place * 185, level(min(1.1, row["ratio"]))
        parts.append('<rect x="%d" y="%.1f" width="90" height="%.1f" fill="#1c7c3c"/><text x="%d" y="%.1f">%.0f %%</text>' % (x, top, 250 - top, x + 30, top - 4, 100 * row["ratio"]))
        parts.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#b3261e" stroke-dasharray="4"/><text x="%d" y="%.1f" fill="#b3261e">%d %%</text>' % (
            x - 10, x + 100, level(aim), level(aim), x + 104, level(aim) + 4, 100 * aim))
        for under, text in enumerate(("%gx: %.0f of %d a second" % (row["factor"], row["goodput"], row["rate"]), "%d refused, %d failed" % (row["refused"], row["failed"]),
                                      "refusals: worst %.0f ms" % (row["refusal_worst_ms"] or 0))):
            parts.append('<text x="%d" y="%d">%s</text>' % (x - 20, 268 + 16 * under, html.escape(text)))
    if seconds:
        parts += drawn_seconds([(factor, number, *row) for factor, series in seconds for number, row in enumerate(series)], capacity)
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text("".join(parts) + "</svg>")


def drawn_seconds(flat, capacity):
    """Each second of the overload and after it.  flat: [(factor, second, *per_second())]."""
    top, slowest, wide = max([row[4] for row in flat] + [capacity]) * 1.1, max([row[5] for row in flat] + [110]), 560 / max(1, len(flat))

    def line(y, colour, text):
        return '<line x1="60" x2="620" y1="%.1f" y2="%.1f" stroke="%s" stroke-dasharray="4"/><text x="8" y="%.1f" fill="%s">%s</text>' % (y, y, colour, y + 4, colour, text)
    parts = ['<text x="20" y="346">Each second: come through (green, calls), mean time of a refusal (red, ms)</text>',
             line(520 - 150 * 100 / slowest, "#b3261e", "100 ms"), line(520 - 150 * capacity / top, "#1c7c3c", "%g calls" % capacity)]
    for place, (factor, number, _, _, through, ms) in enumerate(flat):
        x = 64 + wide * place
        for left, share, value, most, colour in ((0, 0.5, through, top, "#1c7c3c"), (0.5, 0.4, ms, slowest, "#b3261e")):
            parts.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>' % (x + wide * left, 520 - 150 * value / most, wide * share, 150 * value / most, colour))
        if not number:
            parts.append('<text x="%.1f" y="537">%s</text>' % (x, "%gx" % factor if factor else "half of the capacity"))
    return parts


def measure(folder, ladder=LADDER, seconds=8):
    """{"capacity", "overload": [Overload.overload()], "calm", "standing"}, and the seconds for the picture."""
    with Overload(folder) as load:
        capacity = None
        for rate in ladder:
            got = load.calls(rate, seconds)
            print("ladder", got, flush=True)
            if got["failed"] or got["retransmissions"]:
                break
            capacity = got
        if capacity is None:
            raise RuntimeError("Not even %d calls a second come through clean: %s" % (ladder[0], got))
        load.stand(STANDING, int(1000 * (len(FACTORS) * (seconds + 12) + CALM_S + 20)))
        worse = []
        for factor in FACTORS:
            worse.append(load.overload(capacity["rate"], factor, seconds))
            print("overload", worse[-1], flush=True)
        calm = load.calm(max(5, capacity["rate"] // 2))
        stood = load.stood()
        print("calm", calm, "standing", stood, flush=True)
        return {"capacity": capacity, "overload": worse, "calm": calm, "standing": stood}, load.seconds


def results(ladder=LADDER):
    """Rows for make bench."""
    with scratch.folder("sip-overload-") as folder:
        found, seconds = measure(folder, ladder)
    BUILD.mkdir(exist_ok=True)
    (BUILD / "sip_overload.json").write_text(json.dumps(dict(found, seconds=seconds), indent=1) + "\n")
    rate, stood = found["capacity"]["rate"], found["standing"]
    draw(found["overload"], rate, BUILD / "sip_overload.svg", seconds)
    rows = [row("sip.failures", found["capacity"]["failed"], "calls", "at %d calls a second" % rate)]
    for one, aim in zip(found["overload"], AIMS):
        rows.append(row("sip.overload_%gx.goodput_ratio" % one["factor"], one["ratio"], "", "aim of the issue", aim))
        rows.append(row("sip.overload_%gx.refusal_p99_ms" % one["factor"], one["refusal_p99_ms"], "ms", "aim of the issue", 100.0))
        rows.append(row("sip.overload_%gx.refusal_worst_ms" % one["factor"], one["refusal_worst_ms"], "ms", "aim of the issue, for each", 100.0))
    rows.append(row("sip.overload_after.normal_s", found["calm"]["normal_after_s"], "s", "aim of the issue; at half the capacity, right after 10x", 30.0))
    rows.append(row("sip.overload_standing.packets_lost", stood["lost"], "packets", "none of %d, of %d calls that were up all the time" % (stood["packets"], stood["calls"])))
    rows.append(row("sip.overload_standing.calls_lost", stood["calls"] - stood["ended"], "calls", "re-INVITE and BYE after it"))
    return rows


if __name__ == "__main__":
    print(json.dumps(results(tuple(int(word) for word in sys.argv[1].split(",")) if len(sys.argv) > 1 else LADDER), indent=1))
