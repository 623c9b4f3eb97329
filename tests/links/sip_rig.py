"""A small switch around SIPEndpoint for tests with real telephones: link, events, records, capture."""

import asyncio
import hashlib
import itertools
import os
import random
import socket
import struct
import subprocess
import time

from firmware.links.sip_udp import SIPUDPLink
from firmware.proto import sdp
from firmware.proto.sip.endpoint import SIPEndpoint

HASHES = {"MD5": lambda octets: hashlib.md5(octets).digest(), "SHA-256": lambda octets: hashlib.sha256(octets).digest()}


def now_ms():
    return time.time_ns() // 1000000


def bound_socket(address, port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock


class Rig:
    """A switch that rings and answers every call, or does what a test's handler says."""

    def __init__(self, sock=None, records=None, port=None, first_leg=0, **config):
        sock = sock or bound_socket("127.0.0.1", port or 0)         # ours from here on
        self.port = sock.getsockname()[1]
        self.events = []
        self.arrived = asyncio.Event()
        self.handler = self.answer_all
        self.records = {} if records is None else records
        self.packets = []
        numbers = itertools.count(first_leg + 1)
        settings = {"address": "127.0.0.1", "port": self.port, "realm": "strowger",
                    "lines": {"1001": "secret-1", "1002": "secret-2"}}
        settings.update(config)

        def new_leg():
            return "in%d" % next(numbers)
        restored = dict(self.records)
        self.endpoint = SIPEndpoint.restore(restored, settings, os.urandom, HASHES, new_leg, now_ms())
        self._tap()
        self.link = SIPUDPLink(self.endpoint, sock, now_ms, self.on_events)

    def _tap(self):
        receive, take_output = self.endpoint.receive, self.endpoint.take_output
        own = ("127.0.0.1", self.port)

        def tapped_receive(octets, source, now, *more):
            self.packets.append((time.time(), source, own, octets))
            return receive(octets, source, now, *more)

        def tapped_output():
            output = take_output()
            for octets, destination in output:
                self.packets.append((time.time(), own, destination, octets))
            return output
        self.endpoint.receive = tapped_receive
        self.endpoint.take_output = tapped_output

    def start(self):
        self.link.start()
        self.link.settle(self.endpoint.resume(now_ms()))

    def on_events(self, events):
        for key, record in self.endpoint.take_changes().items():
            if record is None:
                self.records.pop(key, None)
            else:
                self.records[key] = record
        self.events.extend(events)
        self.arrived.set()
        for event in events:
            for primitive in self.handler(event) or ():
                self.link.request(primitive)

    def answer_all(self, event):
        if event["kind"] == "invite_indication":
            leg = event["leg"]
            body = sdp.answer(event["sdp"], {"address": "127.0.0.1", "port": 15300, "session": 1, "version": 1})[0]
            return [{"kind": "alerting_request", "leg": leg}, {"kind": "answer_request", "leg": leg, "sdp": body}]
        if event["kind"] == "reinvite":
            body = sdp.answer(event["sdp"], {"address": "127.0.0.1", "port": 15300, "session": 1, "version": 2})[0]
            return [{"kind": "reinvite_response", "leg": event["leg"], "sdp": body}]
        return ()

    def offer(self, version=1, **more):
        local = {"address": "127.0.0.1", "port": 15300, "session": 1, "version": version}
        local.update(more)
        return sdp.offer(local)

    def count(self, kind):
        return sum(1 for event in self.events if event["kind"] == kind)

    async def until(self, test, timeout_s=10.0):
        """Wait for a condition on the events."""
        end = time.monotonic() + timeout_s
        while not test():
            left = end - time.monotonic()
            assert left > 0, (self.events[-5:], self.endpoint.counters, self.endpoint.live_legs())
            self.arrived.clear()
            try:
                await asyncio.wait_for(self.arrived.wait(), min(left, 0.1))
            except asyncio.TimeoutError:
                pass

    async def until_kind(self, kind, count=1, timeout_s=10.0):
        await self.until(lambda: self.count(kind) >= count, timeout_s)
        return [event for event in self.events if event["kind"] == kind][count - 1]

    def close(self):
        self.link.close()

    def check_capture(self, path):
        """Let tshark decode all that we sent; returns the number of packets."""
        return check_packets(self.packets, self.port, path)


class LossyRelay:
    """Passes datagrams between a client and the switch and loses some, seeded."""

    def __init__(self, switch_port, loss, seed):
        self.random = random.Random(seed)
        self.loss = loss
        self.client = None
        self.lost = 0
        self.switch_port = switch_port
        self.outer = bound_socket("127.0.0.1", 0)
        self.port = self.outer.getsockname()[1]
        self.inner = bound_socket("127.0.0.1", 0)
        for sock in (self.outer, self.inner):
            sock.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(self.outer, self._from_client)
        loop.add_reader(self.inner, self._from_switch)

    def _pass(self, sock, octets, destination):
        if self.random.random() < self.loss:
            self.lost += 1
        else:
            sock.sendto(octets, destination)

    def _from_client(self):
        octets, self.client = self.outer.recvfrom(65536)
        self._pass(self.inner, octets, ("127.0.0.1", self.switch_port))

    def _from_switch(self):
        octets, _ = self.inner.recvfrom(65536)
        if self.client:
            self._pass(self.outer, octets, self.client)

    def close(self):
        loop = asyncio.get_running_loop()
        for sock in (self.outer, self.inner):
            loop.remove_reader(sock)
            sock.close()


def write_pcap(packets, path):
    """Datagrams as a capture of raw IPv4 packets (link type 101)."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for when, source, destination, octets in packets:
            udp = struct.pack(">HHHH", source[1], destination[1], 8 + len(octets), 0) + octets
            head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(source[0]),
                               socket.inet_aton(destination[0]))
            total = sum(struct.unpack(">10H", head))
            total = (total & 0xFFFF) + (total >> 16)
            head = head[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + head[12:]
            file.write(struct.pack("<IIII", int(when), int(when % 1 * 1000000), len(head + udp), len(head + udp)))
            file.write(head + udp)


def check_packets(packets, port, path):
    """tshark decodes each packet as SIP, and finds no error or warning in what we sent."""
    write_pcap(packets, path)
    out = subprocess.run(
        ["tshark", "-r", str(path), "-d", "udp.port==%d,sip" % port, "-T", "fields", "-e", "udp.srcport", "-e",
         "frame.protocols", "-e", "_ws.expert.severity", "-e", "_ws.expert.message", "-e", "_ws.malformed"],
        capture_output=True, text=True, timeout=60, check=True).stdout
    rows = [line.split("\t") for line in out.splitlines()]
    assert len(rows) == len(packets)
    for row in rows:
        if row[0] != str(port):
            continue
        assert "sip" in row[1].split(":"), row
        severities = [int(item, 0) for item in row[2].split(",") if item]
        # 0x00600000 is a warning, 0x00800000 an error; below are notes and chat
        assert not [severity for severity in severities if severity >= 0x00600000] and not row[4], row
    return len(rows)
