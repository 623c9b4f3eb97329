"""Dialogic VOX (OKI) ADPCM: 4 bits a sample, 32 kbit/s at 8 kHz, 24 at 6 kHz.

The logic is that of IMA ADPCM (dsp/ima.py, kernel `_ima`, kind VOX) on 12-bit
samples with 49 steps, 16 to 1552, which are numbers 8 to 56 of IMA's table.
The first sample is in the high nibble; a file has no header.
Source: Dialogic application note 00-1366-001 (1988), "Dialogic ADPCM Algorithm".

x: int16 (n_channels, n_samples), n_samples even: the 12 bits left aligned, the
lower four are dropped by the coder and zero from the decoder.
"""

from dsp import ima

KIND = ima.VOX
STEPS = ima.limits(KIND)[2]
new_state = ima.new_state


def encode(x, state=None, at=None):
    """x: int16 (n, n_samples even). Returns octets (n, n_samples / 2); state: new_state(n), updated, or None."""
    return ima.encode(x, KIND, state, at)


def decode(octets, state=None, at=None):
    """octets: uint8 (n, n_octets). Returns int16 (n, 2 n_octets)."""
    return ima.decode(octets, KIND, state, at)


def encode_reference(x):
    return ima.encode_reference(x, KIND)


def decode_reference(octets):
    return ima.decode_reference(octets, KIND)
