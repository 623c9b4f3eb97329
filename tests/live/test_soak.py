"""A sample of `make soak`: half a minute of calls, control killed in it; everything is accounted for."""

import json

import pytest

from hil import soak

pytestmark = pytest.mark.live


def test_half_a_minute_of_soak(tmp_path):
    ended = soak.main(["--seconds", "30", "--calls-a-second", "3", "--kill-every", "13", "--out", str(tmp_path)])
    report = json.loads((tmp_path / "soak.json").read_text(encoding="utf-8"))
    assert ended == 0, [check for check in report["checks"] if not check["ok"]] + report["failures"]
    assert report["kills"] and report["outcomes"]["ended by the caller"] > 20
    assert (tmp_path / "soak.svg").read_text(encoding="utf-8").startswith("<svg")
