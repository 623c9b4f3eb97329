"""Drive the far exchange of R2 trunks (exchange.c, libopenr2) on one emulated E1.

    with R2Exchange(run_dir, span=5, variant="cn") as far:
        far.call(7, "02150801000", "13912345678")
        far.wait_for("answered", timeslot=7)

Events are dicts {"n", "ms" (board time), "timeslot", "event", "words"}: call, init, dnis, ani, offered ANI DNIS CATEGORY, accepted
MODE, answered, answered_by_us, disconnect CAUSE, end, error TEXT, blocked, idle, play_done, closed.  It answers calls after
100 ms unless answer() says otherwise, and answers what the other side ends.  FAR_R2_LOG=1: libopenr2's own log on stderr.
"""

import itertools
import pathlib
import subprocess
import tempfile
import threading
import time

from hil import scratch

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
BINARY = CHECKOUT / "build" / "hil" / "far-r2"
# China as calling exchange: A-6 asks for the caller, whose digits A-1 asks for (libopenr2 has no such row of its own).
CHINA = """mf_ga_tones.request_category=X
mf_ga_tones.request_category_and_change_to_gc=6
mf_ga_tones.request_next_ani_digit=X
mf_gc_tones.request_next_ani_digit=1
mf_gc_tones.request_change_to_g2=3
mf_gc_tones.network_congestion=4
"""
CALLER_LAST = ("cn", "mx")      # variants that ask for the caller after the called number


class R2Exchange:
    """variant: "cn", "itu", "mx" ...  calling: it will call us (China needs other signals for that than for being called)."""

    def __init__(self, run_dir, span, variant="itu", calling=True, max_ani=15, max_dnis=11, address="mfc"):
        self.path = pathlib.Path(run_dir) / "lines" / f"{span}.sock"
        self.span = span
        last = variant in CALLER_LAST
        self._folder = scratch.folder("r2-")
        self._sounds = itertools.count()
        advanced = pathlib.Path(self._folder.name, "advanced.conf") if variant == "cn" and calling else None
        if advanced:
            advanced.write_text(CHINA)
        self._words = [str(self.path), variant.upper(), str(max_ani), str(max_dnis), str(int(not last)), str(advanced or "-"), address]
        self._events, self.listener = [], None      # listener: a function that gets each event; then none is kept
        self._changed = threading.Condition()
        self.process = None

    def start(self, timeout_s=5):
        """Connect to the line.  Raises RuntimeError with its last words."""
        if not BINARY.exists():
            raise RuntimeError(f"The far exchange {BINARY} is not built; run `make -C hil`.")
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen([str(BINARY), *self._words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self._errors, text=True, bufsize=1)
        threading.Thread(target=self._read, daemon=True).start()
        self.wait_for("ready", timeout_s)
        return self

    def stop(self):
        """End the process; the line is lost."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(5)
        self._folder.cleanup()

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    def _read(self):
        for line in self.process.stdout:
            words = line.split()
            if not words or words[0] not in ("ready", "event"):
                continue                # libopenr2's log
            event = ({"event": "ready", "ms": 0, "timeslot": 0, "words": []} if words[0] == "ready" else
                     {"event": words[3], "ms": int(words[1]), "timeslot": int(words[2]), "words": words[4:]})
            if self.listener is not None and event["event"] != "ready":
                self.listener(event)
                continue
            with self._changed:
                event["n"] = len(self._events) + 1
                self._events.append(event)
                self._changed.notify_all()
        with self._changed:
            self._events.append({"event": "gone", "ms": 0, "timeslot": 0, "words": [], "n": len(self._events) + 1})
            self._changed.notify_all()

    def command(self, *words):
        """One line to the exchange."""
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def call(self, timeslot, called, caller="", category=0):
        """Place a call; category 0: subscriber."""
        self.command("call", timeslot, caller or "-", called, category)

    def hangup(self, timeslot):
        """Clear forward or clear back."""
        self.command("hangup", timeslot)

    def policy(self, offer="accept", answer_ms=100):
        """offer: accept, nocharge, busy, congestion, unallocated, order; answer_ms None: never."""
        self.command("offer", offer)
        self.command("answer", "never" if answer_ms is None else answer_ms)

    def play(self, timeslot, octets):
        """A-law octets towards the box, from the answer on."""
        file = pathlib.Path(self._folder.name, f"{next(self._sounds)}.al")
        file.write_bytes(octets)
        self.command("play", timeslot, file)

    def record(self, timeslot, path):
        """All octets that come on a timeslot, until the call ends or close_record()."""
        self.command("record", timeslot, path)

    def line(self, state):
        """"normal", "ais" or "cas_lost" (all ones in timeslot 16)."""
        self.command("line", state)

    def mark(self):
        """Number of the last event so far."""
        with self._changed:
            return len(self._events)

    def events(self, kind=None, since=0, timeslot=None):
        with self._changed:
            return [e for e in self._events[since:] if kind in (None, e["event"]) and timeslot in (None, e["timeslot"])]

    def wait_for(self, kind, timeout_s=10, since=0, timeslot=None):
        """The first such event after `since`.  Raises TimeoutError naming what happened."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            for place in itertools.count(since):
                while place >= len(self._events):
                    left = deadline - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        self._errors.seek(0)
                        raise TimeoutError(f"No event {kind} of span {self.span} within {timeout_s} s; there were " + ", ".join(
                            f"{e['timeslot']}:{e['event']} {' '.join(e['words'])}" for e in self._events[since:][-12:])
                            + self._errors.read().decode(errors="replace")[-500:])
                event = self._events[place]
                if event["event"] == kind and timeslot in (None, event["timeslot"]):
                    return event
                if event["event"] == "gone":
                    self._errors.seek(0)
                    raise RuntimeError("The far exchange is gone: " + self._errors.read().decode(errors="replace")[-500:])
