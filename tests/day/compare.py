"""The three accounts of a simulated day beside one another: the switch's reports, the recount, the world's own truth."""

import collections

from tests.day.plan import BEGIN_MS
from tests.day.recount import QUARTER_MS, derived
from tests.day.world import RESTART_MS


def with_recount(report, recount, ways):
    """Sentences: each figure of the reports (by quarters) that the recount contradicts.  ways: {queue: how abandons count}."""
    differences = []
    for part, made in report.items():
        seen = set()
        for row in made["rows"]:
            key = (row["name"], row["start_s"])
            seen.add(key)
            counts = recount.sums[part].get(key, {})
            expected = {**{field: 0 for field in row if field not in ("name", "start_s", "end_s")}, **counts,
                        **derived(part, counts, ways.get(row["name"], "ignore"), QUARTER_MS)}
            for field, value in row.items():
                if field in ("name", "start_s", "end_s", "answer_seizure_ratio"):
                    continue
                if (value is None) != (expected.get(field) is None) or value is not None and abs(value - expected[field]) > 1e-9 * abs(value):
                    differences.append("%s %s at %d: %s is %s in the report, %s by the recount" % (
                        part, row["name"], row["start_s"], field, value, expected.get(field)))
        for key in recount.sums[part].keys() - seen:
            if any(recount.sums[part][key].values()):
                differences.append("%s %s at %d: not in the report, %s by the recount" % (part, *key, dict(recount.sums[part][key])))
    return differences


def _overlaps(spans):
    """{quarter's start_s: ms} of [(begin, end)]."""
    found = collections.Counter()
    for begin, end in spans:
        for quarter in range(begin // QUARTER_MS, (end - 1) // QUARTER_MS + 1):
            found[quarter * QUARTER_MS // 1000] += min(end, (quarter + 1) * QUARTER_MS) - max(begin, quarter * QUARTER_MS)
    return found


def with_truth(report, truth):
    """Sentences: what the world's stop-watches contradict.

    While a switch is dead the world goes on: its moments are up to RESTART_MS later than those of the journal, for what
    happened in that very moment.  So in a quarter with a death, times may differ by that for each of the legs; counts may not."""
    differences = []
    calls = truth["calls"]
    talks = [talk for call in calls for talk in call.talks]
    rows = {part: made["rows"] for part, made in report.items()}
    loose = collections.Counter()
    for death in truth["deaths"]:
        quarter = (BEGIN_MS + death["at_ms"]) // QUARTER_MS * QUARTER_MS // 1000
        for near in (quarter - QUARTER_MS // 1000, quarter, quarter + QUARTER_MS // 1000):
            loose[near] += RESTART_MS

    def same(what, ours, theirs, within=0):
        if abs(ours - theirs) > within:
            differences.append("%s: %s in the report, %s by the world" % (what, ours, theirs))

    def total(part, field):
        return sum(row[field] for row in rows[part])
    same("calls in", total("trunk_groups", "in_calls"), len(calls))
    same("calls answered by the switch", total("trunk_groups", "in_answered"), sum(call.answered is not None for call in calls))
    same("callers connected with an agent", total("queues", "answered"), len(talks))
    same("agents connected with a caller", total("agents", "connected"), len(talks))
    same("callers who gave up waiting", total("queues", "abandoned") + total("queues", "short_abandoned"),
         sum(call.how == "abandoned" for call in calls))
    held = _overlaps([(call.began, call.ended) for call in calls])
    for row in rows["trunk_groups"]:
        same("trunks held at %d" % row["start_s"], row["seized_ms"], held[row["start_s"]], 20 * loose[row["start_s"]])
    talked = collections.defaultdict(list)
    for agent, begin, end in talks:
        talked[agent].append((begin, end))
    talked = {agent: _overlaps(spans) for agent, spans in talked.items()}
    for row in rows["agents"]:
        same("talk of %s at %d" % (row["name"], row["start_s"]), row["talking_ms"] + row["holding_ms"],
             talked.get(row["name"], {}).get(row["start_s"], 0), 2 * loose[row["start_s"]])
    return differences
