"""Callers of the soak: each follows one plan, drawn by a seeded generator, and is judged by what it then hears.

One thread drives all of them by the far exchange's events and a heap of due times, so that hundreds are cheap.
"""

import collections
import heapq
import itertools
import queue
import random
import threading
import time

from hil.far.client import Refused

LANDING, UNALLOCATED = "02150801000", "02150809999"
# Plan: share of the callers, key pressed in the greeting.
PLANS = {"talks": (0.62, "1"), "hangs up in the greeting": (0.12, None), "hangs up in the queue": (0.10, "2"),
         "presses no key": (0.08, None), "dials a wrong number": (0.08, None)}
CONNECT_S = 5                   # a set-up that takes longer has failed
RELEASE_S = 10                  # a clearing that takes longer has failed
GREETING_S, QUEUE_S, NO_KEY_S = (0.5, 3.0), (0.1, 0.9), (4.0, 12.0)
NORMAL, UNALLOCATED_NUMBER = 16, 1      # causes, Q.850


class Caller:
    """One call at the far exchange."""

    def __init__(self, name, plan, talk_s):
        self.name, self.plan, self.talk_s = name, plan, talk_s
        self.began = time.monotonic()
        self.connected = self.pressed = self.hung_up = False
        self.outcome = None


class Traffic:
    """far: hil.far.client.FarExchange, whose `listener` is taken.  spans: where calls come in.

    calls_a_second: mean, with exponential gaps.  talk_s: mean of the exponential times from the key on.
    most: callers at a time; who comes then is not placed.
    After drain(): placed; outcomes {what became of a call: how many}; failures [sentence]; set_up_ms [of each connect]."""

    def __init__(self, far, spans, calls_a_second, talk_s, most, seed):
        self.far, self.spans, self.rate, self.talk_s, self.most = far, list(spans), calls_a_second, talk_s, most
        self.random = random.Random(seed)
        self.numbers = itertools.count(1)
        self.live, self.outcomes, self.failures, self.set_up_ms = {}, collections.Counter(), [], []
        self.placed = 0
        self._excused_until = 0.0
        self._due, self._order = [], itertools.count()
        self._events = queue.SimpleQueue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="soak-traffic", daemon=True)
        far.listener = self._events.put

    def start(self):
        self._at(0, self._place)
        self._thread.start()
        return self

    def drain(self, timeout_s):
        """Place no more calls and wait for those that are up; False when some are left."""
        self._ending.set()
        deadline = time.monotonic() + timeout_s
        while self.live and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.live

    def stop(self):
        self._ending.set()
        self._events.put(None)
        self._thread.join(5)

    def excuse(self, seconds):
        """What goes wrong within these seconds was cut by a kill, and is counted as that."""
        self._excused_until = time.monotonic() + seconds

    # -- all below: the thread --

    def _at(self, delay_s, action, *arguments):
        heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._order), action, arguments))

    def _run(self):
        while True:
            wait_s = min(0.5, self._due[0][0] - time.monotonic()) if self._due else 0.5
            try:
                event = self._events.get(timeout=max(0.001, wait_s))
                if event is None:
                    return
                caller = self.live.get(event.get("id"))
                if caller is not None:
                    self._event(caller, event)
            except queue.Empty:
                pass
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, action, arguments = heapq.heappop(self._due)
                action(*arguments)

    def _place(self):
        if self._ending.is_set():
            return
        self._at(self.random.expovariate(self.rate), self._place)
        plan = self.random.choices(list(PLANS), [share for share, _ in PLANS.values()])[0]
        caller = Caller(f"s{next(self.numbers)}", plan, 1 + self.random.expovariate(1 / self.talk_s))
        span = self.random.choice(self.spans)
        if len(self.live) >= self.most:
            return
        called = UNALLOCATED if plan == "dials a wrong number" else LANDING
        number = f"139{self.placed:08d}"
        if self._told(caller, lambda: self.far.call(caller.name, span=span, called=called, caller=number)):
            self.live[caller.name] = caller
            self.placed += 1
            self._at(CONNECT_S, self._still_unanswered, caller)

    def _told(self, caller, command):
        """Whether the far exchange took the command."""
        try:
            command()
            return True
        except Refused:                     # no timeslot is free, or the call has just ended
            return False
        except OSError as error:            # it is gone, or stands
            self._note(caller, f"failed: {error}")
            return False

    def _event(self, caller, event):
        kind = event["event"]
        if kind == "connect" and not caller.connected:
            caller.connected = True
            self.set_up_ms.append(1000 * (time.monotonic() - caller.began))
            if caller.plan == "dials a wrong number":
                self._note(caller, "failed: a wrong number was answered")
                self._hang_up(caller)
            elif PLANS[caller.plan][1]:
                self._at(self.random.uniform(*GREETING_S), self._press, caller)
            else:
                stay = NO_KEY_S if caller.plan == "presses no key" else GREETING_S
                self._at(self.random.uniform(*stay), self._hang_up, caller)
        elif kind == "hangup" and not caller.hung_up:
            self._note(caller, self._cleared(caller, event.get("cause")))
        elif kind == "released":
            self._note(caller, "ended by the caller" if caller.hung_up else "failed: released without a word")
            del self.live[caller.name]

    @staticmethod
    def _cleared(caller, cause):
        """What it means that the switch cleared the call."""
        if caller.plan == "dials a wrong number" and cause == UNALLOCATED_NUMBER and not caller.connected:
            return "refused, as it must be"
        if caller.pressed and cause == NORMAL:
            return "ended by the agent"
        return f"failed: cleared by the switch with cause {cause}, plan: {caller.plan}"

    def _note(self, caller, outcome):
        """The first outcome counts."""
        if caller.outcome is None:
            if outcome.startswith("failed") and time.monotonic() < self._excused_until:
                outcome = "cut by a kill"
            caller.outcome = outcome
            self.outcomes[outcome.partition(":")[0]] += 1
            if outcome.startswith("failed"):
                self.failures.append(f"{caller.name}, {outcome}")

    def _press(self, caller):
        if caller.name in self.live and self._told(caller, lambda: self.far.dtmf(caller.name, PLANS[caller.plan][1])):
            caller.pressed = True
            self._at(self.random.uniform(*QUEUE_S) if caller.plan == "hangs up in the queue" else caller.talk_s,
                     self._hang_up, caller)

    def _hang_up(self, caller):
        if caller.name in self.live and not caller.hung_up:
            caller.hung_up = True
            self._told(caller, lambda: self.far.hangup(caller.name))
            self._at(RELEASE_S, self._still_there, caller)

    def _still_unanswered(self, caller):
        if caller.name in self.live and not caller.connected:
            self._note(caller, f"failed: no answer to the set-up within {CONNECT_S} s")
            self._hang_up(caller)

    def _still_there(self, caller):
        if caller.name in self.live:
            self._note(caller, f"failed: not released within {RELEASE_S} s of the hang-up")
