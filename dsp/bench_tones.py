"""What the signalling receivers cost, beside spandsp in the same run: R2 and R1, fax and modem tones, FSK, answering machines.

    results() -> rows as dsp/bench.py has them
    python -m dsp.bench_tones

Real speech, 4,096 channels, 10 ms blocks, all slots, C pointers, thread CPU time, median of several runs (dsp/bench.py).
"""

import ctypes

import numpy as np

from dsp import amd, bench, fsk, isa, mf, modem

P, I64 = ctypes.c_void_p, ctypes.c_int64
CHANNELS = bench.CHANNELS


class Tones(bench.Bench):
    """Each method: (ns per sample of ours, of spandsp's or None)."""

    def with_table(self, kernel, table, state):
        """Cost of detect(table, state, slot, row, n, x, stride, events, max_events)."""
        call = ctypes.CFUNCTYPE(I64, P, P, P, P, I64, P, I64, P, I64)(isa.pointer(kernel, "detect"))
        events, slots = np.zeros(16 * CHANNELS, np.uint64), self.all.ctypes.data
        return self.ticks(lambda t: call(table.ctypes.data, state.ctypes.data, slots, slots, CHANNELS, self.blocks[t].ctypes.data, 80,
                                         events.ctypes.data, len(events)))

    def beside(self, init, receive, *arguments):
        """Cost of a receiver of spandsp that takes (state, samples, length)."""
        if not self.spandsp:
            return None
        state = self.state(init, *arguments)
        return self.seconds(lambda x: getattr(self.spandsp, receive)(state, P(x.ctypes.data), len(x)))

    def mf_r2(self):
        return self.with_table("_mf", mf.table("r2_forward"), mf.new_state(CHANNELS)), self.beside("r2_mf_rx_init", "r2_mf_rx", None, 1, None, None)

    def mf_r1(self):
        return self.with_table("_mf", mf.table("r1"), mf.new_state(CHANNELS)), self.beside("bell_mf_rx_init", "bell_mf_rx", None, None, None)

    def modem_tones(self):
        """spandsp looks for one tone at a time: its price is that of CNG alone."""
        call, state = bench.function("_modem", "detect"), modem.new_state(CHANNELS)
        events, control, slots = np.zeros(6 * CHANNELS, modem.EVENT_DTYPE), np.zeros(CHANNELS, np.uint8), self.all.ctypes.data
        ours = self.ticks(lambda t: call(state.ctypes.data, slots, slots, CHANNELS, self.blocks[t].ctypes.data, 80, control.ctypes.data, events.ctypes.data, len(events)))
        return ours, self.beside("modem_connect_tones_rx_init", "modem_connect_tones_rx", None, 1, None, None)

    def fsk(self):
        """Bell 202; spandsp's FSK receiver with its ADSI layer."""
        return self.with_table("_fsk", fsk.table("bell202"), fsk.new_rx_state(CHANNELS)), self.beside("adsi_rx_init", "adsi_rx", None, 1, self.nothing, None)

    def amd(self):
        """While it decides; the VAD apart. spandsp has none."""
        call, state = bench.function("_amd", "detect"), amd.new_state(CHANNELS)
        for slot in range(CHANNELS):
            amd.start(state, slot, total_ms=60000, initial_silence_ms=60000)
        events, said, slots = np.zeros(2 * CHANNELS, amd.EVENT_DTYPE), np.zeros(CHANNELS, np.uint8), self.all.ctypes.data
        return self.ticks(lambda t: call(state.ctypes.data, slots, slots, CHANNELS, self.blocks[t].ctypes.data, 80, said.ctypes.data, events.ctypes.data, len(events))), None


NAMES = ("mf_r2", "mf_r1", "modem_tones", "fsk", "amd")


def results():
    tones, rows = Tones(), []
    for name in NAMES:
        ours, theirs = getattr(tones, name)()
        rows.append({"name": f"dsp.{name}.ns", "value": round(ours, 4), "unit": "ns/sample/channel", "reference": "spandsp" if theirs else None,
                     "reference_value": None if theirs is None else round(theirs, 4), "ratio": None if theirs is None else round(theirs / ours, 1)})
    return rows


if __name__ == "__main__":
    for row in results():
        print("{name:24} {value:9.3f} {unit}   {reference} {reference_value}   ratio {ratio}".format(**row))
