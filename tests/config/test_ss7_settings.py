"""Settings of SS7: what a configuration may say, and the sentences where it may not."""

import copy

import pytest

from firmware.call.signalling_points import bearer_timeslots, code_text, isup_config, link_places, mtp3_config, point_code
from firmware.call.trunk_group import groups_of
from firmware.config import demo, schema, ss7
from firmware.errors import ConfigError
from firmware.proto import mtp2_table
from firmware.proto.isup import codes
from firmware.proto.isup.node import ISUP
from firmware.proto.mtp3 import table
from firmware.proto.mtp3.node import MTP3


def wanted():
    config = demo.configuration({name: "secret" + name for name in demo.AGENTS})
    config["spans"] = [{"span": n, "signalling": "ss7", "trunk_group": "carrier"} for n in (1, 2, 3)]
    config["ss7"] = [{"name": "cn", "variant": "china", "point_code": "11-22-33", "linksets": [
        {"name": "a", "adjacent": "11-22-44", "links": [{"span": 1, "timeslot": 16, "slc": 0}, {"span": 2, "timeslot": 5, "slc": 1}]}],
        "routes": [{"destination": "11-22-55", "linkset": "a"}],
        "circuit_groups": [
            {"name": "g", "destination": "11-22-44", "circuits": [{"cic": 1, "span": 1, "timeslot": 1},
                                                                  {"cic": 33, "span": 2, "timeslot": 1}]},
            {"name": "h", "destination": "11-22-55", "circuits": [{"cic": 1, "span": 3, "timeslot": 1, "count": 10}]}]}]
    return config


def test_circuits_links_and_trunks():
    config, errors = schema.check(wanted())
    assert errors == []
    point = config["ss7"][0]
    places = link_places(config)
    assert places == {(1, 16): "s1.16", (2, 5): "s2.5"}
    machine = ISUP(isup_config(point, places, {1: "A"}))
    assert [row["circuits"] for row in machine.groups.values()] == [
        [[1, 1, 1, 15], [17, 1, 17, 15], [33, 2, 1, 4], [38, 2, 6, 26]], [[1, 3, 1, 10]]]
    assert sorted(MTP3(mtp3_config(point)).destinations) == [point_code("11-22-44", "china"), point_code("11-22-55", "china")]
    found = bearer_timeslots(config)
    assert len(found[1]) == 30 and 16 not in found[1] and 5 not in found[2] and found[3] == list(range(1, 11))
    assert len(groups_of(config)["carrier"].trunks) == 70
    # A point out of service has no trunks, and leaves its timeslots to others.
    config["ss7"][0]["enabled"] = False
    assert bearer_timeslots(config) == {} and groups_of(config)["carrier"].trunks == []


def test_point_codes():
    assert point_code("2-130-5", "itu") == 2 << 11 | 130 << 3 | 5 and code_text(5141, "itu") == "2-130-5"
    assert point_code("11-22-33", "china") == 0x0B1621 and code_text(0x0B1621, "ansi") == "11-22-33"
    assert point_code("16383", "itu") == 16383
    for text, variant in (("16384", "itu"), ("8-0-0", "itu"), ("1-2", "china"), ("256-0-0", "ansi"), ("", "itu")):
        with pytest.raises(ConfigError):
            point_code(text, variant)


@pytest.mark.parametrize("change, path, words", [
    (lambda p, c: p.update(point_code="11-22-44"), "ss7[0].linksets[0].adjacent", "our own"),
    (lambda p, c: p.update(variant="itu"), "ss7[0].point_code", "too large"),
    (lambda p, c: p["linksets"][0]["links"][1].update(slc=0), "ss7[0].linksets[0].links[1].slc", "already used"),
    (lambda p, c: p["linksets"][0]["links"][1].update(span=9), "ss7[0].linksets[0].links[1].span", "not configured"),
    (lambda p, c: c["spans"][1].update(signalling="pri"), "ss7[0].linksets[0].links[1].span", "signalled by pri"),
    (lambda p, c: p["routes"][0].update(linkset="b"), "ss7[0].routes[0].linkset", "no linkset 'b'"),
    (lambda p, c: p.update(routes=[]), "ss7[0].circuit_groups[1].destination", "no linkset leads to"),
    (lambda p, c: p["circuit_groups"][0]["circuits"][1].update(cic=20), "ss7[0].circuit_groups[0].circuits[1].cic", "CIC 20"),
    (lambda p, c: p["circuit_groups"][0]["circuits"][1].update(cic=4080), "ss7[0].circuit_groups[0].circuits[1].cic", "12 bits"),
    (lambda p, c: p["circuit_groups"][1]["circuits"][0].update(span=1), "ss7[0].circuit_groups[1].circuits[0].timeslot", "already"),
    (lambda p, c: p["circuit_groups"][1]["circuits"][0].update(timeslot=30), "ss7[0].circuit_groups[1].circuits[0].count", "at most 2"),
    (lambda p, c: p.update(isup_timers={"T99": 5}), "ss7[0].isup_timers", "T99"),
    (lambda p, c: p["linksets"][0].update(links=[]), "ss7[0].linksets[0].links", "1 to 16"),
    (lambda p, c: c["ss7"].append(copy.deepcopy(p)), "ss7[1].name", "already used"),
    (lambda p, c: c["ss7"].append(dict(copy.deepcopy(p), name="twin", point_code=str(point_code("11-22-33", "china")))), "ss7[1].point_code", "that of ss7[0]"),
    (lambda p, c: p["routes"].append({"destination": "11-22-33", "linkset": "a"}), "ss7[0].routes[1].destination", "our own"),
    (lambda p, c: p["circuit_groups"][1].update(destination=str(point_code("11-22-44", "china"))), "ss7[0].circuit_groups[1].circuits[0].cic", "CIC 1 to"),
    (lambda p, c: p["circuit_groups"][0].update(metering_s=100000), "ss7[0].circuit_groups[0].metering_s", "3600"),
    (lambda p, c: p["circuit_groups"][0].update(release_in="both"), "ss7[0].circuit_groups[0].release_in", "called"),
])
def test_sentences(change, path, words):
    config = wanted()
    change(config["ss7"][0], config)
    _, errors = schema.check(config)
    assert [e for e in errors if e.path == path and words in e.advice], [str(e) for e in errors]


def test_old_configurations_load_and_names_are_those_of_the_machines():
    assert schema.check(demo.configuration({name: "secret" + name for name in demo.AGENTS}))[0]["ss7"] == []
    assert set(ss7.MTP2_PARAMETERS) == set(mtp2_table.PARAMETERS)
    assert set(ss7.MTP3_TIMERS) == set(table.TIMERS) and set(ss7.ISUP_TIMERS) == set(codes.TIMERS)


def test_only_china_has_ccl_and_metering_pulses():
    config = wanted()
    point = config["ss7"][0]
    point.update(variant="itu", point_code="0-12-4", routes=[], circuit_groups=point["circuit_groups"][:1])
    point["linksets"][0]["adjacent"] = point["circuit_groups"][0]["destination"] = "0-25-0"
    point["circuit_groups"][0].update(release_in="called", release_out="called", metering_s=3)
    _, errors = schema.check(config)
    assert sorted(e.path.rpartition(".")[2] for e in errors) == ["metering_s", "release_in", "release_out"] and all("China" in e.advice for e in errors)
    point["circuit_groups"][0].update(release_in="caller", release_out="first", metering_s=0)
    assert not schema.check(config)[1]
