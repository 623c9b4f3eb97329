"""One stream and its service: what is said on the WebSocket (subprotocol strowger.audio.1).

We send
    {"type": "start", "version": 1, "purpose": "recognize"|"speak"|"stream", "session", "encoding": "pcm16"|"alaw", "rate": 8000|16000,
     "channels": 1|2, "again": whether a connection before was lost, ...what the order's `start` has: language, text, voice, phrases, call}
    octets      the leg's audio, 20 ms a message and more after a pause of ours; two channels are interleaved (recognize, stream)
    {"type": "stop"}        before we close; and what the switch was told to tell (stream_tell)
The service sends
    octets      audio for the leg, of one channel, in pieces of any length, as fast as it likes (speak, stream)
    {"type": "speech_started"}
    {"type": "result", "text": text, "confidence"?: 0 to 1, "final"?: true}     the first final one is the answer of recognize
    {"type": "end"}         speak: that was all
    {"type": "error", "message": sentence}
    anything else with a type   is told on (stream)

A service that cannot be reached, is silent, slow, or talks rubbish ends recognize and speak with a sentence; stream says "interrupted" and tries
again after 1, 2, 4 ... 30 s for as long as it is wanted.  Nothing here is ever waited for by a call.
"""

import asyncio
import collections
import json
import logging
import math
import time

import msgpack

from firmware.errors import LocalError
from firmware.streaming import websocket
from firmware.streaming.sounds import AUDIO, FromService, ToService

log = logging.getLogger("firmware.streaming")

LEAD_OCTETS = 800               # ours: 100 ms of audio before a leg begins to hear it
QUEUE_OCTETS = 8000 * 120       # ours: audio that waits for its turn; beyond, the service is not read
LEFT_OUT_MS = 4000              # ours: audio a service may leave lying before it counts as dead
TEXT_CHARACTERS = 4000          # of a result
AGAIN_MOST_S = 30
REFUSALS = 3                    # failed connections in a row until an address is left alone
DEEP_MOST = 32                  # ours: lists and objects in each other
SAYS_AT_ONCE, SAYS_A_SECOND = 20, 10        # ours: what is told on of a service, since each is kept in the journal


class Gate:
    """What is known of an address: one that cannot be reached is left alone for a while, so that a call need not wait to find out."""

    def __init__(self):
        self.failures, self.until = 0, 0.0

    def check(self):
        """Raises LocalError while the address is left alone."""
        left = self.until - time.monotonic()
        if left > 0:
            raise LocalError("it is left alone for %.0f s more, since %d connections failed" % (left + 0.5, self.failures))

    def failed(self):
        """A connection could not be made."""
        self.failures += 1
        if self.failures >= REFUSALS:
            self.until = time.monotonic() + min(AGAIN_MOST_S, 2 ** (self.failures - REFUSALS))

    def open(self):
        """A connection is there."""
        self.failures, self.until = 0, 0.0


class Allowance:
    """How much a service may say: SAYS_AT_ONCE, which come back at SAYS_A_SECOND."""

    def __init__(self):
        self._left, self._then = SAYS_AT_ONCE, None

    def take(self, now):
        """One more, at a time in s.  Raises LocalError when there is none left."""
        if self._then is not None:
            self._left = min(SAYS_AT_ONCE, self._left + (now - self._then) * SAYS_A_SECOND)
        self._then = now
        if self._left < 1:
            raise LocalError("the service says more than %d things at once and %d a second" % (SAYS_AT_ONCE, SAYS_A_SECOND))
        self._left -= 1


def _no_number(name):
    """NaN and Infinity, which Python would read, are no JSON (RFC 8259 6)."""
    raise ValueError(name)


def _shallow(value, left=DEEP_MOST):
    """Raises ValueError where lists and objects lie too deep in each other for those who pass them on, or a number is beyond all numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    if isinstance(value, (dict, list)):
        if not left:
            raise ValueError
        for part in value.values() if isinstance(value, dict) else value:
            _shallow(part, left - 1)


class Session:
    """order: what media/streams.py sends.  page: rings.Page.  say(what, **fields)."""

    def __init__(self, order, page, say, gate):
        self.order, self.page, self.gate = order, page, gate
        self._say = say
        self._socket = None
        self._to = ToService(order["audio"], order["both"])
        self._from = FromService(order["audio"])
        self._queue, self._queued = collections.deque(), 0
        self._room = asyncio.Event()
        self._room.set()
        self._left_out_ms = 0
        self._last = False              # the service has said all
        self._began = False             # the leg hears it
        self._told_speech = False
        self._first = None              # until when it must have said something
        self._broken = None             # what pump() found
        self._wake = None               # the reading that it then interrupts
        self._opened = False
        self._allowance = Allowance()   # goes on over connections
        self._again = order.get("again") is True
        self._task = asyncio.ensure_future(self._run())

    @property
    def purpose(self):
        return self.order["purpose"]

    # every 20 ms

    def pump(self):
        """Move audio both ways; never waits."""
        socket = self._socket
        # What a caller says while the connection is being made is kept for the service, as far as the ring reaches.
        said = self.page.take() if socket is not None or self.purpose != "recognize" else b""
        if said and socket is not None and self.purpose != "speak":
            if socket.octets(self._to.convert(said)):
                self._left_out_ms = 0
            else:
                self._left_out_ms += len(said) // 16
        while self._queue and (self._began or self._queued >= LEAD_OCTETS or self._last):
            self._began = True
            piece = self._queue[0]
            room = self.page.room()
            if not room:
                break
            self.page.put(piece[:room])
            self._queued -= min(room, len(piece))
            if len(piece) > room:
                self._queue[0] = piece[room:]
                break
            self._queue.popleft()
        if self._queued < QUEUE_OCTETS:
            self._room.set()
        if self._last and not self._queue:
            self.page.end()
        if socket is not None and self._broken is None:
            try:
                self._judge(socket)
            except LocalError as error:
                self._broken = error
                self._wake.cancel()

    def _judge(self, socket):
        if self._left_out_ms > LEFT_OUT_MS:
            raise LocalError("the service takes no audio")
        if self._room.is_set():         # else it is we who do not read
            socket.look()
        if self._first is not None and time.monotonic() > self._first:
            raise LocalError("nothing came from the service in %g s" % self.order["first_s"])

    # the service

    async def _run(self):
        pause = 1
        while True:
            try:
                self._broken = None
                await self._serve()
                if self.purpose == "stream":
                    raise LocalError("the service has closed the stream")
                self._say("ended")
                return
            except LocalError as error:
                why = str(error)
            except Exception as error:  # whatever it is, the leg and the far end must not be left with a stream that nobody serves
                log.exception("stream %s", self.order["id"])
                why = "the switch itself failed (%s)" % type(error).__name__
            await self._leave(1011)
            if self.purpose != "stream":
                self._last = True       # what came is still heard
                self._say("failed", error=why)
                return
            if pause == 1 or self._opened:
                self._say("interrupted", error="%s; it is tried again" % why)
                pause = 1
            self._again = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, AGAIN_MOST_S)

    async def _serve(self):
        """From the connection to its end."""
        self._opened = False
        self.gate.check()
        try:
            self._socket = await websocket.connect(self.order["url"], self.order["token"], self.order["verify"], self.order["first_s"])
        except LocalError:
            self.gate.failed()
            raise
        self.gate.open()
        self._opened = True
        rate, width = AUDIO[self.order["audio"]]
        self._socket.text(json.dumps(dict(self.order["start"], type="start", version=1, purpose=self.purpose, encoding="alaw" if width == 1 else "pcm16",
                                          rate=rate, channels=1 + self.order["both"], again=self._again), ensure_ascii=False))
        self._say("opened")
        self._first = time.monotonic() + self.order["first_s"] if self.purpose == "speak" else None
        while True:
            if self._broken is not None:
                raise self._broken
            self._wake = asyncio.ensure_future(self._socket.receive())
            try:
                messages = await self._wake
            except asyncio.CancelledError:
                if self._broken is None:
                    self._wake.cancel()
                    raise
                raise self._broken from None
            if messages is None:
                return self._closed()
            for message in messages:
                if isinstance(message, bytes):
                    self._audio(message)
                elif self._text(message):
                    await self._leave(1000)
                    return None
            await self._room.wait()

    def _closed(self):
        """The far end has closed."""
        if self.purpose == "recognize" or self._socket.code not in (1000, 1005):
            raise LocalError("the service closed the connection (%s) before it was done" % self._socket.code)
        self._last = True

    def _audio(self, octets):
        self._first = None
        if self.purpose == "recognize":
            return
        octets = self._from.convert(octets)
        if octets:
            self._queue.append(octets)
            self._queued += len(octets)
        if self._queued >= QUEUE_OCTETS:
            self._room.clear()

    def _text(self, text):
        """Whether that was all.  Raises LocalError."""
        try:
            told = json.loads(text, parse_constant=_no_number)
            kind = told["type"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise LocalError("the service says what is no JSON object with a type") from None
        try:                            # half a surrogate pair, a number beyond 64 bits: JSON that cannot be told on
            _shallow(told)
            msgpack.packb(told)
        except (ValueError, OverflowError, RecursionError, TypeError):
            raise LocalError("the service says what cannot be passed on: a text that is no Unicode, a number beyond 64 bits or 1e308, "
                             "or objects more than %d deep in each other" % DEEP_MOST) from None
        if kind == "speech_started":
            self._speech()
        elif kind == "result":
            return self._result(told)
        elif kind == "end" and self.purpose == "speak":
            self._last = True
            return True
        elif kind == "error":
            message = told.get("message")
            raise LocalError("the service says: %s" % (message[:200] if isinstance(message, str) and message.isprintable() else "error"))
        elif self.purpose == "stream" and len(text) <= TEXT_CHARACTERS:
            self._tell("message", message=told)
        return False

    def _tell(self, what, **fields):
        """What the service says; raises LocalError when that is too much."""
        self._allowance.take(time.monotonic())
        self._say(what, **fields)

    def _speech(self):
        if not self._told_speech:
            self._told_speech = True
            self._tell("speech")

    def _result(self, told):
        text, confidence, final = told.get("text"), told.get("confidence"), told.get("final", True)
        good = confidence is None or isinstance(confidence, (int, float)) and not isinstance(confidence, bool) and 0 <= confidence <= 1
        if not isinstance(text, str) or len(text) > TEXT_CHARACTERS or not good or not isinstance(final, bool):
            raise LocalError("the service gives a result without text, or with a confidence that is no number from 0 to 1")
        if not final:
            self._speech()
            return False
        self._told_speech = False
        if self.purpose != "speak":
            self._tell("text", text=text, confidence=confidence)
        return self.purpose == "recognize"

    def tell(self, message):
        """JSON for the service."""
        if self._socket is not None:
            self._socket.text(json.dumps(message, ensure_ascii=False))

    async def _leave(self, code):
        socket, self._socket = self._socket, None
        if socket is not None:
            if code == 1000:
                socket.text("{\"type\": \"stop\"}")
            await socket.close(code)

    def close(self):
        """No more; the page is not touched from now on.  Returns a coroutine that says good-bye."""
        self._task.cancel()
        return self._leave(1000)
