"""Outside stacks on what telephones say and by which way: baresip publishes its presence and registers two flows by two edge proxies (Kamailio
with its modules path and outbound); Kamailio as a carrier has us register for all numbers and tells a Service-Route; linphone registers, calls, is called and takes busy lamps.

Each is a process of its own; tshark reads all that the switch sent.
"""

import asyncio
import re
import shutil

import pytest

from hil.kamailio import Carrier, Edge
from hil.phone.linphone import Linphone
from tests.links.sip_rig import Rig, bound_socket, now_ms
from tests.links.test_sip_baresip import Baresip, call, run
from tests.links.test_sip_sipp import UAS_ROUTED, ended, sipp
from tests.proto.sip_carrier import CALLED, CALLER, ROW as TRUNK

BARESIP = pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is not installed (Debian: baresip-core)")


class Publishing(Baresip):
    """baresip with its presence module, or with edge proxies."""

    def __init__(self, rig, folder, edges=(), publish_s=0):
        self.edges, self.publish_s = edges, publish_s
        super().__init__(rig, folder)

    def begin(self, rig, mode, password):
        parameters = ";auth_user=1001;auth_pass=%s;answermode=%s;regint=60;audio_codecs=PCMA/8000/1" % (password, mode)
        if self.publish_s:
            parameters += ";pubint=%d" % self.publish_s
        if self.edges:
            parameters += ";sipnat=outbound" + "".join(';outbound%s="sip:127.0.0.1:%d;transport=tcp"' % ("" if n == 0 else str(n + 1), edge.port)
                                                       for n, edge in enumerate(self.edges))
        (self.folder / "accounts").write_text("<sip:1001@127.0.0.1:%d>%s\n" % (rig.port, parameters))
        with open(self.folder / "config", "a") as file:
            file.write("module_app presence.so\n" if self.publish_s else "")
        (self.folder / "uuid").write_text("00000000-0000-1000-8000-000a95a0e128")


@BARESIP
@pytest.mark.conformance("RFC 3903", "live", "baresip publishes its presence, refreshes it before it expires and changes it")
def test_baresip_publishes(tmp_path):
    async def main():
        rig = Rig()
        rig.start()
        phone = Publishing(rig, tmp_path / "phone", publish_s=60)
        try:
            await rig.until_kind("line_registered", timeout_s=30)
            await rig.until(lambda: rig.endpoint.publications.of.get("1001"), 30)
            first = rig.endpoint.publications.of["1001"][0]
            # "unknown" until it is told, "open" once it is registered: whichever the telephone came to first
            assert first["state"]["open"] in (None, True) and rig.records["publication/1001"]
            for word in ("offline", "online") * 5:              # told before its first answer was there, baresip publishes anew
                await phone.command("presence_" + word)
                await rig.until(lambda said=word == "online": rig.endpoint.publications.of["1001"][-1]["state"]["open"] is said, 30)
                changed = [octets for _, _, _, octets in rig.packets if octets.startswith(b"PUBLISH ") and b"\r\nSIP-If-Match: " in octets]
                if changed:
                    break
            assert changed and not rig.endpoint.counters.get("reply_412")
            tag = changed[0].split(b"\r\nSIP-If-Match: ")[1].split(b"\r\n")[0].decode()
            assert tag not in [row["tag"] for row in rig.endpoint.publications.of["1001"]], "what had that tag was changed"
            rig.check_capture(tmp_path / "publish.pcap")
        finally:
            await phone.close()
            rig.close()
    run(main())


@BARESIP
@pytest.mark.skipif(not Edge.is_there(), reason="kamailio is not installed (Debian: kamailio)")
@pytest.mark.conformance("RFC 5626", "live", "two flows by two edge proxies of Kamailio; the edge of one loses it (430), the call goes over the other")
def test_two_flows_by_two_edges(tmp_path):
    async def main():
        rig = Rig()
        rig.start()
        loop = asyncio.get_running_loop()
        edges = [Edge(tmp_path / ("edge%d" % n), ("127.0.0.1", rig.port), number=n) for n in (1, 2)]
        phone = None
        try:
            for edge in edges:
                await loop.run_in_executor(None, edge.start)
            phone = Publishing(rig, tmp_path / "phone", edges=edges)
            await rig.until(lambda: len(rig.endpoint.registrar.bindings.get("1001", ())) == 2, 30)
            rows = rig.endpoint.registrar.bindings["1001"]
            assert sorted(row["reg_id"] for row in rows) == [1, 2] and len({row["instance"] for row in rows}) == 1
            assert all(";ob" in row["path"][0] for row in rows) and len(rig.endpoint.registrar.telephones("1001")) == 1
            call(rig)
            await rig.until_kind("answered", timeout_s=30)
            rig.link.request({"kind": "release_request", "leg": "l1", "cause": 16})
            await asyncio.sleep(0.3)
            # the edge that the next call will take forgets its flows
            port = rig.endpoint.registrar.telephones("1001")[0][0][1][1]
            edge = next(edge for edge in edges if edge.port == port)
            before = rig.endpoint.counters.get("flows_failed", 0)

            def again():
                edge.forget()
                edge.start(port)
            await loop.run_in_executor(None, again)
            call(rig, "l2")
            await rig.until_kind("answered", 2, timeout_s=60)
            sent = [destination[1] for _, source, destination, octets in rig.packets if source[1] == rig.port and octets.startswith(b"INVITE ")]
            assert sent[0] in (edges[0].port, edges[1].port)
            failed = rig.endpoint.counters.get("flows_failed", 0) > before
            assert failed and sent[-2:] == [port, next(one.port for one in edges if one is not edge)], (sent, port, rig.endpoint.counters)
            rig.link.request({"kind": "release_request", "leg": "l2", "cause": 16})
            await asyncio.sleep(0.3)
            rig.check_capture(tmp_path / "flows.pcap")
        finally:
            if phone is not None:
                await phone.close()
            for edge in edges:
                edge.stop()
            rig.close()
    run(main())


@pytest.mark.skipif(not Edge.is_there(), reason="kamailio is not installed (Debian: kamailio)")
@pytest.mark.conformance("RFC 6140", "live", "we register for all numbers at Kamailio, with a digest; a call to one of them comes in over the trunk")
def test_all_numbers_at_kamailio(tmp_path):
    async def main():
        rig = Rig()
        gateway = bound_socket("127.0.0.1", 0)
        gateway.setblocking(False)
        loop = asyncio.get_running_loop()
        carrier = Carrier(tmp_path / "kamailio", "pbx", "pw-1", gateway.getsockname(), "127.0.0.1")
        try:
            await loop.run_in_executor(None, carrier.start)
            row = dict(TRUNK, name="ssp", kind="register", bulk=True, user="pbx", password="pw-1", addresses=[("127.0.0.1", carrier.port)])
            rig.endpoint.set_trunks([row], now_ms())
            rig.start()
            await rig.until_kind("trunk_up", timeout_s=30)
            registers = [octets for _, source, _, octets in rig.packets if source[1] == rig.port and octets.startswith(b"REGISTER ")]
            assert b"\r\nContact: <sip:127.0.0.1:%d;bnc>\r\n" % rig.port in registers[-1] and b"\r\nRequire: gin\r\n" in registers[-1]
            body = rig.offer()
            ours = gateway.getsockname()[1]
            gateway.sendto(b"INVITE sip:+12145550105@127.0.0.1:%d SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bKgate1\r\nMax-Forwards: 70\r\n"
                           b"From: <sip:+12145550199@gate>;tag=g1\r\nTo: <sip:+12145550105@gate>\r\nCall-ID: gate-1\r\nCSeq: 1 INVITE\r\n"
                           b"Contact: <sip:127.0.0.1:%d>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % (
                               carrier.port, ours, ours, len(body)) + body, ("127.0.0.1", carrier.port))
            event = await rig.until_kind("invite_indication", timeout_s=30)
            assert (event["trunk"], event["called"], event["caller"]) == ("ssp", "12145550105", "12145550199")
            answers = b""
            while b"SIP/2.0 200 OK" not in answers:
                answers = await asyncio.wait_for(loop.sock_recv(gateway, 65536), 30)
            rig.link.request({"kind": "release_request", "leg": event["leg"], "cause": 16})
            rig.check_capture(tmp_path / "bulk.pcap")
        finally:
            carrier.stop()
            gateway.close()
            rig.close()
    run(main())


@pytest.mark.skipif(not Edge.is_there() or not shutil.which("sipp"), reason="kamailio or sipp is not installed (Debian: kamailio, sip-tester)")
@pytest.mark.conformance("RFC 3608", "live", "Kamailio names a Service-Route at the registration and refuses calls without it: ours take it, challenged and after a restart, too")
def test_calls_by_the_service_route_of_kamailio(tmp_path):
    async def main():
        rig = Rig()
        loop = asyncio.get_running_loop()
        called = sipp(rig, tmp_path, UAS_ROUTED, "-m", "2")
        carrier = Carrier(tmp_path / "kamailio", "acc", "pw-1", ("127.0.0.1", rig.sipp_port), "127.0.0.1", service_route=True)
        stranger = bound_socket("127.0.0.1", 0)
        stranger.setblocking(False)
        try:
            await loop.run_in_executor(None, carrier.start)
            row = dict(TRUNK, kind="register", user="acc", password="pw-1", addresses=[("127.0.0.1", carrier.port)])
            rig.endpoint.set_trunks([row], now_ms())
            rig.start()
            await rig.until_kind("trunk_up", timeout_s=30)
            order = {"kind": "invite_request", "trunk": "telco", "called": CALLED, "caller": CALLER, "caller_name": "", "redirecting": None, "sdp": rig.offer()}

            async def once(rig, leg):
                rig.link.request(dict(order, leg=leg))
                await rig.until_kind("answered", timeout_s=30)
                rig.link.request({"kind": "release_request", "leg": leg, "cause": 16})
                await asyncio.sleep(0.3)
                sent = [octets for _, source, _, octets in rig.packets if source[1] == rig.port]
                invites = [octets for octets in sent if octets.startswith(b"INVITE ")]
                assert len(invites) == 2 and all(b"\r\nRoute: <sip:127.0.0.1:%d;lr;orig>\r\n" % carrier.home in octets for octets in invites), "before and after the challenge"
                assert not [octets for octets in sent if octets.startswith(b"BYE ") and b";orig" in octets], "the dialog has the route of its answer"
                return invites
            invites = await once(rig, "out1")
            rig.check_capture(tmp_path / "route.pcap")
            rig.on_events([])               # what changed without an event: the answer to our BYE
            rig.link.close()
            rig = Rig(bound_socket("127.0.0.1", rig.port), rig.records, trunks=[row])       # a process that has not registered itself
            rig.start()
            await once(rig, "out2")
            assert not [octets for _, source, _, octets in rig.packets if octets.startswith(b"REGISTER ")]
            await ended(called, tmp_path)
            stranger.sendto(re.sub(rb"\r\nRoute: [^\r]*", b"", invites[0]).replace(b":%d;" % rig.port, b":%d;" % stranger.getsockname()[1]), ("127.0.0.1", carrier.port))
            answers = b""
            while b"SIP/2.0 403 " not in answers:
                answers = await asyncio.wait_for(loop.sock_recv(stranger, 65536), 10)
        finally:
            called.kill()
            carrier.stop()
            stranger.close()
            rig.close()
    run(main())


@pytest.mark.skipif(not Linphone.is_there(), reason="linphonec is not installed (Debian: linphone-cli)")
@pytest.mark.conformance("RFC 8760", "live linphone", "asked for SHA-256, it registers and calls with that")
@pytest.mark.conformance("RFC 3261", "live linphone", "linphone registers, is called and hangs up, calls, and takes a re-INVITE")
def test_linphone(tmp_path):
    async def main():
        rig = Rig(digest_algorithms=("SHA-256",))
        rig.start()
        phone = Linphone("1001", "secret-1", rig.port, tmp_path / "phone").start()
        try:
            event = await rig.until_kind("line_registered", timeout_s=30)
            assert "inphone" in event["contacts"][0]["user_agent"]
            phone.say("soundcard use files")
            call(rig)
            await rig.until_kind("answered", timeout_s=30)
            rig.link.request({"kind": "reinvite_request", "leg": "l1", "sdp": rig.offer(2)})
            await rig.until_kind("reinvited", timeout_s=30)
            phone.say("terminate")
            event = await rig.until_kind("released", timeout_s=30)
            assert event["by"] == "far"
            phone.say("call sip:5001@127.0.0.1:%d" % rig.port)
            event = await rig.until_kind("invite_indication", timeout_s=30)
            assert (event["line"], event["called"]) == ("1001", "5001")
            await rig.until(lambda: [leg for leg in rig.endpoint.live_legs() if leg["state"] == "confirmed"], 30)
            rig.link.request({"kind": "release_request", "leg": event["leg"], "cause": 16})
            await asyncio.sleep(0.5)
            assert not rig.endpoint.live_legs()
            answers = [octets for _, _, _, octets in rig.packets if re.search(rb"(?i)\r\n(proxy-)?authorization: *digest", octets)]
            assert {octets.split(b" ")[0] for octets in answers} >= {b"REGISTER", b"INVITE"} and all(b"algorithm=SHA-256" in octets for octets in answers), answers
            rig.check_capture(tmp_path / "linphone.pcap")
        finally:
            await asyncio.to_thread(phone.stop)
            rig.close()
    run(main())
