"""The craft port: a line editor over an opened serial port (pyserial's interface: read, write, in_waiting).

poll() never waits longer than the port's own timeout.  What comes is octets of a person or of a fault on the line: only
printable ASCII gets into a line, a line has at most LINE_OCTETS, and a break or a flood does no harm."""

import serial

from firmware.errors import DriverError

LINE_OCTETS = 120
TAKE_OCTETS = 256        # at one poll: a port that babbles does not hold the caller
ENTER, ERASE, KILL, ABANDON = b"\r\n", b"\x08\x7f", b"\x15", b"\x03"


class CraftPort:
    """port: an opened serial.Serial with a timeout, or anything like it."""

    def __init__(self, port):
        self._port = port
        self._line, self._hidden, self._after_return = bytearray(), False, False

    def _do(self, operation, function, *arguments):
        try:
            return function(*arguments)
        except (OSError, serial.SerialException) as error:
            raise DriverError("craft port", operation, str(error)) from error

    def hide(self, hidden):
        """Whether what is typed is shown."""
        self._hidden = hidden

    def say(self, text):
        """Write text, lines ended as a terminal wants them; what is no ASCII becomes a question mark."""
        self._do("write", self._port.write, text.replace("\n", "\r\n").encode("ascii", "replace"))

    def poll(self):
        """Lines that were ended since the last poll, as text; "\\x03" where the line was abandoned (Ctrl-C)."""
        lines, echo = [], bytearray()
        for octet in self._do("read", self._port.read, TAKE_OCTETS):
            one = bytes([octet])
            if one in ENTER:
                if one == b"\n" and self._after_return:
                    self._after_return = False
                    continue
                self._after_return = one == b"\r"
                lines.append(self._line.decode("ascii"))
                self._line.clear()
                echo += b"\r\n"
                continue
            self._after_return = False
            if one in ERASE:
                if self._line:
                    self._line.pop()
                    echo += b"" if self._hidden else b"\b \b"
            elif one == KILL:
                echo += b"" if self._hidden else b"\b \b" * len(self._line)
                self._line.clear()
            elif one == ABANDON:
                self._line.clear()
                lines.append("\x03")
                echo += b"^C\r\n"
            elif 32 <= octet < 127 and len(self._line) < LINE_OCTETS:
                self._line.append(octet)
                echo += b"" if self._hidden else one
        if echo:
            self._do("write", self._port.write, bytes(echo))
        return lines
