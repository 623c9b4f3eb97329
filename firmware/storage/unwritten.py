"""Turns that the data disk refuses, kept in the run directory: a kill of control loses none of them.

While a disk is full calls go on, and each turn acts without being committed.  What its transaction would have held is
appended here as one frame of JSON before anything leaves the process: records, dumps, the outbox, numbers of sources
and ids.  The run directory lies in memory on the appliance, so this survives the process, not a power cut, which ends
the calls as well.  Where both directories lie on one file system, both are full at once: the file takes its room at
the start and keeps it (storage/reserved_file.py).  The next process takes all of it as if it waited in its own
memory: it is replayed after the journal, and committed with the first turn that the disk takes.  Then the file is
cleared.

A file counts only beside the journal that it continues: its head names that journal's last number, and a serial
number that a commit of its contents writes down as done.  Where the file is damaged, or says that not all could be
written to it, turns are unknown that took ids: the next ids are above all known ones by GAP.
"""

import json
import logging
import pathlib

from firmware.jsontext import clean
from firmware.storage.reserved_file import FIRST, ROOM_OCTETS, ReservedFile, Torn

log = logging.getLogger(__name__)

NAME = "control.unwritten"
SERIAL = "unwritten"            # the counter that says which file is committed
MOST_OCTETS = 256 << 20         # invented: the run directory is memory that others need too
GAP = 1000                      # ids that unknown turns may have taken; invented
IDS = "clbr"                    # calls, legs, bridges, recordings


class Unwritten:
    """folder: the run directory, None: nothing is kept.

    After load(): records, taken {source: (source, boot, number)} and recordings, which wait for the commit."""

    def __init__(self, folder=None):
        self.path = None if folder is None else pathlib.Path(folder) / NAME
        self.file = ReservedFile(self.path)
        self.gap = 0                # ids are that far above every known one: turns of an earlier process are unknown
        self.records, self.taken, self.recordings = [], {}, []
        self.unreserved = None      # why the file has no room of its own
        self.failed = None          # why a kill would lose something now
        self._serial = None         # of the file that stands
        self._kept = 0              # records of the turns' list that are in the file
        self._texts, self._outbox, self._last = {}, [], {}

    # -- a start --

    def load(self, stores):
        """Take over what an earlier process could not write."""
        if self.path is None:
            return
        rows = self._rows(stores)
        if not rows:
            self._clear()
            return
        head, *rows = rows
        machines, counters = {}, {}
        for row in rows:
            self.records += row["records"]
            machines.update(row["machines"])
            counters.update(row["counters"])
            self.taken.update({source[0]: tuple(source) for source in row["inbox"]})
            self._outbox = row["outbox"]
            if row["recordings"] is not None:
                self.recordings = [tuple(entry) for entry in row["recordings"]]
        self._serial, self._kept = head["serial"], len(self.records)
        self._texts = {name: json.dumps(state) for name, state in machines.items()}
        stores.machines.aside = machines
        stores.outbox.add([(link, kind, bytes.fromhex(octets)) for link, kind, octets in self._outbox])
        for name, value in counters.items():
            stores.counters.reach(name, value)
        for source in self.taken.values():
            stores.inbox.note(*source)
        self._jump(stores)
        log.warning("storage: %d records that the disk refused are taken over from %s", len(self.records), self.path)

    def _rows(self, stores):
        """What the file holds, its head first; [] where nothing of it counts."""
        why = None
        try:
            bodies, lossy = self.file.read()
            rows = [json.loads(body) for body in bodies]
            if lossy:
                self.gap = GAP
                log.error("storage: %s lacks the last turns of the earlier process, which found no room for them: calls of "
                          "theirs are unknown. New ids are %d above the known ones", self.path, GAP)
            if not rows or rows[0]["serial"] <= stores.counters.value(SERIAL):
                rows = []                   # nothing was refused, or all is committed
            elif rows[0]["after"] != stores.journal.last_seq():
                why = "it continues another journal"
        except FileNotFoundError:
            return []
        except OSError as error:
            why = "it cannot be read (%s)" % (error.strerror or error)
        except Torn as error:
            why = str(error)
        except (ValueError, LookupError, TypeError):
            why = "its contents are not what control writes"
        if why:
            self.gap = GAP
            log.error("storage: %s is not used, because %s: calls that began while the disk was full may be unknown. New ids "
                      "are %d above the known ones", self.path, why, GAP)
            rows = []
        if not rows:
            self._jump(stores)
        return rows

    def _jump(self, stores):
        for kind in IDS if self.gap else "":
            stores.counters.reach(kind, stores.counters.value(kind) + self.gap)

    def discard(self):
        """It cannot be replayed: the next start goes without, and knows that."""
        try:
            self.path.with_suffix(".broken").write_bytes(self.path.read_bytes())
        except OSError as error:
            log.error("storage: no copy of %s could be made: %s", self.path, error.strerror)
        self.file.clear()
        self.file.lossy()

    def _clear(self):
        """Nothing waits; take the room for what may come."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                self.file.clear()
        except OSError as error:        # it names itself as done
            log.error("storage: %s cannot be cleared: %s", self.path, error.strerror)
        self.file.end = FIRST
        self._reserve()

    def _reserve(self):
        try:
            self.file.reserve()
            self.unreserved = None
        except OSError as error:
            before, self.unreserved = self.unreserved, "%s has no room of its own (%s)" % (self.path, error.strerror)
            if before is None:
                log.error("storage: %s: on a full disk a restart of control may lose calls. Free space", self.unreserved)

    def look(self):
        """Now and then: take room that there was none for."""
        if self.path is not None and self._serial is None and self.file.room < ROOM_OCTETS:
            self._reserve()

    # -- turns --

    def mark(self, stores):
        """Inside the transaction that holds everything: this file is done with."""
        if self._serial is not None:
            stores.counters.reach(SERIAL, self._serial)

    def written(self):
        """That transaction is committed."""
        if self._serial is not None or self.failed:
            self._clear()
        self.records, self.recordings, self.failed = [], [], None
        self._serial, self._kept, self._texts, self._outbox, self._last = None, 0, {}, [], {}

    def dropped(self, count):
        """The turns gave their oldest records up."""
        self._kept = max(0, self._kept - count)

    def keep(self, stores, records, dirty, taken, held):
        """Keep a turn that was refused.  records: all that wait; dirty: adapters with something to save; taken: last number
        of each source; held: some of the outbox is not handed over yet."""
        if self.path is None or self.failed:
            return
        found = _Collector(stores)
        for adapter in dirty:
            try:
                adapter.save(found)
            except Exception as error:      # a fault of ours must not keep the rest of the turn from here
                stores.set_aside.put("state", adapter.name, error)
        texts = {name: text for name, state in found.dumps.items() if (text := _text(stores, "state", state)) is not None}
        changed = {name: json.loads(text) for name, text in texts.items() if self._texts.get(name) != text}
        outbox = (self._outbox if held else []) + [[link, kind, bytes(octets).hex()] for link, kind, octets in found.messages]
        rest = {"counters": {name: value for name, value in stores.counters.values().items() if name != SERIAL},
                "inbox": [list(source) for source in taken], "recordings": found.index, "outbox": outbox}
        new = [json.loads(text) for record in records[self._kept:] if (text := _text(stores, "record", record)) is not None]
        if not new and not changed and rest == self._last:
            return
        serial = self._serial or stores.counters.value(SERIAL) + 1
        try:
            if self._serial is None:
                self._append({"serial": serial, "after": stores.journal.last_seq()})
                self._serial = serial
            self._append({"records": new, "machines": changed, **rest})
        except OSError as error:
            self.failed = "%s cannot be written: %s" % (self.path, error.strerror or error)
            log.critical("storage: %s; a restart of control would lose what happens from now on", self.failed)
            try:
                self.file.lossy()       # the next process shall know
            except OSError as second:
                log.error("storage: %s cannot be marked as incomplete: %s", self.path, second.strerror)
            return
        self._kept, self._outbox, self._last = len(records), outbox, rest
        self._texts.update(texts)

    def _append(self, row):
        try:
            octets = json.dumps(row).encode()
        except (TypeError, ValueError, RecursionError):
            octets = json.dumps(clean(row)).encode()
        self.file.append(octets, MOST_OCTETS)


def _text(stores, matter, value):
    """JSON of plain data; of what is none, as far as it can be written, else None, and it is set aside."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        try:
            return json.dumps(clean(value))
        except (TypeError, ValueError, RecursionError):
            stores.set_aside.put(matter, value, error)
            return None


class _Collector:
    """What adapters save, instead of the stores; performance bins and alarms wait in their adapter."""

    def __init__(self, stores):
        self.names = stores.machines.names
        self.dumps, self.messages, self.index = {}, [], None
        self.machines = self.outbox = self
        self.recordings = _Index(self)
        self.alarms = self.performance = _Nothing()

    def save(self, name, state):
        """As Machines.save()."""
        self.dumps[name] = state
        if name == "media":             # the adapter that keeps the index of recordings
            self.index = []

    def put(self, messages):
        """As Outbox.put()."""
        self.messages += messages


class _Index:
    def __init__(self, collector):
        self._collector = collector

    def __getattr__(self, kind):
        return lambda *fields: self._collector.index.append([kind, *fields])


class _Nothing:
    def __getattr__(self, name):
        return lambda *fields: None
