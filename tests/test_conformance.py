"""The verdicts of `make conformance`: the last run of a test counts, and a person sees what failed and why."""

import types

from tests import conformance


def report(node, outcome, when="call", why=""):
    return types.SimpleNamespace(nodeid=node, when=when, passed=outcome == "passed", failed=outcome == "failed",
                                 skipped=outcome == "skipped", longrepr=why)


def test_verdicts():
    verdicts = conformance.Verdicts()
    verdicts.marked = {"a": [("X.1", "1", "one")], "b": [("X.1", "1", "one"), ("X.1", "2", "two")], "c": [("X.10", "7", "seven")]}
    verdicts.pytest_runtest_logreport(report("a", "passed", "setup"))
    assert verdicts.rows == {}
    verdicts.pytest_runtest_logreport(report("a", "passed"))
    verdicts.pytest_runtest_logreport(report("b", "failed", why="long\nt.py:1: AssertionError"))
    verdicts.pytest_runtest_logreport(report("c", "skipped", "setup", ("t.py", 3, "Skipped: no peer")))
    verdicts.pytest_runtest_logreport(report("other", "failed"))
    rows = list(verdicts.rows.values())
    assert [(row["number"], row["verdict"]) for row in rows] == [("1", "fail"), ("2", "fail"), ("7", "not-run")]
    rows += [{"standard": "X.10", "number": str(n), "purpose": "p", "verdict": "not-run", "note": "no test yet"} for n in (8, 9)]
    lines = conformance.told(rows)
    assert lines[1].split() == ["X.1", "0", "2", "0"] and lines[3].split() == ["all", "0", "2", "3"]
    assert lines[4] == "FAILED  X.1 1: one\n        b: t.py:1: AssertionError"
    assert lines[6:] == ["not run X.10 (Skipped: no peer): 7", "not run X.10 (no test yet): 8, 9"]
