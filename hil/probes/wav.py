"""Read and write WAV files: A-law, mu-law, 16-bit PCM; any rate, mono or stereo.

G.711 is computed here from the standard's text, apart from the product's own
tables: a checker shares no code with what it checks.
"""

import pathlib
import struct

import numpy as np


def alaw_expand(octets):
    """uint8 array -> int16 array on the 16-bit scale (13-bit values times 8). Source: G.711 table 1a."""
    code = np.asarray(octets, np.uint8).astype(np.int32) ^ 0x55
    segment, step = (code >> 4) & 7, code & 15
    magnitude = np.where(segment == 0, step * 16 + 8, (step * 16 + 264) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def alaw_compress(samples):
    """int16 array -> uint8 array. Source: G.711 table 1a (decision values)."""
    x = np.asarray(samples).astype(np.int32) >> 3
    sign = np.where(x >= 0, 0x80, 0)
    magnitude = np.minimum(np.where(x >= 0, x, -x - 1), 4095)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 4, 0)
    step = np.where(segment == 0, magnitude >> 1, magnitude >> np.maximum(segment, 1)) & 15
    return ((sign | segment << 4 | step) ^ 0x55).astype(np.uint8)


def ulaw_expand(octets):
    """uint8 array -> int16 array on the 16-bit scale. Source: G.711 table 2a."""
    code = ~np.asarray(octets, np.uint8).astype(np.int32) & 0xFF
    magnitude = (((code & 15) * 8 + 132) << ((code >> 4) & 7)) - 132
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def read(path):
    """Read a WAV. Returns (samples int16 (n, channels), rate_hz). Raises ValueError on another format.

    A data length that the file does not hold (a recording cut short by a
    crash) is taken as far as it goes.
    """
    return parse(pathlib.Path(path).read_bytes(), path)


def parse(data, path="the WAV file"):
    """The same from the octets of a file; path: its name in the errors."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError(f"{path} is not a WAV file")
    at, form = 12, None
    while at + 8 <= len(data):
        name, length = data[at:at + 4], int.from_bytes(data[at + 4:at + 8], "little")
        body = data[at + 8:at + 8 + length]
        if name == b"fmt ":
            form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
            if form == 0xFFFE:
                form = int.from_bytes(body[24:26], "little")
        elif name == b"data":
            if form is None:
                raise ValueError(f"{path} has no format before its data")
            if form == 1 and bits == 16:
                samples = np.frombuffer(body[:len(body) & ~1], "<i2")
            elif form == 6:
                samples = alaw_expand(np.frombuffer(body, np.uint8))
            elif form == 7:
                samples = ulaw_expand(np.frombuffer(body, np.uint8))
            else:
                raise ValueError(f"{path}: format {form} with {bits} bits is not read here")
            whole = len(samples) // channels * channels
            return samples[:whole].reshape(-1, channels), rate
        at += 8 + length + (length & 1)
    raise ValueError(f"{path} has no data")


def read_mono(path, channel=0):
    """One channel of an 8 kHz WAV as int16. Raises ValueError on another rate."""
    samples, rate = read(path)
    if rate != 8000:
        raise ValueError(f"{path} has {rate} Hz, not 8000")
    return samples[:, channel]


def write_alaw(path, samples):
    """Write int16 samples, 8 kHz mono, as A-law."""
    octets = alaw_compress(samples).tobytes()
    _write(path, struct.pack("<HHIIHHH", 6, 1, 8000, 8000, 1, 8, 0), octets,
           b"fact" + struct.pack("<II", 4, len(octets)))


def write_pcm(path, samples, rate=8000):
    """Write int16 samples, mono, as 16-bit PCM."""
    _write(path, struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16),
           np.asarray(samples, "<i2").tobytes(), b"")


def _write(path, form, octets, fact):
    pad = b"\0" * (len(octets) & 1)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + fact + b"data" + struct.pack("<I", len(octets)) + octets + pad
    pathlib.Path(path).write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
