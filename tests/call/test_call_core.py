"""The scenarios of firmware/call under CPython; the portability gate runs the same under MicroPython."""

import pytest

from tests.portability.scenarios import call_core


@pytest.mark.parametrize("name", ("number_plan", "routing", "trunk_groups", "outside_calls", "plain_data", "cdr"))
def test_scenario(name):
    getattr(call_core, name)()
