"""The kernels of dsp/ as the engine takes them: capsules, states, digit tones."""

from dsp import dtmf, hdlc, isa, plc, tone
from firmware.media import _engine


class Kernels:
    """Built once a process; the engine keeps it alive.

    capsule(kernel, name): PyCapsule of a C function, built for this processor.
    states: {"dtmf": array, ...}; digit_table, digit_tones: the tones of the keypad."""

    def __init__(self):
        makers = {"dtmf": dtmf.new_state, "tone": tone.new_state, "plc": plc.new_state,
                  "hdlc_rx": hdlc.new_rx_state, "hdlc_tx": hdlc.new_tx_state}
        self.states = {name: makers[name](slots) for name, slots in _engine.STATES}
        self.digit_table, names = tone.compile_plan({})
        self.digit_tones = {name[5:]: number for name, number in names.items() if name.startswith("dtmf_")}

    def hdlc_counters(self, index):
        """Counters of one link: {"frames", "fcs_errors", "aborts", ...}."""
        row = hdlc.rx_view(self.states["hdlc_rx"])[index]
        return {name: int(row[name]) for name in hdlc.RX_COUNTERS}

    def capsule(self, kernel, name):
        """The PyCapsule of one function.  Raises ImportError when it is not built."""
        return isa.capsules(kernel)[name]
