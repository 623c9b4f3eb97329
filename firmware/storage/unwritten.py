"""Turns that the data disk refuses, kept in the run directory: a kill of control loses none of them.

While a disk is full calls go on, and each turn acts without being committed.  What its transaction would have held is
appended here as one line of JSON before anything leaves the process: records, dumps, the outbox, numbers of sources
and ids.  The run directory lies in memory on the appliance, so this survives the process, not a power cut, which ends
the calls as well.  The next process takes all of it as if it waited in its own memory: it is replayed after the
journal, and committed with the first turn that the disk takes.  Then the file goes.

A file counts only beside the journal that it continues: its head names that journal's last number, and a serial
number that a commit of its contents writes down as done.
"""

import json
import logging
import os
import pathlib

log = logging.getLogger(__name__)

NAME = "control.unwritten"
SERIAL = "unwritten"            # the counter that says which file is committed
MOST_OCTETS = 256 << 20         # invented: the run directory is memory that others need too


class Unwritten:
    """folder: the run directory, None: nothing is kept.

    After load(): records, taken {source: (source, boot, number)} and recordings, which wait for the commit."""

    def __init__(self, folder=None):
        self.path = None if folder is None else pathlib.Path(folder) / NAME
        self.records, self.taken, self.recordings = [], {}, []
        self.failed = None          # why a kill would lose something now
        self._serial = None         # of the file that stands
        self._kept = 0              # records of the turns' list that are in the file
        self._texts, self._outbox, self._last = {}, [], {}
        self._octets = 0

    # -- a start --

    def load(self, stores):
        """Take over what an earlier process could not write."""
        if self.path is None:
            return
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]    # what has no end was not finished: nothing of it left the process
            head = json.loads(lines[0])
            if head["serial"] <= stores.counters.value(SERIAL) or head["after"] != stores.journal.last_seq():
                raise ValueError("it belongs to another journal, or is committed")
            rows = [json.loads(line) for line in lines[1:]]
        except FileNotFoundError:
            return
        except (OSError, ValueError, LookupError, TypeError) as error:
            log.warning("storage: %s is not used: %s", self.path, error)
            return
        machines, counters = {}, {}
        for row in rows:
            self.records += row["records"]
            machines.update(row["machines"])
            counters.update(row["counters"])
            self.taken.update({source[0]: tuple(source) for source in row["inbox"]})
            self._outbox = row["outbox"]
            if row["recordings"] is not None:
                self.recordings = [tuple(entry) for entry in row["recordings"]]
        self._serial, self._kept, self._octets = head["serial"], len(self.records), sum(map(len, lines)) + len(lines)
        self._texts = {name: json.dumps(state) for name, state in machines.items()}
        stores.machines.aside = machines
        stores.outbox.add([(link, kind, bytes.fromhex(octets)) for link, kind, octets in self._outbox])
        for name, value in counters.items():
            stores.counters.reach(name, value)
        for source in self.taken.values():
            stores.inbox.note(*source)
        log.warning("storage: %d records that the disk refused are taken over from %s", len(self.records), self.path)

    def discard(self):
        """It cannot be replayed: the next start goes without."""
        os.replace(self.path, self.path.with_suffix(".broken"))

    # -- turns --

    def mark(self, stores):
        """Inside the transaction that holds everything: this file is done with."""
        if self._serial is not None:
            stores.counters.reach(SERIAL, self._serial)

    def written(self):
        """That transaction is committed."""
        if self._serial is not None:
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:        # it names itself as done
                log.error("storage: %s cannot be removed: %s", self.path, error.strerror)
        self.records, self.recordings, self.failed = [], [], None
        self._serial, self._kept, self._octets, self._texts, self._outbox, self._last = None, 0, 0, {}, [], {}

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
            adapter.save(found)
        texts = {name: json.dumps(state) for name, state in found.dumps.items()}
        changed = {name: found.dumps[name] for name, text in texts.items() if self._texts.get(name) != text}
        outbox = (self._outbox if held else []) + [[link, kind, bytes(octets).hex()] for link, kind, octets in found.messages]
        rest = {"counters": {name: value for name, value in stores.counters.values().items() if name != SERIAL},
                "inbox": [list(source) for source in taken], "recordings": found.index, "outbox": outbox}
        new = records[self._kept:]
        if not new and not changed and rest == self._last:
            return
        line = json.dumps({"records": new, "machines": changed, **rest}).encode() + b"\n"
        if self._serial is None:
            serial = stores.counters.value(SERIAL) + 1
            line = json.dumps({"serial": serial, "after": stores.journal.last_seq()}).encode() + b"\n" + line
            self._octets = 0
        else:
            serial = self._serial
        try:
            self._append(line)
        except OSError as error:
            self.failed = "%s cannot be written: %s" % (self.path, error.strerror or error)
            log.critical("storage: %s; a restart of control would lose what happens from now on", self.failed)
            return
        self._serial, self._kept, self._outbox, self._last = serial, len(records), outbox, rest
        self._texts.update(texts)

    def _append(self, line):
        if self._octets + len(line) > MOST_OCTETS:
            raise OSError(27, "it would be longer than %d octets" % MOST_OCTETS)
        how = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if self._serial is None else 0)
        descriptor = os.open(self.path, how, 0o600)
        try:
            place = self._octets            # over the torn end that a killed process may have left
            os.ftruncate(descriptor, place)
            while line:
                sent = os.pwrite(descriptor, line, place)
                line, place = line[sent:], place + sent
            self._octets = place
        finally:
            os.close(descriptor)


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
