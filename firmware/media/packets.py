"""Who talks to the command thread: one peer of media.sock, its packets in and out.

Commands may stand behind each other in one packet, COMMANDS_MOST at most, each answered for itself.  They are worked on in turns of
TURN_S, so that nobody who asks for much keeps the others waiting: what is left of a packet waits for the next turn, and no further one is
read meanwhile.
"""

import collections
import selectors
import socket
import time

import msgpack

from firmware.errors import LocalError
from firmware.media.client import TOGETHER_MOST, fitting

MESSAGE_OCTETS = 262144
COMMANDS_MOST = TOGETHER_MOST
OUT_MOST = 1024                 # replies that wait; of who has more to fetch no command is taken
TURN_S = 0.02                   # ours


class Connection:
    """One peer.  cursor: number of the last event sent."""

    def __init__(self, sock):
        self.sock = sock
        self.out = []               # packed replies
        self.cursor = 0
        self.audit = []
        self.mask = selectors.EVENT_READ
        self.together = False       # takes several messages in a packet
        self._commands = collections.deque()        # of the packet that was read: maps, and errors in place of what is none

    def send(self, packed):
        """Send packed messages as they fit into a packet; returns how many have gone.  Raises OSError."""
        count = fitting(packed) if self.together else 1
        self.sock.send(b"".join(packed[:count]))
        return count

    @property
    def behind(self):
        """Whether commands wait that may be taken now."""
        return bool(self._commands) and len(self.out) <= OUT_MOST

    def turn(self, answer):
        """Take commands until none is there or the turn is over.  answer(message or LocalError): the reply, or None.  Returns False when the peer is gone."""
        over = time.monotonic() + TURN_S
        while len(self.out) <= OUT_MOST and time.monotonic() < over:
            if not self._commands:
                try:
                    data, _, flags, _ = self.sock.recvmsg(MESSAGE_OCTETS)
                except BlockingIOError:
                    return True
                except OSError:
                    return False
                if not data:
                    return False
                self._commands.extend(commands_of(data, flags))
            while self._commands and len(self.out) <= OUT_MOST and time.monotonic() < over:
                reply = answer(self._commands.popleft())
                if reply is not None:
                    self.out.append(msgpack.packb(reply))
        return True


def commands_of(data, flags):
    """What stands in a packet: maps, and at its end a LocalError where the rest is none or too much."""
    if flags & socket.MSG_TRUNC:
        return [LocalError(f"a command is longer than {MESSAGE_OCTETS} octets")]
    unpacker, found = msgpack.Unpacker(max_buffer_size=MESSAGE_OCTETS), []
    unpacker.feed(data)
    while unpacker.tell() < len(data):
        if len(found) == COMMANDS_MOST:
            return [*found, LocalError(f"a packet holds more than {COMMANDS_MOST} commands; those behind them were not taken: send them in another one")]
        try:
            message = unpacker.unpack()
        except Exception as error:      # msgpack raises many kinds on garbage
            message = error
        if not isinstance(message, dict):           # what stands behind it may be anything
            return [*found, LocalError("a command is no msgpack map")]
        found.append(message)
    return found
