"""A bad network between a telephone and the switch: a relay in user space for SIP and RTP, and what calls become over it.

    with ImpairedNetwork(sip_port, loss=0.05, delay_ms=50, jitter_ms=20, duplicate=0.1, reorder=0.1, seed=1) as network:
        phone = Phone("1002", "secret", network.port); ...
        network.rebind()                    # a NAT that binds anew: the switch sees other ports from now on
        network.partition(30)               # nothing passes for so long
    results()                               # rows for make bench

The kernel's own (netem) is not there on every machine.  Each datagram either way is lost, delayed, doubled or held back by
chance (seeded).  The ports of session descriptions are rewritten, so that RTP and RTCP come this way too; Contact and Via
stay, as with a NAT that knows nothing of SIP.
"""

import heapq
import os
import random
import re
import selectors
import socket
import threading
import time

from hil import scratch
from hil.phone.phone import Phone
from hil.rig import Rig

HOST = "127.0.0.1"
AUDIO = re.compile(rb"m=audio (\d+) ")
HELD_BACK_S = 0.045             # a datagram that is overtaken comes later than the two behind it

# name: what the network does; "rebind", "partition_s": in the middle of each call
CASES = {"clean": {}, "loss_1": {"loss": 0.01}, "loss_5": {"loss": 0.05}, "loss_20": {"loss": 0.20},
         "delay_50": {"delay_ms": 50}, "delay_200": {"delay_ms": 200}, "delay_500": {"delay_ms": 500},
         "jitter_40": {"delay_ms": 60, "jitter_ms": 40}, "jitter_150": {"delay_ms": 100, "jitter_ms": 150},
         "reorder_10": {"delay_ms": 20, "reorder": 0.10}, "duplicate_20": {"duplicate": 0.20},
         "rebind": {"rebind": True}, "partition_30": {"partition_s": 30}}


def udp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HOST, 0))
    sock.setblocking(False)
    return sock


class Way:
    """Two sockets and where each end is: `front` faces the telephone, `back` the switch.  kind: "sip", "rtp" or "rtcp"."""

    def __init__(self, kind):
        self.kind, self.front, self.back = kind, udp(), udp()
        self.phone = self.switch = None

    @property
    def sockets(self):
        return (self.front, self.back)


class ImpairedNetwork:
    """sip_port: of the switch.  Shares 0..1 of the datagrams; times are one way."""

    def __init__(self, sip_port, loss=0.0, delay_ms=0, jitter_ms=0, duplicate=0.0, reorder=0.0, seed=1):
        self.loss, self.delay_s, self.jitter_s, self.duplicate, self.reorder = loss, delay_ms / 1000, jitter_ms / 1000, duplicate, reorder
        self.chance = random.Random(seed)
        self.sip = Way("sip")
        self.sip.switch = (HOST, sip_port)
        self.port = self.sip.front.getsockname()[1]
        self.calls = {}                 # Call-ID: (rtp, rtcp)
        self.lost = self.passed = 0
        self._dead_until = 0.0
        self._queue, self._number = [], 0
        self._selector, self._lock, self._ending = selectors.DefaultSelector(), threading.RLock(), threading.Event()
        self._watch(self.sip)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join(5)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()

    def rebind(self):
        """The switch sees SIP and RTP from other ports from now on; what it sends to the old ones is lost."""
        with self._lock:
            for way in [self.sip, *(way for pair in self.calls.values() for way in pair)]:
                self._selector.unregister(way.back)
                way.back.close()
                way.back = udp()
                self._selector.register(way.back, selectors.EVENT_READ, (way, False))

    def partition(self, seconds):
        """Nothing passes from now on."""
        self._dead_until = time.monotonic() + seconds

    def _watch(self, way):
        self._selector.register(way.front, selectors.EVENT_READ, (way, True))
        self._selector.register(way.back, selectors.EVENT_READ, (way, False))

    def _run(self):
        while not self._ending.is_set():
            now = time.monotonic()
            with self._lock:
                while self._queue and self._queue[0][0] <= now:
                    self._send(*heapq.heappop(self._queue)[2:])
                wait = min(0.02, self._queue[0][0] - now) if self._queue else 0.02
            for key, _ in self._selector.select(max(0, wait)):
                with self._lock:
                    self._read(*key.data)

    def _read(self, way, from_phone):
        for _ in range(64):
            try:
                octets, source = (way.front if from_phone else way.back).recvfrom(65536)
            except (BlockingIOError, OSError):
                return
            if from_phone:
                way.phone = source
            if way.kind == "sip":
                octets = self._rewritten(octets, from_phone)
            self._impair(way, from_phone, octets)

    def _rewritten(self, octets, from_phone):
        audio, call = AUDIO.search(octets), re.search(rb"(?im)^(?:call-id|i)\s*:\s*(\S+)", octets)
        if not audio or not call or audio.group(1) == b"0":
            return octets
        pair = self.calls.get(call.group(1))
        if pair is None:
            pair = self.calls[call.group(1)] = (Way("rtp"), Way("rtcp"))
            for way in pair:
                self._watch(way)
        port = int(audio.group(1))
        for way, number in zip(pair, (port, port + 1)):
            if from_phone:
                way.phone = (HOST, number)
            else:
                way.switch = (HOST, number)
        way = pair[0]
        ours = (way.back if from_phone else way.front).getsockname()[1]
        rtcp = (pair[1].back if from_phone else pair[1].front).getsockname()[1]
        head, _, body = octets.partition(b"\r\n\r\n")
        body = AUDIO.sub(b"m=audio %d " % ours, body)
        body = re.sub(rb"(?m)^a=rtcp:.*\r\n", b"", body) + b"a=rtcp:%d\r\n" % rtcp
        return re.sub(rb"(?im)^(content-length|l)\s*:\s*\d+", b"\\1: %d" % len(body), head) + b"\r\n\r\n" + body

    def _impair(self, way, from_phone, octets):
        now = time.monotonic()
        if now < self._dead_until or self.chance.random() < self.loss:
            self.lost += 1
            return
        for _ in range(2 if self.chance.random() < self.duplicate else 1):
            delay = self.delay_s + self.jitter_s * self.chance.random() + (HELD_BACK_S if self.chance.random() < self.reorder else 0)
            self._number += 1
            heapq.heappush(self._queue, (now + delay, self._number, way, from_phone, octets))

    def _send(self, way, from_phone, octets):
        destination = way.switch if from_phone else way.phone
        if destination is None:
            return
        try:
            (way.back if from_phone else way.front).sendto(octets, destination)
            self.passed += 1
        except OSError:
            pass                        # nobody listens there any more


def call_over(rig, near, case, seconds=11.0, count=2, seed=7):
    """Calls of a telephone behind a bad network to one that is not, long enough for RTCP's reports (each 5 s) to tell the delay.  near: a Phone that answers by itself.

    Returns {"calls", "answered", "cdrs", "rang" (INVITEs that the near phone saw), "mos", "r", "lost_share"} of the far leg, worst call."""
    more = dict(CASES[case])
    rebind, partition_s = more.pop("rebind", False), more.pop("partition_s", 0)
    passwords = {row["name"]: row["password"] for row in rig.product.get("/configuration")["configuration"]["lines"]}
    known = {row["call"] for row in rig.product.get("/calls?limit=50")["calls"]}
    rang, found = near.mark(), {"calls": count, "answered": 0, "mos": None, "r": None, "lost_share": 0.0}
    with ImpairedNetwork(rig.sip_port, seed=seed, **more) as network:
        with Phone("1004", passwords["1004"], network.port, play_file=rig.impaired_file, repeat=True) as far:
            for _ in range(count):
                mark = far.mark()
                far.dial(near.user)
                try:
                    far.wait_for("answered", 40, since=mark)
                except TimeoutError:
                    continue
                found["answered"] += 1
                time.sleep(seconds / 2)
                if rebind:
                    network.rebind()
                if partition_s:
                    network.partition(partition_s)
                    time.sleep(partition_s)
                time.sleep(seconds / 2)
                far.hangup()
                rig.wait(lambda s: not s["calls"], 90, "the end of the call")
    new = [row for row in rig.product.get("/calls?limit=50")["calls"] if row["call"] not in known]
    found["cdrs"] = len(new)
    found["rang"] = len(near.events("incoming", rang)) or len(near.events("answered", rang))
    found["ended"] = ["%s, cause %s by %s after %.1f s" % (row["result"], row["cause"], row["released_by"], (row["ended_ms"] - row["started_ms"]) / 1000) for row in new]
    for row in new:
        records = rig.product.get("/calls/" + row["call"])["records"]
        first = min((record["leg"] for record in records if record["leg"]), key=lambda leg: int(leg[1:]))
        for record in records:
            if record["kind"] == "leg.quality" and record["leg"] == first:
                came = record["data"]["quality"]["in"]
                if came["r"] is not None and (found["r"] is None or came["r"] < found["r"]):
                    found.update(r=came["r"], mos=came["mos"], lost_share=(came["lost"] + came["discarded"]) / max(1, came["packets"]))
    return found


def results(cases=tuple(CASES)):
    """Rows for make bench: quality and what came of the calls, by case; the table goes to build/networks/ (hil/load/networks.py)."""
    from hil import speech
    from hil.load import networks
    rows, table = [], []
    with scratch.folder("impaired-") as folder, Rig(os.path.join(folder, "house")) as rig:
        rig.start(exchange=False)
        rig.impaired_file = speech.make(os.path.join(folder, "said.wav"), seed=5, seconds=20)
        for agent in ("1001", "1002", "1003", "1004"):
            rig.product.put("/agents/%s/status" % agent, {"status": "logged_out"})
        near = rig.phone("1003", play_file=rig.impaired_file, record_file=os.path.join(folder, "near.wav"))
        for case in cases:
            before = len(near.recordings)
            found = call_over(rig, near, case)
            rig.wait(lambda s: len(near.recorded()) - before >= found["answered"], 20, "the recordings of the near telephone")      # written when its calls have ended
            found["correlation"] = likeness(rig.impaired_file, near.recordings[before:])
            table.append((case, found))
            rows.append({"name": "sip.impaired.%s.mos" % case, "value": found["mos"], "unit": "MOS", "reference": "clean G.711, G.107", "reference_value": 4.41,
                         "ratio": None if found["mos"] is None else found["mos"] / 4.41})
            rows.append({"name": "sip.impaired.%s.wrong_counts" % case, "unit": "calls", "reference": "one CDR and one ring a call",
                         "reference_value": None, "ratio": None, "value": networks.wrong(found)})
            print(case, found, flush=True)
            networks.write(table, list(CASES))
    return rows


def likeness(said, recordings):
    """The least correlation of what the telephone heard in each of the calls with what was said at their other end; None where nothing of it was heard."""
    from hil.probes import align, wav
    sent, found = wav.read_mono(said), []
    for heard, _ in recordings:
        try:
            found.append(align.compare(sent, wav.read_mono(heard)).correlation)
        except (LookupError, ValueError):
            return None
    return min(found) if found else None


if __name__ == "__main__":
    import sys
    results(tuple(sys.argv[1].split(",")) if len(sys.argv) > 1 else tuple(CASES))      # the table as well: python -m hil.load.networks
