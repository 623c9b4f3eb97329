"""The text form of flows: round trips, what differs, errors with their line."""

import copy
import json

import pytest
from hypothesis import given, settings, strategies as st

from firmware.config import demo
from firmware.errors import LocalError
from firmware.ivr import text
from tests.control.test_ivr import NODES
from tests.portability.scenarios import ivr_core

FLOWS = (demo.menu_flow(), ivr_core.bank(), ivr_core.demo(), {"version": 3, "languages": ["en"], "start": "hello", "note": "x \"y\"\n", "nodes": NODES})


@pytest.mark.parametrize("flow", FLOWS)
def test_round_trip(flow):
    written = text.write(flow)
    assert text.read(written) == flow and text.write(text.read(written)) == written
    assert text.read(written.replace("\n\n", "\n// a comment\n")) == flow


VALUES = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(-10 ** 9, 10 ** 9), st.text(max_size=12)),
                      lambda deeper: st.one_of(st.lists(deeper, max_size=3), st.dictionaries(st.text(min_size=1, max_size=5), deeper, max_size=3)), max_leaves=8)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.text(min_size=1, max_size=8))
def test_any_value_under_any_name_comes_back(value, name):
    flow = {"version": 1, "languages": ["en"], "start": name, "nodes": {name: {"type": "http", "body": value, "query": {name: value}, "statuses": [value]}}}
    assert text.read(text.write(flow)) == flow


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="abc: \n-\"{}[]0.", max_size=60))
def test_what_is_no_flow_is_told_with_its_line(given):
    for written in (given, "flow version 1\nlanguages en\nstart a\n" + given):
        try:
            text.read(written)
        except LocalError as error:
            assert str(error).startswith("line ")


def test_one_change_is_one_line():
    flow = demo.menu_flow()
    other = copy.deepcopy(flow)
    other["nodes"]["menu"]["choices"]["3"] = "operator"
    before, after = text.write(flow).split("\n"), text.write(other).split("\n")
    assert [line for line in after if line not in before] == ["    3 operator"] and len(after) == len(before) + 1
    assert text.write(json.loads(json.dumps(flow))) == text.write(flow)


@pytest.mark.parametrize("written, line", [
    ("", 1), ("flow version x", 1), ("flow version 1\nlanguages en\nstart a\n   x y", 4), ("flow version 1\nlanguages en\nstart a\n  x y", 4),
    ("flow version 1\nlanguages en\nstart a\na: play\n  prompts\n    - x\n    y z", 7), ("flow version 1\nlanguages en\nstart a\na: play\na: play", 5),
    ("flow version 1\nlanguages en\nstart a\na: play\n  next two words", 5), ("flow version 1\nlanguages en\nstart a\na: play\n  prompts [\"x\"", 5)])
def test_errors(written, line):
    with pytest.raises(LocalError, match="^line %d: " % line):
        text.read(written)
