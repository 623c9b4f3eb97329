"""Writes what one turn has to keep: whole, or, when something in it cannot be written, the rest of it.

Text from the far end is made writable before the switchboard sees it (control/turns.py), users' text is
refused at the border.  What still cannot be written is a fault of ours.  It must cost one record,
never the switch: a record that stays in the way would keep every later one from the disk.  What is left out is kept aside
(storage/set_aside.py), and health names it.
"""

import logging

from firmware.jsontext import clean
from firmware.storage.database import refused
from firmware.storage.personal import forget

log = logging.getLogger(__name__)


def write(stores, records, dirty, taken):
    """All of a turn (inside the transaction).  dirty: adapters with something to save; taken: sources."""
    stores.journal.append(records)
    stores.cdrs.save()
    stores.machines.write_aside()
    if records:
        stores.figures.save()
    for adapter in dirty:
        adapter.save(stores)
    _numbers(stores, taken)


def _numbers(stores, taken):
    for source in taken:
        stores.inbox.take(*source)
    stores.unwritten.mark(stores)
    stores.counters.save()


def salvage(stores, records, dirty, taken):
    """What can be written of a turn that cannot be written whole (inside the transaction).

    Returns the records that are in the journal.  Raises when the disk refuses, or all fails."""
    kept, aside = [], stores.set_aside.put
    for record in records:
        error = _attempt(stores, record, stores.journal.append, [record])
        if error is None:
            kept.append(record)
            continue
        cleaned = clean(record)
        cleaned["data"] = clean(cleaned.get("data") or {})
        if _attempt(stores, record, stores.journal.append, [cleaned]) is None:
            kept.append(cleaned)
        else:
            log.critical("journal: a record cannot be written and is LOST; a restart will not know it: %r", record)
            aside("record", record, error)
    for cdr in stores.cdrs.finished:
        error = _attempt(stores, cdr, stores.cdrs.write, cdr)
        if error is not None and _attempt(stores, cdr, stores.cdrs.write, clean(cdr)) is not None:
            log.critical("journal: a CDR cannot be written and is LOST: %r", cdr)
            aside("cdr", cdr, error)
    _attempt(stores, "dumps of an earlier process", stores.machines.write_aside)
    error = _attempt(stores, "sums of reports", stores.figures.save)
    if error is not None:
        log.critical("journal: sums of reports cannot be written; a check of the reports will say where they differ")
        aside("state", "sums of reports", error)
    for adapter in dirty:
        error = _attempt(stores, adapter.name, adapter.save, stores)
        if error is not None:
            stores.machines.forget_written()
            log.critical("journal: the state of %s cannot be written; after a restart its newest changes are missing",
                         adapter.name)
            aside("state", adapter.name, error)
    _numbers(stores, taken)
    return kept


def _attempt(stores, what, function, *args):
    """None when it is written, else the error; then nothing of it is left."""
    execute = stores.database.write.execute
    execute("SAVEPOINT attempt")
    try:
        function(*args)
    except Exception as error:
        if refused(error):
            raise
        log.error("journal: %r cannot be written", what, exc_info=True)
        execute("ROLLBACK TO attempt")
        execute("RELEASE attempt")
        forget(stores.database.write)
        return error
    execute("RELEASE attempt")
    return None
