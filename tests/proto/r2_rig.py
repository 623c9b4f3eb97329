"""Two ends of one CAS circuit in virtual time: ours, libopenr2's, or a script; bits and tone symbols between them."""

import json
import os
import pathlib
import shutil
import subprocess

from boardconfig.r2_variants import load_r2
from firmware.proto.r2.circuit import R2Circuit
from firmware.proto.r2.variant import Variant

HERE = pathlib.Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "tests"
BITS_MS, ON_MS, OFF_MS = 2, 35, 20      # what the line and the detectors of the far end take; invented
SYMBOLS = "1234567890BCDEF"


def build_peer():
    """Compile the libopenr2 peer; None where there is no compiler or no libopenr2."""
    source, target = HERE / "peers" / "libopenr2_peer.c", BUILD / "libopenr2_peer"
    if not shutil.which("cc") or not pathlib.Path("/usr/include/openr2.h").exists():
        return None
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".%d" % os.getpid())
        subprocess.run(["cc", "-O1", "-Wall", str(source), "-lopenr2", "-o", str(part)], check=True)
        part.rename(target)
    return target


class Ours:
    """A circuit of ours and a call layer that does what it is told.

    offer: "answer", "alert", "nocharge", "wait", or a Q.850 cause to refuse with."""

    def __init__(self, variant, offer="answer", make=None, **config):
        config.setdefault("timeslot", 1)
        self.config = config
        self.variant = Variant(load_r2(variant)) if isinstance(variant, str) else variant
        self.make = make or (lambda: R2Circuit(self.variant, config))
        self.circuit = self.make()
        self.offer = offer
        self.events = []
        self.sent = []
        self.call = None
        self.auto_release = True
        self.now_ms = 0

    def start(self, now_ms):
        self._took(self.circuit.start(now_ms), now_ms)

    def place(self, now_ms, called, caller=None, **given):
        self.call = self.circuit.new_call()
        self.ask("setup_request", now_ms, called=called, caller=caller, **given)

    def ask(self, primitive, now_ms, **given):
        self._took(self.circuit.request(primitive, self.call, now_ms, **given), now_ms)

    def line(self, primitive, now_ms):
        """Past the call, straight to the line."""
        self.circuit.line.request(primitive, now_ms)
        self._took(self.circuit.settle(now_ms), now_ms)

    def _took(self, events, now_ms):
        self.events += events
        for event in events:
            assert event["timeslot"] == 1
            if event["event"] in ("setup_indication", "information_indication"):
                self.call = event["call"]
                if event["event"] == "setup_indication" and not event["called_complete"]:
                    self.ask("setup_ack_request", now_ms)
                elif not event.get("complete", True):
                    continue
                elif isinstance(self.offer, int):
                    self.ask("release_request", now_ms, cause=self.offer)
                elif self.offer != "wait":
                    self.ask("alerting_request", now_ms, charge=self.offer != "nocharge")
                    if self.offer != "alert":
                        self.ask("setup_response", now_ms)
            elif event["event"] == "disconnect_indication" and self.auto_release:
                self.ask("release_request", now_ms)

    def receive(self, item, now_ms):
        self._took(self.circuit.receive(item, now_ms), now_ms)

    def expire(self, now_ms):
        self._took(self.circuit.expire(now_ms), now_ms)

    def deadline_ms(self):
        return self.circuit.deadline_ms()

    def take_output(self):
        output = self.circuit.take_output()
        self.sent += output
        return [item for item in output if item[0] != "listen"]

    def kill(self, now_ms, bits=None, tone=None):
        """kill -9 of control, and the takeover."""
        saved = json.loads(json.dumps(self.circuit.dump()))
        self.circuit = type(self.circuit).restore(saved, self.variant, self.config)
        self._took(self.circuit.resume(now_ms, bits, tone), now_ms)

    def names(self):
        return [event["event"] for event in self.events if event["event"] != "circuit_state"]

    def last(self, name):
        return [event for event in self.events if event["event"] == name][-1]

    def close(self):
        pass


class Peer:
    """The libopenr2 process."""

    def __init__(self, peer, variant, max_ani=10, max_dnis=8, ani_first=1, advanced=None, address="mfc"):
        words = [str(peer), variant, str(max_ani), str(max_dnis), str(ani_first), str(advanced or "-"), address]
        self.dtmf = address == "dtmf"
        self.process = subprocess.Popen(words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.events = []
        self._output = []
        self._next_ms = None

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def command(self, *words):
        self.process.stdin.write(" ".join([str(w) for w in words]) + "\n")
        self.process.stdin.flush()
        while True:
            word, _, rest = self.process.stdout.readline().strip().partition(" ")
            if word == "done":
                self._next_ms = None if rest == "-" else int(rest)
                return
            if word == "bits":
                self._output.append(("bits", int(rest)))
            elif word == "tone":
                self._output.append(("tone", "", None if rest == "-" else rest if self.dtmf else SYMBOLS.index(rest) + 1))
            elif word == "event":
                self.events.append(rest)
            else:
                raise AssertionError("libopenr2 peer died: %r" % word)

    def start(self, now_ms):
        self.command("time", now_ms)

    def receive(self, item, now_ms):
        self.command("time", now_ms)
        kind, value = item
        if kind == "bits":
            self.command("bits", value)
        elif kind == "tone":
            self.command("tone", "-" if value is None else value if self.dtmf else SYMBOLS[value - 1])
        else:
            self.command("alarm", int(value))

    def expire(self, now_ms):
        self.command("time", now_ms)

    def deadline_ms(self):
        return self._next_ms

    def take_output(self):
        output, self._output = self._output, []
        return output

    def names(self):
        return [event.partition(" ")[0] for event in self.events]


class Script:
    """A far end that does what the test says: keeps what comes, sends nothing by itself."""

    def __init__(self):
        self.got = []
        self._output = []

    def start(self, now_ms):
        pass

    def receive(self, item, now_ms):
        self.got.append((now_ms,) + item)

    def expire(self, now_ms):
        pass

    def deadline_ms(self):
        return None

    def send(self, *item):
        self._output.append(item)

    def take_output(self):
        output, self._output = self._output, []
        return output

    def close(self):
        pass


class Circuit:
    """Both ends and the line between them."""

    def __init__(self, near, far):
        self.ends = (near, far)
        self.now_ms = 0
        self.log = []               # (ms, end that sent, item)
        self.mute = False           # nothing gets through
        self._flying = []
        self._sequence = 0
        self.bits = [None, None]    # what each end receives
        for end in self.ends:
            end.start(0)
        self._carry()

    def _carry(self):
        for i in (0, 1):
            for item in self.ends[i].take_output():
                self.log.append((self.now_ms, i) + item)
                if item[0] == "bits":
                    self.bits[1 - i] = item[1]
                if self.mute:
                    continue
                delay = BITS_MS if item[0] == "bits" else OFF_MS if item[2] is None else ON_MS
                self._sequence += 1
                self._flying.append((self.now_ms + delay, self._sequence, 1 - i, (item[0], item[-1])))

    def run(self, duration_ms):
        """Let time pass."""
        end_ms = self.now_ms + duration_ms
        while True:
            self._carry()
            times = [row[0] for row in self._flying]
            times += [d for d in (end.deadline_ms() for end in self.ends) if d is not None]
            next_ms = min(times, default=None)
            if next_ms is None or next_ms > end_ms:
                break
            self.now_ms = max(self.now_ms, next_ms)
            due = sorted(row for row in self._flying if row[0] <= self.now_ms)
            self._flying = [row for row in self._flying if row[0] > self.now_ms]
            for _, _, end, item in due:
                self.ends[end].receive(item, self.now_ms)
                self._carry()
            for end in self.ends:
                deadline_ms = end.deadline_ms()
                if deadline_ms is not None and deadline_ms <= self.now_ms:
                    end.expire(self.now_ms)
        self.now_ms = end_ms

    def tones(self, end):
        """The symbols that one end sent, as a list."""
        return [row[-1] for row in self.log if row[1] == end and row[2] == "tone" and row[-1] is not None]

    def close(self):
        for end in self.ends:
            end.close()
