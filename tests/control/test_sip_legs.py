"""From the trunk through the queue to a SIP phone: real core, Q.931 and SIP, media as a stand-in.

The phone is a script that knows nothing of firmware/proto/sip."""

import asyncio
import copy
import hashlib
import re
import socket

import pytest

from firmware.control import commands
from firmware.errors import LocalError
from tests.control import test_pri_call as pri

SDP = ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 8 101\r\n"
       "a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n%s")


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


class Phone:
    """A telephone of one line, on a UDP socket of its own."""

    def __init__(self, server, name, password):
        self.server, self.name, self.password, self.got, self.number = server, name, password, [], 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]
        self.invite = None

    def send(self, text):
        self.sock.sendto(text.encode(), self.server)

    async def hear(self, seconds):
        """The switch's next message; what another house beside this one sends to whoever had the port before is none.  Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            octets, source = await asyncio.wait_for(loop.sock_recvfrom(self.sock, 65536), end - loop.time())
            if source[1] == self.server[1]:
                return octets.decode()

    async def receive(self, start, seconds=3.0):
        """The next message that begins with a text; others are answered or forgotten."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            text = await self.hear(end - loop.time())
            self.got.append(text)
            if text.startswith(start):
                return text

    def request(self, method, target, extra, body="", call="reg", sequence=None, to=None, route=""):
        self.number += 1
        me = "sip:%s@127.0.0.1" % self.name
        self.send("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%s%d;rport\r\nMax-Forwards: 70\r\n"
                  "From: <%s>;tag=a%s\r\nTo: %s\r\nCall-ID: %s-%d\r\nCSeq: %d %s\r\nContact: <sip:%s@127.0.0.1:%d>\r\n"
                  "%s%sContent-Length: %d\r\n\r\n%s"
                  % (method, target, self.port, self.name, self.number, me, self.name, to or "<%s>" % me, call, self.port,
                     sequence or self.number, method, self.name, self.port, route, extra, len(body), body))

    def authorization(self, challenge, method, uri):
        header = re.search(r"-Authenticate: (Digest .*?MD5.*)\r\n|-Authenticate: (Digest .*)\r\n", challenge)
        values = dict(re.findall(r'(\w+)="?([^",]+)"?', header.group(1) or header.group(2)))
        ha1 = md5("%s:%s:%s" % (self.name, values["realm"], self.password))
        response = md5(":".join((ha1, values["nonce"], "00000001", "xyz", "auth", md5("%s:%s" % (method, uri)))))
        kind = "Proxy-Authorization" if "Proxy-Authenticate" in challenge else "Authorization"
        opaque = ', opaque="%s"' % values["opaque"] if "opaque" in values else ""
        return ('%s: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=MD5, qop=auth, '
                'nc=00000001, cnonce="xyz"%s\r\n' % (kind, self.name, values["realm"], values["nonce"], uri, response, opaque))

    async def register(self):
        challenges = None
        self.request("REGISTER", "sip:127.0.0.1", "Expires: 300\r\n")
        challenges = await self.receive("SIP/2.0 401")
        md5_line = [line for line in challenges.split("\r\n") if line.startswith("WWW-Auth") and "MD5" in line][0]
        self.request("REGISTER", "sip:127.0.0.1",
                     "Expires: 300\r\n" + self.authorization(md5_line + "\r\n", "REGISTER", "sip:127.0.0.1"))
        return await self.receive("SIP/2.0 200")

    def answer(self, request, status, body="", contact=True):
        heads = [line for line in request.split("\r\n\r\n")[0].split("\r\n")
                 if re.match(r"(Via|From|Call-ID|CSeq|Record-Route):", line)]
        to = re.search(r"^To: (.*)\r$", request, re.M).group(1)
        to += "" if "tag=" in to else ";tag=p" + self.name
        self.send("SIP/2.0 %s\r\n%s\r\nTo: %s\r\n%s%sContent-Length: %d\r\n\r\n%s" % (
            status, "\r\n".join(heads), to, "Contact: <sip:%s@127.0.0.1:%d>\r\n" % (self.name, self.port) if contact else "",
            "Content-Type: application/sdp\r\n" if body else "", len(body), body))

    def in_dialog(self, method, invite, extra="", body="", sequence=50):
        """A request inside the call that an INVITE to us began."""
        target = re.search(r"^Contact: .*<(.*?)>", invite, re.M).group(1)
        far = re.search(r"^From: (.*)\r$", invite, re.M).group(1)
        near = re.search(r"^To: (.*)\r$", invite, re.M).group(1) + ";tag=p" + self.name
        call = re.search(r"^Call-ID: (.*)\r$", invite, re.M).group(1)
        self.number += 1
        self.send("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bKd%s%d;rport\r\nMax-Forwards: 70\r\n"
                  "From: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:%s@127.0.0.1:%d>\r\n%sContent-Length: %d\r\n\r\n%s"
                  % (method, target, self.port, self.name, self.number, near, far, call, sequence, method, self.name,
                     self.port, extra, len(body), body))


def sip_socket(port=0):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


async def until(condition, seconds=30.0):
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, "waited in vain"
        await asyncio.sleep(0.005)


async def standing(site, media=None, port=0):
    """A house with a trunk and a registered phone 1001 (others are logged out by having no phone)."""
    sock = sip_socket(port)
    address = sock.getsockname()
    house, media = site.whole(media, sock)
    await house.start()
    await pri.settle()
    return house, media, address


async def ringing(site):
    house, media, address = await standing(site)
    far = pri.Far(media, house)
    far.up()
    far.exchange()
    phone = Phone(address, "1001", "secret1001")
    await phone.register()
    await until(lambda: house.state()["lines"][0]["contacts"])
    call = far.call()
    await pri.settle()
    far.exchange()
    media.play_out()                        # greeting
    leg = house.state()["calls"][0]["legs"][0]["leg"]
    media.event("digit", leg, digit="1", duration_ms=80)
    await pri.settle()
    media.play_out()
    invite = await phone.receive("INVITE")
    return house, media, far, call, phone, invite


async def talking(site):
    house, media, far, call, phone, invite = await ringing(site)
    phone.answer(invite, "180 Ringing")
    phone.answer(invite, "200 OK", SDP % (40000, ""))
    await phone.receive("ACK")
    await until(lambda: media.standing["bridges"])
    return house, media, far, call, phone, invite


def test_a_telephone_hears_its_switch_alone():
    """Sound of another house's call to its port came as a message in a run of all tests beside each other."""
    async def whole():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as switch, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            switch.bind(("127.0.0.1", 0))
            phone = Phone(switch.getsockname(), "1001", "x")
            stranger.sendto(b"\x80\x08" + bytes(170), ("127.0.0.1", phone.port))
            switch.sendto(b"SIP/2.0 200 OK", ("127.0.0.1", phone.port))
            heard = await phone.receive("SIP/2.0 200")
            phone.sock.close()
            return heard, phone.got
    assert asyncio.run(whole()) == ("SIP/2.0 200 OK", ["SIP/2.0 200 OK"])


def test_the_agent_answers_and_the_caller_hangs_up(site):
    async def scenario():
        house, media, far, call, phone, invite = await talking(site)
        assert "m=audio 20000 RTP/AVP 8" in invite and "139" in invite
        legs = media.standing["bridges"][0]["legs"]
        assert len(legs) == 2 and len(media.of("record")) == 1
        modify = [row for row in media.of("modify") if row["id"] == legs[1]][-1]
        assert (modify["remote"], modify["payload_type"], modify["dtmf_payload_type"], modify["send"]) == (
            ["127.0.0.1", 40000], 8, 101, True)
        state = house.state()
        assert state["calls"][0]["state"] == "talking" and state["calls"][0]["agent"] == "1001"
        far.request("disconnect_request", call, cause=16)
        bye = await phone.receive("BYE")
        phone.answer(bye, "200 OK", contact=False)
        await until(lambda: house.stores.cdrs.page(1))
        far.exchange()
        cdr = house.stores.cdrs.page(1)[0]
        assert (cdr["result"], cdr["agent"], cdr["queue"], cdr["released_by"]) == ("answered", "1001", "sales", "caller")
        await until(lambda: not media.standing["terminations"])
        assert house.stores.machines.names("sip-leg/") == [] and far.machine.calls() == []
        assert house.stores.recordings.of_call(cdr["call"])[0]["state"] == "closed"
        assert house.turns.exceptions == 0
        await house.stop()
    pri.run(scenario())


def test_the_agent_hangs_up(site):
    async def scenario():
        house, media, far, call, phone, invite = await talking(site)
        phone.in_dialog("BYE", invite)
        await phone.receive("SIP/2.0 200")
        await until(lambda: (far.exchange(), "disconnect_indication" in far.names())[1])
        far.request("release_request", call)
        await pri.settle()
        far.exchange()
        await until(lambda: house.stores.cdrs.page(1))
        assert house.stores.cdrs.page(1)[0]["released_by"] == "agent"
        await house.stop()
    pri.run(scenario())


def test_a_phone_that_is_busy_leaves_the_caller_in_the_queue(site):
    async def scenario():
        house, media, far, call, phone, invite = await ringing(site)
        phone.answer(invite, "486 Busy Here", contact=False)
        await phone.receive("ACK")
        await until(lambda: house.state()["calls"][0]["state"] == "queued")
        assert len(media.standing["terminations"]) == 1
        await house.stop()
    pri.run(scenario())


def test_the_caller_leaves_while_the_phone_rings(site):
    async def scenario():
        house, media, far, call, phone, invite = await ringing(site)
        phone.answer(invite, "180 Ringing")
        await pri.settle()
        far.request("disconnect_request", call, cause=16)
        cancel = await phone.receive("CANCEL")
        phone.answer(cancel, "200 OK", contact=False)
        phone.answer(invite, "487 Request Terminated", contact=False)
        await phone.receive("ACK")
        await until(lambda: house.stores.cdrs.page(1))
        assert house.stores.cdrs.page(1)[0]["result"] == "abandoned"
        await until(lambda: not media.standing["terminations"])
        await house.stop()
    pri.run(scenario())


@pytest.mark.parametrize("who", ["caller", "agent"])
def test_a_kill_while_they_talk(site, who):
    async def scenario():
        house, media, far, call, phone, invite = await talking(site)
        port = phone.server[1]
        waited = house.state()["calls"][0]["started_ms"]
        house.adapters[-1].link.close()
        pri.kill(house)
        count = len(media.commands)
        house, media, _ = await standing(site, media, port)
        await pri.settle()
        far.exchange()
        assert not [c for c in media.commands[count:] if c[0] in ("subtract", "stop", "record", "record_stop", "add")]
        state = house.state()
        assert state["calls"][0]["state"] == "talking" and state["calls"][0]["started_ms"] == waited
        assert state["lines"][0]["registered"] and state["lines"][0]["contacts"]
        if who == "caller":
            far.request("disconnect_request", call, cause=16)
            phone.answer(await phone.receive("BYE"), "200 OK", contact=False)
        else:
            phone.in_dialog("BYE", invite)
            await phone.receive("SIP/2.0 200")
            await until(lambda: (far.exchange(), "disconnect_indication" in far.names())[1])
            far.request("release_request", call)
        await until(lambda: house.stores.cdrs.page(1))
        far.exchange()
        cdr = house.stores.cdrs.page(1)[0]
        assert (cdr["result"], cdr["released_by"], cdr["cause"]) == ("answered", who, 16)
        await until(lambda: not media.standing["terminations"] and not media.standing["bridges"])
        assert far.machine.calls() == []
        await house.stop()
    pri.run(scenario())


def test_a_kill_while_the_phone_rings_offers_again(site):
    async def scenario():
        house, media, far, call, phone, invite = await ringing(site)
        port = phone.server[1]
        phone.answer(invite, "180 Ringing")
        await pri.settle()
        await asyncio.sleep(0.05)
        house.adapters[-1].link.close()
        pri.kill(house)
        house, media, _ = await standing(site, media, port)
        cancel = await phone.receive("CANCEL")
        phone.answer(cancel, "200 OK", contact=False)
        phone.answer(invite, "487 Request Terminated", contact=False)
        again = await phone.receive("INVITE")
        phone.answer(again, "200 OK", SDP % (40002, ""))
        await phone.receive("ACK")
        await until(lambda: media.standing["bridges"])
        assert house.state()["calls"][0]["state"] == "talking"
        await house.stop()
    pri.run(scenario())


def test_hold_and_retrieve_by_the_phone(site):
    async def scenario():
        house, media, far, call, phone, invite = await talking(site)
        for number, (attribute, direction, send) in enumerate((("a=sendonly\r\n", "recvonly", False), ("a=sendrecv\r\n", "sendrecv", True))):
            phone.in_dialog("INVITE", invite, "Content-Type: application/sdp\r\n", SDP % (40000, attribute), 60 + number)
            ok = await phone.receive("SIP/2.0 200")
            assert "a=" + direction in ok
            phone.in_dialog("ACK", invite, sequence=60 + number)
            await until(lambda: media.of("modify")[-1]["send"] is send)
        kinds = [row["kind"] for row in house.stores.journal.everything()]
        assert "leg.held" in kinds and "leg.retrieved" in kinds
        await house.stop()
    pri.run(scenario())


def test_a_telephone_that_is_silent_and_alive_is_asked_and_kept(site, monkeypatch):
    monkeypatch.setattr("firmware.links.sip_probe.PROBE_AGAIN_MS", 100)

    async def scenario():
        house, media, far, call, phone, invite = await talking(site)
        assert media.of("modify")[-1]["timeout_ms"] == 5000
        leg = media.of("modify")[-1]["id"]
        media.event("rtp_timeout", leg, silent_ms=5000)
        for status in ("200 OK", "405 Method Not Allowed"):
            phone.answer(await phone.receive("OPTIONS"), status, contact=False)
        media.event("rtp_started", leg, **{"from": ["127.0.0.1", 40000]})
        await asyncio.sleep(0.3)
        assert house.adapters[-1].deadline_ms() is None and house.state()["calls"][0]["state"] == "talking"
        await house.stop()
    pri.run(scenario())


@pytest.mark.parametrize("silence", ["no answer", "no such dialog", "no answer, and a kill"])
def test_a_telephone_that_died_gives_its_caller_back_to_the_queue(site, monkeypatch, silence):
    monkeypatch.setattr("firmware.proto.sip.session.PROBE_MS", 300)
    monkeypatch.setattr("firmware.links.sip_legs.SIPLegs._dead_ms", lambda legs, state: 5000)      # as long as it was silent already

    async def scenario():
        house, media, far, call, phone, invite = await talking(site)
        media.event("rtp_timeout", media.of("modify")[-1]["id"], silent_ms=5000)
        asked = await phone.receive("OPTIONS")
        if silence == "no such dialog":
            phone.answer(asked, "481 Call/Transaction Does Not Exist", contact=False)
        elif silence == "no answer, and a kill":
            port = phone.server[1]
            house.adapters[-1].link.close()
            pri.kill(house)
            house, media, _ = await standing(site, media, port)
            await phone.receive("OPTIONS")
        await phone.receive("BYE")
        await until(lambda: house.state()["calls"][0]["state"] == "queued")
        far.request("disconnect_request", call, cause=16)
        await until(lambda: (far.exchange(), house.stores.cdrs.page(1))[1])
        cdr = house.stores.cdrs.page(1)[0]
        assert (cdr["result"], cdr["released_by"], cdr["cause"]) == ("answered", "caller", 16)
        await house.stop()
    pri.run(scenario())


def test_another_telephone_of_the_agent_s_line_takes_what_rings(site):
    """By INVITE with Replaces: the queue's offer is answered there, and the agent has the call."""
    async def scenario():
        house, media, far, call, phone, invite = await ringing(site)
        phone.answer(invite, "180 Ringing")
        await until(lambda: house.state()["agents"][0]["state"] == "offered")
        name, tag = (re.search(pattern, invite, re.M).group(1) for pattern in (r"^Call-ID: (.*)\r$", r"^From: .*;tag=(\S+)\r$"))
        other, uri = Phone(phone.server, "1001", "secret1001"), "sip:1001@127.0.0.1"
        extra, body = "Replaces: %s;to-tag=%s;from-tag=p1001\r\nContent-Type: application/sdp\r\n" % (name, tag), SDP % (40002, "")
        other.request("INVITE", uri, extra, body, call="take")
        other.request("INVITE", uri, extra + other.authorization(await other.receive("SIP/2.0 401"), "INVITE", uri), body, call="take")
        taken = await other.receive("SIP/2.0 200")
        assert "completed elsewhere" in await phone.receive("CANCEL") and "m=audio" in taken
        await until(lambda: media.standing["bridges"])
        row = house.state()["calls"][0]
        assert (row["state"], row["agent"], house.state()["agents"][0]["state"]) == ("talking", "1001", "talking") and len(row["legs"]) == 2
        assert any(entry.get("remote") == ["127.0.0.1", 40002] for entry in media.of("modify"))
        await house.stop()
    pri.run(scenario())


def test_an_answer_without_a_codec_of_ours_goes_back_to_the_queue(site):
    async def scenario():
        house, media, far, call, phone, invite = await ringing(site)
        body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 99\r\na=rtpmap:99 opus/48000/2\r\n"
        phone.answer(invite, "200 OK", body)
        bye = await phone.receive("BYE")
        phone.answer(bye, "200 OK", contact=False)
        await until(lambda: house.state()["calls"][0]["state"] == "queued")
        await house.stop()
    pri.run(scenario())


def test_garbage_on_the_sip_socket(site):
    async def scenario():
        house, media, address = await standing(site)
        phone = Phone(address, "1001", "secret1001")
        for octets in (b"", b"\x00" * 100, b"INVITE\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n", b"\xff" * 2000):
            phone.sock.sendto(octets, address)
        await phone.register()
        assert house.turns.exceptions == 0
        await house.stop()
    pri.run(scenario())


async def dial(phone, number, body):
    """An INVITE of the telephone, as one that has been asked for its password.  Returns the final response."""
    async def receive(start):
        while True:                                 # earlier calls repeat their responses, we send no ACK
            text = await phone.receive(start)
            if "Call-ID: %s-" % call in text:
                return text

    uri, to = "sip:%s@127.0.0.1" % number, "<sip:%s@127.0.0.1>" % number
    call, kind = "dial%d" % phone.number, "Content-Type: application/sdp\r\n"
    phone.request("INVITE", uri, kind, body, call=call, to=to)
    challenge = await receive("SIP/2.0 40")
    line = [line for line in challenge.split("\r\n") if "-Authenticate" in line and "MD5" in line][0]
    phone.request("INVITE", uri, kind + phone.authorization(line + "\r\n", "INVITE", uri), body, call=call, to=to)
    answer = await receive("SIP/2.0 ")
    while answer.startswith("SIP/2.0 1") or "-Authenticate" in answer:
        answer = await receive("SIP/2.0 ")
    return answer


async def with_telephone(site, media=None):
    house, media, address = await standing(site, media)
    phone = Phone(address, "1001", "secret1001")
    await phone.register()
    return house, media, phone


def test_an_offer_that_nothing_can_be_sent_to_is_refused_before_anything_rings(site):
    async def scenario():
        house, media, phone = await with_telephone(site)
        for body in [SDP.replace("c=IN IP4 127.0.0.1", "c=IN " + to) % (40000, "") for to in (
                "IP4 999.1.1.1", "IP4 224.2.1.1/127", "IP4 255.255.255.255", "IP4 127.255.255.255", "IP4 phone.example", "IP6 2001:db8::1", "IP6 ff02::1")] + [
                    SDP.replace("RTP/AVP 8", "RTP/AVP 97").replace("rtpmap:8", "rtpmap:97") % (40000, "")]:
            assert (await dial(phone, "02150801000", body)).startswith("SIP/2.0 488"), body
        assert house.state()["calls"] == [] and media.of("add") == [] and house.turns.exceptions == 0
        answer = await dial(phone, "02150801000", SDP.replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0") % (40000, ""))
        assert answer.startswith("SIP/2.0 200"), "the old hold"
        assert [row["remote"] for row in media.of("add") if "remote" in row] == [None]
        await house.stop()
    pri.run(scenario())


def test_a_new_realm_holds_at_once(site):
    async def scenario():
        house, media, address = await standing(site)
        phone = Phone(address, "1001", "secret1001")
        await phone.register()
        wanted = copy.deepcopy(house.config.running())
        wanted["sip"]["realm"] = "other.example"
        await house.apply_configuration(wanted, wanted["revision"])
        phone.request("REGISTER", "sip:127.0.0.1", "Expires: 300\r\n")
        assert 'realm="other.example"' in await phone.receive("SIP/2.0 401")
        await phone.register()
        await house.stop()
    pri.run(scenario())


def test_a_refusal_of_media_ends_the_call(site):
    async def scenario():
        house, media, phone = await with_telephone(site)
        really = media.call

        async def call(do, **parameters):
            if do == "modify" or do == "add" and "remote" in parameters:
                raise LocalError("%s: no" % do)
            return await really(do, **parameters)
        media.call = call
        answer = await dial(phone, "02150801000", SDP % (40000, ""))
        assert answer.startswith("SIP/2.0 488"), answer
        assert not [row for row in house.stores.journal.everything() if row["kind"] == "leg.offered"], "refused before anybody heard of it"
        await until(lambda: not house.state()["calls"] and not media.standing["terminations"])
        assert house.turns.exceptions == 0 and house.stores.machines.names("sip-leg/") == []
        await house.stop()
    pri.run(scenario())


def test_a_busy_lamp_follows_a_call_and_a_kill(site):
    """1002 watches 1001 (RFC 4235) through the whole control process."""
    async def main():
        house, media, address = await standing(site)
        watcher, phone = Phone(address, "1002", "secret1002"), Phone(address, "1001", "secret1001")
        await phone.register()
        uri, extra = "sip:1001@127.0.0.1", "Event: dialog\r\nExpires: 600\r\n"
        watcher.request("SUBSCRIBE", uri, extra, call="lamp")
        challenge = await watcher.receive("SIP/2.0 401")
        watcher.request("SUBSCRIBE", uri, extra + watcher.authorization(challenge, "SUBSCRIBE", uri), call="lamp")

        async def lamp():
            notify = await watcher.receive("NOTIFY")
            watcher.answer(notify, "200 OK", contact=False)
            return re.findall(r"<state>(\w+)</state>", notify)
        assert await lamp() == []
        body = SDP % (phone.port, "")
        phone.request("INVITE", "sip:1003@127.0.0.1", "Content-Type: application/sdp\r\n", body, call="talk")
        challenge = await phone.receive("SIP/2.0 401")
        phone.request("INVITE", "sip:02150801000@127.0.0.1", "Content-Type: application/sdp\r\n" + phone.authorization(
            challenge, "INVITE", "sip:02150801000@127.0.0.1"), body, call="talk")
        await phone.receive("SIP/2.0 200")
        seen = []
        while seen[-1:] != [["confirmed"]]:
            seen.append(await lamp())
        house.adapters[-1].link.close()
        pri.kill(house)
        house, media, _ = await standing(site, media, address[1])
        assert await lamp() == ["confirmed"]
        await house.stop()
    asyncio.run(main())


def test_presence_follows_the_agent_and_a_kill(site):
    """1002 watches agent 1001 (RFC 3856) through the whole control process: the telephone, the status, the break's reason."""
    async def main():
        house, media, address = await standing(site)
        watcher, phone = Phone(address, "1002", "secret1002"), Phone(address, "1001", "secret1001")
        uri, extra = "sip:1001@127.0.0.1", "Event: presence\r\nExpires: 600\r\n"
        watcher.request("SUBSCRIBE", uri, extra, call="presence")
        challenge = await watcher.receive("SIP/2.0 401", 30)
        watcher.request("SUBSCRIBE", uri, extra + watcher.authorization(challenge, "SUBSCRIBE", uri), call="presence")

        async def until_seen(*wanted):
            """(basic, activities, note) as told last."""
            while True:
                notify = await watcher.receive("NOTIFY", 30)
                watcher.answer(notify, "200 OK", contact=False)
                if (re.findall(r"<basic>(\w+)<", notify), re.findall(r"<rpid:([a-z-]+)/>", notify), re.findall(r"<note>(.*?)<", notify)) == wanted:
                    return
        await until_seen(["closed"], [], ["available"])         # its telephone is not there
        await phone.register()
        await until_seen(["open"], [], ["available"])
        await commands.set_agent_status(house, "1001", "on_break", "lunch")
        await until_seen(["open"], ["away"], ["on break: lunch"])
        house.adapters[-1].link.close()
        pri.kill(house)
        house, media, _ = await standing(site, media, address[1])
        await commands.set_agent_status(house, "1001", "logged_out")
        await until_seen(["closed"], [], ["logged out"])
        await house.stop()
    asyncio.run(main())
