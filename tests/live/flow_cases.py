"""A trunk that keeps a flow over each of two edges (RFC 5626), played in the house of test_sip_trunk.py.

Edges and registrar are Kamailio with its modules path and outbound, which asks for digests by SHA-256 (RFC 8760); the carrier's subscriber is baresip.  What was said is looked for octet by octet."""

import contextlib

import pytest

from hil.kamailio import Carrier, Edge
from tests.live import probe_moves

HOST, NUMBER, OURS = "127.0.0.1", "13912345678", "02150809000"
PIECE = slice(8000, 12000)


@contextlib.contextmanager
def edges_and_trunk(house, subscriber):
    """The switch has the trunk "flows" by two edges; route 7 leads there.  Yields (carrier, edges)."""
    folder = house.folder / "flows"
    with contextlib.ExitStack() as stack:
        carrier = stack.enter_context(Carrier(folder / "carrier", "twice", "pw-2", (HOST, subscriber.sip_port), HOST, flows=True, algorithm="SHA-256"))
        edges = [stack.enter_context(Edge(folder / ("edge%d" % number), (HOST, carrier.port), number=number)) for number in (1, 2)]
        running = house.product.get("/configuration")
        config = running["configuration"]
        before = {part: list(config[part]) for part in ("trunk_groups", "sip_trunks", "routes")}
        config["trunk_groups"].append({"name": "edges", "caller_number": OURS, "classes": []})
        config["sip_trunks"].append({
            "name": "flows", "trunk_group": "edges", "kind": "register", "user": "twice", "password": "pw-2", "domain": HOST, "channels": 4, "options_s": 0,
            "flows": True, "flow_again_s": 1, "addresses": [{"address": HOST, "port": edge.port, "transport": "tcp"} for edge in edges]})
        config["routes"].append({"number": "7.", "choices": [{"trunk_group": "edges", "strip": 1}]})
        house.product.post("/configuration/apply", running)
        try:
            stand(house, 2)
            yield carrier, edges
        finally:
            running = house.product.get("/configuration")
            running["configuration"].update(before)
            house.product.post("/configuration/apply", running)


def stand(house, count, timeout_s=60):
    """Wait until so many flows stand; returns for each edge whether its does."""
    trunk = house.wait(lambda s: [t for t in s["sip_trunks"] if t["trunk"] == "flows" and t["why"].startswith("%d of 2 flows" % count)], timeout_s,
                       "%d flows" % count)[0]
    return [row["in_use"] for row in trunk["addresses"]]


@pytest.mark.conformance("RFC 8760", "client, live", "we register and call with SHA-256 at Kamailio")
@pytest.mark.conformance("RFC 5626", "client, live", "a trunk with a flow over each of two Kamailio edges: one dies in the middle of a call, which goes on; a call comes "
                         "in over the other; the flow comes back and the first call ends in order")
def test_a_call_over_each_flow_and_one_flow_dies(house, carrier, phone):
    subscriber, agent = carrier.subscriber, house.agent_phone
    with edges_and_trunk(house, subscriber) as (registrar, edges):
        assert stand(house, 2) == [True, True]
        count, mark = len(subscriber.recordings), phone.mark()
        house.wait_agent_idle(phone.user, 30)
        phone.dial("7" + NUMBER)
        phone.wait_for("answered", 30, since=mark)
        first = house.wait_call("talking", 30)["call"]
        used = next(edge for edge in edges if "INVITE of " + NUMBER in edge.log())
        other = next(edge for edge in edges if edge is not used)
        phone.play(probe_moves.material(79, 2.6)).wait(10)
        assert subscriber.said[PIECE] in bytes(phone.received_octets()), "the telephone heard the subscriber"
        port, before = used.port, len(phone.packets)
        used.forget()
        assert stand(house, 1).count(True) == 1
        said = probe_moves.material(80, 2.6)
        phone.play(said).wait(10)
        assert len(phone.packets) > before + 100 and any(c["call"] == first and c["state"] == "talking" for c in house.state()["calls"])

        house.available(phone.user, "logged_out")
        house.available("1001")
        house.wait_agent_idle("1001", 30)
        rings, talks = agent.mark(), subscriber.mark()
        subscriber.dial("sip:%s@%s:%d" % (OURS, HOST, registrar.port))
        agent.wait_for("answered", 30, since=rings)
        subscriber.wait_for("answered", 30, since=talks)
        assert "INVITE of " + OURS in other.log() and len(house.state()["calls"]) == 2
        agent.hangup()
        subscriber.wait_for("closed", 30, since=talks)
        house.available("1001", "logged_out")

        used.start(port)
        stand(house, 2)
        ends = subscriber.mark()
        phone.hangup()                                  # its BYE goes through the edge that came back
        subscriber.wait_for("closed", 30, since=ends)
        house.wait_idle(30)
        house.available(phone.user)
        heard = [probe_moves.octets_of(path) for path, _ in subscriber.recordings[count:]]
        assert any(said[PIECE] in octets for octets in heard), "the subscriber heard the telephone without the edge"
        cdr = house.cdr(first)["cdr"]
        assert (cdr["result"], cdr["released_by"], cdr["out_span"]) == ("answered", "caller", "flows"), cdr
