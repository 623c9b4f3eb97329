"""File forms of recordings: what a configuration may ask for, their headers, the marks behind the audio.

    form("ima", 2) -> Form      raises LocalError

    name      in a file                                  channels   kbit/s a channel
    alaw      WAV format 6 (G.711)                       1, 2       64
    ulaw      WAV format 7                               1, 2       64
    pcm16     WAV format 1                               1, 2       128
    ima       WAV format 0x11, blocks of 505 samples     1, 2       32.4
    g726_16   WAV format 0x45, first code highest        1          16      (g726_24, g726_32, g726_40 likewise)
    vox       Dialogic VOX (OKI) ADPCM, no header, .vox  1          32

The registered numbers are those of the Microsoft WAVE registry (mmreg.h).  0x45 (G726_ADPCM) is the one tag that covers
all four rates, told apart by the bits a sample, 2 to 5; FFmpeg reads it in one channel only and with the first code in the highest bits, so that is what is written.  A mono file is the sum of
both legs.  Marks (pauses, other legs) go behind the audio as `cue ` with names in `LIST adtl`, and into the index.
"""

import struct

from firmware.errors import LocalError
from firmware.media import _engine

RATE_HZ = 8000
IMA_BLOCK, IMA_FRAMES = 256, 505        # octets for each channel, samples (native/files.pxi)
CODES = {"alaw": 6, "ulaw": 7, "pcm16": 1, "ima": 0x11, "g726": 0x45}
NAMES = ("alaw", "ulaw", "pcm16", "ima", "g726_16", "g726_24", "g726_32", "g726_40", "vox")


class Form:
    """name, channels, kind (a key of _engine.RECORD_FORMS), bits of a G.726 code, header, fact_at, suffix."""

    def __init__(self, name, channels):
        self.name, self.channels = name, channels
        self.kind = name.partition("_")[0]
        self.bits = int(name[5:]) // 8 if self.kind == "g726" else 0
        self.suffix = ".vox" if name == "vox" else ".wav"
        self.header, self.fact_at = (b"", 0) if name == "vox" else self._wav()

    def _wav(self):
        """(header with zero counters, place of the number of frames)."""
        bits = {"alaw": 8, "ulaw": 8, "pcm16": 16, "ima": 4}.get(self.kind, self.bits)
        block, per_s = bits * self.channels // 8, bits * self.channels * RATE_HZ // 8
        more = b""
        if self.kind == "ima":
            block = IMA_BLOCK * self.channels
            per_s, more = block * RATE_HZ // IMA_FRAMES, struct.pack("<H", IMA_FRAMES)
        elif self.kind == "g726":
            block, more = bits, b"\0\0"             # 8 samples; no auxiliary block
        form = struct.pack("<HHIIHHH", CODES[self.kind], self.channels, RATE_HZ, per_s, block, bits, len(more)) + more
        head = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", len(form)) + form + b"fact" + struct.pack("<I", 4)
        return head + b"\0\0\0\0data\0\0\0\0", len(head)

    def octets(self, seconds):
        """About how long a file gets."""
        per_s = {"alaw": 8000, "ulaw": 8000, "pcm16": 16000, "ima": 4056, "vox": 4000}.get(self.kind, self.bits * 1000)
        return per_s * self.channels * seconds


def form(name, channels):
    """The form of a command's format and channels ("stereo"|"mono"|None: stereo where the form has it)."""
    if name not in NAMES:
        raise LocalError(f"record: format {str(name)[:40]!r} is none of {', '.join(NAMES)}")
    single = name == "vox" or name.startswith("g726")
    if channels is None:
        channels = "mono" if single else "stereo"
    if channels not in ("stereo", "mono"):
        raise LocalError(f"record: channels is {str(channels)[:40]!r}, not stereo or mono")
    if single and channels == "stereo":
        raise LocalError(f"record: {name} has one channel; choose mono, or another format")
    return Form(name, 2 if channels == "stereo" else 1)


def marks_chunk(marks):
    """Marks [(frame, text)] as chunks that follow the audio."""
    cue, labels = b"", b"adtl"
    for number, (frame, text) in enumerate(marks, 1):
        cue += struct.pack("<II4sIII", number, frame, b"data", 0, 0, frame)
        text = text.encode() + b"\0"
        labels += b"labl" + struct.pack("<II", 4 + len(text), number) + text + b"\0" * (len(text) & 1)
    return (b"cue " + struct.pack("<II", 4 + len(cue), len(marks)) + cue
            + b"LIST" + struct.pack("<I", len(labels)) + labels)


assert {name.partition("_")[0] for name in NAMES} == set(_engine.RECORD_FORMS)
