"""Sockets of the emulated board: the lines and the control socket.

Runs in the main thread and sleeps unless somebody connects or asks; the tick
runs in a thread of its own, without Python.  hil/README.md documents both
sockets."""

import json
import os
import selectors
import socket
import sys
import threading
import time

from hil.board._emulator import Emulator, window_octets
from hil.board.window_file import WindowFile

ALARM_BITS = ((0x80, "los"), (0x40, "ais"), (0x20, "lfa"), (0x10, "rai"), (0x04, "no_crc4"), (0x02, "lmfa"))
T1_CODE_BITS = ((0x08, "loop_up"), (0x10, "loop_down"))
PPM_MOST = 5000
CAS_ALARM_BITS = ((0x40, "cas_rai"), (0x20, "cas_los"), (0x10, "cas_ais"), (0x08, "cas_lfa"))
REQUEST_OCTETS_MAX = 65536


class BoardServer:
    """One emulated board below run_dir with spans 1..spans.

    run() blocks until stop() (safe in a signal handler) and then removes the sockets."""

    def __init__(self, run_dir, spans=64):
        self._run_dir = run_dir
        self._file = WindowFile(run_dir, window_octets(spans))
        self._emulator = Emulator(self._file.map, spans)
        self._spans = spans
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._paths = []
        try:
            self._listen_all()
        except OSError:
            self._close()
            raise

    def _listen_all(self):
        lines = os.path.join(self._run_dir, "lines")
        os.makedirs(lines, exist_ok=True)
        for span in range(1, self._spans + 1):
            self._listen(os.path.join(lines, "%d.sock" % span), socket.SOCK_SEQPACKET, self._on_line, span)
        self._listen(os.path.join(self._run_dir, "board", "control.sock"), socket.SOCK_STREAM, self._on_control, None)

    def _listen(self, path, kind, callback, span):
        if os.path.lexists(path):  # left by a killed emulator: the lock says that nobody listens
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, kind)
        try:
            listener.bind(path)
        except OSError as error:
            listener.close()
            raise OSError("%s: %s (a socket's path may have 107 octets)" % (path, error)) from error
        listener.listen(4)
        listener.setblocking(False)
        self._paths.append(path)
        self._selector.register(listener, selectors.EVENT_READ, (callback, span))

    def run(self):
        """Serve until stop()."""
        tick = threading.Thread(target=self._emulator.run, name="board-tick")
        tick.start()
        self._say_real_time()
        try:
            while True:
                for key, _ in self._selector.select():
                    if key.data is None:
                        return
                    callback, argument = key.data
                    callback(key.fileobj, argument)
        finally:
            self._emulator.stop()
            tick.join()
            self._close()

    def _say_real_time(self):
        deadline = time.monotonic() + 1
        while not self._emulator.board_status()["ticks"] and time.monotonic() < deadline:
            time.sleep(0.01)
        if not self._emulator.board_status()["real_time"]:
            print("board: no right to real-time scheduling (SCHED_FIFO): blocks may come late on a busy host", file=sys.stderr)

    def stop(self):
        """Let run() return; may be called from a signal handler."""
        self._wake_write.send(b"x")

    def _close(self):
        for path in self._paths:
            if os.path.lexists(path):
                os.unlink(path)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()
        self._wake_write.close()
        self._file.close()

    # ---- lines ----

    def _on_line(self, listener, span):
        """A far end connects; a second one is refused: its connection is closed at once."""
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        peer.setblocking(False)
        if self._emulator.attach(span, peer.fileno()):
            peer.detach()  # the tick thread closes it
        else:
            peer.close()

    # ---- control socket ----

    def _on_control(self, listener, _):
        try:
            client, _ = listener.accept()
        except OSError:
            return
        client.setblocking(False)
        self._selector.register(client, selectors.EVENT_READ, (self._on_request, bytearray()))

    def _on_request(self, client, pending):
        try:
            octets = client.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        pending += octets
        while b"\n" in pending:
            line, _, rest = pending.partition(b"\n")
            pending[:] = rest
            answer = json.dumps(self._answer(bytes(line))).encode() + b"\n"
            try:
                client.settimeout(1.0)
                client.sendall(answer)
                client.setblocking(False)
            except OSError:
                octets = b""
        if not octets or len(pending) > REQUEST_OCTETS_MAX:
            self._selector.unregister(client)
            client.close()

    def _answer(self, line):
        try:
            request = json.loads(line)
            action = {"status": self._status, "inject": self._inject, "clock": self._clock}.get(request["do"])
            if action is None:
                raise ValueError("do is %r: use \"status\", \"inject\" or \"clock\"" % (request["do"],))
            return {"ok": True, **action(request)}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return {"ok": False, "error": "%s: %s" % (type(error).__name__, error)}

    def _status(self, request):
        spans = [self._span(request)] if "span" in request else range(1, self._spans + 1)
        return {"board": self._emulator.board_status(), "lines": [self._line(span) for span in spans]}

    def _line(self, span):
        status = self._emulator.line_status(span)
        frs0, frs1 = status.pop("frs0"), status.pop("frs1")
        if status["type"] == "t1":
            frs0 &= ~0x02              # LMFA comes and goes with LFA
            more = T1_CODE_BITS
        else:
            more = CAS_ALARM_BITS
        status["alarms"] = [name for bit, name in ALARM_BITS if frs0 & bit] + [name for bit, name in more if frs1 & bit]
        return status

    def _span(self, request):
        span = request["span"]
        if not isinstance(span, int) or not 1 <= span <= self._spans:
            raise ValueError("span is %r: this board has 1 to %d" % (span, self._spans))
        return span

    def _inject(self, request):
        span, fault, on = self._span(request), request["fault"], bool(request.get("on", True))
        count = int(request.get("count", 1))
        emulator = self._emulator
        if fault in ("rx_los", "rx_ais", "rx_lof", "tx_los", "tx_ais", "tx_lof"):
            emulator.fault(span, fault[:2], fault[3:] if on else "none")
        elif fault == "unplug":
            emulator.fault(span, "rx", "los" if on else "none")
            emulator.fault(span, "tx", "los" if on else "none")
            emulator.cable(span, rx_open=on, tx_open=on)
        elif fault == "rx_rai":
            emulator.force_rai(span, on)
        elif fault in ("rx_crc", "tx_crc"):
            emulator.crc_errors(span, fault[:2], count)
        elif fault == "tx_fas":
            emulator.fas_errors(span, count)
        elif fault == "rx_crc_rate":
            emulator.crc_rate(span, self._number(request, "rate", 0, 8000) if on else 0)
        elif fault in ("rx_bits", "tx_bits"):
            rate = self._number(request, "rate", 0, 0.5) if on and "rate" in request else 0.0
            emulator.bit_errors(span, fault[:2], rate, count if on and "rate" not in request else 0,
                                int(self._number(request, "timeslot", 0, 31)) if "timeslot" in request else 0)
        elif fault == "plug":
            emulator.plug(span, on)
        elif fault == "crossed":
            other = request.get("with", span)
            emulator.cross(span, self._span({"span": other}) if on else span)
        elif fault in ("rx_open", "tx_open", "tx_short"):
            emulator.cable(span, **{fault: on})
        elif fault == "no_chip":
            emulator.chip(span, on, 0)
        elif fault == "other_chip":
            emulator.chip(span, False, int(self._number(request, "identity", 1, 255)) if on else 0)
        elif fault == "pairs":
            emulator.cable(span, exchanged=on)
        elif fault == "cable":
            emulator.cable(span, rx_loss_db=self._number(request, "rx_db", 0, 60) if on and "rx_db" in request else 0.0,
                           tx_loss_db=self._number(request, "tx_db", 0, 60) if on and "tx_db" in request else 0.0,
                           cable_ohm=int(self._number(request, "ohm", 75, 120)) if on and "ohm" in request else 0)
        elif fault == "far_receiver":
            emulator.cable(span, far_least_db=self._number(request, "least_db", 0, 60) if on else 0.0,
                           far_most_db=self._number(request, "most_db", 0, 60) if on else 0.0)
        elif fault == "ppm":
            emulator.clock(span, on, self._number(request, "ppm", -PPM_MOST, PPM_MOST) if on else 0.0)
        else:
            raise ValueError("fault is %r: use rx_los, rx_ais, rx_lof, rx_rai, rx_crc, rx_crc_rate, rx_bits, tx_los, tx_ais, tx_lof, tx_crc, "
                             "tx_fas, tx_bits, unplug, plug, crossed, ppm, rx_open, tx_open, tx_short, pairs, cable, far_receiver, no_chip or other_chip" % (fault,))
        return {"line": self._line(span), "ticks": emulator.ticks()}

    @staticmethod
    def _number(request, name, least, most):
        value = request[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise ValueError("%s is %r: give a number from %g to %g" % (name, value, least, most))
        return float(value)

    def _clock(self, request):
        """Which far end's clock the board follows ("span", 0 for none), and how wrong its own is ("ppm")."""
        span = request.get("span", 0)
        self._emulator.reference(self._span(request) if span else 0,
                                 self._number(request, "ppm", -PPM_MOST, PPM_MOST) if "ppm" in request else None)
        return {"board": self._emulator.board_status()}
