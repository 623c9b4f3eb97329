"""The configuration: checked with advice, replaced whole, kept in history."""

import copy
import json
import pathlib
import sys

import pytest
from hypothesis import given, settings, strategies as st

from firmware.config import demo, schema
from firmware.ivr import flow
from firmware.config.store import ConfigStore, differences
from firmware.errors import ConfigError, LocalError

DEMO = demo.configuration({name: "secret-" + name for name in demo.AGENTS})


def changed(path_value):
    data = copy.deepcopy(DEMO)
    for path, value in path_value.items():
        part = data
        *parents, last = [int(k) if k.isdigit() else k for k in path.split("/")]
        for key in parents:
            part = part[key]
        part[last] = value
    return data


def test_the_demo_configuration_is_valid_and_complete():
    checked, errors = schema.check(DEMO, flow.check)
    assert not errors
    assert checked["sip"]["port"] == 5060
    assert checked["spans"][0]["d_timeslot"] == 16
    assert schema.check(checked) == (checked, [])


@pytest.mark.parametrize("change, path, word", [
    ({"spans/0/d_timeslot": 32}, "spans[0].d_timeslot", "1 to 31"),
    ({"spans/0/d_timeslot": "16"}, "spans[0].d_timeslot", "whole number"),
    ({"site/name": "\ud800"}, "site.name", "half a character"),
    ({"ivr/main/start": "\udfff"}, "ivr.main.start", "half a character"),
    ({"spans/1/span": 1}, "spans[1].span", "already used"),
    ({"spans/0/trunk_group": "carier"}, "spans[0].trunk_group", "carrier"),
    ({"numbers/0/target": "mian"}, "numbers[0].target", "main"),
    ({"numbers/0/number": "021/5080"}, "numbers[0].number", "digits"),
    ({"agents/0/queues/0/queue": "nobody"}, "agents[0].queues[0].queue", "sales"),
    ({"agents/1/line": "1001"}, "agents[1].line", "already belongs"),
    ({"lines/0/password": "a b"}, "lines[0].password", "6 to 64"),
    ({"spans/0/colour": "red"}, "spans[0].colour", "not a setting"),
    ({"site/languages": ["fr"]}, "site.languages", "zh_CN"),
    ({"queues": 7}, "queues", "list"),
])
def test_a_wrong_setting_gets_its_path_and_advice(change, path, word):
    _, errors = schema.check(changed(change))
    assert [e.path for e in errors] == [path]
    assert word in errors[0].advice


def test_a_number_that_is_missing_says_what_it_is():
    data = changed({})
    del data["numbers"][0]["number"]
    _, errors = schema.check(data)
    assert errors[0].path == "numbers[0].number" and "called number" in errors[0].advice


def test_apply_keeps_history_and_refuses_a_stale_editor(tmp_path):
    store = ConfigStore(tmp_path / "configuration.json", DEMO)
    assert store.running()["revision"] == 1
    candidate = copy.deepcopy(store.running())
    candidate["queues"][0]["offer_timeout_s"] = 30
    report = store.propose(candidate)
    assert report["ok"] and report["changes"] == [{"path": "queues[0].offer_timeout_s", "old": 15, "new": 30}]
    assert store.running()["queues"][0]["offer_timeout_s"] == 15
    store.apply(candidate, 1)
    with pytest.raises(LocalError, match="changed meanwhile"):
        store.apply(candidate, 1)
    again = ConfigStore(tmp_path / "configuration.json")
    assert again.running()["revision"] == 2 and again.running()["queues"][0]["offer_timeout_s"] == 30
    kept = json.loads((tmp_path / "configuration.history" / "00000001.json").read_text())
    assert kept["queues"][0]["offer_timeout_s"] == 15


def test_a_bad_candidate_changes_nothing(tmp_path):
    store = ConfigStore(tmp_path / "configuration.json", DEMO)
    before = (tmp_path / "configuration.json").read_bytes()
    with pytest.raises(ConfigError):
        store.apply(changed({"spans/0/span": 65}), 1)
    assert (tmp_path / "configuration.json").read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"spans": {}}', "\x00"])
def test_a_broken_file_is_one_clear_error(tmp_path, text):
    (tmp_path / "configuration.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        ConfigStore(tmp_path / "configuration.json")
    assert caught.value.advice


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                           lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
                               st.sampled_from(list(schema.SCHEMA.fields) + ["span", "name", "x"]), inner, max_size=4),
                           max_leaves=20)


@settings(deadline=None)
@given(json_values)
def test_no_data_raises(value):
    schema.check(value)


@settings(deadline=None)
@given(st.sampled_from(["spans", "queues", "agents", "numbers", "lines", "site", "ivr"]), json_values)
def test_no_data_in_a_valid_file_raises(part, value):
    _, errors = schema.check({**DEMO, part: value})
    for error in errors:
        assert error.path and error.advice


def test_differences_of_equal_data_is_nothing():
    assert differences(DEMO, copy.deepcopy(DEMO)) == []


def test_every_country_of_the_board_configuration_can_be_chosen():
    offered = schema.SCHEMA.fields["site"].fields["country"].choices
    plans = pathlib.Path(__file__).parents[2] / "boardconfig" / "countries"
    assert sorted(offered) == sorted(path.stem for path in plans.glob("*.json"))


def test_what_a_number_and_a_node_cost_does_not_grow_with_their_count():
    """Counted in calls of functions, not timed; square growth would be 100-fold."""
    def cost(count):
        data = copy.deepcopy(DEMO)
        data["routes"] = [{"number": f"7{i:05d}.", "choices": [{"trunk_group": "carrier"}]} for i in range(count)]
        data["numbers"] += [{"number": f"7{i:05d}", "application": "outside", "target": f"7{i:05d}123"} for i in range(count)]
        nodes = {f"n{i}": {"type": "language", "language": "en", "next": f"n{i + 1}"} for i in range(count)}
        data["ivr"]["long"] = {"version": 1, "languages": ["en"], "start": "n0", "nodes": {**nodes, f"n{count}": {"type": "hangup"}}}
        calls = [0]

        def count_one(frame, event, argument):
            calls[0] += 1
        sys.setprofile(count_one)
        try:
            errors = schema.check(data, flow.check)[1]
        finally:
            sys.setprofile(None)
        assert errors == []
        return calls[0]
    fixed = cost(0)
    assert cost(300) - fixed < 15 * (cost(30) - fixed)


def test_spans_with_one_d_channel_fit_together():
    """NFAS: one primary, back-up only where the variant has one, different interface identifiers, one kind of span."""
    from firmware.config import schema

    def errors(*changes):
        spans = [{"span": n, "type": "t1", "d_timeslot": 24, "crc4": False, "variant": "ni2", "trunk_group": "t",
                  "nfas": {"group": "g", "interface": n - 1, "d_channel": kind}} for n, kind in ((1, "primary"), (2, "backup"), (3, "none"))]
        for number, key, value in changes:
            (spans[number - 1]["nfas"] if key in ("group", "interface", "d_channel") else spans[number - 1])[key] = value
        return [str(error.path) for error in schema.check({"spans": spans, "trunk_groups": [{"name": "t"}, {"name": "u"}]})[1]]
    assert errors() == []
    assert errors((1, "d_channel", "none")) == ["spans[0].nfas.d_channel"]
    assert errors((3, "d_channel", "backup")) == ["spans[0].nfas.d_channel"]
    assert errors((3, "interface", 1)) == ["spans[2].nfas.interface"]
    assert errors((2, "trunk_group", "u")) == ["spans[1].trunk_group"]
    assert errors(*[(n, "variant", "etsi") for n in (1, 2, 3)]) == ["spans[1].nfas.d_channel"]
    assert errors((1, "timers", {"T303": 5000, "T999": 1000})) == ["spans[0].timers.T999"]
    assert errors((1, "timers", {"T303": 0})) == ["spans[0].timers.T303"] and not errors((1, "timers", {"T309": 0}))
