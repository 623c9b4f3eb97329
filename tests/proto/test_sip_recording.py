"""The session recording client by hand: what it sends, how it ends, what it makes of bad answers."""

import itertools
import xml.etree.ElementTree

import pytest

from firmware.proto.sip.dialog import Identity
from firmware.proto.sip.message import parse
from firmware.proto.sip.recording import RecordingClient, metadata
from firmware.proto.sip.timers import durations_ms

SRS = ("192.0.2.9", 5060)
ANSWER = "v=0\r\no=srs 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 7000 RTP/AVP 8\r\na=recvonly\r\nm=audio 0 RTP/AVP 8\r\n"


@pytest.fixture
def client():
    numbers = itertools.count(1)
    made = RecordingClient(Identity("192.0.2.1", 5070, "Strowger", lambda n: next(numbers).to_bytes(n, "big")), durations_ms())
    names = itertools.count(1)
    made.begin("c1", "srs", SRS, metadata(lambda: "id%d" % next(names), [("sip:1@x", "<Li & \"Co\">"), ("sip:2@x", "2")], "2026-01-05T10:00:00Z", "c1"),
               [("192.0.2.1", 20000), ("192.0.2.1", 20002)], 0)
    return made


def sent(client):
    output, client.output = client.output, []
    assert all(destination == SRS for _, destination in output)
    return [parse(octets) for octets, _ in output]


def answer(client, request, status, body="", to=";tag=srs", now_ms=10):
    lines = ["SIP/2.0 %d Whatever" % status] + ["%s: %s%s" % (name, request.get(name), to if name == "To" and "tag=" not in request.get("To") else "")
                                               for name in ("Via", "From", "To", "Call-ID", "CSeq")]
    lines += ["Contact: <sip:srs@192.0.2.9:5060>", "Content-Length: %d" % len(body), "", body]
    client.receive("\r\n".join(lines).encode(), SRS, now_ms)


@pytest.mark.conformance("RFC 7866", "6.1", "the INVITE of a recording client")
def test_the_invite_has_all_that_the_standard_wants(client):
    (invite,) = sent(client)
    assert invite.method == "INVITE" and invite.get("Require") == "siprec" and "+sip.src" in invite.get("Contact")
    parts = invite.body.decode().split("--strowger-recording")
    assert "a=label:1" in parts[1] and "a=label:2" in parts[1] and parts[1].count("a=sendonly") == 2 and "m=audio 20002 RTP/AVP 8 0" in parts[1]
    head, _, document = parts[2].partition("\r\n\r\n")
    assert "application/rs-metadata+xml" in head and "recording-session" in head
    root = xml.etree.ElementTree.fromstring(document.encode())
    space = "{urn:ietf:params:xml:ns:recording:1}"
    assert [each.text for each in root.iter(space + "name")] == ["<Li & \"Co\">", "2"]
    streams = {each.get("stream_id") for each in root.iter(space + "stream")}
    sends = [each.find(space + "send").text for each in root.iter(space + "participantstreamassoc")]
    assert set(sends) == streams == {each.text for each in root.iter(space + "recv")} and len(sends) == 2


def test_answered_then_ended(client):
    (invite,) = sent(client)
    answer(client, invite, 180)
    answer(client, invite, 200, ANSWER)
    assert client.events == [("answered", "c1", [("192.0.2.9", 7000, 8), None])]
    assert [message.method for message in sent(client)] == ["ACK"]
    answer(client, invite, 200, ANSWER)                     # its 200 again: the ACK again
    assert [message.method for message in sent(client)] == ["ACK"] and len(client.events) == 1
    client.end("c1", 20)
    (bye,) = sent(client)
    answer(client, bye, 200)
    assert bye.method == "BYE" and client.events[1:] == [("ended", "c1")] and not client.sessions


def test_ended_before_it_is_answered(client):
    (invite,) = sent(client)
    client.end("c1", 5)
    answer(client, invite, 200, ANSWER)
    assert [message.method for message in sent(client)] == ["ACK", "BYE"] and client.events == []


@pytest.mark.parametrize("status, body, why", [(503, "", "503"), (200, "", "no use"), (200, ANSWER.replace("7000", "0"), "takes no stream"), (200, "v=0\r\nm=audio", "no use")])
def test_refused_and_senseless(client, status, body, why):
    (invite,) = sent(client)
    answer(client, invite, status, body)
    assert [event[0] for event in client.events] == ["failed"] and why in client.events[0][2]
    assert [message.method for message in sent(client)] == (["ACK"] if status == 503 else ["ACK", "BYE"])


def test_a_recorder_that_is_silent_or_gone(client):
    now_ms = 0
    while client.deadline_ms() is not None and not client.events:
        now_ms = client.deadline_ms()
        client.expire(now_ms)
    assert now_ms == 32000 and client.events == [("failed", "c1", "the recorder does not answer")]
    client.begin("c2", "srs", SRS, "<x/>", [("192.0.2.1", 1)], now_ms)
    client.unreachable(SRS, now_ms)
    assert client.events[1:] == [("failed", "c2", "nobody listens there")]


def test_requests_of_the_recorder(client):
    (invite,) = sent(client)
    answer(client, invite, 200, ANSWER)
    sent(client)

    def ask(method, number, tag="srs"):
        client.receive(("%s sip:strowger@192.0.2.1:5070 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKx%d\r\nFrom: <sip:srs@192.0.2.9>;tag=%s\r\nTo: %s\r\n"
                        "Call-ID: %s\r\nCSeq: %d %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n" % (
                            method, number, tag, invite.get("From"), invite.call_id, number, method)).encode(), SRS, 30)
        return sent(client)[0].status
    assert [ask("OPTIONS", 1), ask("INVITE", 2), ask("BYE", 3, "other"), ask("BYE", 4), ask("BYE", 5)] == [200, 488, 481, 200, 481]
    assert client.events[1:] == [("failed", "c1", "the recorder ended the session")]
    for garbage in (b"", b"\0" * 100, b"SIP/2.0 200 OK\r\n\r\n", b"BYE x SIP/2.0\r\n\r\n"):
        client.receive(garbage, SRS, 40)


def test_a_session_of_a_process_before_is_ended(client):
    (invite,) = sent(client)
    answer(client, invite, 200, ANSWER)
    from firmware.proto.sip.dialog import Dialog
    dumped = client.dump()
    other = RecordingClient(client.identity, durations_ms())
    other.adopt("left", Dialog.restore(dumped["c1"]))
    other.end("left", 50)
    (octets, destination), = other.output
    assert parse(octets).method == "BYE" and parse(octets).call_id == invite.call_id and destination == SRS
