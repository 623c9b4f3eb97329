"""`make conformance`: the tests that bear a standard's number, as build/conformance.json.

A test says what it proves with a marker:

    @pytest.mark.conformance("Q.921", "5.5.1.2", "establishment: SABME answered by UA")

The verdict is pass or fail.  A purpose that has no test yet is listed as
not-run where shared/reference/conformance.tsv is at hand.
"""

import csv
import json
import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PURPOSES = pathlib.Path(os.environ.get("STROWGER_SHARED", ROOT.parent / "shared")) / "reference/conformance.tsv"


class Verdicts:
    """A pytest plugin: keeps only marked tests and notes how they ended."""

    def __init__(self):
        self.rows = {}

    def pytest_collection_modifyitems(self, config, items):
        marked = [item for item in items if item.get_closest_marker("conformance")]
        config.hook.pytest_deselected(items=[item for item in items if item not in marked])
        items[:] = marked

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = (yield).get_result()
        if report.when != "call" and report.passed:
            return
        for marker in item.iter_markers("conformance"):
            standard, number, purpose = marker.args
            row = self.rows.setdefault((standard, number), {
                "standard": standard, "number": number, "purpose": purpose, "verdict": "pass", "note": ""})
            if report.failed:
                row.update(verdict="fail", note=f"{item.nodeid}: {str(report.longrepr).splitlines()[-1]}"[:300])
            elif report.skipped and row["verdict"] == "pass":
                row.update(verdict="not-run", note=str(report.longrepr)[-200:])
            elif not row["note"]:
                row["note"] = item.nodeid


def main():
    verdicts = Verdicts()
    pytest.main(["-q", str(ROOT / "tests"), *sys.argv[1:]], plugins=[verdicts])
    rows = dict(verdicts.rows)
    if PURPOSES.exists():
        with open(PURPOSES, newline="") as file:
            for entry in csv.DictReader(file, delimiter="\t"):
                rows.setdefault((entry["standard"], entry["number"]), {
                    **{k: entry[k] for k in ("standard", "number", "purpose")}, "verdict": "not-run",
                    "note": "no test yet"})
    output = ROOT / "build/conformance.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(list(rows.values()), indent=1) + "\n")
    table = {}
    for row in rows.values():
        counts = table.setdefault(row["standard"], {"pass": 0, "fail": 0, "not-run": 0})
        counts[row["verdict"]] += 1
    print(f"\n{'standard':12} {'pass':>5} {'fail':>5} {'not-run':>8}")
    for standard, counts in sorted(table.items()):
        print(f"{standard:12} {counts['pass']:5} {counts['fail']:5} {counts['not-run']:8}")
    print(f"written: {output}")
    return 1 if any(row["verdict"] == "fail" for row in rows.values()) or not verdicts.rows else 0


if __name__ == "__main__":
    sys.exit(main())
