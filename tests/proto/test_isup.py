"""The ISUP machine beyond Q.784.1: China, ANSI, MTP's state, restart of the process, misuse."""

import json

import pytest

from firmware.errors import LocalError
from firmware.proto.isup import codes
from firmware.proto.isup.message_table import TABLES
from firmware.proto.isup.node import ISUP
from firmware.proto.isup.reconcile import compare
from firmware.proto.isup.table import ROWS
from tests.proto.isup_rig import B, Rig, config, dissected  # noqa: F401

pytestmark = pytest.mark.usefixtures("dissected")


def test_timers_are_t1_to_t39():
    assert [n for n in range(1, 40) if "T%d" % n not in codes.TIMERS] == []
    assert all(row[0] > 0 and row[1] for row in codes.TIMERS.values())


def test_every_message_of_a_call_is_in_the_table():
    named = {n for row in ROWS for n in (row[1] if isinstance(row[1], tuple) else (row[1],))}
    about_circuits = {"BLO", "BLA", "UBL", "UBA", "GRS", "GRA", "CGB", "CGBA", "CGU", "CGUA", "CQM", "CQR", "UPT", "UPA"}
    for variant in TABLES:
        assert set(TABLES[variant]) - named - about_circuits <= {"CRA", "CRM", "CVT", "CVR"}
    assert all(row[4] for row in ROWS)


# China

def test_china_release_controlled_by_the_called_party_outgoing():
    r = Rig("china")
    call = r.out(release_control="called", category=0xE8)
    r.ask("clear_request", call)        # our caller hangs up: the called party decides
    assert r.kinds() == ["CCL"] and r.state() == "OUT_ANSWERED" and r.names() == []
    r.clear_far(call)


def test_china_release_controlled_by_the_called_party_incoming():
    r = Rig("china")
    call = r.come()
    r.say("CCL")
    assert r.names() == ["calling_clear_indication"] and r.kinds() == []
    r.wait(1000000)
    assert r.state() == "IN_ANSWERED"
    r.ask("clear_request", call)
    assert r.kinds() == ["REL"]
    r.say("RLC")
    r.over(call, 1, "near")


def test_china_release_controlled_by_the_caller():
    r = Rig("china")
    call = r.come("acm")
    r.ask("setup_response", call, release_control="caller")
    r.ask("clear_request", call)        # the called party hangs up: suspended, the caller decides
    assert r.kinds() == ["ANM", "SUS"] and r.state() == "IN_ANSWERED"
    r.ask("resume_request", call)
    assert r.kinds() == ["RES"]
    r.took()
    r.clear_far(call)
    call = r.out(release_control="caller")
    r.ask("clear_request", call)        # and the caller does
    assert r.kinds()[-1] == "REL"
    r.say("RLC")


def test_china_first_party():
    r = Rig("china")
    call = r.out()
    r.ask("clear_request", call, cause=16)
    assert r.kinds() == ["REL"]


def test_china_metering_and_operator():
    r = Rig("china")
    call = r.out()
    r.say("MPM", charge_information={"value": 513})
    r.say("OPR")
    assert [(e["event"], e.get("charge")) for e in r.took()] == [("charge_indication", 513), ("operator_indication", None)]
    r.ask("operator_request", call)
    assert r.kinds() == ["OPR"]
    r.clear_near(call)
    call = r.come(cic=3)
    r.ask("charge_request", call, charge=7)
    r.ask("operator_request", call)
    assert [m.kind for m in r.heard] == ["MPM", "OPR"] and r.heard[0].get("charge_information") == {"value": 7}
    r.kinds()
    r.say("MPM", 3)                     # backward only: thrown away
    assert r.names() == [] and r.kinds() == []
    r.clear_far(call, 3)


def test_chinese_messages_are_unknown_elsewhere():
    r = Rig("itu")
    call = r.out()
    for octets in (b"\xfc\x00", b"\xfe\x00", b"\xfd\x00\x03\x00"):
        r.octets(b"\x01\x00" + octets)
    assert r.kinds() == ["CFN"] * 3
    with pytest.raises(LocalError):
        r.ask("operator_request", call)


# ANSI

def test_ansi():
    r = Rig("ansi")
    call = r.node.new_call("a", 3)
    r.ask("setup_request", call, called="4085550100", caller="3125550199", bearer="speech")
    assert r.kinds() == ["IAM"] and r.last.get("user_service_information") == {"octets": "8090a2"}
    assert r.last.get("called_party_number")["number"] == "4085550100" and "complete" not in r.last.get("called_party_number")
    assert r.last.get("transmission_medium") is None
    r.say("EXM", 3)
    r.say("ACM", 3)
    r.say("ANM", 3)
    assert r.names() == ["message_indication", "proceeding_indication", "setup_confirm"]
    r.clear_near(call, 3)
    r.say("IAM", 4, called_party_number={"number": "4085550100", "complete": False})
    event = r.took()[0]
    assert event["called_complete"] and event["law"] == "u" and event["bearer"] == "3.1khz_audio"
    r.ask("setup_response", event["call"])
    assert r.kinds() == ["ACM", "ANM"]
    r.say("CVT", 5)
    r.say("CRM", 6, nature_of_connection={})
    r.say("CCR", 7)
    r.say("IAM", 99)
    assert r.kinds() == ["CVR", "CRA", "LPA", "UCIC"]


@pytest.mark.parametrize("variant, octets", [("itu", "2f02000384e1f4"), ("ansi", "eb0102000000"), ("ansi", "e9"), ("itu", "24")])
def test_what_harms_nobody_on_an_idle_circuit(variant, octets):
    r = Rig(variant)
    r.octets(b"\x01\x00" + bytes.fromhex(octets))
    assert r.kinds() == [] and r.state() == "IDLE"


def test_confusion_can_be_off():
    r = Rig(node={"confusion": False})
    r.come("iam", unknown=[[0x8F, "01"]])
    r.octets(b"\x01\x00\xa0")
    assert r.kinds() == []


# What else an exchange asks

def test_query_received():
    r = Rig()
    r.come(cic=1)
    r.out(cic=2)
    r.circuit("block", "a.3")
    r.say("BLO", 4)
    r.kinds()
    r.say("CQM", 1, range_and_status={"range": 16, "status": None})
    assert r.kinds() == ["CQR"]
    states = r.last.get("circuit_state_indicator")
    assert [(s["call"], s["maintenance"]) for s in states[:5]] == [
        ("incoming", "none"), ("outgoing", "none"), ("idle", "local"), ("idle", "remote"), ("idle", "none")]
    assert [s["call"] for s in states[14:]] == ["idle", "unequipped", "idle"]


def test_information_request():
    r = Rig()
    r.out("iam", caller="13912345678")
    r.say("INR", information_request_indicators={"calling_address": True, "category": True})
    assert r.kinds() == ["INF"] and r.last.get("calling_party_number")["number"] == "13912345678"
    assert r.last.get("calling_party_category") == {"value": "ordinary"}
    r.out("iam", cic=3)
    r.say("INR", 3)
    assert r.kinds() == ["INF"] and r.last.get("information_indicators")["calling_address"] == "not_available"
    call = r.come("iam", cic=5)
    r.ask("information_demand", call)
    assert r.kinds() == ["INR"]
    r.say("INF", 5, calling_party_number={"number": "139"})
    assert [e["caller"]["number"] for e in r.took()] == ["139"]
    r.ask("information_demand", call)
    r.wait(12000)                       # T33
    assert "REL" in r.kinds()


def test_overload():
    r = Rig()
    call = r.out("iam")
    r.say("OLM")
    r.wait(20000)
    assert r.kinds() == ["REL"] and r.node.call_state(call)["state"] == "WAIT_RLC"


def test_ucic_received():
    r = Rig()
    call = r.out("iam")
    r.say("UCIC")
    assert [(e["call"], e["reattempt"]) for e in r.took("released")] == [(call, True)]
    assert 1 not in [c["cic"] for c in r.node.free_circuits("a")]
    r.circuit("reset")
    r.say("RLC")
    assert 1 in [c["cic"] for c in r.node.free_circuits("a")]


def test_acm_by_itself():
    """T11: a layer above that is slow does not cost the call: the far end's T7 is 20 s."""
    r = Rig()
    call = r.come("iam")
    r.wait(15000)
    assert r.kinds() == ["ACM"]
    r.ask("alerting_request", call)
    r.ask("setup_response", call)
    assert r.kinds() == ["CPG", "ANM"]


# MTP

def test_pause_and_resume():
    r = Rig()
    call = r.out()
    second = r.node.new_call("a", 9)
    r.mtp(event="pause", destination=B)
    assert r.node.free_circuits("a") == []
    r.ask("setup_request", second, called="1")
    assert [e["cause"] for e in r.took("released")] == [38] and r.state(1) == "OUT_ANSWERED"
    r.ask("release_request", call)
    r.wait(30000)
    assert r.kinds() == [] and r.node.counters["messages_without_route"] == 3
    r.mtp(event="resume", destination=B)
    assert r.kinds() == ["REL"], "said again at once"
    r.wait(15000)
    assert r.kinds() == ["REL"]
    r.say("RLC")
    assert r.node.calls() == [] and len(r.node.free_circuits("a")) == 30
    r.mtp(event="pause", destination=777)
    r.mtp(event="transfer_indication", opc=777, octets=b"\x01\x00\x13", si=5)
    r.mtp(event="transfer_indication", opc=B, octets=b"\x01\x00\x13", si=3)
    assert r.kinds() == [] and r.node.counters["unknown_points"] == 1


def test_congestion_by_steps():
    r = Rig()
    for _ in range(3):                  # within T29 they are one
        r.mtp(event="status", destination=B, cause="congestion", level=1)
    assert [e["step"] for e in r.took("destination_state")] == [1]
    r.wait(600)
    r.mtp(event="status", destination=B, cause="congestion", level=1)
    assert [e["step"] for e in r.took("destination_state")] == [2]
    r.wait(6999)
    assert r.took("destination_state") == []
    r.wait(7001)
    assert [e["step"] for e in r.took("destination_state")] == [1, 0] and r.node.deadline_ms() is None


# After kill -9

def test_killed_at_every_moment():
    """A call of ours and one of B's, control killed behind each step: both are carried to their end, nothing is reset."""
    for die in range(9):
        r = Rig()
        steps = [lambda: r.say("ACM", 1), lambda: r.say("ANM", 1), lambda: r.ask("alerting_request", came),
                 lambda: r.ask("setup_response", came), lambda: r.say("SUS", 1), lambda: r.say("RES", 1),
                 lambda: r.ask("release_request", gone), lambda: r.say("RLC", 1)]
        gone, came = r.out("iam", cic=1), r.come("iam", cic=2)
        for i, step in enumerate(steps):
            if i == die:
                r.kill()
            step()
        assert "RSC" not in r.kinds() and r.node.calls() == [came]
        r.clear_far(came, 2)
        assert len(r.node.free_circuits("a")) == 30 and r.node.deadline_ms() is None


def test_killed_with_a_release_in_hand():
    r = Rig()
    call = r.come()
    r.say("REL")
    r.kill()
    assert r.kinds() == ["RLC"] and [e["call"] for e in r.took("released")] == [call] and r.state() == "IDLE"


def test_killed_in_the_middle_of_supervision():
    r = Rig()
    r.circuit("block", "a.7")
    r.group("block", [1, 2], True)
    r.group("reset", [10, 11, 12])
    r.kinds()
    r.kill()
    assert r.kinds() == []
    r.wait(15000)
    assert sorted(r.kinds()) == ["BLO", "CGB", "GRS"]
    r.say("BLA", 7)
    r.say("GRA", 10, range_and_status={"range": 2, "status": [0, 0, 0]})
    r.say("CGBA", 1, supervision_type={"type": "hardware"}, range_and_status={"range": 1, "status": [1, 1]})
    assert r.node.pending == [] and r.node.deadline_ms() is None


STATE = {"call": "idle", "maintenance": "none", "hardware": "none"}


@pytest.mark.parametrize("there, event, sent", [
    ({"call": "outgoing"}, "call_confirmed", []), ({"call": "idle"}, "call_lost", ["REL"]),
    ({"call": "incoming"}, "call_lost", ["REL"]), ({"call": "transient"}, None, []),
    ({"call": "outgoing", "maintenance": "local"}, "call_confirmed", [])])
def test_circuit_query_after_a_restart(there, event, sent):
    r = Rig(query=True)
    call = r.come()
    r.kill()
    assert r.kinds() == ["CQM"] and r.last.get("range_and_status") == {"range": 0, "status": None}
    r.say("CQR", range_and_status={"range": 0, "status": None}, circuit_state_indicator=[dict(STATE, **there)])
    assert r.kinds() == sent and r.names()[:1] == ([event] if event else [])
    assert r.blocking()["remote"] == ("maintenance" in there)
    if sent:
        r.say("RLC")
        assert [e["call"] for e in r.took("released")] == [call]
    else:
        r.took()
        r.clear_near(call)


def test_query_without_an_answer_costs_no_call():
    r = Rig(query=True)
    call = r.come()
    r.kill()
    r.wait(10000)
    assert r.took("group_fault") and r.node.calls() == [call]


def test_query_asked_for():
    """A call that only the far end has, and blocking that one of both has forgotten."""
    r = Rig()
    r.circuit("block", "a.3")
    r.say("BLA", 3)
    r.kinds()
    r.group("query", [1, 2, 3, 4])
    states = [dict(STATE, call="outgoing"), dict(STATE, call="unequipped"), STATE, dict(STATE, maintenance="remote")]
    r.say("CQR", range_and_status={"range": 3, "status": None}, circuit_state_indicator=states)
    assert r.kinds() == ["CQM", "REL", "BLO", "UBL"]
    assert not r.node.circuits[(B, 2)].available() and r.took("query_confirm")
    assert compare("idle", "idle") == "same" and compare("incoming", "outgoing") == "same"


def test_repeated_deliveries():
    r = Rig()
    octets = bytes.fromhex("01001300")[:3]
    assert r.node.receive(B, octets, 0, (1, 7))
    assert r.node.receive(B, octets, 0, (1, 7)) == [] and r.node.counters["repeated_deliveries"] == 1
    r.node = ISUP.restore(json.loads(json.dumps(r.node.dump())), r.config)
    assert r.node.receive(B, octets, 0, (1, 6)) == [] and len(r.node.take_output()) == 0


def test_only_what_changed_is_written():
    r = Rig()
    r.node.take_changed()
    call = r.come(cic=4)
    assert r.node.take_changed() == ["a.4"]
    r.clear_near(call, 4)
    assert r.node.take_changed() == ["a.4"] and r.node.take_changed() == []


def test_a_group_that_is_gone():
    r = Rig()
    r.come(cic=17)
    made = ISUP.restore(r.node.dump(), config(circuits=[[1, 1, 1, 15]]))
    assert made.calls() == [] and len(made.free_circuits("a")) == 15


# Misuse

@pytest.mark.parametrize("change", [
    {"variant": "fr"}, {"groups": [{"name": "a.b", "destination": B, "circuits": []}]},
    {"groups": [{"name": "a", "destination": B, "circuits": [[1, 1, 1, 2], [2, 1, 5, 1]]}]},
    {"groups": [{"name": "a", "destination": B, "circuits": [[4095, 1, 1, 2]]}]}])
def test_configuration_that_cannot_be(change):
    with pytest.raises(LocalError):
        ISUP(dict(config(), **change))


def test_requests_that_cannot_be():
    r = Rig()
    call = r.out("iam")
    for primitive, name, given in (
            ("setup_response", call, {}), ("nothing", call, {}), ("alerting_request", "a.1.77", {}), ("release_request", "b.1.1", {}),
            ("group_reset", call, {}), ("charge_request", call, {"charge": 1})):
        with pytest.raises(LocalError):
            r.ask(primitive, name, **given)
    other = r.node.new_call("a", 3)
    for given in ({"bearer": "smell"}, {"continuity": "maybe"}, {"release_control": "nobody"}, {"called": "12x"},
                  {"category": "emperor"}, {"elements": {"no such": {}}}):
        with pytest.raises(LocalError):
            r.ask("setup_request", other, **dict({"called": "1"}, **given))
    assert r.kinds() == [] and r.state(3) == "IDLE"
    for bad in (lambda: r.node.new_call("a", 1), lambda: r.node.new_call("b"), lambda: r.node.new_call("a", 99),
                lambda: r.circuit("explode"), lambda: r.circuit("block", "a.99"), lambda: r.group("reset", [99]),
                lambda: r.group("explode")):
        with pytest.raises(LocalError):
            bad()
    r.ask("release_request", call)
    r.ask("release_request", call)      # again: void
    r.say("RLC")
    r.ask("release_request", call)
    assert r.node.calls() == []


def test_circuit_lost_between_choice_and_setup():
    r = Rig()
    call = r.node.new_call("a", 1)
    came = r.come("iam", cic=1)
    r.ask("setup_request", call, called="1")
    assert [(e["call"], e["reattempt"]) for e in r.took("released")] == [(call, True)] and r.node.calls() == [came]
