"""Request bodies are read to their end before a page thread is taken (ASGI middleware).

The pages are threads, and few.  A body that comes slowly, or never, waits here, on the event loop, where
waiting costs next to nothing; so whoever holds connections open holds up nobody else.  Chunked bodies
(RFC 9112 clause 7.1) were put together by the server before; the pages see them with a Content-Length.
"""

import asyncio
import json

SMALL, SMALL_S = 16 << 10, 10       # octets and seconds for whoever has not signed in: a log-in form is 1 kB; invented
LARGE, LARGE_S = 4 << 20, 60        # the same for the others: a configuration of 2,000 lines is some hundred kilobytes
FILE, FILE_S = 32 << 20, 300        # a prompt or a document, of whoever has signed in (control/api_prompts.py)
FILE_CLAIMED = 12 << 20             # ... of REST clients, who are verified behind this; invented
UNPROVEN = 8                        # large bodies at a time of REST clients whose password nobody has verified yet; invented
DISCARD = 4 << 20                   # octets beyond the limit that are read and dropped, so that the client sees our answer ...
DISCARD_FILE = 64 << 20             # ... of a file of whoever signs in; nothing of it is kept


FILES = ("/api/v1/prompts/", "/api/v1/documents/")


class TooLarge(Exception):
    """The body is larger than this client may send."""


class TooMany(Exception):
    """Too many large bodies of unproven clients are on their way."""


class Bodies:
    """ASGI.  application: gets each request with its whole body in one message.

    trust(scope): "none" (small bodies only), "claimed" (the client sends credentials that are not verified
    yet), "proven" (the client has signed in).
    """

    def __init__(self, application, trust, small_s=SMALL_S, large_s=LARGE_S):
        self.application, self.trust = application, trust
        self.small_s, self.large_s = small_s, large_s
        self.unproven = 0

    async def __call__(self, scope, receive, send):
        trust = self.trust(scope)
        limit, limit_s = (SMALL, self.small_s) if trust == "none" else (LARGE, self.large_s)
        if trust != "none" and scope.get("method") == "PUT" and scope["path"].startswith(FILES):
            limit, limit_s = FILE if trust == "proven" else FILE_CLAIMED, FILE_S
        try:
            async with asyncio.timeout(limit_s):
                body = await self._read(scope, receive, limit, trust == "claimed", DISCARD if limit_s != FILE_S else DISCARD_FILE)
        except TimeoutError:
            await refuse(scope, send, 408, "request timeout", f"The body of the request did not come within {limit_s} s. "
                                                              "Send it again, all of it.")
            return
        except TooLarge:
            await refuse(scope, send, 413, "too large", f"The body of the request is larger than {limit >> 10} KiB. " + (
                "Sign in to send more." if trust == "none" else "Send less at a time."))
            return
        except TooMany:
            await refuse(scope, send, 503, "busy", f"{UNPROVEN} large requests are on their way already. Repeat it in a minute.")
            return
        if body is None:
            return
        rest = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def whole():
            return next(rest, None) or await receive()

        await self.application({**scope, "headers": plain_headers(scope["headers"], len(body))}, whole, send)

    async def _read(self, scope, receive, limit, unproven, discard):
        """The body; None when the client has left.  Raises TooLarge and TooMany."""
        headers = dict(scope["headers"])
        declared, waits = headers.get(b"content-length", b""), headers.get(b"expect", b"").lower() == b"100-continue"
        if declared.isdigit() and int(declared) > limit + (0 if waits else discard):
            raise TooLarge              # a client that asks first has sent nothing yet (RFC 9110 10.1.1)
        body, dropped, counted = bytearray(), 0, False
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                if unproven and not counted and len(body) > SMALL:
                    if self.unproven >= UNPROVEN:
                        raise TooMany
                    self.unproven += 1
                    counted = True
                if dropped or len(body) > limit:
                    dropped += len(body)
                    body.clear()
                if not message.get("more_body") or dropped > limit + discard:
                    break
        finally:
            self.unproven -= counted
        if dropped:
            raise TooLarge
        return bytes(body)


def plain_headers(headers, length):
    """The headers of a request whose body is `length` octets in one piece.

    Names with "_" go, too: WSGI writes them like those with "-", so `transfer_encoding` would pass for the real one.
    """
    kept = [(name, value) for name, value in headers
            if name.lower() not in (b"transfer-encoding", b"content-length") and b"_" not in name]
    return kept + ([(b"content-length", b"%d" % length)] if length or len(kept) != len(headers) else [])


async def refuse(scope, send, status, title, detail):
    """Answer with a sentence and close: what is left of the body must not be taken for a request."""
    if scope["path"].startswith("/api/"):
        kind, body = b"application/problem+json", json.dumps({"type": "about:blank", "title": title, "status": status,
                                                               "detail": detail})
    else:
        kind, body = b"text/plain; charset=utf-8", detail + "\n"
    headers = [(b"content-type", kind), (b"connection", b"close"), (b"content-length", b"%d" % len(body.encode()))]
    await send({"type": "http.response.start", "status": status,
                "headers": headers + ([(b"retry-after", b"60")] if status == 503 else [])})
    await send({"type": "http.response.body", "body": body.encode()})
