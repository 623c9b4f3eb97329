"""Numbers as a browser sends them: whatever somebody typed."""


def whole(text, digits=15, otherwise=0):
    """A whole number without sign of at most so many digits, or what is otherwise.  text: None counts as none."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= digits else otherwise
