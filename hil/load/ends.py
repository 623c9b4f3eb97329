"""The far ends of the load as one kind of thing: exchanges of libpri, libss7 and libopenr2, each a process of its own.

Each end puts events of calls into one queue, as tuples:

    ("out", end, name, seconds)         our set-up left: call() of `name`
    ("last", end, name, seconds)        R2: our last register signal before the acceptance began
    ("in", end, key, called, seconds)   a set-up from the box has come; key names the call at this end
    ("connect", end, key)               answered, either way
    ("over", end, key, cause, by)       the first word of clearing; by "box", "us" or "failure"
    ("free", end, key, proof)           the circuit is free again; proof: {"heard", "silent", "other", "breaks", "first"} or None
    ("note", end, text)                 what an exchange complains about

seconds: of CLOCK_MONOTONIC.  A key is what hang_up() takes.
"""

import threading
import time

from hil.far.client import FarExchange, Refused
from hil.far.ss7 import FarSS7
from hil.r2.client import R2Exchange

TIMESLOTS = [*range(1, 16), *range(17, 32)]
IDLE = 0b1001               # of R2, either way
ONLY = "setup,incoming,connect,hangup,released,exchange_error,link_up,link_down,ss7_up,ss7_down,line_up,line_down,no_circuit,restart,reset,grs,gra,cgb,cgb_hardware"
SEEN_S = 10.0               # until a restarted exchange has seen its circuits idle
RESET_S = 1.0               # after the other exchange is there: libss7 throws away what it is told while its links begin
ANSWER = {"alerting_ms": 20, "answer_ms": 40}


class CommonChannel:
    """PRI or SS7.  far: FarExchange or FarSS7, not started.  put: takes the tuples above."""

    calls = is_called = True

    def __init__(self, kind, far, put):
        self.kind, self.far, self.put = kind, far, put
        self.spans = far.spans
        self.seen = []              # (event, span, mono) of links and lines
        self._isolated = False
        self._resetting = set()     # first CICs of the groups whose reset is not acknowledged

    @property
    def is_serving(self):
        """Whether it places calls: not while it is cut off, nor on circuits that it is resetting (Q.764 2.9.3.2)."""
        return not self._isolated and not self._resetting

    def start(self):
        self.far.listener = self._event
        self.far.start(20)
        self.far.command("subscribe", after=0, only=ONLY)
        self.far.command("policy", incoming="answer", proof=True, **ANSWER)
        return self

    def stop(self):
        self.far.stop()

    def _event(self, event):
        kind = event["event"]
        if kind == "setup":
            self.put(("out", self, event["id"], event["mono"]))
        elif kind == "incoming":
            self.put(("in", self, event["id"], event["called"].rstrip("#F"), event["mono"]))
        elif kind == "connect":
            self.put(("connect", self, event["id"]))
        elif kind == "hangup":
            self.put(("over", self, event["id"], event["cause"], {"exchange": "us"}.get(event["by"], event["by"])))
        elif kind == "released":
            self.put(("free", self, event["id"], {name: event[name] for name in ("heard", "silent", "other", "breaks", "first")}
                      if "heard" in event else None))
        elif kind in ("exchange_error", "no_circuit"):
            self.put(("note", self, event.get("text") or kind + " cic %s" % event.get("cic")))
        else:
            self.seen.append((kind, event.get("span"), event["mono"]))
            if kind == "ss7_down":
                self._isolated = True
            elif kind == "gra":
                self._resetting.discard(event["first"])
            elif kind == "ss7_up" and self._isolated:
                threading.Thread(target=self._reset_circuits, daemon=True).start()      # this one reads the replies

    def _reset_circuits(self):
        """libss7 forgets all its calls when it is cut off, without a word; an exchange that has lost them resets its circuits (Q.764 2.9.3.2)."""
        time.sleep(RESET_S)
        groups = [32 * k + first for k in range(len(self.spans)) for first in (1, 17)]
        self._resetting |= set(groups)
        self._isolated = False
        for first in groups:
            try:
                self.far.command("grs", first=first, last=first + 14)
            except (Refused, OSError, TimeoutError):
                self._resetting.discard(first)

    def call(self, name, span, called, caller):
        """Place a call.  False: no circuit of the span is idle."""
        if not self.is_serving:
            return False
        try:
            self.far.command("call", id=name, span=span, called=called, caller=caller, proof=True)
            return True
        except Refused:
            return False

    def hang_up(self, key):
        """Whether there was such a call."""
        try:
            self.far.hangup(key)
            return True
        except Refused:                 # it has ended meanwhile, or this exchange has forgotten it
            return False

    def up(self):
        """The spans (SS7: the exchange) that can signal now."""
        return {row["span"] for row in self.far.status()["spans"] if row["aligned"] and (self.kind == "ss7" or row["link"])}

    def taken(self):
        """{(span, timeslot): key} of the calls that this end knows."""
        return {(row["span"], row["timeslot"]): row["id"] for row in self.far.status()["calls"]}


def pri(run_dir, spans, put, **more):
    return CommonChannel("pri", FarExchange(run_dir, spans, **more), put)


def ss7(run_dir, spans, links, put, **more):
    return CommonChannel("ss7", FarSS7(run_dir, spans, links, **more), put)


class R2:
    """One span of R2: a process a span.  calls: it places calls; is_called: it takes them."""

    kind = "r2"
    is_serving = True

    def __init__(self, run_dir, span, variant, put, calls=True, is_called=True):
        self.span, self.variant, self.put, self.calls, self.is_called = span, variant, put, calls, is_called
        self.spans, self.seen = [span], []
        self.far = R2Exchange(run_dir, span, variant, calling=calls, max_ani=11, max_dnis=7)
        self._names, self._init, self._over = {}, {}, set()
        self._seized = set()        # by the box
        self._unseen = set()        # after a restart: circuits that have not been seen idle
        self._lock = threading.Lock()
        self._states, self._told = {}, threading.Condition()

    def start(self):
        self.far.listener = self._event
        self.far.start(20)
        self.far.command("proof")
        self.far.policy(answer_ms=sum(ANSWER.values()))
        return self

    def stop(self):
        self.far.stop()

    def begin_anew(self):
        """Another process after stop(): it knows nothing of the calls before."""
        names, self._names, self._init, self._over, self._seized = self._names, {}, {}, set(), set()
        self.far = R2Exchange(self.far.path.parents[1], self.span, self.variant, calling=self.calls, max_ani=11, max_dnis=7)
        for timeslot in TIMESLOTS:
            name = names.get(timeslot) or "r2-%d-%d" % (self.span, timeslot)
            self.put(("over", self, name, 0, "failure"))
            self.put(("free", self, name, None))
        self._unseen = set(TIMESLOTS)
        self.start()
        deadline = time.monotonic() + SEEN_S
        while self._unseen and time.monotonic() < deadline:     # an exchange seizes only what it sees idle (Q.422)
            time.sleep(0.2)
            self._unseen -= {timeslot for timeslot, (sent, received, _) in self.states().items() if sent == received == IDLE}

    def _name(self, timeslot):
        return self._names.get(timeslot) or "r2-%d-%d" % (self.span, timeslot)

    def _event(self, event):
        kind, timeslot, words = event["event"], event["timeslot"], event["words"]
        name = self._name(timeslot)
        if kind == "init":
            self._init[timeslot] = float(words[0])
            self._seized.add(timeslot)
        elif kind == "offered":
            self.put(("in", self, name, words[1], self._init.pop(timeslot, 0.0)))
        elif kind == "accepted":
            if timeslot in self._names:
                self.put(("last", self, name, float(words[1])))
        elif kind in ("answered", "answered_by_us"):
            self.put(("connect", self, name))
        elif kind == "disconnect":
            self._end(timeslot, name, int(words[0]), "box")
        elif kind == "error":
            self.put(("note", self, "timeslot %d: %s" % (timeslot, " ".join(words))))
            self._end(timeslot, name, 0, "failure")
        elif kind == "proof":
            self._init[-timeslot] = dict(zip(("heard", "silent", "other", "breaks", "first"), map(int, words)))
        elif kind == "end":
            self._end(timeslot, name, 16, "us")
            self._free(timeslot, name)
        elif kind == "state":
            with self._told:
                self._states[timeslot] = tuple(map(int, words))
                self._told.notify_all()
        elif kind in ("blocked", "idle", "alarm"):
            self.seen.append((kind, self.span, timeslot))

    def _end(self, timeslot, name, cause, by):
        if timeslot not in self._over:
            self._over.add(timeslot)
            self.put(("over", self, name, cause, by))
        if by == "failure":
            self._free(timeslot, name)

    def _free(self, timeslot, name):
        proof = self._init.pop(-timeslot, None)
        self._over.discard(timeslot)
        self._seized.discard(timeslot)
        with self._lock:
            self._names.pop(timeslot, None)
        self.put(("free", self, name, proof))

    def is_idle(self, timeslot):
        """As far as we were told."""
        return timeslot not in self._seized and timeslot not in self._names and timeslot not in self._unseen

    def call(self, name, timeslot, called, caller):
        """Place a call on a timeslot that the caller of this function knows to be idle."""
        with self._lock:
            self._names[timeslot] = name
        self._over.discard(timeslot)
        try:
            self.far.command("call", timeslot, caller, called, 0, "proof")
        except (OSError, ValueError, AttributeError):       # the last: a process that is being started
            with self._lock:
                self._names.pop(timeslot, None)
            return False
        return True

    def hang_up(self, key):
        timeslot = int(key.rsplit("-", 1)[1]) if key.startswith("r2-") else next((t for t, n in self._names.items() if n == key), None)
        if timeslot is None:
            return False
        try:
            self.far.hangup(timeslot)
            return True
        except (OSError, ValueError):
            return False                # its process is being restarted: begin_anew() ends the call

    def up(self):
        return {self.span} if len(self.states()) == 30 else set()

    def states(self, timeout_s=10):
        """{timeslot: (bits sent, bits received, has a call)}."""
        with self._told:
            self._states = {}
            self.far.command("status")
            self._told.wait_for(lambda: len(self._states) == 30, timeout_s)
            return dict(self._states)

    def taken(self):
        """Circuits with a call, and those on which either end sends something else than idle."""
        return {(self.span, timeslot): self._name(timeslot) for timeslot, (sent, received, has_call) in self.states().items()
                if has_call or sent != IDLE or received != IDLE}
