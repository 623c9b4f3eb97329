"""The scenarios of firmware/ivr under CPython; the portability gate runs the same under MicroPython."""

import pytest

from tests.portability.scenarios import ivr_core


@pytest.mark.parametrize("name", ("checks", "walk", "wrong_and_missing", "ahead", "no_prompts"))
def test_scenario(name):
    getattr(ivr_core, name)()
