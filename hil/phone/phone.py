"""An agent's phone: Debian's baresip, driven through its ctrl_tcp module.

    phone = Phone("1001", "secret", registrar_port=5060, play_file="agent.wav",
                  record_file="heard.wav", answer="auto")
    phone.start()                           # returns once it is registered
    phone.wait_for("answered", 10)
    phone.hangup(); phone.wait_for("closed", 5)
    heard, sent = phone.recordings[0]       # WAV files of the first call
    phone.stop()

What it hears is written by baresip's sndfile filter right behind the decoder:
one sample for each sample that came by RTP, in order, before any play-out
buffer, nothing put in (no concealment, no silence for a late packet) and
nothing left out but lost packets.  What it sends is written the same way.
There is no audio device and no player: Debian's aufile module (1.0.0) is a
source only, and a player would put its own clock between RTP and the file.
The jitter buffer is off (0-0): on loopback packets arrive in order.

The file plays from the moment the call is answered; silence follows it, since
baresip ends a call whose source ends.  Codec A-law, 20 ms, nothing that
changes audio is loaded (no resampler is needed at 8 kHz mono, no plc, no speex_pp).

Events: registered, register_failed, incoming, ringing, answered, closed, and
baresip's other types in lower case (call_rtpestab, call_rtcp, ...).
Each is a dict {"event", "n", "mono", "id", "peeruri", "param", ...}.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time

import numpy as np

from hil import scratch
from hil.ports import TCP, UDP, free_block
from hil.probes import wav

# codec as baresip names it: its module.  Its files then have the codec's own rate and channels.
CODEC_MODULES = {"g722": "g722", "G726-32": "g726", "AAL2-G726-32": "g726", "opus": "opus"}
OPUS_SETTINGS = "opus_bitrate 28000\nopus_stereo no\nopus_sprop_stereo no\nopus_inbandfec yes\n"
NAMES = {"REGISTER_OK": "registered", "REGISTER_FAIL": "register_failed", "CALL_INCOMING": "incoming",
         "CALL_RINGING": "ringing", "CALL_ESTABLISHED": "answered", "CALL_CLOSED": "closed"}

CONFIG = """\
poll_method epoll
sip_listen {address}:{sip}
call_local_timeout 3600
call_max_calls {calls}
audio_path {folder}/none
audio_source aufile,{folder}/play.wav
audio_player none,none
audio_alert none,none
audio_level no
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
audio_buffer 20-160
rtp_tos 184
rtp_ports {rtp_low}-{rtp_high}
rtcp_mux no
jitter_buffer_delay 0-0
rtp_stats yes
net_interface {address}
module_path {modules}
module g711.so
module aufile.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {folder}/dumps
statmode_default off
"""

PRIORITY = 41           # of its threads, as far as allowed

# Ends baresip when its standard input closes: it must not outlive a test that was killed.
KEEPER = '"$@" </dev/null >log 2>&1 & pid=$!; echo $pid; cat >/dev/null; kill $pid 2>/dev/null; wait $pid'


class Phone:
    """One phone, one account, one baresip process.

    answer: "auto" or "manual" (then answer()).  play_file: WAV, 8 kHz mono,
    A-law or 16-bit PCM; None plays silence.  record_file: where the first
    call's heard audio goes (16-bit PCM WAV); later calls get "-2", "-3"
    before the suffix; None keeps them in the phone's own directory, which goes with this process.
    play_seconds: least length of what it plays, silence added; repeat: fill with the file again instead.
    transport: "udp", "tcp" or "tls", of its registration.  outbound: RFC 5626, it opens a connection anew that is gone.
    waiting: subscribes to its message waiting lamp (RFC 3842); its log has each NOTIFY.
    watches: lines whose presence it shows (command "contacts").
    codec: as baresip names it (CODEC_MODULES), the only one.
    encryption: baresip's mediaenc ("srtp": keys offered in a plain block, "srtp-mand": RTP/SAVP only).
    password None does not register; wait_registered False lets start() return before it has.
    """

    def __init__(self, user, password, registrar_port, play_file=None, record_file=None, answer="auto", *,
                 registrar="127.0.0.1", address="127.0.0.1", play_seconds=600, repeat=False, expires_s=600,
                 calls=4, directory=None, wait_registered=True, transport="udp", encryption=None, outbound=False, waiting=False, watches=(), codec="pcma"):
        self.user, self.password, self.answer_mode = user, password, answer
        self.registrar = f"{registrar}:{registrar_port}"
        self.address, self.expires_s, self.calls = address, expires_s, calls
        self.play_file, self.record_file = play_file, record_file
        self.transport, self.outbound = transport, outbound
        self.waiting, self.watches = waiting, list(watches)
        self.play_seconds, self.repeat = play_seconds, repeat
        self.encryption, self.codec = encryption, codec
        self._own = directory is None
        self.directory = pathlib.Path(directory) if directory else scratch.kept(f"phone-{user}-")
        self.registers = wait_registered
        self.recordings = []        # (heard, sent) of each call that ended
        self._collecting = threading.Lock()
        self.pid = None
        self.process = self._socket = None
        self._events = []
        self._replies = {}
        self._taken = set()
        self._token = 0
        self._ended = None
        self._changed = threading.Condition()

    # -- life ----------------------------------------------------------------

    def start(self, timeout_s=10.0):
        """Start baresip and wait until it is registered. Raises RuntimeError with its last words,
        TimeoutError where the registrar does not answer or refuses."""
        self._write_configuration()
        (self.directory / "log").write_text("")
        self.process = subprocess.Popen(["sh", "-c", KEEPER, "phone", "baresip", "-f", str(self.directory)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        cwd=self.directory)
        self.pid = int(self.process.stdout.readline() or 0)
        try:
            # Above the ordinary load of a test machine, below media: a phone that stutters proves nothing.
            os.sched_setscheduler(self.pid, os.SCHED_FIFO, os.sched_param(PRIORITY))
        except OSError:
            pass        # allowed to root only; the phone goes on without it
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", self.control_port), 1)
                break
            except OSError:
                if time.monotonic() > deadline or not _alive(self.pid):
                    words = self.log()[-600:]
                    self.stop()
                    raise RuntimeError(f"The phone {self.user} did not start: {words}") from None
                time.sleep(0.02)
        self._socket.settimeout(None)
        threading.Thread(target=self._read, args=(self._socket,), daemon=True).start()
        if self.password is not None:
            # Its REGISTER may have been answered before we listened.
            known = self._registration()
            for word, kind in (("OK", "REGISTER_OK"), ("ERR", "REGISTER_FAIL")):
                if word in known:
                    self._note({"type": kind, "param": "before the control connection"})
        if self.password is not None and self.registers:
            try:
                self.wait_for("registered", timeout_s)
            except TimeoutError:
                self.stop()
                raise
        return self

    def stop(self):
        """Unregister, end the process, keep the recordings given a record_file."""
        if self.process is None:
            return
        try:
            if self._socket is not None:
                self.command("quit", timeout_s=1)
        except (OSError, TimeoutError):
            pass        # it is gone, or hangs: the signals below end it
        end = time.monotonic() + 2
        while _alive(self.pid) and time.monotonic() < end:
            time.sleep(0.02)
        self.process.stdin.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, 9)
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process = None
        self._collect()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._own:
            (self.directory / "play.wav").unlink(missing_ok=True)       # ten minutes of sound; start() writes it anew

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def log(self):
        """What baresip has printed."""
        return (self.directory / "log").read_text("utf-8", "replace")

    # -- what a person does ----------------------------------------------------

    def answer(self):
        return self.command("accept")

    def hangup(self):
        return self.command("hangup")

    def dial(self, number):
        """Call a number at the registrar, or a SIP URI."""
        return self.command("dial", number if str(number).startswith("sip:") else f"sip:{number}@{self.registrar}")

    def command(self, name, parameters="", timeout_s=3.0):
        """Any command of baresip's menu. Returns its text."""
        with self._changed:
            self._token += 1
            token = str(self._token)
        body = json.dumps({"command": name, "params": parameters, "token": token}).encode()
        self._socket.sendall(b"%d:%s," % (len(body), body))
        with self._changed:
            if not self._changed.wait_for(lambda: token in self._replies or self._ended, timeout_s):
                raise TimeoutError(f"The phone {self.user} gave no reply to `{name}`.")
            if token not in self._replies:
                raise ConnectionError(f"The phone {self.user} is gone: {self._ended}")
            return self._replies.pop(token).get("data", "")

    # -- events ----------------------------------------------------------------

    def mark(self):
        with self._changed:
            return len(self._events)

    def events(self, kind=None, since=0):
        with self._changed:
            return [e for e in self._events[since:] if kind in (None, e["event"])]

    def wait_for(self, kind, timeout_s=5.0, since=0):
        """First event of that kind after `since`, past or to come. Raises TimeoutError."""
        def find():
            return next((e for e in self._events[since:] if e["event"] == kind), None)

        with self._changed:
            self._changed.wait_for(lambda: find() or self._ended, timeout_s)
            event = find()
            if event:
                return event
            seen = ", ".join(e["event"] for e in self._events[since:][-8:]) or "none"
        raise TimeoutError(f"The phone {self.user} reported no `{kind}` within {timeout_s} s; last events: {seen}")

    @property
    def state(self):
        """ "idle", "ringing" or "talking"."""
        state = "idle"
        for event in self.events():
            state = {"incoming": "ringing", "answered": "talking", "closed": "idle"}.get(event["event"], state)
        return state

    def _read(self, connection):
        buffer, reason = b"", "it closed the control connection"
        try:
            while chunk := connection.recv(65536):
                buffer += chunk
                while b":" in buffer:
                    head, rest = buffer.split(b":", 1)
                    length = int(head)
                    if len(rest) < length + 1:
                        break
                    self._handle(json.loads(rest[:length]))
                    buffer = rest[length + 1:]
        except (OSError, ValueError) as error:
            reason = str(error)
        with self._changed:
            self._ended = reason
            self._changed.notify_all()

    def _handle(self, item):
        if item.get("response"):
            with self._changed:
                self._replies[item.get("token")] = item
                self._changed.notify_all()
            return
        if item.get("type") == "CALL_CLOSED":
            self._collect()
        self._note(item)

    def _note(self, item):
        with self._changed:
            kind = item.pop("type", "")
            item.pop("event", None)
            self._events.append({"event": NAMES.get(kind, kind.lower()), "n": len(self._events) + 1,
                                 "mono": time.monotonic(), **item})
            self._changed.notify_all()

    def _registration(self):
        try:
            return self.command("reginfo")
        except (OSError, TimeoutError):
            return ""

    # -- files -------------------------------------------------------------------

    def recorded(self):
        """`recordings`, with those of a call whose files were still being written when it ended."""
        self._collect()
        return self.recordings

    def _collect(self):
        """Take the dumps of calls that ended; the filter closes its files as the call goes."""
        with self._collecting:
            self._take_dumps()

    def _take_dumps(self):
        for heard in sorted((self.directory / "dumps").glob("dump-*-dec.wav")):
            sent = heard.with_name(heard.name.replace("-dec", "-enc"))
            if heard.name in self._taken or not (_complete(heard) and _complete(sent)):
                continue
            self._taken.add(heard.name)
            if self.record_file:
                target = pathlib.Path(self.record_file)
                if self.recordings:
                    target = target.with_name(f"{target.stem}-{len(self.recordings) + 1}{target.suffix}")
                shutil.copyfile(heard, target)
                copy = target.with_name(f"{target.stem}.sent{target.suffix}")
                shutil.copyfile(sent, copy)
                heard, sent = target, copy
            self.recordings.append((heard, sent))

    def _users(self):
        """(user, password) of each account."""
        return [(self.user, self.password)]

    def _account(self, user, password):
        register = f"auth_pass={password};regint={self.expires_s}" if password is not None else "regint=0"
        text = (f"<sip:{user}@{self.registrar};transport={self.transport}>;auth_user={user};{register};"
                f"answermode={self.answer_mode};audio_codecs={self.codec};ptime=20")
        if self.encryption:
            text += f";mediaenc={self.encryption}"
        if self.outbound:
            text += f';sipnat=outbound;outbound="sip:{self.registrar};transport={self.transport}"'
        return text + "\n"

    def _write_configuration(self):
        for name in ("dumps", "none"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        # SIP at the base (TLS insists on the next), control at +4, RTP from +6 to +29.
        base = free_block({TCP: (0, 1, 4), UDP: (0, *range(6, 30))}, self.address, step=32, lowest=20000)
        self.sip_port, self.control_port = base, base + 4
        config = CONFIG.format(address=self.address, sip=base, control=base + 4, rtp_low=base + 6, rtp_high=base + 29,
                               folder=self.directory, calls=self.calls, modules=_modules())
        if self.encryption:
            config += "module srtp.so\n"
        if self.codec.partition("/")[0] in CODEC_MODULES:
            config = config.replace("module g711.so", "module %s.so" % CODEC_MODULES[self.codec.partition("/")[0]])
            config += "ausrc_srate 8000\nausrc_channels 1\nauplay_srate 8000\nauplay_channels 1\n" + OPUS_SETTINGS
        if self.waiting:
            config += "module_app mwi.so\n"
        if self.watches:
            config += "module_app contact.so\nmodule_app presence.so\n"
        if self.outbound:
            config = config.replace("module_tmp account.so", "module_tmp uuid.so\nmodule_tmp account.so")
        (self.directory / "config").write_text(config)
        (self.directory / "contacts").write_text("".join(f'"{name}" <sip:{name}@{self.registrar}>;presence=p2p\n' for name in self.watches))
        (self.directory / "accounts").write_text("".join(self._account(user, password) for user, password in self._users()))
        least = int(self.play_seconds * 8000)
        samples = wav.read_mono(self.play_file) if self.play_file else np.zeros(0, np.int16)
        if self.repeat and len(samples):
            samples = np.tile(samples, -(-least // len(samples)))
        elif len(samples) < least:
            samples = np.concatenate((samples, np.zeros(least - len(samples), np.int16)))
        wav.write_pcm(self.directory / "play.wav", samples)


def _complete(path, timeout_s=1.0):
    """True once the header of a dump names all of its data."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            with open(path, "rb") as file:
                head = file.read(44)
            if len(head) == 44 and int.from_bytes(head[40:44], "little") == path.stat().st_size - 44 > 0:
                return True
        except OSError:
            pass
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)


def _alive(pid):
    try:
        return bool(pid) and open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _modules():
    for folder in ("/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules"):
        if os.path.exists(f"{folder}/sndfile.so"):
            return folder
    raise RuntimeError("baresip's modules are not there; install the Debian package baresip-core.")
