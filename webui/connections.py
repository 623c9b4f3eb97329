"""Connections that say nothing are closed: the TLS handshake and the head of each request have a time limit.

Neither takes a page thread, but each holds a descriptor, and a process has a bounded number of these.
The same limit is set for both, 10 s (invented): a browser opens connections ahead of need, keeps them silent, and opens another
one without telling its user when the server closes them.
"""

import asyncio
import functools
import resource

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10
DESCRIPTORS = 16384         # wanted; the hard limit may be lower


class Punctual(H11Protocol):
    """HTTP/1.1 whose request heads (RFC 9112 clause 2.1) must come within HEAD_S of their first octet, the first one
    within HEAD_S of the connection.  Between two requests uvicorn's keep-alive time counts."""

    head_s = HEAD_S
    _late = None

    def connection_made(self, transport):
        super().connection_made(transport)
        self._late = self.loop.call_later(self.head_s, self._close)

    def data_received(self, data):
        super().data_received(data)
        between = self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE
        if not between:
            self._forget()
        elif self._late is None and self.conn.trailing_data[0]:
            self._late = self.loop.call_later(self.head_s, self._close)

    def connection_lost(self, exc):
        self._forget()
        super().connection_lost(exc)

    def _forget(self):
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close(self):
        self._late = None
        self.transport.close()


class Server(uvicorn.Server):
    """uvicorn, which has no setting of its own for the time of the TLS handshake (asyncio's default is 60 s)."""

    async def startup(self, sockets=None):
        loop = asyncio.get_running_loop()
        plain = loop.create_server
        loop.create_server = functools.partial(plain, ssl_handshake_timeout=HEAD_S)
        try:
            await super().startup(sockets=sockets)
        finally:
            del loop.create_server


def more_descriptors():
    """Raise the soft limit of open files: some connections too many must not keep others out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
