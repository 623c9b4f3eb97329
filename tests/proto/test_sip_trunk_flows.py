"""A SIP trunk as a client of RFC 5626: a flow over each of two edge proxies, which a script plays."""

import pytest

from tests.proto.sip_carrier import T0, Far, call, started, trunk
from tests.proto.sip_world import header, headers, kinds, method, restart

EDGES = (("10.0.0.1", 5060, "TCP"), ("10.0.0.2", 5070, "TCP"))
KEPT = [("Require", "outbound"), ("Supported", "outbound")]


def flows(**more):
    return trunk(kind="register", user="acc", password="pw", domain="telco.example", addresses=list(EDGES), flows=True, flow_again_s=30, **more)


class Edge(Far):
    """One of them; `number` is its reg-id."""

    def __init__(self, switch, number):
        super().__init__(switch, EDGES[number - 1])
        self.number = number


def grant(edge, octets, extra=KEPT, **more):
    contact = header(octets, "Contact")
    return edge.reply(octets, 200, extra=[("Contact", contact + ";expires=600"), ("Service-Route", "<sip:edge%d.telco.example;lr>" % edge.number)] + list(extra), **more)


def both(**more):
    """(switch, edges, their REGISTERs), both granted."""
    switch, _ = started(flows(**more))
    sent = switch.take_output()
    edges = [Edge(switch, number) for number in (1, 2)]
    requests = [next(octets for octets, destination in sent if destination == edge.address) for edge in edges]
    events = [event for edge, request in zip(edges, requests) for event in grant(edge, request)[0]]
    return switch, edges, requests, events


@pytest.mark.conformance("RFC 5626", "4.2", "one instance, a reg-id for each flow; the transport is told to keep what the registrar keeps (4.4.1)")
def test_a_registration_over_each_edge():
    switch, edges, requests, events = both()
    contacts = [header(octets, "Contact") for octets in requests]
    assert [";reg-id=%d;" % number in contact for number, contact in enumerate(contacts, 1)] == [True, True]
    assert len({contact.split("+sip.instance=")[1] for contact in contacts}) == 1 and '"<urn:uuid:' in contacts[0]
    assert all("outbound" in header(octets, "Supported") and "path" in header(octets, "Supported") for octets in requests)
    assert len({header(octets, "Call-ID") for octets in requests}) == 2
    assert sorted(kinds(events)) == ["flow_kept", "flow_kept", "trunk_up"]
    assert [event["address"] for event in events if event["kind"] == "flow_kept"] == list(EDGES) and events[-1]["every_s"] == 120
    assert switch.trunks["telco"].why == "2 of 2 flows stand"
    assert [row["in_use"] for row in switch.trunks["telco"].describe()["addresses"]] == [True, True]


def test_calls_go_by_the_first_flow_that_stands_and_its_own_way():
    switch, edges, _, _ = both()
    call(switch)
    invite = edges[0].taken()[0]
    assert headers(invite, "Route") == ["<sip:edge1.telco.example;lr>"] and ";ob>" in header(invite, "Contact")
    switch.connection_lost(EDGES[0], True, T0)
    assert switch.trunks["telco"].state == "up" and switch.trunks["telco"].why.startswith("1 of 2 flows stand; 10.0.0.1:5060 (TCP) ")
    call(switch, "l2")
    sent = [(octets, destination) for octets, destination in switch.take_output() if method(octets) == "INVITE"]
    assert [destination for _, destination in sent] == [EDGES[1]] * 2, "the first call's INVITE, whose connection broke, and the second's"
    assert all(headers(octets, "Route") == ["<sip:edge2.telco.example;lr>"] for octets, _ in sent)


@pytest.mark.conformance("RFC 5626", "4.5", "a lost flow registers again after half to the whole of a pause that doubles, 90 s while another one stands, 30 s else")
def test_a_lost_flow_comes_back():
    switch, edges, requests, _ = both()
    switch.connection_lost(EDGES[0], True, T0)
    waits, since = [], T0
    for _ in range(3):
        edges[0].now_ms = since
        while not any(method(octets) == "REGISTER" for octets in edges[0].pass_ms(500)[1]):
            assert edges[0].now_ms - since < 500000
        waits.append(edges[0].now_ms - since)
        since = edges[0].now_ms
        switch.connection_lost(EDGES[0], False, since)      # cannot be opened
    assert all(90000 * 2 ** n / 2 <= wait <= 90000 * 2 ** n + 500 for n, wait in enumerate(waits)), waits
    for _ in range(1500):
        got = [octets for octets in edges[0].pass_ms(500)[1] if method(octets) == "REGISTER"]
        if got:
            break
    grant(edges[0], got[-1])
    assert header(got[-1], "Call-ID") == header(requests[0], "Call-ID") and switch.trunks["telco"].describe()["addresses"][0]["in_use"]


def test_without_any_flow_the_trunk_is_down_until_one_is_back():
    switch, edges, _, _ = both()
    switch.connection_lost(EDGES[0], True, T0)
    assert kinds(switch.connection_lost(EDGES[1], True, T0)) == ["trunk_down"]
    got = []
    while not got:
        got = [octets for octets in edges[1].pass_ms(500)[1] if method(octets) == "REGISTER"]
    assert edges[1].now_ms - T0 <= 90500 and sorted(kinds(grant(edges[1], got[-1])[0])) == ["flow_kept", "trunk_up"]


def test_an_edge_that_was_dead_for_hours_and_answers_again_is_soon_registered_at():
    """Not after the half hour that the pause has grown to."""
    row = dict(flows(options_s=30), addresses=[edge[:2] for edge in EDGES])
    switch, _ = started(row)
    edge = Far(switch, EDGES[0][:2])
    edge.pass_ms(4 * 3600 * 1000)
    assert switch.trunks["telco"].state == "down"
    asked = []
    while not asked:
        asked = [octets for octets in edge.pass_ms(1000)[1] if method(octets) == "OPTIONS"]
    edge.reply(asked[-1], 200)
    since, got = edge.now_ms, []
    while not got:
        for octets in edge.pass_ms(500)[1]:
            if method(octets) == "OPTIONS":
                edge.reply(octets, 200)
            else:
                got.append(octets)
    assert method(got[0]) == "REGISTER" and edge.now_ms - since <= 30500


def test_a_first_proxy_that_keeps_no_flows_is_named():
    switch, _ = started(flows())
    sent = switch.take_output()
    for edge in (Edge(switch, 1), Edge(switch, 2)):
        edge.reply(next(octets for octets, destination in sent if destination == edge.address), 439)
    assert switch.trunks["telco"].state == "down" and switch.trunks["telco"].why.endswith("switch flows off")


def test_a_refusal_is_said_and_the_other_flow_carries_on():
    switch, _ = started(flows())
    sent = switch.take_output()
    first, second = Edge(switch, 1), Edge(switch, 2)
    grant(second, next(octets for octets, destination in sent if destination == second.address))
    first.reply(next(octets for octets, destination in sent if destination == first.address), 403)
    assert switch.trunks["telco"].state == "up" and "look at user and password" in switch.trunks["telco"].why
    assert not [octets for octets in first.pass_ms(59000)[1] if method(octets) == "REGISTER"]
    assert [octets for octets in first.pass_ms(2000)[1] if method(octets) == "REGISTER"]


def test_a_restart_keeps_instance_and_call_ids_and_registers_each_flow_at_once():
    """The connections have died with the process."""
    switch, edges, requests, _ = both()
    fresh = restart(switch, 2, T0 + 1000, trunks=[flows()])
    fresh.resume(T0 + 1000)
    assert fresh.trunks["telco"].state == "up"
    fresh.expire(T0 + 1000)
    again = [octets for octets, _ in fresh.take_output() if method(octets) == "REGISTER"]
    assert [header(octets, "Call-ID") for octets in again] == [header(octets, "Call-ID") for octets in requests]
    assert [header(octets, "Contact") for octets in again] == [header(octets, "Contact") for octets in requests]


def test_a_trunk_that_goes_takes_both_back():
    switch, edges, _, _ = both()
    switch.set_trunks([], T0)
    sent = [octets for octets, _ in switch.take_output()]
    assert [header(octets, "Expires") for octets in sent] == ["0", "0"] and len({header(octets, "Call-ID") for octets in sent}) == 2
