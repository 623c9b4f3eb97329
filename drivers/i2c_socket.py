"""An I2C bus at the other end of a Unix socket, with the calls of smbus2.SMBus: the desktop's bus.

The socket is opened by somebody else (SOCK_SEQPACKET, connected).  One message a call and one an answer, JSON:
{"call": "read_byte_data", "arguments": [72, 0], "pec": 0} -> {"value": 25} or {"errno": 6}.  An end that is silent or
gone is a bus that is stuck (ETIMEDOUT) or absent (ENXIO)."""

import errno
import json
import os
import threading

TIMEOUT_S = 1.0


class SocketBus:
    """sock: connected."""

    def __init__(self, sock):
        self._sock, self._lock, self.pec = sock, threading.Lock(), 0
        self._sock.settimeout(TIMEOUT_S)

    def _call(self, name, arguments):
        with self._lock:
            try:
                self._sock.send(json.dumps({"call": name, "arguments": arguments, "pec": self.pec}).encode())
                octets = self._sock.recv(65536)
            except TimeoutError:
                raise OSError(errno.ETIMEDOUT, "the emulated bus is silent") from None
            except OSError as error:
                raise OSError(errno.ENXIO, "the emulated bus is gone: %s" % error) from error
        if not octets:
            raise OSError(errno.ENXIO, "the emulated bus is gone")
        answer = json.loads(octets)
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        return answer["value"]

    def close(self):
        """Close the socket."""
        self._sock.close()


def _method(name):
    def call(self, *arguments):
        return self._call(name, [list(argument) if isinstance(argument, (bytes, bytearray, tuple)) else argument
                                 for argument in arguments])
    call.__name__ = name
    call.__doc__ = "As smbus2.SMBus.%s." % name
    return call


for _name in ("read_byte", "write_byte", "read_byte_data", "write_byte_data", "read_word_data", "write_word_data",
              "read_block_data", "write_block_data", "read_i2c_block_data", "write_i2c_block_data"):
    setattr(SocketBus, _name, _method(_name))
