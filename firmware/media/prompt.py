"""A sound file that somebody gives as a prompt, checked and made what media plays without work: 8 kHz, one channel.

    python -m firmware.media.prompt IN OUT     ->  {"duration_ms", "form", "peak_db"} on standard output

IN: any kind that media/wav.py reads.  OUT appears whole or not at all: A-law and mu-law of 8 kHz stay as they are, all else becomes 16-bit
PCM.  A process of its own, so that a long file delays nobody.  Exit code 1 and a sentence on standard error where IN is no usable sound."""

import json
import math
import os
import struct
import sys

import numpy

from dsp import g711
from firmware.errors import LocalError
from firmware.media.resample import RATE_HZ
from firmware.media.wav import read_wav

LEAST_MS = 50           # ours: below it nothing is to be heard
SILENT = 8              # of 32768: a file whose loudest sample is no more is silent (ours)


def prepare(source, target):
    """Write target from source; what it is, as plain data.  Raises LocalError, OSError."""
    kind, law, samples = read_wav(source)
    linear = g711.expand(samples, law) if kind == "law" else samples
    if len(samples) * 1000 < LEAST_MS * RATE_HZ:
        raise LocalError("it lasts %d ms; a prompt has at least %d" % (len(samples) * 1000 // RATE_HZ, LEAST_MS))
    peak = int(numpy.abs(linear.astype(numpy.int32)).max())
    if peak <= SILENT:
        raise LocalError("it is silent from beginning to end; record it again")
    octets = samples.tobytes() if kind == "law" else samples.astype("<i2").tobytes()
    code, bits = (7 if law else 6, 8) if kind == "law" else (1, 16)
    with open(target + ".new", "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 36 + len(octets) + (len(octets) & 1)) + b"WAVEfmt " + struct.pack(
            "<IHHIIHH", 16, code, 1, RATE_HZ, RATE_HZ * bits // 8, bits // 8, bits) + b"data" + struct.pack("<I", len(octets)))
        file.write(octets + b"\0" * (len(octets) & 1))
        file.flush()
        os.fsync(file.fileno())
    os.replace(target + ".new", target)
    return {"duration_ms": len(samples) * 1000 // RATE_HZ, "form": {1: "pcm16", 6: "alaw", 7: "ulaw"}[code],
            "peak_db": round(20 * math.log10(peak / 32768), 1)}


def main():
    """Returns the exit code."""
    try:
        os.nice(10)
        print(json.dumps(prepare(*sys.argv[1:3])))
    except (LocalError, OSError, TypeError) as error:
        print(str(error).replace("prompt %s" % sys.argv[1] if len(sys.argv) > 1 else "", "the file").strip(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
