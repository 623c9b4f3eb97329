"""Our MTP3 by the groups of Q.782: management inhibiting and the test of links (7, 12)."""

from tests.proto.mtp3_rig import A, B, EVEN, Rig, case, rig      # noqa: F401  a fixture


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
