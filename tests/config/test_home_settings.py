"""Settings of home agents' telephones."""

import copy

import pytest

from firmware.config import demo, schema

DEMO = demo.configuration({name: "secret-" + name for name in demo.AGENTS})


@pytest.mark.parametrize("number, refused", [("110", True), ("120", True), ("913911112222", False)])
def test_nobody_works_at_an_emergency_number(number, refused):
    given = copy.deepcopy(DEMO)
    given["lines"][0]["home"] = {"number": number, "confirm": "none"}
    _, errors = schema.check(given)
    assert [error.path for error in errors] == (["lines[0].home.number"] if refused else [])
