"""D channels: HDLC on a timeslot, Q.921 in media, primitives to control.

The far end is our own Q.921 (network side) on HDLC coded here bit by bit; libpri
proves the same in tests of the whole house.
"""

import socket
import time

import msgpack
import pytest

from firmware.proto.q921 import Q921Link

FLAG = [0, 1, 1, 1, 1, 1, 1, 0]


def fcs(octets):
    """Q.921 2.7, bit by bit."""
    crc = 0xFFFF
    for octet in octets:
        for bit in range(8):
            crc ^= octet >> bit & 1
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return (crc ^ 0xFFFF).to_bytes(2, "little")


class FarHDLC:
    """A naive HDLC coder: bits in the order of the line, 0x80 of an octet first."""

    def __init__(self):
        self.bits_out, self.bits_in, self.frames = [], [], []

    def send(self, octets):
        ones = 0
        self.bits_out += FLAG
        for octet in octets + fcs(octets):
            for bit in range(8):
                value = octet >> bit & 1
                self.bits_out.append(value)
                ones = ones + 1 if value else 0
                if ones == 5:
                    self.bits_out.append(0)
                    ones = 0
        self.bits_out += FLAG

    def block(self, size=80):
        while len(self.bits_out) < 8 * size:
            self.bits_out += FLAG
        bits, self.bits_out = self.bits_out[:8 * size], self.bits_out[8 * size:]
        return bytes(sum(bits[8 * n + k] << 7 - k for k in range(8)) for n in range(size))

    def receive(self, octets):
        for octet in octets:
            self.bits_in += [octet >> 7 - k & 1 for k in range(8)]
        frames = []
        text = "".join(map(str, self.bits_in))
        parts = text.split("01111110")
        for part in parts[:-1]:
            bits = part.replace("111110", "11111") if "1111111" not in part else ""
            if len(bits) >= 32 and len(bits) % 8 == 0:
                data = bytes(sum(int(bits[8 * n + k]) << k for k in range(8)) for n in range(len(bits) // 8))
                if fcs(data[:-2]) == data[-2:]:
                    frames.append(data[:-2])
        if len(parts) > 1:
            self.bits_in = [int(bit) for bit in parts[-1]]
        return frames


class Far:
    """The network side of a D channel on a timeslot of the fake board."""

    def __init__(self, board, span, timeslot):
        self.board, self.key = board, (span, timeslot)
        self.hdlc = FarHDLC()
        self.link = Q921Link("network")
        self.events = []
        board.listen(span, timeslot)
        self.taken = 0

    def run(self, seconds):
        """Exchange blocks with media for a time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self.board.lock:
                blocks = self.board.heard[self.key][self.taken:]
                self.taken += len(blocks)
                if len(self.board.send.get(self.key, b"")) < 240:
                    self.board._idle.pop(self.key, None)
                    self.board.send[self.key] = self.board.send.get(self.key, b"") + self.hdlc.block()
            now = int(time.monotonic() * 1000)
            for block in blocks:
                for frame in self.hdlc.receive(block):
                    self.events += self.link.receive(frame, now)
            deadline = self.link.deadline_ms()
            if deadline is not None and deadline <= now:
                self.events += self.link.expire(now)
            for frame in self.link.take_output():
                self.hdlc.send(frame)
            time.sleep(0.004)


class Signalling:
    """A blocking peer of media-signalling.sock."""

    def __init__(self, folder, epoch):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(str(folder / "media-signalling.sock"))
        self.sock.setblocking(False)
        self.messages = []
        self.send(do="hello", epoch=epoch)

    def send(self, **message):
        self.sock.send(msgpack.packb(message))

    def take(self):
        while True:
            try:
                self.messages.append(msgpack.unpackb(self.sock.recv(65536)))
            except BlockingIOError:
                return self.messages

    def kinds(self):
        return [m.get("kind", "error") for m in self.take()]


@pytest.fixture
def far(board, control):
    control.do("link_open", link=40, span=40, timeslot=16, kind="lapd", side="user", tei=0)
    control.do("link_open", link=40, span=40, timeslot=16, kind="lapd", side="user", tei=0)
    return Far(board, 40, 16)


def test_a_link_comes_up_and_carries_messages_both_ways(board, control, media, far):
    up = Signalling(media.folder, control.epoch)
    up.send(link=40, kind="dl_establish_request")
    far.run(1.0)
    assert ("dl_establish_indication",) in far.events
    assert up.kinds()[-2:] == ["dl_establish_confirm", "link_state"]
    far.events.clear()
    messages = [bytes([8, 1, n, 5]) + bytes(range(n)) for n in range(1, 20)]
    for octets in messages:
        up.send(link=40, kind="dl_data_request", octets=octets)
    now = int(time.monotonic() * 1000)
    for octets in messages:
        far.link.request("dl_data_request", now, octets)
    far.run(1.0)
    assert [e[1] for e in far.events if e[0] == "dl_data_indication"] == messages
    got = [m for m in up.take() if m["kind"] == "dl_data_indication"]
    assert [m["octets"] for m in got] == messages
    assert [m["n"] for m in up.messages] == list(range(up.messages[0]["n"], up.messages[0]["n"] + len(up.messages)))
    # Control dies; the link stays up, what is not acknowledged comes again, nothing else does.
    up.send(ack=got[4]["n"])
    far.events.clear()
    far.run(0.2)
    up.sock.close()
    far.run(0.5)
    again = Signalling(media.folder, control.epoch)
    far.run(0.2)
    assert again.take()[0]["n"] == got[4]["n"] + 1
    assert [m["octets"] for m in again.messages if m["kind"] == "dl_data_indication"] == messages[5:]
    assert far.link.established and far.events == []
    again.send(link=40, kind="dl_establish_request")          # no SABME on what is up
    far.run(0.3)
    assert far.events == [] and again.kinds()[-1] == "dl_establish_confirm"
    (row,) = control.audit()["links"]
    assert row["state"] == "up" and row["link"] == 40
    again.sock.close()


def test_a_control_that_does_not_acknowledge_makes_us_busy(board, control, media, far):
    up = Signalling(media.folder, control.epoch)
    up.send(ack=1 << 40)

    def ours():
        return [m for m in up.take() if m["kind"] == "dl_data_indication" and m["octets"][3:4] == b"\x07"]

    up.send(link=40, kind="dl_establish_request")
    far.run(0.6)
    now = int(time.monotonic() * 1000)
    messages = [bytes([8, 1, n, 7]) for n in range(120)]
    for octets in messages:
        far.link.request("dl_data_request", now, octets)
    far.run(2.0)
    got = ours()
    assert 64 <= len(got) <= 72 and far.link.established
    for _ in range(20):
        up.send(ack=up.take()[-1]["n"])
        far.run(0.3)
        got = ours()
        if len(got) == 120:
            break
    assert [m["octets"] for m in got] == messages and far.link.established
    up.send(link=99, kind="dl_data_request", octets=b"x")
    up.send(link=40, kind="dl_dance")
    up.send(link=40, kind="dl_data_request", octets=b"x" * 300)
    time.sleep(0.1)
    assert up.kinds()[-3:] == ["error"] * 3
    up.sock.close()


def test_a_reset_by_the_far_end_is_told_where_nothing_of_ours_is_lost(board, control, media, far):
    up = Signalling(media.folder, control.epoch)
    up.send(ack=1 << 40)
    up.send(link=40, kind="dl_establish_request")
    far.run(0.6)
    before = up.kinds()
    assert "dl_establish_confirm" in before and "dl_establish_indication" not in before
    far.link.request("dl_establish_request", int(time.monotonic() * 1000))
    far.run(0.4)
    assert up.kinds().count("dl_establish_indication") == 1
    up.sock.close()


def test_release_is_told(board, control, media, far):
    up = Signalling(media.folder, control.epoch)
    up.send(ack=1 << 40)
    up.send(link=40, kind="dl_establish_request")
    far.run(0.6)
    far.link.request("dl_release_request", int(time.monotonic() * 1000))
    far.run(0.4)
    kinds = up.kinds()
    assert "dl_release_indication" in kinds
    up.sock.close()
