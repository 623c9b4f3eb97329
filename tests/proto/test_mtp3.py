"""Our MTP3 by the groups of Q.782, with a scripted network: configurations of two linksets."""

import pytest

from firmware.errors import LocalError
from firmware.proto.mtp3 import messages
from firmware.proto.mtp3.node import MTP3
from tests.proto.mtp3_rig import A, B, C, US, Rig, case, config

EVEN = {"a0": [0, 2, 4, 6, 8, 10, 12, 14], "a1": [1, 3, 5, 7, 9, 11, 13, 15]}


@pytest.fixture(params=[False, True], ids=["kept", "killed"])
def rig(request):
    """All links up; "killed": control is restored from its dump after each step."""
    r = Rig()
    r.persist = request.param
    return r.up()


# 1: activation and deactivation

@case(1, 1, "first signalling link activation")
def test_activation():
    r = Rig(links=1)
    r._after(r.node.start(0))
    assert [row for row in r.asked if row[1] != "message"] == [("a0", "emergency"), ("a0", "start"), ("b0", "emergency"), ("b0", "start")]
    assert r.names() == [("a0", "SLTM"), ("a0", "TRA"), ("b0", "SLTM"), ("b0", "TRA")]
    assert [e["link"] for e in r.events if e["event"] == "link_state" and e["available"]] == ["a0", "b0"]
    assert r.node.state()["destinations"] == {A: True, B: True, C: True}


@case(1, 2, "signalling link set deactivation")
def test_linkset_deactivation(rig):
    rig.ask("deactivate", link="b0")
    rig.ask("deactivate", link="b1")
    rig.wait(2000)
    assert rig.node.state()["linksets"] == {"a": "UP", "b": "DOWN"}
    assert not [e for e in rig.events if e["event"] == "pause"]         # B is reached through A
    rig.wait(100000)
    assert rig.node.links["b0"].state == "INACTIVE"


@case(1, 3, "activation fails: repeated after T17")
def test_activation_repeated():
    r = Rig(links=1)
    r.dead = {"a0", "b0"}
    r._after(r.node.start(0))
    for _ in range(4):
        r.event("a0", "out_of_service", "alignment_not_possible")
        r.asked = []
        r.wait(999)
        assert r.asked == []
        r.wait(1)
        assert r.asked == [("a0", "emergency"), ("a0", "start")]


@case(1, 4, "normal alignment while other links carry the traffic, emergency when none does")
def test_emergency(rig):
    rig.fail("a1")
    rig.wait(1000)
    assert [p for link, p in rig.asked if link == "a1"][-2:] == ["emergency_ceases", "start"]


@case(1, 5, "deactivation of one link of a set: its traffic moves without loss")
def test_link_deactivation(rig):
    rig.ask("deactivate", link="a1")
    assert rig.load() == {"a0": list(range(16))}
    rig.ask("activate", link="a1")
    assert rig.load() == EVEN


@case(1, 6, "far end leaves the link: restored by itself")
def test_restoration(rig):
    rig.event("a0", "out_of_service", "received_sios")
    rig.wait(1000)
    assert rig.node.links["a0"].usable and rig.load() == EVEN


# 2: message handling

@case(2, 1, "message received for our point code goes to its user")
def test_distribution(rig):
    label = messages.encode_label("itu", messages.Label(5, 2, US, C, 7))
    rig.event("a0", "message", label + b"isup")
    assert rig.took("transfer_indication") == [{"event": "transfer_indication", "opc": C, "dpc": US, "sls": 7, "si": 5,
                                                "ni": 2, "octets": b"isup"}]


@case(2, 2, "message received for another point code is discarded")
def test_discrimination(rig):
    rig.event("a0", "message", messages.encode_label("itu", messages.Label(5, 2, 77, C, 7)) + b"isup")
    assert rig.events == [] and rig.traffic == [] and rig.node.counters["messages_for_others"] == 1


@case(2, 3, "message for a user part that is not there is answered with UPU")
def test_unknown_user():
    r = Rig(users=[5]).up()
    r.event("a0", "message", messages.encode_label("itu", messages.Label(3, 2, US, C, 7)) + b"sccp")
    assert [(name, f["destination"], f["user"], f["cause"]) for _, name, f in r.said] == [("UPU", US, 3, 1)]


@case(2, 4, "routing: the right linkset, the right label")
def test_routing(rig):
    rig.send(B, 3)
    rig.send(C, 3)
    assert [(link, label.dpc, label.opc, label.sls, label.si) for link, label, _ in rig.traffic] == [
        ("b1", B, US, 3, 5), ("a1", C, US, 3, 5)]


@case(2, 5, "load sharing within a linkset: by SLS, each SLS always by the same link")
def test_load_sharing(rig):
    assert rig.load() == EVEN == rig.load()


@case(2, 6, "load sharing between linksets")
def test_combined_linkset():
    given = config()
    for row in given["routes"]:
        row["priority"] = 0
    r = Rig(given).up()
    assert sorted(len(v) for v in r.load().values()) == [4, 4, 4, 4]
    r = Rig(given).up()
    r.fail("b0")
    r.fail("b1")
    r.wait(2000)
    assert {link[0] for link in r.load()} == {"a"}


@case(2, 7, "no route to a point code is said to the user")
def test_no_route(rig):
    with pytest.raises(LocalError):
        rig.send(999)
    for bad in ({"sls": 16}, {"octets": b""}, {"octets": bytes(269)}, {"si": 0}, {"dpc": 1 << 14}):
        with pytest.raises(LocalError):
            rig.ask("transfer", **dict({"dpc": C, "si": 5, "sls": 0, "octets": b"x"}, **bad))


@case(2, 8, "sixteen links share the load evenly, and so do those that are left when others fail")
def test_sixteen_links():
    r = Rig(links=16).up()
    assert sorted(len(v) for v in r.load().values()) == [1] * 16
    for i in range(15):
        r.fail("a%d" % i)
        shares = sorted(len(v) for v in r.load().values())
        assert len(shares) == 15 - i and shares[-1] - shares[0] <= 1, shares
    assert r.load() == {"a15": list(range(16))}


# 3: changeover

@case(3, 1, "changeover initiated by us, acknowledged: retrieved messages first, then those that waited")
def test_changeover(rig):
    rig.answers.discard("COO")
    label = messages.encode_label("itu", messages.Label(5, 2, C, US, 1))
    rig.unacknowledged["a1"] = [label + b"old 1", label + b"old 2"]
    rig.fail("a1")
    assert [(link, name, f["slc"], f["fsn"]) for link, name, f in rig.said] == [("a0", "COO", 1, 5)]
    rig.send(C, 1, b"new")
    rig.send(C, 0, b"other")
    assert [row[2] for row in rig.traffic] == [b"other"]
    rig.hear("a0", "COA", slc=1, fsn=3)
    assert [(row[0], row[2]) for row in rig.traffic] == [("a0", b"other"), ("a0", b"old 1"), ("a0", b"old 2"), ("a0", b"new")]
    assert rig.load() == {"a0": list(range(16))}


@case(3, 2, "no changeover acknowledgement within T2")
def test_changeover_without_answer(rig):
    rig.answers.discard("COO")
    rig.fail("a1")
    rig.send(C, 1)
    rig.wait(1399)
    assert rig.traffic == []
    rig.wait(1)
    assert rig.carried(0) == {"a0": [1]} and rig.node.counters["changeovers_without_acknowledgement"] == 1


@case(3, 3, "changeover initiated by the far end while our link is in service")
def test_changeover_by_the_far_end(rig):
    rig.dead.add("a1")
    rig.hear("a0", "COO", slc=1, fsn=44)
    assert ("a1", "stop") in rig.asked and ("a1", "retrieve") in rig.asked
    assert [(link, name, f["fsn"]) for link, name, f in rig.said] == [("a0", "COA", 5)]
    assert rig.load() == {"a0": list(range(16))}


@case(3, 4, "changeover orders cross")
def test_crossing_orders(rig):
    rig.answers.discard("COO")
    rig.fail("a1")
    rig.hear("a0", "COO", slc=1, fsn=44)
    assert rig.names() == [("a0", "COO"), ("a0", "COA")]
    assert rig.load() == {"a0": list(range(16))}


@case(3, 5, "emergency changeover order received")
def test_emergency_changeover(rig):
    rig.answers.discard("COO")
    rig.fail("a1")
    rig.hear("a0", "ECO", slc=1)
    assert rig.names() == [("a0", "COO"), ("a0", "COA")]
    assert rig.load() == {"a0": list(range(16))}


@case(3, 6, "changeover order received after changeover was done")
def test_late_order(rig):
    rig.fail("a1")
    rig.forget()
    rig.hear("a0", "COO", slc=1, fsn=3)
    assert rig.names() == [("a0", "COA")]


@case(3, 7, "changeover to another linkset, order sent around by it")
def test_changeover_to_another_linkset(rig):
    rig.fail("a1")
    rig.answers.discard("COO")
    rig.forget()
    rig.fail("a0")
    assert [(link[0], name) for link, name in rig.names()] == [("b", "COO")]
    rig.send(C, 5)
    assert rig.traffic == []
    rig.hear("b0", "COA", opc=A, slc=0, fsn=1)
    assert {k[0] for k in rig.carried(0)} == {"b"} and rig.took("pause") == []


@case(3, 8, "time-controlled changeover: no path for the order")
def test_time_controlled_changeover():
    given = config(routes=[{"destination": C, "linkset": "a", "priority": 0}, {"destination": C, "linkset": "b", "priority": 1}])
    r = Rig(given, ).up()
    r.fail("a0")
    r.forget()
    r.fail("a1")
    r.send(C, 5)
    r.wait(799)
    assert r.traffic == [] and r.names("COO") == []
    r.wait(1)
    assert r.carried(0) == {"b1": [5]}
    assert [e["destination"] for e in r.took("pause")] == [A]


@case(3, 9, "remote processor outage: time-controlled changeover")
def test_processor_outage(rig):
    rig.event("a1", "remote_processor_outage")
    rig.send(C, 1)
    rig.wait(799)
    assert rig.traffic == []
    rig.wait(1)
    assert rig.carried(0) == {"a0": [1]} and ("a1", "stop") not in rig.asked
    rig.event("a1", "remote_processor_recovered")
    assert rig.load() == EVEN


@case(3, 10, "processor recovers within T1: nothing moves")
def test_short_outage(rig):
    rig.event("a1", "remote_processor_outage")
    rig.send(C, 1)
    rig.wait(500)
    rig.event("a1", "remote_processor_recovered")
    assert rig.carried(0) == {"a1": [1]} and rig.names() == []


@case(3, 11, "emergency changeover order first, BSNT not known to the far end")
def test_emergency_order_first(rig):
    rig.dead.add("a1")
    rig.hear("a0", "ECO", slc=1)
    assert rig.names() == [("a0", "COA")] and rig.load() == {"a0": list(range(16))}


# 4: changeback

def changed_over(rig):
    rig.fail("a1")
    rig.answers.discard("CBD")
    rig.mend("a1")
    return rig


@case(4, 1, "changeback: declared behind the last message of the link that is left")
def test_changeback(rig):
    r = changed_over(rig)
    declared = [(link, f["slc"]) for link, name, f in r.said if name == "CBD"]
    assert declared == [("a0", 1)] and r.node.links["a1"].changeback.busy


@case(4, 2, "changeback acknowledged: messages wait and keep their order")
def test_changeback_acknowledged(rig):
    rig.fail("a1")
    rig.answers.discard("CBD")
    rig.forget()
    rig.dead.discard("a1")
    rig.wait(1000)
    code = [f["code"] for _, name, f in rig.said if name == "CBD"][0]
    rig.send(C, 1, b"1")
    rig.send(C, 3, b"2")
    rig.send(C, 0, b"3")
    assert [row[2] for row in rig.traffic] == [b"3"]
    rig.hear("a0", "CBA", slc=1, code=code + 1)         # not ours
    assert len(rig.traffic) == 1
    rig.hear("a0", "CBA", slc=1, code=code)
    assert [(row[0], row[2]) for row in rig.traffic[1:]] == [("a1", b"1"), ("a1", b"2")]
    assert rig.load() == EVEN


@case(4, 3, "no changeback acknowledgement: repeated after T4, traffic after T5")
def test_changeback_without_answer(rig):
    rig.fail("a1")
    rig.answers.discard("CBD")
    rig.forget()
    rig.dead.discard("a1")
    rig.wait(1000)
    rig.send(C, 1)
    rig.wait(799)
    assert len(rig.names("CBD")) == 1
    rig.wait(1)
    assert len(rig.names("CBD")) == 1
    rig.wait(799)
    assert rig.traffic == []
    rig.wait(1)
    assert rig.carried(0) == {"a1": [1]} and rig.load() == EVEN


@case(4, 4, "changeback declared by the far end is acknowledged with its code")
def test_changeback_by_the_far_end(rig):
    rig.hear("a0", "CBD", slc=1, code=77)
    assert [(link, name, f["code"], f["slc"]) for link, name, f in rig.said] == [("a0", "CBA", 77, 1)]


@case(4, 5, "the link fails again during changeback")
def test_failure_in_changeback(rig):
    rig.fail("a1")
    rig.answers.discard("CBD")
    rig.dead.discard("a1")
    rig.wait(1000)
    rig.send(C, 1)
    rig.fail("a1")
    assert rig.carried(0) == {"a0": [1]} and rig.load() == {"a0": list(range(16))}


@case(4, 6, "the link that is left fails during changeback")
def test_failure_of_the_other_in_changeback(rig):
    rig.fail("a1")
    rig.answers.discard("CBD")
    rig.dead.discard("a1")
    rig.wait(1000)
    rig.send(C, 1)
    rig.fail("a0")
    assert rig.carried(0) == {"a1": [1]} and rig.load() == {"a1": list(range(16))}


@case(4, 7, "changeback of several links of a set")
def test_changeback_of_many():
    r = Rig(links=4).up()
    before = r.load()
    for name in ("a0", "a2", "a3"):
        r.fail(name)
    assert r.load() == {"a1": list(range(16))}
    for name in ("a3", "a0", "a2"):
        r.mend(name)
    assert r.load() == before


# 5: forced rerouting

@case(5, 1, "TFP: traffic moves at once to the other route")
def test_forced_rerouting(rig):
    rig.hear("a0", "TFP", destination=C)
    assert {link[0] for link in rig.load()} == {"b"} and rig.events == []


@case(5, 2, "TFP on all routes: the destination is said to be inaccessible")
def test_all_routes_prohibited(rig):
    rig.hear("a0", "TFP", destination=C)
    rig.hear("b0", "TFP", destination=C)
    assert [e["destination"] for e in rig.took("pause")] == [C]
    assert rig.load() == {None: list(range(16))}
    rig.hear("b0", "TFA", destination=C)
    assert [e["destination"] for e in rig.took("resume")] == [C]
    assert {link[0] for link in rig.load()} == {"b"}


@case(5, 3, "linkset lost with an alternative route: no destination is lost")
def test_linkset_lost(rig):
    rig.fail("a0")
    rig.fail("a1")
    rig.wait(1500)
    assert rig.took("pause") == [] and {link[0] for link in rig.load(A)} == {"b"}


# 6: controlled rerouting

@case(6, 1, "TFA of the better route: traffic waits T6, then moves, nothing is lost")
def test_controlled_rerouting(rig):
    rig.hear("a0", "TFP", destination=C)
    rig.hear("a0", "TFA", destination=C)
    rig.send(C, 1)
    rig.wait(799)
    assert rig.traffic == []
    rig.wait(1)
    assert rig.carried(0) == {"a1": [1]}


@case(6, 2, "TFR: traffic moves to the unrestricted route after T6")
def test_restricted(rig):
    rig.hear("a0", "TFR", destination=C)
    rig.wait(800)
    assert {link[0] for link in rig.load()} == {"b"}
    rig.hear("b0", "TFP", destination=C)                # a restricted route is better than none
    assert {link[0] for link in rig.load()} == {"a"} and rig.took("pause") == []


@case(6, 3, "TFP during controlled rerouting: at once")
def test_prohibited_while_waiting(rig):
    rig.hear("a0", "TFP", destination=C)
    rig.hear("a0", "TFA", destination=C)
    rig.send(C, 1)
    rig.hear("a0", "TFP", destination=C)
    assert rig.carried(0) == {"b1": [1]}


@case(6, 4, "the better linkset is back: traffic returns in order")
def test_linkset_back(rig):
    rig.fail("a0")
    rig.fail("a1")
    rig.wait(1500)
    rig.mend("a0")
    rig.mend("a1")
    rig.wait(1600)
    assert {link[0] for link in rig.load()} == {"a"}


# 7: management inhibiting

@case(7, 1, "inhibit, acknowledged: traffic leaves after T1, the link stays up")
def test_inhibit(rig):
    rig.ask("inhibit", link="a1")
    assert [e["result"] for e in rig.events if e["event"] == "inhibit"] == ["inhibited"]
    rig.wait(800)
    assert rig.load() == {"a0": list(range(16))} and rig.node.links["a1"].state == "ACTIVE"
    rig.ask("uninhibit", link="a1")
    assert rig.load() == EVEN


@case(7, 2, "inhibit denied by the far end")
def test_inhibit_denied(rig):
    rig.answers.discard("LIN")
    rig.ask("inhibit", link="a1")
    rig.hear("a0", "LID", slc=1)
    assert [e["result"] for e in rig.took("inhibit")] == ["denied"] and rig.load() == EVEN


@case(7, 3, "inhibit without answer: repeated once after T14")
def test_inhibit_without_answer(rig):
    rig.answers.discard("LIN")
    rig.ask("inhibit", link="a1")
    rig.wait(2500)
    assert len(rig.names("LIN")) == 2
    rig.wait(2500)
    assert [e["result"] for e in rig.took("inhibit")] == ["no_answer"] and rig.load() == EVEN


@case(7, 4, "inhibit of the last link is refused, asked for here or there")
def test_inhibit_of_the_last():
    r = Rig(links=1, routes=[]).up()
    r.ask("inhibit", link="a0")
    assert [e["result"] for e in r.took("inhibit")] == ["denied_here"]
    r.hear("a0", "LIN")
    assert r.names() == [("a0", "LID")]


@case(7, 5, "inhibited by the far end, and uninhibited")
def test_inhibited_by_the_far_end(rig):
    rig.hear("a0", "LIN", slc=1)
    rig.wait(800)
    assert rig.names() == [("a1", "LIA")] and rig.load() == {"a0": list(range(16))}
    rig.hear("a0", "LUN", slc=1)
    assert ("a1", "LUA") in rig.names() and rig.load() == EVEN


@case(7, 6, "uninhibit without answer: repeated once after T12")
def test_uninhibit_without_answer(rig):
    rig.ask("inhibit", link="a1")
    rig.wait(1000)
    rig.forget()
    rig.answers.discard("LUN")
    rig.ask("uninhibit", link="a1")
    rig.wait(2000)
    assert len(rig.names("LUN")) == 2 and [e["result"] for e in rig.took("inhibit")] == ["no_answer"]


@case(7, 7, "the last free link fails: the inhibited one is forced back, LFU")
def test_forced_uninhibit():
    r = Rig(routes=[]).up()
    r.hear("a0", "LIN", slc=1)
    r.wait(1000)
    r.forget()
    r.fail("a0")
    assert ("a1", "LFU") in r.names()
    r.hear("a1", "LUN", slc=1)
    assert r.node.links["a1"].usable
    r.wait(1000)
    assert r.load(A) == {"a1": list(range(16))}


@case(7, 8, "LFU received: we uninhibit")
def test_forced_by_the_far_end(rig):
    rig.ask("inhibit", link="a1")
    rig.wait(1000)
    rig.hear("a0", "LFU", slc=1)
    assert ("a1", "LUN") in rig.names() and rig.load() == EVEN


@case(7, 9, "inhibit tests T22 and T23, agreed and not")
def test_inhibit_tests(rig):
    rig.ask("inhibit", link="a1")
    rig.hear("b0", "LIN", slc=1)
    rig.forget()
    rig.wait(241000)
    said = rig.names("LLT", "LRT")
    assert [name for _, name in said] == ["LLT", "LRT"]
    rig.hear("a0", "LRT", slc=1)
    rig.hear("b0", "LLT", slc=1)
    assert rig.names("LFU", "LUN") == []                # both sides agree
    rig.hear("a0", "LLT", slc=0)
    rig.hear("b0", "LRT", slc=0)
    assert [name for _, name in rig.names("LFU", "LUN")] == ["LFU", "LUN"]


# 8: traffic flow control

@case(8, 1, "TFC: the user is told")
def test_tfc(rig):
    rig.hear("a0", "TFC", destination=C, status=2)
    assert rig.took("status") == [{"event": "status", "destination": C, "cause": "congestion", "level": 2}]


@case(8, 2, "congestion of our own link: told with the first message and each eighth")
def test_own_congestion(rig):
    rig.event("a0", "congestion", True)
    for _ in range(17):
        rig.send(C, 0)
    rig.send(C, 1)
    assert len(rig.took("status")) == 3
    rig.event("a0", "congestion", False)
    rig.send(C, 0)
    assert rig.took("status") == []


@case(8, 3, "UPU: the user is told")
def test_upu(rig):
    rig.hear("a0", "UPU", opc=C, destination=C, user=5, cause=2)
    assert rig.took("status") == [{"event": "status", "destination": C, "cause": "user_unavailable", "user": 5, "reason": 2}]


@case(8, 4, "congestion test of levels: RCT after T15, the level falls each T16")
def test_congestion_levels(rig):
    rig.hear("a0", "TFC", destination=C, status=2)
    rig.wait(2500)
    assert rig.names("RCT") == [("a0", "RCT")]
    rig.wait(1700)
    assert [e["level"] for e in rig.took("status")] == [2, 1]
    rig.wait(1700)
    assert [e["level"] for e in rig.took("status")] == [0]
    rig.forget()
    rig.wait(10000)
    assert rig.names("RCT") == []


# 9: route management

@case(9, 1, "TFP: RST each T10 until TFA")
def test_route_set_test(rig):
    rig.hear("a0", "TFP", destination=C)
    rig.wait(44999)
    assert rig.names("RST") == []
    rig.wait(1)
    said = [(link[0], name, f["destination"]) for link, name, f in rig.said if name == "RST"]
    rig.said = []
    assert said == [("a", "RST", C)]
    rig.wait(45000)
    assert len(rig.names("RST")) == 1
    rig.hear("a0", "TFA", destination=C)
    rig.wait(100000)
    assert rig.names("RST") == []


@case(9, 2, "TFR: RSR each T10")
def test_restricted_route_test(rig):
    rig.hear("a0", "TFR", destination=C)
    rig.wait(45000)
    assert rig.names("RST", "RSR") == [("a0", "RSR")]


@case(9, 3, "TFP about unknown points, about the sender, and from points that are not adjacent is ignored")
def test_odd_transfer_messages(rig):
    rig.hear("a0", "TFP", destination=999)
    rig.hear("a0", "TFP", destination=A)
    rig.hear("a0", "TFP", opc=555, destination=C)
    assert rig.events == [] and rig.load() == EVEN
    assert rig.node.counters["transfer_messages_ignored"] == 2 and rig.node.counters["messages_of_strangers"] == 1


@case(9, 4, "TFA without TFP changes nothing")
def test_tfa_alone(rig):
    rig.hear("a0", "TFA", destination=C)
    assert rig.events == [] and rig.load() == EVEN


@case(9, 5, "RST and RCT are for points that transfer: counted only")
def test_rst_received(rig):
    rig.hear("a0", "RST", destination=C)
    rig.hear("a0", "RCT")
    assert rig.said == [] and rig.node.counters["messages_for_transfer_points"] == 2


# 10: restart

@case(10, 1, "our restart: traffic after TRA of all adjacent points, TRA to all")
def test_own_restart():
    r = Rig(restart=True)
    r.answers.discard("TRA")
    r._after(r.node.start(0))
    r.hear("a0", "TFP", destination=C)                  # told during restart
    r.hear("a0", "TRA")
    assert r.names("TRA") == [] and r.took("resume") == []
    r.hear("b0", "TRA")
    assert [link for link, _ in r.names("TRA")] == ["a0", "b0"]
    assert [e["destination"] for e in r.events if e["event"] == "resume"] == [A, B, C] and r.took("restarted")
    assert {link[0] for link in r.load()} == {"b"}


@case(10, 2, "our restart ends at T20 at the latest")
def test_own_restart_t20():
    r = Rig(restart=True)
    r.answers.discard("TRA")
    r._after(r.node.start(0))
    r.wait(59999)
    assert r.names("TRA") == [] and r.took("resume") == []
    r.wait(1)
    assert len(r.names("TRA")) == 2 and len([e for e in r.events if e["event"] == "resume"]) == 3


@case(10, 15, "TRA comes before our own test of the first link is over: it counts")
def test_early_tra():
    r = Rig(restart=True)
    r.answers -= {"TRA", "SLTM"}
    r._after(r.node.start(0))
    for link in ("a0", "b0"):
        r.hear(link, "TRA")
    assert r.took("resume") == []
    for link in ("a0", "b0"):
        r.hear(link, "SLTA", pattern=r.node.links[link].pattern())
    assert [e["destination"] for e in r.events if e["event"] == "resume"] == [A, B, C] and r.took("restarted")


@case(1, 15, "a failure that is told late, behind the start that followed it: the link is tested all the same")
def test_late_failure():
    r = Rig(links=1, routes=[])
    r.dead.add("a0")
    r._after(r.node.start(0))
    r._after(r.node.link_event("a0", ("out_of_service", "T2"), r.now_ms))
    assert r.node.links["a0"].state == "WAITING"
    r._after(r.node.link_event("a0", ("in_service",), r.now_ms))
    assert r.node.links["a0"].usable
    r.wait(2000)
    assert ("a0", "start") not in r.asked[2:] and r.node.links["a0"].usable


@case(10, 3, "adjacent point restarts: TRA sent at once, traffic after its TRA")
def test_adjacent_restart(rig):
    rig.fail("b0")
    rig.fail("b1")
    rig.wait(1500)
    rig.answers.discard("TRA")
    rig.forget()
    rig.mend("b0")
    assert rig.names("TRA") == [("b0", "TRA")]
    assert {link[0] for link in rig.load(B)} == {"a"}
    rig.hear("b0", "TRA")
    rig.wait(800)
    assert {link[0] for link in rig.load(B)} == {"b"}


@case(10, 4, "adjacent point sends no TRA: traffic after T21")
def test_adjacent_restart_t21():
    r = Rig(links=1, routes=[])
    r.answers.discard("TRA")
    r._after(r.node.start(0))
    r.wait(63999)
    assert r.took("resume") == []
    r.wait(1)
    assert [e["destination"] for e in r.took("resume")] == [A, B]


@case(10, 5, "unexpected TRA is answered once within T19")
def test_unexpected_tra(rig):
    rig.wait(70000)
    rig.forget()
    rig.answers.discard("TRA")
    rig.hear("a0", "TRA")
    rig.hear("a0", "TRA")
    assert rig.names("TRA") == [("a0", "TRA")]


@case(10, 6, "isolated, then back: restart anew, messages of users wait for it")
def test_isolated():
    r = Rig(restart=True, links=1)
    r._after(r.node.start(0))
    r.answers.discard("TRA")
    r.hear("a0", "TRA")
    r.hear("b0", "TRA")
    r.forget()
    r.fail("a0")
    r.fail("b0")
    r.wait(2000)
    assert sorted(e["destination"] for e in r.took("pause")) == [A, B, C]
    r.mend("a0")
    r.event("a0", "message", messages.encode_label("itu", messages.Label(5, 2, US, A, 0)) + b"early")
    assert r.took("transfer_indication") == [] and r.node.restarting
    r.hear("a0", "TRA")
    assert not r.node.restarting and [e["destination"] for e in r.took("resume")] == [A, B, C]


# 11: traffic

@case(11, 1, "10,000 messages over changing links: none lost, none doubled, each SLS in order")
def test_traffic():
    r = Rig(links=4).up()
    sent, number = {}, 0
    for turn in range(1000):
        if turn % 50 == 10:
            r.fail("a%d" % (turn // 50 % 3))
        if turn % 50 == 40:
            r.dead.clear()
        for i in range(10):
            sls = (turn * 7 + i) % 16
            r.send(C, sls, number.to_bytes(4, "big"))
            sent.setdefault(sls, []).append(number)
            number += 1
        r.wait(37)
    r.wait(10000)
    got = {}
    for _, label, octets in r.traffic:
        got.setdefault(label.sls, []).append(int.from_bytes(octets, "big"))
    assert got == sent


# 12: signalling link test

@case(12, 1, "SLTM is answered by SLTA over the same link, same pattern")
def test_slt_answer(rig):
    rig.hear("a1", "SLTM", pattern=b"pattern of 15..")
    assert [(link, name, f["pattern"], f["slc"]) for link, name, f in rig.said] == [("a1", "SLTA", b"pattern of 15..", 1)]


@case(12, 2, "no SLTA: repeated after T1, then the link is taken down and restored")
def test_slt_without_answer():
    r = Rig(links=1, routes=[])
    r.answers.discard("SLTM")
    r._after(r.node.start(0))
    r.wait(8000)
    assert r.names("SLTM").count(("a0", "SLTM")) == 2 and not r.node.links["a0"].usable
    r.answers.add("SLTM")
    r.asked = []
    r.wait(8000)
    assert ("a0", "stop") in r.asked
    r.wait(1000)
    assert r.node.links["a0"].usable


@case(12, 3, "SLTA with another pattern, another SLC or from another point is no answer")
def test_slt_wrong_answer():
    r = Rig(links=2, routes=[])
    r.answers.discard("SLTM")
    r._after(r.node.start(0))
    pattern = [f["pattern"] for link, _, f in r.said if link == "a0"][0]
    r.hear("a0", "SLTA", pattern=b"wrong")
    r.hear("a0", "SLTA", slc=1, pattern=pattern)
    r.hear("a0", "SLTA", opc=B, pattern=pattern)
    assert not r.node.links["a0"].usable and r.node.counters["link_tests_wrong"] == 3
    r.hear("a0", "SLTA", pattern=pattern)
    assert r.node.links["a0"].usable


@case(12, 4, "periodic test each T2; a failure takes the link out of service")
def test_slt_periodic(rig):
    rig.wait(60000)
    assert sorted(rig.names("SLTM")) == [(n, "SLTM") for n in ("a0", "a1", "b0", "b1")]
    rig.answers.discard("SLTM")
    rig.wait(76000)
    assert not rig.node.links["a0"].usable


@case(12, 5, "SLTM that came over the wrong link is not answered")
def test_slt_crossed_links(rig):
    rig.hear("a1", "SLTM", slc=0, pattern=b"x")
    rig.hear("a1", "SLTM", opc=B, pattern=b"x")
    assert rig.said == [] and rig.node.counters["link_tests_refused"] == 2


# 13: invalid messages

@case(13, 1, "unknown H0 H1, short messages, unknown SLC, another network: thrown away")
def test_invalid(rig):
    label = messages.encode_label("itu", messages.Label(0, 2, US, A, 0))
    for rest in (b"", b"\xff", b"\x0f", b"\x14", b"\x14\x01", b"\x11", b"\x23\x01", b"\x1a\x01\x02"):
        rig.event("a0", "message", label + rest)
    rig.event("a0", "message", b"\x80")
    rig.hear("a0", "COO", slc=9, fsn=1)
    rig.hear("a0", "TFP", ni=0, destination=C)
    assert rig.events == [] and rig.said == [] and rig.load() == EVEN
    assert rig.node.counters["invalid_messages"] == 9 and rig.node.counters["messages_about_unknown_links"] == 1
    assert rig.node.counters["other_network"] == 1


@case(13, 2, "answers that nobody asked for: COA, CBA, ECA, LIA, LUA, SLTA")
def test_unasked_answers(rig):
    for name, fields in (("COA", {"fsn": 1}), ("CBA", {"code": 1}), ("ECA", {}), ("LIA", {}), ("LUA", {}), ("LID", {}),
                         ("SLTA", {"pattern": b"x"})):
        rig.hear("a0", name, **fields)
    assert rig.events == [] and rig.said == [] and rig.load() == EVEN


def test_bad_configuration():
    for more in ({"point_code": 1 << 14}, {"variant": "ttc"}, {"routes": [{"destination": 5, "linkset": "x"}]},
                 {"linksets": [{"name": "a", "adjacent": 1, "links": []}]}):
        with pytest.raises(LocalError):
            MTP3(config(**more))
    node = MTP3(config())
    for call in (lambda: node.request("fly", 0), lambda: node.request("activate", 0, link="x"),
                 lambda: node.link_event("x", ("in_service",), 0), lambda: MTP3.restore(node.dump(), config(links=3))):
        with pytest.raises(LocalError):
            call()
