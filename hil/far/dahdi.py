"""A far exchange on a span of DAHDI: an E1 line socket on one side, the channels of the span on the other.

    with DAHDIGateway(folder, span=2, first=32) as gateway:        # folder/lines/2.sock; channels 32 to 62
        FarExchange(folder, spans=[2])
        gateway.figures()

A process of its own, written apart from drivers/tdm: plain blocking reads and writes of octets; every channel, the D channel too, is a clear one
(bchan), so HDLC is the exchange's.  Its clock is the card's: what comes is what it sends by, block for block.

As a command: python -m hil.far.dahdi FOLDER SPAN FIRST; each line on its standard input is answered with its figures.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import pathlib
import select
import signal
import struct
import subprocess
import sys
import threading

from hil.far.pseudowire import BLOCK, CHECKOUT, FRAMES, IDLE, SLOTS, Line

SPECIFY, GETEVENT, AUDIOMODE, SET_BUFINFO, FLUSH = 0x4004DA26, 0x8004DA08, 0x4004DA20, 0x4018DA1B, 0x4004DA03      # <dahdi/user.h>
ELAST, BUFFERS, AHEAD = 500, 32, 3


def open_channel(number):
    """A descriptor of a channel of octets, blocks of 80 of them.  Raises OSError."""
    fd = os.open("/dev/dahdi/channel", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, SPECIFY, struct.pack("=i", number))
    with contextlib.suppress(OSError):          # a channel with CAS refuses it: it is never anything else
        fcntl.ioctl(fd, AUDIOMODE, struct.pack("=i", 1))
    fcntl.ioctl(fd, SET_BUFINFO, struct.pack("=6i", 0, 0, BUFFERS, FRAMES, 0, 0))
    return fd


def again(fd, move):
    """What a read or write gives once the channel's events are fetched; None where it has nothing, or no room."""
    while True:
        try:
            return move()
        except OSError as error:
            if error.errno == ELAST:
                fcntl.ioctl(fd, GETEVENT, bytearray(4))
            elif error.errno == errno.EAGAIN:
                return None
            else:
                raise


class Gateway:
    """The process."""

    def __init__(self, folder, span, first):
        self.line = Line(pathlib.Path(folder) / "lines" / f"{span}.sock")
        self.channels = [open_channel(first + slot - 1) for slot in range(1, SLOTS)]
        self.count = {"blocks": 0, "uneven": 0, "no_room": 0, "alone": 0}

    def run(self):
        """Until standard input ends."""
        for fd in self.channels:
            fcntl.ioctl(fd, FLUSH, struct.pack("=i", 3))
        ahead, last = AHEAD, self.channels[-1]      # flushed last, and served last by the card: the others have what it has
        while True:
            ready = select.select([0, last], [], [], 1.0)[0]
            if 0 in ready:
                if not os.read(0, 4096):
                    return
                print(json.dumps(self.count), flush=True)
            if last in ready and (final := again(last, lambda: os.read(last, FRAMES))) is not None:
                for _ in range(ahead):
                    self.write(bytes([IDLE]) * BLOCK)
                ahead = 0
                self.serve(final)

    def serve(self, final):
        block = bytearray([IDLE]) * BLOCK
        block[0::2 * SLOTS], block[SLOTS::2 * SLOTS] = b"\x9b" * (FRAMES // 2), b"\xdf" * (FRAMES // 2)
        for slot, fd in enumerate(self.channels, 1):
            octets = final if fd == self.channels[-1] else again(fd, lambda fd=fd: os.read(fd, FRAMES))
            if octets is not None and len(octets) == FRAMES:
                block[slot::SLOTS] = octets
            else:
                self.count["uneven"] += 1
        self.count["blocks"] += 1
        answer = self.line.exchange(bytes(block))
        self.count["alone"] += answer is None
        self.write(answer or bytes([IDLE]) * BLOCK)

    def write(self, block):
        for slot, fd in enumerate(self.channels, 1):
            octets = block[slot::SLOTS]
            if again(fd, lambda fd=fd, octets=octets: os.write(fd, octets)) is None:
                self.count["no_room"] += 1


class DAHDIGateway:
    """The gateway's process, driven.  first: number of the span's first channel."""

    def __init__(self, folder, span, first):
        self.arguments = [str(folder), str(span), str(first)]
        self._turn, self.process = threading.Lock(), None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Begin.  Raises RuntimeError when it ends at once."""
        self.process = subprocess.Popen([sys.executable, "-m", "hil.far.dahdi", *self.arguments], cwd=CHECKOUT, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, bufsize=1, preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGTERM))
        if not self.process.stdout.readline():
            raise RuntimeError(f"The DAHDI gateway ended at once with {self.process.wait()}; its last words are above.")
        return self

    def figures(self):
        """Blocks exchanged; channels that had none when the last had one; writes without room; blocks without an exchange."""
        with self._turn:
            self.process.stdin.write("figures\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("The DAHDI gateway has ended.")
        return json.loads(line)

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
    gateway = Gateway(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(42))
    except OSError:
        pass
    print("ready", flush=True)
    gateway.run()


if __name__ == "__main__":
    main()
