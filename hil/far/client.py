"""Driver of the far exchange: start it, place calls, wait for its events.

    far = FarExchange(run_dir, spans=[1, 2], crc4=[1], trace_dir="/tmp/t/trace")
    far.start()                                   # builds nothing: `make -C hil` first
    far.wait_for("link_up", 10, span=1)
    far.call("x1", span=1, called="02150801000", caller="13912345678",
             redirecting="4008001000", record="/tmp/t/x1.wav")
    connect = far.wait_for("connect", 10, id="x1")
    far.dtmf("x1", "1")
    start = far.play("x1", "/tmp/t/caller.wav")   # {"tx_sample": ...}, see below
    far.hangup("x1"); far.wait_for("released", 5, id="x1")
    far.stop()

The far exchange (hil/far/*.c) is a process of its own on libpri and spandsp.
Commands are JSON lines on its Unix stream socket; hil/far/README.md lists
each command, option and event.  A refused command raises `Refused` with the
exchange's own sentence.

Samples.  Each block of 80 frames a span exchanges has a number, from 0 at the
start of the process; sample index = block number * 80 + frame, and the answer
to received block n is sent block n.  Every event of a span bears "sample"
(first sample of the block not yet answered), "sample_mono" (when that one
comes by), "time" (Unix seconds) and "mono" (time.monotonic()).  `play_started` says at which "tx_sample" a file's
first sample left, `record_started` which "rx_sample" is the first of the
recording: what left at tx sample t and came back is in a recording at index
t - rx_sample + delay.  A recording holds every sample of its timeslot from
SETUP to the end of the call: nothing left out, nothing put in.

Events (fields beside event, n, time, mono, span, sample):
  line_up line_down            the line socket is connected, is gone
  alignment_found alignment_lost rai_on rai_off ais_on ais_off
  link_up link_down            the data link of timeslot 16 (DL-establish, -release)
  bad_frame                    a frame whose check sequence is wrong came: octets (hex)
  setup setup_ack proceeding progress alerting connect     id, timeslot
  incoming                     id, timeslot, caller, called, called_plan (type and plan, octet 3 of Q.931 4.5.8), complete, redirecting, name, ...
  digits                       id, digits (new), called (all so far)
  hangup                       id, cause, by "box" | "exchange" | "failure"
  released                     id, cause: the call reference is free again
  play_started play_done       id, file, tx_sample
  dtmf_started dtmf_done       id, digits, tx_sample
  record_started               id, file, rx_sample
  record_closed                id, file, samples
  restart restart_ack          timeslot: Q.931 RESTART came in; our own was acknowledged
  message                      direction "rx" | "tx", name (Q.931), call_reference,
                               cause?, call_state?, timeslot?, repeated
  layer2                       direction, name "SABME" | "DISC" | "UA" | "DM" | "FRMR"
  exchange_error               text: what libpri complained about
"""

import itertools
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import time

from hil import scratch

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
BINARY = CHECKOUT / "build" / "hil" / "far-exchange"


class Refused(Exception):
    """The far exchange refused a command; the text is its reason."""


class FarExchange:
    """One far-exchange process and the connection that controls it.

    run_dir: directory that holds lines/<span>.sock.  spans: numbers to attach.
    side: "network" (default) or "cpe".  crc4: True, False or the list of spans
    that use CRC-4.  t1: the spans that are T1 (NI2).  trace_dir: writes span-<n>.pcap (LAPD, link type 177) there.
    control: path of the control socket (default: a new temporary directory).
    switch: "euroisdn" or "qsig".  Usable as a context manager.
    listener: set it to a function, and it gets each event from then on; none is kept, so events(), wait_for() and
    mark() see no later ones.
    """

    def __init__(self, run_dir, spans, *, side="network", crc4=False, trace_dir=None, t1=(),
                 control=None, switch="euroisdn", binary=None, options=()):
        self.run_dir = pathlib.Path(run_dir)
        self.spans = list(spans)
        self.side = side
        self.crc4 = self.spans if crc4 is True else list(crc4 or ())
        self.t1 = list(t1)
        self.trace_dir = trace_dir
        self.switch = switch
        self.binary = pathlib.Path(binary or os.environ.get("STROWGER_FAR_EXCHANGE") or BINARY)
        self.options = list(options)
        self._scratch = None if control else scratch.folder("far-")
        self.control = str(control or pathlib.Path(self._scratch.name) / "control.sock")
        self.process = None
        self._socket = None
        self._events = []
        self._replies = {}
        self._changed = threading.Condition()
        self._sequence = itertools.count(1)
        self._ended = None
        self.listener = None

    # -- life of the process -------------------------------------------------

    def start(self, timeout_s=5.0):
        """Start the process and connect to it. Raises RuntimeError with its last words."""
        if not self.binary.exists():
            raise RuntimeError(f"The far exchange {self.binary} is not built; run `make -C hil`.")
        command = [str(self.binary), "--run", str(self.run_dir), "--control", self.control,
                   "--side", self.side, "--switch", self.switch,
                   "--spans", ",".join(map(str, self.spans)), "--exit-on-stdin-eof"]
        if self.crc4:
            command += ["--crc4", ",".join(map(str, self.crc4))]
        if self.t1:
            command += ["--t1", ",".join(map(str, self.t1))]
        if self.trace_dir:
            pathlib.Path(self.trace_dir).mkdir(parents=True, exist_ok=True)
            command += ["--trace", str(self.trace_dir)]
        self._words = tempfile.TemporaryFile()
        # The pipe on its stdin ends the exchange when we die, however we die.
        self.process = subprocess.Popen(command + self.options, stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stderr=self._words)
        deadline = time.monotonic() + timeout_s
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(self.control)
                break
            except OSError:
                connection.close()
                if self.process.poll() is not None or time.monotonic() > deadline:
                    words = self.last_words()
                    self.stop()
                    raise RuntimeError(f"The far exchange did not start: {words or 'no reason given'}") from None
                time.sleep(0.01)
        self._socket = connection
        threading.Thread(target=self._read, args=(connection,), daemon=True).start()
        self.command("subscribe", after=0)
        return self

    def stop(self, timeout_s=5.0):
        """End the process (SIGTERM, then SIGKILL by its pid) and close everything."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stdin.close()
            self._words.close()
            self.process = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._scratch is not None:
            self._scratch.cleanup()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    def last_words(self):
        """What the process has written to standard error so far."""
        self._words.seek(0)
        return self._words.read().decode("utf-8", "replace").strip()

    # -- commands ------------------------------------------------------------

    def call(self, id, span, called, caller="", *, timeslot=None, redirecting=None,
             overlap=None, initial_digits=0, play=None, record=None, repeat=False, **more):
        """Place a call: SETUP leaves at once.  Returns {"timeslot": n}.  more: capability ("speech", "3.1khz", "data"), preferred, name,
        subaddress, user_user and others of the README's table.

        timeslot None takes the lowest idle one.  overlap: None or False sends
        all digits in SETUP with Sending complete; a number of milliseconds
        sends initial_digits in SETUP and the others one by one, that far
        apart, after SETUP_ACKNOWLEDGE.  play begins at CONNECT; record begins with SETUP.
        """
        return self.command("call", id=id, span=span, called=called, caller=caller,
                            timeslot=timeslot, redirecting=redirecting, overlap=overlap or False,
                            initial_digits=initial_digits, play=_path(play),
                            record=_path(record), repeat=repeat, **more)

    def dtmf(self, id, digits, on_ms=80, off_ms=80, level_dbm0=-8, twist_db=0):
        """Send digits; they replace what plays meanwhile. level: of each tone. Returns {"tx_sample"}."""
        return self.command("dtmf", id=id, digits=digits, on_ms=on_ms, off_ms=off_ms,
                            level_dbm0=level_dbm0, twist_db=twist_db)

    def fax(self, id, *, send=None, print=None, calls=False, station=""):
        """Be a fax machine on the call from now on: print to, or send, a TIFF; events `fax_started`, `fax_done` {status (0: well), pages, rate, ...}.

        calls: the machine dialled (CNG); else somebody pressed its start button, or it answers."""
        return self.command("fax", id=id, send=_path(send), print=_path(print), calls=calls, station=station)

    def play(self, id, file, at_sample=None, repeat=False):
        """Play an A-law or 16-bit PCM WAV (8 kHz, mono) from tx sample at_sample, or now.

        Returns {"tx_sample": index of the file's first sample, "samples": length}.
        """
        return self.command("play", id=id, file=_path(file), at_sample=at_sample, repeat=repeat)

    def stop_play(self, id):
        return self.command("stop_play", id=id)

    def hangup(self, id, cause=16):
        """Clear the call (DISCONNECT, or what its state asks). Event `released` ends it."""
        return self.command("hangup", id=id, cause=cause)

    def alert(self, id):
        """Send ALERTING for an incoming call that policy leaves to us."""
        return self.command("alert", id=id)

    def answer(self, id, *, play=None, record=None, repeat=False):
        """Send CONNECT for an incoming call; file names as in call()."""
        return self.command("answer", id=id, play=_path(play), record=_path(record), repeat=repeat)

    def policy(self, *, incoming="answer", alerting_ms=0, answer_ms=0, cause=17,
               digits=0, play=None, record_dir=None, repeat=False, inband=False, **more):
        """What to do with calls from the box.

        incoming: "answer" (ALERTING after alerting_ms, CONNECT answer_ms
        later; the default policy), "alert" (never answers), "manual" (CALL
        PROCEEDING only) or "refuse" with cause.  digits: length of a complete
        number; an incomplete SETUP is asked for more until it has that many.
        play and record_dir/<id>.wav apply to each call answered; with inband ALERTING bears
        progress description 8 and play begins with it.
        """
        return self.command("policy", incoming=incoming, alerting_ms=alerting_ms,
                            answer_ms=answer_ms, cause=cause, digits=digits, play=_path(play),
                            record_dir=_path(record_dir), repeat=repeat, inband=inband, **more)

    def bert(self, id):
        """Begin a bit error test on an answered call: 2^11-1 of O.152, both directions (spandsp)."""
        return self.command("bert", id=id)

    def bert_figures(self, id):
        """{"bits", "bad_bits", "resyncs"} that a bit error test has received."""
        return self.command("bert_figures", id=id)

    def restart(self, span, timeslot):
        """Send RESTART for one timeslot."""
        return self.command("restart", span=span, timeslot=timeslot)

    def line(self, span, state):
        """Disturb a line: "normal", "ais" (all ones), "rai" (A bit set), "scrambled" (no
        frame alignment) or "cut" (disconnected until "normal")."""
        return self.command("line", span=span, state=state)

    def frame(self, span, octets, bad_fcs=False):
        """Put one raw frame (address field on, without FCS) into the D channel, past libpri."""
        return self.command("frame", span=span, octets=bytes(octets).hex(), bad_fcs=bad_fcs)

    def status(self):
        """{"spans": [{span, line, aligned, link, blocks, late_blocks, alignment_losses,
        fas_errors, crc4_errors, rx_frames, tx_frames, fcs_errors, aborts, calls}],
        "calls": [{id, span, timeslot, state}], "realtime": bool}"""
        return self.command("status")

    def command(self, do, timeout_s=5.0, **fields):
        """Send any command and wait for its reply (a dict). Raises Refused."""
        number = next(self._sequence)
        line = json.dumps({"do": do, "seq": number, **fields}) + "\n"
        self._socket.sendall(line.encode())
        with self._changed:
            if not self._changed.wait_for(lambda: number in self._replies or self._ended, timeout_s):
                raise TimeoutError(f"The far exchange gave no reply to `{do}` within {timeout_s} s.")
            if number not in self._replies:
                raise ConnectionError(f"The far exchange is gone: {self._ended}")
            reply = self._replies.pop(number)
        if not reply.get("ok"):
            raise Refused(reply.get("error", "no reason given"))
        return reply

    # -- events --------------------------------------------------------------

    def mark(self):
        """Number of the last event so far; pass it as `since` to look at later ones only."""
        with self._changed:
            return self._events[-1]["n"] if self._events else 0

    def events(self, kind=None, since=0, **fields):
        """All events so far of that kind whose fields equal those given."""
        with self._changed:
            return [e for e in self._events if _matches(e, kind, since, fields)]

    def time_of(self, span, sample, within=80000):
        """time.monotonic() at which a sample of that span passed the exchange, tx and rx alike.

        From the events within `within` samples around it; a late wake-up only
        ever makes an event later, so the earliest counts.  Raises LookupError."""
        offsets = [e["sample_mono"] - e["sample"] / 8000 for e in self.events(span=span)
                   if "sample_mono" in e and abs(e["sample"] - sample) <= within]
        if not offsets:
            raise LookupError(f"No event of span {span} lies within {within} samples of sample {sample}.")
        return min(offsets) + sample / 8000

    def wait_for(self, kind, timeout_s=5.0, since=0, **fields):
        """First event after `since` of that kind with those field values, past or to come.

        Raises TimeoutError naming what did happen since."""
        found = []
        position = 0

        def look():
            nonlocal position
            while position < len(self._events):
                event = self._events[position]
                position += 1
                if _matches(event, kind, since, fields):
                    found.append(event)
                    return True
            return bool(self._ended)

        with self._changed:
            self._changed.wait_for(look, timeout_s)
            if found:
                return found[0]
            last = [f"{e['event']}({e.get('id', e.get('span', ''))})" for e in self._events
                    if e["n"] > since and e["event"] not in ("message", "layer2")][-8:]
            reason = f"the far exchange is gone: {self._ended}" if self._ended else f"not within {timeout_s} s"
        raise TimeoutError(f"No event {kind} {fields or ''}: {reason}; the last events: {', '.join(last) or 'none'}")

    def _read(self, connection):
        reason = "it closed the connection"
        try:
            for line in connection.makefile("r", encoding="utf-8"):
                item = json.loads(line)
                with self._changed:
                    if "event" in item and self.listener is not None:
                        self.listener(item)
                    elif "event" in item:
                        self._events.append(item)
                    else:
                        self._replies[item["seq"]] = item
                    self._changed.notify_all()
        except (OSError, ValueError) as error:
            reason = str(error)
        with self._changed:
            self._ended = reason
            self._changed.notify_all()


def _path(value):
    """Absolute path as text, the file read once: the exchange must find it in memory, not wait for a disk."""
    if value is None:
        return None
    path = pathlib.Path(value).resolve()
    if path.is_file():
        path.read_bytes()
    return str(path)


def _matches(event, kind, since, fields):
    return (event["n"] > since and (kind is None or event["event"] == kind)
            and all(event.get(name) == value for name, value in fields.items()))
