"""A sample of `make soak SOAK=density`: a few channels for some seconds; recordings begin anew, and what was done is proved."""

import json

import pytest

from tests import soak_density


def test_two_minutes_of_three_seconds(tmp_path):
    soak_density.main(["--seconds", "6", "--minute", "3", "--channels", "128", "--out", str(tmp_path)])       # whether a tick was late is the host's here
    report = json.loads((tmp_path / "soak-density.json").read_text(encoding="utf-8"))
    assert [row["channels"] for row in report["rows"]] == [128, 128] and all(row["ticks"] > 200 for row in report["rows"])
    assert report["proof"]["echo_loss_db"][0] > 20 and report["proof"]["digits_found"][0] > 0.8
    assert (tmp_path / "soak-density.svg").read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize("wrong", [{"late": 1}, {"p999_ms": 8.1}, {"resident_mb": 400.0}])
def test_each_verdict_can_fail(wrong):
    row = {"late": 0, "p999_ms": 5.0, "resident_mb": 300.0}
    proof = {"echo_loss_db": (37.0, "dB", ""), "digits_found": (0.99, "", "")}
    assert all(check["ok"] for check in soak_density.verdicts([row, row], proof))
    assert not all(check["ok"] for check in soak_density.verdicts([row, row | wrong], proof))
