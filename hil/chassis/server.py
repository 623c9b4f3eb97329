"""The emulated box behind sockets.

DIR/board/i2c.sock   SOCK_SEQPACKET: one smbus2 call a message, {"call", "arguments", "pec"} -> {"value"} or {"errno"}
DIR/board/box.sock   SOCK_STREAM, lines of JSON, for whoever sets faults:
    {"do": "set", "chip": "psu1", "what": "mains_v", "value": 0}     an attribute of a model
    {"do": "pull" | "plug", "chip": "psu2"}
    {"do": "fault", "chip": "sensor_board", "kind": "nack" | "wrong_pec" | "garbage" | null, "count": 3}
    {"do": "stuck", "value": true}                                   the whole bus
    {"do": "world", "ambient_c": 45, "load": 1.0}
    {"do": "step", "seconds": 60}                                    time passes at once
    {"do": "show"}                                                   LEDs, drives, temperatures
each answered by one line, {"ok": true, ...} or {"ok": false, "why": sentence}."""

import json
import os
import selectors
import socket
import threading
import time

from hil.chassis import chips
from hil.chassis.box import ADDRESSES, Box

CALLS = ("read_byte", "write_byte", "read_byte_data", "write_byte_data", "read_word_data", "write_word_data",
         "read_block_data", "write_block_data", "read_i2c_block_data", "write_i2c_block_data")
STEP_S = 1.0


class BoxServer:
    """An emulated box below run_dir.  Runs in a thread of its own from start() to stop().

    join: clock_join.ClockJoin where the board beside it is to follow the box's DPLL."""

    def __init__(self, run_dir, box=None, join=None):
        self.box, self.join = box or Box(), join
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._paths, self._thread = [], None
        folder = os.path.join(run_dir, "board")
        os.makedirs(folder, exist_ok=True)
        self._listen(os.path.join(folder, "i2c.sock"), socket.SOCK_SEQPACKET, self._on_bus)
        self._listen(os.path.join(folder, "box.sock"), socket.SOCK_STREAM, self._on_line)

    def _listen(self, path, kind, callback):
        if os.path.lexists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, kind)
        listener.bind(path)
        listener.listen(4)
        self._paths.append(path)
        self._selector.register(listener, selectors.EVENT_READ, (self._on_peer, callback))

    def start(self):
        """Serve in a thread.  Returns self."""
        self._thread = threading.Thread(target=self.run, name="emulated-box", daemon=True)
        self._thread.start()
        return self

    def stop(self):
        """End the thread and remove the sockets."""
        if self._wake_write.fileno() >= 0:
            self._wake_write.send(b"x")
        if self._thread:
            self._thread.join(2)

    def run(self):
        """Serve until stop()."""
        due = time.monotonic() + STEP_S
        try:
            while True:
                for key, _ in self._selector.select(max(0.0, due - time.monotonic())):
                    if key.data is None:
                        return
                    callback, argument = key.data
                    callback(key.fileobj, argument)
                if time.monotonic() >= due:
                    due = max(due + STEP_S, time.monotonic())       # what the host slept through is not made up for
                    self.box.step(STEP_S)
                    if self.join is not None:
                        self.join.step(self.box.chips["dpll"])
        finally:
            for key in list(self._selector.get_map().values()):
                key.fileobj.close()
            self._wake_write.close()
            for path in self._paths:
                if os.path.exists(path):
                    os.unlink(path)

    def _on_peer(self, listener, callback):
        peer, _ = listener.accept()
        self._selector.register(peer, selectors.EVENT_READ, (callback, bytearray()))

    def _drop(self, peer):
        self._selector.unregister(peer)
        peer.close()

    def _on_bus(self, peer, _):
        try:
            octets = peer.recv(65536)
            if octets:
                peer.send(json.dumps(self._transfer(octets)).encode())
                return
        except OSError:
            pass
        self._drop(peer)

    def _transfer(self, octets):
        try:
            request = json.loads(octets)
            if request["call"] not in CALLS:
                raise ValueError(request["call"])
            with self.box.bus.lock:
                self.box.bus.pec = request.get("pec", 0)
                return {"value": getattr(self.box.bus, request["call"])(*request["arguments"])}
        except OSError as error:
            return {"errno": error.errno}
        except (ValueError, KeyError, TypeError):
            return {"errno": 22}

    def _on_line(self, peer, buffer):
        try:
            octets = peer.recv(65536)
        except OSError:
            octets = b""
        if not octets:
            self._drop(peer)
            return
        buffer += octets
        while b"\n" in buffer:
            line, _, rest = bytes(buffer).partition(b"\n")
            buffer[:] = rest
            try:
                peer.sendall(json.dumps(self._act(line)).encode() + b"\n")
            except OSError:
                self._drop(peer)
                return

    def _act(self, line):
        try:
            with self.box.bus.lock:
                return {"ok": True, **(self._do(json.loads(line)) or {})}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"ok": False, "why": "%s: %s" % (type(error).__name__, error)}

    def _do(self, request):
        box, verb = self.box, request["do"]
        if verb == "set":
            chip = box.chips[request["chip"]]
            if request["what"].startswith("_") or callable(getattr(chip, request["what"])):
                raise ValueError("%s cannot be set" % request["what"])
            value = request["value"]
            setattr(chip, request["what"], set(value) if request["what"] == "blocked" else value)
        elif verb in ("pull", "plug"):
            getattr(box, verb)(request["chip"])
        elif verb == "fault":
            box.bus.fault(ADDRESSES[request["chip"]], request["kind"], request.get("count"))
        elif verb == "stuck":
            box.bus.stuck = bool(request["value"])
        elif verb == "world":
            box.ambient_c = float(request.get("ambient_c", box.ambient_c))
            box.load = float(request.get("load", box.load))
        elif verb == "step":
            for _ in range(int(request["seconds"])):
                box.step(1.0)
        elif verb == "show":
            return {"leds": [box.chips["leds"].led(n) for n in range(8)],
                    "rpm": [round(box.chips["fans"].rpm(n)) for n in range(5)],
                    "celsius": {name: round(chip.celsius, 2) for name, chip in box.chips.items() if isinstance(chip, chips.LM75)},
                    "following": box.chips["dpll"].following}
        else:
            raise ValueError("there is no %r" % verb)
        return None
