"""Q.784.1 group 1: circuit supervision and signalling supervision, by number, against a scripted exchange B."""

import pytest

from firmware.proto.isup import messages
from tests.proto.isup_rig import CAUSE, Rig, case, dissected  # noqa: F401

pytestmark = pytest.mark.usefixtures("dissected")

TOLD = {"transit": False, "release": False, "notify": False, "discard_message": False, "discard_parameter": False,
        "pass_failed": "release"}


def grs(r, cic, width):
    """A circuit group reset with any range octet."""
    r.octets(bytes([cic, 0, 0x17, 1, 1, width]))


@case("1.1", "Non-allocated circuits")
def test_non_allocated():
    r = Rig()
    for kind in ("IAM", "CCR", "REL", "RSC"):
        r.say(kind, 200)
    assert r.kinds() == [] and r.node.counters["unequipped_circuits"] == 4      # thrown away: UCIC is for national use
    r = Rig(node={"ucic": True})
    r.say("IAM", 200)
    assert r.kinds() == ["UCIC"] and r.last.cic == 200
    r.say("UCIC", 200)
    assert r.kinds() == []


@case("1.2.1", "RSC received on an idle circuit")
def test_rsc_idle():
    r = Rig()
    r.say("RSC")
    assert r.kinds() == ["RLC"] and r.state() == "IDLE"
    r.clear_near(r.out())


@case("1.2.2", "Reset of circuits -- RSC sent on an idle circuit")
def test_rsc_sent():
    r = Rig()
    r.circuit("reset")
    assert r.kinds() == ["RSC"] and not r.node.circuits[(200, 1)].available()
    r.say("RLC")
    assert r.state() == "IDLE" and r.node.circuits[(200, 1)].available()


@case("1.2.3", "Reset of circuits -- RSC received on a locally blocked circuit")
def test_rsc_locally_blocked():
    r = Rig()
    r.circuit("block")
    r.say("BLA")
    r.kinds()
    r.say("RSC")
    assert r.kinds() == ["BLO", "RLC"]
    r.say("BLA")
    assert r.blocking()["local"] == "blocked"


@case("1.2.4", "Reset of circuits -- RSC received on a remotely blocked circuit")
def test_rsc_remotely_blocked():
    r = Rig()
    r.say("BLO")
    assert r.kinds() == ["BLA"] and r.blocking()["remote"]
    r.say("RSC")
    assert r.kinds() == ["RLC"] and not r.blocking()["remote"]


@case("1.2.5a", "Circuit group reset received -- (normal GRS)")
def test_grs():
    r = Rig()
    r.circuit("block", "a.3")
    r.say("BLA", 3)
    call = r.come(cic=2)
    r.say("BLO", 4)
    r.kinds()
    grs(r, 1, 5)
    assert r.kinds() == ["GRA"] and r.last.get("range_and_status") == {"range": 5, "status": [0, 0, 1, 0, 0, 0]}
    r.over(call, 2, "far")
    assert not r.blocking(4)["remote"] and r.blocking(3)["local"] == "blocked"


@case("1.2.5b", "Circuit group reset received -- (GRS with range = 0)")
def test_grs_of_one():
    r = Rig()
    grs(r, 1, 0)
    assert r.kinds() == [] and r.node.counters["group_messages_discarded"] == 1


@case("1.2.5c", "Circuit group reset received -- (GRS with range = 32)")
def test_grs_too_wide():
    r = Rig()
    grs(r, 1, 32)
    assert r.kinds() == [] and r.node.counters["group_messages_discarded"] == 1


@case("1.2.6", "Reset of circuits -- Circuit group reset sent")
def test_grs_sent():
    r = Rig()
    r.group("reset", range(1, 6))
    assert r.kinds() == ["GRS"] and r.last.get("range_and_status") == {"range": 4, "status": None}
    r.say("GRA", range_and_status={"range": 4, "status": [0, 1, 0, 0, 0]})
    assert r.blocking(2)["remote"] and [r.state(n) for n in range(1, 6)] == ["IDLE"] * 5
    assert r.took("group_reset_confirm")


@case("1.2.7", "Circuit group reset received on remotely blocked circuits")
def test_grs_remotely_blocked():
    r = Rig()
    r.say("CGB", 1, supervision_type={"type": "maintenance"}, range_and_status={"range": 1, "status": [1, 1]})
    r.say("CGB", 1, supervision_type={"type": "hardware"}, range_and_status={"range": 1, "status": [1, 0]})
    r.kinds()
    grs(r, 1, 1)
    assert r.kinds() == ["GRA"] and r.last.get("range_and_status")["status"] == [0, 0]
    assert not r.blocking(1)["remote"] and not r.blocking(1)["remote_hardware"] and not r.blocking(2)["remote"]


def cgb(r, kind, type_, status, cic=1):
    r.say(kind, cic, supervision_type={"type": type_}, range_and_status={"range": len(status) - 1, "status": status})


@pytest.mark.parametrize("type_", [
    pytest.param("maintenance", marks=case("1.3.1.1a", "CGB and CGU received, maintenance oriented: normal")),
    pytest.param("hardware", marks=case("1.3.1.1d", "CGB and CGU received, hardware failure oriented: normal"))])
def test_cgb_received(type_):
    """Taken: block and unblock some circuits of a range; only hardware failure ends calls."""
    r = Rig()
    side = "remote" if type_ == "maintenance" else "remote_hardware"
    call = r.come(cic=2)
    cgb(r, "CGB", type_, [1, 1, 0, 1])
    sent = r.kinds()
    assert sent[0] == "CGBA" and [r.blocking(n)[side] for n in (1, 2, 3, 4)] == [True, True, False, True]
    if type_ == "hardware":
        assert sent == ["CGBA", "REL"] and r.state(2) == "WAIT_RLC"
        r.say("RLC", 2)
        r.over(call, 2, "failure")
    else:
        assert sent == ["CGBA"] and r.state(2) == "IN_ANSWERED"
        r.clear_far(call, 2)
    assert [c["cic"] for c in r.node.free_circuits("a")][:2] == [3, 5]
    cgb(r, "CGU", type_, [1, 1, 0, 1])
    assert r.kinds() == ["CGUA"] and r.last.get("range_and_status")["status"] == [1, 1, 0, 1]
    assert len(r.node.free_circuits("a")) == 30


@pytest.mark.parametrize("type_", [
    pytest.param("maintenance", marks=case("1.3.1.1b", "CGB received, maintenance oriented: range 0")),
    pytest.param("hardware", marks=case("1.3.1.1e", "CGB received, hardware failure oriented: range 0"))])
def test_cgb_of_one(type_):
    """Taken by analogy with 1.2.5b: a range of one is thrown away."""
    r = Rig()
    cgb(r, "CGB", type_, [1])
    assert r.kinds() == [] and len(r.node.free_circuits("a")) == 30


@pytest.mark.parametrize("type_", [
    pytest.param("maintenance", marks=case("1.3.1.1c", "CGB received, maintenance oriented: more than 32 status bits")),
    pytest.param("hardware", marks=case("1.3.1.1f", "CGB received, hardware failure oriented: more than 32 status bits"))])
def test_cgb_too_many(type_):
    """Taken by analogy with 1.2.5c: a range may be wider than 32, but 33 set bits are thrown away."""
    r = Rig()
    cgb(r, "CGB", type_, [1] * 33)
    assert r.kinds() == [] and len(r.node.free_circuits("a")) == 30
    cgb(r, "CGB", type_, [1] * 15 + [0] * 40)
    assert r.kinds() == ["CGBA"] and len(r.node.free_circuits("a")) == 15


@pytest.mark.parametrize("hardware", [
    pytest.param(False, marks=case("1.3.1.2a", "CGB and CGU sent, maintenance oriented")),
    pytest.param(True, marks=case("1.3.1.2b", "CGB and CGU sent, hardware failure oriented"))])
def test_cgb_sent(hardware):
    r = Rig()
    call = r.come(cic=3)
    r.group("block", [1, 3], hardware)
    sent = r.kinds()
    status = {"range": 2, "status": [1, 0, 1]}
    assert sent == (["REL", "CGB"] if hardware else ["CGB"])
    assert r.last.get("range_and_status") == status
    type_ = {"type": "hardware" if hardware else "maintenance"}
    assert r.last.get("supervision_type") == type_
    r.say("CGBA", supervision_type=type_, range_and_status=status)
    assert r.blocking(1) == {"local": "unblocked" if hardware else "blocked", "remote": False, "local_hardware": hardware,
                             "remote_hardware": False}
    assert [c["cic"] for c in r.node.free_circuits("a")][:2] == [2, 4]
    if hardware:
        r.say("RLC", 3)
        r.over(call, 3, "failure")
    else:
        assert r.state(3) == "IN_ANSWERED"
        r.clear_far(call, 3)
    r.group("unblock", [1, 3], hardware)
    assert r.kinds() == ["CGU"]
    r.say("CGUA", supervision_type=type_, range_and_status=status)
    assert len(r.node.free_circuits("a")) == 30 and r.node.pending == [] and r.node.deadline_ms() is None


@case("1.3.2.1", "BLO received")
def test_blo_received():
    r = Rig()
    r.say("BLO")
    assert r.kinds() == ["BLA"] and r.blocking()["remote"] and 1 not in [c["cic"] for c in r.node.free_circuits("a")]
    r.say("BLO")
    assert r.kinds() == ["BLA"]
    r.say("UBL")
    assert r.kinds() == ["UBA"] and not r.blocking()["remote"]
    r.say("UBL")
    assert r.kinds() == ["UBA"]


@case("1.3.2.2", "BLO sent")
def test_blo_sent():
    r = Rig()
    r.circuit("block")
    assert r.kinds() == ["BLO"] and not r.node.circuits[(200, 1)].available()
    r.say("BLA")
    assert r.blocking()["local"] == "blocked"
    r.say("IAM")
    assert r.kinds() == ["BLO"] and r.took("setup_indication") == []
    assert r.node.circuits[(200, 1)].available(urgent=True), "an emergency call of ours takes it where no other is left"
    r.circuit("unblock")
    assert r.kinds() == ["UBL"]
    r.say("UBA")
    assert r.node.circuits[(200, 1)].available() and r.node.deadline_ms() is None


@case("1.3.2.3", "Blocking from both ends; removal of blocking from one end.")
def test_blocked_from_both_ends():
    r = Rig()
    r.circuit("block")
    r.say("BLA")
    r.say("BLO")
    r.say("UBL")
    assert r.kinds() == ["BLO", "BLA", "UBA"]
    assert r.blocking() == {"local": "blocked", "remote": False, "local_hardware": False, "remote_hardware": False}
    r.say("BLO")
    r.circuit("unblock")
    r.say("UBA")
    assert r.blocking() == {"local": "unblocked", "remote": True, "local_hardware": False, "remote_hardware": False}


@case("1.3.2.4", "IAM received on a remotely blocked circuit")
def test_iam_on_remotely_blocked():
    r = Rig()
    r.say("BLO")
    r.kinds()
    call = r.come()
    assert not r.blocking()["remote"]
    r.clear_far(call)


@case("1.3.2.5", "Blocking with CGB, unblocking with UBL")
def test_cgb_then_ubl():
    r = Rig()
    cgb(r, "CGB", "maintenance", [1, 1])
    r.say("UBL", 1)
    assert r.kinds() == ["CGBA", "UBA"] and not r.blocking(1)["remote"] and r.blocking(2)["remote"]
    r = Rig()                           # and the other way round
    r.group("block", [1, 2])
    r.say("CGBA", supervision_type={"type": "maintenance"}, range_and_status={"range": 1, "status": [1, 1]})
    r.circuit("unblock", "a.2")
    assert r.kinds() == ["CGB", "UBL"]
    r.say("UBA", 2)
    assert r.blocking(2)["local"] == "unblocked" and r.blocking(1)["local"] == "blocked"


@case("1.4.1", "CCR received: successful")
def test_ccr_received():
    r = Rig()
    r.say("CCR")
    assert [e["on"] for e in r.took("continuity_loop")] == [True] and r.kinds() == []
    r.say("REL")
    assert r.kinds() == ["RLC"] and [e["on"] for e in r.took("continuity_loop")] == [False] and r.state() == "IDLE"


@case("1.4.2", "CCR sent: successful")
def test_ccr_sent():
    r = Rig()
    r.circuit("check")
    assert r.kinds() == ["CCR"] and [e["on"] for e in r.took("continuity_tone")] == [True]
    r.wait(300)
    r.circuit("continuity_result", ok=True)
    assert r.kinds() == ["REL"] and r.state() == "WAIT_RLC"
    assert [(e["event"], e.get("on", e.get("ok"))) for e in r.took("continuity_tone", "continuity_confirm")] == [
        ("continuity_confirm", True), ("continuity_tone", False)]
    r.say("RLC")
    assert r.state() == "IDLE"


@case("1.4.3", "CCR received: unsuccessful")
def test_ccr_received_failed():
    r = Rig()
    r.say("CCR")
    r.say("COT", continuity_indicators={"success": False})
    assert [e["on"] for e in r.took("continuity_loop")] == [True, False] and r.state() == "IN_RECHECK"
    r.wait(60000)
    r.say("CCR")
    r.say("REL")
    assert r.kinds() == ["RLC"] and r.state() == "IDLE"


@case("1.4.4", "CCR sent: unsuccessful")
def test_ccr_sent_failed():
    r = Rig()
    r.circuit("check")
    r.wait(2000)                        # T24
    assert r.kinds() == ["CCR", "COT"] and not r.last.get("continuity_indicators")["success"]
    r.wait(59999)
    assert r.kinds() == []
    r.wait(1)                           # T26
    assert r.kinds() == ["CCR"]
    r.circuit("continuity_result", ok=True)
    r.say("RLC")
    assert r.kinds() == ["REL"] and r.state() == "IDLE"


@case("1.4.5", "CCR not received unsuccessful; verify T27 timer")
def test_t27():
    r = Rig()
    r.say("CCR")
    r.say("COT", continuity_indicators={"success": False})
    r.wait(239999)
    assert r.kinds() == []
    r.wait(1)
    assert r.kinds() == ["RSC"] and r.took("circuit_fault")
    r.say("RLC")
    assert r.state() == "IDLE"


UNEXPECTED = ("ACM", "CON", "ANM", "CPG", "SAM", "SUS", "RES", "COT", "USR", "FOT")


@case("1.5.1", "Receipt of unexpected messages")
def test_unexpected_when_idle():
    """2.9.5.1: RSC for what makes no sense; the special cases of REL, RLC and of acknowledgements."""
    for kind in UNEXPECTED:
        r = Rig()
        r.say(kind)
        assert r.kinds() == ["RSC"], kind
        r.say("RLC")
        assert r.state() == "IDLE"
    r = Rig()
    r.say("REL")
    r.say("RLC")
    assert r.kinds() == ["RLC"] and r.state() == "IDLE"
    r.say("UBA")
    assert r.kinds() == []
    r.say("BLA")                        # not blocked: say so
    assert r.kinds() == ["UBL"]
    r.say("UBA")
    r.circuit("block")
    r.say("BLA")
    r.kinds()
    r.say("BLA")
    assert r.kinds() == []
    r.say("UBA")                        # but it is blocked
    assert r.kinds() == ["BLO"]
    cgb(r, "CGBA", "maintenance", [1, 1])
    r.say("GRA", range_and_status={"range": 1, "status": [0, 0]})
    assert r.kinds() == [] and r.node.counters["group_answers_unexpected"] == 2


@case("1.5.2", "Receipt of unexpected messages during call setup")
def test_unexpected_in_setup():
    for kind in ("ANM", "SUS", "RES", "COT"):           # before a backward message: reset, another circuit
        r = Rig()
        call = r.out("iam")
        r.say(kind)
        assert r.kinds() == ["RSC"]
        assert [(e["call"], e["reattempt"]) for e in r.took("released")] == [(call, True)]
        r.say("RLC")
        assert r.state() == "IDLE"
    r = Rig()
    call = r.out("acm")
    for kind in ("SUS", "RES", "COT", "CON", "SAM"):    # after one: nothing
        r.say(kind)
    assert r.kinds() == [] and r.state() == "OUT_WAIT_ANM"
    r.say("ANM")
    r.took()
    r.clear_near(call)
    r = Rig()
    call = r.out("iam")
    r.say("RLC")                        # 2.9.5.1 c
    assert r.kinds() == ["REL"]
    r.say("RLC")
    assert [e["call"] for e in r.took("released")] == [call]


@case("1.5.3", "Receipt of unexpected messages during a call")
def test_unexpected_in_call():
    for r, call in ((r := Rig(), r.out()), (r := Rig(), r.come())):
        for kind in ("ACM", "CON", "ANM", "COT", "CCR", "IAM", "BLA", "UBA"):
            r.say(kind)
            if kind == "BLA":
                assert r.kinds() == ["UBL"]
                r.say("UBA")
        assert r.kinds() == [] and "ANSWERED" in r.state()
        r.took()
        r.clear_near(call)


UNKNOWN_MESSAGE = bytes([1, 0, 0xA0])
FORWARD = (("forward", "come"), ("backward", "out"))


@pytest.mark.parametrize("direction", [
    pytest.param("come", marks=case("1.6.1.1", "Receipt of unknown message in forward direction")),
    pytest.param("out", marks=case("1.6.1.2", "Receipt of unknown message in backward direction"))])
def test_unknown_message(direction):
    """Without compatibility information: thrown away, CFN 97 with the message type."""
    r = Rig()
    call = getattr(r, direction)()
    r.octets(UNKNOWN_MESSAGE + b"\x00")
    r.octets(UNKNOWN_MESSAGE)
    assert r.kinds() == ["CFN", "CFN"]
    assert (r.last.get("cause_indicators")["cause"], r.last.get("cause_indicators")["diagnostics"]) == (97, "a0")
    r.clear_near(call)


@pytest.mark.parametrize("direction, kind", [
    pytest.param("come", "SUS", marks=case("1.6.2.1", "Receipt of unknown parameters in forward direction")),
    pytest.param("out", "CPG", marks=case("1.6.2.2", "Receipt of unknown parameters in backward direction"))])
def test_unknown_parameter(direction, kind):
    r = Rig()
    call = getattr(r, direction)()
    r.say(kind, unknown=[[0x8F, "0102"]])
    assert r.kinds() == ["CFN"] and r.last.get("cause_indicators")["cause"] == 99
    assert r.last.get("cause_indicators")["diagnostics"] == "8f" and len(r.took()) == 1     # the rest is taken
    r.clear_near(call)


@pytest.mark.parametrize("numbers", [
    pytest.param(("come",), marks=(case("1.6.3.1", "Receipt of unknown parameter values in forward direction"),
                                   case("1.7.3.1", "Receipt of unknown parameter values in forward direction"))),
    pytest.param(("out",), marks=(case("1.6.3.2", "Receipt of unknown parameter values in backward direction"),
                                  case("1.7.3.2", "Receipt of unknown parameter values in backward direction")))])
def test_unknown_values(numbers):
    """Spare codings are taken as the default the standard gives them; the call goes on."""
    if numbers[0] == "come":
        r = Rig()
        call = r.come("iam", calling_party_category={"value": 0x77}, transmission_medium={"value": 0x66},
                      nature_of_connection={"spare": 0xE0}, forward_call_indicators={"spare": 0xF000})
        r.ask("setup_response", call)
        r.kinds()
    else:
        r = Rig()
        call = r.out("iam")
        r.say("ACM", backward_call_indicators={"charge": 3, "status": 3, "category": 3})
        r.say("CPG", event_information={"event": 0x55})
        assert [e["event"] for e in r.took()] == ["proceeding_indication", "progress_indication"]
        r.say("ANM")
    assert r.kinds() == []
    r.took()
    r.clear_near(call)


def unknown_message(**told):
    return UNKNOWN_MESSAGE + b"\x01" + bytes([0x38, 1, messages.parameters.encode(
        "itu", "message_compatibility", dict(TOLD, **told))[0]]) + bytes([0xD0, 1, 7, 0])


MESSAGE_CASES = [
    ("1.7.1.1", "Release call", {"release": True}, False, "a", ["REL"], 97),
    ("1.7.1.2", "Discard message", {"discard_message": True, "notify": True}, False, "a", ["CFN"], 97),
    ("1.7.1.3", "Pass on", {}, True, "a", [], None),
    ("1.7.1.4", "Pass on not possible, release call", {"pass_failed": "release"}, False, "a", ["REL"], 97),
    ("1.7.1.5", "Pass on not possible, discard information", {"pass_failed": "discard_message"}, False, "a", [], None),
    ("1.7.1.6", "Transit interpretation", {"transit": True, "release": True}, True, "b", [], None)]


@pytest.mark.parametrize("told, transit, exchange, sent, cause", [
    pytest.param(*row[2:], marks=case(row[0], row[1])) for row in MESSAGE_CASES])
@pytest.mark.parametrize("direction", ["come", "out"])
def test_message_compatibility(told, transit, exchange, sent, cause, direction):
    r = Rig(node={"exchange": exchange})
    call = getattr(r, direction)("iam")
    r.node.circuits[(200, 1)].transit = transit         # the layer above: transit=True with its answer
    r.octets(unknown_message(**told))
    assert r.kinds() == sent
    if cause:
        assert r.last.get("cause_indicators")["cause"] == cause
        assert r.last.get("cause_indicators")["diagnostics"] == "a0"
    passed = r.took("pass_on")
    if transit:
        assert [e["octets"] for e in passed] == [unknown_message(**told)[2:].hex()]
        r.ask("message_request", call, code=0xA0, octets=passed[0]["octets"][2:])   # on the other leg
        assert r.kinds() == [None] and r.last.get("message_compatibility")
    else:
        assert passed == [] and (r.state() == "WAIT_RLC") == (sent == ["REL"])


@case("1.7.1.7", "Message compatibility information not received")
def test_message_compatibility_missing():
    r = Rig()
    call = r.come("iam")
    r.octets(UNKNOWN_MESSAGE + b"\x00")
    assert r.kinds() == ["CFN"]
    r.clear_near(call)


PARAMETER_CASES = [
    ("1.7.2.1", "Release call", {"release": True}, False, "a", ["REL"], 99),
    ("1.7.2.2", "Discard message", {"discard_message": True, "notify": True}, False, "a", ["CFN"], 110),
    ("1.7.2.3", "Discard parameter", {"discard_parameter": True, "notify": True}, False, "a", ["CFN"], 99),
    ("1.7.2.4", "Pass on", {}, True, "a", [], None),
    ("1.7.2.5", "Pass on not possisble, release call", {"pass_failed": "release"}, False, "a", ["REL"], 99),
    ("1.7.2.6", "Pass on not possisble, discard message", {"pass_failed": "discard_message"}, False, "a", [], None),
    ("1.7.2.7", "Pass on not possisble, discard parameter", {"pass_failed": "discard_parameter"}, False, "a", [], None),
    ("1.7.2.8", "Transit interpretation", {"transit": True, "release": True}, True, "b", [], None)]


@pytest.mark.parametrize("number, told, transit, exchange, sent, cause", [
    pytest.param(row[0], *row[2:], marks=case(row[0], row[1])) for row in PARAMETER_CASES])
def test_parameter_compatibility(number, told, transit, exchange, sent, cause):
    r = Rig(node={"exchange": exchange})
    call = r.out("acm")
    r.node.circuits[(200, 1)].transit = transit
    r.say("USR", unknown=[[0x8F, "0102"]], parameter_compatibility={"parameters": [[0x8F, dict(TOLD, **told)]]})
    assert r.kinds() == sent
    if cause:
        assert r.last.get("cause_indicators")["cause"] == cause
        assert r.last.get("cause_indicators")["diagnostics"] == "8f"
    events = r.took("message_indication")
    gone = sent == ["REL"] or number in ("1.7.2.2", "1.7.2.6")
    assert len(events) == (0 if gone else 1)
    if transit:
        assert events[0]["unknown"] == [[0x8F, "0102"]]
    assert r.node.call_state(call)["state"] == ("WAIT_RLC" if sent == ["REL"] else "OUT_WAIT_ANM")


@case("1.7.2.9", "Parameter compatibility information not received")
def test_parameter_compatibility_missing():
    r = Rig()
    call = r.come("iam", )
    r.say("USR", unknown=[[0x8F, "0102"]])
    assert r.kinds() == ["CFN"] and r.last.get("cause_indicators")["cause"] == 99
    r.clear_near(call)


@case("1.7.2.10", "Parameter compatibility information not received in REL")
def test_parameter_compatibility_missing_in_rel():
    r = Rig()
    call = r.out()
    r.say("REL", unknown=[[0x8F, "0102"]])
    r.ask("release_request", call)
    assert r.kinds() == ["RLC"]
    assert (r.last.get("cause_indicators")["cause"], r.last.get("cause_indicators")["diagnostics"]) == (99, "8f")
    r.over(call, 1, "far")
    call = r.out()
    r.ask("release_request", call)
    r.say("RLC", unknown=[[0x8F, "0102"]])              # never answered
    assert r.kinds() == ["REL"] and CAUSE["cause"] == 16
    r.over(call, 1, "near")
