"""Who asks: the person of a request."""

import contextvars

WHO = contextvars.ContextVar("who", default=None)


def by(body):
    """Who acts: the person of the request, else what the body says, or None."""
    who = WHO.get()
    if who is not None:
        return who.name
    given = (body or {}).get("by")
    return given[:64] if isinstance(given, str) and given else None
