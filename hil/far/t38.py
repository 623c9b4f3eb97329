"""A fax machine on T.38, a process of its own: spandsp's T.38 terminal (LGPL, Debian's libspandsp) behind a UDPTL written here.

    python -m hil.far.t38 --calls --send page.tif --loss 0.05 --capture wire.pcap      # or --print got.tif; without --calls it answers

It says {"event": "port", "port": n} on standard output, waits for a line HOST PORT on standard input (where the other end listens; again: it has
moved), then runs in the world's time and says {"event": "done", "status": 0 (T.30: all went well), "sent", "received", "thrown", "mended"}.
It ends with its standard input.

Recovery: redundancy of two packets (T.38 9.1.4.1), or --recovery fec: what comes with sums is taken without them, what goes out carries none.  --loss:
share of what comes in that is thrown away, --drop: of what goes out, --seed of the chance.  --junk n: n datagrams of chance go out beside each one.  Imports nothing of the product."""

import argparse
import json
import random
import select
import socket
import struct
import sys
import time

from hil.fax import Machine

STEP = 160          # samples: 20 ms
RATE = 8000


def length(count):
    return bytes((count,)) if count < 128 else struct.pack(">H", 0x8000 | count)


class Wire:
    """UDPTL both ways (T.38 9.1.3), with redundancy of two."""

    def __init__(self):
        self.sent, self.expected, self.kept, self.mended = [], 0, {}, 0

    def pack(self, ifp):
        before = self.sent[:-3:-1]
        octets = struct.pack(">H", len(self.sent) & 0xFFFF) + length(len(ifp)) + ifp + bytes((0, len(before)))
        self.sent.append(ifp)
        return octets + b"".join(length(len(each)) + each for each in before)

    def take(self, octets):
        """[(number, ifp)] that are new, in order."""
        at = 2
        number, rows = struct.unpack(">H", octets[:2])[0], []

        def field():
            nonlocal at
            count, at = octets[at], at + 1
            if count > 127:
                count, at = (count & 0x3F) << 8 | octets[at], at + 1
            piece, at = octets[at:at + count], at + count
            return piece
        rows.append(field())
        kind, at = octets[at], at + 1
        if not kind & 0x80:
            count, at = octets[at], at + 1
            rows += [field() for _ in range(count)]
        out = []
        for place in range(len(rows) - 1, -1, -1):
            each = number - place & 0xFFFF
            if (each - self.expected & 0xFFFF) < 0x8000:
                out.append((each, rows[place]))
                self.mended += place > 0
                self.expected = each + 1 & 0xFFFF
        return out


class Capture:
    """A pcap of raw IP, for tshark."""

    def __init__(self, path):
        self.file = open(path, "wb") if path else None
        if self.file:
            self.file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))

    def note(self, octets, source, destination):
        if self.file:
            udp = struct.pack(">HHHH", source[1], destination[1], 8 + len(octets), 0) + octets
            packet = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + socket.inet_aton(source[0]) + socket.inet_aton(destination[0]) + udp
            now = time.time()
            self.file.write(struct.pack("<IIII", int(now), int(now % 1 * 1e6), len(packet), len(packet)) + packet)
            self.file.flush()


def say(**event):
    print(json.dumps(event), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", action="store_true")
    parser.add_argument("--send")
    parser.add_argument("--print")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--loss", type=float, default=0)
    parser.add_argument("--drop", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--junk", type=int, default=0)
    parser.add_argument("--capture")
    parser.add_argument("--without-ecm", action="store_true")
    given = parser.parse_args()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((given.address, 0))
    say(event="port", port=sock.getsockname()[1])
    machine = Machine("t38", given.calls, send=given.send, receive=given.print, ecm=not given.without_ecm)
    wire, capture, chance = Wire(), Capture(given.capture), random.Random(given.seed)
    remote, own = None, sock.getsockname()
    sent = received = thrown = 0
    began, steps, over_steps = None, 0, 0
    while True:
        due = 0.05 if began is None else max(0, began + (steps + 1) * STEP / RATE - time.monotonic())
        ready = select.select([sock, sys.stdin], [], [], due)[0]
        if sys.stdin in ready:
            line = sys.stdin.readline()
            if not line:
                return
            host, port = line.split()
            remote, began = (host, int(port)), began or time.monotonic()
        if sock in ready:
            octets, source = sock.recvfrom(2048)
            capture.note(octets, source, own)
            received += 1
            if chance.random() < given.loss:
                thrown += 1
            else:
                for number, ifp in wire.take(octets):
                    machine.rx_ifp(ifp, number)
        while began is not None and time.monotonic() >= began + (steps + 1) * STEP / RATE:
            steps += 1
            machine.tick(STEP)
            for ifp in machine.packets():
                octets = wire.pack(ifp)
                sent += 1
                if chance.random() < given.drop:
                    continue
                capture.note(octets, own, remote)
                sock.sendto(octets, remote)
                for _ in range(given.junk):
                    sock.sendto(bytes(chance.randrange(256) for _ in range(chance.randrange(1, 60))), remote)
            if machine.result is not None and not over_steps:
                over_steps = steps
            if over_steps and steps == over_steps + 25:         # its last packets are out
                say(event="done", status=machine.result, sent=sent, received=received, thrown=thrown, mended=wire.mended)


if __name__ == "__main__":
    main()
