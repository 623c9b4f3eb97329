"""Helpers of the board's tests: the emulator as a process, a fake media, far ends as threads."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy

from hil import line as far

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def real_time(priority):
    """Ask for SCHED_FIFO for this thread; tests go on without."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError:
        pass


class Board:
    """`python -m hil.board` in a directory of its own."""

    def __init__(self, run_dir, spans=64):
        self.run_dir = str(run_dir)
        self.window_path = os.path.join(self.run_dir, "board", "window")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hil.board", "--run", self.run_dir, "--spans", str(spans)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.ready = self.process.stdout.readline()
        if not self.ready:
            raise RuntimeError(self.process.stderr.read())

    def line(self, span):
        return os.path.join(self.run_dir, "lines", "%d.sock" % span)

    def ask(self, **request):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(os.path.join(self.run_dir, "board", "control.sock"))
            client.sendall(json.dumps(request).encode() + b"\n")
            with client.makefile() as answers:
                return json.loads(answers.readline())

    def status(self, span):
        return self.ask(do="status", span=span)["lines"][0]

    def wait(self, span, condition, seconds=5.0):
        """Wait until condition(status of span); returns the status."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.status(span)
            if condition(status):
                return status
            if time.monotonic() > deadline:
                raise AssertionError("span %d stayed %r" % (span, status))
            time.sleep(0.02)

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


class Worker(threading.Thread):
    """A thread that repeats step() until stop()."""

    def __init__(self, priority=0):
        super().__init__(daemon=True)
        self._priority, self._end = priority, threading.Event()
        self.error = None

    def run(self):
        if self._priority:
            real_time(self._priority)
        try:
            while not self._end.is_set():
                self.step()
        except (OSError, ConnectionError) as error:
            self.error = error

    def stop(self):
        self._end.set()
        self.join(10)


class LoopMedia(Worker):
    """Media that sends each frame back: numpy over the window, as the timing of the contract asks."""

    def __init__(self, window):
        super().__init__(45)
        self.window = window
        window.set("media_owner", os.getpid())
        window.set("media_generation", window.get("media_generation") + 1)
        self.head = window.get("rx_head")

    def step(self):
        window, ring = self.window, self.window.ring_frames
        while window.get("rx_head") <= self.head:
            if self._end.is_set():
                return
            time.sleep(0.0005)
        rows = (self.head + numpy.arange(80)) % ring
        tx = window.get("tx_head")
        window.tx[(tx + numpy.arange(80)) % ring] = window.rx[rows]
        window.set("tx_written", tx + 80)
        self.head += 80


class Peer(Worker):
    """A far end: answers each block at once; source(n) gives payload n, sink(n, frames) takes aligned frames."""

    def __init__(self, path, source=None, sink=None, crc4=False, cas=False):
        super().__init__(42)
        self.client = far.LineClient(path)
        self.framer, self.checker = far.E1Framer(crc4, cas), far.E1Checker(crc4, cas)
        self.source, self.sink, self.blocks = source, sink, 0
        self.replace = None                    # octets to send instead of a framed block
        self.received = b""

    def step(self):
        self.received = self.client.receive()
        payload = self.source(self.blocks) if self.source else None
        self.client.send(self.replace or self.framer.block(payload))
        frames = self.checker.take(self.received)
        if self.sink:
            self.sink(self.blocks, frames)
        self.blocks += 1

    def stop(self):
        super().stop()
        self.client.close()
