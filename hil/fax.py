"""Fax machines from outside: spandsp's own terminals, driven sample by sample or packet by packet.

    sender = Machine("audio", True, send=tiff)             # speaks on a line: rx(int16), tx(n) -> int16
    receiver = Machine("t38", False, receive=tiff)         # speaks IFP: rx_ifp(octets, number), tick(n), packets()
    machine.result                                         # of T.30 phase E: 0 all went well; None: not over yet

Reached through ctypes: the product's gateway (firmware/media/_t38.pyx) is another part of the same library, so what this proves is the
gateway between two machines, not spandsp's T.38 against others; the octets on the wire are tshark's to judge.  Page files are TIFF."""

import ctypes
import ctypes.util

import numpy as np

HANDLER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint8), ctypes.c_int, ctypes.c_int)
PHASE_E = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)


def _library():
    name = ctypes.util.find_library("spandsp")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    for each in ("fax_init", "fax_get_t30_state", "t38_terminal_init", "t38_terminal_get_t30_state", "t38_terminal_get_t38_core_state"):
        getattr(library, each).restype = ctypes.c_void_p
    return library


LIBRARY = _library()


class Machine:
    """kind: "audio" or "t38".  calling: it has dialled.  send, receive: path of a TIFF file."""

    def __init__(self, kind, calling, send=None, receive=None, ecm=True):
        self.kind, self.result, self._out = kind, None, []
        library = LIBRARY
        self._handler, self._over = HANDLER(self._packet), PHASE_E(self._ended)      # kept: the library has only their addresses
        if kind == "audio":
            self.state = ctypes.c_void_p(library.fax_init(None, int(calling)))
            library.fax_set_transmit_on_idle(self.state, 1)
            self.t30 = ctypes.c_void_p(library.fax_get_t30_state(self.state))
        else:
            self.state = ctypes.c_void_p(library.t38_terminal_init(None, int(calling), self._handler, None))
            self.t30 = ctypes.c_void_p(library.t38_terminal_get_t30_state(self.state))
            self.core = ctypes.c_void_p(library.t38_terminal_get_t38_core_state(self.state))
        library.t30_set_tx_ident(self.t30, b"outside")
        library.t30_set_ecm_capability(self.t30, int(ecm))
        library.t30_set_supported_compressions(self.t30, 0x02 | 0x04 | 0x08)         # T.4 1D, 2D, T.6
        library.t30_set_supported_resolutions(self.t30, 0x01 | 0x02 | 0x04 | 0x10000 | 0x20000)
        if send is not None:
            library.t30_set_tx_file(self.t30, str(send).encode(), -1, -1)
        if receive is not None:
            library.t30_set_rx_file(self.t30, str(receive).encode(), -1)
        library.t30_set_phase_e_handler(self.t30, self._over, None)

    def _packet(self, _core, _user, octets, count, times):
        self._out += [bytes(octets[:count])] * times
        return 0

    def _ended(self, _t30, _user, result):
        self.result = result

    def rx(self, samples):
        """What comes over the line, int16 (n,)."""
        LIBRARY.fax_rx(self.state, samples.ctypes.data_as(ctypes.c_void_p), len(samples))

    def tx(self, count):
        """What it says, int16 (count,)."""
        samples = np.zeros(count, np.int16)
        LIBRARY.fax_tx(self.state, samples.ctypes.data_as(ctypes.c_void_p), count)
        return samples

    def tick(self, count):
        """Time goes on by so many samples; T.38 only."""
        LIBRARY.t38_terminal_send_timeout(self.state, count)

    def rx_ifp(self, octets, number):
        """One packet; T.38 only."""
        LIBRARY.t38_core_rx_ifp_packet(self.core, octets, len(octets), ctypes.c_uint16(number))

    def packets(self):
        """IFP packets to send since the last time; T.38 only."""
        out, self._out = self._out, []
        return out

    def close(self):
        """Free it."""
        getattr(LIBRARY, "fax_free" if self.kind == "audio" else "t38_terminal_free")(self.state)
