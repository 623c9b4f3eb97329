"""RTCP of an RTP leg: what we report (read by tshark too), what we make of reports, sound that is missing, R and MOS."""

import os
import shutil
import socket
import struct
import subprocess
import time

import pytest

from firmware.media import _engine

SSRC = 0x1234


class Peer:
    """RTP and RTCP sockets beside each other, 20 ms packets sent by hand."""

    def __init__(self, port=None):
        while True:
            self.rtp, self.rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
            try:
                self.rtp.bind(("127.0.0.1", 0))
                self.rtcp.bind(("127.0.0.1", self.rtp.getsockname()[1] + 1))
                break
            except OSError:
                self.close()
        self.address = list(self.rtp.getsockname())
        self.port, self.seq, self.ts, self.ours = port, 100, 5000, None
        self.got = []

    def close(self):
        self.rtp.close()
        self.rtcp.close()

    def talk(self, count, drop=()):
        """count packets at their pace."""
        due = time.monotonic()
        for n in range(count):
            if n not in drop:
                self.rtp.sendto(struct.pack("!BBHII", 0x80, 8, self.seq & 0xFFFF, self.ts, SSRC) + bytes(160), ("127.0.0.1", self.port))
            self.seq, self.ts = self.seq + 1, self.ts + 160
            due += 0.02
            time.sleep(max(0, due - time.monotonic()))

    def read(self, timeout_s=8.0):
        """The next compound packet of ours: {packet type: octets}."""
        self.rtcp.settimeout(timeout_s)
        octets = self.rtcp.recv(2048)
        self.got.append(octets)
        found, at = {}, 0
        while at < len(octets):
            length = 4 + 4 * struct.unpack("!H", octets[at + 2:at + 4])[0]
            found[octets[at + 1]] = octets[at:at + length]
            at += length
        assert at == len(octets)
        self.ours = struct.unpack("!I", octets[4:8])[0]
        return found

    def report(self, highest, lost=0, jitter=0, lsr=0, dlsr=0, packets=0, kind=200, about=True):
        """A sender report with one block about us."""
        body = struct.pack("!IIIIII", SSRC, 0x80000000, 0x12345678, self.ts, packets, packets * 160) if kind == 200 else struct.pack("!I", SSRC)
        if about:
            body += struct.pack("!IIIIII", self.ours, lost & 0xFFFFFF, highest, jitter, lsr, dlsr)
        self.rtcp.sendto(struct.pack("!BBH", 0x80 | bool(about), kind, len(body) // 4) + body, ("127.0.0.1", self.port + 1))


@pytest.fixture
def peer(control):
    one = Peer(control.do("add", id="r", kind="rtp", address="127.0.0.1")["port"])
    control.do("modify", id="r", remote=one.address, payload_type=8)
    yield one
    one.close()


def row(control):
    return next(row for row in control.audit()["terminations"] if row["id"] == "r")


def tshark(packets, port, folder):
    """What tshark makes of RTCP packets: rows of fields."""
    path = folder / "rtcp.pcap"
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for octets in packets:
            whole = struct.pack("!HHHH", port + 1, port + 1, 8 + len(octets), 0) + octets
            whole = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(whole), 0, 0, 64, 17, 0, bytes([127, 0, 0, 1]), bytes([127, 0, 0, 1])) + whole
            file.write(struct.pack("<IIII", 1, 0, len(whole), len(whole)) + whole)
    fields = ["rtcp.pt", "rtcp.length_check", "rtcp.ssrc.cum_nr", "rtcp.xr.voipmetrics.rfactor", "rtcp.xr.voipmetrics.moslq", "rtcp.sdes.text"]
    found = subprocess.run(["tshark", "-r", path, "-d", f"udp.port=={port + 1},rtcp", "-T", "fields", "-E", "separator=;",
                            *(part for name in (*fields, "_ws.malformed", "_ws.expert.message") for part in ("-e", name))],
                           capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    return [dict(zip([*fields, "malformed", "expert"], line.split(";"))) for line in found.stdout.splitlines()]


def test_reports_tell_what_was_lost_and_how_long_the_way_is(control, peer, tmp_path):
    """One leg, one life: SR, RR, SDES, XR, round trip, quality, BYE."""
    peer.talk(150, drop={40, 80, 81, 120})
    first = peer.read()
    assert set(first) >= {200, 202}
    sent = struct.unpack("!I", first[200][20:24])[0]
    assert 20 <= sent and struct.unpack("!I", first[200][24:28])[0] == 160 * sent
    # A report of the far end, 100 ms on the way: it says that it kept ours for 0.25 s.
    lsr = struct.unpack("!I", first[200][10:14])[0]
    now = lambda: (int((time.time() + 2208988800) * 65536)) & 0xFFFFFFFF
    peer.report(highest=1000, lost=3, jitter=80, lsr=(now() - 16384 - 6554) & 0xFFFFFFFF, dlsr=16384, packets=150)
    peer.rtcp.sendto(b"\x80\xc8\x00\x06" + os.urandom(10), ("127.0.0.1", peer.port + 1))      # not whole: refused
    peer.rtcp.sendto(os.urandom(7), ("127.0.0.1", peer.port + 1))
    time.sleep(0.1)
    quality = row(control)["quality"]
    assert quality["in"]["lost"] == 4 and quality["in"]["packets"] == 150 and quality["in"]["bursts"] == 1
    assert quality["rtcp"]["received"] == 1 and quality["rtcp"]["bad"] == 2
    assert 95 <= quality["round_trip_ms"]["mean"] <= 140, quality["round_trip_ms"]
    assert quality["out"]["lost"] == 3 and quality["out"]["jitter_ms"] == 10
    assert 60 < quality["in"]["r"] < 90 and 3 < quality["in"]["mos"] < 4.4
    second = peer.read()
    block = second[200][28:52] if len(second[200]) > 28 else None
    assert block is not None and struct.unpack("!I", block[:4])[0] == SSRC
    assert struct.unpack("!I", block[4:8])[0] & 0xFFFFFF == 4 and struct.unpack("!I", block[16:20])[0] == 0x00001234
    assert 207 in second
    metrics = second[207][8:]
    assert metrics[0] == 7 and metrics[8] == round(256 * 4 / 150)
    control.do("subtract", id="r", call="c77")
    last = peer.read(2)
    assert struct.unpack("!I", last[203][4:8])[0] == peer.ours
    told = control.event("leg_quality", id="r")
    assert told["call"] == "c77" and told["quality"]["codec"] == "PCMA" and told["quality"]["in"]["lost"] == 4
    if shutil.which("tshark"):
        rows = tshark(peer.got, peer.port, tmp_path)
        assert len(rows) == len(peer.got) and not any(r["malformed"] or r["expert"] for r in rows), rows
        assert all(r["rtcp.length_check"] in ("1", "True") for r in rows), rows
        assert rows[-2]["rtcp.ssrc.cum_nr"] == "4" and len(rows[-2]["rtcp.sdes.text"]) >= 12
        assert 60 < int(rows[-2]["rtcp.xr.voipmetrics.rfactor"]) < 90, rows


def test_sound_that_is_missing_is_told_within_five_seconds_with_the_reason(control, peer):
    """Both directions at once, so that the time is spent once."""
    second = Peer(control.do("add", id="q", kind="rtp", address="127.0.0.1")["port"])
    control.do("modify", id="q", remote=second.address)
    control.do("watch", id="r", sound="both")
    control.do("watch", id="q", sound="both")
    began = time.monotonic()
    peer.talk(10)
    second.talk(10)
    second.rtp.close()                                   # its host refuses from now on
    refused = control.event("audio", id="q", timeout_s=4)
    assert (refused["direction"], refused["missing"], refused["reason"]) == ("out", True, "refused")
    assert time.monotonic() - began < 5
    silent = control.event("audio", id="r", timeout_s=6)
    assert (silent["direction"], silent["missing"], silent["reason"]) == ("in", True, "nothing")
    assert time.monotonic() - began < 6
    peer.talk(3)
    assert control.event("audio", id="r", timeout_s=2)["missing"] is False
    # Two reports in which nothing more of ours has come.
    peer.read()
    for _ in range(3):
        peer.report(highest=7)
        time.sleep(1.1)
    unheard = control.event("audio", id="r", timeout_s=2)
    assert (unheard["direction"], unheard["reason"]) == ("out", "unheard")
    second.close()


def test_a_stranger_reports_nothing(control, peer):
    """A report from another host is not read: it could say anything about us."""
    peer.talk(5)
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.bind(("127.0.0.2", 0))
    before = row(control)["stats"]
    stranger.sendto(struct.pack("!BBHI", 0x80, 201, 1, SSRC), ("127.0.0.1", peer.port + 1))
    time.sleep(0.1)
    after = row(control)["stats"]
    stranger.close()
    assert after["strangers"] == before["strangers"] + 1 and after["rtcp_received"] == 0


@pytest.mark.conformance("G.107", "7-27", "R and MOS for delay and loss with all defaults")
@pytest.mark.parametrize("share, ratio, delay_ms, r, mos", [
    (0, 1, 0, 93.2, 4.41),              # Annex B: R of the defaults, MOS of table B.1
    (0, 1, 100, 93.2, 4.41),            # 7-27: Idd is nothing up to 100 ms
    (0, 1, 200, 93.2 - 3.0, 4.34),      # 7-27 with X = 1: 25 (2^(1/6) - 3 (1 + 3^-6)^(1/6) + 2) = 3.0
    (0, 1, 400, 93.2 - 24.07, 3.56),     # X = 2
    (0.01, 1, 0, 93.2 - 95 / 26.1, 4.33),    # 7-29: Ie,eff = 95 Ppl / (Ppl + Bpl)
    (0.05, 2, 0, 93.2 - 475 / 27.6, 3.85),   # BurstR 2
])
def test_the_rating_is_that_of_g107(share, ratio, delay_ms, r, mos):
    found_r, found_mos = _engine.emodel(share, ratio, delay_ms)
    assert abs(found_r - r) < 0.15 and abs(found_mos - mos) < 0.03


def test_who_is_not_on_the_path_takes_no_audio_away(control):
    """An attacker at another host sprays before the telephone speaks; one at its host, with another SSRC, while it speaks.

    Our packets bear the voice class (DSCP 46)."""
    one = Peer(control.do("add", id="r", kind="rtp", address="127.0.0.1")["port"])
    # The telephone is behind NAT: what it signalled is not where it is.
    control.do("modify", id="r", remote=["192.0.2.9", 4000], source_host="127.0.0.1")
    one.rtp.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    attacker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    attacker.bind(("127.0.0.2", 0))

    def spray(seq, ssrc=0x666, sock=attacker):
        sock.sendto(struct.pack("!BBHII", 0x80, 8, seq, 160 * seq, ssrc) + bytes(160), ("127.0.0.1", one.port))
    for n in range(20):
        spray(n)
        time.sleep(0.01)
    assert row(control)["stats"]["source"] is None
    for n in range(20):
        one.talk(1)
        spray(20 + n)
        spray(7000 + n, sock=one.rtp)
    stats = row(control)["stats"]
    assert stats["source"] == one.address == stats["remote"] and stats["strangers"] >= 57, stats
    assert stats["received"] == 20 and stats["lost"] == 0
    one.rtp.settimeout(2)
    _, ancillary, _, _ = one.rtp.recvmsg(2048, 64)
    assert ancillary[0][2][0] == 46 << 2
    attacker.settimeout(0.05)
    with pytest.raises(TimeoutError):
        attacker.recv(2048)
    attacker.close()
    one.close()
