"""How much of what was said was heard, where laws and robbed bits lie between and no octet can be compared.

    share(said, heard)          # 0 to 1, of pieces of PIECE_S

Samples at 8 kHz of a material without repetition (noise): another sound correlates with less than 0.1."""

import numpy as np

PIECE_S, ALIKE = 0.2, 0.9


def share(said, heard):
    """Share of the pieces of what was said that are found in what was heard (correlation above ALIKE)."""
    size = int(8000 * PIECE_S)
    pieces = [said[at:at + size] for at in range(0, len(said) - size + 1, size)]
    return sum(likeness(piece, heard) > ALIKE for piece in pieces) / len(pieces) if len(heard) >= size else 0.0


def likeness(said, heard):
    """Correlation of what was said with its best place in what was heard, 0 to 1."""
    said, heard = said.astype(float), heard.astype(float)
    length = 1 << (len(said) + len(heard)).bit_length()
    found = np.fft.irfft(np.fft.rfft(heard, length) * np.conj(np.fft.rfft(said, length)), length)[:max(1, len(heard) - len(said) + 1)]
    at = int(np.argmax(found))
    part = heard[at:at + len(said)]
    return float(np.dot(part, said[:len(part)]) / np.sqrt(np.dot(part, part) * np.dot(said, said) + 1e-9))
