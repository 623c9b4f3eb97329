"""Answers of the API that are made while they are sent: traces and exports, which may be larger than memory.

A Stream is the answer; the API sends its pieces as the reader takes them.  One that comes from a process of its own is child():
the process ends when the reader goes away, takes nothing for IDLE_S, or all is said.  `least`: octets that must have come before the
answer begins; a process that fails before them is an error of the API with its last line, one that fails later breaks the
answer off, so that nobody takes half for the whole.
"""

import asyncio
import sys

from firmware.errors import LocalError

PIECE_OCTETS = 65536
BEGIN_S = 120.0         # a process at the lowest priority on a busy machine; ours
IDLE_S = 120.0
AT_ONCE = 3             # processes that read for somebody; ours


class Stream:
    """kind: content type; pieces: async iterator of octets; close: called once, whatever happens."""

    def __init__(self, kind, pieces, close=None):
        self.kind, self.pieces, self.close = kind, pieces, close or (lambda: None)


class Children:
    """The processes that read for streams."""

    def __init__(self):
        self._running = 0

    async def child(self, arguments, question, kind, what, failed=None):
        """A Stream of what `python -m arguments...` writes, given question (octets) at its input.  Raises LocalError."""
        if self._running >= AT_ONCE:
            raise LocalError("%d answers of this kind are being read just now; wait for one to end" % self._running)
        self._running += 1
        process = None
        try:
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", *arguments, stdin=asyncio.subprocess.PIPE,
                                                           stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
            process.stdin.write(question)
            process.stdin.close()
            first = await asyncio.wait_for(process.stdout.read(PIECE_OCTETS), BEGIN_S)
            if not first and await asyncio.wait_for(process.wait(), BEGIN_S):
                raise LocalError("%s cannot be read: %s" % (what, await _last_line(process)))
        except BaseException as error:
            self._end(process)
            if isinstance(error, asyncio.TimeoutError):
                raise LocalError("%s was not begun within %d s; the machine is busy, try again" % (what, BEGIN_S)) from None
            raise

        async def pieces():
            piece = first
            while piece:
                yield piece
                piece = await asyncio.wait_for(process.stdout.read(PIECE_OCTETS), IDLE_S)
            if await process.wait():
                raise LocalError("%s broke off: %s" % (what, await _last_line(process)))
        return Stream(kind, pieces(), lambda: self._end(process))

    def _end(self, process):
        self._running -= 1
        if process is not None:
            process._transport.close()      # kills it where it runs, and closes the pipes


async def _last_line(process):
    text = (await process.stderr.read(PIECE_OCTETS)).decode(errors="replace").strip()
    return (text.splitlines() or ["no reason given"])[-1][:300]
