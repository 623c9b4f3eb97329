"""The scenarios of firmware/ivr under CPython; the portability gate runs the same under MicroPython."""

import copy

import pytest
from hypothesis import given, settings, strategies as st

from firmware.config import demo
from firmware.ivr import flow
from tests.portability.scenarios import ivr_core


@pytest.mark.parametrize("name", ("checks", "walk", "wrong_and_missing", "ahead", "no_prompts", "entries", "too_large", "programs", "expressions", "rings"))
def test_scenario(name):
    getattr(ivr_core, name)()


FLOW = demo.configuration({name: "secret-" + name for name in demo.AGENTS})["ivr"]["main"]
JSON = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.sampled_from(sorted(flow.TYPES)), st.text(max_size=3)),
                    lambda deeper: st.one_of(st.lists(deeper, max_size=3), st.dictionaries(st.text(max_size=3), deeper, max_size=3)), max_leaves=4)
KEYS = sorted({key for rule in flow.TYPES.values() for key in (*rule["must"], *rule["may"])} | {"type", "note", "odd"})


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FLOW["nodes"])), st.sampled_from(KEYS), JSON)
def test_a_flow_with_any_value_anywhere_is_judged_and_never_raises(name, key, value):
    data = copy.deepcopy(FLOW)
    data["nodes"][name][key] = value
    assert isinstance(flow.check(data, "f", {"sales"}, {"1001"}, {"1001"}), list)
    for part in ("version", "languages", "start", "nodes"):
        assert isinstance(flow.check({**data, part: value}, "f", None, None, None), list)
    assert flow.check({**data, "nodes": {**data["nodes"], name: value}}, "f")
    assert isinstance(flow.check(value, "f"), list)
