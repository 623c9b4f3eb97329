"""Prompt files: WAV, 8 kHz, mono, in the codings that people have.

PCM of 16 bits (format 1), A-law (6), mu-law (7), IMA ADPCM (0x11, blocks as the
Microsoft registry's DVI ADPCM describes them) and G.726 of 16 to 40 kbit/s (0x45,
the first code in the lowest bits, see dsp/g726.py).
ADPCM is decoded when it is read.  Whatever the octets are, the answer is audio or
LocalError with a sentence.
"""

import os
import struct

import numpy

from dsp import g726, ima
from firmware.errors import LocalError

PROMPT_OCTETS = 64 << 20        # one file: over two hours in A-law
FORMATS = {1: (16,), 6: (8,), 7: (8,), 0x11: (4,), 0x45: (2, 3, 4, 5)}     # format: bits a sample
EXTENSIBLE = 0xFFFE             # the format proper is then the first field of the sub-format


def read_wav(path):
    """Read a prompt.  Returns (kind "law"|"linear", law 0|1, array).

    Raises LocalError with what is wrong and what to do."""
    try:
        if os.path.getsize(path) > PROMPT_OCTETS:
            raise LocalError(f"prompt {path} is larger than {PROMPT_OCTETS >> 20} MB; split it")
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise LocalError(f"prompt {path} cannot be read ({error.strerror}); check the file") from error
    try:
        return parse_wav(data, path)
    except (struct.error, ValueError) as error:
        raise LocalError(f"prompt {path} is cut short or wrong ({error}); write it again") from None


def parse_wav(data, path):
    """As read_wav, from octets; may raise struct.error or ValueError, too."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise LocalError(f"prompt {path} is no WAV file; convert it to A-law WAV, 8 kHz, mono")
    at, form = 12, None
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"fmt ":
            form = _form(data, at, path)
        elif name == b"data":
            if form is None:
                break
            return _audio(data[at:at + length], *form)
        at += length + (length & 1)
    raise LocalError(f"prompt {path} holds no audio; write it again")


def _form(data, at, path):
    """(format, bits a sample, octets a block) of a fmt chunk."""
    code, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", data, at)
    if code == EXTENSIBLE:
        code = struct.unpack_from("<H", data, at + 24)[0]
    if bits not in FORMATS.get(code, ()) or channels != 1 or rate != 8000:
        raise LocalError(f"prompt {path} has format {code}, {channels} channels, {rate} Hz, {bits} bits; convert it to A-law, "
                         "mu-law, IMA, G.726 or 16-bit WAV, 8000 Hz, mono")
    return code, bits, block


def _audio(octets, code, bits, block):
    if code == 1:
        return "linear", 0, numpy.frombuffer(octets[:len(octets) & ~1], "<i2")
    if code == 0x11:
        return "linear", 0, ima.decode_wav(octets, block)
    if code == 0x45:
        whole = numpy.frombuffer(octets[:len(octets) // bits * bits], numpy.uint8)[None]
        return "linear", 0, g726.decode(whole, bits, g726.LOW_FIRST)[0]
    return "law", int(code == 7), numpy.frombuffer(octets, numpy.uint8)
