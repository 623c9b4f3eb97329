"""spandsp's bit error tester, as a generator and checker that knows nothing of ours.

    tester = BERT("prbs15")
    tester.octets(80)           # the next ones of the sequence, most significant bit first
    tester.take(octets)         # of a line
    tester.figures()            # {"bits": counted since it is in step, "wrong", "resyncs"}

In step after 300 good bits; bits before that are not counted.  Needs the package libspandsp2."""

import ctypes
import ctypes.util

import numpy

PATTERNS = {"prbs23": 8, "qrss": 9, "prbs15": 10, "prbs11": 11, "prbs9": 12}        # <spandsp/bert.h>: O.151, O.152 and O.153


class _Results(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("total_bits", "bad_bits", "resyncs")]


class BERT:
    """pattern: a name of PATTERNS.  Raises OSError without spandsp."""

    def __init__(self, pattern, resync_len=300, resync_percent=20):
        name = ctypes.util.find_library("spandsp")
        if name is None:
            raise OSError("spandsp is not installed; install the package libspandsp2")
        self._library = ctypes.CDLL(name)
        self._library.bert_init.restype = ctypes.c_void_p
        self._state = ctypes.c_void_p(self._library.bert_init(None, 0, PATTERNS[pattern], resync_len, resync_percent))

    def octets(self, count):
        """uint8 (count,)."""
        bit, state = self._library.bert_get_bit, self._state
        return numpy.packbits([bit(state) for _ in range(8 * count)])

    def take(self, octets):
        """bytes or uint8 of the line."""
        put, state = self._library.bert_put_bit, self._state
        for bit in numpy.unpackbits(numpy.frombuffer(bytes(octets), numpy.uint8)).tolist():
            put(state, bit)

    def figures(self):
        """What it has counted so far."""
        results = _Results()
        self._library.bert_result(self._state, ctypes.byref(results))
        return {"bits": results.total_bits, "wrong": results.bad_bits, "resyncs": results.resyncs}

    def close(self):
        """Free it."""
        self._library.bert_free(self._state)
