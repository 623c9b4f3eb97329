"""The streaming process: `python -m firmware.streaming SOCKET MEMORY`, two descriptors; started by the media process alone (media/streams.py).

It carries the audio of streams between the rings of the media process and WebSockets, and ends when the socket does."""

import asyncio
import logging
import mmap
import os
import signal
import socket
import sys

import msgpack

from firmware.streaming.fax import FaxSession
from firmware.streaming.rings import Page
from firmware.streaming.session import Gate, Session

log = logging.getLogger("firmware.streaming")

MESSAGE_OCTETS = 65536
PUMP_S = 0.02
NICE = 10                       # after control and media; an audio of 2 s waits in the rings
GATES_MOST = 1000


class Streaming:
    """sock: of orders and events; memory: the rings."""

    def __init__(self, sock, memory):
        self._sock, self._memory = sock, memory
        self.sessions, self._gates = {}, {}
        self._goodbyes = set()
        self.over = asyncio.Event()

    def read(self):
        """Orders have come."""
        while True:
            try:
                data = self._sock.recv(MESSAGE_OCTETS)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.over.set()
                return
            order = msgpack.unpackb(data)
            getattr(self, "_do_" + order["do"])(order)

    def _do_open(self, order):
        name = order["id"]
        self._do_close(order)
        if order["purpose"] == "fax":
            self._open_fax(order)
            return
        if len(self._gates) > GATES_MOST:
            self._gates.clear()
        gate = self._gates.setdefault(order["url"], Gate())
        self.sessions[name] = Session(order, Page(self._memory, order["index"]), lambda what, **fields: self._say(dict(fields, id=name, what=what)), gate)

    def _open_fax(self, order):
        def say(what, **fields):
            self._say(dict(fields, id=order["id"], what=what))
        try:
            self.sessions[order["id"]] = FaxSession(order, Page(self._memory, order["index"]), say)
        except (ImportError, MemoryError, ValueError, UnicodeError) as error:
            log.error("stream %s: no fax: %s", order["id"], error)
            say("failed", error="this box has no fax modem (%s)" % error)

    def _do_tell(self, order):
        session = self.sessions.get(order["id"])
        if session is not None:
            session.tell(order["message"])

    def _do_close(self, order):
        session = self.sessions.pop(order["id"], None)
        if session is not None:
            task = asyncio.ensure_future(session.close())
            self._goodbyes.add(task)
            task.add_done_callback(self._goodbyes.discard)

    def _say(self, event):
        try:
            self._sock.send(msgpack.packb(event))
        except BlockingIOError:         # media has stood still for long: the next life of this process is told anew
            self.over.set()
        except OSError:
            self.over.set()

    async def run(self):
        """Until media is gone."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._sock, self.read)
        due = loop.time()
        while not self.over.is_set():
            for session in list(self.sessions.values()):
                session.pump()
            due = max(due + PUMP_S, loop.time())
            await asyncio.sleep(due - loop.time())


async def _main(descriptor, memory):
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    with mmap.mmap(memory, 0) as rings:
        streaming = Streaming(sock, rings)
        await streaming.run()
        os._exit(0)                     # views of the rings are still held, and there is nobody to say good-bye to


def main():
    """Returns the exit code."""
    logging.basicConfig(level=os.environ.get("STROWGER_LOG", "INFO"), format="%(asctime)s streaming %(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # of a terminal: media ends us
    try:
        os.nice(NICE)
    except OSError:
        pass
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
