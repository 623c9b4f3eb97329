"""The telephone in the page (webui/static/phone.js) that takes a call over which the page before it had: what else happens meanwhile."""

import json
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
SCRIPT = HERE.parents[1] / "webui" / "static" / "phone.js"
TAKES_OVER = "calls 1001 Replaces: c@box;to-tag=t;from-tag=o"


def page(case):
    """What became of a case of phone_page.mjs."""
    if not shutil.which("node"):
        pytest.fail("node is needed: make setup installs it (Debian: nodejs)")
    done = subprocess.run(["node", str(HERE / "phone_page.mjs"), str(SCRIPT), case], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_call_that_comes_in_between_is_told_busy_and_the_takeover_goes_on():
    assert page("between") == {"log": ["early ended with 486", TAKES_OVER, "late ended with 486"], "state": "talking", "talks": "own", "former": False}


def test_nobody_dials_in_between():
    found = page("dialled")
    assert found["log"] == [TAKES_OVER] and found["talks"] == "own"


def test_a_takeover_that_fails_leaves_a_telephone_that_rings():
    assert page("after") == {"log": [TAKES_OVER], "state": "ringing", "talks": "next", "former": False}


def test_who_is_refused_and_logs_in_anew_has_calls_again():
    assert page("refused") == {"log": [], "state": "ringing", "talks": "next", "former": False}
