"""Our MTP3 by the groups of Q.782, with a scripted network of two linksets: links, messages, traffic, what is not valid (1, 2, 8, 11, 13)."""

import pytest

from firmware.errors import LocalError
from firmware.proto.mtp3 import messages
from firmware.proto.mtp3.node import MTP3
from tests.proto.mtp3_rig import A, B, C, EVEN, US, Rig, case, config, rig      # noqa: F401  a fixture


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
