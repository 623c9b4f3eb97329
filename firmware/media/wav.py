"""Prompt files: WAV or Dialogic VOX, any rate, one channel or two, in the codings that people have.

PCM of 8, 16, 24 and 32 bits (format 1) and of 32-bit floats (3), A-law (6), mu-law (7), IMA ADPCM (0x11, blocks as the
Microsoft registry's DVI ADPCM describes them) and G.726 of 16 to 40 kbit/s (0x45;
programs differ in whether the first code is in the highest bits, as FFmpeg has it, or the lowest: read is what has less of a noise's spectrum, right in 512 of 512 trials with speech and tones).  Files named .vox have no header: Dialogic ADPCM, 8 kHz.
ADPCM is decoded when it is read, two channels become their mean, other rates become 8 kHz (resample.py).  A-law and
mu-law of 8 kHz in one channel stay as they are.  Whatever the octets are, the answer is audio or
LocalError with a sentence.
"""

import os
import struct

import numpy

from dsp import g711, g726, ima, vox
from firmware.errors import LocalError
from firmware.media.resample import RATE_HZ, to_8k

PROMPT_OCTETS = 64 << 20        # one file: over two hours in A-law
SECONDS = 7200                  # ours: what a prompt of few bits a sample may become in memory
FORMATS = {1: (8, 16, 24, 32), 3: (32,), 6: (8,), 7: (8,), 0x11: (4,), 0x45: (2, 3, 4, 5)}     # format: bits a sample
EXTENSIBLE = 0xFFFE             # the format proper is then the first field of the sub-format
RATES = (4000, 192000)
UNKNOWN = (0x7FFFFFFF, 0xFFFFFFFF)   # lengths that programs write into a pipe: the data go to the end of the file
# What else people upload: by its first octets, and by the number of its coding (RFC 2361).
OTHERS = ((0, b"ID3", "an MP3 file"), (0, b"\xff\xfb", "an MP3 file"), (0, b"\xff\xf3", "an MP3 file"), (0, b"OggS", "an Ogg file"), (0, b"fLaC", "a FLAC file"),
          (4, b"ftyp", "an MP4 or M4A file"), (0, b"#!AMR", "an AMR file"), (0, b"FORM", "an AIFF file"), (0, b".snd", "an AU file"),
          (0, b"\x30\x26\xb2\x75", "a Windows Media file"), (0, b"RF64", "a WAV file of more than 4 GB"), (0, b"PK", "a ZIP archive"))
CODINGS = {2: "Microsoft ADPCM", 0x31: "GSM 6.10", 0x40: "G.721", 0x50: "MPEG audio", 0x55: "MP3", 0x83: "G.729", 0x161: "Windows Media Audio", 0xFF: "AAC"}
KNOWN = {1: "PCM", 3: "floating point", 6: "A-law", 7: "mu-law", 0x11: "IMA ADPCM", 0x45: "G.726"}
WANTED = "A-law, mu-law, IMA, G.726 or PCM WAV of 4 to 192 kHz in one or two channels, or .vox"


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
        if path.lower().endswith(".vox"):
            return "linear", 0, _vox(data, path)
        return parse_wav(data, path)
    except (struct.error, ValueError):
        raise LocalError(_cut(path)) from None


def _cut(path):
    return f"prompt {path} is cut short, or what its header says of itself cannot be; copy it again, or convert it to {WANTED}"


def linear_channels(data, path):
    """(int16 (n, channels), rate in Hz) of a WAV's octets, or of a .vox file's by its name; of one that is cut short what
    is there.  Raises as read_wav."""
    try:
        if path.lower().endswith(".vox"):
            return _vox(data, path)[:, None], RATE_HZ
        octets, code, channels, rate, bits, block = _find(data, path, False)
        x = _channels(octets, code, channels, bits, block)
        return (x if x.dtype == numpy.int16 else numpy.clip(numpy.rint(x), -32768, 32767).astype(numpy.int16)), rate
    except (struct.error, ValueError):
        raise LocalError(_cut(path)) from None


def parse_wav(data, path):
    """As read_wav, from octets; may raise struct.error or ValueError, too."""
    octets, code, channels, rate, bits, block = _find(data, path)
    if code in (6, 7) and channels == 1 and rate == RATE_HZ:
        return "law", int(code == 7), numpy.frombuffer(octets, numpy.uint8)
    if len(octets) * 8 // (bits * channels) > SECONDS * rate:      # before it is decoded: 64 MB of G.726 would become 1 GB; ADPCM's headers err to our side
        raise LocalError(f"prompt {path} is longer than {SECONDS // 3600} hours; split it")
    x = _channels(octets, code, channels, bits, block)
    if channels == 1 and rate == RATE_HZ and x.dtype == numpy.int16:
        return "linear", 0, numpy.ascontiguousarray(x[:, 0])
    y = to_8k(x.mean(axis=1, dtype=float), rate)
    return "linear", 0, numpy.clip(numpy.rint(y), -32768, 32767).astype(numpy.int16)


def _find(data, path, whole=True):
    """(octets of the audio, format, channels, rate, bits a sample, octets a block)."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        what = next((f", but {what}" for at, octets, what in OTHERS if data[at:at + len(octets)] == octets), "")
        raise LocalError(f"prompt {path} is empty; copy it again" if not data else f"prompt {path} is no WAV file{what}; convert it to {WANTED}")
    at, form = 12, None
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"fmt ":
            form = _form(data[:at + length], at, path)
        elif name == b"data":
            if form is None or not length:
                break
            if whole and length > len(data) - at and length not in UNKNOWN:
                raise LocalError(f"prompt {path} is cut short: its header tells of {length} octets of audio, {len(data) - at} "
                                 "are there; copy it again")
            return (data[at:] if length in UNKNOWN else data[at:at + length],) + form
        at += length + (length & 1)
    raise LocalError(f"prompt {path} holds no sound, or is cut short before it begins; copy it again")


def _form(data, at, path):
    """(format, channels, rate, bits a sample, octets a block) of a fmt chunk."""
    code, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", data, at)
    if code == EXTENSIBLE:
        code = struct.unpack_from("<H", data, at + 24)[0]
    if (bits not in FORMATS.get(code, ()) or channels not in (1, 2) or not RATES[0] <= rate <= RATES[1]
            or code == 0x45 and channels != 1):
        coding = CODINGS.get(code) or KNOWN.get(code) or f"a coding unknown here (number {code})"
        raise LocalError(f"prompt {path} is {coding} with {bits} bits, {rate} Hz, {channels} channels; convert it to {WANTED}")
    return code, channels, rate, bits, block


def _channels(octets, code, channels, bits, block):
    """Samples (n, channels): int16, or floats in the scale of 16 bits."""
    if code == 0x11:
        return ima.decode_blocks(octets, block, channels)
    if code == 0x45:
        whole = numpy.frombuffer(octets[:len(octets) // bits * bits], numpy.uint8)[None]
        high, low = (g726.decode(whole, bits, packing)[0] for packing in (g726.HIGH_FIRST, g726.LOW_FIRST))
        return (low if _flatness(low) < _flatness(high) else high)[:, None]
    size = bits // 8 * channels
    octets = octets[:len(octets) // size * size]
    if code in (6, 7):
        return g711.expand(numpy.frombuffer(octets, numpy.uint8), int(code == 7)).reshape(-1, channels)
    if code == 3:
        return numpy.nan_to_num(numpy.frombuffer(octets, "<f4").astype(float) * 32768, posinf=0, neginf=0).clip(-32768, 32767).reshape(-1, channels)
    if bits == 16:
        return numpy.frombuffer(octets, "<i2").reshape(-1, channels)
    if bits == 8:
        return (numpy.frombuffer(octets, numpy.uint8).astype(float).reshape(-1, channels) - 128) * 256
    if bits == 32:
        return numpy.frombuffer(octets, "<i4").astype(float).reshape(-1, channels) / 65536
    parts = numpy.frombuffer(octets, numpy.uint8).reshape(-1, 3).astype(numpy.int32)
    return ((parts[:, 2] << 24 | parts[:, 1] << 16 | parts[:, 0] << 8) / 65536).reshape(-1, channels)


def _flatness(x):
    """How flat the spectrum is in blocks of 32 ms (mean of log power less log of mean power): codes in the wrong order are noise."""
    blocks = x[:len(x) // 256 * 256].astype(float).reshape(-1, 256)
    power = numpy.abs(numpy.fft.rfft(blocks * numpy.hanning(256))) ** 2 + 1
    return (numpy.log(power).mean(axis=1) - numpy.log(power.mean(axis=1))).sum()


def _vox(data, path):
    if len(data) > SECONDS * RATE_HZ // 2:
        raise LocalError(f"prompt {path} is longer than {SECONDS // 3600} hours; split it")
    return vox.decode(numpy.frombuffer(data, numpy.uint8)[None])[0] if data else numpy.zeros(0, numpy.int16)
