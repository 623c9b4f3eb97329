"""State that a killed control process needs besides the journal.

Protocol-machine dumps, counters for ids, the last number taken from each
at-least-once source (inbox), and layer 3 messages that were decided but may not
have been handed to media (outbox).  All writes run inside the caller's
transaction, the same one as the journal records of the event.
"""

import json

from firmware.jsontext import encoder
from firmware.storage.database import Damaged

ENCODE = encoder(ensure_ascii=True)     # half a character of a far end can be stored so


class Machines:
    """Dumps by name; only a dump that changed is written."""

    def __init__(self, connection):
        self._db = connection
        self._written = {}          # name: what tells one text from another; the texts themselves are on the disk
        self.aside = {}             # name: dump, of an earlier process that could not write (storage/unwritten.py)

    def save(self, name, state):
        """Store a JSON-able dump under a name; None removes it."""
        text = None if state is None else ENCODE(state)
        mark = None if text is None else (hash(text), len(text))
        if text is not None and self._written.get(name) == mark:
            return
        if text is None:
            self._db.execute("DELETE FROM machine WHERE name = ?", (name,))
        else:
            self._db.execute("INSERT INTO machine VALUES (?, ?) "
                             "ON CONFLICT (name) DO UPDATE SET state = excluded.state", (name, text))
        if text is None:
            self._written.pop(name, None)
        else:
            self._written[name] = mark

    def write_aside(self):
        """What an earlier process could not write (inside the caller's transaction); newer dumps come after."""
        for name, state in self.aside.items():
            self.save(name, state)

    def forget_written(self):
        """After a rollback: nothing is known to be written."""
        self._written = {}

    def load(self, name):
        """The dump under a name, or None.  Raises Damaged."""
        if name in self.aside:
            return self.aside[name]
        row = self._db.execute("SELECT state FROM machine WHERE name = ?", (name,)).fetchone()
        try:
            return None if row is None else json.loads(row[0])
        except ValueError as error:
            raise Damaged("the database holds a broken dump of %s: %s" % (name, error)) from error

    def names(self, prefix=""):
        """Names of all dumps that begin with a prefix, sorted."""
        rows = self._db.execute("SELECT name FROM machine WHERE substr(name, 1, ?) = ?", (len(prefix), prefix))
        found = {row[0] for row in rows} | {name for name in self.aside if name.startswith(prefix)}
        return sorted(name for name in found if self.aside.get(name, True) is not None)


class Counters:
    """Ids that never repeat over restarts: next("l") -> "l1", "l2"...

    A number is given out before its transaction commits; what a kill takes
    back had no effect outside.  On a full disk, where turns act without a commit, storage/unwritten.py keeps them."""

    def __init__(self, connection):
        self._db = connection
        self._values = dict(connection.execute("SELECT name, value FROM counter"))
        self._changed = set()

    def next(self, prefix):
        """A new id of a kind."""
        return prefix + str(self.next_number(prefix))

    def next_number(self, name, least=1):
        """The next number of a counter, at least `least`."""
        value = max(self._values.get(name, 0) + 1, least)
        self._values[name] = value
        self._changed.add(name)
        return value

    def value(self, name):
        """The last number of a counter, 0 where there was none."""
        return self._values.get(name, 0)

    def values(self):
        """{name: last number} of all."""
        return dict(self._values)

    def reach(self, name, value):
        """The next number will be above `value`."""
        if value > self._values.get(name, 0):
            self._values[name] = value
            self._changed.add(name)

    @property
    def changed(self):
        """True when save() has something to write."""
        return bool(self._changed)

    def save(self):
        """Write the counters that moved (inside the caller's transaction)."""
        for name in sorted(self._changed):
            self._db.execute("INSERT INTO counter VALUES (?, ?) "
                             "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                             (name, self._values[name]))

    def saved(self):
        """The transaction is committed."""
        self._changed.clear()


class Inbox:
    """Numbers of at-least-once sources: a repeated delivery is known as such.

    source: "media" or "signalling"; boot: which life of the source numbers."""

    def __init__(self, connection):
        self._db = connection
        self._last = {row[0]: (row[1], row[2])
                      for row in connection.execute("SELECT source, boot, number FROM inbox")}

    def is_new(self, source, boot, number):
        """True when this number was not taken before in this life of the source."""
        last = self._last.get(source)
        return last is None or last[0] != boot or number > last[1]

    def note(self, source, boot, number):
        """A number is taken; it is written later."""
        self._last[source] = (boot, number)

    def take(self, source, boot, number):
        """Note a number as taken (inside the caller's transaction)."""
        self.note(source, boot, number)
        self._db.execute("INSERT INTO inbox VALUES (?, ?, ?) ON CONFLICT (source) "
                         "DO UPDATE SET boot = excluded.boot, number = excluded.number",
                         (source, boot, number))


class Outbox:
    """Layer 3 messages between the commit and the signalling socket.

    They are written with the event's records, handed to media after the commit,
    then deleted.  A kill in between leaves them here, and the next control
    process sends them: at least once, which the states of Q.931 bear; a message
    that never left would cost a call."""

    def __init__(self, connection):
        self._db = connection
        self._aside = []
        self.waiting = bool(self.pending())

    def add(self, messages):
        """Messages of an earlier process that could not write them."""
        self._aside += messages
        self.waiting = self.waiting or bool(messages)

    def put(self, messages):
        """messages: [(link, kind, octets)] (inside the caller's transaction)."""
        self.waiting = self.waiting or bool(messages)
        self._db.executemany("INSERT INTO outbox (link, kind, octets) VALUES (?, ?, ?)", messages)

    def pending(self):
        """What was not handed over: [(link, kind, octets)] in order."""
        return [tuple(row) for row in
                self._db.execute("SELECT link, kind, octets FROM outbox ORDER BY number")] + self._aside

    def clear(self):
        """All handed over (inside the caller's transaction)."""
        self._db.execute("DELETE FROM outbox")
        self._aside, self.waiting = [], False
