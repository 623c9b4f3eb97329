"""Our MTP3 by the groups of Q.782: restart of a signalling point (10)."""

from firmware.proto.mtp3 import messages
from tests.proto.mtp3_rig import A, B, C, US, Rig, case, rig      # noqa: F401  a fixture


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
