"""The scenarios of firmware/acd under CPython; the portability gate runs the same under MicroPython."""

import pytest

from tests.portability.scenarios import acd_core


@pytest.mark.parametrize("name", ("order", "readiness", "choice", "formulas", "queue_figures", "days", "agent_figures"))
def test_scenario(name):
    getattr(acd_core, name)()
