"""Helpers of the ISDN tests: our whole D channel, libpri's, and tshark.

Time is virtual everywhere: Line.now_ms is the only clock."""

import json
import os
import pathlib
import shutil
import struct
import subprocess

from firmware.proto.q921 import Q921Link
from firmware.proto.q931.link import Q931Link

HERE = pathlib.Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "tests"


def build_peer():
    """Compile the libpri peer; None where there is no compiler or no libpri."""
    source, target = HERE / "peers" / "libpri_peer.c", BUILD / "libpri_peer"
    if not shutil.which("cc") or not pathlib.Path("/usr/include/libpri.h").exists():
        return None
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".%d" % os.getpid())
        subprocess.run(["cc", "-O1", "-Wall", str(source), "-lpri", "-o", str(part)], check=True)
        part.rename(target)
    return target


class Ours:
    """Q.921 and Q.931 of ours, joined as control and media join them.

    Each step is persisted like control does it; kill() forgets layer 3 and
    what it had to send, and restores it from the last persisted state."""

    def __init__(self, side, config=None, variant="etsi"):
        self.side = side
        self.config = config or {}
        self.link = Q921Link(side, keep_up_ms=5000)
        self.calls = Q931Link(side, variant, config)
        self.events = []
        self.sent = []                  # Q.931 messages
        self.saved = self.calls.dump()
        self.lose_output = False        # die between the commit and the sending

    def start(self, now_ms):
        self.link.request("dl_establish_request", now_ms)

    def _layer_2(self, events, now_ms):
        for event in events:
            if event[0] in ("dl_establish_indication", "dl_establish_confirm"):
                self._keep(self.calls.link_up(now_ms), now_ms)
            elif event[0] in ("dl_release_indication", "dl_release_confirm"):
                self._keep(self.calls.link_down(now_ms), now_ms)
            elif event[0] == "dl_data_indication":
                self._keep(self.calls.receive(event[1], now_ms), now_ms)

    def _keep(self, events, now_ms):
        self.saved = json.loads(json.dumps(self.calls.dump()))
        self.events += events
        for octets in self.calls.take_output():
            if not self.lose_output:
                self.sent.append(octets)
                self.link.request("dl_data_request", now_ms, octets)

    def kill(self, now_ms):
        self.lose_output = False
        self.calls = Q931Link.restore(self.saved, self.config)
        self._keep(self.calls.audit(now_ms, self.link.established), now_ms)

    def request(self, primitive, call, now_ms, **given):
        self._keep(self.calls.request(primitive, call, now_ms, **given), now_ms)

    def restart(self, now_ms, timeslots=None):
        self._keep(self.calls.restart(now_ms, timeslots), now_ms)

    def receive(self, octets, now_ms):
        self._layer_2(self.link.receive(octets, now_ms), now_ms)

    def expire(self, now_ms):
        self._layer_2(self.link.expire(now_ms), now_ms)
        self._keep(self.calls.expire(now_ms), now_ms)

    def deadline_ms(self):
        return min([d for d in (self.link.deadline_ms(), self.calls.deadline_ms()) if d is not None],
                   default=None)

    def take_output(self):
        return self.link.take_output()

    def take(self, name=None):
        """Events so far, forgotten; of one name only if asked (the last one)."""
        events, self.events = self.events, []
        if name is None:
            return events
        chosen = [e for e in events if e["event"] == name]
        assert chosen, "no %s in %r" % (name, events)
        return chosen[-1]


class Libpri:
    """The libpri process."""

    def __init__(self, peer, side, overlap=False, switch=5):
        self.process = subprocess.Popen([str(peer), side, str(int(overlap)), str(switch)], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.events = []
        self.logs = []
        self._frames = []
        self._next_ms = None
        self._read()

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def command(self, *words):
        self.process.stdin.write(" ".join([str(w) for w in words]) + "\n")
        self.process.stdin.flush()
        self._read()

    def _read(self):
        while True:
            word, _, rest = self.process.stdout.readline().strip().partition(" ")
            if word == "done":
                self._next_ms = None if rest == "-" else int(rest)
                return
            if word == "frame":
                self._frames.append(bytes.fromhex(rest))
            elif word == "log":
                self.logs.append(rest)
            elif word == "event":
                name, *pairs = rest.split(" ")
                self.events.append(dict([p.split("=", 1) for p in pairs], event=name))
            else:
                raise AssertionError("libpri peer died: %r" % word)

    def receive(self, octets, now_ms):
        self.command("frame", octets.hex())

    def expire(self, now_ms):
        self.command("time", now_ms)

    def deadline_ms(self):
        return self._next_ms

    def take_output(self):
        frames, self._frames = self._frames, []
        return frames

    take = Ours.take


class Line:
    """Two ends of a D channel in virtual time; keeps every frame for tshark."""

    def __init__(self, user, network):
        self.user = user
        self.network = network
        self.now_ms = 0
        self.frames = []                # (ms, network to user, octets)
        self.cut = False
        self.lose = lambda: False       # asked for each frame

    def settle(self):
        """Carry frames until both ends are silent."""
        while True:
            moved = ([(self.network, False, o) for o in self.user.take_output()]
                     + [(self.user, True, o) for o in self.network.take_output()])
            if not moved:
                return
            for to, down, octets in moved:
                self.frames.append((self.now_ms, down, octets))
                if not self.cut and not self.lose():
                    to.receive(octets, self.now_ms)

    def run(self, milliseconds):
        """Let time pass, step by step of both ends' deadlines."""
        end_ms = self.now_ms + milliseconds
        self.settle()
        while True:
            deadlines = [d for d in (self.user.deadline_ms(), self.network.deadline_ms()) if d is not None]
            if not deadlines or min(deadlines) > end_ms:
                break
            self.now_ms = max(self.now_ms, min(deadlines))
            self.user.expire(self.now_ms)
            self.network.expire(self.now_ms)
            self.settle()
        self.now_ms = end_ms
        self.user.expire(end_ms)
        self.network.expire(end_ms)
        self.settle()


def write_pcap(path, frames):
    """Frames [(ms, network to user, octets)] as LINKTYPE_LINUX_LAPD (177)."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 177))
        for ms, down, octets in frames:
            # "sll" header of 16 octets: packet type, ARP type 8217, address length, address, protocol
            head = struct.pack(">HHH8sH", 0 if down else 4, 0x2019, 0, bytes([1 if down else 0]) + bytes(7), 0x0030)
            file.write(struct.pack("<IIII", ms // 1000, ms % 1000 * 1000, len(head + octets), len(head + octets)))
            file.write(head + octets)


def tshark(path):
    """[(message name or "", complaints)] of each packet, as tshark sees it."""
    out = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-T", "fields", "-e", "q931.message_type", "-e", "_ws.malformed",
         "-e", "_ws.expert.message", "-e", "_ws.expert.severity"], capture_output=True, text=True, check=True).stdout
    rows = []
    for line in out.splitlines():
        kind, malformed, message, severity = (line.split("\t") + ["", "", "", ""])[:4]
        serious = [s for s in severity.split(",") if s and int(s) >= 0x600000]
        rows.append((kind, malformed + (message if serious else "")))
    return rows
