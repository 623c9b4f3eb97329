"""sipp as caller and as callee: registration, calls both ways, CANCEL, refusals, a lossy path."""

import asyncio
import pathlib
import shutil
import subprocess
import time

import pytest

from hil.ports import free_port
from tests.links.sip_rig import LossyRelay, Rig, now_ms
from tests.proto.sip_carrier import CALLED, CALLER, ROW as TRUNK

pytestmark = pytest.mark.skipif(not shutil.which("sipp"), reason="sipp is not installed (Debian: sip-tester)")

HEAD = """<?xml version="1.0" encoding="UTF-8" ?><scenario name="%s">"""
COMMON = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]%(rport)s
From: <sip:1001@[remote_ip]>;tag=[pid]SIPp[call_number]
To: <sip:%(to)s@[remote_ip]>%(peer_tag)s
Call-ID: [call_id]
CSeq: %(cseq)s
Contact: <sip:1001@[local_ip]:[local_port]>
Max-Forwards: 70
"""
SDP_BODY = """v=0
o=user1 53655765 2353687637 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio 15400 RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
"""
AUTHENTICATION = "[authentication username=1001 password=secret-1]\n"


def send(method, uri, cseq, to="5001", peer_tag="", extra="", body="", rport=";rport", retrans=True):
    text = ("%s %s SIP/2.0\n" % (method, uri) + COMMON % {"to": to, "peer_tag": peer_tag, "rport": rport,
                                                          "cseq": "%s %s" % (cseq, method)} + extra
            + ("Content-Type: application/sdp\n" if body else "") + "Content-Length: [len]\n\n" + body)
    return "<send%s><![CDATA[\n\n%s\n]]></send>" % (' retrans="500"' if retrans else "", text)


def receive(response, **options):
    return '<recv response="%d"%s></recv>' % (response, "".join(' %s="%s"' % item for item in options.items()))


def register():
    uri = "sip:[remote_ip]"
    return (send("REGISTER", uri, 1, "1001", extra="Expires: 300\n") + receive(401, auth="true")
            + send("REGISTER", uri, 2, "1001", extra="Expires: 300\n" + AUTHENTICATION) + receive(200))


def invite(first_cseq=1):
    uri = "sip:5001@[remote_ip]:[remote_port]"
    return (send("INVITE", uri, first_cseq, body=SDP_BODY) + receive(401, auth="true")
            + send("ACK", uri, first_cseq, peer_tag="[peer_tag_param]", retrans=False)
            + send("INVITE", uri, first_cseq + 1, extra=AUTHENTICATION, body=SDP_BODY) + receive(100, optional="true"))


CALL = (HEAD % "register and call" + register() + invite(3) + receive(180, optional="true") + receive(200, rrs="true")
        + send("ACK", "[next_url]", 4, peer_tag="[peer_tag_param]", retrans=False) + '<pause milliseconds="100"/>'
        + send("BYE", "[next_url]", 5, peer_tag="[peer_tag_param]") + receive(200) + "</scenario>")
HELD = (HEAD % "hold" + invite() + receive(180, optional="true") + receive(200, rrs="true")
        + send("ACK", "[next_url]", 2, peer_tag="[peer_tag_param]", retrans=False)
        + send("INVITE", "[next_url]", 3, peer_tag="[peer_tag_param]", body=SDP_BODY + "a=sendonly\n")
        + receive(100, optional="true") + receive(200)
        + send("ACK", "[next_url]", 3, peer_tag="[peer_tag_param]", retrans=False)
        + '<recv request="BYE"></recv>'
        + "<send><![CDATA[\n\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n"
          "Content-Length: 0\n\n]]></send></scenario>")
# the CANCEL of sipp bears its INVITE's branch
CANCELLED = (HEAD % "cancel" + invite() + receive(180)
             + send("CANCEL", "sip:5001@[remote_ip]:[remote_port]", 2).replace("[branch]", "[branch-3]")
             + receive(200) + receive(487)
             + send("ACK", "sip:5001@[remote_ip]:[remote_port]", 2, peer_tag="[peer_tag_param]", retrans=False)
             .replace("[branch]", "[branch-6]") + "</scenario>")
ANSWER_HEAD = "[last_Via:]\n[last_From:]\n[last_To:];tag=[pid]SIPpTag[call_number]\n[last_Call-ID:]\n[last_CSeq:]\n"
RINGING = "<send><![CDATA[\n\nSIP/2.0 180 Ringing\n" + ANSWER_HEAD + "Content-Length: 0\n\n]]></send>"
UAS_CANCELLED = (HEAD % "wait for cancel" + '<recv request="INVITE"></recv>' + RINGING
                 + '<recv request="CANCEL"></recv>'
                 + "<send><![CDATA[\n\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n"
                   "[last_CSeq:]\nContent-Length: 0\n\n]]></send>"
                 + "<send><![CDATA[\n\nSIP/2.0 487 Request Terminated\n[last_Via:]\n[last_From:]\n"
                   "[last_To:];tag=[pid]SIPpTag[call_number]\n[last_Call-ID:]\nCSeq: 1 INVITE\nContent-Length: 0\n\n"
                   "]]></send><recv request=\"ACK\"></recv></scenario>")
UAS_BUSY = (HEAD % "busy" + '<recv request="INVITE"></recv>'
            + "<send retrans=\"500\"><![CDATA[\n\nSIP/2.0 486 Busy Here\n" + ANSWER_HEAD
            + "Reason: Q.850;cause=17\nContent-Length: 0\n\n]]></send><recv request=\"ACK\"></recv></scenario>")


# sipp answers where the INVITE came from, so a BYE must come that way, too: by the proxy that wants to stay in the dialog.
UAS_ROUTED = (HEAD % "behind a proxy" + '<recv request="INVITE"></recv>' + '<send retrans="500"><![CDATA[\n\nSIP/2.0 200 OK\n' + ANSWER_HEAD
              + "[last_Record-Route:]\nContact: <sip:sipp@[local_ip]:[local_port]>\nContent-Type: application/sdp\nContent-Length: [len]\n\n" + SDP_BODY
              + '\n]]></send><recv request="ACK"></recv><recv request="BYE"></recv>'
              + "<send><![CDATA[\n\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n]]></send></scenario>")


def reliable(status, number, body=""):
    """sipp sends a provisional response that must be acknowledged (RFC 3262), takes the PRACK for it and answers that."""
    text = "SIP/2.0 %s\nVia:[$1]\n[last_From:]\n[last_To:];tag=[pid]SIPpTag[call_number]\n[last_Call-ID:]\nCSeq: 1 INVITE\n" % status
    if number > 1:
        text = text.replace(";tag=[pid]SIPpTag[call_number]", "")           # the PRACK before has it
    return ("<send><![CDATA[\n\n" + text + "Contact: <sip:sipp@[local_ip]:[local_port]>\nRequire: 100rel\nRSeq: %d\n" % number
            + ("Content-Type: application/sdp\n" if body else "") + "Content-Length: [len]\n\n" + body + "\n]]></send>"
            + '<recv request="PRACK"><action><ereg regexp="RAck: *%d 1 INVITE" search_in="msg" check_it="true" assign_to="2"/></action></recv>' % number
            + "<send><![CDATA[\n\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n]]></send>")


UAS_RELIABLE = (HEAD % "100rel" + '<recv request="INVITE"><action><ereg regexp=".*" search_in="hdr" header="Via:" assign_to="1"/>'
                '<ereg regexp="Require: *100rel" search_in="msg" check_it="true" assign_to="2"/></action></recv>'
                + reliable("183 Session Progress", 1, SDP_BODY) + reliable("180 Ringing", 2)
                + "<send><![CDATA[\n\nSIP/2.0 200 OK\nVia:[$1]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\nCSeq: 1 INVITE\n"
                  "Contact: <sip:sipp@[local_ip]:[local_port]>\nContent-Type: application/sdp\nContent-Length: [len]\n\n" + SDP_BODY + "\n]]></send>"
                + '<recv request="ACK"></recv><recv request="BYE"></recv>'
                + "<send><![CDATA[\n\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n]]></send>"
                + '<Reference variables="1,2"/></scenario>')


def sipp(rig, tmp_path, scenario, *arguments):
    """Start sipp with a scenario (XML text, or the name of a built-in one)."""
    if scenario.startswith("<"):
        path = tmp_path / "scenario.xml"
        path.write_text(scenario)
        chosen = ["-sf", str(path)]
    else:
        chosen = ["-sn", scenario]
    rig.sipp_port = free_port()
    command = ["sipp", "127.0.0.1:%d" % rig.port, *chosen, "-i", "127.0.0.1", "-p", str(rig.sipp_port), "-nostdin", "-trace_err",
               "-error_file", str(tmp_path / "errors"), *arguments]
    return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def ended(process, tmp_path, timeout_s=40):
    """Wait for sipp; its exit code must be 0."""
    end = time.monotonic() + timeout_s
    while process.poll() is None and time.monotonic() < end:
        await asyncio.sleep(0.05)
    if process.poll() is None:
        process.kill()
    errors = pathlib.Path(tmp_path / "errors")
    assert process.wait() == 0, errors.read_text()[:2000] if errors.exists() else "sipp gave no reason"


def run(coroutine):
    asyncio.run(asyncio.wait_for(coroutine, 90))


def test_sipp_registers_and_calls(tmp_path):
    async def main():
        rig = Rig()
        rig.start()
        try:
            await ended(sipp(rig, tmp_path, CALL, "-m", "20", "-r", "20"), tmp_path)
            await rig.until_kind("released", 20)
            assert rig.count("invite_indication") == 20 and rig.count("line_registered") >= 1
            assert {event["cause"] for event in rig.events if event["kind"] == "released"} == {16}
            assert not rig.endpoint.live_legs() and "internal_error" not in rig.endpoint.counters
            rig.check_capture(tmp_path / "calls.pcap")
        finally:
            rig.close()
    run(main())


def test_sipp_holds_and_we_hang_up(tmp_path):
    async def main():
        rig = Rig()
        rig.start()
        try:
            process = sipp(rig, tmp_path, HELD, "-m", "1")
            event = await rig.until_kind("reinvite")
            assert b"sendonly" in event["sdp"]
            await asyncio.sleep(0.3)
            rig.link.request({"kind": "release_request", "leg": event["leg"]})
            await ended(process, tmp_path)
            rig.check_capture(tmp_path / "hold.pcap")
        finally:
            rig.close()
    run(main())


def test_sipp_cancels(tmp_path):
    async def main():
        rig = Rig()
        rig.handler = lambda event: ([{"kind": "alerting_request", "leg": event["leg"]}]
                                     if event["kind"] == "invite_indication" else ())
        rig.start()
        try:
            await ended(sipp(rig, tmp_path, CANCELLED, "-m", "3"), tmp_path)
            await rig.until_kind("released", 3)
            assert {event["sip_status"] for event in rig.events if event["kind"] == "released"} == {487}
            rig.check_capture(tmp_path / "cancel.pcap")
        finally:
            rig.close()
    run(main())


def call_sipp(rig, number):
    rig.link.request({"kind": "invite_request", "leg": "out%d" % number, "uri": "sip:%d@127.0.0.1:%d" % (number, rig.sipp_port),
                      "sdp": rig.offer(), "caller": "13912345678", "caller_name": "Zh\u00e1ng"})


def test_we_call_sipp(tmp_path):
    async def main():
        rig = Rig()
        rig.start()
        process = sipp(rig, tmp_path, "uas", "-m", "20")
        try:
            await asyncio.sleep(0.5)
            for number in range(20):
                call_sipp(rig, number)
            await rig.until_kind("answered", 20)
            for number in range(20):
                rig.link.request({"kind": "release_request", "leg": "out%d" % number})
            await ended(process, tmp_path)
            rig.check_capture(tmp_path / "out.pcap")
        finally:
            process.kill()
            rig.close()
    run(main())


@pytest.mark.conformance("RFC 3262", "4, live sipp", "a carrier's 183 with a session and its 180 are acknowledged by PRACK, each by its number, before the answer")
def test_provisional_responses_of_sipp_are_acknowledged(tmp_path):
    async def main():
        rig = Rig()
        process = sipp(rig, tmp_path, UAS_RELIABLE, "-m", "1")
        rig.endpoint.set_trunks([dict(TRUNK, addresses=[("127.0.0.1", rig.sipp_port)], reliable="required")], now_ms())
        rig.start()
        try:
            await asyncio.sleep(0.5)
            rig.link.request({"kind": "invite_request", "leg": "out0", "trunk": "telco", "called": CALLED, "caller": CALLER, "caller_name": "", "redirecting": None,
                              "sdp": rig.offer()})
            await rig.until_kind("answered")
            assert [event.get("status") for event in rig.events if event["kind"] == "alerting"] == [183, 180]
            rig.link.request({"kind": "release_request", "leg": "out0", "cause": 16})
            await ended(process, tmp_path)
            rig.check_capture(tmp_path / "reliable.pcap")
        finally:
            process.kill()
            rig.close()
    run(main())


@pytest.mark.parametrize("scenario, end", [(UAS_CANCELLED, "cancel"), (UAS_BUSY, "rejected")])
def test_we_cancel_and_are_refused(tmp_path, scenario, end):
    async def main():
        rig = Rig()
        rig.start()
        process = sipp(rig, tmp_path, scenario, "-m", "1")
        try:
            await asyncio.sleep(0.5)
            call_sipp(rig, 1)
            if end == "cancel":
                await rig.until_kind("alerting")
                rig.link.request({"kind": "release_request", "leg": "out1", "cause": 26})
            else:
                event = await rig.until_kind("rejected")
                assert event["status"] == 486 and event["cause"] == 17
            await ended(process, tmp_path)
            rig.check_capture(tmp_path / "end.pcap")
        finally:
            process.kill()
            rig.close()
    run(main())


def test_calls_of_sipp_over_a_lossy_path(tmp_path):
    """10 % of the datagrams are lost each way: every call still succeeds, through retransmissions."""
    async def main():
        rig = Rig()
        rig.start()
        relay = LossyRelay(rig.port, 0.1, 4)
        try:
            await ended(sipp(rig, tmp_path, CALL, "-m", "20", "-r", "10", "-rsa", "127.0.0.1:%d" % relay.port), tmp_path)
            await rig.until_kind("released", 20, 35)
            assert rig.count("invite_indication") == 20 and relay.lost > 10
            assert rig.endpoint.counters["requests_again"] > 0
            rig.check_capture(tmp_path / "lossy.pcap")
        finally:
            relay.close()
            rig.close()
    run(main())
