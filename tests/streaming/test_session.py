"""A stream's session with a service that says what it should not: it ends with a sentence, whatever came; time is passed in."""

import asyncio
import json
import types

import msgpack
import pytest

from firmware.errors import LocalError
from firmware.streaming import session, websocket

ORDER = {"id": "s1", "purpose": "recognize", "audio": "pcm16_8k", "both": False, "url": "ws://127.0.0.1:1/", "token": "", "verify": True, "first_s": 30,
         "start": {}}
DEEP = "[" * 300 + "]" * 300


class Page:
    """Rings that nobody reads."""


class Socket:
    """A connection whose far end says `texts` and is silent then."""

    def __init__(self, texts):
        self.texts, self.code, self.closed, self.sent = list(texts), None, None, []

    def text(self, text):
        self.sent.append(text)

    async def receive(self):
        if not self.texts:
            await asyncio.Event().wait()
        texts, self.texts = self.texts, []
        return texts

    async def close(self, code=1000):
        self.closed = code


def serve(monkeypatch, texts, until, **order):
    """What a session tells of a service that says `texts`, up to `until`; and its socket."""
    async def run():
        socket, told, over = Socket(texts), [], asyncio.Event()

        async def connect(*_):
            return socket

        def say(what, **fields):
            told.append(msgpack.unpackb(msgpack.packb(dict(fields, what=what))))        # as __main__ does, and as media reads it
            if what == until:
                over.set()
        monkeypatch.setattr(websocket, "connect", connect)
        made = session.Session({**ORDER, **order}, Page(), say, session.Gate())
        await asyncio.wait([over_task := asyncio.ensure_future(over.wait()), made._task], timeout=30, return_when=asyncio.FIRST_COMPLETED)
        over_task.cancel()
        await made.close()
        return told, socket
    return asyncio.run(run())


@pytest.mark.parametrize("purpose, until", (("recognize", "failed"), ("stream", "interrupted")))
@pytest.mark.parametrize("text", ('{"type": "result", "text": "\\ud83d"}', '{"type": "result", "text": "x", "confidence": 1, "n": %d}' % 10 ** 30,
                                  '{"type": "x", "n": %d}' % 10 ** 30, '{"type": "x", "\\udc00": 1}', '{"type": "x", "n": %s}' % DEEP,
                                  '{"type": {"x": %s}}' % DEEP))
def test_what_cannot_be_passed_on_ends_the_stream_with_a_sentence(monkeypatch, text, purpose, until):
    told, socket = serve(monkeypatch, [text], until, purpose=purpose)
    assert [event["what"] for event in told] == ["opened", until]
    assert "cannot be passed on" in told[1]["error"] and socket.closed == 1011


def test_a_fault_of_ours_ends_the_stream_too(monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError
    monkeypatch.setattr(session.Session, "_text", broken)
    told, socket = serve(monkeypatch, ["{}"], "failed")
    assert told[1:] == [{"what": "failed", "error": "the switch itself failed (ZeroDivisionError)"}] and socket.closed == 1011
    assert "Traceback" in caplog.text and "stream s1" in caplog.text


def test_what_is_plain_is_told_on(monkeypatch):
    message = {"type": "x", "text": "\U0001F4DE", "n": [2 ** 64 - 1, -2 ** 63, 1.5, None, {"a": [[[True]]]}]}
    told, _ = serve(monkeypatch, [json.dumps(message), '{"type": "error", "message": "done"}'], "interrupted", purpose="stream")
    assert told[1] == {"what": "message", "message": message}


def test_a_service_that_says_too_much(monkeypatch):
    """20 at once; each kind that is told on counts."""
    monkeypatch.setattr(session, "time", types.SimpleNamespace(monotonic=lambda: 1000.0))
    texts = ['{"type": "x"}', '{"type": "speech_started"}', '{"type": "result", "text": "a"}'] * 10
    told, socket = serve(monkeypatch, texts, "interrupted", purpose="stream")
    assert [event["what"] for event in told[1:-1]] == (["message", "speech", "text"] * 7)[:20]
    assert told[-1]["error"].startswith("the service says more than 20 things at once and 10 a second") and socket.closed == 1011


def test_the_allowance_comes_back_with_time():
    allowance = session.Allowance()
    for n in range(1000):                       # 10 a second for ever
        allowance.take(5.0 + n / 10)
    for _ in range(19):
        allowance.take(105.0)
    with pytest.raises(LocalError):
        for _ in range(2):
            allowance.take(105.0)
    allowance.take(105.2)
    for _ in range(20):                         # and no more than 20 are saved up
        allowance.take(10000.0)
    with pytest.raises(LocalError):
        allowance.take(10000.0)
