"""Streams: a leg's audio to a service outside (recognition, a program of a customer) and a service's audio to a leg.

    stream_open{id, left: leg, right?: leg|null, purpose: "recognize"|"speak"|"stream", url, audio: "pcm16_8k"|"pcm16_16k"|"alaw",
                verify?: bool, start?: map (told to the service), first_s?, private?: {token?, start?}}
    stream_open{id, left: leg, purpose: "fax", document: path of a TIFF, role: "calls"|"answers"|"receives", station?, header?}     the streaming
                process is a fax machine on the leg and sends the document; receives: it writes what the other machine sends there
    stream_tell{id, message: map}       to the service, as JSON
    stream_close{id}                    an unknown one is no error
    audit: streams [{id, left, right, purpose, state: "opening"|"open"|"ended", lost_ms, played_ms}]
    event stream{id, leg, what, ...}    what: "opened", "speech" (somebody begins to talk), "text" (text, confidence, final), "message"
                                        (message: what else the service told), "interrupted" (error; it goes on by itself), "failed" (error; it
                                        is over), "ended", "page" (pages confirmed), "fax" (role, ok, pages, rate, ecm, station, why)
    signal: item {"stream": id}         plays what comes; it ends with the service's end

What is in `private` stands in no log.  The tick knows rings only (native/stream.pxi).  WebSockets, TLS and JSON are a process of its
own (firmware/streaming), a child of this one that shares the rings: it may be killed, then it is started again, and streams that can go on
are opened again; the leg is never touched.  A stream ends with its leg `left`.
"""

import logging
import os
import selectors
import socket
import subprocess
import sys
import time

import msgpack

from firmware.errors import LocalError
from firmware.media import _engine
from firmware.media.checks import check_id, number, refuse

log = logging.getLogger("firmware.media.streams")

PURPOSES = ("recognize", "speak", "stream", "fax")
ONCE = ("speak", "fax")          # what was half said is not begun again
FAX_ROLES = ("calls", "answers", "receives")
AUDIO = ("pcm16_8k", "pcm16_16k", "alaw")
MESSAGE_OCTETS = 65536
START_AGAIN_S = (0.0, 0.5, 2.0, 5.0)    # ours: pauses between deaths of the process; it that served for long begins at the first again
SERVED_LONG_S = 30
FIRST_S = 10                            # ours: until a service has said anything


class Stream:
    """One stream.  state: "opening", "open", "ended"."""

    def __init__(self, name, index, serial, left, right, order):
        self.id, self.index, self.serial, self.left, self.right, self.order = name, index, serial, left, right, order
        self.state = "opening"


class Streams:
    """table: Table, told: function(kind, fields), selector: of the command thread."""

    def __init__(self, engine, table, told, selector, command=(sys.executable, "-m", "firmware.streaming")):
        self._engine, self._table, self._told, self._selector, self._command = engine, table, told, selector, command
        self.running = {}               # id: Stream
        self._free = list(range(_engine.CAPACITY["streams"] - 1, -1, -1))
        self._serial = 0
        self._memory = -1
        self._process = self._sock = None
        self._started = self._again = 0.0
        self._deaths = 0
        self._written = False
        table.streams = self

    # commands

    def open(self, p):
        """stream_open."""
        name = check_id(p.get("id"), "stream_open: id")
        order = self._order(name, p)
        left, right = self._table.find(p.get("left"), "stream_open: left"), p.get("right")
        held = self.running.get(name)
        if held is not None:
            if (held.left, held.right, held.order) == (left.id, right, order):
                return {}
            refuse(f"stream_open: {name} runs with other parameters; close it first")
        slots = left.slot, self._table.slot_of(right, "stream_open: right")
        if not self._free:
            refuse(f"stream_open: all {_engine.CAPACITY['streams']} streams are in use", 47)
        self._ready()
        self._serial = self._serial % 0xFFFFFFFF + 1
        stream = self.running[name] = Stream(name, self._free.pop(), self._serial, left.id, right, order)
        self._engine.stream_clear(stream.index)
        self._engine.stream(stream.index, stream.serial, *slots)
        self._engine.commit()
        self._send(dict(order, do="open", id=name, index=stream.index))
        return {}

    @staticmethod
    def _order(name, p):
        """What the process has to know of a stream, checked."""
        private = p.get("private") or {}
        start = p.get("start") or {}
        url = p.get("url")
        if p.get("purpose") not in PURPOSES:
            refuse(f"stream_open: purpose is {str(p.get('purpose'))[:40]!r}, not one of {', '.join(PURPOSES)}")
        if p["purpose"] == "fax":
            return Streams._fax_order(p)
        if p.get("audio") not in AUDIO:
            refuse(f"stream_open: audio is {str(p.get('audio'))[:40]!r}, not one of {', '.join(AUDIO)}")
        if not isinstance(url, str) or not url.startswith(("ws://", "wss://")):
            refuse("stream_open: url is no ws:// or wss:// address")
        if not isinstance(private, dict) or not isinstance(start, dict) or not isinstance(private.get("start") or {}, dict):
            refuse("stream_open: start and private are maps")
        return {"purpose": p["purpose"], "audio": p["audio"], "url": url, "verify": p.get("verify") is not False, "token": str(private.get("token") or ""),
                "both": p.get("right") is not None, "first_s": number(p.get("first_s", FIRST_S), "stream_open: first_s", 1, 3600),
                "start": dict(start, **(private.get("start") or {}), session=name)}

    @staticmethod
    def _fax_order(p):
        """The same of a fax."""
        document = p.get("document")
        if not isinstance(document, str) or not os.path.isabs(document) or "\0" in document:
            refuse("stream_open: document is no absolute path of a file")
        if p.get("role") not in FAX_ROLES:
            refuse("stream_open: role is %r, not one of %s" % (str(p.get("role"))[:40], ", ".join(FAX_ROLES)))
        if p.get("right") is not None:
            refuse("stream_open: a fax machine hears one leg; leave right out")
        return {"purpose": "fax", "document": document, "role": p["role"], "station": str(p.get("station") or "")[:20], "header": str(p.get("header") or "")[:50]}

    def tell(self, p):
        """stream_tell."""
        name = check_id(p.get("id"), "stream_tell: id")
        if name not in self.running or not isinstance(p.get("message"), dict):
            refuse(f"stream_tell: there is no stream {name}, or message is no map", 98)
        self._send({"do": "tell", "id": name, "message": p["message"]})
        return {}

    def close(self, p):
        """stream_close."""
        stream = self.running.pop(check_id(p.get("id"), "stream_close: id"), None)
        if stream is not None:
            self._end(stream)
        return {}

    def _end(self, stream):
        """The tick lets go of it, then the process; then its place may be used again."""
        self._send({"do": "close", "id": stream.id})
        self._engine.stream(stream.index, 0, -1, -1)
        self._table.later(lambda: self._free.insert(0, stream.index))

    def leg_gone(self, leg):
        """A termination is being subtracted."""
        for stream in list(self.running.values()):
            if stream.left == leg:
                del self.running[stream.id]
                self._end(stream)
            elif stream.right == leg:
                stream.right = None

    def address(self, name):
        """Where the tick finds what a stream plays.  Raises LocalError."""
        stream = self.running.get(name)
        if stream is None:
            raise LocalError(f"signal: there is no stream {name[:40]!r}; open it first")
        return self._engine.stream_address(stream.index)

    def audit(self):
        """See the module docstring."""
        rows = []
        for stream in self.running.values():
            _, lost, played, _ = self._engine.stream_state(stream.index)
            rows.append({"id": stream.id, "left": stream.left, "right": stream.right, "purpose": stream.order["purpose"], "state": stream.state,
                         "lost_ms": lost // 16, "played_ms": played // 8})
        return rows

    # the process

    def _ready(self):
        """Memory and process are there.  Raises LocalError."""
        if self._memory < 0:
            layout = _engine.STREAM_LAYOUT
            memory = os.memfd_create("strowger-streams", os.MFD_CLOEXEC)
            try:
                os.ftruncate(memory, layout["page"] * _engine.CAPACITY["streams"])
                self._engine.stream_memory(memory)
            except OSError as error:
                os.close(memory)
                refuse(f"stream_open: {error.strerror or error}; free memory", 47)
            self._memory = memory
        if self._process is None and time.monotonic() >= self._again:
            self._start()

    def _start(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        try:
            self._process = subprocess.Popen([*self._command, str(theirs.fileno()), str(self._memory)], pass_fds=(theirs.fileno(), self._memory),
                                             stdin=subprocess.DEVNULL)
        except OSError as error:
            ours.close()
            self._died(f"cannot be started ({error.strerror})")
            return
        finally:
            theirs.close()
        self._sock, self._started = ours, time.monotonic()
        self._selector.register(ours, selectors.EVENT_READ, self._read)
        for stream in self.running.values():
            if stream.state != "ended":         # that is over and told
                self._send(dict(stream.order, do="open", id=stream.id, index=stream.index, again=True))

    def _send(self, message):
        if self._sock is None:
            return                      # told when it is there again
        try:
            self._sock.send(msgpack.packb(message))
        except OSError as error:        # BlockingIOError: it does not read
            self._died(f"takes no orders ({error.strerror})")

    def _read(self):
        for _ in range(64):
            if self._sock is None:
                return
            try:
                data = self._sock.recv(MESSAGE_OCTETS)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._died("has ended")
                return
            try:
                self._heard(msgpack.unpackb(data))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self._died(f"says what nobody understands ({type(error).__name__})")
                return

    def _heard(self, event):
        stream = self.running.get(event["id"])
        if stream is None:
            return
        what = event["what"]
        stream.state = {"opened": "open", "interrupted": "opening", "failed": "ended", "ended": "ended", "fax": "ended"}.get(what, stream.state)
        if what in ("failed", "interrupted"):
            log.warning("stream %s of leg %s: %s", stream.id, stream.left, event.get("error"))
        self._told("stream", dict(event, leg=stream.left))

    def _died(self, why):
        """It is started again; what cannot go on is told."""
        if self._sock is not None:
            self._selector.unregister(self._sock)
            self._sock.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._sock = self._process = None
        now = time.monotonic()
        self._deaths = 0 if now - self._started > SERVED_LONG_S else self._deaths + 1
        pause = START_AGAIN_S[min(self._deaths, len(START_AGAIN_S) - 1)]
        self._again = now + pause
        log.error("the streaming process %s; it is started again in %g s", why, pause)
        for stream in self.running.values():
            if stream.state == "ended":
                continue
            # What was half spoken would be said twice; what listens goes on with what is said from now on.
            goes_on = stream.order["purpose"] not in ONCE
            self._heard({"id": stream.id, "what": "interrupted" if goes_on else "failed", "error": "the streaming process " + why})

    def look(self):
        """Now and then: start it again when its pause is over and somebody needs it."""
        if self._process is None and self.running and time.monotonic() >= self._again:
            self._start()

    def stop(self):
        """The process ends with its socket."""
        if self._sock is not None:
            self._selector.unregister(self._sock)
            self._sock.close()
        if self._process is not None:
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._sock = self._process = None
