"""Checks of command parameters: each raises LocalError with a sentence."""

from firmware.errors import LocalError

ID_OCTETS = 31
INVALID = 100                   # Q.850: invalid information element contents


def refuse(sentence, cause=INVALID):
    """Raise LocalError; cause: Q.850, told to control beside the sentence."""
    error = LocalError(sentence)
    error.cause = cause
    raise error


def check_id(value, what):
    """An id of control: 1 to 31 printable ASCII octets."""
    if not isinstance(value, str) or not 0 < len(value) <= ID_OCTETS or not (value.isascii() and value.isprintable()):
        refuse(f"{what} is {str(value)[:40]!r}, not 1 to {ID_OCTETS} ASCII characters")
    return value


def number(value, what, least, most):
    """A whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        refuse(f"{what} is {str(value)[:40]!r}, not a whole number {least} to {most}")
    return value


def boolean(value, what):
    """True or false, nothing else."""
    if not isinstance(value, bool):
        refuse(f"{what} is {str(value)[:40]!r}, not true or false")
    return value


def text_of(value, what):
    """A text of at most 64 printable characters; "" for None."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 64 or not value.isprintable():
        refuse(f"{what} is {str(value)[:40]!r}, not a text of at most 64 printable characters")
    return value
