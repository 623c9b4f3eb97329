"""Q.784.1 group 5: timers and abnormal situations, by number, against a scripted exchange B."""

import pytest

from tests.proto.isup_rig import Rig, case, dissected  # noqa: F401

pytestmark = pytest.mark.usefixtures("dissected")


def repeats(r, kind, short_ms, long_ms, answer, **content):
    """After a message that B does not answer: again each short_ms until long_ms, then each long_ms, with an alarm."""
    assert r.kinds()[-1:] == [kind]
    for _ in range(long_ms // short_ms - 1):
        r.wait(short_ms - 1)
        assert r.kinds() == []
        r.wait(1)
        assert r.kinds() == [kind]
    r.took()
    r.wait(short_ms)
    assert r.kinds()[-1:] == [kind] and r.took("circuit_fault", "group_fault")
    for _ in range(2):
        r.wait(long_ms - 1)
        assert r.kinds() == []
        r.wait(1)
        assert r.kinds() == [kind] and r.took("circuit_fault", "group_fault")
    r.say(answer, **content)
    assert r.node.deadline_ms() is None and r.kinds() == []


@case("5.1", "Inability to release in response to a REL after ANM")
def test_cannot_release():
    r = Rig()
    call = r.come()
    r.say("REL")
    r.ask("cannot_release", call)
    assert r.kinds() == ["BLO"] and r.state() == "FAR_RELEASED" and r.took("circuit_fault")
    r.say("BLA")
    assert r.kinds() == ["RLC"] and r.blocking()["local"] == "blocked"
    assert [e["call"] for e in r.took("released")] == [call]


@case("5.2.1", "T7: waiting for ACM or CON")
def test_t7():
    r = Rig()
    call = r.out("iam")
    r.wait(19999)
    assert r.kinds() == []
    r.wait(1)
    assert r.kinds() == ["REL"] and [(e["event"], e["cause"]) for e in r.took()] == [("disconnect_indication", 31)]
    r.say("RLC")
    r.over(call, 1, "failure")


@case("5.2.2", "T9: waiting for ANM")
def test_t9():
    r = Rig()
    call = r.out("acm")
    r.wait(179999)
    assert r.kinds() == []
    r.wait(1)
    assert r.kinds() == ["REL"] and r.last.get("cause_indicators")["cause"] == 19
    r.say("RLC")
    r.over(call, 1, "failure")


@case("5.2.3", "T1 and T5: failure to receive a RLC")
def test_t1_t5():
    r = Rig()
    call = r.out()
    r.ask("release_request", call, cause=16)
    assert r.kinds() == ["REL"]
    for _ in range(19):
        r.wait(15000)
        assert r.kinds() == ["REL"]
    r.wait(15000)
    assert r.kinds()[-1] == "RSC" and r.took("circuit_fault", "released")[-2:]
    assert r.node.calls() == []
    r.wait(299999)
    assert r.kinds() == []
    r.wait(1)
    assert r.kinds() == ["RSC"] and r.took("circuit_fault")
    r.say("RLC")
    assert r.state() == "IDLE" and r.node.deadline_ms() is None


@pytest.mark.parametrize("by, wait", [pytest.param("network", 60000, marks=case("5.2.4", "T6 :waiting for RES (Network) message")),
                                      ("user", 180000)])
def test_t6_t2(by, wait):
    r = Rig()
    call = r.out()
    r.say("SUS", suspend_resume_indicators={"by": by})
    r.took()
    r.wait(wait - 1)
    assert r.kinds() == []
    r.wait(1)
    assert r.kinds() == ["REL"] and r.last.get("cause_indicators")["cause"] == 102
    r.say("RLC")
    r.over(call, 1, "failure")


@pytest.mark.parametrize("where", [
    pytest.param("this", marks=case("5.2.5a", "T8: waiting for COT message if applicable: is required")),
    pytest.param("previous", marks=case("5.2.5b", "T8: waiting for COT message: is performed on a previous circuit"))])
def test_t8(where):
    r = Rig()
    r.say("IAM", nature_of_connection={"continuity": where})
    r.wait(9999)
    assert r.kinds() == []
    r.wait(1)
    assert r.kinds() == ["REL"] and r.last.get("cause_indicators")["cause"] == 41
    r.say("RLC")
    assert r.state() == "IDLE" and r.took() == []       # the layer above never heard of it


@case("5.2.6", "T12 and T13: failure to receive a BLA")
def test_t12_t13():
    r = Rig()
    r.circuit("block")
    repeats(r, "BLO", 15000, 300000, "BLA")
    assert r.blocking()["local"] == "blocked"


@case("5.2.7", "T14 and T15: failure to receive UBA")
def test_t14_t15():
    r = Rig()
    r.circuit("block")
    r.say("BLA")
    r.circuit("unblock")
    repeats(r, "UBL", 15000, 300000, "UBA")
    assert r.blocking()["local"] == "unblocked"


@case("5.2.8", "T16 and T17: failure to receive a RLC")
def test_t16_t17():
    r = Rig()
    r.circuit("reset")
    repeats(r, "RSC", 15000, 300000, "RLC")
    assert r.state() == "IDLE"


STATUS = {"range": 2, "status": [1, 1, 1]}


@case("5.2.9", "T18 and T19: failure to receive a CGBA")
def test_t18_t19():
    r = Rig()
    r.group("block", [1, 2, 3])
    repeats(r, "CGB", 15000, 300000, "CGBA", supervision_type={"type": "maintenance"}, range_and_status=STATUS)


@case("5.2.10", "T20 and T21: failure to receive a CGUA")
def test_t20_t21():
    r = Rig()
    r.group("unblock", [1, 2, 3])
    repeats(r, "CGU", 15000, 300000, "CGUA", supervision_type={"type": "maintenance"}, range_and_status=STATUS)
    assert r.blocking()["local"] == "unblocked"


@case("5.2.11", "T22 and T23: failure to receive a GRA")
def test_t22_t23():
    r = Rig()
    r.group("reset", [1, 2, 3])
    repeats(r, "GRS", 15000, 300000, "GRA", range_and_status={"range": 2, "status": [0, 0, 0]})
    assert [r.state(n) for n in (1, 2, 3)] == ["IDLE"] * 3


@pytest.mark.parametrize("direction, upto", [
    pytest.param("out", "answered", marks=case("5.3.1", "Reset of circuits during a call: of an outgoing circuit")),
    pytest.param("come", "answered", marks=case("5.3.2", "Reset of circuits during a call: of an incoming circuit")),
    ("come", "iam")])
def test_reset_in_a_call(direction, upto):
    r = Rig()
    call = getattr(r, direction)(upto)
    r.say("RSC")
    assert r.kinds() == ["RLC"]
    r.over(call, 1, "far")
    call = getattr(r, direction)(upto)
    r.circuit("reset")
    assert r.kinds() == ["RSC"] and [(e["call"], e["cause"]) for e in r.took("released")] == [(call, 41)]
    r.say("RLC")
    assert r.state() == "IDLE"
    getattr(r, direction)(upto)
