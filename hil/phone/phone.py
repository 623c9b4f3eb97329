"""The agent's telephone: Debian's baresip, without a screen, in a folder of its own.

    phone = Phone("1001", "secret", 5060, play_file="agent.wav", record_file="heard.wav")
    phone.start()                    # waits until it is registered
    phone.wait_for("incoming", 20); phone.answer(); phone.hangup()
    phone.stop()

It plays one file (16-bit PCM WAV, 8 kHz, mono) into the call and records what
it hears into another.  Steered over baresip's ctrl_tcp module (JSON in
netstrings).  Event names: registered, unregistered, incoming, answered
(established), closed.
"""

import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time

# What baresip calls its events, and what we do.
EVENTS = {"REGISTER_OK": "registered", "REGISTER_FAIL": "unregistered", "CALL_INCOMING": "incoming",
          "CALL_ESTABLISHED": "answered", "CALL_CLOSED": "closed", "CALL_RINGING": "ringing"}
MODULES = ("g711.so", "aufile.so", "account.so", "menu.so", "ctrl_tcp.so")


def module_folder():
    """Where Debian put baresip's modules."""
    return next(iter(pathlib.Path("/usr/lib").glob("**/baresip/modules")), pathlib.Path("/usr/lib/baresip/modules"))


def configuration(folder, control_port, play_file, record_file, rtp_ports):
    """The text of baresip's config file.  The jitter buffer is fixed, nothing alters the audio."""
    return "\n".join([
        "poll_method epoll",
        "sip_listen 127.0.0.1:0",
        "sip_trans_def udp",
        "call_local_timeout 120",
        "call_max_calls 4",
        f"audio_player aufile,{record_file}",
        f"audio_source aufile,{play_file}",
        f"audio_alert aufile,{folder / 'alert.wav'}",
        "ausrc_srate 8000", "auplay_srate 8000", "ausrc_channels 1", "auplay_channels 1",
        "audio_level no",
        "ausrc_format s16", "auplay_format s16", "auenc_format s16", "audec_format s16",
        "audio_buffer 40-200",
        f"rtp_ports {rtp_ports[0]}-{rtp_ports[1]}",
        "rtcp_mux no",
        "jitter_buffer_type fixed",
        "jitter_buffer_delay 2-20",
        "rtp_stats no",
        f"module_path {module_folder()}",
        *[f"module {name}" for name in MODULES[:1]],
        *[f"module {name}" for name in MODULES[1:2]],
        "module_app account.so", "module_app menu.so", "module_app ctrl_tcp.so",
        f"ctrl_tcp_listen 127.0.0.1:{control_port}",
        "ring_aufile none", "ringback_aufile none", "busy_aufile none", "error_aufile none", "notfound_aufile none",
        "callwaiting_aufile none", "message_aufile none",
        ""])


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Phone:
    """user, password: of the line.  registrar_port: UDP port of the registrar on 127.0.0.1.

    answer: "auto" or "manual".  expires_s: of the registration."""

    def __init__(self, user, password, registrar_port, play_file, record_file, answer="auto", expires_s=60,
                 rtp_ports=(40000, 49998)):
        self.user, self.password, self.registrar_port = user, password, registrar_port
        self.play_file, self.record_file = pathlib.Path(play_file).resolve(), pathlib.Path(record_file).resolve()
        self.answer_mode, self.expires_s, self.rtp_ports = answer, expires_s, rtp_ports
        self.process, self._control, self._events = None, None, []
        self._changed = threading.Condition()

    def start(self, timeout_s=15):
        """Start baresip and wait until it is registered.  Raises RuntimeError."""
        if not shutil.which("baresip"):
            raise RuntimeError("baresip is not installed; apt-get install baresip-core.")
        self._folder = tempfile.TemporaryDirectory(prefix=f"phone-{self.user}-")
        folder, port = pathlib.Path(self._folder.name), _free_port()
        (folder / "config").write_text(configuration(folder, port, self.play_file, self.record_file, self.rtp_ports))
        (folder / "contacts").write_text("")
        (folder / "accounts").write_text(
            f"<sip:{self.user}@127.0.0.1:{self.registrar_port};transport=udp>;auth_user={self.user};"
            f"auth_pass={self.password};answermode={self.answer_mode};regint={self.expires_s};audio_codecs=PCMA\n")
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["baresip", "-f", str(folder)], stdin=subprocess.PIPE, stdout=log,
                                            stderr=log, start_new_session=True)
        deadline = time.monotonic() + timeout_s
        while self._control is None:
            try:
                self._control = socket.create_connection(("127.0.0.1", port), 1)
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    words = self.log.read_text(errors="replace")[-400:]
                    self.stop()
                    raise RuntimeError(f"baresip did not start: {words}") from None
                time.sleep(0.05)
        self._control.settimeout(None)
        threading.Thread(target=self._read, args=(self._control,), daemon=True).start()
        if not self._registered():
            self.wait_for("registered", max(1, deadline - time.monotonic()))
        return self

    def _registered(self):
        """The registration may have come before we listened: ask."""
        self.command("reginfo")
        time.sleep(0.3)
        return "OK" in self.last_reply

    last_reply = ""

    def stop(self):
        """End baresip by its process id."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stdin.close()
            self.process = None
            self._folder.cleanup()

    def command(self, name, params=""):
        """Send a command of baresip's menu ("accept", "hangup", "dial")."""
        text = json.dumps({"command": name, "params": params, "token": name}).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))

    def answer(self):
        self.command("accept")

    def hangup(self):
        self.command("hangup")

    def dial(self, number):
        self.command("dial", f"sip:{number}@127.0.0.1:{self.registrar_port}")

    def mark(self):
        """How many events there were; pass it as `since` to wait for later ones only."""
        with self._changed:
            return len(self._events)

    def events(self, kind=None, since=0):
        with self._changed:
            return [e for e in self._events[since:] if kind in (None, e["event"])]

    def wait_for(self, kind, timeout_s=10, since=0):
        """The first event of that kind, past or to come.  Raises TimeoutError."""
        def found():
            return next((e for e in self._events[since:] if e["event"] == kind), None)
        with self._changed:
            self._changed.wait_for(found, timeout_s)
            event = found()
            last = [e["event"] for e in self._events[-6:]]
        if event is None:
            raise TimeoutError(f"The phone {self.user} was not {kind} within {timeout_s} s; its last events: {last}")
        return event

    def _read(self, connection):
        """Netstrings of JSON until the connection ends."""
        buffer = b""
        while True:
            try:
                octets = connection.recv(65536)
            except OSError:
                return
            if not octets:
                return
            buffer += octets
            while b":" in buffer:
                head, rest = buffer.split(b":", 1)
                if not head.isdigit() or len(rest) < int(head) + 1:
                    break
                text, buffer = rest[: int(head)], rest[int(head) + 1:]
                self._note(json.loads(text.decode("utf-8", "replace")))

    def _note(self, item):
        with self._changed:
            if item.get("response"):
                self.last_reply = str(item.get("data", ""))
            elif item.get("event"):
                kind = item.get("type", "")
                self._events.append({"event": EVENTS.get(kind, kind.lower()), "mono": time.monotonic(),
                                     "text": item.get("param", ""), "peer": item.get("peeruri", "")})
            self._changed.notify_all()
