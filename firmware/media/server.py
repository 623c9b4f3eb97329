"""The command thread of the media process: media.sock, events, epochs.

Messages are msgpack maps in SOCK_SEQPACKET messages; the commands and events
are listed in client.py.  Here is what holds them together:

packets   Commands may stand behind each other in one packet, each answered for itself.  Who says hello with
          together:true takes replies and events in the same way; others get one a packet (packets.py).
epoch     The highest one that said hello is in charge.  Commands with a lower one
          are refused, on whatever connection they come, so an old control process
          that has not noticed its end does no harm.  hello makes a connection the one
          that gets the events.
events    Numbered from 1 in each life of the process (boot_id), kept until
          acknowledged, sent again from the first unacknowledged one after hello.
replies   {"seq", "ok": true, ...} or {"seq", "ok": false, "error": sentence,
          "cause": Q.850}.  Nothing that arrives ends the process.
"""

import collections
import logging
import os
import secrets
import selectors
import socket
import time

import msgpack

from firmware.errors import LocalError
from firmware.media import _engine
from firmware.media.admission import Admission, measure, measure_codecs, measure_fax, measure_srtp
from firmware.media.bearers import Bearers
from firmware.media.bert import Berts
from firmware.media.checks import check_id, number, refuse
from firmware.media.circuits import Circuits
from firmware.media.link import Signalling, link_parameters, listen
from firmware.media.packets import OUT_MOST, Connection
from firmware.media.player import Player
from firmware.media.ports import Ports
from firmware.media.recorder import Recorder
from firmware.media.stats import TickStats
from firmware.media.streams import Streams
from firmware.media.table import Table
from firmware.trace.ring import Nothing

log = logging.getLogger("firmware.media.server")

PAGE_ENTRIES = 100              # of an audit: well under 100 kB
EVENTS_AT_ONCE = 32             # ours: in a packet
EVENTS_MOST = 65536             # ours: kept for a control that does not come back
CONNECTIONS = 16
TEMPORARY_FAILURE = 41          # Q.850
SPARE_HOT = 2                   # of 3: what cancellers spare while the box is too hot; ours


class Server:
    """engine: Engine whose tick thread is started by the caller.  board: BoardFollower."""

    def __init__(self, run_dir, engine, board, ports=None, trace=None):
        self.engine, self.board = engine, board
        self.boot_id = secrets.token_hex(8)
        self.epoch = 0
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.player = Player()
        self.recorder = Recorder(engine, lambda: os.eventfd_write(self._wake_fd, 1))
        self.stats = TickStats(engine)
        self.table = Table(engine, ports or Ports(), self.player, self.recorder,
                           Admission(dict(measure(), t38=measure_fax()), lambda: (self.stats.work_ns, self.stats.longest_ns), measure_srtp(), codecs=measure_codecs(engine), near=lambda: self.stats.near_seconds), self._quality,
                           self._dtls_failed, self._dtls_closed)
        self.trace = trace or Nothing()
        self.circuits = Circuits(engine, self.table, self.trace)
        self.berts = Berts(engine, self.table, _engine.CAPACITY["berts"])
        self.bearers = Bearers(engine, self.table)
        self.links = {}                 # id: (index, serial, row, parameters)
        self._free_links = list(range(_engine.CAPACITY["links"] - 1, -1, -1))
        self.selector = selectors.DefaultSelector()
        self.listener = listen(os.path.join(run_dir, "media.sock"))
        self.signalling = Signalling(engine, os.path.join(run_dir, "media-signalling.sock"), self.boot_id,
                                     self._shared_epoch, self.trace)
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.selector.register(engine.event_fd, selectors.EVENT_READ, self._drain)
        self.selector.register(self._wake_fd, selectors.EVENT_READ, self._woken)
        self.streams = Streams(engine, self.table, self._now, self.selector)
        self.player.stream_address = self.streams.address
        self.connections = []
        self.owner = None
        self.events = collections.deque()
        self.number = 0
        self.events_dropped = 0
        self.bad_messages = 0
        self.stopping = False

    def _shared_epoch(self, new=None):
        if new is not None and new > self.epoch:
            self.epoch = new
        return self.epoch

    # the loop

    def run(self, heart=None):
        """Serve until stop().  heart: firmware.heartbeat.Heart, to beat in each turn."""
        self.recorder.start()
        self.signalling.start()
        while not self.stopping:
            try:
                waiting = self.table.reap()
                self.table.browsers.look()
                self.board.follow(self.table)
                self.streams.look()
                self.engine.record_memory()
                self._look_for_silence()
                self.stats.sample()
                if heart is not None:
                    heart.beat()
                behind = [connection for connection in self.connections if connection.behind]
                for key, mask in self.selector.select(0 if behind else 0.01 if waiting else 0.25):
                    if isinstance(key.data, Connection):
                        self._ready(key.data, mask)
                    else:
                        key.data()
                for connection in behind:
                    if connection in self.connections:
                        self._read(connection)
            except Exception:
                log.exception("the command thread goes on after an error")
        self._finish()

    def stop(self, *_):
        """Leave run() (signal handler)."""
        self.stopping = True
        os.eventfd_write(self._wake_fd, 1)

    def _finish(self):
        self.streams.stop()
        for recording in list(self.recorder.running):
            self.recorder.record_stop(recording)
        self.engine.commit()
        self.recorder.finish()
        self.signalling.stop()

    def _woken(self):
        os.eventfd_read(self._wake_fd)
        for kind, fields in self.recorder.results():
            self._event(kind, fields, time.time_ns() // 1000000)
        self.engine.commit()
        self._send_events()

    def _drain(self):
        os.eventfd_read(self.engine.event_fd)
        self.table.take_others()
        self.table.faxes.pump()
        while events := self.engine.events():
            for kind, slot, serial, a, value, other, tick_ms in events:
                if kind == "record_stopped":
                    self.recorder.stopped(slot, serial)
                elif kind == "record_mark":
                    fields = self.recorder.marked(slot, serial, _engine.RECORD_MARKS[a], value)
                    if fields is not None:
                        self._event(kind, fields, tick_ms)
                elif kind == "board":
                    log.info("the board is %s (generation %d)",
                             "there" if a else "gone: running on the system's clock", value)
                    self._event("board", {"state": "present" if a else "absent", "generation": value}, tick_ms)
                else:
                    part = self.circuits if kind in ("cas", "mf", "check") else self.table
                    fields = part.event(kind, slot, serial, a, value, other)
                    if fields is not None:
                        self._event(kind, fields, tick_ms)
        self._send_events()

    def _now(self, kind, fields):
        self._event(kind, fields, time.time_ns() // 1000000)
        self._send_events()

    def _look_for_silence(self):
        for fields in self.table.quiet.look(self.table.terminations, time.monotonic()):
            self._now("quiet", fields)

    def _quality(self, name, call, figures):
        self._now("leg_quality", {"id": name, "call": call, "quality": figures})

    def _dtls_failed(self, name, sentence):
        self._now("dtls_failed", {"id": name, "error": sentence})

    def _dtls_closed(self, name):
        self._now("dtls_closed", {"id": name})

    def _event(self, kind, fields, tick_ms):
        self.number += 1
        self.events.append(dict(fields, event=self.number, kind=kind, tick_ms=tick_ms))
        if len(self.events) > EVENTS_MOST:
            self.events.popleft()
            self.events_dropped += 1
            if self.events_dropped == 1:
                log.error("no control process fetches events: the oldest are dropped; an audit shows the state")

    # connections

    def _accept(self):
        sock, _ = self.listener.accept()
        if len(self.connections) >= CONNECTIONS:
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        connection = Connection(sock)
        self.connections.append(connection)
        self.selector.register(sock, connection.mask, connection)

    def _drop(self, connection):
        if connection in self.connections:
            self.connections.remove(connection)
            self.selector.unregister(connection.sock)
            connection.sock.close()
        if self.owner is connection:
            self.owner = None

    def _ready(self, connection, mask):
        if mask & selectors.EVENT_WRITE:
            self._flush(connection)
        if mask & selectors.EVENT_READ and connection in self.connections and not connection.behind:
            self._read(connection)

    def _read(self, connection):
        if connection.turn(lambda message: self._message(connection, message)):
            self._send_events()
            self._flush(connection)
        else:
            self._drop(connection)

    def _message(self, connection, message):
        """The reply to a command, None: it wants none; to a LocalError what it says."""
        if isinstance(message, LocalError):
            return self._refused(None, message)
        seq = None
        try:
            seq = message.get("seq")
            if seq is not None and (isinstance(seq, bool) or not isinstance(seq, int)):
                seq = None
                refuse("seq is no whole number")
            reply = self._command(connection, message)
            return None if message.get("do") == "ack" and seq is None else dict(reply, seq=seq, ok=True)
        except LocalError as error:
            return self._refused(seq, error)
        except Exception as error:
            log.exception("a command failed inside media")
            return self._refused(seq, LocalError(f"media failed in the command: {error!r}; see its log"))

    def _refused(self, seq, error):
        self.bad_messages += 1
        return {"seq": seq, "ok": False, "error": str(error), "cause": getattr(error, "cause", TEMPORARY_FAILURE)}

    def _flush(self, connection):
        """Send replies, then events, as far as the peer takes them."""
        try:
            while connection.out:
                del connection.out[:connection.send(connection.out)]
            while connection is self.owner and self.events and connection.cursor < self.events[-1]["event"]:
                at = max(0, connection.cursor + 1 - self.events[0]["event"])
                due = [self.events[position] for position in range(at, min(at + EVENTS_AT_ONCE, len(self.events)))]
                count = connection.send([msgpack.packb(event) for event in due])
                connection.cursor = due[count - 1]["event"]
            wants = False
        except BlockingIOError:
            wants = True
        except OSError:
            self._drop(connection)
            return
        mask = (selectors.EVENT_WRITE if wants else 0) | (selectors.EVENT_READ if len(connection.out) <= OUT_MOST else 0)
        if mask != connection.mask:
            connection.mask = mask
            self.selector.modify(connection.sock, mask, connection)

    def _send_events(self):
        if self.owner is not None and not self.owner.mask & selectors.EVENT_WRITE:
            self._flush(self.owner)

    # commands

    def _command(self, connection, message):
        do = message.get("do")
        epoch = number(message.get("epoch"), "epoch", 0, 1 << 62)
        if epoch < self.epoch:
            refuse(f"epoch {epoch} is over, {self.epoch} is in charge; this control process must end")
        if epoch > self.epoch and do != "hello":
            refuse(f"epoch {epoch} has not said hello yet")
        handler = COMMANDS.get(do) if isinstance(do, str) else None
        if handler is None:
            refuse(f"media knows no command {str(do)[:40]!r}")
        if self.engine.room() < 256:
            refuse("the tick does not take commands; try again")
        return handler(self, connection, message)

    def _hello(self, connection, message):
        self._shared_epoch(message["epoch"])
        self.owner = connection
        connection.cursor, connection.together = 0, message.get("together") is True
        return {"generation": self.board.generation, "boot_id": self.boot_id, "board": self.board.present,
                "capacity": dict(_engine.CAPACITY, terminations=self.table.limit)}

    def _ack(self, connection, message):
        upto = number(message.get("upto"), "ack: upto", 0, 1 << 62)
        while self.events and self.events[0]["event"] <= upto:
            event = self.events.popleft()
            if event["kind"] == "signal_complete":
                self.table.signal_acknowledged(event["id"], event["token"])
        return {}

    def _tones(self, connection, message):
        plan = message.get("plan", {name: message[name] for name in message if name not in ("seq", "epoch", "do")})
        own, known = message.get("own", {}), self.player.plan
        if not isinstance(plan, dict) or not isinstance(own, dict):
            refuse("tones: the plan is no map of tones")
        self.player.set_plan(plan, own)
        if plan != known:
            self.table.set_progress(plan)
            self.engine.commit()
        return {}

    def _trace(self, connection, message):
        """trace{megabytes}: how much of the signalling is kept; 0: none."""
        self.trace.resize(number(message.get("megabytes"), "trace: megabytes", 0, 65536))
        return {}

    def _link_open(self, connection, message):
        name = self._link_id(message)
        parameters = link_parameters(message)
        held = self.links.get(name)
        if held is not None:
            if held[3] == parameters:
                return {}
            refuse(f"link_open: link {name} exists with other parameters; close it first")
        if not self._free_links:
            refuse(f"all {_engine.CAPACITY['links']} links are in use", 47)
        row = self.table.take_row(message.get("span"), message.get("timeslot"), f"link {name}")
        index, serial = self._free_links.pop(), secrets.randbits(31) | 1
        mtp2 = parameters.get("kind") == "mtp2"
        self.engine.kernels.set_mtp2(index, mtp2)
        self.engine.open_link(index, serial, row, mtp2)
        self.links[name] = (index, serial, row, parameters)
        self.signalling.open(name, index, serial, parameters)
        self.table.later(lambda: self.signalling.ready(name, serial))
        return {}

    def _link_close(self, connection, message):
        held = self.links.pop(self._link_id(message), None)
        if held is not None:
            self.engine.close_link(held[0])
            self.signalling.close(message["link"])
            del self.table.rows[held[2]]
            self.table.later(lambda: self._free_links.append(held[0]))
        return {}

    @staticmethod
    def _link_id(message):
        name = message.get("link")
        if isinstance(name, int) and not isinstance(name, bool):
            return number(name, "link", 0, 1 << 31)
        return check_id(name, "link")

    def _audit(self, connection, message):
        after = number(message.get("after", 0), "audit: after", 0, 1 << 31)
        if after == 0:
            whole = self.table.audit()
            whole["recordings"] = self.recorder.audit()
            whole["links"] = self.signalling.audit()
            whole["circuits"] = self.circuits.audit()
            whole["streams"] = self.streams.audit()
            for row in whole["links"]:
                if row["link"] in self.links:
                    row["hdlc"] = self.engine.kernels.hdlc_counters(self.links[row["link"]][0])
            connection.audit = [(name, entry) for name, entries in whole.items() for entry in entries]
        page = {name: [] for name in ("terminations", "bridges", "topologies", "signals", "recordings", "links", "circuits", "streams")}
        for name, entry in connection.audit[after:after + PAGE_ENTRIES]:
            page[name].append(entry)
        more = after + PAGE_ENTRIES < len(connection.audit)
        if not more:
            connection.audit = []
        return dict(page, next=after + PAGE_ENTRIES if more else None)

    def _derate(self, connection, message):
        percent = number(message.get("percent"), "derate: percent", 10, 100)
        if percent != self.table.admission.percent:
            log.warning("%d %% of the machine are for calls from now on", percent)
        self.table.admission.derate(percent)
        self.engine.spare(SPARE_HOT if percent < 100 else 0)
        return {}

    def _stats(self, connection, message):
        if message.get("clear") is True:        # benchmarks: the histogram begins anew
            self.engine.clear_figures()
        return {"tick": self.stats.figures(), "terminations": len(self.table.terminations),
                "bridges": len(self.table.bridges), "recordings": len(self.recorder.running), "streams": len(self.streams.running), "links": len(self.links),
                "events_waiting": len(self.events), "events_dropped": self.events_dropped,
                "bad_messages": self.bad_messages, "trace_dropped": self.trace.dropped, "signalling": dict(self.signalling.counters),
                "terminations_most": self.table.limit, "board": self.board.figures(),
                "admission": self.table.admission.figures()}


def _table(name):
    return lambda server, connection, message: getattr(server.table, name)(message)


def _circuits(name):
    return lambda server, connection, message: getattr(server.circuits, name)(message)


def _berts(name):
    return lambda server, connection, message: getattr(server.berts, name)(message)


def _streams(name):
    return lambda server, connection, message: getattr(server.streams, name)(message)


def _bearers(name):
    return lambda server, connection, message: getattr(server.bearers, name)(message)


COMMANDS = {"hello": Server._hello, "ack": Server._ack, "tones": Server._tones, "audit": Server._audit,
            "stats": Server._stats, "trace": Server._trace, "link_open": Server._link_open, "link_close": Server._link_close, "derate": Server._derate,
            **{name: _berts(name) for name in ("bert_start", "bert_stop", "bert_insert", "berts")},
            **{"stream_" + name: _streams(name) for name in ("open", "tell", "close")},
            **{name: _bearers(name) for name in ("bearers_set", "bearer_order", "bearers")},
            **{name: _circuits(name) for name in ("cas_open", "cas_send", "cas_close", "mf_listen", "mf_send", "check", "loop")},
            **{name: _table(name) for name in ("add", "modify", "subtract", "bridge", "topology", "conference", "signal",
                                               "stop", "player", "detect", "watch", "press", "enhance", "record", "record_stop",
                                               "record_pause", "record_legs", "tap")}}
