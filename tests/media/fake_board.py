"""A board window that a test advances, and the media process on it.

The layout is the contract's, written down here a second time: nothing of
drivers/ is used, so a window that is laid out differently fails the tests.
"""

import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import msgpack
import numpy

from firmware.media.threads import die_with_parent

ROOT = pathlib.Path(__file__).parents[2]
SPANS, TIMESLOTS, RING, BLOCK = 64, 32, 2048, 80
FRAME = SPANS * TIMESLOTS
RX, CAS_RX = 4096, 4096 + 2 * RING * FRAME
TX = RX + RING * FRAME
SIZE = CAS_RX + 4 * 4096


TICK_S, SPACING_S = 0.010, 0.005       # SPACING_S: the least from the end of one instant to the next
GRACE_S, LOOK_S = 0.15, 0.0005         # as long a board may wait: media takes one that stands for 250 ms for dead
PATIENCE = 3                           # instants in a row that media may owe before it is not waited for: dead, or gone


class Board:
    """Advances each 10 ms.  send[(span, timeslot)]: octets to put in, 80 a block;
    heard[(span, timeslot)]: list of blocks taken out, for the timeslots in `listen`.

    It shares processors and Python's lock with the tests, so it may itself be held up anywhere, and media too.  Its time stands still
    meanwhile, as the emulator's does (hil/board/tick.c): no instant follows the end of the one before in less than SPACING_S, and one whose
    block media still owes waits for it.  So a miss is a block that media did not write in GRACE_S: a fault, whatever else ran."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder) / "window"
        self.path.write_bytes(b"\0" * SIZE)
        self.memory = numpy.memmap(self.path, numpy.uint8, "r+")
        self.u32, self.u64 = self.memory.view("<u4"), self.memory.view("<u8")
        for offset, value in ((0x004, 1), (0x008, SPANS), (0x00C, RING), (0x010, 8000), (0x014, TIMESLOTS),
                              (0x018, RX), (0x01C, TX), (0x020, CAS_RX), (0x024, CAS_RX + 2048),
                              (0x028, CAS_RX + 4096), (0x02C, 64), (0x030, BLOCK), (0x034, 1), (0x038, 0xD5)):
            self.u32[offset // 4] = value
        self.rx = self.memory[RX:TX].reshape(RING, SPANS, TIMESLOTS)
        self.tx = self.memory[TX:CAS_RX].reshape(RING, SPANS, TIMESLOTS)
        self.rx[:] = 0xD5
        self.u32[0] = 0x57525453
        self.send, self.heard, self.missed = {}, {}, 0
        self.far_end, self._taken = {}, {}     # (span, timeslot): f(80 octets from us) -> the 80 that come back at once
        self._idle = {}
        self.blocks = 0
        self._owed = PATIENCE                  # instants in a row without a block of media
        self.lock = threading.Lock()
        self._end = threading.Event()
        self._thread = None

    def start(self):
        """Advance in a thread until close()."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _run(self):
        due = time.monotonic()
        while not self._end.is_set():
            due += TICK_S
            time.sleep(max(0, due - time.monotonic()))
            self._wait_for_media()
            self.step()
            # Looked at behind the instant: it may have been held up before, within, or by the lock.
            due = max(due, time.monotonic() - TICK_S + SPACING_S)

    def _wait_for_media(self):
        """Until the block of this instant is written, if media has written lately."""
        limit = time.monotonic() + GRACE_S
        while self._owed < PATIENCE and not self._is_written() and time.monotonic() < limit:
            time.sleep(LOOK_S)

    def _is_written(self):
        return int(self.u64[0x048 // 8]) + BLOCK <= int(self.u64[0x080 // 8])

    def step(self):
        """One instant: take 80 frames out, put 80 in."""
        with self.lock:
            tx_head, rx_head = int(self.u64[0x048 // 8]), int(self.u64[0x040 // 8])
            ours = self._is_written()
            if not ours and self.u64[0x080 // 8]:
                self.missed += 1
            self._owed = 0 if ours else self._owed + 1
            at = numpy.arange(tx_head, tx_head + BLOCK) % RING
            for key, blocks in self.heard.items():
                block = self.tx[at, key[0] - 1, key[1]] if ours else numpy.full(BLOCK, 0xD5, numpy.uint8)
                blocks.append(bytes(block))
            self.u64[0x048 // 8] = tx_head + BLOCK
            at = numpy.arange(rx_head, rx_head + BLOCK) % RING
            for key, octets in list(self.send.items()):
                block = numpy.full(BLOCK, 0xD5, numpy.uint8)
                block[:len(octets[:BLOCK])] = numpy.frombuffer(octets[:BLOCK], numpy.uint8)
                self.rx[at, key[0] - 1, key[1]] = block
                if octets:
                    self.send[key] = octets[BLOCK:]
                elif self.emptied(key):
                    del self.send[key]
            taken = numpy.arange(tx_head, tx_head + BLOCK) % RING
            for key, answer in list(self.far_end.items()):     # a test adds some meanwhile
                # What was taken at the last instant has been on the line since.
                self.rx[at, key[0] - 1, key[1]] = answer(self._taken.get(key, numpy.full(BLOCK, 0xD5, numpy.uint8)))
                self._taken[key] = (self.tx[taken, key[0] - 1, key[1]] if ours else numpy.full(BLOCK, 0xD5, numpy.uint8))
            self.u64[0x040 // 8] = rx_head + BLOCK
            self.blocks += 1

    def emptied(self, key):
        """The whole ring must be idle again before a timeslot may be left alone."""
        self._idle[key] = self._idle.get(key, 0) + 1
        return self._idle[key] > RING // BLOCK and not self._idle.pop(key) is None

    def say(self, span, timeslot, octets):
        """Send octets on a timeslot from the next block on."""
        with self.lock:
            self._idle.pop((span, timeslot), None)
            self.send[(span, timeslot)] = bytes(octets)

    def listen(self, span, timeslot):
        """Begin to collect what is sent on a timeslot."""
        with self.lock:
            self.heard[(span, timeslot)] = []

    def said(self, span, timeslot):
        """What has been collected: bytes."""
        with self.lock:
            return b"".join(self.heard[(span, timeslot)])

    def close(self):
        """Stop advancing."""
        self._end.set()
        if self._thread:
            self._thread.join()


class Media:
    """The media process and one connection to it."""

    def __init__(self, folder, ports="30000-30999"):
        self.folder = pathlib.Path(folder)
        self.ports = ports
        self.process = None
        self.epoch = 1                         # the highest that a test has used
        self.start()

    def start(self):
        environment = dict(os.environ, STROWGER_RUN=str(self.folder), STROWGER_BOARD=str(self.folder / "window"),
                           STROWGER_RTP_PORTS=self.ports, STROWGER_PROMPTS=str(self.folder / "prompts"))
        (self.folder / "media.ready").unlink(missing_ok=True)
        self.log = open(self.folder / "media.log", "ab")
        self.process = subprocess.Popen([sys.executable, "-m", "firmware.media"], cwd=ROOT, env=environment,
                                        stderr=self.log, stdout=self.log, preexec_fn=die_with_parent)
        deadline = time.monotonic() + 15
        while not (self.folder / "media.ready").exists():
            assert self.process.poll() is None, (self.folder / "media.log").read_text()
            assert time.monotonic() < deadline, "media did not become ready"
            time.sleep(0.02)

    def kill(self):
        """kill -9, as the tests of survival want it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(10)
        finally:
            self.log.close()


class Control:
    """A blocking peer of media.sock, independent of client.py."""

    def __init__(self, folder, epoch=1, hello=True):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(5)
        self.sock.connect(str(pathlib.Path(folder) / "media.sock"))
        self.epoch, self.seq, self.events = epoch, 0, []
        if hello:
            self.greeting = self.do("hello")

    def raw(self, do, **parameters):
        """One command and its reply, whatever it is."""
        self.seq += 1
        self.sock.send(msgpack.packb(dict(parameters, seq=self.seq, epoch=self.epoch, do=do)))
        while True:
            message = msgpack.unpackb(self.sock.recv(1 << 20))
            if "event" in message:
                self.events.append(message)
            elif message["seq"] == self.seq:
                return message

    def do(self, do, **parameters):
        """One command that must succeed."""
        reply = self.raw(do, **parameters)
        assert reply["ok"], reply
        return reply

    def audit(self):
        """All pages."""
        whole, after = {}, 0
        while after is not None:
            page = self.do("audit", after=after)
            after = page["next"]
            for name, value in page.items():
                if isinstance(value, list):
                    whole.setdefault(name, []).extend(value)
        return whole

    def event(self, kind, timeout_s=3.0, **fields):
        """Wait for an event with these fields and take it out."""
        deadline = time.monotonic() + timeout_s
        while True:
            for event in self.events:
                if event["kind"] == kind and all(event.get(k) == v for k, v in fields.items()):
                    self.events.remove(event)
                    return event
            left = deadline - time.monotonic()
            assert left > 0, f"no {kind} {fields}; there were {self.events}"
            self.sock.settimeout(left)
            try:
                self.events.append(msgpack.unpackb(self.sock.recv(1 << 20)))
            except TimeoutError:
                pass
            finally:
                self.sock.settimeout(5)

    def close(self):
        """Close the connection."""
        self.sock.close()


def wav(octets, code=6, channels=1):
    """A WAV file of law octets."""
    return (b"RIFF" + struct.pack("<I", 50 + len(octets)) + b"WAVEfmt "
            + struct.pack("<IHHIIHHH", 18, code, channels, 8000, 8000 * channels, channels, 8, 0)
            + b"fact" + struct.pack("<II", 4, len(octets) // channels) + b"data" + struct.pack("<I", len(octets)) + octets)
