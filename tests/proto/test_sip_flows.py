"""Path (RFC 3327), flows (RFC 5626) and STUN keep-alives on the SIP port: scripted telephones behind an edge proxy."""

import socket
import struct

import pytest

from firmware.proto import stun
from firmware.proto.sip.intake import Intake
from tests.proto.sip_world import OFFER, Phone, endpoint, header, headers, method, restart, status

EDGES = (("192.0.2.11", 5060), ("192.0.2.12", 5060))
INSTANCE = '"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'          # of RFC 5626 9.2


class Telephone(Phone):
    """Registers over edge proxies: what is sent comes from them."""

    def register_by(self, edge, reg_id=1, token="VskztcQ/S8p4WPbOnHbuyh5iJvJIW3ib", ob=True, supported="path, outbound", contact="sip:1001@192.0.2.2", vias=2,
                    expires=600):
        """Returns the final response."""
        self.address = EDGES[edge]
        path = "<sip:%s@%s:5060;lr%s>" % (token, EDGES[edge][0], ";ob" if ob else "")
        extra = [("Path", path)] if vias > 1 else []
        extra += [("Supported", supported), ("Contact", '<%s>;reg-id=%d;+sip.instance=%s;expires=%d' % (contact, reg_id, INSTANCE, expires))]
        if vias > 1:
            extra.insert(0, ("Via", "SIP/2.0/TCP 192.0.2.2;branch=z9hG4bKnashds7%d" % edge))
        _, output, _ = self.challenged("REGISTER", "sip:strowger", extra, to="<sip:1001@strowger>", call_id="register-%d" % reg_id)
        return output[0]


def invites(switch):
    return [(octets, destination) for octets, destination in switch.take_output() if method(octets) == "INVITE"]


def call(switch, leg, now_ms):
    events = switch.request({"kind": "invite_request", "leg": leg, "line": "1001", "sdp": OFFER, "caller": "9"}, now_ms)
    return events, invites(switch)


@pytest.fixture
def switch():
    made = endpoint(digest_algorithms=("MD5",))
    made.resume(1000000)
    return made


@pytest.mark.conformance("RFC 3327", "5", "Path is kept, said back in the 200 and becomes the Route of what goes to the telephone; it outlives a restart")
def test_path(switch):
    phone = Telephone(switch)
    answer = phone.register_by(0, supported="path")
    assert status(answer) == 200 and header(answer, "Path").startswith("<sip:VskztcQ/S8p4WPbOnHbuyh5iJvJIW3ib@192.0.2.11") and header(answer, "Require") is None
    for number, one in enumerate((switch, restart(switch, 2, 1001000))):
        one.resume(1001000)
        _, sent = call(one, "l%d" % (9000 + number), 1001000)
        (octets, destination), = sent
        assert destination == EDGES[0] and header(octets, "Route") == header(answer, "Path") and octets.startswith(b"INVITE sip:1001@192.0.2.2 SIP/2.0")


@pytest.mark.conformance("RFC 5626", "6", "two flows of one instance are two bindings and one telephone: the last one is called, after 430 the other")
def test_second_flow_after_430(switch):
    phone = Telephone(switch)
    assert header(phone.register_by(0, 1, "tokenA"), "Require") == "outbound"
    answer = phone.register_by(1, 2, "tokenB")
    assert [part.split("reg-id=")[1][0] for part in headers(answer, "Contact")] == ["1", "2"] and switch.contacts("1001")[0]["uri"] == "sip:1001@192.0.2.2"
    phone.now_ms += 1000
    again = phone.register_by(0, 1, "tokenC")                    # the first flow anew: its binding is replaced, not a third one
    assert len(headers(again, "Contact")) == 2
    events, sent = call(switch, "l9000", phone.now_ms)
    assert not events and [(destination, "tokenC" in header(octets, "Route")) for octets, destination in sent] == [(EDGES[0], True)]
    phone.address = EDGES[0]
    events = switch.receive(phone.respond(sent[0][0], 430), EDGES[0], phone.now_ms)
    output = switch.take_output()
    (octets, destination), = [row for row in output if method(row[0]) == "INVITE"]
    assert "rejected" not in [event["kind"] for event in events] and destination == EDGES[1] and "tokenB" in header(octets, "Route") and [method(row[0]) for row in output].count("ACK") == 1
    assert header(octets, "CSeq") == "2 INVITE" and header(octets, "Call-ID") == header(sent[0][0], "Call-ID")
    events = switch.receive(phone.respond(octets, 486), EDGES[1], phone.now_ms)
    assert [(event["kind"], event["status"]) for event in events] == [("rejected", 486)]
    # the flow that failed is not called until it registers again
    _, sent = call(switch, "l9001", phone.now_ms)
    assert [destination for _, destination in sent] == [EDGES[1]] and switch.counters["flows_failed"] == 1
    phone.register_by(0, 1, "tokenD")
    assert "tokenD" in header(call(switch, "l9002", phone.now_ms + 1)[1][0][0], "Route")


@pytest.mark.conformance("RFC 5626", "5.3.1", "where every flow has failed the call is rejected, and the line counts as away")
def test_all_flows_fail(switch):
    phone = Telephone(switch)
    phone.register_by(0, 1, "tokenA")
    _, sent = call(switch, "l9000", phone.now_ms)
    events = switch.receive(phone.respond(sent[0][0], 430), EDGES[0], phone.now_ms)
    assert {event["kind"] for event in events} == {"line_unregistered", "rejected"} and switch.is_silent("1001")


def test_flow_without_answer(switch):
    phone = Telephone(switch)
    phone.register_by(0, 1, "tokenA")
    phone.now_ms += 1000
    phone.register_by(1, 2, "tokenB")
    _, sent = call(switch, "l9000", phone.now_ms)
    assert sent[0][1] == EDGES[1]
    events, tried = [], []
    for _ in range(40):
        deadline = switch.deadline_ms()
        events += switch.expire(deadline)
        tried += [destination for _, destination in invites(switch)]
        if EDGES[0] in tried:
            break
    assert EDGES[0] in tried and not [event for event in events if event["kind"] == "rejected"]


@pytest.mark.conformance("RFC 5626", "6 (439)", "a first proxy that knows nothing of flows: 439; reg-id without outbound is no flow")
def test_first_hop_lacks_outbound(switch):
    phone = Telephone(switch)
    assert status(phone.register_by(0, ob=False)) == 439 and switch.contacts("1001") == []
    assert status(phone.register_by(0, supported="path")) == 200 and status(phone.register_by(1, reg_id=2, supported="path")) == 200
    assert len(switch.registrar.bindings["1001"]) == 1           # the instance has one binding where it asks for no flows
    assert status(phone.register_by(0, reg_id=0)) == 400


@pytest.mark.conformance("RFC 5626", "8", "STUN on the SIP port: the telephone's address as it is seen, IPv4 and IPv6; limited, and nothing for what is no question")
def test_stun_keep_alive():
    switch = endpoint(guard={"source_rate": 2, "wrong_passwords": 0, "ban_s": 600})
    intake = Intake(switch)
    transaction = bytes(range(12))
    question = struct.pack(">HHI", 1, 0, 0x2112A442) + transaction
    for source in (("192.0.2.1", 32853), ("2001:db8:1234:5678:11:2233:4455:6677", 32853)):       # the addresses of RFC 5769 2.2, 2.3
        intake.take(question, source, 0, 1000)
        (answer, to), = intake.refusals()
        assert to == source and answer[:2] == b"\x01\x01" and answer[8:20] == transaction
        kind, length, _, family, port = struct.unpack(">HHBBH", answer[20:28])
        assert (kind, family, port) == (0x20, 1 if length == 8 else 2, 0xA147)                   # X-Port of both vectors
        host = bytes(one ^ other for one, other in zip(answer[28:24 + length], answer[4:20]))
        assert socket.inet_ntop(socket.AF_INET if length == 8 else socket.AF_INET6, host) == source[0]
        assert intake.waiting() == 0
    for bad in (question[:19], question + b"\x00", b"\x00\x01" + bytes(18), b"\x01\x01" + question[2:]):
        intake.take(bad, ("192.0.2.9", 1), 0, 1000)
    assert intake.refusals() == []
    for _ in range(20):
        intake.take(question, ("192.0.2.77", 5), 0, 1000)
    assert len(intake.refusals()) == 4                           # bursts of twice the rate
    assert stun.keep_alive_answer(b"", ("192.0.2.1", 1)) is None
