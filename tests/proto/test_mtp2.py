"""Q.781 against our MTP2: link states, failures, outage, error monitors.  Numbers as in Q.781;
what one purpose leaves open between (a) and (b) is who does it: (a) we, (b) the far end."""

import pytest

from firmware.proto import mtp2_units as units
from tests.proto.mtp2_rig import MESSAGE, Rig, mark

EXPECTED = "Link State Control - expected signal units/orders: "
UNEXPECTED = "Link State Control - unexpected signal units/orders in "


@mark("1.1(a)", EXPECTED + "initialization: we send SIOS")
def test_power_up():
    r = Rig()
    assert r.take() == ["SIOS"] and r.heard == []
    assert r.link.state == "OUT_OF_SERVICE" and r.link.deadline_ms() is None


@mark("1.1(b)", EXPECTED + "initialization: the far end's SIOS changes nothing")
def test_power_up_of_the_far_end():
    r = Rig()
    r.say("SIOS")
    r.wait(100000)
    assert r.take() == ["SIOS"] and r.link.state == "OUT_OF_SERVICE"


@mark("1.2", EXPECTED + "timer T2")
def test_t2():
    r = Rig()
    r.say("SIOS")
    r.ask("start")
    r.wait(9999)
    assert r.take() == ["SIOS", "SIO"]
    r.wait(1)
    assert r.take() == ["SIOS"] and r.took("out_of_service") == [("out_of_service", "alignment_not_possible")]


@mark("1.3", EXPECTED + "timer T3")
def test_t3():
    r = Rig()
    r.ask("start")
    r.say("SIO")
    r.wait(1499)
    assert r.take() == ["SIOS", "SIO", "SIN"]
    r.wait(1)
    assert r.take() == ["SIOS"]


@mark("1.4", EXPECTED + "timers T1 and T4 (normal)")
def test_t1_and_t4():
    r = Rig()
    r.ask("start")
    r.say("SIO")
    r.say("SIN")
    r.wait(8199)
    assert r.take() == ["SIOS", "SIO", "SIN"]
    r.wait(1)
    assert r.take() == ["FISU"] and r.link.state == "ALIGNED_READY"
    r.wait(44999)
    assert r.take() == []
    r.wait(1)
    assert r.take() == ["SIOS"] and r.took("out_of_service") == [("out_of_service", "t1_expired")]


@pytest.mark.parametrize("first", [pytest.param("near", marks=mark("1.5(a)", EXPECTED + "normal alignment (FISU)")),
                                   pytest.param("far", marks=mark("1.5(b)", EXPECTED + "normal alignment (FISU)"))])
def test_normal_alignment(first):
    r = Rig()
    r.say("SIOS")
    if first == "far":
        r.say("SIO")
        assert r.take() == ["SIOS"]
        r.ask("start")                  # the SIO that still comes is enough
        assert r.take() == ["SIN"]      # SIO was overtaken: it left nothing to wait for
    else:
        r.ask("start")
        r.say("SIO")
        assert r.take() == ["SIOS", "SIO", "SIN"]
    r.say("SIN")
    r.wait(8200)
    assert r.heard == [("FISU", 127, 1, 127, 1)] and r.take()
    r.say("FISU")
    assert r.link.state == "IN_SERVICE" and r.took("in_service") and r.take() == []
    r.wait(100000)
    assert r.link.state == "IN_SERVICE"


@mark("1.6", EXPECTED + "normal alignment, correct procedure (MSU)")
def test_alignment_ended_by_a_message():
    r = Rig()
    r.align()
    r.say_message()
    assert r.took("message") == [("message", MESSAGE)] and r.link.in_service
    assert r.last() == ("FISU", 0, 1, 127, 1)


@mark("1.7", EXPECTED + "SIO received during normal proving period")
def test_sio_in_proving():
    r = Rig()
    r.ask("start")
    r.say("SIO")
    r.say("SIN")
    r.wait(4000)
    r.say("SIO")
    assert r.link.state == "ALIGNED"
    r.say("SIN")
    r.wait(8199)
    assert r.link.state == "PROVING" and r.take() == ["SIOS", "SIO", "SIN"]
    r.wait(1)
    assert r.take() == ["FISU"]


@pytest.mark.parametrize("kind, number", [
    pytest.param("FISU", "a", marks=mark("1.8(a)", EXPECTED + "normal alignment with PO set (FISU)")),
    pytest.param("MSU", "a", marks=mark("1.9(a)", EXPECTED + "normal alignment with PO set (MSU)"))])
def test_alignment_with_local_outage(kind, number):
    r = Rig()
    r.ask("local_processor_outage")
    r.align()
    assert r.take() == ["SIOS", "SIO", "SIN", "SIPO"] and r.link.state == "ALIGNED_NOT_READY"
    r.say("FISU") if kind == "FISU" else r.say_message()
    assert r.link.state == "PROCESSOR_OUTAGE" and r.take() == []
    assert [e[0] for e in r.events] == ["in_service"]           # the message was refused


@pytest.mark.parametrize("kind", [
    pytest.param("FISU", marks=mark("1.8(b)", EXPECTED + "normal alignment with PO set (FISU)")),
    pytest.param("MSU", marks=mark("1.9(b)", EXPECTED + "normal alignment with PO set (MSU)"))])
def test_alignment_with_remote_outage(kind):
    r = Rig()
    r.align()
    r.say("SIPO")
    assert r.link.state == "PROCESSOR_OUTAGE" and r.took("remote_processor_outage")
    r.wait(100000)                      # T1 is stopped
    r.say("FISU") if kind == "FISU" else r.say_message()
    assert r.link.in_service and [e[0] for e in r.events] == ["remote_processor_recovered", "message"][:1 + (kind == "MSU")]


@mark("1.10", EXPECTED + "normal alignment with PO set and cleared")
def test_local_outage_set_and_cleared():
    r = Rig()
    r.ask("local_processor_outage")
    r.align()
    r.ask("local_processor_recovered")
    assert r.take()[-2:] == ["SIPO", "FISU"] and r.link.state == "ALIGNED_READY"
    r.say("FISU")
    assert r.link.in_service


@mark("1.11", EXPECTED + "set RPO when aligned not ready")
def test_remote_outage_when_aligned_not_ready():
    r = Rig()
    r.ask("local_processor_outage")
    r.align()
    r.say("SIPO")
    assert r.link.state == "PROCESSOR_OUTAGE" and r.took("remote_processor_outage")
    r.say("FISU")
    assert r.link.state == "PROCESSOR_OUTAGE"
    r.ask("local_processor_recovered")
    assert r.take()[-1] == "FISU" and r.link.in_service


@pytest.mark.parametrize("who", [
    pytest.param("far", marks=mark("1.12(a)", EXPECTED + "SIOS received when aligned not ready")),
    pytest.param("far first", marks=mark("1.12(b)", EXPECTED + "SIOS received when aligned not ready (start of the far end first)"))])
def test_sios_when_aligned_not_ready(who):
    r = Rig()
    r.ask("local_processor_outage")
    if who == "far first":
        r.say("SIO")
    r.align()
    r.say("SIOS")
    assert r.take()[-2:] == ["SIPO", "SIOS"] and r.link.state == "OUT_OF_SERVICE"
    r.align()                           # the local outage was forgotten with the link
    assert r.take() == ["SIO", "SIN", "FISU"]


@mark("1.13", EXPECTED + "SIO received when aligned not ready")
def test_sio_when_aligned_not_ready():
    r = Rig()
    r.ask("local_processor_outage")
    r.align()
    r.say("SIO")
    assert r.take()[-2:] == ["SIPO", "SIOS"]


@mark("1.14", EXPECTED + "set and clear LPO when initial alignment")
def test_local_outage_in_initial_alignment():
    r = Rig()
    r.ask("start")
    r.say("SIO")
    r.ask("local_processor_outage")
    r.say("SIN")
    r.ask("local_processor_recovered")
    r.wait(8200)
    assert r.take() == ["SIOS", "SIO", "SIN", "FISU"]


@mark("1.15", EXPECTED + "set and clear LPO when aligned ready")
def test_local_outage_when_aligned_ready():
    r = Rig()
    r.align()
    r.ask("local_processor_outage")
    r.ask("local_processor_recovered")
    assert r.take()[-3:] == ["FISU", "SIPO", "FISU"] and r.link.state == "ALIGNED_READY"


@mark("1.16", EXPECTED + "timer T1 in aligned not ready")
def test_t1_when_aligned_not_ready():
    r = Rig()
    r.ask("local_processor_outage")
    r.align()
    r.wait(44999)
    assert r.take()[-1] == "SIPO"
    r.wait(1)
    assert r.take() == ["SIOS"]


@pytest.mark.parametrize("kind, ms", [
    pytest.param("SIN", 8200, marks=mark("1.17", EXPECTED + "no SIO sent during normal proving period")),
    pytest.param("SIE", 500, marks=mark("1.24", EXPECTED + "no SIO sent during emergency alignment"))])
def test_far_end_sends_no_sio(kind, ms):
    r = Rig()
    r.ask("start")
    r.say(kind)
    assert r.link.state == "PROVING"
    r.wait(ms - 1)
    assert r.take() == ["SIOS", "SIO", "SIN"]
    r.wait(1)
    assert r.take() == ["FISU"]


@mark("1.18", EXPECTED + "set and cease emergency prior to start alignment")
def test_emergency_set_and_ceased():
    r = Rig()
    r.ask("emergency")
    r.ask("emergency_ceases")
    r.ask("start")
    r.say("SIO")
    r.say("SIN")
    r.wait(8199)
    assert r.take() == ["SIOS", "SIO", "SIN"]
    r.wait(1)
    assert r.take() == ["FISU"]


@mark("1.19", EXPECTED + "set emergency while in not aligned state")
def test_emergency_when_not_aligned():
    r = Rig()
    r.ask("start")
    r.ask("emergency")
    r.say("SIO")
    r.say("SIN")
    r.wait(500)
    assert r.take() == ["SIOS", "SIO", "SIE", "FISU"]


@mark("1.20", EXPECTED + "set emergency when aligned")
def test_emergency_when_aligned():
    r = Rig()
    r.ask("start")
    r.say("SIO")
    r.ask("emergency")
    r.say("SIN")
    r.wait(500)
    assert r.take() == ["SIOS", "SIO", "SIN", "SIE", "FISU"]


@pytest.mark.parametrize("ours, theirs", [
    pytest.param(True, "SIE", marks=mark("1.21", EXPECTED + "both ends set emergency")),
    pytest.param(False, "SIE", marks=mark("1.22", EXPECTED + "individual end sets emergency"))])
def test_emergency(ours, theirs):
    r = Rig()
    if ours:
        r.ask("emergency")
    r.ask("start")
    r.say("SIO")
    r.say(theirs)
    r.wait(499)
    assert r.take() == ["SIOS", "SIO", "SIE" if ours else "SIN"]
    r.wait(1)
    assert r.take() == ["FISU"]


@mark("1.23", EXPECTED + "set emergency during normal proving")
def test_emergency_in_proving():
    r = Rig()
    r.ask("start")
    r.say("SIO")
    r.say("SIN")
    r.wait(3000)
    r.ask("emergency")
    r.wait(499)
    assert r.take() == ["SIOS", "SIO", "SIN", "SIE"]
    r.wait(1)
    assert r.take() == ["FISU"]


def test_emergency_of_the_far_end_in_proving():
    r = Rig()
    r.ask("start")
    r.say("SIO")
    r.say("SIN")
    r.wait(3000)
    r.say("SIE")
    r.wait(500)
    assert r.link.state == "ALIGNED_READY"


@mark("1.25", EXPECTED + "deactivation during initial alignment")
def test_stop_in_initial_alignment():
    r = Rig()
    r.ask("start")
    r.ask("stop")
    assert r.take() == ["SIOS", "SIO", "SIOS"] and r.link.deadline_ms() is None


@mark("1.26", EXPECTED + "deactivation during aligned state")
def test_stop_when_aligned():
    r = Rig()
    r.ask("start")
    r.say("SIO")
    r.ask("stop")
    assert r.take() == ["SIOS", "SIO", "SIN", "SIOS"] and r.link.deadline_ms() is None


@mark("1.27", EXPECTED + "deactivation during aligned not ready")
def test_stop_when_aligned_not_ready():
    r = Rig()
    r.ask("local_processor_outage")
    r.align()
    r.ask("stop")
    assert r.take()[-2:] == ["SIPO", "SIOS"] and r.link.deadline_ms() is None


@pytest.mark.parametrize("messages", [
    pytest.param(0, marks=[mark("1.28", EXPECTED + "SIO received during link in service"),
                           mark("1.29(a)", EXPECTED + "SIO received during link in service")]),
    pytest.param(2, marks=mark("1.29(b)", EXPECTED + "SIO received during link in service, messages waiting"))])
def test_sio_in_service(messages):
    r = Rig().up()
    for _ in range(messages):
        r.ask("message", MESSAGE)
    r.say("SIO")
    assert r.take()[-1] == "SIOS" and r.took("out_of_service") == [("out_of_service", "received_sio")]
    r.ask("retrieve", bytes([127]))
    assert len(r.took("retrieved_message")) == messages
    r.align()
    r.say("FISU")
    assert r.link.in_service


@pytest.mark.parametrize("kind", ["SIN", "SIE", "SIOS"])
def test_other_status_in_service(kind):
    r = Rig().up()
    r.say(kind)
    assert r.take() == ["SIOS"]


@pytest.mark.parametrize("way, who", [
    pytest.param("local", "near", marks=mark("1.30(a)", EXPECTED + "deactivation during LPO")),
    pytest.param("local", "far", marks=mark("1.30(b)", EXPECTED + "deactivation during LPO")),
    pytest.param("remote", "near", marks=mark("1.31(a)", EXPECTED + "deactivation during RPO")),
    pytest.param("remote", "far", marks=mark("1.31(b)", EXPECTED + "deactivation during RPO")),
    pytest.param("proving", "near", marks=mark("1.32(a)", EXPECTED + "deactivation during the proving period")),
    pytest.param("proving", "far", marks=mark("1.32(b)", EXPECTED + "deactivation during the proving period"))])
def test_deactivation(way, who):
    r = Rig()
    if way == "proving":
        r.ask("start")
        r.say("SIO")
        r.say("SIN")
    else:
        r.outage(way)
    r.ask("stop") if who == "near" else r.say("SIOS")
    assert r.take()[-1] == "SIOS" and r.link.state == "OUT_OF_SERVICE" and r.link.deadline_ms() is None


@pytest.mark.parametrize("outage", [
    pytest.param(False, marks=mark("1.33", EXPECTED + "SIO received instead of FISUs")),
    pytest.param(True, marks=mark("1.34", EXPECTED + "SIO received instead of FISUs, local outage"))])
def test_sio_instead_of_fisu(outage):
    r = Rig()
    if outage:
        r.ask("local_processor_outage")
    r.align()
    r.say("SIO")
    assert r.take()[-2:] == ["SIPO" if outage else "FISU", "SIOS"]


@mark("1.35", EXPECTED + "SIPO received instead of FISUs")
def test_sipo_instead_of_fisu():
    r = Rig()
    r.align()
    r.say("SIPO")
    r.wait(60000)
    assert r.take()[-1] == "FISU" and r.link.state == "PROCESSOR_OUTAGE"


def unexpected(r, kinds, orders):
    """Nothing of it moves the link."""
    state, fill = r.link.state, r.take()
    for kind in kinds:
        r.say(kind, MESSAGE if kind == "MSU" else b"")
    r._after(r.link.receive(bytes([255, 255, 1, 7]), r.now_ms))         # a status not in use
    r._after(r.link.receive(bytes([255, 255, 9, 7]), r.now_ms))         # LI wrong
    for order in orders:
        r.ask(order, {"message": MESSAGE}.get(order))
    assert r.link.state == state and r.take() == [], fill


@mark("2.1", UNEXPECTED + "out of service")
def test_unexpected_out_of_service():
    unexpected(Rig(), ("SIO", "SIN", "SIE", "SIPO", "SIB", "FISU", "MSU"),
               ("stop", "power_on", "emergency", "emergency_ceases", "no_congestion", "message"))


@mark("2.2", UNEXPECTED + "not aligned")
def test_unexpected_not_aligned():
    r = Rig()
    r.ask("start")
    unexpected(r, ("SIOS", "SIPO", "SIB", "FISU", "MSU"), ("start", "power_on", "retrieve_bsnt", "flush_buffers"))


@mark("2.3", UNEXPECTED + "aligned")
def test_unexpected_aligned():
    r = Rig()
    r.ask("start")
    r.say("SIO")
    unexpected(r, ("SIO", "SIPO", "SIB", "FISU", "MSU"), ("start", "retrieve_bsnt"))


@mark("2.4", UNEXPECTED + "proving")
def test_unexpected_proving():
    r = Rig()
    r.ask("start")
    r.say("SIO")
    r.say("SIN")
    unexpected(r, ("SIN", "SIPO", "SIB", "FISU", "MSU"), ("start", "retrieve_bsnt"))


@mark("2.5", UNEXPECTED + "aligned ready")
def test_unexpected_aligned_ready():
    r = Rig()
    r.align()
    unexpected(r, ("SIN", "SIE", "SIB"), ("start", "local_processor_recovered", "emergency", "retrieve_bsnt"))


@mark("2.6", UNEXPECTED + "aligned not ready")
def test_unexpected_aligned_not_ready():
    r = Rig()
    r.ask("local_processor_outage")
    r.align()
    unexpected(r, ("SIN", "SIE", "SIB"), ("start", "local_processor_outage", "emergency"))


@mark("2.7", UNEXPECTED + "in service")
def test_unexpected_in_service():
    unexpected(Rig().up(), ("SIB",), ("start", "local_processor_recovered", "emergency", "emergency_ceases",
                                      "retrieve_bsnt", "power_on", "flush_buffers"))


@mark("2.8", UNEXPECTED + "processor outage")
def test_unexpected_processor_outage():
    unexpected(Rig().outage(), ("SIB", "FISU", "MSU"), ("start", "local_processor_outage", "emergency"))


def break_line(r):
    """All ones: octet counting, an error each 16 octets (2 ms)."""
    for _ in range(400):
        r.error()
        r.wait(2)
        if r.heard and r.last()[0] == "SIOS":
            return


def ready(state):
    r = Rig()
    if state in ("ALIGNED_READY", "ALIGNED_NOT_READY"):
        if state == "ALIGNED_NOT_READY":
            r.ask("local_processor_outage")
        r.align()
    elif state == "IN_SERVICE":
        r.up()
    else:
        r.outage()
    assert r.link.state == state
    return r


STATES = (("ALIGNED_READY", "3.1", "3.2", "link aligned ready"), ("ALIGNED_NOT_READY", "3.3", "3.4", "link aligned not ready"),
          ("IN_SERVICE", "3.5", "3.6", "link in service"), ("PROCESSOR_OUTAGE", "3.7", "3.8", "link in processor outage"))


@pytest.mark.parametrize("state", [pytest.param(s[0], marks=mark(s[1], "Transmission failure: %s (break Tx path)" % s[3]))
                                   for s in STATES])
def test_break(state):
    r = ready(state)
    break_line(r)
    assert r.link.state == "OUT_OF_SERVICE" and r.took("out_of_service") == [("out_of_service", "excessive_error_rate")]
    assert r.link.counters["errors"] == 64


@pytest.mark.parametrize("state", [pytest.param(s[0], marks=mark(s[2], "Transmission failure: %s (corrupt FIBs, basic)" % s[3]))
                                   for s in STATES])
def test_corrupt_fibs(state):
    r = ready(state)
    r.say("FISU", fib=0)
    assert r.link.state == state and r.link.attentive
    r.repeats(1)
    assert r.take()[-1] == "SIOS" and r.took("out_of_service") == [("out_of_service", "abnormal_fib")]


@mark("4.1", "Processor Outage Control: set and clear LPO while link in service")
def test_local_outage_in_service():
    r = Rig().up()
    r.ask("local_processor_outage")
    r.say_message()
    assert r.take() == ["SIPO"] and r.took("message") == []
    r.ask("message", MESSAGE)
    r.wait(60000)
    assert r.take() == []
    r.ask("local_processor_recovered")
    assert r.take() == ["MSU", "FISU"] and r.link.in_service
    r.say("FISU", bsn=0)                # FSN 0, which we refused: we ask for it
    assert r.last()[:3] == ("FISU", 127, 0)
    r.say("MSU", MESSAGE, bsn=0, fib=0)
    assert r.took("message") == [("message", MESSAGE)] and r.last()[:3] == ("FISU", 0, 0)


@mark("4.2", "Processor Outage Control: RPO during LPO")
def test_remote_outage_during_local():
    r = Rig().outage()
    r.say("SIPO")
    assert r.took("remote_processor_outage")
    r.say("FISU")
    assert r.took("remote_processor_recovered") and r.link.state == "PROCESSOR_OUTAGE"
    r.ask("local_processor_recovered")
    assert r.take() == ["FISU"] and r.link.in_service


@mark("4.3", "Processor Outage Control: clear LPO when both processor outage")
def test_local_outage_cleared_first():
    r = Rig().outage()
    r.say("SIPO")
    r.ask("local_processor_recovered")
    assert r.take() == ["FISU"] and r.link.state == "PROCESSOR_OUTAGE"
    r.ask("message", MESSAGE)
    assert r.take() == []
    r.say("FISU")
    assert r.take() == ["MSU", "FISU"] and r.link.in_service


def test_flush_in_outage():
    r = Rig().up()
    r.ask("message", MESSAGE)
    r.say("SIPO")
    r.ask("flush_buffers")
    r.take()
    r.say("FISU")
    r.ask("message", MESSAGE[:-1])
    assert r.heard[-2] == ("MSU", 127, 1, 0, 1) and r.messages[-1] == MESSAGE[:-1]


@mark("6.1", "SUERM: error rate of 1 in 256, link remains in service")
def test_suerm_below():
    r = Rig().up()
    for _ in range(5000):
        r.repeats(255)
        r.error()
    assert r.link.in_service


@mark("6.2", "SUERM: error rate of 1 in 254, link out of service")
def test_suerm_above():
    r = Rig().up()
    for _ in range(64 * 256):
        r.repeats(253)
        r.error()
    assert r.took("out_of_service") == [("out_of_service", "excessive_error_rate")]


@mark("6.3", "SUERM: consecutive corrupt SUs")
def test_suerm_consecutive():
    r = Rig().up()
    r.error(63)
    assert r.link.in_service
    r.error()
    assert r.take() == ["SIOS"]


@mark("6.4", "SUERM: time controlled break of the link")
def test_suerm_break():
    r = Rig().up()
    for _ in range(60):                 # a break of 120 ms
        r.error()
        r.wait(2)
    assert r.link.in_service
    r.repeats(256 * 60)                 # what it cost is forgotten
    r.error(63)
    assert r.link.in_service


def test_errored_interval_monitor():
    r = Rig(monitor="eim").up()
    for _ in range(3):
        r.error(500)
        r.wait(100)
        assert r.link.in_service
    r.wait(17 * 100)                    # intervals without errors take it back
    r.error()
    r.wait(100)
    assert r.link.in_service
    r.error()
    r.wait(100)
    assert r.link.state == "OUT_OF_SERVICE"


def proving(errors, emergency=False):
    r = Rig()
    r.ask("start")
    r.say("SIO")
    r.say("SIE" if emergency else "SIN")
    r.error(errors)
    return r


@mark("7.1", "AERM: error rate below the normal threshold")
def test_aerm_below():
    r = proving(3)
    r.wait(8200)
    assert r.link.state == "ALIGNED_READY"


@mark("7.2", "AERM: error rate at the normal threshold")
def test_aerm_at():
    r = proving(4)
    r.wait(1000)
    r.repeats(1)                        # a good unit begins the next proving period
    r.wait(8199)
    assert r.link.state == "PROVING"
    r.wait(1)
    assert r.link.state == "ALIGNED_READY"


def test_aerm_without_a_good_unit_proves_anew_at_t4():
    r = proving(4)
    r.wait(8200)
    assert r.link.state == "PROVING"
    r.wait(8200)
    assert r.link.state == "ALIGNED_READY"


@mark("7.3", "AERM: error rate above the normal threshold")
def test_aerm_above():
    r = proving(0)
    for turn in range(5):
        assert r.link.state == "PROVING"
        r.error(5)
        r.repeats(1)
    assert r.take()[-1] == "SIOS" and r.took("out_of_service") == [("out_of_service", "alignment_not_possible")]


@mark("7.4", "AERM: error rate at the emergency threshold")
def test_aerm_emergency():
    r = proving(1, True)
    r.repeats(1)
    r.wait(499)
    assert r.link.state == "PROVING"
    r.wait(1)
    assert r.link.state == "ALIGNED_READY"
    r = proving(0, True)
    for _ in range(5):
        r.error()
        r.repeats(1)
    assert r.link.state == "OUT_OF_SERVICE"


def test_ansi_timers():
    r = Rig(variant="ansi")
    r.ask("start")
    r.wait(11500)
    assert r.take() == ["SIOS", "SIO", "SIOS"]


def test_units():
    for octets in ("ffff00", "ff7f0103", "ff00023300", "80811f" + "11" * 31, "80813f" + "11" * 63, "80813f" + "22" * 273):
        unit = units.decode(bytes.fromhex(octets))
        assert unit.kind in ("SIOS", units.decode(units.encode(unit)).kind)
        if unit.kind in ("FISU", "MSU"):
            assert units.encode(unit).hex() == octets
    for octets in ("", "ff", "ffff", "ffff0300", "ffff3f" + "00" * 62, "ffff3f" + "00" * 274, "ffff0000"):
        with pytest.raises(units.UnitError):
            units.decode(bytes.fromhex(octets))
