"""A fax machine in a socket of an analog gateway that knows no T.38: the probe's SIP and RTP, G.711, and spandsp's T.30 (hil/fax.py) as the machine.

    phone = SoundFaxPhone("1003", password, port, clock=BoardClock(run_dir))
    phone.start(); phone.dial(...); phone.wait_for("answered", 30)
    phone.machine(send=tiff, calls=True)           # from now on the machine talks; or print=path
    phone.finish(240)                              # status of T.30 phase E; 0: all went well

A re-INVITE to T.38 is refused.  Imports nothing of the product."""

import time

import numpy as np

from hil.fax import Machine
from hil.phone.probe import ProbePhone
from hil.phone.probe_rtp import FRAME, alaw_table
from hil.probes import wav

TABLE = np.array(alaw_table(), np.int16)


class SoundFaxPhone(ProbePhone):
    """See the module's docstring."""

    def machine(self, *, send=None, print=None, calls=False):
        """Put the machine on the line of the present call."""
        self.fax = Machine("audio", calls, send=send, receive=print)
        self.stream.source, self.stream.sink = self._say, self._hear

    def _say(self):
        return wav.alaw_compress(self.fax.tx(FRAME)).tobytes()

    def _hear(self, packet):
        self.fax.rx(TABLE[np.frombuffer(packet.payload, np.uint8)])

    def finish(self, timeout_s):
        """Wait for the end of T.30 and of what is still to be said.  Returns its status.  Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while self.fax.result is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the machine of {self.user} has not finished in {timeout_s} s")
            time.sleep(0.1)
        time.sleep(0.5)
        return self.fax.result
