"""Our MTP3 by the groups of Q.782: forced and controlled rerouting, route management (5, 6, 9)."""

from tests.proto.mtp3_rig import A, C, EVEN, case, rig      # noqa: F401  a fixture


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
