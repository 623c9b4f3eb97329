"""Calls through the box from one far end to another: placed at a rate, held, cleared by either end in turn, each proved by its tone.

Where a call goes stands in its number (81 PRI, 82 SS7, 83 R2, then a digit and the call's code of four digits), so the called end
knows which tone it must hear without a word from the calling one.  The rate is kept by the clock; how long a call is held follows
from how many shall be up: when more are, the oldest answered one is cleared.  One thread drives everything.
"""

import collections
import heapq
import itertools
import queue
import threading
import time

from hil.load.ends import TIMESLOTS

NUMBERS = {"pri": "81", "ss7": "82", "r2": "83"}
CODES, CIRCUITS = 10000, 30
R2_ROOM = 28                        # of a span: the box guards a released circuit for a while (Q.422), and the far end does not know
R2_REST_S = 1.0                     # ... so long at most: 100 ms of idle (Q.422) and the box's queue
CONNECT_S = {"r2": 25.0}            # a set-up that takes longer has failed; R2's compelled signals need seconds
CONNECT_OTHER_S = 10.0
RELEASE_S = 15.0
# Of 10 ms: how long the tone must be heard at least, until when it must begin; half tones of the clearing, silence until the far end is told.
HEARD_LEAST, FIRST_MOST, OTHER_MOST, SILENT_MOST = 100, 300, 4, 100
FAULT_TIMES = 3                     # SILENT_MOST and R2_REST_S, while a fault lasts
NORMAL = 16                         # Q.850


class Call:
    """One call through the box."""

    def __init__(self, number, kind, callee_kind, called):
        self.number, self.kind, self.callee_kind, self.called = number, kind, callee_kind, called
        self.caller = None
        self.name = "x%d" % number
        self.placed = time.monotonic()
        self.callee = self.callee_key = None
        self.attempts = {}              # (end, key): answered; set-ups that came in for it, more than one while an old one's end is on its way
        self.out = self.last = self.came = 0.0
        self.connected = set()
        self.free = set()
        self.cleared = None             # when we cleared it
        self.failure = None
        self.excused = False            # a fault has hit it; how it ends tells nothing any more
        self.again = False              # lost its circuit to the box, which seized it as well
        self.timeslot = None
        self.history = []               # (what, when), to tell with a failure

    def note(self, what):
        self.history.append((what, time.monotonic()))


class Traffic:
    """ends: {"pri": [end], "ss7": [end], "r2": [ends]}.  shares: {kind: circuits that may be busy}.

    calls: how many shall be up; rate: a second.  Read: set_ups_ms {caller's kind: [ms]}, placed, completed, failures [sentence],
    outcomes, breaks."""

    def __init__(self, ends, shares, calls, rate, events=None):
        self.ends, self.shares, self.most, self.rate = ends, shares, calls, rate
        self.live, self.by_callee = {}, {}
        self.busy = collections.Counter()       # kind, (kind, side): circuits
        self.room = {(kind, side): (R2_ROOM if kind == "r2" else CIRCUITS) * sum(len(end.spans) for end in some if (end.calls if side == "caller" else end.is_called))
                     for kind, some in ends.items() for side in ("caller", "callee")}
        self.placed = self.completed = self.breaks = self.no_circuit = self.glares = 0
        self.outcomes, self.failures, self.notes = collections.Counter(), [], []
        self.set_ups_ms = collections.defaultdict(list)
        self.first_blocks = collections.Counter()       # blocks from the answer to the first of the tone: ends
        self.events = events or queue.SimpleQueue()
        self._answered = collections.OrderedDict()
        self._codes = {}
        self._numbers = itertools.count()
        self._due, self._order = [], itertools.count()
        self._spans = {kind: itertools.cycle([(end, span) for end in some if end.calls for span in end.spans])
                       for kind, some in ends.items() if some}
        self._held = {end: set() for end in ends.get("r2", ())}     # R2: timeslots in use by our calls out
        self._turn = 0
        self._ending, self._holding = threading.Event(), threading.Event()
        self._excuse = None
        self._rested = collections.deque()              # when R2 circuits that the box calls out on became free
        self._over = collections.deque(maxlen=2000)     # calls that have ended
        self._late = set()              # numbers of calls that died with a fault: their set-ups may come yet
        self.evidence = None            # function(call): what disturbed its time, in words
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.behind_s = 0.0

    def start(self):
        self._next = time.monotonic()
        self._thread.start()
        return self

    def drain(self, timeout_s=60):
        """Place no more, clear all; False when some are left."""
        self._ending.set()
        deadline = time.monotonic() + timeout_s
        while self.live and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.live

    def stop(self):
        self._ending.set()
        self.events.put(None)
        self._thread.join(10)

    def hold(self, on):
        """Nothing is placed and cleared meanwhile."""
        self._holding.set() if on else self._holding.clear()

    def excuse(self, judge):
        """judge(call): whether a failure of that call is what the fault of this moment must cost; None: nothing is excused."""
        self._excuse = judge

    def end_excuse(self):
        """The fault is over; calls that it has hit may still fail of it (a set-up of R2 is given 25 s)."""
        for call in list(self.live.values()):
            if self._excuse is not None and self._excuse(call):
                call.excused = True
        self._excuse = None

    def clear_statistics(self):
        """What was so far is warming up."""
        self.events.put(("clear",))

    # -- the thread --

    def _run(self):
        while True:
            now = time.monotonic()
            wait = min(self._next, self._due[0][0] if self._due else now + 0.5) - now
            try:
                event = self.events.get(timeout=max(0.0005, min(0.5, wait)))
                if event is None:
                    return
                getattr(self, "_on_" + event[0])(*event[1:])
                continue_ = not self.events.empty()
            except queue.Empty:
                continue_ = False
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, _, action, call = heapq.heappop(self._due)
                action(call)
            if now >= self._next and not continue_ or now >= self._next + 0.05:
                self._next += 1 / self.rate
                self.behind_s = max(self.behind_s, now - self._next)
                if self._holding.is_set():
                    continue
                if self._ending.is_set():
                    if self._answered:
                        self._clear(next(iter(self._answered.values())))
                else:
                    if len(self.live) > self.most and self._answered:
                        self._clear(next(iter(self._answered.values())))
                    self._place()

    def _at(self, delay_s, action, call):
        heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._order), action, call))

    def _resting(self, kind, side):
        """Circuits that the box may still guard."""
        if (kind, side) != ("r2", "callee"):
            return 0
        while self._rested and self._rested[0] < time.monotonic() - R2_REST_S * (FAULT_TIMES if self._excuse is not None else 1):
            self._rested.popleft()
        return len(self._rested)

    def _emptiest(self, side):
        kinds = [kind for kind in self.shares if self.busy[kind, side] + self._resting(kind, side) < self.room[kind, side] and self.busy[kind] < self.shares[kind]
                 and (side == "callee" or any(end.is_serving for end in self.ends[kind]))]
        return min(kinds, key=lambda kind: self.busy[kind] / self.shares[kind], default=None)

    def _take(self, kind, side, count):
        self.busy[kind] += count
        self.busy[kind, side] += count

    def _place(self):
        if len(self.live) >= self.most + 10 * self.rate:
            return
        kind = self._emptiest("caller")
        if kind is None:
            return
        self._take(kind, "caller", 1)
        callee = self._emptiest("callee")
        if callee is None:
            self._take(kind, "caller", -1)
            return
        self._take(callee, "callee", 1)
        number = next(self._numbers)
        while number % CODES in self._codes:
            number = next(self._numbers)
        call = Call(number, kind, callee, "%s0%04d" % (NUMBERS[callee], number % CODES))
        self._late.discard(call.called)
        self.live[call.name] = self._codes[number % CODES] = call
        if not self._seize(call):
            del self.live[call.name], self._codes[number % CODES]
            self.no_circuit += 1
            self._take(kind, "caller", -1)
            self._take(callee, "callee", -1)
            return
        self.placed += 1
        limit = max(CONNECT_S.get(kind, CONNECT_OTHER_S), CONNECT_S.get(call.callee_kind, CONNECT_OTHER_S))
        self._at(limit, self._still_unanswered, call)

    def _seize(self, call):
        """A circuit of the caller's kind, and the set-up.  False: all are taken."""
        caller = "139%08d" % (call.number % 100000000)
        for _ in range(64):
            call.caller, span = next(self._spans[call.kind])
            if call.kind == "r2":
                call.timeslot = next((t for t in TIMESLOTS if t not in self._held[call.caller] and call.caller.is_idle(t)), None)
                if call.timeslot is None:
                    continue
                self._held[call.caller].add(call.timeslot)
                if call.caller.call(call.name, call.timeslot, call.called, caller):
                    return True
                self._held[call.caller].discard(call.timeslot)
                continue
            if call.caller.call(call.name, span, call.called, caller):
                return True
        return False

    def _find(self, end, key):
        return self.live.get(key) or self.by_callee.get((end, key))

    def _on_clear(self):
        self.set_ups_ms.clear()
        self.first_blocks.clear()
        self.placed = self.completed = self.breaks = self.no_circuit = self.glares = 0
        self.outcomes.clear()
        self.failures.clear()
        self.behind_s = 0.0

    def _on_out(self, end, key, at):
        if key in self.live:
            self.live[key].out = at

    def _on_last(self, end, key, at):
        call = self.live.get(key)
        if call is not None:
            call.last = at
            self._measure(call)

    def _on_in(self, end, key, called, at):
        call = self._codes.get(int(called[-4:])) if called[-4:].isdigit() else None
        if call is None and called in self._late:       # control was away while the caller gave up; the box clears it, or hunts on before it knows
            return
        if call is None or call.called != called or call.callee_kind != end.kind:
            self._fail_text("a set-up for %s came in at %s, and no call is for it%s" % (called, end.kind, self._past(called)))
            return
        if len(call.connected) == 2:            # another call's, whose number came here wrong; of two exchanges either may be heard first
            # Or its own earlier one: libss7 resets all circuits 1.6 s after its links are back and reports set-ups on them still, while the box hunts on.
            self._fail(call, "another set-up for %s came in at %s after its answer" % (called, end.kind))
            return
        # More than one: the box hunted on (Q.764 2.9.3.2: a circuit was reset), and the end of the old one may come after the new one, as may
        # the old one itself, which lay in the queue of another signalling link.
        call.note("came in as %s" % key)
        call.attempts[(end, key)] = False
        if "callee" not in call.connected:
            call.callee, call.callee_key, call.came = end, key, at
        self.by_callee[(end, key)] = call
        self._measure(call)

    @staticmethod
    def _told(call):
        """What became of a call so far, in words."""
        now = time.monotonic()
        return " (%s to %s, placed %.2f s ago, %s)" % (call.kind, call.callee_kind, now - call.placed, ", ".join(
            "%s %.2f s ago" % (what, now - at) for what, at in call.history) or "nothing since")

    def _past(self, called):
        call = next((call for call in reversed(self._over) if call.called == called), None)
        return self._told(call) if call is not None else ""

    def _measure(self, call):
        begun = call.last if call.kind == "r2" else call.out
        if begun and call.came:
            self.set_ups_ms[call.kind].append(1000 * (call.came - begun))

    def _on_connect(self, end, key):
        call = self._find(end, key)
        if call is None:
            return
        if (end, key) in call.attempts:
            call.attempts[(end, key)] = True
            call.callee, call.callee_key = end, key
        call.note("%s end connected" % ("called" if (end, key) in call.attempts else "calling"))
        call.connected.add("callee" if (end, key) in call.attempts else "caller")
        if "caller" in call.connected:
            self._answered[call.name] = call

    def _on_over(self, end, key, cause, by):
        call = self._find(end, key)
        if call is None:
            return
        call.note("%s end over by %s (%s)" % ("called" if (end, key) in call.attempts else "calling", by, cause))
        if (end, key) in call.attempts and len(call.attempts) > 1:
            self._forget_attempt(call, end, key)
            return
        self._answered.pop(call.name, None)
        if by == "glare":                   # an exchange tries another circuit (Q.764 2.9.1.4)
            call.again = True
            return
        if call.cleared is None and by != "us":
            if (end, key) == (call.callee, call.callee_key) and "callee" not in call.connected and "caller" not in call.connected:
                return                      # it may be tried at another circuit: the caller's end says how it ends
            self._fail(call, "cleared early by %s with cause %s at the %s end%s" % (
                by, cause, "called" if (end, key) == (call.callee, call.callee_key) else "calling",
                "" if call.connected else ", before the answer"))

    def _own_attempts(self, call):
        """Of the called end's keys those that are still this call's: R2 has a name for each circuit, which may be the next call's by now."""
        return [place for place in call.attempts if self.by_callee.get(place) is call]

    def _forget_attempt(self, call, end, key):
        """One of several set-ups is over: the call is another one's."""
        del call.attempts[(end, key)], self.by_callee[(end, key)]
        call.callee, call.callee_key = max(call.attempts, key=call.attempts.get)
        if not call.attempts[(call.callee, call.callee_key)]:
            call.connected.discard("callee")

    def _on_free(self, end, key, proof):
        call = self._find(end, key)
        if call is None:
            return
        side = "callee" if (end, key) == (call.callee, call.callee_key) else "caller"
        if call.again and side == "caller":
            call.again = False
            self.glares += 1
            call.note("placed again")
            if self._seize(call):
                return
        if side == "callee" and "callee" not in call.connected and call.cleared is None and call.failure is None:
            self.by_callee.pop((end, key), None)        # refused; the box may hunt on
            call.attempts.clear()
            call.callee = call.callee_key = None
            call.came = 0.0
            return
        if side in call.free:
            return
        call.free.add(side)
        if side == "caller" and call.kind == "r2":
            self._held[end].discard(call.timeslot)
        if side in call.connected and call.failure is None:
            self._judge(call, side, proof)
        if len(call.free) == 2 or (call.callee is None and side == "caller"):
            self._done(call)

    def _judge(self, call, side, proof):
        if proof is None:
            self._fail(call, "no proof at the %s's end" % side)
            return
        self.breaks += proof["breaks"]
        if proof["first"] >= 0:
            self.first_blocks[proof["first"]] += 1
        # A party whose partner has hung up hears nothing until it is told; in a fault hundreds are cleared at once.
        silent = SILENT_MOST * (FAULT_TIMES if self._excuse is not None and call.cleared is not None else 1)
        if proof["heard"] < HEARD_LEAST or proof["other"] > OTHER_MOST or proof["silent"] > silent or proof["first"] > FIRST_MOST:
            self._fail(call, "the %s does not hear the call's own tone: %s" % (side, proof))

    def _done(self, call):
        self.live.pop(call.name, None)
        self._answered.pop(call.name, None)
        self._over.append(call)
        for place in self._own_attempts(call):
            del self.by_callee[place]
        if self._codes.get(call.number % CODES) is call:
            del self._codes[call.number % CODES]
        self._take(call.kind, "caller", -1)
        self._take(call.callee_kind, "callee", -1)
        if call.callee_kind == "r2":
            self._rested.append(time.monotonic())
        if call.failure is None:
            self.completed += 1
            self.outcomes["completed"] += 1

    def _on_note(self, end, text):
        if len(self.notes) < 1000:
            self.notes.append("%s %s: %s" % (end.kind, getattr(end, "span", ""), text))

    def _clear(self, call):
        self._answered.pop(call.name, None)
        call.cleared = time.monotonic()
        self._turn += 1
        # An exchange that a fault made forget the call has nobody to hang up: the other party does.
        if not (self._turn % 2 and call.callee is not None and call.callee.hang_up(call.callee_key)) and not call.caller.hang_up(call.name) and call.callee is not None:
            call.callee.hang_up(call.callee_key)
        self._at(RELEASE_S, self._still_there, call)

    def _still_unanswered(self, call):
        if call.name in self.live and len(call.connected) < 2 and call.cleared is None:
            self._fail(call, "not answered in time (%s connected)" % (", ".join(call.connected) or "nobody"))
            self._clear(call)

    def _still_there(self, call):
        if call.name in self.live:
            self._fail(call, "not released %g s after the clearing (free: %s)" % (RELEASE_S, ", ".join(call.free) or "nobody"))
            for end, key in [(call.caller, call.name), *self._own_attempts(call)]:      # nobody stays on a line that is not looked at any more
                end.hang_up(key)
            self._done(call)

    def _fail(self, call, text):
        """The first failure counts."""
        if call.failure is not None:
            return
        call.failure = text
        if call.excused or (self._excuse is not None and self._excuse(call)):
            self.outcomes["died with the fault"] += 1
            self._late.add(call.called)
        else:
            self._fail_text("%s (%s to %s): %s%s" % (call.name, call.kind, call.callee_kind, text + self._told(call), self.evidence(call) if self.evidence else ""))
        if call.cleared is None:
            self._at(RELEASE_S, self._still_there, call)

    def _fail_text(self, text):
        self.outcomes["failed"] += 1
        if len(self.failures) < 2000:
            self.failures.append("%.1f s: %s" % (time.monotonic(), text))
