"""Our MTP3 by the groups of Q.782: changeover and changeback (3, 4)."""

import pytest

from firmware.proto.mtp3 import messages
from tests.proto.mtp3_rig import A, C, EVEN, US, Rig, case, config, rig      # noqa: F401  a fixture


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
    rig.wait(1999)
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


@case(3, 12, "the link that carries a changeover order fails before the answer: the order goes by another one, and nothing is lost")
@pytest.mark.parametrize("persist", (False, True))
def test_an_order_whose_carrier_fails(persist):
    r = Rig(links=4).up()
    r.persist = persist
    r.answers.discard("COO")
    label = messages.encode_label("itu", messages.Label(5, 2, C, US, 3))
    r.unacknowledged["a3"] = [label + b"old"]
    r.fail("a3")
    assert r.names() == [("a0", "COO")]
    r.wait(1900)                        # T7 of the link that carries it, which is dead as well
    r.fail("a0")
    assert sorted((link, f["slc"], f["fsn"]) for link, name, f in r.said) == [("a1", 0, 5), ("a1", 3, 5)]
    r.wait(1900)
    assert r.traffic == [], "T2 begins anew"
    r.hear("a1", "COA", slc=3, fsn=3)
    r.hear("a1", "COA", slc=0, fsn=3)
    assert [row[2] for row in r.traffic] == [b"old"] and "changeovers_without_acknowledgement" not in r.node.counters
    r.fail("a2")                        # it carried no order
    assert r.names() == [("a1", "COO"), ("a1", "COO"), ("a1", "COO")]


@case(3, 13, "eight of 16 links fail one after the other, each with the order of the one before: all orders reach the far end by the links that are left")
def test_links_that_fail_in_a_row():
    r = Rig(links=16).up()
    r.answers.discard("COO")
    for number in range(8):
        r.fail("a%d" % number)
    last = {f["slc"]: link for link, name, f in r.said if name == "COO"}
    assert last == {number: "a8" for number in range(8)}
    for number in range(8):
        r.hear("a8", "COA", slc=number, fsn=3)
    assert set(r.load()) == {"a%d" % number for number in range(8, 16)} and "changeovers_without_acknowledgement" not in r.node.counters


@case(3, 14, "the last number that was taken is not known: emergency changeover order, nothing that may have arrived is sent again")
def test_emergency_changeover_order():
    r = Rig(links=4).up()
    r.answers -= {"COO", "retrieve_bsnt"}
    r.fail("a3")
    r.wait(1999)
    assert r.names() == []
    r.wait(1)
    assert r.names() == [("a0", "ECO")]
    r.fail("a0")
    r.event("a0", "bsnt", 5)
    assert sorted((link, name, f["slc"]) for link, name, f in r.said) == [("a1", "COO", 0), ("a1", "ECO", 3)]
    r.hear("a1", "ECA", slc=3)
    assert [row for row in r.asked if row[0] == "a3"][-1] == ("a3", "retrieve")
    r.hear("a1", "COA", slc=0, fsn=3)
    assert set(r.load()) == {"a1", "a2"}


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
