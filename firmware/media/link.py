"""Signalling links: layer 2 of D channels and of SS7, in a thread of its own.

HDLC frames come from the tick through the engine's frame ring, run through
Q.921 or MTP2 (mtp2_link.py) and leave as numbered messages on media-signalling.sock; what control
sends goes the other way.  Layer 2 lives here so that it outlives control:

up    {"n", "link", "tick_ms" (UTC), "kind", "octets"?}, kept until acknowledged
      and repeated to a new control.  Kinds: dl_establish_indication,
      dl_establish_confirm, dl_release_indication, dl_release_confirm,
      dl_data_indication, link_state (with "state": "up"|"down", "error"?); of SS7: mtp2_link.py.
down  {"do": "hello", "epoch"} first; then {"link", "kind", "octets"?} and {"ack": n}.
      A message that cannot be taken is answered with {"error": sentence, "link"}.

A control that does not acknowledge makes our receiver busy: at UP_MOST frames
of a link the far end gets RNR and keeps the rest.  dl_establish_request on a link that
is up is confirmed without SABME: the far end would lose its calls' messages.
"""

import collections
import logging
import os
import selectors
import socket
import threading
import time

import msgpack

from firmware.errors import LocalError
from firmware.media.checks import number, refuse
from firmware.media.mtp2_link import MTP2Layer, mtp2_parameters
from firmware.media.threads import name_thread
from firmware.proto.q921 import Q921Link
from firmware.trace.ring import LAPD, Nothing

log = logging.getLogger("firmware.media.link")

UP_MOST = 64                    # ours: frames of one link that control has not acknowledged
UP_RESUME = 32
OTHERS_MOST = 256               # ours: messages of one link other than data
DOWN_MOST = 64                  # ours: frames of one link that the far end has not acknowledged
ESTABLISHED = ("dl_establish_indication", "dl_establish_confirm")
MESSAGE_OCTETS = 65536
KEEP_UP_MS = 1000               # ours: a link that fell is established again after this
CONNECTIONS = 8


def utc_ms():
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1000000


def monotonic_ms():
    """The clock of layer 2's timers."""
    return time.monotonic_ns() // 1000000


class Link:
    """One D channel.  parameters: what link_open gave, for idempotency and audit."""

    kind = "lapd"
    data_kinds = ("dl_data_indication",)
    down_kinds = ("dl_establish_request", "dl_release_request", "dl_data_request")

    def __init__(self, name, index, serial, parameters, engine, trace=None):
        self.id, self.index, self.serial, self.parameters = name, index, serial, parameters
        self._engine = engine
        self._trace, self._side = trace or Nothing(), bytes([parameters["side"] == "network"])
        timers = {key: parameters[field] for key, field in
                  (("T200", "t200_ms"), ("T203", "t203_ms"), ("N200", "n200"), ("K", "window"))
                  if parameters.get(field) is not None}
        self.machine = Q921Link(parameters["side"], tei=parameters["tei"], parameters=timers,
                                keep_up_ms=parameters["keep_up_ms"])
        self.unacknowledged = 0         # data indications
        self.others = 0                 # other messages without acknowledgement
        self.overflowed = False
        self.ready = False              # the tick runs its HDLC
        self.early = []                 # frames from before that
        self.up = False
        self.dropped_frames = 0

    @property
    def is_up(self):
        """Whether the data link is established."""
        return self.machine.established

    def control(self, present, now_ms):
        """Control came or went: Q.921 need not know, its window and our bound hold the far end back."""
        return []

    def take(self, octets, repeats, errors, now_ms):
        """One frame.  Returns events."""
        self._keep(octets, 0)
        return self.machine.receive(octets, now_ms)

    def _keep(self, octets, sent):
        """Into the trace; not what only acknowledges (RR without P/F)."""
        if len(octets) > 3 and octets[2] == 0x01 and not octets[3] & 1:
            return
        place = self.parameters
        self._trace.put(LAPD, place["span"] or 0, place["timeslot"] or 0, sent, self._side + octets)

    def deadline_ms(self):
        """When expire() is wanted, or None."""
        return self.machine.deadline_ms()

    def expire(self, now_ms):
        """Timers; returns events."""
        return self.machine.expire(now_ms)

    def down(self, kind, octets, now_ms):
        """A primitive of layer 3.  Returns events."""
        if kind == "dl_establish_request" and self.machine.established:
            return [("dl_establish_confirm",)]
        if kind == "dl_data_request" and self.machine.queued_frames >= DOWN_MOST:
            refuse(f"link {self.id}: {DOWN_MOST} frames wait for the far end; this one was dropped", 42)
        return self.machine.request(kind, now_ms, octets)

    def after(self, events, now_ms):
        """Frames out; returns [(kind, fields)] for control.

        Layer 3 hears of every re-establishment: Q.921 5.7 is silent where nothing of ours was lost,
        but what the far end had to say is lost all the same, and only layer 3 can ask for it."""
        reset = ("mdl_error_indication", "F") in events or (self.machine.established and not self.up)
        if reset and not any(event[0] in ESTABLISHED for event in events):
            events = [*events, ("dl_establish_indication",)]
        told = []
        for event in events:
            if event[0] == "mdl_error_indication":
                log.warning("link %s: Q.921 error %s", self.id, event[1])
                told.append((event[0], {}))
            elif event[0] in ("dl_data_indication", "dl_unit_data_indication"):
                told.append((event[0], {"octets": event[1]}))
            else:
                told.append((event[0], {}))
        data = len([kind for kind, _ in told if kind in self.data_kinds])
        self.machine.set_busy(self.unacknowledged + data >= (UP_RESUME if self.machine.busy_wanted else UP_MOST))
        for octets in self.machine.take_output():
            self._keep(octets, 1)
            if not self.ready:
                self.early.append(octets)
            elif not self._engine.put_frame(self.index, octets):
                self.dropped_frames += 1        # the timers of Q.921 repeat it
        return told

    def start(self):
        """The tick runs the HDLC now: what waited for it goes out."""
        early, self.early = self.early, []
        for octets in early:
            self._engine.put_frame(self.index, octets)

    def state_kind(self):
        """What to say when control may have missed changes."""
        return "dl_establish_indication" if self.up else "dl_release_indication"

    def row(self):
        """For the audit."""
        return {"link": self.id, "kind": self.kind, "span": self.parameters["span"], "timeslot": self.parameters["timeslot"],
                "side": self.parameters["side"], "tei": self.parameters["tei"], "state": "up" if self.up else "down",
                "unacknowledged": self.unacknowledged, "queued": self.machine.queued_frames,
                "dropped_frames": self.dropped_frames, "counters": dict(self.machine.counters)}


def link_parameters(p):
    """Check the parameters of link_open; returns a plain dict."""
    if p.get("kind") == "mtp2":
        return mtp2_parameters(p)
    if p.get("kind") != "lapd":
        refuse(f"link_open: kind is {str(p.get('kind'))[:40]!r}; lapd and mtp2 are what there is")
    if p.get("side") not in ("user", "network"):
        refuse(f"link_open: side is {str(p.get('side'))[:40]!r}, not user or network")
    result = {"side": p["side"], "tei": number(p.get("tei", 0), "link_open: tei", 0, 63),
              "span": p.get("span"), "timeslot": p.get("timeslot"),
              "keep_up_ms": number(p.get("keep_up_ms", KEEP_UP_MS), "link_open: keep_up_ms", 0, 600000)}
    for name, least, most in (("t200_ms", 100, 60000), ("t203_ms", 1000, 600000), ("n200", 1, 20), ("window", 1, 127)):
        if p.get(name) is not None:
            result[name] = number(p[name], "link_open: " + name, least, most)
    return result


class Signalling(threading.Thread):
    """engine: Engine.  path: of the socket.  epoch(): the highest epoch seen on any socket, epoch(n) raises it."""

    def __init__(self, engine, path, boot_id, epoch, trace=None):
        super().__init__(name="layer2", daemon=True)
        self._engine, self._epoch, self._boot_id = engine, epoch, boot_id
        self._trace = trace or Nothing()
        self._links = {}                # id: Link (this thread; others read it under the lock)
        self._by_index = {}
        self._deadlines = {}            # id: when the link's expire() is wanted; most wait for something
        self._jobs = collections.deque()
        self._lock = threading.Lock()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._listener = listen(path)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake_fd, selectors.EVENT_READ, self._woken)
        self._selector.register(engine.frame_fd, selectors.EVENT_READ, self._frames)
        self._unacknowledged = collections.deque()
        self._number = 0
        self._control = None            # connection that said hello with the highest epoch
        self._sent = 0                  # number sent last to it
        self._blocked = False
        self._end = False
        self.counters = collections.Counter()

    # Command thread

    def open(self, name, index, serial, parameters):
        """Make a link; its frames wait until ready()."""
        self._post(lambda: self._open(name, index, serial, parameters))

    def ready(self, name, serial):
        """The tick runs the HDLC of a link now."""
        self._post(lambda: self._ready(name, serial))

    def close(self, name):
        """Forget a link."""
        self._post(lambda: self._close(name))

    def audit(self):
        """[{link, kind, span, timeslot, state, unacknowledged, queued, counters, ...}]"""
        with self._lock:
            return [link.row() for link in self._links.values()]

    def stop(self):
        """End the thread."""
        self._end = True
        os.eventfd_write(self._wake_fd, 1)

    def _post(self, job):
        self._jobs.append(job)
        os.eventfd_write(self._wake_fd, 1)

    # This thread

    def run(self):
        name_thread(self.name)
        while not self._end:
            try:
                for key, _ in self._selector.select(self._timeout_s()):
                    key.data()
                self._expire()
                self._flush()
            except Exception:           # one bad frame or message must not end layer 2
                self.counters["internal_errors"] += 1
                log.exception("layer 2 goes on after an error")

    def _timeout_s(self):
        if not self._deadlines:
            return 1.0
        return max(0.0, min(1.0, (min(self._deadlines.values()) - monotonic_ms()) / 1000))

    def _woken(self):
        os.eventfd_read(self._wake_fd)
        while self._jobs:
            self._jobs.popleft()()

    def _open(self, name, index, serial, parameters):
        with self._lock:
            if parameters.get("kind") == "mtp2":
                link = MTP2Layer(name, index, serial, parameters, self._engine, monotonic_ms(), self._trace)
            else:
                link = Link(name, index, serial, parameters, self._engine, self._trace)
            self._links[name] = self._by_index[index] = link
        self._after(link, link.control(self._control is not None, monotonic_ms()))
        self._up(link, "link_state", {"state": "down"})

    def _ready(self, name, serial):
        link = self._links.get(name)
        if link is not None and link.serial == serial:
            link.ready = True
            link.start()
            self._after(link, [])

    def _close(self, name):
        with self._lock:
            link = self._links.pop(name, None)
        self._deadlines.pop(name, None)
        if link is not None:
            self._by_index.pop(link.index, None)

    def _frames(self):
        os.eventfd_read(self._engine.frame_fd)
        now = monotonic_ms()
        for index, serial, octets, repeats, errors in self._engine.frames():
            link = self._by_index.get(index)
            if link is not None and link.serial == serial:
                self._after(link, link.take(octets, repeats, errors, now))

    def _expire(self):
        now = monotonic_ms()
        for name in [name for name, deadline in self._deadlines.items() if deadline <= now]:
            link = self._links[name]
            self._after(link, link.expire(now))

    def _after(self, link, events):
        """What every step of a machine is followed by: events up, frames out."""
        for kind, fields in link.after(events, monotonic_ms()):
            if kind == "mdl_error_indication":
                self.counters["mdl_errors"] += 1
            else:
                self._up(link, kind, fields)
        if link.is_up != link.up:
            link.up = link.is_up
            log.info("link %s is %s", link.id, "up" if link.up else "down")
            self._up(link, "link_state", {"state": "up" if link.up else "down"})
        deadline = link.deadline_ms()
        if deadline is None:
            self._deadlines.pop(link.id, None)
        else:
            self._deadlines[link.id] = deadline

    def _presence(self):
        """Control came or went."""
        now = monotonic_ms()
        for link in list(self._links.values()):
            self._after(link, link.control(self._control is not None, now))

    def _up(self, link, kind, fields):
        if kind in link.data_kinds:
            link.unacknowledged += 1
        elif link.others >= OTHERS_MOST:
            link.overflowed = True      # a link that flaps with nobody there: the end counts
            return
        else:
            link.others += 1
        self._number += 1
        self._unacknowledged.append(dict(fields, n=self._number, link=link.id, tick_ms=utc_ms(), kind=kind))

    # Sockets

    def _accept(self):
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        if len(self._selector.get_map()) > 3 + CONNECTIONS:
            connection.close()
            return
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._readable(connection, state))
        state = {"epoch": None}

    def _drop(self, connection):
        self._selector.unregister(connection)
        connection.close()
        if connection is self._control:
            self._control = None
            self._presence()

    def _readable(self, connection, state):
        if connection.fileno() < 0:
            return
        try:
            data, _, flags, _ = connection.recvmsg(MESSAGE_OCTETS)
        except BlockingIOError:
            return                      # it became writable: _flush follows
        except OSError:
            data, flags = b"", 0
        if not data:
            self._drop(connection)
            return
        try:
            if flags & socket.MSG_TRUNC:
                refuse(f"a signalling message is longer than {MESSAGE_OCTETS} octets")
            self._message(connection, state, msgpack.unpackb(data))
        except LocalError as error:
            self._answer(connection, {"error": str(error)})
        except Exception as error:      # msgpack raises many kinds on garbage
            self._answer(connection, {"error": f"a signalling message is not understood: {error!r}"[:200]})

    def _answer(self, connection, message):
        self.counters["bad_messages"] += 1
        try:
            connection.send(msgpack.packb(message))
        except OSError:
            pass                        # it does not listen; its own loss

    def _message(self, connection, state, message):
        if not isinstance(message, dict):
            refuse("a signalling message is no map")
        if message.get("do") == "hello":
            epoch = number(message.get("epoch"), "hello: epoch", 0, 1 << 62)
            if epoch < self._epoch():
                refuse(f"epoch {epoch} is over, {self._epoch()} is in charge; this control process must end")
            self._epoch(epoch)
            state["epoch"] = epoch
            self._control, self._sent, self._blocked = connection, 0, False
            self._presence()
            return
        if state["epoch"] is None or state["epoch"] < self._epoch() or connection is not self._control:
            refuse("say hello with the highest epoch before anything else")
        if "ack" in message:
            self._acknowledge(number(message["ack"], "ack", 0, 1 << 62))
            return
        self._down(message)

    def _acknowledge(self, upto):
        freed = set()
        while self._unacknowledged and self._unacknowledged[0]["n"] <= upto:
            message = self._unacknowledged.popleft()
            link = self._links.get(message["link"])
            if link is None:
                continue
            if message["kind"] in link.data_kinds:
                link.unacknowledged = max(0, link.unacknowledged - 1)
            else:
                link.others = max(0, link.others - 1)
            freed.add(link)
        for link in freed:
            if link.overflowed and not link.others:
                link.overflowed = False
                self._up(link, link.state_kind(), {})
            self._after(link, [])       # may leave busy

    def _down(self, message):
        name, kind = message.get("link"), message.get("kind")
        link = self._links.get(name) if isinstance(name, (int, str)) else None
        if link is None:
            refuse(f"there is no link {str(name)[:40]!r}; open it first", 98)
        octets = message.get("octets") or b""
        if kind not in link.down_kinds or not isinstance(octets, bytes):
            refuse(f"{str(kind)[:40]!r} is no primitive of layer 2 of this link")
        self._after(link, link.down(kind, octets, monotonic_ms()))

    def _flush(self):
        """Send what control has not got yet."""
        connection = self._control
        if connection is None:
            return
        if self._unacknowledged and self._sent < self._number:
            first = self._unacknowledged[0]["n"]
            at = max(0, self._sent + 1 - first)
            for message in list(self._unacknowledged)[at:]:
                try:
                    connection.send(msgpack.packb(message))
                except BlockingIOError:
                    break
                except OSError:
                    self._drop(connection)
                    return
                self._sent = message["n"]
        blocked = self._sent < self._number and bool(self._unacknowledged)
        if blocked != self._blocked:
            self._blocked = blocked
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if blocked else 0)
            key = self._selector.get_key(connection)
            self._selector.modify(connection, events, key.data)


def listen(path):
    """A listening SOCK_SEQPACKET socket at a path; a stale file is removed."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    try:
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(16)
    except OSError as error:
        listener.close()
        raise LocalError(f"media cannot listen at {path} ({error.strerror}); check $STROWGER_RUN") from error
    return listener
