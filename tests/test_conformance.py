"""The verdicts of `make conformance`: the last run of a test counts, and a person sees what failed and why."""

import json
import os
import subprocess
import sys
import types

from tests import conformance
from tests.evidence import peer_of


def report(node, outcome, when="call", why=""):
    return types.SimpleNamespace(nodeid=node, when=when, passed=outcome == "passed", failed=outcome == "failed",
                                 skipped=outcome == "skipped", longrepr=why)


def test_the_far_end_of_a_test_is_named():
    assert [peer_of("tests/" + node) for node in ("proto/test_isup_libss7.py::test_storm[itu]", "live/test_ss7.py::test_a", "live/test_ss7_script.py::test_b", "proto/test_mtp2.py::t")] == [
        "libss7 2.0.0", "libss7 2.0.0", "scripted (hil/far/ss7_script.py)", "scripted (tests/proto/test_mtp2.py)"]


def test_what_a_machine_said_and_heard_is_a_file(tmp_path):
    """In a process of its own: the plugin listens at the machines of the whole process."""
    done = subprocess.run([sys.executable, "-m", "tests.conformance", "-k", "test_dm_on_an_established_link", *("--ignore-glob=" + pattern for pattern in (
        "*/tests/test_*", "*/proto/test_[!q]*", "*/proto/test_q93*", "*/proto/test_q921_*")), *(
        "--ignore=" + str(path) for path in conformance.ROOT.joinpath("tests").iterdir() if path.is_dir() and path.name != "proto")],
        cwd=conformance.ROOT, env={**os.environ, "STROWGER_CONFORMANCE": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    row = next(row for row in json.loads((tmp_path / "conformance.json").read_text()) if row["verdict"] == "pass")
    trace = (tmp_path / row["trace"]).read_bytes()
    assert row["standard"] == "Q.921" and row["peer"].startswith("scripted") and trace[:4] == b"\x0a\x0d\x0d\x0a" and len(trace) > 200


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
