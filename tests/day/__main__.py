"""`make simulate-day`: a day of a call centre in simulated time, through the real ACD, IVR, journal and reports.

    python -m tests.day [--scale 1.0] [--seed 1] [--deaths 12] [--out build/day]

1,000 agents, 110,000 calls, an hour with 120 % of what the agents can take; the switch is killed meanwhile (SIGKILL, at
moments named in tests/day/switch.py).  Writes report.json, the raw journal (journal.sqlite), day.svg.  Ends with 0 only if
the switch's reports, an independent recount of the journal and the world's own stop-watches agree in every figure, no
rule of the ACD was broken, and the journal folds to the same state as the switch had.
"""

import argparse
import json
import pathlib
import random
import resource
import shutil
import sqlite3
import sys
import time

from tests.day import compare, picture
from tests.day.plan import DAY_MS, HOUR_MS, Plan
from tests.day.recount import Recount
from tests.day.world import World

END_MS = DAY_MS + 90 * 60_000           # the last callers are gone by then
WHERE = ("before", "written", "committed")
SHOWN = 20                              # differences that are printed


def deaths(seed, count, hours):
    """Moments of SIGKILL: half of them around the rush, each kind in turn."""
    rng, most = random.Random("%d deaths" % seed), min(hours[-1] + 1, 23)
    moments = [rng.uniform(11, 12) if n % 2 else rng.uniform(max(hours[0], 6), most) for n in range(count)]
    return [(int(hour * HOUR_MS), WHERE[n % 3]) for n, hour in enumerate(sorted(moments))]


class Progress:
    """A line that tells how far the day is."""

    def __init__(self, world):
        self.world, self.began, self.next = world, time.monotonic(), 0

    def __call__(self, at_ms):
        if at_ms >= self.next:
            self.next = at_ms // HOUR_MS * HOUR_MS + HOUR_MS
            print("  %02d:00  %6d calls done, %4d up, %2d deaths of the switch, %4.0f s" % (
                at_ms // HOUR_MS, len(self.world.truth["calls"]), len(self.world.callers), len(self.world.truth["deaths"]),
                time.monotonic() - self.began), file=sys.stderr, flush=True)


def simulate(folder, seed=1, scale=1.0, count=12, hours=range(24), progress=True):
    """Run the day in an empty folder.  Returns (the report, differences)."""
    plan = Plan(seed, scale, hours)
    world = World(plan, folder / "switch")
    try:
        world.fill()
        world.run(END_MS, deaths(seed, count, hours), Progress(world) if progress else None)
        report = world.report(0, DAY_MS + 2 * HOUR_MS, "quarter")
        whole = world.report(0, DAY_MS + 2 * HOUR_MS, "whole")
        state = world.ask({"state": True})["state"]
    finally:
        world.close()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    database, journal = folder / "switch" / "strowger.db", folder / "journal.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("VACUUM INTO ?", (str(journal),))
    recount = Recount(journal)
    ways = {row["name"]: row["service_level_abandons"] for row in plan.configuration["queues"]}
    differences = compare.with_recount(report, recount, ways) + compare.with_truth(report, world.truth) + recount.broken
    differences += ["the stored sums of %s differ from a fold of the whole journal" % (key,) for key in state["sums_that_differ"]]
    differences += [sentence for wrong, sentence in (
        (world.exceptions, "%d turns of the switch raised an exception" % world.exceptions),
        (not state["replays"], "a replay of the journal does not give the state that the switch has"),
        (world.terminations or world.bridges or world.recordings, "media still holds %d terminations, %d bridges, %d recordings" % (
            len(world.terminations), len(world.bridges), len(world.recordings))),
        (state["calls"], "%d calls stand at the end of the day" % state["calls"]),
        (len(world.truth["deaths"]) < count, "only %d of %d deaths came about" % (len(world.truth["deaths"]), count))) if wrong]
    truth = world.truth
    made = {"seed": seed, "scale": scale, "agents": len(plan.agents), "calls": len(truth["calls"]), "blocked": truth["blocked"],
            "deaths": truth["deaths"], "records": recount.records, "events": truth["events"], "switch_cpu_s": round(spent.ru_utime + spent.ru_stime, 1),
            "ended": {how: sum(call.how == how for call in truth["calls"]) for how in ("talked", "abandoned", "cleared")},
            "foretold": recount.foretelling(), "totals": {part: recount.total(part) for part in recount.sums}, "differences": differences,
            "whole": whole, "quarters": report}
    (folder / "report.json").write_text(json.dumps(made, indent=1))
    (folder / "day.svg").write_text(picture.draw(report, plan))
    return made, differences


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--deaths", type=int, default=12)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/day"))
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    made, differences = simulate(options.out, options.seed, options.scale, options.deaths)
    queues = made["totals"]["queues"]
    print("%d agents, %d calls (%d blocked: all trunks busy), %d journal records, %d deaths of the switch" % (
        made["agents"], made["calls"], made["blocked"], made["records"], len(made["deaths"])))
    print("queued %d, answered %d, abandoned %d and %d short, overflowed %d; mean wait of who was answered %.1f s" % (
        queues["queued"], queues["answered"], queues["abandoned"], queues["short_abandoned"], queues["overflowed"],
        queues["answer_wait_ms"] / max(1, queues["answered"]) / 1000))
    print("expected wait: mean error %.1f s for %d callers; the mean of the last ten answered would have been wrong by %.1f s" % (
        made["foretold"]["switch"] / 1000, made["foretold"]["callers"], made["foretold"]["naive"] / 1000))
    print("the switch's processor time: %.0f s, %.2f ms a call; %s, journal.sqlite, day.svg" % (
        made["switch_cpu_s"], 1000 * made["switch_cpu_s"] / max(1, made["calls"]), options.out / "report.json"))
    for sentence in differences[:SHOWN]:
        print("DIFFERS: " + sentence)
    print("%d differences between the switch's reports, the recount and the world" % len(differences) if differences
          else "reports, recount and the world agree in every figure; no rule was broken")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
