"""sipp loses and repeats on purpose what follows the answer of a call: 2xx and ACK, both sides.  RFC 6026, RFC 3261 13.2.2.4 and 13.3.1.4.

sipp runs without retransmissions of its own (-nr), so that each message that comes again is one that its scenario expects or sends."""

import asyncio
import shutil

import pytest

from tests.links.sip_rig import Rig
from tests.links.test_sip_sipp import AUTHENTICATION, HEAD, SDP_BODY, call_sipp, ended, receive, run, send, sipp

pytestmark = pytest.mark.skipif(not shutil.which("sipp"), reason="sipp is not installed (Debian: sip-tester)")

AGAIN = "-nr"                    # nothing goes or comes again by sipp's own doing
INVITE = send("INVITE", "sip:5001@[remote_ip]:[remote_port]", 2, extra=AUTHENTICATION, body=SDP_BODY, retrans=False)
CHALLENGED = (send("INVITE", "sip:5001@[remote_ip]:[remote_port]", 1, body=SDP_BODY, retrans=False) + receive(401, auth="true")
              + send("ACK", "sip:5001@[remote_ip]:[remote_port]", 1, peer_tag="[peer_tag_param]", retrans=False))
ACK = send("ACK", "[next_url]", 2, peer_tag="[peer_tag_param]", retrans=False)
OK = "<send><![CDATA[\n\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n]]></send>"

# We answer; sipp loses our 200 twice, then acknowledges, and repeats its INVITE and its ACK.
ACK_LOST = (HEAD % "the ACK is lost" + CHALLENGED + INVITE + receive(100) + receive(180) + receive(200, rrs="true") + receive(200) + receive(200)
            + INVITE.replace("[branch]", "[branch-6]") + ACK + ACK + '<pause milliseconds="2500"/>'
            + send("BYE", "[next_url]", 3, peer_tag="[peer_tag_param]", retrans=False) + receive(200) + "</scenario>")
# We answer; nobody ever acknowledges: BYE.
NEVER = HEAD % "no ACK at all" + CHALLENGED + INVITE + receive(100) + receive(180) + receive(200, rrs="true") + '<recv request="BYE" timeout="20000"/>' + OK + "</scenario>"

NAMES = ('<ereg regexp=".*" search_in="hdr" header="Via:" assign_to="1"/><ereg regexp=".*" search_in="hdr" header="From:" assign_to="2"/>'
         '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="3"/>')
TAKE = '<recv request="INVITE"><action>%s</action></recv>' % NAMES


def response(status, tag, body=""):
    """A response to the INVITE, whatever came since."""
    return ("<send><![CDATA[\n\nSIP/2.0 %s\nVia:[$1]\nFrom:[$2]\nTo:[$3];tag=%s\n[last_Call-ID:]\nCSeq: 1 INVITE\n" % (status, tag)
            + "Contact: <sip:%s@[local_ip]:[local_port]>\n" % tag + ("Content-Type: application/sdp\n" if body else "") + "Content-Length: [len]\n\n" + body + "]]></send>")


def request(method, tag, number):
    """A request in the dialog with the far end of a tag."""
    return ('<recv request="%s" timeout="10000"><action><ereg regexp=";tag=%s" search_in="hdr" header="To:" check_it="true" assign_to="%d"/></action></recv>'
            % (method, tag, number))


def ends(count):
    """Variables that are only there to be checked."""
    return '<Reference variables="%s"/></scenario>' % ",".join(str(number) for number in range(1, count + 1))


# We call; our ACK is lost; then a second far end answers, whose ACK is lost too; the first one's call goes on until our BYE.
FORKED = (HEAD % "two far ends answer" + TAKE + response("180 Ringing", "one") + response("200 OK", "one", SDP_BODY) + request("ACK", "one", 4)
          + response("200 OK", "one", SDP_BODY) + request("ACK", "one", 5)
          + response("200 OK", "two", SDP_BODY) + request("ACK", "two", 6) + request("BYE", "two", 7) + OK
          + response("200 OK", "two", SDP_BODY) + request("ACK", "two", 8)
          + request("BYE", "one", 9) + OK + ends(9))
# We cancel; the answer crosses the CANCEL, and its ACK is lost.
CROSSED = (HEAD % "answered and cancelled" + TAKE + response("180 Ringing", "one") + '<recv request="CANCEL"/>' + OK + response("200 OK", "one", SDP_BODY)
           + request("ACK", "one", 4) + request("BYE", "one", 5) + OK + response("200 OK", "one", SDP_BODY) + request("ACK", "one", 6) + ends(6))


def sent(rig, first, *words):
    """When messages of ours left that begin so and hold the words."""
    return [when for when, source, _, octets in rig.packets if source[1] == rig.port and octets.startswith(first) and all(word in octets for word in words)]


@pytest.mark.conformance("RFC 6026", "live sipp, server", "our 200 goes again after 0.5 and 1.5 s where its ACK is lost; INVITE and ACK that come again are swallowed: one call")
def test_our_2xx_goes_again_until_sipp_acknowledges_it(tmp_path):
    async def main():
        rig = Rig()
        rig.start()
        try:
            await ended(sipp(rig, tmp_path, ACK_LOST, "-m", "1", AGAIN), tmp_path)
            await rig.until_kind("released")
            times = sent(rig, b"SIP/2.0 200 ", b"CSeq: 2 INVITE")
            assert len(times) == 3 and 0.4 < times[1] - times[0] < 1 and 0.9 < times[2] - times[1] < 2, times
            assert rig.count("invite_indication") == 1 and [event["by"] for event in rig.events if event["kind"] == "released"] == ["far"]
            assert rig.endpoint.counters["requests_again"] == 1 and not rig.endpoint.live_legs()
            rig.check_capture(tmp_path / "lost.pcap")
        finally:
            rig.close()
    run(main())


@pytest.mark.conformance("RFC 3261", "13.3.1.4, live sipp", "a 200 that nobody acknowledges is repeated for 64 times T1, then the dialog ends by BYE")
def test_an_answer_that_sipp_never_acknowledges_ends_by_bye(tmp_path):
    async def main():
        rig = Rig(t1_ms=50)
        rig.start()
        try:
            await ended(sipp(rig, tmp_path, NEVER, "-m", "1"), tmp_path)
            event = await rig.until_kind("released")
            assert (event["by"], event["cause"], event["sip_status"]) == ("failure", 102, 408), event
            times = sent(rig, b"SIP/2.0 200 ", b"CSeq: 2 INVITE")
            assert len(times) >= 5 and 3.1 < sent(rig, b"BYE ")[0] - times[0] < 5, times
            rig.check_capture(tmp_path / "never.pcap")
        finally:
            rig.close()
    run(main())


@pytest.mark.conformance("RFC 6026", "live sipp, client", "a 200 again gets its ACK again; a second far end's 200 an ACK and one BYE, while the first one's call goes on")
def test_two_far_ends_of_sipp_answer_and_lose_our_ack(tmp_path):
    async def main():
        rig = Rig()
        rig.start()
        process = sipp(rig, tmp_path, FORKED, "-m", "1", AGAIN)
        try:
            await asyncio.sleep(0.5)
            call_sipp(rig, 1)
            await rig.until_kind("answered")
            await rig.until(lambda: len(sent(rig, b"ACK ", b";tag=two")) == 2)
            await asyncio.sleep(0.5)            # for a second BYE, which would be wrong
            rig.link.request({"kind": "release_request", "leg": "out1"})
            await ended(process, tmp_path)
            assert len(sent(rig, b"ACK ", b";tag=one")) == 2 and len(sent(rig, b"BYE ", b";tag=two")) == len(sent(rig, b"BYE ", b";tag=one")) == 1
            assert rig.count("answered") == rig.count("released") == 1
            rig.check_capture(tmp_path / "forked.pcap")
        finally:
            process.kill()
            rig.close()
    run(main())


@pytest.mark.conformance("RFC 6026", "live sipp, after a CANCEL", "an answer that crosses our CANCEL gets an ACK and a BYE, and only the ACK where it comes again")
def test_an_answer_of_sipp_that_crosses_our_cancel(tmp_path):
    async def main():
        rig = Rig()
        rig.start()
        process = sipp(rig, tmp_path, CROSSED, "-m", "1", AGAIN)
        try:
            await asyncio.sleep(0.5)
            call_sipp(rig, 1)
            await rig.until_kind("alerting")
            rig.link.request({"kind": "release_request", "leg": "out1"})
            await ended(process, tmp_path)
            assert len(sent(rig, b"ACK ")) == 2 and len(sent(rig, b"BYE ")) == 1 and rig.count("answered") == 0 and rig.count("released") == 1
            rig.check_capture(tmp_path / "crossed.pcap")
        finally:
            process.kill()
            rig.close()
    run(main())
