"""WebSockets that cost no more than their telephone needs: uvicorn's, with bounds on what a far end can have done to it.

A ping is answered by the protocol, not by the telephone (RFC 6455 5.5.2), so it is counted here; one who sends pings and reads no
answers would fill our memory with pongs.
"""

import time

from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

UNREAD_OCTETS = 256 << 10       # answers that a far end leaves unread; invented


class Allowance:
    """So many at once, and so many a second again.  time: monotonic seconds."""

    def __init__(self, at_once, a_second, clock=time.monotonic):
        self.most, self.rate, self.clock = at_once, a_second, clock
        self.left, self.at = float(at_once), clock()

    def take(self):
        """Whether there is one left."""
        now = self.clock()
        self.left = min(self.most, self.left + (now - self.at) * self.rate)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class WebSocket(WSProtocol):
    """Pings beyond PINGS at once and PINGS_A_SECOND end the connection, and so do pongs that nobody reads."""

    PINGS, PINGS_A_SECOND = 20, 2.0

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.pings = Allowance(self.PINGS, self.PINGS_A_SECOND)

    def handle_ping(self, event):
        if not self.pings.take() or self.transport.get_write_buffer_size() > UNREAD_OCTETS:
            self.transport.abort()
            return
        super().handle_ping(event)
