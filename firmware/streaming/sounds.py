"""Between the A-law of the rings and what a service wants: 16-bit PCM of 8 or 16 kHz, little endian, or A-law.

Twice the rate is a half-band filter (47 taps, Kaiser; pass band to 3.4 kHz within 0.1 dB, images and aliases below -50 dB from 4.6 kHz on), kept from
block to block, so that the seams are silent."""

import numpy

from dsp import g711

AUDIO = {"pcm16_8k": (8000, 2), "pcm16_16k": (16000, 2), "alaw": (8000, 1)}     # name: (rate in Hz, octets a sample)
HALF = 23


def _half_band():
    n = numpy.arange(-HALF, HALF + 1)
    taps = numpy.sinc(n / 2) * numpy.kaiser(2 * HALF + 1, 5.0)
    return taps / taps.sum()


TAPS = _half_band()


class ToService:
    """A leg's octets as the service wants them.  both: two channels, else the left one alone."""

    def __init__(self, audio, both):
        self.audio, self.both = audio, both
        self._before = [numpy.zeros(2 * HALF) for _ in range(1 + both)]

    def convert(self, octets):
        """octets: frames of left and right.  Returns bytes."""
        law = numpy.frombuffer(octets, numpy.uint8).reshape(-1, 2)[:, :1 + self.both]
        if self.audio == "alaw":
            return law.tobytes()
        x = g711.expand(numpy.ascontiguousarray(law), 0)
        if self.audio == "pcm16_8k":
            return x.astype("<i2").tobytes()
        y = numpy.empty((2 * len(x), x.shape[1]), "<i2")
        for channel in range(x.shape[1]):
            wide = numpy.zeros(2 * len(x))
            wide[::2] = x[:, channel]
            whole = numpy.concatenate([self._before[channel], wide])
            self._before[channel] = whole[-2 * HALF:]
            y[:, channel] = numpy.clip(numpy.rint(2 * numpy.convolve(whole, TAPS, "valid")), -32768, 32767)
        return y.tobytes()


class FromService:
    """What a service sends as A-law of 8 kHz.  Half samples wait for their other half."""

    def __init__(self, audio):
        self.audio = audio
        self._rest = b""
        self._before = numpy.zeros(2 * HALF)
        self._odd = 0

    def convert(self, octets):
        """Returns bytes."""
        if self.audio == "alaw":
            return octets
        octets = self._rest + octets
        whole = len(octets) // 2 * 2
        self._rest = octets[whole:]
        x = numpy.frombuffer(octets[:whole], "<i2")
        if self.audio == "pcm16_16k":
            joined = numpy.concatenate([self._before, x])
            self._before = joined[-2 * HALF:]
            y = numpy.convolve(joined, TAPS, "valid")[self._odd::2]
            self._odd = (self._odd + len(x)) % 2
            x = numpy.clip(numpy.rint(y), -32768, 32767).astype(numpy.int16)
        return g711.compress(numpy.ascontiguousarray(x), 0).tobytes() if len(x) else b""
