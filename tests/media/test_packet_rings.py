"""RTP that the kernel writes into a ring of the tick: what comes by it, what goes into the socket as before, and when there is none."""

import contextlib
import ctypes
import random
import socket
import struct
import threading
import time

import pytest

from firmware.media import _engine, packet_rings, steering
from firmware.media.kernels import Kernels

HELD = packet_rings.RING // (packet_rings.PACKET + 8)       # packets that a ring holds: each has a head of 8 octets
OCTETS = packet_rings.OCTETS


def rtp(number, octets=160):
    return struct.pack("!BBHII", 0x80, 8, number & 0xFFFF, 160 * number & 0xFFFFFFFF, 7) + bytes(octets)


def bound(host):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    return sock


class House:
    """An engine with one unit, its socket, and far: who sends."""

    def __init__(self):
        self.engine, self.unit, self.far = _engine.Engine(Kernels()), steering.unit_socket(), bound("127.0.0.5")
        self.address = self.unit.getsockname()
        self._table, self._clock = (ctypes.c_uint32 * 4 * steering.PORTS)(), ctypes.c_uint32()
        self.engine.gather([self.unit.fileno()], ctypes.addressof(self._table), ctypes.addressof(self._clock))
        self._own = bound("127.0.0.1")
        self._thread = None

    def leg(self):
        """The stats of a leg whose packets come to the unit's socket, as a function; the tick runs from now on."""
        leg = _engine.RtpLeg(self._own.fileno(), -1, 8, 0, 0, 1, (int.from_bytes(socket.inet_aton(self.address[0]), "big"), self.address[1]))
        self._thread = threading.Thread(target=self.engine.run, daemon=True)
        self._thread.start()
        self.engine.add_rtp(0, 1, leg)
        number = self.engine.commit()
        until(lambda: self.engine.done() >= number)
        return leg.stats

    def waiting(self):
        """How many packets lie in the unit's socket."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while self.unit.recv(2048, socket.MSG_DONTWAIT) is not None:
                count += 1
        return count

    def close(self):
        if self._thread is not None:
            self.engine.stop()
            self._thread.join(10)
        for sock in (self.unit, self.far, self._own):
            sock.close()


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


@pytest.fixture
def house():
    made = House()
    yield made
    made.close()


@pytest.fixture
def ringed(house):
    if not packet_rings.attach(house.engine, [house.unit]):
        pytest.skip("the kernel grants no ring of packets; then sockets are read")
    return house


def test_packets_come_by_the_ring_and_large_ones_by_the_socket(ringed):
    stats = ringed.leg()
    sizes = [160, OCTETS - 12, OCTETS - 11, 160, 1200, 0]
    for number, octets in enumerate(sizes):
        ringed.far.sendto(rtp(number, octets), ringed.address)
        until(lambda: stats()["received"] == number + 1)
    figures = ringed.engine.figures()
    assert (figures["gathered_packets"], figures["ringed_packets"]) == (len(sizes), 4)
    assert stats()["source"] == list(ringed.far.getsockname()) and stats()["garbage"] == stats()["strangers"] == stats()["lost"] == 0


def test_what_a_full_ring_does_not_hold_waits_in_the_socket(ringed):
    for number in range(HELD + 5):
        ringed.far.sendto(rtp(number), ringed.address)
    assert ringed.waiting() in (5, 6)       # a ring is never quite full


def test_a_ring_comes_round_and_loses_nothing(ringed):
    stats = ringed.leg()
    for number in range(5 * HELD):
        ringed.far.sendto(rtp(number), ringed.address)
        if number % 20 == 19:
            until(lambda: stats()["received"] == number + 1)
    assert ringed.engine.figures()["ringed_packets"] == 5 * HELD and stats()["lost"] == stats()["duplicates"] == 0


def test_garbage_of_any_length_is_counted_and_harms_nothing(ringed):
    stats, chance = ringed.leg(), random.Random(3)
    for number in range(400):
        ringed.far.sendto(chance.randbytes(chance.randrange(1, 1400)), ringed.address)
        if number % 20 == 19:
            until(lambda: ringed.engine.figures()["gathered_packets"] == number + 1)
    ringed.far.sendto(b"", ringed.address)      # a datagram without octets goes by the socket
    before = stats()["received"]
    for number in range(1000, 1003):
        ringed.far.sendto(rtp(number), ringed.address)
    until(lambda: stats()["received"] >= before + 2)
    assert stats()["garbage"] > 300


def test_what_came_before_the_first_leg_is_nobodys(ringed):
    for number in range(40):
        ringed.far.sendto(rtp(number), ringed.address)
    stats = ringed.leg()
    before = ringed.engine.figures()["ticks"]
    until(lambda: ringed.engine.figures()["ticks"] > before + 2)
    assert stats()["received"] == 0
    ringed.far.sendto(rtp(1), ringed.address)
    until(lambda: stats()["received"] == 1)


def test_without_the_right_sockets_are_read_and_a_sentence_says_so(house, monkeypatch, caplog):
    def refused(command, *fields):
        raise PermissionError(1, "Operation not permitted")
    monkeypatch.setattr(packet_rings, "bpf", refused)
    assert not packet_rings.attach(house.engine, [house.unit]) and "give CAP_BPF" in caplog.text
    caplog.clear()
    monkeypatch.setenv("STROWGER_RTP_RINGS", "0")
    assert not packet_rings.attach(house.engine, [house.unit]) and not caplog.text
    stats = house.leg()
    house.far.sendto(rtp(1), house.address)
    until(lambda: stats()["received"] == 1)
    assert house.engine.figures()["ringed_packets"] == 0
