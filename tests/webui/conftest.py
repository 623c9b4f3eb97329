"""A web process of its own before a scripted control process (the real one is in tests/live)."""

import http.server
import json
import os
import pathlib
import signal
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PASSWORD = "first-boot-secret"
NOW_MS = 1_790_000_000_000


def a_state(seq, calls=()):
    return {"seq": seq, "now_ms": NOW_MS, "system": {"site": "Test site", "timezone": "Asia/Shanghai"},
            "spans": [{"span": 1, "type": "e1", "state": "up", "alarms": [], "trunk_group": "carrier",
                       "timeslots": [{"timeslot": t, "state": "d" if t == 16 else "idle", "call": None}
                                     for t in range(1, 32)]}],
            "calls": list(calls),
            "queues": [{"name": "sales", "label": "Sales <b>", "waiting": len(calls), "agents": 1, "agents_ready": 1,
                        "answered": 3, "abandoned": 1, "service_level": 0.75, "service_level_s": 20}],
            "agents": [{"name": "1001", "label": "Agent 1001", "line": "1001", "registered": True,
                        "status": "available", "reason": None, "state": "idle", "since_ms": NOW_MS, "call": None}],
            "lines": []}


class FakeControl(socketserver.ThreadingUnixStreamServer):
    """Speaks the local API on control.sock; says() makes a change and tells the followers."""

    daemon_threads = True

    def __init__(self, run_dir, recording):
        self.seq, self.calls, self.asked, self.record = 1, [], [], threading.Condition()
        self.recording = recording
        self.me = {"name": "admin", "role": "admin", "agent": None, "agents": None, "queues": None}
        self.answers = lambda method, path, query, body: None       # (status, body) of what a test answers by itself
        super().__init__(str(run_dir / "control.sock"), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def says(self, calls):
        with self.record:
            self.calls, self.seq = calls, self.seq + 1
            self.record.notify_all()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *args):
        pass

    def answer(self, body, status=200):
        octets = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def own(self, method):
        """Whether the test has answered by itself."""
        path, _, query = self.path.partition("?")
        length = int(self.headers["Content-Length"] or 0)
        found = self.server.answers(method, path, dict(urllib.parse.parse_qsl(query)), json.loads(self.rfile.read(length)) if method == "POST" else None)
        if found is not None:
            self.answer(found[1], found[0])
        return found is not None

    def do_POST(self):
        if not self.own("POST"):
            self.answer({"title": "not found", "detail": "There is no such thing.", "status": 404}, 404)

    def do_GET(self):
        control, path = self.server, self.path.split("?")[0]
        if self.own("GET"):
            return
        if path == "/v1/state":
            self.answer(a_state(control.seq, control.calls))
        elif path == "/v1/me":
            self.answer(control.me)
        elif path == "/v1/events":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            seq = control.seq
            while True:
                with control.record:
                    control.record.wait_for(lambda: control.seq != seq, 5)
                    self.wfile.write(json.dumps({"seq": control.seq, "kind": "x"}).encode() + b"\n")
                    seq = control.seq
        elif path == "/v1/calls/c7":
            self.answer({"cdr": {"call": "c7", "caller": "<script>alert(1)</script>", "called": "02150801000",
                                 "started_ms": NOW_MS, "result": "answered", "cause": 16, "recording": ["r1"]},
                         "records": [{"seq": 1, "ts_ms": NOW_MS, "kind": "leg.offered", "leg": "l1", "data": {"a": 1}}],
                         "recordings": [{"id": "r1", "path": control.recording, "duration_ms": 1000},
                                        {"id": "r2", "path": "../../etc/passwd", "duration_ms": 1000},
                                        {"id": "r3", "path": "empty.wav", "duration_ms": 0}]})
        elif path == "/v1/calls":
            self.answer({"calls": []})
        else:
            self.answer({"title": "not found", "detail": "There is no such call.", "status": 404}, 404)

    def do_PUT(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        self.answer({"ok": True})


def a_wav():
    octets = bytes(range(256)) * 32
    return (b"RIFF" + struct.pack("<I", 50 + len(octets)) + b"WAVEfmt " + struct.pack("<IHHIIHHH", 18, 6, 1, 8000, 8000, 1, 8, 0)
            + b"fact" + struct.pack("<II", 4, len(octets)) + b"data" + struct.pack("<I", len(octets)) + octets)


def started(run_dir, data_dir):
    """A web process that serves."""
    (run_dir / "web.ready").unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "webui"], cwd=ROOT, env={**os.environ, "STROWGER_RUN": str(run_dir), "STROWGER_DATA": str(data_dir)})
    end = time.monotonic() + 60
    while not (run_dir / "web.ready").exists():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            pytest.fail("the web process ended at once, or serves nobody")
        time.sleep(0.05)
    return process


@pytest.fixture
def web(tmp_path):
    """A running web process: object with url, control, data_dir, process, opener, kill(), which starts it anew."""
    run_dir, data_dir = tmp_path / "run", tmp_path / "data"
    run_dir.mkdir(), data_dir.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (data_dir / "configuration.json").write_text(json.dumps({"web": {"address": "127.0.0.1", "port": port}}))
    (data_dir / "first-boot-password").write_text(PASSWORD + "\n")
    (data_dir / "r1.wav").write_bytes(a_wav())
    control = FakeControl(run_dir, "r1.wav")

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args):
            return None

    class Web:
        url = f"https://127.0.0.1:{port}"

        @staticmethod
        def kill():
            Web.process.kill()
            Web.process.wait()
            Web.process = started(run_dir, data_dir)
    Web.control, Web.data_dir, Web.process = control, data_dir, started(run_dir, data_dir)
    try:
        Web.opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl._create_unverified_context()), Stay)
        yield Web
    finally:
        Web.process.send_signal(signal.SIGTERM)
        Web.process.wait(10)
        control.shutdown()
        control.server_close()
