"""The program that gathers RTP ports in few sockets: what it gives to a unit's socket, and what to the leg's own."""

import ctypes
import socket
import struct
import threading
import time

import pytest

from firmware.media import _engine, steering
from firmware.media.kernels import Kernels

UNITS = 2


class Tables:
    """In place of the engine: keeps what it is given."""

    def gather(self, fds, table, clock):
        self.fds, self.table, self.clock = fds, table, ctypes.c_uint32.from_address(clock)

    def entry(self, port, host, unit):
        ctypes.memmove(self.table + port * steering.ENTRY.size, socket.inet_aton(host) + struct.pack("<III", unit, 0, 0), steering.ENTRY.size)


@pytest.fixture
def steered():
    tables = Tables()
    try:
        made = steering.Steering(tables, UNITS)
    except OSError as error:
        pytest.skip(f"the kernel grants no program at the lookup of sockets ({error}); then legs are read from their own")
    made.tables = tables
    yield made
    made.close()


@pytest.fixture
def leg():
    with bound("127.0.0.1") as sock:
        yield sock


def bound(host, port=0):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    sock.setblocking(False)
    return sock


def taken(sock):
    """All that waits: [(octets, port that it was sent to, address it came from)]; loopback delivers before sendto() returns."""
    found = []
    while True:
        try:
            octets, control, _, source = sock.recvmsg(2048, 256)
        except BlockingIOError:
            return found
        ports = [struct.unpack("!H", data[2:4])[0] for level, kind, data in control if (level, kind) == (socket.IPPROTO_IP, steering.IP_RECVORIGDSTADDR)]
        found.append((octets, ports[0] if ports else None, source))


def test_a_packet_goes_to_the_socket_of_the_unit_and_tells_where_it_was_sent(steered, leg):
    port = leg.getsockname()[1]
    with bound("127.0.0.5") as far:
        far.sendto(b"before", ("127.0.0.1", port))
        steered.tables.entry(port, "127.0.0.1", 1)
        far.sendto(b"now", ("127.0.0.1", port))
        units = steered.sockets
        assert taken(units[1]) == [(b"now", port, far.getsockname())] and taken(units[0]) == []
        assert [octets for octets, _, _ in taken(leg)] == [b"before"]
        steered.tables.entry(port, "0.0.0.0", 0)
        far.sendto(b"after", ("127.0.0.1", port))
        assert [octets for octets, _, _ in taken(leg)] == [b"after"]


def test_too_much_for_one_port_is_left_to_its_own_socket_until_the_next_tick(steered, leg):
    port, most = leg.getsockname()[1], steering.MOST
    with bound("127.0.0.1") as neighbour, bound("127.0.0.5") as far:
        beside = neighbour.getsockname()[1]
        for number in (port, beside):
            steered.tables.entry(number, "127.0.0.1", 0)
        for tick in (1, 2):
            steered.tables.clock.value = tick
            for n in range(most + 3):
                far.sendto(b"%d" % n, ("127.0.0.1", port))
            far.sendto(b"beside", ("127.0.0.1", beside))
            assert [octets for octets, _, _ in taken(steered.sockets[0])] == [b"%d" % n for n in range(most)] + [b"beside"]
            assert [octets for octets, _, _ in taken(leg)] == [b"%d" % n for n in range(most, most + 3)]


def test_the_same_port_of_another_address_keeps_its_socket(steered, leg):
    port = leg.getsockname()[1]
    steered.tables.entry(port, "127.0.0.1", 0)
    with bound("127.0.0.2", port) as other, bound("127.0.0.5") as far:
        far.sendto(b"other", ("127.0.0.2", port))
        assert [octets for octets, _, _ in taken(other)] == [b"other"] and taken(steered.sockets[0]) == []


def test_what_icmp_says_of_a_leg_comes_to_the_socket_of_its_unit_with_the_packet(steered, leg):
    port = leg.getsockname()[1]
    steered.tables.entry(port, "127.0.0.1", 0)
    with bound("127.0.0.9") as nobody:
        closed = nobody.getsockname()
    leg.sendto(b"refused packet", closed)
    octets, control, _, to = steered.sockets[0].recvmsg(64, 256, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    assert to == closed and octets == b"refused packet"
    assert any(kind == steering.IP_RECVERR for _, kind, _ in control)


def test_nothing_is_steered_any_more_after_the_end(steered, leg):
    port = leg.getsockname()[1]
    steered.tables.entry(port, "127.0.0.1", 0)
    steered.close()
    with bound("127.0.0.5") as far:
        far.sendto(b"own", ("127.0.0.1", port))
    assert [octets for octets, _, _ in taken(leg)] == [b"own"]


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def test_what_came_for_a_leg_that_is_gone_is_not_heard_by_the_next_one_of_its_port(leg):
    """A unit without legs is not read: what waits in its socket then is nobody's."""
    def packet(number):
        return struct.pack("!BBHII", 0x80, 8, number, 160 * number, 7) + bytes(160)
    engine, unit = _engine.Engine(Kernels()), steering.unit_socket()
    address, table, clock = unit.getsockname(), (ctypes.c_uint32 * 4 * steering.PORTS)(), ctypes.c_uint32()
    engine.gather([unit.fileno()], ctypes.addressof(table), ctypes.addressof(clock))
    rtp = _engine.RtpLeg(leg.fileno(), -1, 8, 0, 0, 1, (int.from_bytes(socket.inet_aton(address[0]), "big"), address[1]))
    ticking = threading.Thread(target=engine.run, daemon=True)
    with unit, bound("127.0.0.5") as old, bound("127.0.0.6") as far:
        for number in range(40):
            old.sendto(packet(number), address)
        ticking.start()
        engine.add_rtp(0, 1, rtp)
        number = engine.commit()
        until(lambda: engine.done() >= number)
        before = engine.figures()["ticks"]
        until(lambda: engine.figures()["ticks"] > before + 2)
        assert rtp.stats()["received"] == 0
        far.sendto(packet(1), address)
        until(lambda: rtp.stats()["received"] == 1)
        assert rtp.stats()["source"] == list(far.getsockname()) and rtp.stats()["strangers"] == rtp.stats()["garbage"] == 0
        engine.subtract(0)
        number = engine.commit()
        until(lambda: engine.done() >= number)
        assert table[address[1]][0] == 0
        engine.stop()
        ticking.join(10)


def test_without_the_right_there_is_no_steering_and_a_sentence(monkeypatch, caplog):
    def refused(command, *fields):
        raise PermissionError(1, "Operation not permitted")
    monkeypatch.setattr(steering, "bpf", refused)
    tables = Tables()
    assert steering.start(tables, UNITS) is None and not hasattr(tables, "fds")
    assert "give CAP_NET_ADMIN and CAP_BPF" in caplog.text
    monkeypatch.setenv("STROWGER_RTP_STEERING", "0")
    caplog.clear()
    assert steering.start(tables, UNITS) is None and not caplog.text
