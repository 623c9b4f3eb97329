"""The far gateway of a pseudowire: an E1 line socket on one side, CESoPSN (RFC 5086) or SAToP (RFC 4553) packets on the other.

    with PseudowireGateway(folder, span=2, local=("127.0.0.1", 0), remote=("127.0.0.1", 2142), timeslots="1-31") as gateway:
        gateway.port                                  # where the box is to send to
        FarExchange(folder, spans=[2])                # connects to folder/lines/2.sock
        gateway.order(loss=0.01, reorder=0.02, duplicate=0.05)     # of what it sends
        gateway.order(silent=True); gateway.figures()

A process of its own, written apart from drivers/tdm: packets are built and read with struct, lost ones filled, frames of
timeslot 0 made here.  Its clock is the box's: what comes is what it sends by, block for block (loop timing), so that a host that
stalls costs nothing; while nothing comes it goes on by the system's clock.

As a command: python -m hil.far.pseudowire OPTIONS (JSON); orders are JSON lines on its standard input, figures on its output.
"""

import argparse
import ctypes
import json
import os
import pathlib
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
FRAMES, SLOTS = 80, 32
BLOCK = FRAMES * SLOTS
IDLE = 0xD5
LOST_S = 0.1                    # nothing came for so long: our own clock
DEPTH = 16                      # packets that may come late
ORDERS = {"loss": 0.0, "duplicate": 0.0, "reorder": 0.0, "silent": False, "deaf": False, "cut": 0, "bad_bits": False, "renumber": 0, "ais": False, "rai": False}


def slots_of(text):
    """[1, ...] of "1-15,17-31"."""
    slots = []
    for part in text.split(","):
        ends = [int(word) for word in part.split("-")]
        slots.extend(range(ends[0], ends[-1] + 1))
    return slots


def build(seq, payload, l=0, r=0, m=0, frg=0, rtp=None, timestamp=0, ssrc=0x47415445):
    """One packet.  rtp: payload type or None."""
    whole = len(payload) + 4 + (12 if rtp is not None else 0)
    word = struct.pack("!BBH", l << 3 | r << 2 | m, frg << 6 | (whole if whole < 64 else 0), seq & 0xFFFF)
    head = b"" if rtp is None else struct.pack("!BBHII", 0x80, rtp, seq & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    return head + word + payload


def parse(packet, rtp=None):
    """{"seq", "l", "r", "m", "frg", "payload", "timestamp"}.  Raises ValueError with what is wrong."""
    told = {"timestamp": None}
    if rtp is not None:
        first, kind, number, told["timestamp"], told["ssrc"] = struct.unpack_from("!BBHII", packet)
        if first != 0x80 or kind & 0x7F != rtp:
            raise ValueError(f"no RTP header of type {rtp}")
        packet = packet[12:]
    if len(packet) < 4:
        raise ValueError("no control word")
    flags, second, told["seq"] = struct.unpack_from("!BBH", packet)
    if flags & 0xF0:
        raise ValueError("bits 0 to 3 are not zero")
    if rtp is not None and number != told["seq"]:
        raise ValueError("two sequence numbers")
    length = second & 0x3F
    whole = len(packet) + (12 if rtp is not None else 0)
    if (length or whole >= 64) and length not in (0, whole) or (not length and whole < 64):
        raise ValueError(f"LEN is {length}, the packet has {whole} octets")
    told.update(l=flags >> 3 & 1, r=flags >> 2 & 1, m=flags & 3, frg=second >> 6, payload=packet[4:])
    return told


class Line:
    """The line socket: a server with one peer that answers each block."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.peer = None

    def exchange(self, block, timeout_s=0.5):
        """Give a block, get the answer; None without a peer or answer."""
        if self.peer is None:
            if not select.select([self.listener], [], [], 0)[0]:
                return None
            self.peer, _ = self.listener.accept()
        try:
            self.peer.send(block)
            answer = self.peer.recv(BLOCK + 1) if select.select([self.peer], [], [], timeout_s)[0] else None
        except OSError:
            answer = b""
        if answer is not None and len(answer) != BLOCK:
            self.peer.close()
            self.peer = None
            return None
        return answer


class Framing:
    """Timeslot 0 (without CRC-4) and the CAS multiframe of timeslot 16."""

    def __init__(self, cas):
        self.cas, self.at = cas, 0
        self.bits = [0xD] * 32          # towards the exchange
        self.heard = [0xD] * 32         # from it
        self._signal = []

    def make(self, payload, slots, rai, ais):
        """A block for the exchange.  payload: {timeslot: 80 octets}."""
        if ais:
            return b"\xff" * BLOCK
        block = bytearray([IDLE]) * BLOCK
        for slot in slots:
            block[slot::SLOTS] = payload[slot]
        for frame in range(FRAMES):
            block[frame * SLOTS] = 0x9B if not frame & 1 else 0xFF if rai else 0xDF
            if self.cas:
                place = self.at & 15
                block[frame * SLOTS + 16] = self.bits[place] << 4 | self.bits[place + 16] if place else 0x0B
                self.at += 1
        return bytes(block)

    def read(self, block):
        """("good" | "ais" | "lost", A bit) of what the exchange sends."""
        if block.count(0xFF) >= BLOCK - 40:
            return "ais", False
        first = block[0::SLOTS]
        for parity in (0, 1):
            if all(octet & 0x7F == 0x1B for octet in first[parity::2]):
                break
        else:
            return "lost", False
        if self.cas:
            for octet in block[16::SLOTS]:
                self._signal = (self._signal + [octet])[-16:]
                if len(self._signal) == 16 and not self._signal[0] & 0xF0 and self._signal[1] & 0xF0:
                    for place in range(1, 16):
                        self.heard[place], self.heard[place + 16] = self._signal[place] >> 4, self._signal[place] & 15
        return "good", bool(first[1 - parity] & 0x20)


class Gateway:
    """The process's work.  o: options as main() has them."""

    def __init__(self, o):
        self.o, self.orders = o, dict(ORDERS)
        self.slots = list(range(SLOTS)) if o["kind"] == "satop" else slots_of(o["timeslots"])
        self.frames = o["packet_ms"] * 8
        self.parts = 16 // self.frames if o["cas"] and o["kind"] == "cesopsn" else 1
        self.line = Line(pathlib.Path(o["folder"], "lines", f"{o['span']}.sock"))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.udp.bind(tuple(o["local"]))
        self.udp.setblocking(False)
        self.framing = Framing(o["cas"])
        self.random = random.Random(o["seed"])
        self.count = {name: 0 for name in ("received", "wrong", "lost", "late", "sent", "dropped", "doubled", "swapped", "blocks", "alone")}
        self.told = ""
        self.seq, self.stamp, self.part = self.random.randrange(1 << 16), 0, 0
        self.next = None                # sequence number that is wanted
        self.waiting = {}               # seq -> packet
        self.have = {slot: bytearray() for slot in self.slots}
        self.rest = bytearray()         # frames for the box, in the order of the packet
        self.swapped = None
        self.far = {"l": 0, "r": 0, "m": 0}
        self.state = ("lost", False)

    # -- from the box --

    def receive(self, packet):
        try:
            told = parse(packet, self.o["rtp"])
            extra = (len(self.slots) + 1) // 2 if self.parts > 1 and told["frg"] == 2 or (self.o["cas"] and self.parts == 1 and self.o["kind"] == "cesopsn") else 0
            if len(told["payload"]) != self.frames * len(self.slots) + extra and not (told["l"] and not told["payload"]):
                raise ValueError(f"a payload of {len(told['payload'])} octets")
        except (ValueError, struct.error) as error:
            self.count["wrong"] += 1
            self.told = str(error)
            return
        self.count["received"] += 1
        self.far = {name: told[name] for name in ("l", "r", "m")}
        if self.next is None:
            self.next = told["seq"]
        ahead = (told["seq"] - self.next) & 0xFFFF
        if ahead > 0x8000:
            self.count["late"] += 1
            return
        if ahead > 4096:
            self.next, self.waiting = told["seq"], {}
        self.waiting[told["seq"]] = told
        while self.next in self.waiting or len(self.waiting) > DEPTH:
            told = self.waiting.pop(self.next, None)
            self.next = (self.next + 1) & 0xFFFF
            if told is None:
                self.count["lost"] += 1
            self.store(told)

    def store(self, told):
        lost = told is None or not told["payload"]
        fill = 0xFF if self.o["kind"] == "satop" or (told and told["l"]) else IDLE
        body = bytes([fill]) * (self.frames * len(self.slots)) if lost else told["payload"]
        wide = len(self.slots)
        for place, slot in enumerate(self.slots):
            self.have[slot] += body[place:self.frames * wide:wide]
        if self.o["cas"] and not lost and len(body) > self.frames * wide:
            for place, slot in enumerate(self.slots):
                octet = body[self.frames * wide + place // 2]
                self.framing.bits[slot] = octet & 15 if place & 1 else octet >> 4

    def block(self):
        """The next 80 frames for the exchange, or None."""
        if len(self.have[self.slots[0]]) < FRAMES:
            return None
        payload = {}
        for slot in self.slots:
            payload[slot] = bytes(self.have[slot][:FRAMES])
            del self.have[slot][:FRAMES]
        if self.o["kind"] == "satop":
            return b"".join(bytes(column) for column in zip(*(payload[slot] for slot in self.slots)))
        return self.framing.make(payload, self.slots, bool(self.far["m"] == 2 or self.orders["rai"]), bool(self.far["l"]))

    # -- to the box --

    def answer(self, block, lost):
        """The exchange's block, in packets.  lost: we get nothing from the box."""
        self.state = ("lost", False) if block is None else self.framing.read(block)
        bad = self.state[0] != "good" or self.orders["ais"]
        block = block or b"\xff" * BLOCK
        if self.o["kind"] == "satop":
            self.rest += b"\xff" * BLOCK if self.orders["ais"] else block
            bad = block is None
        else:
            for frame in range(FRAMES):
                self.rest += bytes(block[frame * SLOTS + slot] for slot in self.slots)
        size = self.frames * len(self.slots)
        while len(self.rest) >= size:
            body, self.rest = bytes(self.rest[:size]), self.rest[size:]
            frg = 0
            if self.parts > 1:
                frg = 1 if self.part == 0 else 2 if self.part == self.parts - 1 else 3
            if self.o["cas"] and self.o["kind"] == "cesopsn" and self.part == self.parts - 1:
                nibbles = [self.framing.heard[slot] for slot in self.slots] + [0]
                body += bytes(nibbles[n] << 4 | nibbles[n + 1] for n in range(0, len(self.slots), 2))
            m = 2 if self.o["kind"] == "cesopsn" and not bad and (self.state[1] or self.orders["rai"]) else 0
            packet = build(self.seq, body[:len(body) - self.orders["cut"]], int(bad), int(lost), m, frg, self.o["rtp"], self.stamp)
            if self.orders["bad_bits"]:
                at = 12 if self.o["rtp"] is not None else 0
                packet = packet[:at] + bytes([packet[at] | 0x80]) + packet[at + 1:]
            self.send(packet)
            self.seq = (self.seq + 1 + self.orders["renumber"]) & 0xFFFF
            self.orders["renumber"] = 0
            self.stamp += self.frames
            self.part = (self.part + 1) % self.parts

    def send(self, packet):
        if self.orders["silent"]:
            return
        if self.random.random() < self.orders["loss"]:
            self.count["dropped"] += 1
            return
        packets = [packet]
        if self.random.random() < self.orders["duplicate"]:
            self.count["doubled"] += 1
            packets.append(packet)
        if self.swapped is not None:
            packets.append(self.swapped)
            self.swapped = None
        elif self.random.random() < self.orders["reorder"]:
            self.count["swapped"] += 1
            self.swapped = packets.pop()
        for packet in packets:
            try:
                self.udp.sendto(packet, tuple(self.o["remote"]))
                self.count["sent"] += 1
            except OSError:
                self.count["dropped"] += 1

    # -- the loop --

    def run(self):
        heard = time.monotonic()
        due = heard
        commands = b""
        while True:
            readable = select.select([self.udp, sys.stdin], [], [], 0.005)[0]
            if sys.stdin in readable:
                more = os.read(0, 65536)
                if not more:
                    return
                commands += more
                *lines, commands = commands.split(b"\n")
                for line in lines:
                    self.obey(json.loads(line))
            if self.udp in readable:
                for _ in range(64):
                    try:
                        packet, source = self.udp.recvfrom(2048)
                    except OSError:
                        break
                    if list(source) == list(self.o["remote"]) and not self.orders["deaf"]:
                        heard = time.monotonic()
                        self.receive(packet)
            while (block := self.block()) is not None:
                self.count["blocks"] += 1
                self.answer(self.line.exchange(block), False)
                due = time.monotonic() + 0.01
            now = time.monotonic()
            if now - heard > LOST_S and now >= due:
                self.count["alone"] += 1
                self.next, self.waiting = None, {}
                self.answer(self.line.exchange(b"\xff" * BLOCK), True)
                due = max(due + 0.01, now - 0.05)

    def obey(self, order):
        do = order.pop("do")
        if do == "order":
            self.orders.update(order)
        print(json.dumps({**self.count, "state": self.state[0], "rai": self.state[1], "far": self.far, "told": self.told, "orders": self.orders,
                          "bits": self.framing.bits, "heard": self.framing.heard}), flush=True)


class PseudowireGateway:
    """The gateway's process, driven.  local: (host, port or 0), remote: the box's; rtp: payload type or None."""

    def __init__(self, folder, span, remote, local=("127.0.0.1", 0), kind="cesopsn", timeslots="1-31", cas=False, packet_ms=1, rtp=None, seed=1):
        self.options = {"folder": str(folder), "span": span, "local": list(local), "remote": list(remote), "kind": kind, "timeslots": timeslots,
                        "cas": cas, "packet_ms": packet_ms, "rtp": rtp, "seed": seed}
        self._turn = threading.Lock()
        self.process, self.port = None, None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Begin.  Raises RuntimeError when it ends at once."""
        def die_with_us():
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)
        self.process = subprocess.Popen([sys.executable, "-m", "hil.far.pseudowire", json.dumps(self.options)], cwd=CHECKOUT, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1, preexec_fn=die_with_us)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"The pseudowire gateway ended at once with {self.process.wait()}; its last words are above.")
        self.port = json.loads(line)["port"]
        return self

    def _ask(self, **order):
        with self._turn:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("The pseudowire gateway has ended.")
        return json.loads(line)

    def order(self, **orders):
        """Change ORDERS; returns the figures."""
        return self._ask(do="order", **orders)

    def figures(self):
        """Counters, what the exchange's line shows, bits of the newest packet of the box."""
        return self._ask(do="figures")

    def stop(self):
        """End it."""
        if self.process is not None:
            self.process.stdin.close()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()
            self.process = None


def main():
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m hil.far.pseudowire")
    parser.add_argument("options", type=json.loads)
    gateway = Gateway(parser.parse_args().options)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(42))
    except OSError:
        pass
    print(json.dumps({"port": gateway.udp.getsockname()[1]}), flush=True)
    gateway.run()


if __name__ == "__main__":
    main()
