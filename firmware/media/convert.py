"""Any recording or prompt file as a 16-bit PCM WAV: `python -m firmware.media.convert IN OUT`.

A process of its own, so that a page that plays an hour of ADPCM costs nobody else anything.  OUT appears whole or not
at all.  Exit code 1 and a sentence where IN is no audio."""

import os
import struct
import sys

from firmware.errors import LocalError
from firmware.media.wav import linear_channels


def convert(source, target):
    """Write target (a path) from source.  Raises LocalError, OSError."""
    with open(source, "rb") as file:
        samples, rate = linear_channels(file.read(), source)
    octets = samples.astype("<i2").tobytes()
    channels = samples.shape[1]
    with open(f"{target}.new", "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 36 + len(octets)) + b"WAVEfmt " + struct.pack(
            "<IHHIIHH", 16, 1, channels, rate, 2 * channels * rate, 2 * channels, 16) + b"data" + struct.pack("<I", len(octets)))
        file.write(octets)
    os.replace(f"{target}.new", target)


def main():
    """Returns the exit code."""
    try:
        convert(*sys.argv[1:3])
    except (LocalError, OSError, TypeError) as error:
        print(f"convert: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
