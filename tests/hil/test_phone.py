"""The baresip driver against a tiny SIP registrar and caller of the tests' own."""

import hashlib
import pathlib
import re
import shutil
import socket
import struct
import threading
import time

import numpy as np
import pytest

from hil import speech
from hil.phone.phone import Phone
from hil.probes import align, wav

pytestmark = pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is not installed")
REALM, NONCE = "rig", "f00d"


def md5(*parts):
    return hashlib.md5(":".join(parts).encode()).hexdigest()


class Switch:
    """Registrar with digest (RFC 2617 without qop), one outgoing call, RTP both ways. UDP, one thread."""

    def __init__(self, passwords):
        self.passwords = passwords
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.contacts, self.refused, self.answers, self.byes = {}, 0, {}, []
        self.changed = threading.Condition()
        self.running = True
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self.running = False
        self.socket.close()

    def _serve(self):
        while self.running:
            try:
                data, peer = self.socket.recvfrom(65536)
            except OSError:
                return
            text = data.decode("utf-8", "replace")
            first, _, rest = text.partition("\r\n")
            headers = {}
            for line in rest.partition("\r\n\r\n")[0].split("\r\n"):
                name, _, value = line.partition(":")
                headers.setdefault(name.strip().lower(), value.strip())
            with self.changed:
                if first.startswith("SIP/2.0"):
                    self.answers.setdefault(headers["cseq"], []).append((int(first.split()[1]), headers, text, peer))
                elif first.startswith("REGISTER"):
                    self._register(headers, peer)
                elif first.startswith("BYE"):
                    self._reply(headers, peer, "200 OK")
                    self.byes.append(headers["call-id"])
                elif first.startswith("OPTIONS"):
                    self._reply(headers, peer, "200 OK")
                self.changed.notify_all()

    def _reply(self, headers, peer, status, extra=""):
        to = headers["to"] if "tag=" in headers["to"] else headers["to"] + ";tag=sw"
        self.socket.sendto((f"SIP/2.0 {status}\r\nVia: {headers['via']}\r\nFrom: {headers['from']}\r\nTo: {to}\r\n"
                            f"Call-ID: {headers['call-id']}\r\nCSeq: {headers['cseq']}\r\n{extra}Content-Length: 0\r\n\r\n").encode(), peer)

    def _register(self, headers, peer):
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', headers.get("authorization", "")))
        user = given.get("username", "")
        wanted = md5(md5(user, REALM, self.passwords.get(user, "?")), given.get("nonce", ""), md5("REGISTER", given.get("uri", "")))
        if not given or given.get("nonce") != NONCE:
            self._reply(headers, peer, "401 Unauthorized", f'WWW-Authenticate: Digest realm="{REALM}", nonce="{NONCE}", algorithm=MD5\r\n')
        elif given.get("response") != wanted:
            self.refused += 1
            self._reply(headers, peer, "403 Forbidden")
        else:
            self.contacts[user] = re.search(r"<(sip:[^>]+)>", headers["contact"]).group(1), peer
            self._reply(headers, peer, "200 OK", f"Contact: {headers['contact']};expires=600\r\n")

    def request(self, method, user, number, body="", to_tag="", branch=None):
        uri, peer = self.contacts[user]
        kind = "Content-Type: application/sdp\r\n" if body else ""
        tag = f";tag={to_tag}" if to_tag else ""
        self.socket.sendto((f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{branch or method}{number}\r\n"
                            f"Max-Forwards: 70\r\nFrom: <sip:caller@127.0.0.1:{self.port}>;tag=c\r\nTo: <sip:{user}@127.0.0.1>{tag}\r\n"
                            f"Call-ID: {user}-call-{self.port}\r\nCSeq: {number} {method}\r\nContact: <sip:caller@127.0.0.1:{self.port}>\r\n"
                            f"{kind}Content-Length: {len(body)}\r\n\r\n{body}").encode(), peer)

    def wait(self, condition, timeout_s=5):
        with self.changed:
            assert self.changed.wait_for(condition, timeout_s), "the phone did not do it in time"

    def final(self, cseq, timeout_s=5):
        self.wait(lambda: any(a[0] >= 200 for a in self.answers.get(cseq, [])), timeout_s)
        return next(a for a in self.answers[cseq] if a[0] >= 200)


class Talk:
    """RTP of one call: sends A-law octets at 20 ms, keeps every packet that comes."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.packets = []
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        try:
            while data := self.socket.recv(2048):
                self.packets.append((time.monotonic(), *struct.unpack_from("!xBHI", data), data[12:]))
        except OSError:
            pass

    def send(self, octets, peer):
        due = time.monotonic()
        for index in range(0, len(octets) - 159, 160):
            n = index // 160
            self.socket.sendto(struct.pack("!BBHII", 0x80, 8, n & 0xFFFF, index, 77) + octets[index:index + 160], peer)
            due += 0.02
            time.sleep(max(0, due - time.monotonic()))

    def sdp(self):
        return ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                f"m=audio {self.port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n")


@pytest.fixture
def switch():
    switch = Switch({"1001": "secret", "1002": "other"})
    yield switch
    switch.close()


def test_call_without_a_lost_sample(switch, tmp_path):
    caller, agent = speech.choose(21, 2, 4, tmp_path)
    phone = Phone("1001", "secret", switch.port, agent, tmp_path / "heard.wav", "auto")
    with phone:
        assert phone.events("registered") and phone.state == "idle"
        talk = Talk()
        switch.request("INVITE", "1001", 1, talk.sdp())
        status, headers, text, peer = switch.final("1 INVITE")
        assert status == 200 and "PCMA" in text
        tag = re.search("tag=([^;]+)", headers["to"]).group(1)
        switch.request("ACK", "1001", 1, to_tag=tag, branch="ACK")
        phone.wait_for("answered", 5)
        assert phone.state == "talking"
        remote = ("127.0.0.1", int(re.search(r"m=audio (\d+)", text).group(1)))
        sent = wav.read_mono(caller)
        talk.send(wav.alaw_compress(sent).tobytes(), remote)
        time.sleep(1.0)
        switch.request("BYE", "1001", 2, to_tag=tag)
        assert switch.final("2 BYE")[0] == 200
        phone.wait_for("closed", 5)
        # What it heard: every sample, in order, nothing else.
        heard = wav.read_mono(tmp_path / "heard.wav")
        assert (heard == sent[:len(heard)]).all() and len(heard) == len(sent) // 160 * 160
        # What it said: no gap in the numbers, no sample left out, in real time.
        packets = talk.packets
        assert all(b[2] == (a[2] + 1) & 0xFFFF and b[3] - a[3] == 160 for a, b in zip(packets, packets[1:]))
        said = wav.alaw_expand(np.frombuffer(b"".join(p[4] for p in packets), np.uint8))
        match = align.compare(wav.read_mono(agent), said)
        assert match.slips == [] and match.correlation > 0.9999 and abs(match.level_db) < 0.01 and match.overlap == 32000
        gaps = np.diff([p[0] for p in packets])
        assert abs(np.mean(gaps) - 0.02) < 0.001 and np.max(gaps) < 0.3      # the machine may be busy
        assert (wav.read_mono(phone.recordings[0][1])[:32000 + match.lag][match.lag:] == wav.read_mono(agent)).all()
        pid = phone.pid
    assert not pathlib.Path(f"/proc/{pid}").exists()


def test_answer_and_hang_up_by_command(switch, tmp_path):
    with Phone("1002", "other", switch.port, None, tmp_path / "b.wav", "manual") as phone:
        talk = Talk()
        switch.request("INVITE", "1002", 1, talk.sdp())
        phone.wait_for("incoming", 5)
        switch.wait(lambda: any(a[0] == 180 for a in switch.answers.get("1 INVITE", [])))
        assert phone.state == "ringing" and not any(a[0] == 200 for a in switch.answers["1 INVITE"])
        phone.answer()
        status, headers, *_ = switch.final("1 INVITE")
        switch.request("ACK", "1002", 1, to_tag=re.search("tag=([^;]+)", headers["to"]).group(1), branch="ACK")
        phone.wait_for("answered", 5)
        time.sleep(0.3)
        phone.hangup()
        switch.wait(lambda: switch.byes)
    assert len(phone.recordings) == 0 or phone.recordings[0][0].exists()


def test_a_wrong_password_is_told(switch):
    phone = Phone("1001", "wrong", switch.port, wait_registered=False).start()
    try:
        phone.wait_for("register_failed", 5)
        assert switch.refused and not phone.events("registered")
        with pytest.raises(TimeoutError, match="answered"):
            phone.wait_for("answered", 0.1)
    finally:
        phone.stop()
