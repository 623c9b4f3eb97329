"""A queue: callers waiting, in an order that nothing but priority may change.

The order is (higher priority first, then earlier entry, then the number of the
entry).  A caller keeps the place while an agent is offered the call, also when that
offer fails, and across a restart of the control process: entering is a record, and
so is leaving; an offer changes neither.

    queue.enter(call, priority, entered_ms, order)
    queue.position("c7") -> 2          1 is the next to be served
    queue.leave("c7")
    for entry in queue: ...            in order; entry.call, entry.entered_ms, ...
"""


class Entry:
    """One waiting caller."""

    __slots__ = ("call", "priority", "entered_ms", "order")

    def __init__(self, call, priority, entered_ms, order):
        self.call = call
        self.priority = priority
        self.entered_ms = entered_ms
        self.order = order

    def rank(self):
        """Sort key; lower is served earlier."""
        return (-self.priority, self.entered_ms, self.order)


class Queue:
    """Callers waiting for the same agents."""

    def __init__(self, name):
        self.name = name
        self._entries = []

    def __len__(self):
        return len(self._entries)

    def __iter__(self):
        return iter(self._entries)

    def enter(self, call, priority, entered_ms, order):
        """Add a caller at the place that the rank gives; again for the same call changes nothing."""
        if self.find(call) is not None:
            return
        entry = Entry(call, priority, entered_ms, order)
        place = len(self._entries)
        while place > 0 and self._entries[place - 1].rank() > entry.rank():
            place -= 1
        self._entries.insert(place, entry)

    def leave(self, call):
        """Remove a caller.  Nothing happens if the call does not wait here."""
        entry = self.find(call)
        if entry is not None:
            self._entries.remove(entry)

    def find(self, call):
        """The entry of a call, or None."""
        for entry in self._entries:
            if entry.call == call:
                return entry
        return None

    def position(self, call):
        """Place of a call, 1 is the next; None if it does not wait here."""
        for index in range(len(self._entries)):
            if self._entries[index].call == call:
                return index + 1
        return None

    def longest_since_ms(self):
        """When the caller who waits longest entered, or None."""
        longest = None
        for entry in self._entries:
            if longest is None or entry.entered_ms < longest:
                longest = entry.entered_ms
        return longest

    def dump(self):
        """As plain lists, in order."""
        return [[entry.call, entry.priority, entry.entered_ms, entry.order] for entry in self._entries]


def load(name, dumped):
    """A queue from dump()."""
    queue = Queue(name)
    for call, priority, entered_ms, order in dumped:
        queue.enter(call, priority, entered_ms, order)
    return queue
