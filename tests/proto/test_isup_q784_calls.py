"""Q.784.1 groups 2, 3, 4 and 6 to 9: calls, by number, against a scripted exchange B.

a, b and further letters of a number without words of their own: outgoing and incoming, and the indications
in the order of Q.763."""

import pytest

from tests.proto.isup_rig import BACKWARD, Rig, case, dissected  # noqa: F401

pytestmark = pytest.mark.usefixtures("dissected")


def setups(events):
    return [e for e in events if e["event"] == "setup_indication"]


# 2.1, 2.2: circuit selection, address signalling

@case("2.1.1", "IAM sent by controlling SP")
def test_controlling():
    """B (200) controls the even CICs, we the odd ones: ours are taken first, the longest idle one."""
    r = Rig()
    first = r.node.new_call("a")
    assert r.node.circuit("a.1").call == first
    r.ask("setup_request", first, called="1")
    assert r.kinds() == ["IAM"] and r.last.cic == 1
    r.clear_near(first)
    for expected in (3, 5, 7):
        call = r.node.new_call("a")
        assert call == "a.%d.1" % expected
        r.ask("setup_request", call, called="1")


@case("2.1.2", "IAM sent by non-controlling SP")
def test_not_controlling():
    r = Rig(control="none")
    for cic in (4, 8):
        r.clear_near(r.out(cic=cic), cic)
    call = r.node.new_call("a")
    assert call == "a.8.2"              # idle for the shortest time
    r.ask("setup_request", call, called="1")
    assert r.kinds() == ["IAM"]


@case("2.2.1a", "En bloc: outgoing call")
def test_en_bloc_out():
    r = Rig()
    call = r.node.new_call("a", 5)
    r.ask("setup_request", call, called={"number": "2150801000", "type": "national"}, caller="13912345678",
          redirecting={"number": "4008001000", "reason": "no_reply"}, original_called="4008001000", bearer="speech")
    assert r.kinds() == ["IAM"]
    iam = r.last
    assert iam.get("called_party_number") == {"number": "2150801000", "type": "national", "plan": "isdn", "inn": 0,
                                              "complete": True}
    assert iam.get("calling_party_number") == {"number": "13912345678", "type": "national", "plan": "isdn", "incomplete": 0,
                                               "presentation": "allowed", "screening": "network"}
    assert iam.get("redirecting_number")["number"] == iam.get("original_called_number")["number"] == "4008001000"
    assert iam.get("redirection_information")["reason"] == "no_reply"
    assert iam.get("transmission_medium") == {"value": "speech"}
    r.say("ACM", 5, backward_call_indicators={"status": "free"})
    r.say("ANM", 5)
    assert r.names() == ["alerting_indication", "setup_confirm"]
    r.clear_near(call, 5)


@case("2.2.1b", "En bloc: incoming call")
def test_en_bloc_in():
    r = Rig()
    r.say("IAM", 17, calling_party_number={"number": "13912345678", "screening": "user_passed"},
          redirecting_number={"number": "4008001000"}, redirection_information={"indicator": 3, "counter": 2, "reason": "busy"})
    event = setups(r.took())[0]
    assert event["called_digits"] == "2150801000" and event["called_complete"] and event["law"] == "A"
    assert (event["span"], event["timeslot"], event["cic"], event["group"]) == (1, 17, 17, "a")
    assert event["caller"]["number"] == "13912345678" and event["caller"]["screening"] == "user_passed"
    assert event["redirecting"]["reason"] == "busy" and event["bearer"] == "3.1khz_audio"
    r.ask("alerting_request", event["call"])
    r.ask("setup_response", event["call"])
    assert r.kinds() == ["ACM", "ANM"] and r.names() == ["setup_complete_indication"]
    r.clear_far(event["call"], 17)


@case("2.2.2a", "Overlap: outgoing call")
def test_overlap_out():
    r = Rig()
    call = r.node.new_call("a", 1)
    r.ask("setup_request", call, called="021", complete=False)
    assert r.kinds() == ["IAM"] and "complete" not in r.last.get("called_party_number")
    for digits in ("5", "080", "1000"):
        r.wait(15000)                   # T7 starts again with each
        r.ask("information_request", call, digits=digits, complete=digits == "1000")
        assert r.kinds() == ["SAM"]
        assert r.last.get("subsequent_number") == {"number": digits, "complete": digits == "1000"}
    r.say("ACM")
    r.say("ANM")
    assert r.names() == ["proceeding_indication", "setup_confirm"]
    r.clear_far(call)


@case("2.2.2b", "Overlap: incoming call")
def test_overlap_in():
    r = Rig()
    r.say("IAM", called_party_number={"number": "021", "complete": False})
    event = setups(r.took())[0]
    call, digits = event["call"], event["called_digits"]
    assert digits == "021" and not event["called_complete"]
    r.ask("setup_ack_request", call)
    for more in ("5", "08", "01"):
        r.wait(14000)
        r.say("SAM", subsequent_number={"number": more})
        events = r.took("information_indication")
        digits += events[0]["digits"]
        assert not events[0]["complete"]
    r.wait(15000)                       # T35: the layer above may know enough
    assert r.names() == ["digits_timeout"] and digits == "02150801" and r.kinds() == []
    r.say("SAM", subsequent_number={"number": "000", "complete": True})
    assert r.took()[0]["complete"]
    r.ask("proceeding_request", call)
    assert r.kinds() == ["ACM"]
    r.say("SAM")                        # behind the end: a number of the layer above, if it wants
    assert r.names() == ["information_indication"]
    r.clear_near(call)


def test_t35_releases():
    r = Rig()
    r.say("IAM", called_party_number={"number": "021", "complete": False})
    r.took()
    r.wait(29999)
    assert r.names() == ["digits_timeout"]
    r.wait(1)
    assert r.kinds() == ["REL"] and r.last.get("cause_indicators")["cause"] == 28
    assert r.names() == ["disconnect_indication"]
    r.say("RLC")
    assert r.names() == ["released"] and r.state() == "IDLE"


# 2.3: ACM, CPG, CON and their indications

INDICATIONS = [("free", "charge", "alerting_indication"), ("none", "charge", "proceeding_indication"),
               ("none", "no_charge", "proceeding_indication"), ("free", "no_charge", "alerting_indication")]


@pytest.mark.parametrize("status, charge, event", [
    pytest.param(*row, marks=case("2.3.1" + letter, "ACM indications, outgoing call")) for letter, row in zip("abcd", INDICATIONS)])
def test_acm_received(status, charge, event):
    r = Rig()
    call = r.out("iam")
    r.say("ACM", backward_call_indicators={"status": status, "charge": charge})
    found = r.took()
    assert [(e["event"], e["charge"], e["inband"]) for e in found] == [(event, charge, False)]
    r.say("ANM")
    r.took()
    r.clear_near(call)


@pytest.mark.parametrize("status, charge, event", [
    pytest.param(*row, marks=case("2.3.1" + letter, "ACM indications, incoming call")) for letter, row in zip("efgh", INDICATIONS)])
def test_acm_sent(status, charge, event):
    r = Rig()
    call = r.come("iam")
    r.ask("alerting_request" if status == "free" else "proceeding_request", call, charge=charge)
    assert r.kinds() == ["ACM"]
    backward = r.last.get("backward_call_indicators")
    assert (backward["status"], backward["charge"], backward["isup"]) == (status, charge, True)
    r.ask("setup_response", call)
    assert r.kinds() == ["ANM"]
    r.took()
    r.clear_far(call)


PROGRESS = [("alerting", "alerting_indication", False), ("progress", "progress_indication", False),
            ("inband", "progress_indication", True)]


@pytest.mark.parametrize("word, event, inband", [
    pytest.param(*row, marks=case("2.3.2" + letter, "CPG, outgoing call")) for letter, row in zip("abc", PROGRESS)])
def test_cpg_received(word, event, inband):
    r = Rig()
    call = r.out("acm")
    r.say("CPG", event_information={"event": word})
    assert [(e["event"], e["inband"]) for e in r.took()] == [(event, inband)]
    r.say("ANM")
    r.took()
    r.clear_near(call)


@pytest.mark.parametrize("word, event, inband", [
    pytest.param(*row, marks=case("2.3.2" + letter, "CPG, incoming call")) for letter, row in zip("def", PROGRESS)])
def test_cpg_sent(word, event, inband):
    r = Rig()
    call = r.come("iam")
    r.ask("proceeding_request", call)
    if word == "alerting":
        r.ask("alerting_request", call)
    else:
        r.ask("progress_request", call, inband=inband)
    assert r.kinds() == ["ACM", "CPG"] and r.last.get("event_information")["event"] == word
    assert bool(r.last.get("optional_backward_call_indicators")) == inband
    r.ask("setup_response", call)
    assert r.kinds() == ["ANM"]
    r.took()
    r.clear_near(call)


@case("2.3.3a", "CON, outgoing call")
def test_con_received():
    r = Rig()
    call = r.out("iam")
    r.say("CON", connected_number={"number": "2150801001"})
    events = r.took()
    assert [e["event"] for e in events] == ["setup_confirm"] and events[0]["connected"]["number"] == "2150801001"
    r.clear_near(call)


@case("2.3.3b", "CON, incoming call")
def test_con_sent():
    r = Rig()
    call = r.come("iam")
    r.ask("setup_response", call, connected="2150801001")
    assert r.kinds() == ["CON"] and r.last.get("connected_number")["number"] == "2150801001"
    assert r.names() == ["setup_complete_indication"]
    r.clear_far(call)


@pytest.mark.parametrize("given, name, expected", [
    pytest.param({"satellites": 1}, "satellites", 1, marks=case("2.3.4a", "Call over a satellite, outgoing call")),
    pytest.param({"echo": True}, "echo", True, marks=case("2.3.5a", "Echo control device included, outgoing call"))])
def test_nature_sent(given, name, expected):
    r = Rig()
    call = r.node.new_call("a", 1)
    r.ask("setup_request", call, called="1", **given)
    assert r.kinds() == ["IAM"] and r.last.get("nature_of_connection")[name] == expected
    r.say("ACM", backward_call_indicators={"echo": True})
    r.say("ANM")
    r.took()
    r.clear_near(call)


@pytest.mark.parametrize("name, value", [
    pytest.param("satellites", 1, marks=case("2.3.4b", "Call over a satellite, incoming call")),
    pytest.param("echo", True, marks=case("2.3.5b", "Echo control device included, incoming call"))])
def test_nature_received(name, value):
    r = Rig()
    r.say("IAM", nature_of_connection={name: value})
    event = r.took()[0]
    assert event[name] == value
    r.ask("alerting_request", event["call"], echo=True)
    assert r.kinds() == ["ACM"] and r.last.get("backward_call_indicators")["echo"]
    r.clear_near(event["call"])


@pytest.mark.parametrize("direction", [
    pytest.param("out", marks=case("2.3.6a", "Blocking and unblocking during a call, outgoing call")),
    pytest.param("come", marks=case("2.3.6b", "Blocking and unblocking during a call, incoming call"))])
def test_blocking_during_a_call(direction):
    r = Rig()
    call = getattr(r, direction)()
    r.say("BLO")
    r.circuit("block")
    r.say("BLA")
    assert r.kinds() == ["BLA", "BLO"] and "ANSWERED" in r.state() and r.names() == []
    r.clear_far(call)
    assert r.blocking()["remote"] and r.blocking()["local"] == "blocked" and not r.node.circuits[(200, 1)].available()
    call = getattr(r, direction)(cic=3)
    r.say("BLO", 3)
    r.say("UBL", 3)
    assert r.kinds() == ["BLA", "UBA"]
    r.clear_near(call, 3)
    assert r.node.circuits[(200, 3)].available()


@pytest.mark.parametrize("own", [
    pytest.param(True, marks=case("2.4.1", "IAM sent containing the PDC")),
    pytest.param(False, marks=case("2.4.3", "Abnormal procedure, PDC is not recevied"))])
def test_propagation_delay(own):
    r = Rig()
    if own:
        call = r.node.new_call("a", 1)
        r.ask("setup_request", call, called="1", propagation_delay=25)
        assert r.kinds() == ["IAM"] and r.last.get("propagation_delay_counter") == {"value": 25}
        r.say("ACM")
        r.say("ANM", call_history_information={"value": 30})
        assert r.took("setup_confirm")[0]["elements"] == {"call_history_information": {"value": 30}}
    else:
        r.say("IAM")
        event = r.took()[0]
        call = event["call"]
        assert event["propagation_delay"] is None
        r.ask("setup_response", call)
        assert r.kinds() == ["CON"]
    r.took()
    r.clear_near(call)


@case("2.4.2", "SP supporting the procedure to SP supporting the procedure")
def test_propagation_delay_received():
    r = Rig()
    r.say("IAM", propagation_delay_counter={"value": 25})
    event = r.took()[0]
    assert event["propagation_delay"] == 25
    r.ask("setup_response", event["call"], elements={"call_history_information": {"value": 30}})
    assert r.kinds() == ["CON"] and r.last.get("call_history_information") == {"value": 30}
    r.took()
    r.clear_far(event["call"])


# 3: release

@pytest.mark.parametrize("direction, upto, near", [
    pytest.param("out", "iam", True, marks=case("3.1a", "Calling party clears before a backward message, outgoing call")),
    pytest.param("come", "iam", False, marks=case("3.1b", "Calling party clears before a backward message, incoming call")),
    pytest.param("out", "acm", True, marks=case("3.2a", "Calling party clears before answer, outgoing call")),
    pytest.param("come", "acm", False, marks=case("3.2b", "Calling party clears before answer, incoming call")),
    pytest.param("out", "answered", True, marks=case("3.3a", "Calling party clears after answer, outgoing call")),
    pytest.param("come", "answered", False, marks=case("3.3b", "Calling party clears after answer, incoming call")),
    pytest.param("out", "answered", False, marks=case("3.4a", "Called party clears after answer, outgoing call")),
    pytest.param("come", "answered", True, marks=case("3.4b", "Called party clears after answer, incoming call"))])
def test_release(direction, upto, near):
    r = Rig()
    call = getattr(r, direction)(upto)
    (r.clear_near if near else r.clear_far)(call)
    assert r.node.deadline_ms() is None and r.node.calls() == []


@case("3.5a", "Suspend initiated by the network, outgoing call")
def test_suspend_received():
    r = Rig()
    call = r.out()
    r.say("SUS")
    r.wait(59000)
    r.say("RES")
    assert [(e["event"], e["by"]) for e in r.took()] == [("suspend_indication", "network"), ("resume_indication", "network")]
    r.wait(100000)
    assert r.kinds() == [] and r.state() == "OUT_ANSWERED"
    r.clear_near(call)


@case("3.5b", "Suspend initiated by the network, incoming call")
def test_suspend_sent():
    r = Rig()
    call = r.come()
    r.ask("suspend_request", call)
    r.ask("resume_request", call)
    assert r.kinds() == ["SUS", "RES"] and r.last.get("suspend_resume_indicators")["by"] == "network"
    r.clear_near(call)


@pytest.mark.parametrize("direction, ours", [
    pytest.param("out", True, marks=case("3.6a", "Suspend and resume initiated by a calling party, outgoing call")),
    pytest.param("come", False, marks=case("3.6b", "Suspend and resume initiated by a calling party, incoming call")),
    pytest.param("out", False, marks=case("3.7a", "Suspend and resume initiated by a called party, outgoing call")),
    pytest.param("come", True, marks=case("3.7b", "Suspend and resume initiated by a called party, incoming call"))])
def test_suspend_by_user(direction, ours):
    r = Rig()
    call = getattr(r, direction)()
    if ours:
        r.ask("suspend_request", call, by="user")
        r.ask("resume_request", call, by="user")
        assert r.kinds() == ["SUS", "RES"] and r.last.get("suspend_resume_indicators")["by"] == "user"
    else:
        r.say("SUS", suspend_resume_indicators={"by": "user"})
        r.say("RES", suspend_resume_indicators={"by": "user"})
        assert [(e["event"], e["by"]) for e in r.took()] == [("suspend_indication", "user"), ("resume_indication", "user")]
    r.wait(200000)
    assert r.kinds() == []
    r.clear_far(call)


@case("3.8a", "Collision of REL: REL sent first")
def test_collision():
    r = Rig()
    call = r.out()
    r.ask("release_request", call)
    r.say("REL")
    assert r.kinds() == ["REL", "RLC"] and r.state() == "WAIT_RLC"
    r.say("RLC")
    r.over(call, 1, "near")


@case("3.8b", "Collision of REL: REL received first")
def test_collision_received_first():
    """B's REL is there when ours is asked for: RLC answers it, ours is not needed; B's RLC may come all the same."""
    r = Rig()
    call = r.come()
    r.say("REL")
    r.ask("release_request", call, cause=16)
    assert r.kinds() == ["RLC"]
    r.over(call, 1, "far")
    r.say("RLC")
    assert r.kinds() == [] and r.state() == "IDLE"


# 4: causes

CAUSES = {"a": 17, "b": 1, "c": 34, "d": 19, "e": 27, "f": 21}


@pytest.mark.parametrize("direction, cause", [
    pytest.param("come" if letter in "abc" else "out", CAUSES[letter], marks=case("4.1" + letter, "Causes of unsuccessful calls"))
    for letter in "abcdef"])
def test_causes(direction, cause):
    """Taken: case A, we refuse (user busy, unallocated number, no circuit); case B, B does (no answer, out of order, rejected)."""
    r = Rig()
    call = getattr(r, direction)("iam")
    if direction == "come":
        r.ask("release_request", call, cause=cause)
        assert r.kinds() == ["REL"] and r.last.get("cause_indicators") == {
            "coding": 0, "location": 4, "cause": cause, "diagnostics": ""}
        r.say("RLC")
        assert [e["cause"] for e in r.took("released")] == [cause]
    else:
        r.say("REL", cause_indicators={"cause": cause, "location": 5})
        r.ask("release_request", call)
        events = r.took()
        assert [(e["event"], e["cause"], e["location"]) for e in events] == [
            ("disconnect_indication", cause, 5), ("released", cause, 5)]
        assert r.kinds() == ["RLC"]


# 6.1: continuity check

@case("6.1.1", "Continuity check required")
def test_continuity_out():
    r = Rig()
    call = r.node.new_call("a", 1)
    r.ask("setup_request", call, called="1", continuity="this")
    assert r.kinds() == ["IAM"] and r.last.get("nature_of_connection")["continuity"] == "this"
    assert [e["on"] for e in r.took("continuity_tone")] == [True]
    r.wait(500)
    r.circuit("continuity_result", ok=True)
    assert r.kinds() == ["COT"] and r.last.get("continuity_indicators")["success"]
    assert [e["on"] for e in r.took("continuity_tone")] == [False]
    r.say("ACM")
    r.say("ANM")
    assert r.names() == ["proceeding_indication", "setup_confirm"]
    r.clear_near(call)


@case("6.1.2", "COT applied on a previous circuit")
def test_continuity_previous():
    r = Rig()
    call = r.node.new_call("a", 1)
    r.ask("setup_request", call, called="1", continuity="previous")
    assert r.kinds() == ["IAM"] and r.last.get("nature_of_connection")["continuity"] == "previous"
    r.ask("continuity_result", call, ok=True)
    assert r.kinds() == ["COT"] and r.took("continuity_tone") == []
    r.say("ACM")
    r.say("ANM")
    r.took()
    r.clear_near(call)
    r.say("IAM", nature_of_connection={"continuity": "previous"})
    assert r.took() == []
    r.say("COT")
    call = setups(r.took())[0]["call"]
    r.clear_far(call)


@case("6.1.3", "Calling party clears during a COT")
def test_clears_during_check():
    r = Rig()
    call = r.node.new_call("a", 1)
    r.ask("setup_request", call, called="1", continuity="this")
    r.kinds()
    r.clear_near(call)
    r.say("IAM", nature_of_connection={"continuity": "this"})
    r.say("REL")
    assert r.kinds() == ["RLC"] and r.took() == [] and r.state() == "IDLE"
    assert not r.node.circuits[(200, 1)].loop_on_circuit and not r.node.circuits[(200, 1)].tone_on


@case("6.1.4", "Delay of through connect")
def test_delay_of_through_connect():
    """The call is not presented before the circuit is known to be good; digits are kept meanwhile."""
    r = Rig()
    r.say("IAM", nature_of_connection={"continuity": "this"}, called_party_number={"number": "021", "complete": False})
    assert [e["on"] for e in r.took("continuity_loop")] == [True] and r.kinds() == []
    r.say("SAM", subsequent_number={"number": "5080", "complete": True})
    assert r.took() == []
    r.say("COT")
    events = r.took()
    assert [(e["event"], e["called_digits"], e["called_complete"]) for e in events] == [("setup_indication", "0215080", True)]
    r.ask("setup_response", events[0]["call"])
    assert r.kinds() == ["CON"]
    r.took()
    r.clear_near(events[0]["call"])


@case("6.1.5", "COT unsuccessful")
def test_continuity_failed_in():
    r = Rig()
    r.say("IAM", nature_of_connection={"continuity": "this"})
    r.say("COT", continuity_indicators={"success": False})
    assert r.state() == "IN_RECHECK" and r.took() == []
    r.wait(5000)
    r.say("CCR")
    r.say("REL")
    assert r.kinds() == ["RLC"] and r.state() == "IDLE"


# 6.2, 6.3: automatic repeat attempt, dual seizure

def reattempts(r, call):
    """The call ended with the advice to try another circuit: do so."""
    found = [e for e in r.took() if e["event"] == "released"]
    assert [(e["call"], e["reattempt"]) for e in found] == [(call, True)]
    second = r.node.new_call("a")
    assert second.split(".")[1] != call.split(".")[1]
    r.ask("setup_request", second, called="2150801000")
    assert r.kinds()[-1] == "IAM" and r.last.cic == int(second.split(".")[1])
    return second


@case("6.2.1", "Dual seizure for non-controlling SP")
def test_dual_seizure_not_controlling():
    r = Rig()
    call = r.out("iam", cic=2)
    r.say("IAM", 2, called_party_number={"number": "777"})
    events = r.took()
    assert [(e["event"], e["call"]) for e in events] == [("released", call), ("setup_indication", "a.2.2")]
    assert events[0]["reattempt"] and events[1]["called_digits"] == "777" and r.kinds() == []
    second = r.node.new_call("a")
    r.ask("setup_request", second, called="2150801000")
    assert r.kinds() == ["IAM"] and r.last.cic == 1
    r.ask("setup_response", "a.2.2")
    assert r.kinds() == ["CON"]
    assert r.node.request("release_request", call, r.now_ms) == []      # late: the call before
    r.took()
    r.clear_near("a.2.2", 2)


@case("6.2.2", "Blocking of a circuit")
def test_blo_after_iam():
    r = Rig()
    call = r.out("iam")
    r.say("BLO")
    assert r.kinds() == ["BLA", "REL"] and [e["reattempt"] for e in r.took("disconnect_indication")] == [True]
    r.say("RLC")
    reattempts(r, call)


@case("6.2.3", "Circuit reset")
def test_rsc_after_iam():
    r = Rig()
    call = r.out("iam")
    r.say("RSC")
    assert r.kinds() == ["RLC"]
    second = reattempts(r, call)
    r.octets(bytes([int(second.split(".")[1]), 0, 0x17, 1, 1, 1]))
    assert r.kinds() == ["GRA"]
    reattempts(r, second)


@case("6.2.4", "Continuity check failure")
def test_continuity_failed_out():
    r = Rig()
    call = r.node.new_call("a", 1)
    r.ask("setup_request", call, called="1", continuity="this")
    r.wait(2000)
    assert r.kinds() == ["IAM", "COT"] and not r.last.get("continuity_indicators")["success"]
    second = reattempts(r, call)
    r.say("ACM", int(second.split(".")[1]))
    r.wait(5000)
    assert r.kinds() == ["CCR"]
    r.circuit("continuity_result", ok=False)
    r.wait(60000)
    r.circuit("continuity_result", ok=True)
    assert r.kinds() == ["COT", "CCR", "REL"]
    r.say("RLC")
    assert r.state() == "IDLE"


@case("6.2.5", "Receipt of unreasonable signalling information")
def test_unreasonable_after_iam():
    r = Rig()
    call = r.out("iam")
    r.say("ANM")
    assert r.kinds() == ["RSC"]
    reattempts(r, call)
    r.say("RLC")
    assert r.state() == "IDLE"


@case("6.3.1", "Dual seizure for controlling SP")
def test_dual_seizure_controlling():
    r = Rig()
    call = r.out("iam", cic=1)
    r.say("IAM", 1)
    assert r.took() == [] and r.kinds() == [] and r.node.counters["dual_seizures"] == 1
    r.say("ACM")
    r.say("ANM")
    r.took()
    r.clear_near(call)


# 6.4: semi-automatic operation

@pytest.mark.parametrize("digits, sent", [
    pytest.param("2150801000", True, marks=case("6.4.1", "FOT sent following a call to a subscriber")),
    pytest.param("2150801000", False, marks=case("6.4.2", "FOT received following a call to a subscriber")),
    pytest.param("B", True, marks=case("6.4.3", "FOT sent following a call via codes 11 and 12")),
    pytest.param("C21", False, marks=case("6.4.4", "FOT received following a call via codes 11 and 12"))])
def test_forward_transfer(digits, sent):
    r = Rig()
    if sent:
        call = r.out(called=digits, category="operator_english")
        r.ask("forward_transfer_request", call)
        assert r.kinds() == ["FOT"]
    else:
        r.say("IAM", called_party_number={"number": digits}, calling_party_category={"value": "operator_english"})
        event = r.took()[0]
        call = event["call"]
        assert event["called_digits"] == digits and event["category"] == "operator_english"
        r.ask("setup_response", call)
        r.took()
        r.say("FOT")
        assert r.names() == ["forward_transfer_indication"] and r.kinds() == ["CON"]
    r.clear_near(call)


# 6.5: simple segmentation

LONG = {"user_to_user_information": {"octets": "04" + "41" * 120}, "access_transport": {"octets": "7d0291817c038890a6" * 14}}


@case("6.5.1", "Sending of SGM")
def test_segment_sent():
    r = Rig()
    call = r.node.new_call("a", 1)
    r.ask("setup_request", call, called="2150801000", elements=LONG)
    assert [m.kind for m in r.heard] == ["IAM", "SGM"]
    iam, segment = r.heard
    assert iam.get("optional_forward_call_indicators")["segmentation"]
    assert set(iam.parameters) | set(segment.parameters) >= set(LONG)
    assert not set(iam.parameters) & set(segment.parameters)
    r.kinds()
    r.clear_near(call)


@pytest.mark.parametrize("direction", [
    pytest.param("forward", marks=(case("6.5.2", "Receipt of SGM"), case("6.5.4", "Receipt of SGM in forward direction"))),
    pytest.param("backward", marks=case("6.5.5", "Receipt of SGM in backward direction"))])
def test_segment_received(direction):
    r = Rig()
    if direction == "forward":
        r.say("IAM", optional_forward_call_indicators={"segmentation": True})
    else:
        call = r.out("iam")
        r.say("ACM", optional_backward_call_indicators={"segmentation": True}, backward_call_indicators={"status": "free"})
    assert r.took() == []
    r.say("SGM", access_transport={"octets": "7d029181"})
    events = r.took()
    assert [e["event"] for e in events] == ["setup_indication" if direction == "forward" else "alerting_indication"]
    assert events[0]["elements"]["access_transport"] == {"octets": "7d029181"}
    if direction == "forward":
        call = events[0]["call"]
        r.ask("setup_response", call)
        assert r.kinds() == ["CON"]
    else:
        r.say("ANM")
    r.took()
    r.clear_near(call)


@case("6.5.3", "Receipt of SGM after timer T34 expired")
def test_segment_late():
    r = Rig()
    r.say("IAM", optional_forward_call_indicators={"segmentation": True})
    r.wait(2999)
    assert r.took() == []
    r.wait(1)
    call = setups(r.took())[0]["call"]
    r.say("SGM", access_transport={"octets": "7d029181"})
    assert r.took() == [] and r.kinds() == []
    r.clear_near(call)


# 7: bearers

@pytest.mark.parametrize("bearer, medium", [
    pytest.param("unrestricted_digital", "64k", marks=case("7.1.1", "64 kbit/s unrestricted: successful call setup")),
    pytest.param("3.1khz_audio", "3.1khz_audio", marks=case("7.2.1", "3.1 kHz audio: successful call setup"))])
def test_bearer(bearer, medium):
    r = Rig()
    call = r.node.new_call("a", 1)
    r.ask("setup_request", call, called="1", bearer=bearer)
    assert r.kinds() == ["IAM"] and r.last.get("transmission_medium") == {"value": medium}
    preference = "required" if medium == "64k" else "preferred"
    assert r.last.get("forward_call_indicators")["preference"] == preference
    r.say("ACM", backward_call_indicators=dict(BACKWARD, status="free"))
    r.say("ANM")
    r.took()
    r.clear_near(call)
    r.say("IAM", transmission_medium={"value": medium})
    event = r.took()[0]
    assert event["bearer"] == bearer
    r.ask("setup_response", event["call"])
    r.took()
    assert r.kinds() == ["CON"]
    r.clear_far(event["call"])


@case("7.1.2", "64 kbit/s unrestricted: unsuccessful call setup")
def test_bearer_refused():
    r = Rig()
    r.say("IAM", transmission_medium={"value": "64k"})
    call = r.took()[0]["call"]
    r.ask("release_request", call, cause=65)
    assert r.kinds() == ["REL"] and r.last.get("cause_indicators")["cause"] == 65
    r.say("RLC")
    r.over(call, 1, "near")


@case("7.1.3", "64 kbit/s unrestricted: dual seizure")
def test_bearer_dual_seizure():
    for cic, kept in ((1, True), (2, False)):
        r = Rig()
        call = r.out("iam", cic=cic, bearer="unrestricted_digital")
        r.say("IAM", cic, transmission_medium={"value": "64k"})
        events = r.took()
        assert [e["event"] for e in events] == ([] if kept else ["released", "setup_indication"])
        assert (r.node.call_state(call) is not None) == kept


@case("7.3.6", "Abnormal procedure, Multirate connection types call sent to an exchange not supporting the procedure")
def test_multirate_refused():
    for medium in ("2x64k", "384k", "1536k", "1920k", 20):
        r = Rig()
        r.say("IAM", transmission_medium={"value": medium})
        assert r.kinds() == ["REL"] and r.last.get("cause_indicators")["cause"] == 65 and r.took() == []
        r.say("RLC")
        assert r.state() == "IDLE"


# 2.4.4, 2.4.5, 6.6.x, 7.3.1-5: tests/not_run.tsv says why

# 8: congestion

@case("8.1.1", "Receipt of a release message containing an automatic congestion level parameter")
def test_congestion_received():
    r = Rig()
    call = r.out("acm")
    r.say("REL", automatic_congestion_level={"value": 2}, cause_indicators={"cause": 42})
    r.ask("release_request", call)
    r.kinds()
    assert [e["level"] for e in r.took("destination_state")] == [2]

    def refused(**given):
        count = 0
        for _ in range(16):
            call = r.node.new_call("a")
            r.ask("setup_request", call, called="1", **given)
            if r.kinds() == []:
                assert [(e["event"], e["cause"], e["reattempt"]) for e in r.took()] == [("released", 42, False)]
                count += 1
            else:
                r.ask("release_request", call)
                r.say("RLC", int(call.split(".")[1]))
                r.kinds()
                r.took()
        return count

    assert refused() == 14 and refused(priority=True) == 0     # an emergency call is never shed
    r.wait(5000)
    assert refused() == 0


@case("8.1.2", "Sending of a release message containing an automatic congestion level parameter")
def test_congestion_sent():
    r = Rig()
    r.node.set_congestion(1)
    call = r.come("iam")
    r.ask("release_request", call, cause=42)
    assert r.kinds() == ["REL"] and r.last.get("automatic_congestion_level") == {"value": 1}
    r.say("RLC")
    r.node.set_congestion(0)
    call = r.come("iam")
    r.ask("release_request", call)
    assert r.kinds() == ["REL"] and r.last.get("automatic_congestion_level") is None


@case("8.2.1", "Receipt of an UPT")
def test_upt_received():
    r = Rig()
    r.say("UPT", 9)
    assert r.kinds() == ["UPA"] and r.last.cic == 9


@case("8.2.2", "Sending of a UPT")
def test_upt_sent():
    r = Rig()
    call = r.out()
    r.mtp(event="status", destination=200, cause="user_unavailable", user=5, reason="inaccessible")
    assert r.kinds() == ["UPT"] and [e["available"] for e in r.took("destination_state")] == [False]
    second = r.node.new_call("a")
    r.ask("setup_request", second, called="1")
    assert r.kinds() == [] and [e["cause"] for e in r.took("released")] == [38]
    r.say("UPA")
    assert [e["available"] for e in r.took("destination_state")] == [True]
    r.clear_near(call)


@case("8.2.3", "T4: failure to receive a response to a UPT")
def test_t4():
    r = Rig()
    r.mtp(event="status", destination=200, cause="user_unavailable", user=5, reason="unknown")
    assert r.kinds() == ["UPT"]
    r.wait(299999)
    assert r.kinds() == []
    r.wait(1)
    assert r.kinds() == ["UPT"]
    r.say("BLO")                        # any message shows that it is there
    assert r.kinds() == ["BLA"] and r.node.deadline_ms() is None


@pytest.mark.parametrize("ours", [
    pytest.param(True, marks=case("9.1.1", "Q.767 echo control procedure for call set up (initiated in SP A)")),
    pytest.param(False, marks=case("9.1.2", "Q.767 echo control procedure for call set up (initiated in SP B)"))])
def test_echo_control(ours):
    """Q.767: an outgoing half echo control device is told in IAM, the incoming one in ACM."""
    r = Rig()
    if ours:
        call = r.out("iam", echo=True)
        r.say("ACM", backward_call_indicators={"echo": True})
        r.say("ANM")
    else:
        r.say("IAM", nature_of_connection={"echo": True})
        event = r.took()[0]
        call = event["call"]
        assert event["echo"]
        r.ask("alerting_request", call, echo=True)
        assert r.kinds() == ["ACM"] and r.last.get("backward_call_indicators")["echo"]
        r.ask("setup_response", call)
        r.kinds()
    r.took()
    r.clear_near(call)
