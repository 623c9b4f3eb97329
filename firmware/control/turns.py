"""A turn: one event from outside, carried to its end, committed, then let out.

    1 the adapter feeds its protocol machine and posts switchboard events
    2 the switchboard handles them; its actions go back into the adapters' machines,
      which may post more events; until all is quiet.  Nothing has left the process
    3 records, machine dumps, numbers of at-least-once sources and id counters are
      committed in one transaction
    4 the adapters let their output out (media commands, layer 3 messages, SIP datagrams)
    5 the source is acknowledged, the live feed told

Events that have come together (one reading of media's socket) are carried to their ends one after the other
and share steps 3 to 5 (`together`), and a commit waits until WINDOW_S after the one before, or longer where that one took long: under load one serves
many.  So a kill -9 before 3 means that the event has not happened (its source repeats it), and after 3 that it has: layer 3 messages wait in the outbox,
SIP repeats by its own timers, media commands are found missing by the audit.

An exception in handling one event is logged with the event and costs that call
(cause 41, temporary failure), never the process; it is acknowledged, since it would raise for ever, and lies
named in storage/set_aside.py.  A disk that refuses the commit does not
stop calls: records wait in memory and in the run directory (storage/unwritten.py), the alarm is in `fault`, and each turn tries again.  A record that
cannot be written for what it holds is written as far as it can be, or set aside (control/commit.py).
Commits that fail for any other reason are no matter of the disk: the turn is kept as one that the disk refused, `hopeless` is set,
and the house ends the process, so that a restart heals.  So an event is acknowledged only when what came of it is committed, kept, or set aside.

What an adapter is: links/adapter.py.
"""

import collections
import contextlib
import logging
import time

from firmware.control import commit
from firmware.jsontext import clean
from firmware.storage.database import refused

log = logging.getLogger(__name__)

FAILURE_CAUSE = 41          # Q.850: temporary failure
WINDOW_S = 0.005            # half a tick of media; invented
WINDOW_MOST_S = 0.02        # what waits longer is felt by who waits; invented
COMMITS_APART = 4           # times as long as a commit took is waited until the next: they take a fifth of the time at most; invented
WAITING_RECORDS = 200_000   # kept in memory while the disk refuses; invented: some hours
EVENTS_IN_A_TURN = 10_000   # more means that two machines answer each other for ever; invented


def without_digits(what):
    """An event for the log: keys that a caller pressed may be a code."""
    if not isinstance(what, dict):
        return what
    return {name: "?" if name in ("digit", "digits", "result", "operation") else without_digits(value) for name, value in what.items()}


class Turns:
    """Runs turns, one at a time.

    switchboard: the core.  stores: object with database, journal, machines, counters, inbox,
    outbox, recordings, cdrs, unwritten.  route(action): the adapter that carries an action out.
    on_record(record): each record as it is made.  after_turn(): to set the timer."""

    def __init__(self, switchboard, stores, clock, feed, route, on_record=None, after_turn=None):
        self.switchboard, self.stores, self.clock, self.feed, self.route = switchboard, stores, clock, feed, route
        self.on_record = on_record or (lambda record: None)
        self.after_turn = after_turn or (lambda: None)
        self.adapters = []
        self._hooks = {}
        self.after_commit = []      # functions(records) called after each commit that wrote records
        self.fault = None           # sentence while records cannot be written
        self.hopeless = None        # (exception, monotonic seconds of the first) while that is not the disk's refusal
        self.lost_records = 0       # given up because too many waited for the disk
        self.exceptions = 0
        self.longest_ms = 0.0
        self.turns = self.commits = 0
        self.later = None           # (seconds, function) of the loop; None: commits do not wait for more
        self._together, self._lingers, self._closed = 0, False, 0.0
        self._commit_s = 0.0        # how long the last commit took
        self._open = None           # when the turns that are not committed yet began
        self._done = []             # (what, done) of them
        self._waiting = collections.deque()
        self._running = False
        self._events = collections.deque()
        self._records = list(stores.unwritten.records)
        self._taken = dict(stores.unwritten.taken)      # source: its last delivery
        self._dropped = set()

    def _with(self, name):
        """The adapters that have something of their own to do under a name: each turn asks, few have."""
        known = self._hooks.get(name)
        if known is None or known[0] != self.adapters:
            own = [adapter for adapter in self.adapters
                   if getattr(adapter, name).__qualname__ != "Adapter." + name]      # of links/adapter.py, which does nothing
            known = self._hooks[name] = (list(self.adapters), own)
        return known[1]

    def post(self, event):
        """Queue a switchboard event; only inside a turn."""
        self._events.append(event)

    def run(self, what, function, *args, source=None, done=None):
        """Run one turn: function(*args, now_ms) feeds it.

        what: for the log.  source: (name, boot, number) of an at-least-once delivery.
        done: called after the commit (acknowledge here).  Called inside a turn, it waits for its end."""
        self._waiting.append((what, function, args, source, done))
        if self._running:
            return
        self._running = True
        try:
            while self._waiting:
                self._one(*self._waiting.popleft())
                if not self._together:
                    self._close()
        finally:
            self._running = False
        if not self._together:
            self.after_turn()

    @contextlib.contextmanager
    def together(self):
        """Turns inside are one commit; nothing of them leaves before its end."""
        self._together += 1
        try:
            yield
        finally:
            self._together -= 1
            if not self._together and self._open is not None:
                window_s = min(WINDOW_MOST_S, max(WINDOW_S, COMMITS_APART * self._commit_s))
                left_s = self._closed + window_s - time.perf_counter()
                if self.later is None or left_s <= 0:
                    self.finish()
                elif not self._lingers:
                    self._lingers = True
                    self.later(left_s, self._lingered)

    def is_open(self):
        """Whether there is something that is not committed yet."""
        return self._open is not None

    def _lingered(self):
        self._lingers = False
        self.finish()

    def finish(self):
        """Commit what is open."""
        if self._open is None or self._running:
            return
        self._running = True
        try:
            self._close()
            while self._waiting:
                self._one(*self._waiting.popleft())
                self._close()
        finally:
            self._running = False
        self.after_turn()

    def handle(self, event):
        """A turn that is one switchboard event."""
        self.run(event, self._handle_one, event)

    def _handle_one(self, event, now_ms):
        self.post(event)

    def _one(self, what, function, args, source, done):
        if self._open is None:
            self._open = time.perf_counter()
        now_ms = self.clock.now_ms()
        self._dropped.clear()
        if source is not None:
            if not self.stores.inbox.is_new(*source):
                if done is not None:
                    self._done.append((what, done))
                return
            self._taken[source[0]] = source
        self.guard(what, None, function, *args, now_ms)
        self.guard("the end of a turn's events", None, self._settle, now_ms)
        for adapter in self._with("turned"):
            self.guard("end of a turn", None, adapter.turned)
        if done is not None:
            self._done.append((what, done))
        self.turns += 1

    def _close(self):
        """Commit what the turns since the last commit made, let it out, acknowledge."""
        began_s = time.perf_counter()
        self._commit(self.clock.now_ms())
        self._commit_s = time.perf_counter() - began_s
        for adapter in self._with("flush"):
            self.guard("flush", None, adapter.flush)
        self._sent()
        finished, self._done = self._done, []
        for what, done in finished:
            self.guard(what, None, done)
        self.commits += 1
        began, self._open = self._open, None
        if began is not None:
            self._closed = time.perf_counter()
            self.longest_ms = max(self.longest_ms, (self._closed - began) * 1000)

    def _settle(self, now_ms):
        """Switchboard and adapters answer each other until nothing is left."""
        count = 0
        while True:
            while self._events:
                count += 1
                event = clean(self._events.popleft())   # text of the far end must not poison state or journal
                if count > EVENTS_IN_A_TURN:
                    log.critical("turn: more than %d events, the rest is dropped; first: %r", EVENTS_IN_A_TURN, without_digits(event))
                    self.stores.set_aside.put("event", without_digits(event), "more than %d events in one turn; %d are dropped" % (
                        EVENTS_IN_A_TURN, 1 + len(self._events)))
                    self._events.clear()
                    break
                self.guard(event, event.get("leg"), self.switchboard.handle, event, now_ms)
                self._actions(now_ms)
            if not self._actions(now_ms) and not self._events:
                return

    def _actions(self, now_ms):
        records, actions = self.switchboard.take()
        self._records += records
        self._each(self.stores.cdrs.fold, records)
        self._each(self.stores.figures.fold, records)
        self._each(self.on_record, records, "a record's note")
        for action in actions:
            self.guard(action, action.get("leg"), self._carry_out, action, now_ms)
        return bool(records or actions)

    def _carry_out(self, action, now_ms):
        self.route(action).carry_out(action, now_ms)

    def guard(self, what, leg, function, *args):
        """Call; an exception is logged and costs the leg, once."""
        try:
            return function(*args)
        except Exception as error:
            self._went_wrong(what, leg, error)
        return None

    def _each(self, function, records, what=None):
        """The same for function(record) of each; what: in place of the record."""
        for record in records:
            try:
                function(record)
            except Exception as error:
                self._went_wrong(what or record, None, error)

    def _went_wrong(self, what, leg, error):
        self.exceptions += 1
        log.exception("control: handling failed; the call it belongs to is cleared with cause %d. Event: %r",
                      FAILURE_CAUSE, without_digits(what))
        self.stores.set_aside.put("event", without_digits(what), error)
        if leg is None and isinstance(what, dict):
            leg = what.get("leg")
        if leg is not None and leg not in self._dropped:
            self._dropped.add(leg)
            for adapter in self.adapters:
                try:
                    adapter.drop(leg, self.clock.now_ms())
                except Exception:
                    log.exception("control: dropping leg %s failed", leg)
            self._events.append({"kind": "leg.released", "leg": leg, "cause": FAILURE_CAUSE, "by": "failure"})

    def _commit(self, now_ms):
        stores, records = self.stores, self._records
        dirty = [adapter for adapter in self._with("dirty") if self.guard("dirty", None, adapter.dirty)]
        if not (records or dirty or self._taken or stores.counters.changed):
            return
        ended = stores.cdrs.finished
        try:
            with stores.database.transaction():
                commit.write(stores, records, dirty, self._taken.values())
        except Exception as error:
            stores.machines.forget_written()
            try:
                if refused(error):
                    raise
                log.critical("journal: a turn cannot be written whole (%s: %s)", type(error).__name__, error)
                with stores.database.transaction():
                    records = commit.salvage(stores, records, dirty, self._taken.values())
            except Exception as second:
                self._failed(second)
                held = any(adapter.holds_output() for adapter in self.adapters)
                self.guard("keeping of a refused turn", None, stores.unwritten.keep, stores, self._records, dirty,
                           self._taken.values(), held)
                return
        if self.fault is not None:
            log.warning("journal: the disk takes records again")
            self.fault = self.hopeless = None
            self.feed.trouble(False)
        self._records, self._taken = [], {}
        stores.machines.aside = {}
        stores.unwritten.written()
        stores.counters.saved()
        for adapter in dirty:
            adapter.saved()
        stores.cdrs.forget_finished()
        if records:
            stores.figures.saved()
        if ended:
            stores.database.sync()
        if records:
            self.feed.publish(records)
            for function in self.after_commit:
                self.guard("after commit", None, function, records)

    def _failed(self, error):
        """Nothing could be written: records wait."""
        self.stores.machines.forget_written()
        if refused(error):
            self.hopeless = None
        elif self.hopeless is None:
            self.hopeless = (error, time.monotonic())
        if self.fault is None:
            log.critical("journal: the disk refuses (%s); calls go on, records wait in memory. "
                         "Free space on the data disk", error, exc_info=error if self.hopeless else None)
        self.fault = "the journal cannot be written: %s" % error
        self.feed.trouble(True)
        surplus = len(self._records) - WAITING_RECORDS
        if surplus > 0:
            if not self.lost_records:
                log.critical("journal: more than %d records wait for the disk; the oldest are LOST from now on, and a restart "
                             "will not know them. Health counts them", WAITING_RECORDS)
            self.lost_records += surplus
            del self._records[:surplus]
            self.stores.unwritten.dropped(surplus)

    def try_again(self):
        """A turn that only writes what waits."""
        self.run("another try to write", lambda now_ms: None)

    def _sent(self):
        """The outbox has been handed over: empty it, so that a kill does not send it twice.  A disk that refuses: later."""
        outbox = self.stores.outbox
        if outbox.waiting and not self.fault and not any(adapter.holds_output() for adapter in self.adapters):
            try:
                with self.stores.database.transaction():
                    outbox.clear()
            except Exception:
                log.exception("journal: the outbox could not be emptied")

    def deadline_ms(self):
        """When expire() is wanted next, or None."""
        deadlines = [self.switchboard.deadline_ms()] + [adapter.deadline_ms() for adapter in self._with("deadline_ms")]
        deadlines = [deadline for deadline in deadlines if deadline is not None]
        return min(deadlines) if deadlines else None

    def expire(self):
        """A turn for all timers that are due."""
        self.run("timers", self._expire)

    def _expire(self, now_ms):
        for adapter in self.adapters:
            deadline = adapter.deadline_ms()
            if deadline is not None and deadline <= now_ms:
                self.guard("timers of %s" % adapter.name, None, adapter.expire, now_ms)
        deadline = self.switchboard.deadline_ms()
        if deadline is not None and deadline <= now_ms:
            self.guard("timers of the switchboard", None, self.switchboard.expire, now_ms)
