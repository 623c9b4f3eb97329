"""Whole signalling points of ours (MTP2 and MTP3) and libss7's, joined by lines in virtual time; tshark."""

import os
import pathlib
import shutil
import struct
import subprocess

from firmware.proto.mtp2 import MTP2Link
from firmware.proto.mtp3.node import MTP3

HERE = pathlib.Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "tests"


def build_peer():
    """Compile the libss7 peer; None where there is no compiler or no libss7."""
    source, target = HERE / "peers" / "libss7_mtp_peer.c", BUILD / "libss7_mtp_peer"
    if not shutil.which("cc") or not pathlib.Path("/usr/include/libss7.h").exists():
        return None
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".%d" % os.getpid())
        subprocess.run(["cc", "-O1", "-Wall", str(source), "-lss7", "-o", str(part)], check=True)
        part.rename(target)
    return target


class Ours:
    """One linkset of ours."""

    def __init__(self, point_code, adjacent, links, variant="itu", correction="basic", restart=True, timers=None):
        self.names = ["k%d" % i for i in range(links)]
        self.config = {"variant": variant, "network_indicator": 2, "point_code": point_code, "restart": restart,
                       "linksets": [{"name": "a", "adjacent": adjacent,
                                     "links": [{"name": n, "slc": i} for i, n in enumerate(self.names)]}],
                       "timers": timers or {}}
        self.node = MTP3(self.config)
        self.links = [MTP2Link(variant=variant, correction=correction) for _ in self.names]
        self.events = []
        self.restarts = 0

    def start(self, now_ms):
        for link in self.links:
            link.request("power_on", now_ms)
        self._after(self.node.start(now_ms), now_ms)

    def kill(self):
        """kill -9 of control: MTP2 lives on in media."""
        self.node = MTP3.restore(self.node.dump(), self.config)
        self.restarts += 1

    def _after(self, events, now_ms):
        self.events += events
        for name, primitive, octets in self.node.take_output():
            i = self.names.index(name)
            self._layer_2(i, self.links[i].request(primitive, now_ms, octets), now_ms)

    def _layer_2(self, i, events, now_ms):
        for event in events:
            self._after(self.node.link_event(self.names[i], event, now_ms), now_ms)

    def ask(self, primitive, now_ms, **given):
        self._after(self.node.request(primitive, now_ms, **given), now_ms)

    def receive(self, i, octets, now_ms):
        self._layer_2(i, self.links[i].receive(octets, now_ms), now_ms)

    def error(self, i, now_ms):
        self._layer_2(i, self.links[i].receive_error(now_ms), now_ms)

    def expire(self, now_ms):
        for i, link in enumerate(self.links):
            self._layer_2(i, link.expire(now_ms), now_ms)
        self._after(self.node.expire(now_ms), now_ms)

    def deadline_ms(self):
        found = [link.deadline_ms() for link in self.links] + [self.node.deadline_ms()]
        return min([d for d in found if d is not None], default=None)

    def take_output(self):
        return [(i, octets) for i, link in enumerate(self.links) for octets in link.take_output()]

    def took(self, name):
        events, self.events = self.events, []
        return [e for e in events if e["event"] == name]


class Libss7:
    """The libss7 process."""

    def __init__(self, peer, variant, point_code, adjacent, links):
        self.process = subprocess.Popen([str(peer), variant, str(point_code), str(adjacent), str(links)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.events, self.logs = [], []
        self._units = []
        self._next_ms = None

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def command(self, *words):
        self.process.stdin.write(" ".join([str(w) for w in words]) + "\n")
        self.process.stdin.flush()
        while True:
            word, _, rest = self.process.stdout.readline().strip().partition(" ")
            if word == "done":
                self._next_ms = None if rest == "-" else int(rest)
                return
            if word == "unit":
                i, _, octets = rest.partition(" ")
                self._units.append((int(i), bytes.fromhex(octets)))
            elif word == "event":
                self.events.append(rest)
            elif word == "log":
                self.logs.append(rest)
            else:
                raise AssertionError("libss7 peer died: %r" % word)

    def start(self, now_ms):
        self.command("time", now_ms)
        self.command("start")

    def receive(self, i, octets, now_ms):
        self.command("unit", i, octets.hex())

    def expire(self, now_ms):
        self.command("time", now_ms)

    def deadline_ms(self):
        return self._next_ms

    def take_output(self):
        units, self._units = self._units, []
        return units

    def error(self, i, now_ms):
        pass

    def took(self, name):
        events, self.events = self.events, []
        return [e for e in events if e.startswith(name)]


class Lines:
    """The lines between two points; keeps every unit for tshark."""

    def __init__(self, near, far):
        self.ends = (near, far)
        self.now_ms = 0
        self.units = []                 # (ms, from, link, octets)
        self.cut = set()

    def settle(self):
        for _ in range(2000):
            moved = [(1 - i, i, link, octets) for i in (0, 1) for link, octets in self.ends[i].take_output()]
            if not moved:
                return
            for to, end, link, octets in moved:
                self.units.append((self.now_ms, end, link, octets))
                if link not in self.cut:
                    self.ends[to].receive(link, octets, self.now_ms)
        raise AssertionError("the ends do not come to rest")

    def run(self, milliseconds):
        end_ms = self.now_ms + milliseconds
        self.settle()
        while True:
            deadlines = [d for d in [end.deadline_ms() for end in self.ends] if d is not None]
            if self.cut:                # octet counting: an error each 2 ms, coarser here
                deadlines.append(self.now_ms + 20)
            if not deadlines or min(deadlines) > end_ms:
                break
            self.now_ms = max(self.now_ms + 1, min(deadlines))       # a deadline of libss7's may stay past
            for end in self.ends:
                end.expire(self.now_ms)
                for link in sorted(self.cut):
                    for _ in range(10):
                        end.error(link, self.now_ms)
            self.settle()
        self.now_ms = end_ms


STANDARD = {"itu": "ITU", "ansi": "ANSI", "china": "Chinese ITU"}


def tshark(path, units, variant):
    """Dissect units [octets]; returns [(what it is, complaints)]."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 140))
        for octets in units:
            file.write(struct.pack("<IIII", 0, 0, len(octets), len(octets)) + octets)
    out = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-o", "mtp3.standard:" + STANDARD[variant], "-T", "fields", "-e", "_ws.col.Info",
         "-e", "_ws.malformed", "-e", "_ws.expert.message", "-e", "_ws.expert.severity", "-E", "separator=|"],
        capture_output=True, text=True, check=True).stdout
    rows = []
    for line in out.splitlines():
        info, malformed, message, severity = line.split("|")
        serious = [s for s in severity.split(",") if s and int(s) >= 0x600000]         # warnings and errors
        rows.append((info, malformed + (message if serious else "")))
    return rows
