"""The scenarios of firmware/acd under CPython; the portability gate runs the same under MicroPython."""

import pytest

from tests.portability.scenarios import acd_core, acd_rules


@pytest.mark.parametrize("name", ("order", "readiness", "choice", "formulas", "queue_figures", "days", "agent_figures"))
def test_scenario(name):
    getattr(acd_core, name)()


@pytest.mark.parametrize("name", ("needs", "rules", "choices", "shares", "loads"))
def test_rules(name):
    getattr(acd_rules, name)()
