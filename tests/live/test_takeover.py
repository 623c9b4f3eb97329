"""Control is killed while SIP calls are up: hil/load/takeover.py with few of them; `make bench` has 500."""

import shutil

import pytest

from hil.load import takeover
from tests.conftest import WHOLE_ONLY

pytestmark = [pytest.mark.live, pytest.mark.skipif(not shutil.which("sipp"), reason="sipp is not installed (Debian: sip-tester)")]
CALLS = 20


@WHOLE_ONLY
@pytest.mark.conformance("RFC 4028", "live takeover", "control killed with calls up: no packet lost, sessions refreshed, re-INVITE and BYE work after, one CDR each")
def test_calls_go_on_when_control_is_killed(tmp_path):
    found = takeover.measure(tmp_path, CALLS)
    assert (found["calls"], found["legs"]) == (CALLS, 2 * CALLS), found
    assert found["lost"] == 0 and found["packets"] > 0, found
    assert (found["refreshed"], found["reinvited"], found["ended"], found["failed"], found["cdrs"]) == (CALLS, CALLS, CALLS, 0, CALLS), found
