"""`make demo` as a test: the whole call, in a browser, with real speech both ways (conftest.py repeats it after stalls of the host)."""

import json
import subprocess
import sys

import pytest

from hil.rig import CHECKOUT

pytestmark = pytest.mark.live


def demonstrate():
    done = subprocess.run([sys.executable, "-m", "hil.demo", "--once"], cwd=CHECKOUT, capture_output=True, text=True, timeout=240)
    return done, json.loads((CHECKOUT / "build/demo/report.json").read_text())


def test_the_demonstration_holds():
    done, report = demonstrate()
    failed = [check for check in report["checks"] if not check["ok"]]
    assert not failed and report["ok"] and done.returncode == 0, f"{failed}\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
    names = " ".join(check["name"] for check in report["checks"])
    for part in ("web.live_call", "web.recording plays", "audio.first: agent hears caller", "audio.second: recording left",
                 "cdr.result", "pri.release_cause"):
        assert part in names, f"the demonstration no longer checks {part}"
