"""The kernels of dsp/ as the engine takes them: capsules, states, digit tones."""

import functools

from dsp import amd, dtmf, echo, fsk, g722, g726, hdlc, isa, level, mf, modem, noise, plc, progress, tone, vad, wsola
from firmware.media import _engine

MODEM_TONES, ANSWERS, ANSWER_PARAMETERS = modem.NAMES, amd.NAMES, amd.PARAMETERS
LEVELS = ("off", "agc", "alc")      # what a leg's level control may be; the engine knows the place here

CHECK_TONES = {f"check_{hz}": {"frequencies_hz": [hz], "level_dbm0": -12} for hz in (2000, 2010)}       # Q.724 7.1; T1.113.4

assert wsola.STATE_OCTETS == _engine.STRETCH_OCTETS


class Kernels:
    """Built once a process; the engine keeps it alive.

    capsule(kernel, name): PyCapsule of a C function, built for this processor.
    states: {"dtmf": array, ...}; digit_table, digit_tones: the tones of the keypad.
    mf_tables: the receivers of register signals, by plan; register_table, register_tones: what they are sent by.
    level_presets: the numbers of the engine's level controls, by place in LEVELS."""

    def __init__(self):
        makers = {"echo": echo.new_state, "long": functools.partial(echo.new_state, partitions=echo.TAIL_128_MS), "noise": noise.new_state, "level": level.new_state, "vad": vad.new_state,
                  "dtmf": dtmf.new_state, "modem": modem.new_state, "amd": amd.new_state, "mf": mf.new_state,
                  "progress": progress.new_state, "fsk": fsk.new_rx_state, "tone": tone.new_state, "plc": plc.new_state, "g722": g722.new_state, "g726": g726.new_state,
                  "hdlc_rx": hdlc.new_rx_state, "hdlc_tx": hdlc.new_tx_state}
        self.states = {name: makers[name](slots) for name, slots in _engine.STATES}
        self.level_presets = [level.parameters(**level.PRESETS[name]) if name in level.PRESETS else (0.0,) * 5
                              for name in LEVELS]
        self.mf_tables = {plan: mf.table(plan) for plan in _engine.MF_PLANS}
        self.fsk_tables = {plan: fsk.table(plan) for plan in _engine.FSK_PLANS}
        self.register_table, self.register_tones = tone.compile_plan({**mf.plan(), **CHECK_TONES})
        self.digit_table, names = tone.compile_plan({})
        self.digit_tones = {name[5:]: number for name, number in names.items() if name.startswith("dtmf_")}

    def hdlc_counters(self, index):
        """Counters of one link: {"frames", "fcs_errors", "aborts", ...}."""
        row = hdlc.rx_view(self.states["hdlc_rx"])[index]
        names = hdlc.RX_COUNTERS + (("repeats", "errors") if row["mtp2"] else ())
        return {name: int(row[name]) for name in names}

    def set_mtp2(self, index, on):
        """Whether a link, not open yet, carries signal units."""
        hdlc.set_mtp2(self.states["hdlc_rx"], self.states["hdlc_tx"], index, on)

    def tell(self, index, errors, repeats):
        """What the receiver of a link of signal units hands up at once, without a new unit."""
        hdlc.rx_view(self.states["hdlc_rx"])["tell"][index] = errors * hdlc.TELL_ERRORS | repeats * hdlc.TELL_REPEATS

    def capsule(self, kernel, name):
        """The PyCapsule of one function.  Raises ImportError when it is not built."""
        return isa.capsules(kernel)[name]
