"""SS7 settings that can be written and cannot work are refused where they are new, with a sentence; what runs already is left alone."""

import copy

import pytest

from firmware.config import demo, schema
from firmware.control import feasible_ss7


def configured(change=lambda point: None):
    config = demo.configuration({name: "secret" + name for name in demo.AGENTS})
    config["spans"] = [{"span": n, "signalling": "ss7", "trunk_group": "carrier"} for n in (1, 2)]
    config["ss7"] = [{
        "name": "cn", "variant": "china", "point_code": "11-22-33",
        "linksets": [{"name": "a", "adjacent": "11-22-44", "links": [{"span": 1, "timeslot": 16, "slc": 0}]},
                     {"name": "b", "adjacent": "11-22-66", "links": [{"span": 2, "timeslot": 16, "slc": 0}]}],
        "routes": [{"destination": "11-22-55", "linkset": "a"}, {"destination": "11-22-55", "linkset": "b", "priority": 1}],
        "circuit_groups": [{"name": "g", "destination": "11-22-55", "circuits": [{"cic": 0, "span": 1, "timeslot": 1}]}]}]
    change(config["ss7"][0])
    result, errors = schema.check(config)
    assert errors == [], errors
    return result


def link(timeslot, slc):
    return {"span": 2, "timeslot": timeslot, "slc": slc}


def another_linkset(point, slc):
    point["linksets"].append({"name": "c", "adjacent": "11-22-44", "links": [link(20, slc)]})


@pytest.mark.parametrize("change, path, words", [
    (lambda p: p.update(point_code="0-0-0"), "point_code", "no exchange's"),
    (lambda p: p["linksets"][1].update(adjacent="0"), "linksets[1].adjacent", "no exchange's"),
    (lambda p: p["routes"].append({"destination": "0", "linkset": "a"}), "routes[2].destination", "no exchange's"),
    (lambda p: p["routes"].append(copy.deepcopy(p["routes"][1])), "routes[2]", "is routes[1] already"),
    (lambda p: p["routes"].append({"destination": str(11 << 16 | 22 << 8 | 55), "linkset": "a", "priority": 5}), "routes[2]", "is routes[0] already"),
    (lambda p: p["routes"].append({"destination": "11-22-44", "linkset": "a", "priority": 5}), "routes[2].destination", "without a route"),
    (lambda p: another_linkset(p, 0), "linksets[2].links[0].slc", "linksets[0].links[0]"),
    (lambda p: p["circuit_groups"].append({"name": "h", "destination": "11-22-55", "circuits": []}), "circuit_groups[1].circuits", "no circuit"),
    (lambda p: p["circuit_groups"].append({"name": "h", "destination": "11-22-55", "circuits": [{"cic": 48, "span": 2, "timeslot": 16, "count": 1}]}),
     "circuit_groups[1].circuits", "no circuit"),
    (lambda p: p.update(mtp2_parameters={"T4N": 1}), "mtp2_parameters.T4N", "1 ms"),
    (lambda p: p.update(mtp3_timers={"SLT_T2": 10}), "mtp3_timers.SLT_T2", "10 ms"),
    (lambda p: p.update(isup_timers={"T1": 1}), "isup_timers.T1", "1 ms"),
    (lambda p: p.update(mtp2_parameters={"N1": 128}), "mtp2_parameters.N1", "127"),
    (lambda p: p.update(mtp2_parameters={"QUEUE_CONGESTED": 50}), "mtp2_parameters", "64, 50 and 2048")])
def test_what_cannot_work_is_refused_where_it_is_new(change, path, words):
    before, wanted = configured(), configured(change)
    errors = feasible_ss7.obstacles(before, wanted)
    assert [error.path for error in errors] == ["ss7[0]." + path] and words in errors[0].advice, [str(error) for error in errors]
    assert feasible_ss7.obstacles(wanted, wanted) == [], "an old file still starts"
    assert feasible_ss7.obstacles(wanted, dict(wanted, site=dict(wanted["site"], name="Other"))) == []


@pytest.mark.parametrize("change", [lambda p: None, lambda p: another_linkset(p, 1), lambda p: p.update(mtp2_parameters={"TIN": 2, "N1": 4, "T4E": 400}),
                                    lambda p: p["routes"].append({"destination": "11-22-44", "linkset": "b", "priority": 1})])
def test_what_works_is_not(change):
    """CIC 0 among them: the codes of a circuit need not follow its timeslots (Q.763 1.2)."""
    assert feasible_ss7.obstacles(configured() | {"ss7": []}, configured(change)) == []
