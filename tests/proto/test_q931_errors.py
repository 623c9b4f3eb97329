"""Q.931 5.8: what the far end does wrong, and the answer."""

import pytest

from tests.proto.q931_rig import SETUP, CAUSE_16, build, incoming, kinds, link, mark, names, sent, talking


# 5.8 errors.  (octets, reply kind or None, cause, state in STATUS)

@mark("5.8.1", "protocol discriminator, length, call reference")
@pytest.mark.parametrize("octets", ["", "08", "0802", "080200", "08020001", "0302000105", "08030000010005",
                                    "08f2000105", "0800", "080062", "08028001" "05"])
def test_ignored_messages(octets):
    for side in ("user", "network"):
        made = link(side)
        assert made.receive(bytes.fromhex(octets), 0) == [] and made.take_output() == []
        assert sum(made.counters.values()) == 1


@mark("5.8.3.2", "messages with a call reference that nobody has")
@pytest.mark.parametrize("kind, reply, cause", [
    ("CONNECT", "RELEASE_COMPLETE", 81), ("RELEASE", "RELEASE_COMPLETE", 81), ("DISCONNECT", "RELEASE_COMPLETE", 81),
    ("RELEASE_COMPLETE", None, None), ("STATUS_ENQUIRY", "STATUS", 30)])
@pytest.mark.parametrize("flag", [0, 1])
def test_unknown_call_reference(kind, reply, cause, flag):
    made = link()
    assert made.receive(build(kind, 77, flag, cause=CAUSE_16), 0) == []
    replies = sent(made)
    if reply is None:
        assert replies == []
        return
    answer = replies[0]
    assert (answer.kind, answer.get("cause")["cause"]) == (reply, cause)
    assert (answer.reference, answer.flag) == (77, 1 - flag)
    if reply == "STATUS":
        assert answer.get("call_state")["state"] == 0


@mark("5.8.11", "STATUS for a call reference that nobody has")
@pytest.mark.parametrize("state, reply", [(0, []), (10, ["RELEASE_COMPLETE"])])
def test_status_without_a_call(state, reply):
    made = link()
    made.receive(build("STATUS", 77, 0, cause={"cause": 30, "location": 2}, call_state={"state": state}), 0)
    replies = sent(made)
    assert [m.kind for m in replies] == reply
    assert [m.get("cause")["cause"] for m in replies] == [101] * len(reply)


@mark("5.8.3.2", "global call reference")
@pytest.mark.parametrize("octets, state", [("0802000005", 0), ("0802000075", 0), ("0802800046790187", 0),
                                           ("080200004e790187", 0)])
def test_global_call_reference(octets, state):
    made = link()
    made.receive(bytes.fromhex(octets), 0)
    answer = sent(made)[0]
    assert (answer.kind, answer.get("cause")["cause"], answer.get("call_state")["state"]) == ("STATUS", 81, state)
    assert answer.reference == 0


ERRORS = [
    # clause, message to a call in U10, reply, cause, diagnostics
    ("5.8.4", "08020001" "42", "STATUS", 97, "42"),
    ("5.8.4", "08020001" "0d", "STATUS", 101, "0d"),
    ("5.8.4", "08020001" "01", "STATUS", 101, "01"),
    ("5.8.4", "08020001" "46790180", "STATUS", 101, "46"),
    ("5.8.6.1", "08020001" "6e", "STATUS", 96, "27"),
    ("5.8.6.1", "08020001" "7d14010a", "STATUS", 96, "08"),
    ("5.8.6.1", "08020001" "45", "RELEASE", 96, "08"),
    ("5.8.6.1", "08020001" "4d", "RELEASE_COMPLETE", 96, "08"),
    ("5.8.6.2", "08020001" "45080180", "RELEASE", 100, "08"),
    ("5.8.6.2", "08020001" "45080280", "RELEASE", 100, "08"),
    ("5.8.6.2", "08020001" "4d080100", "RELEASE_COMPLETE", 100, "08"),
    ("5.8.6.1", "08020001" "6e2700", "STATUS", 96, "27"),
    ("5.8.6.2", "08020001" "7d0802829e14020a0a", "STATUS", 100, "14"),
    ("5.8.7.1", "08020001" "7b070155", "STATUS", 96, "07"),
    ("5.8.7.1", "08020001" "4508028290" "5d0100", "RELEASE", 99, "5d"),
    ("5.8.7.1", "08020001" "4d08028290" "5d0100", "RELEASE_COMPLETE", 99, "5d"),
]


@pytest.mark.parametrize("clause, octets, reply, cause, diagnostics", ERRORS)
def test_errors_in_a_call(clause, octets, reply, cause, diagnostics):
    made = link()
    call = talking(made)
    events = made.receive(bytes.fromhex(octets), 0)
    answer = sent(made)[0]
    assert (answer.kind, answer.get("cause")["cause"], answer.get("cause")["diagnostics"]) == (reply, cause, diagnostics)
    if reply == "STATUS":
        assert answer.get("call_state")["state"] == 10 and made.call_state(call)["state"] == "U10_ACTIVE"
        assert names(events) == ["protocol_error"]
    elif reply == "RELEASE":
        assert made.call_state(call)["state"] == "U19_RELEASE_REQUEST"
        assert "disconnect_indication" in names(events)
    else:
        assert made.calls() == [] and events[-1]["event"] == "released"


for _case in ERRORS:                    # one verdict a clause
    mark(_case[0], "error in a message to an active call")(test_errors_in_a_call)


@mark("5.8.6", "SETUP with a bad or missing mandatory element")
@pytest.mark.parametrize("body, cause, diagnostics", [
    ("1803a98381", 96, "04"), ("040180" "1803a98381", 100, "04"), ("04038090a3", 96, "18"),
    ("04038090a3" "1803a98301", 100, "18"), ("04038090a3" "1803a98381" "030101", 96, "03"),
    ("04ff80", 96, "18")])
def test_errors_in_setup(body, cause, diagnostics):
    made = link()
    events = made.receive(bytes.fromhex("08020001" "05" + body), 0)
    answer = sent(made)[0]
    assert answer.kind == "RELEASE_COMPLETE" and made.calls() == []
    assert answer.get("cause")["cause"] == cause and answer.get("cause")["diagnostics"][:2] == diagnostics
    assert names(events) == ["protocol_error"]


@mark("5.8.7", "elements that are optional, unknown, repeated, out of order or in another codeset")
@pytest.mark.parametrize("extra", ["6c00", "5d0155", "9f0105", "95080101", "90", "740400", "7002a139", "28028142",
                                   "1e0100", "d0", "b5", "7e0304aabb", "7c038090a3"])
def test_setup_survives(extra):
    made = link()
    events = made.receive(SETUP + bytes.fromhex(extra), 0)
    assert names(events) == ["setup_indication"] and events[0]["called_digits"] == "1234"


def test_status_on_element_fault():
    made = link(status_on_element_fault=True)
    made.receive(SETUP + bytes.fromhex("5d0155"), 0)
    assert [(m.kind, m.get("cause")["cause"]) for m in sent(made)] == [("STATUS", 99)]


@mark("5.8.3.2", "SETUP with a call reference in use is ignored")
def test_repeated_setup():
    made = link()
    incoming(made)
    assert made.receive(SETUP, 0) == [] and made.take_output() == [] and len(made.calls()) == 1


@mark("5.8.4", "unexpected RELEASE and RELEASE COMPLETE end the call in every state")
@pytest.mark.parametrize("kind", ["RELEASE", "RELEASE_COMPLETE"])
def test_release_in_every_state(kind):
    for primitives in ([], ["setup_ack_request"], ["proceeding_request"], ["alerting_request"], ["setup_response"],
                       ["setup_response", "release_request"]):
        made = link()
        call = incoming(made)
        for primitive in primitives:
            made.request(primitive, call, 0)
        made.take_output()
        events = made.receive(build(kind, 1, 0, cause={"cause": 38, "location": 2}), 0)
        assert names(events) == ["released"] and made.calls() == []
        assert kinds(made) == (["RELEASE_COMPLETE"] if kind == "RELEASE" else [])


@pytest.mark.parametrize("kind, reply", [("HOLD", "HOLD_REJECT"), ("RETRIEVE", "RETRIEVE_REJECT")])
def test_hold_is_refused(kind, reply):
    made = link()
    talking(made)
    made.receive(build(kind), 0)
    assert [(m.kind, m.get("cause")["cause"]) for m in sent(made)] == [(reply, 69)]


def test_facility_is_ignored():
    made = link()
    talking(made)
    assert made.receive(build("FACILITY", facility=[{"octets": "91a1"}]), 0) == [] and made.take_output() == []
