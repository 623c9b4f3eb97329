"""Settings of R2 and E&M spans: their names against the tables they are of, errors in sentences, old files."""

import pytest

from boardconfig.r2_variants import r2_variants
from firmware.call.trunk_group import bearers
from firmware.config import cas, demo
from firmware.config.schema import check
from firmware.proto.cas import address, r2_table, t1_circuit, t1_table
from firmware.proto.r2 import circuit, table, variant


def configured(**span):
    config = demo.configuration({name: "secret" + name for name in demo.AGENTS})
    config["spans"] = [{"span": 3, "trunk_group": "carrier", **span}]
    return check(config)


def test_names_are_those_of_the_machines():
    assert cas.R2_VARIANTS == tuple(r2_variants())
    assert cas.CATEGORIES == variant.CATEGORIES
    assert set(cas.PROTOCOLS) == set(t1_circuit.SIGNALLING)
    known = {**r2_table.TIMERS, **table.TIMERS, **address.TIMERS, **circuit.TIMERS}
    assert set(cas.R2_TIMERS) <= set(known)
    assert set(cas.CAS_TIMERS) <= set({**t1_table.TIMERS, **address.TIMERS, **t1_circuit.TIMERS})
    assert "RECOGNITION" not in cas.R2_TIMERS + cas.CAS_TIMERS, "media recognises"


def test_a_span_of_before_has_defaults():
    result, errors = configured()
    row = result["spans"][0]
    assert not errors and row["signalling"] == "pri" and row["r2"]["variant"] == "cn" and row["cas"]["protocol"] == "em_wink"
    assert bearers(row) == [t for t in range(1, 32) if t != 16]


@pytest.mark.parametrize("span, timeslots", [
    (dict(signalling="r2"), [t for t in range(1, 32) if t != 16]), (dict(signalling="r2", r2={"circuits": "1-3,16,31"}), [1, 2, 3, 31]),
    (dict(signalling="r2", d_timeslot=5), [t for t in range(1, 32) if t != 16]),
    (dict(signalling="cas", type="t1", crc4=False), list(range(1, 25))), (dict(signalling="cas", cas={"circuits": "30"}), [30])])
def test_bearers(span, timeslots):
    result, errors = configured(**span)
    assert not errors, [str(error) for error in errors]
    assert bearers(result["spans"][0]) == timeslots


@pytest.mark.parametrize("span, path, word", [
    (dict(signalling="r2", r2={"variant": "xx"}), "r2.variant", "choose"),
    (dict(signalling="r2", r2={"circuits": "0-3"}), "r2.circuits", "1 to 31"),
    (dict(signalling="r2", r2={"circuits": "9-3"}), "r2.circuits", "1 to 31"),
    (dict(signalling="r2", r2={"circuits": "16"}), "r2.circuits", "signalling"),
    (dict(signalling="r2", r2={"circuits": "a"}), "r2.circuits", "ranges"),
    (dict(signalling="r2", type="t1"), "signalling", "E1"),
    (dict(signalling="r2", r2={"timers": {"T9": 5}}), "timers.T9", "known"),
    (dict(signalling="r2", r2={"timers": {"T1": -1}}), "timers.T1", "range"),
    (dict(signalling="r2", r2={"called_length": 33}), "called_length", "range"),
    (dict(signalling="r2", r2={"hold_clear_back_s": 5, "timers": {"T_CLEAR_BACK": 1}}), "T_CLEAR_BACK", "remove"),
    (dict(signalling="cas", cas={"protocol": "fxo_loop"}), "cas.protocol", "T1"),
    (dict(signalling="cas", cas={"protocol": "fgd", "address": "dtmf"}), "cas.address", "MF"),
    (dict(signalling="cas", cas={"pilot": "123"}), "cas.pilot", "fxo"),
    (dict(signalling="cas", cas={"answer_after_s": 3}), "answer_after_s", "fxo")])
def test_errors_are_sentences(span, path, word):
    result, errors = configured(**span)
    assert len(errors) == 1 and path in errors[0].path and word in errors[0].advice, [str(error) for error in errors]
