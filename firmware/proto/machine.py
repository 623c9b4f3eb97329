"""The common shape of every protocol machine: a table of rows, and timers.

    events = machine.receive(octets, now_ms)      # or machine.request(primitive, now_ms, ...)
    machine.take_output()                         # octets or messages to send
    machine.deadline_ms()                         # when to call expire, or None
    machine.expire(now_ms)

A machine never reads a clock, opens a socket or logs.  Its behaviour is data:
rows (states, input, action, next state, clause).  `states` is one state or a
tuple of them; `action` is the name of a method of the machine, called as
action(now_ms, *details); a state that it returns overrules the row's next
state; None as next state means "stay".  A pair that has no row is illegal
here: Machine.illegal says so, and each protocol decides what that costs.

Portable: runs under MicroPython.
"""


def transitions(rows):
    """Turn rows into {(state, input): (action, next state, clause)}.

    Raises ValueError if two rows claim the same pair: a table must not depend
    on the order of its rows."""
    table = {}
    for states, inputs, action, next_state, clause in rows:
        for state in (states if isinstance(states, tuple) else (states,)):
            for name in (inputs if isinstance(inputs, tuple) else (inputs,)):
                if (state, name) in table:
                    raise ValueError("two rows for %s in state %s" % (name, state))
                table[(state, name)] = (action, next_state, clause)
    return table


class Timers:
    """The running timers of one machine.

    durations_ms: {name: ms}, the defaults of start().  Timers that fall due at
    the same time come in the order in which they were started."""

    __slots__ = ("durations_ms", "_running", "_sequence")

    def __init__(self, durations_ms):
        self.durations_ms = durations_ms
        self._running = {}
        self._sequence = 0

    def start(self, name, now_ms, duration_ms=None):
        """Start a timer, or start it anew."""
        if duration_ms is None:
            duration_ms = self.durations_ms[name]
        self._sequence += 1
        self._running[name] = (now_ms + duration_ms, self._sequence)

    def stop(self, name):
        """Stop a timer; one that does not run stays so."""
        self._running.pop(name, None)

    def stop_all(self):
        """Stop every timer."""
        self._running = {}

    def running(self, name):
        """Whether a timer runs."""
        return name in self._running

    def deadline_ms(self):
        """When the next timer falls due, or None."""
        if not self._running:
            return None
        return min(self._running.values())[0]

    def due(self, now_ms):
        """Take the earliest timer that has fallen due: its name, or None."""
        if not self._running:
            return None
        (deadline_ms, _), name = min([(value, key) for key, value in self._running.items()])
        if deadline_ms > now_ms:
            return None
        del self._running[name]
        return name

    def dump(self):
        """Return [[name, deadline_ms], ...] in the order of start."""
        rows = sorted([(value[1], key, value[0]) for key, value in self._running.items()])
        return [[key, deadline_ms] for _, key, deadline_ms in rows]

    def restore(self, rows):
        """Take what dump() gave; a deadline in the past falls due at once."""
        self.stop_all()
        for name, deadline_ms in rows:
            self.start(name, deadline_ms, 0)


class Machine:
    """Base: one state, one table, one set of timers, one list of events.

    A subclass sets TABLE (from transitions()) and INITIAL, and writes the
    actions.  Timers enter the table as inputs under their own names."""

    TABLE = {}
    INITIAL = ""

    def __init__(self, durations_ms):
        self.state = self.INITIAL
        self.timers = Timers(durations_ms)
        self._events = []

    def step(self, name, now_ms, *details):
        """Look (state, name) up and carry the row out."""
        row = self.TABLE.get((self.state, name))
        if row is None:
            self.illegal(name, now_ms, *details)
            return
        action, next_state, _ = row
        chosen = None
        if action is not None:
            chosen = getattr(self, action)(now_ms, *details)
        if chosen is not None:
            next_state = chosen
        if next_state is not None:
            self.state = next_state

    def illegal(self, name, now_ms, *details):
        """An input that the table does not list for this state."""
        raise NotImplementedError("%s in state %s has no row" % (name, self.state))

    def emit(self, *event):
        """Add an event for the layer above."""
        self._events.append(event)

    def take_events(self):
        """Return the events collected, and forget them."""
        events, self._events = self._events, []
        return events

    def deadline_ms(self):
        """When to call expire(), or None."""
        return self.timers.deadline_ms()

    def expire(self, now_ms):
        """Let every timer that has fallen due act.  Returns events."""
        while True:
            name = self.timers.due(now_ms)
            if name is None:
                return self.take_events()
            self.step(name, now_ms)
