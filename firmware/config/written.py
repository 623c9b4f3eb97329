"""Telephone numbers as people write and paste them: what is there for the eye only is taken away.

    dialable("（021） 5080-1000")  -> "02150801000"
    dialable("＋８６ 139 1234 5678") -> "+8613912345678"

Spaces, dashes, brackets and marks of the direction of writing go; digits and signs of full width, as Chinese input methods write them, and digits of
other scripts become those of ASCII.  All else stays, for who asked to judge: a name is not taken for a number.
"""

import re
import unicodedata

PLAIN = re.compile(r"[0-9A-Za-z*#+._]*")
SKIPPED = ("Zs", "Zl", "Zp", "Cf", "Pd", "Ps", "Pe")        # categories of Unicode: spaces and line ends, marks of format, dashes, brackets
SKIPPED_TOO = "\t\r\n\u2212"            # controls that come along when a cell is pasted; the minus sign


def dialable(text):
    """A number or a pattern of numbers without what is for the eye only."""
    if PLAIN.fullmatch(text):
        return text
    kept = []
    for character in unicodedata.normalize("NFKC", text):
        kind = unicodedata.category(character)
        if kind == "Nd":
            kept.append(str(unicodedata.decimal(character)))
        elif kind not in SKIPPED and character not in SKIPPED_TOO:
            kept.append(character)
    return "".join(kept)
