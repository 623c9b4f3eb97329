"""`make conformance`: the tests that bear a standard's number, as build/conformance.json.

A test says what it proves with a marker:

    @pytest.mark.conformance("Q.921", "5.5.1.2", "establishment: SABME answered by UA")

Beside it stand the evidence: who was at the other end, and the file of what was said (tests/evidence.py).  The verdict is pass or fail, not-run for a test that was skipped.  A purpose that has no test yet is listed as
not-run where reference/conformance.tsv stands beside the corpus, what cannot be run is in tests/not_run.tsv.  What failed and what was not run is named below the table.
"""

import csv
import json
import os
import pathlib
import sys

import pytest

from tests.corpus import REFERENCE
from tests.evidence import BUILD, Evidence, peer_of

ROOT = pathlib.Path(__file__).resolve().parents[1]
NOT_RUN = ROOT / "tests" / "not_run.tsv"           # what cannot be run, and why
PURPOSES = REFERENCE / "conformance.tsv"


class Verdicts:
    """A pytest plugin: keeps only marked tests and notes how they ended."""

    def __init__(self, evidence=None):
        self.evidence = evidence
        self.rows = {}
        self.marked = {}        # node id: [(standard, number, purpose)]

    def pytest_collection_modifyitems(self, config, items):
        marked = [item for item in items if item.get_closest_marker("conformance")]
        config.hook.pytest_deselected(items=[item for item in items if item not in marked])
        items[:] = marked
        self.marked = {item.nodeid: [marker.args for marker in item.iter_markers("conformance")] for item in marked}

    def pytest_runtest_logreport(self, report):
        """What counts in the end: a test in real time that was run again (conftest.py) reports its last run only."""
        if report.when != "call" and report.passed:
            return
        for standard, number, purpose in self.marked.get(report.nodeid, ()):
            row = self.rows.setdefault((standard, number), {
                "standard": standard, "number": number, "purpose": purpose, "verdict": "pass", "note": ""})
            if report.failed:
                row.update(verdict="fail", note=f"{report.nodeid}: {str(report.longrepr).splitlines()[-1]}"[:300])
            elif report.skipped and row["verdict"] == "pass":
                row.update(verdict="not-run", note=_why_skipped(report))
            elif not row["note"]:
                row["note"] = report.nodeid
                row.update(peer=peer_of(report.nodeid), trace=self.evidence.paths.get(report.nodeid, "") if self.evidence else "")


def _why_skipped(report):
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)[-200:]


def told(rows):
    """The table for people, as lines; then what failed and what was not run, with the reason."""
    table = {}
    for row in rows:
        counts = table.setdefault(row["standard"], {"pass": 0, "fail": 0, "not-run": 0})
        counts[row["verdict"]] += 1
    total = {verdict: sum(counts[verdict] for counts in table.values()) for verdict in ("pass", "fail", "not-run")}
    width = max([len(standard) for standard in table] + [8])
    lines = [f"{'standard':{width}} {'pass':>5} {'fail':>5} {'not-run':>8}"]
    for standard, counts in [*sorted(table.items()), ("all", total)]:
        lines.append(f"{standard:{width}} {counts['pass']:5} {counts['fail']:5} {counts['not-run']:8}")
    for row in rows:
        if row["verdict"] == "fail":
            lines.append(f"FAILED  {row['standard']} {row['number']}: {row['purpose']}\n        {row['note']}")
    absent = {}
    for row in rows:
        if row["verdict"] == "not-run":
            absent.setdefault((row["standard"], row["note"]), []).append(row["number"])
    for (standard, note), numbers in absent.items():
        lines.append(f"not run {standard} ({note}): {', '.join(numbers)}")
    return lines


def main():
    os.environ["STROWGER_WHOLE"] = "1"      # what tests run as a sample is run whole
    os.environ.setdefault("STROWGER_MUTATIONS", "100000")
    evidence = Evidence()
    verdicts = Verdicts(evidence)
    pytest.main(["-q", str(ROOT / "tests"), *sys.argv[1:]], plugins=[verdicts, evidence])
    rows = dict(verdicts.rows)
    with open(NOT_RUN, newline="") as file:
        for entry in csv.DictReader(file, delimiter="\t"):
            rows.setdefault((entry["standard"], entry["number"]), {
                **{k: entry[k] for k in ("standard", "number", "purpose")}, "verdict": "not-run", "note": entry["why"]})
    if PURPOSES.exists():
        with open(PURPOSES, newline="") as file:
            for entry in csv.DictReader(file, delimiter="\t"):
                rows.setdefault((entry["standard"], entry["number"]), {
                    **{k: entry[k] for k in ("standard", "number", "purpose")}, "verdict": "not-run",
                    "note": "not part of this run" if sys.argv[1:] else "no test yet"})
    output = BUILD / "conformance.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(list(rows.values()), indent=1) + "\n")
    print("", *told(list(rows.values())), f"written: {output}", sep="\n")
    return 1 if any(row["verdict"] == "fail" for row in rows.values()) or not verdicts.rows else 0


if __name__ == "__main__":
    sys.exit(main())
