"""A crossed cable: the line sockets of two directories joined, no board between.

    with Cable(near_dir, far_dir, spans=[1, 2]):
        ... a far end on each directory, one side "network", one side "cpe"

Stands in for the board where far ends talk to each other: it listens at
<dir>/lines/<n>.sock in both directories, sends each connected peer one E1
block every 10 ms and hands what it answers to the other side with the next.
Its time is that of the slowest: the next block goes when every peer has
answered the last one (or has been silent for SILENT_S), so a host that stalls
makes a call longer and costs it no octet.
What is not there is all ones.  Timeslots are not switched, framing passes
through as it is.  `tamper(direction, span, block) -> block` may change blocks:
direction is 0 for near to far, 1 for far to near; block is bytes of 2560.
"""

import os
import pathlib
import select
import socket
import threading
import time

BLOCK_OCTETS = 80 * 32
ALL_ONES = b"\xff" * BLOCK_OCTETS
SILENT_S = 1.0


class Cable:
    """Threaded line server for two directories. `given(span)`: how many blocks each end has been handed."""

    def __init__(self, near_dir, far_dir, spans, tamper=None):
        self.spans = list(spans)
        self.tamper = tamper
        self._ends = []
        for directory in (near_dir, far_dir):
            lines = pathlib.Path(directory) / "lines"
            lines.mkdir(parents=True, exist_ok=True)
            self._ends.append([_End(lines / f"{span}.sock") for span in self.spans])
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        for end in self._ends[0] + self._ends[1]:
            end.close()

    def given(self, span):
        """(near, far): blocks handed to the peers of a span; both get theirs in the same turn of the cable."""
        with self._turn:
            return tuple(ends[self.spans.index(span)].given for ends in self._ends)

    def _run(self):
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(40))
        except OSError:
            pass    # the cable is then as slow as the machine
        due = time.monotonic()
        while not self._stop.is_set():
            self._await_answers()
            with self._turn:
                for index, span in enumerate(self.spans):
                    pair = [self._ends[0][index], self._ends[1][index]]
                    blocks = [end.take() for end in pair]
                    for way in (0, 1):
                        block = blocks[way]
                        if self.tamper:
                            block = self.tamper(way, span, block)
                        pair[1 - way].give(block)
            due += 0.010
            delay = due - time.monotonic()
            if delay > 0:
                time.sleep(delay)
            else:
                due = time.monotonic()      # never bunch blocks

    def _await_answers(self):
        deadline = time.monotonic() + SILENT_S
        waiting = [end for end in self._ends[0] + self._ends[1] if end.peer is not None and end.asked and not end.silent]
        while waiting and not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            answered = select.select([end.peer for end in waiting], [], [], left)[0]
            waiting = [end for end in waiting if end.peer not in answered]
        for end in waiting:
            end.silent = True


class _End:
    """One line socket: at most one peer."""

    def __init__(self, path):
        self.path = path
        path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.peer = None
        self.asked = False       # it owes an answer
        self.silent = False      # it is not waited for until it answers again
        self.given = 0

    def take(self):
        """The peer's answer to the last block, or all ones."""
        if self.peer is None:
            if select.select([self.listener], [], [], 0)[0]:
                self.peer, _ = self.listener.accept()
                self.peer.setblocking(False)
                self.asked = self.silent = False
            return ALL_ONES
        try:
            block = self.peer.recv(BLOCK_OCTETS + 1)
        except BlockingIOError:
            return ALL_ONES
        except OSError:
            block = b""
        if len(block) != BLOCK_OCTETS:
            self.peer.close()
            self.peer = None
            return ALL_ONES
        self.asked = self.silent = False
        return block

    def give(self, block):
        if self.peer is None:
            return
        try:
            self.peer.send(block)
            self.asked = True
            self.given += 1
        except BlockingIOError:
            pass
        except OSError:
            self.peer.close()
            self.peer = None

    def close(self):
        if self.peer is not None:
            self.peer.close()
        self.listener.close()
        self.path.unlink(missing_ok=True)
