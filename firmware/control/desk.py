"""The desk in the control process: its database in a thread of its own, who calls, the projections of the journal.

    await desk.run(function, *args)      function(db, *args) in the desk's thread; Problem 503 where the file cannot be used
    await desk.read(function, *args)     the same for what only reads: beside a large import, which takes seconds
    await desk.settled()                 what was committed before is in the projections
    await desk.pop(call)                 what is shown of a caller: customer, last calls, tickets, callbacks

A question "customer.ask" is answered from our own list, and by the lookup that the configuration names, in its time limit; both are
asked beside the control loop, and a control process that comes back asks again what was not answered (core_desk.py)."""

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import sqlite3
import threading
import time
import urllib.parse

from firmware.control.commands import Problem
from firmware.errors import LocalError
from firmware.links.adapter import Adapter
from firmware.links.lookups import Databases, ask_all
from firmware.storage import desk as files
from firmware.storage import desk_customers as customers
from firmware.storage import desk_tickets as tickets
from firmware.storage.cdr import CDRs, of_callers
from firmware.storage.journal import COLUMNS, as_records

log = logging.getLogger(__name__)

LOOKUP_THREADS = 8
LAST_CALLS = 10             # of a caller that are shown; invented
LAST_TICKETS = 10
SETTLE_S = 0.5              # what is shown at ring waits no longer for the newest notes; invented
ASK_LIMIT_S = 6.0           # above the longest time limit of a lookup
PIECE = 2000                # records at a time when the projections catch up


class Desk(Adapter):
    """house: the House."""

    name = "desk"

    def __init__(self, house):
        self.house = house
        self.path = os.path.join(house.data_dir, "desk.db")
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "desk")
        self._lookups = concurrent.futures.ThreadPoolExecutor(LOOKUP_THREADS, "customer")
        self._readers = concurrent.futures.ThreadPoolExecutor(1, "desk-read")
        self._db, self._reader = None, None
        self._read_db, self._cdrs = None, None      # of the reading thread
        self._folds, self._counting = 0, threading.Lock()       # how many are on their way
        self._behind = True         # records may be missing in the projections
        self._asked, self._own, self._looking = [], [], False       # questions of this turn; those that wait for our own list; whether it is being read
        self._databases = Databases(os.path.join(house.data_dir, "databases"))
        self.fault = None           # sentence
        self.writing = asyncio.Lock()       # of changes that look before they write
        self.answered = self.failed = 0

    # -- the thread --

    def _open(self):
        if self._db is None:
            if self.house.database.narrow:      # its WAL would take, and give back, the little room that the journal lives on
                raise sqlite3.OperationalError("the data disk is full")
            self._db, damaged = files.open_file(self.path)
            self.fault = damaged or None
        return self._db

    def _in_thread(self, function, *args):
        try:
            result = function(self._open(), *args)
        except (sqlite3.Error, OSError) as error:
            self.fault = "the desk's database desk.db cannot be used (%s); customers, tickets and articles are away. Look at the data disk" % error
            log.error("desk: %s", error)
            raise
        if self.fault and self.fault.startswith("the desk's database"):
            self.fault = None
        return result

    async def run(self, function, *args):
        """See the module's docstring.  LocalErrors of the function pass through."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._in_thread, function, *args)
        except (sqlite3.Error, OSError) as error:
            raise Problem(503, "the desk's database does not answer", "It says: %s. Look at the data disk." % error) from error
        except RuntimeError as error:       # the process ends
            raise Problem(503, "control ends", "The control process ends; try again in a second.") from error

    def _in_reader(self, function, *args):
        if self._read_db is None:
            self._read_db = sqlite3.connect("file:%s?mode=ro" % urllib.parse.quote(self.path), uri=True, isolation_level=None, check_same_thread=False)
            self._cdrs = self.house.database.reader()
        return function(self._read_db, *args)

    async def read(self, function, *args):
        """See the module's docstring."""
        if self._db is None:
            await self.run(lambda db: None)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, self._in_reader, function, *args)
        except (sqlite3.Error, OSError) as error:
            raise Problem(503, "the desk's database does not answer", "It says: %s. Look at the data disk." % error) from error
        except RuntimeError as error:       # the process ends
            raise Problem(503, "control ends", "The control process ends; try again in a second.") from error

    async def settled(self, limit_s=None):
        """What was committed until now is in the projections.  limit_s: wait no longer, for whom older ones will do."""
        if self._behind or self._folds:
            waits = self.run(lambda db: self._catch_up(db) if self._behind else None)
            if limit_s is None:
                await waits
            else:
                with contextlib.suppress(asyncio.TimeoutError, LocalError):
                    await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(waits)), limit_s)

    def _catch_up(self, db):
        """Take what the journal has above the last record taken."""
        if self._reader is None:
            self._reader = self.house.database.reader()
        marks = ",".join("?" * len(files.PROJECTED))
        while True:
            last = files.applied(db)
            newest = self._reader.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0]
            rows = self._reader.execute("SELECT %s FROM journal WHERE seq > ? AND kind IN (%s) ORDER BY seq LIMIT ?" % (COLUMNS, marks),
                                        (last, *files.PROJECTED, PIECE)).fetchall()
            files.fold(db, list(as_records(self._reader, rows)), newest if len(rows) < PIECE else None)
            if len(rows) < PIECE:
                break
        self._behind = False

    def _take(self, db, records):
        if self._behind:
            self._catch_up(db)
        files.fold(db, records)

    # -- the turn --

    def start(self):
        """Bring the projections up to the journal."""
        self.house.spawn(self._begin())

    async def _begin(self):
        try:
            await self.settled()
        except LocalError:
            pass                # said in health

    def committed(self, records):
        """The journal has new rows: those of ours go into the projections, in order."""
        ours = [record for record in records if record["kind"] in files.PROJECTED]
        if ours:
            with self._counting:
                self._folds += 1
            future = self._thread.submit(self._in_thread, self._take, ours)
            future.add_done_callback(self._taken)

    def _taken(self, future):
        with self._counting:
            self._folds -= 1
        if not future.cancelled() and future.exception() is not None:
            self._behind = True     # the next one reads the journal

    def carry_out(self, action, now_ms):
        """customer.ask; it leaves after the commit."""
        self._asked.append(action)

    def flush(self):
        """Ask.  What only our own list can answer goes there together with what came while it was read."""
        asked, self._asked = self._asked, []
        for action in asked:
            if action["lookup"]:
                self.house.spawn(self._ask(action))
            else:
                self._own.append(action)
        if self._own and not self._looking:
            self._looking = True
            self.house.spawn(self._ask_own_list())

    async def _ask_own_list(self):
        try:
            while self._own:
                actions, self._own = self._own, []
                found = await self._in_own_list([action["caller"] for action in actions])
                with self.house.turns.together():
                    for action, known in zip(actions, found):
                        self._tell(action, known)
        finally:
            self._looking = False

    async def _in_own_list(self, callers):
        """For each caller: the customers of that number, or the exception that kept us from knowing."""
        try:
            country = self.country()
            return await asyncio.wait_for(self.read(lambda db: [customers.by_number(db, caller, country) for caller in callers]), ASK_LIMIT_S)
        except Exception as error:      # whatever it is: the core waits for customer.found, and the agent for the call
            return [error] * len(callers)

    def _tell(self, action, known):
        event = {"kind": "customer.found", "call": action["call"], "customer": None, "source": "none"}
        if isinstance(known, Exception):
            self.failed += 1
            event["error"] = ("%s: %s" % (type(known).__name__, known))[:200]
            log.warning("desk: who calls in call %s: %s", action["call"], event["error"])
        else:
            self.answered += 1
            if known:
                event.update(customer=known[0], others=len(known) - 1, source="own")
        self.house.turns.handle(event)

    async def _ask(self, action):
        caller, event = action["caller"], {"kind": "customer.found", "call": action["call"], "customer": None, "source": "none"}
        theirs = asyncio.ensure_future(self._look_up(action))       # beside our own list
        try:
            country = self.country()
            known = await asyncio.wait_for(self.read(lambda db: customers.by_number(db, caller, country)), ASK_LIMIT_S)
            if known:
                event.update(customer=known[0], others=len(known) - 1, source="own")
            found = await theirs
            if found:
                event["key"] = await self.run(lambda db: files.put_text(db, "external", self.house.clock.now_ms(), dict(found),
                                                                        event["customer"], action["call"]))
                event["source"] = "own" if known else "lookup"
            self.answered += 1
        except (LocalError, OSError, ValueError, sqlite3.Error, asyncio.TimeoutError) as error:
            self.failed += 1
            event["error"] = ("%s: %s" % (type(error).__name__, error))[:200]
            log.warning("desk: who calls in call %s: %s", action["call"], event["error"])
        except Exception as error:      # whatever it is: the core waits for customer.found, and the agent for the call
            self.failed += 1
            event["error"] = ("%s: %s" % (type(error).__name__, error))[:200]
            log.exception("desk: who calls in call %s", action["call"])
        finally:
            theirs.cancel()
            theirs.add_done_callback(lambda task: task.cancelled() or task.exception())         # nobody else asks for it
        self.house.turns.handle(event)

    async def _look_up(self, action):
        row = next((one for one in self.house.config.running()["lookups"] if one["name"] == action["lookup"]), None)
        if row is None:
            return []
        limit_s = row["timeout_ms"] / 1000
        row = self._databases.ready(row, self.house.config.running())
        future = self._lookups.submit(ask_all, row, action["caller"], action["called"] or "", time.monotonic() + limit_s)
        return await asyncio.wait_for(asyncio.wrap_future(future), limit_s)

    def stop(self):
        """Whoever is still asked answers to nobody."""
        self._lookups.shutdown(wait=False, cancel_futures=True)
        self._databases.close()
        for thread, function in ((self._readers, self._close_readers), (self._thread, self._close)):
            thread.submit(function)
            thread.shutdown(wait=True)

    def _close_readers(self):
        for connection in (self._read_db, self._cdrs):
            if connection is not None:
                connection.close()

    def _close(self):
        for connection in (self._db, self._reader):
            if connection is not None:
                connection.close()
        self._db = self._reader = None

    def describe(self, state, legs):
        """How many were asked."""
        state["system"]["desk"] = {"answered": self.answered, "failed": self.failed}

    # -- what is shown --

    def country(self):
        """The country's code in callers' numbers."""
        return self.house.config.running()["desk"]["country"]

    def extra(self):
        """Names of further fields of customers."""
        return tuple(self.house.config.running()["desk"]["customer_fields"])

    async def history(self, numbers, customer=None, call=None):
        """{"calls": last CDRs of these numbers with notes and dispositions, "tickets", "callbacks"}.  call: the present one, left out."""
        country = self.country()
        forms = sorted({form for number in numbers for form in (number, customers.plain(number, country), "0" + number if number[:1] == "1" else number)
                        if form})

        def read(db):
            rows = of_callers(self._cdrs, forms, LAST_CALLS + 1) if forms else []
            calls = [dict(zip(("call", "started_ms", "queue", "agent", "result", "called"), row)) for row in rows if row[0] != call][:LAST_CALLS]
            for row in calls:
                row["notes"], row["dispositions"] = tickets.notes(db, row["call"]), tickets.dispositions(db, row["call"])
            found = tickets.page(db, limit=LAST_TICKETS, customer=customer) if customer else []
            seen = {row["ticket"] for row in found}
            for name in tickets.of_calls(db, [call] * bool(call) + [row["call"] for row in calls]):
                if name not in seen and len(found) < LAST_TICKETS:
                    seen.add(name)
                    found += tickets.page(db, tickets.number_of(name) + 1, 1)
            return {"calls": calls, "tickets": found}
        await self.settled(SETTLE_S)
        made = await self.read(read)
        made["callbacks"] = [row for row in self.house.switchboard.snapshot(self.house.clock.now_ms()).get("callbacks") or () if row["number"] in forms] \
            if self._has_callbacks() else []
        return made

    def _has_callbacks(self):
        core = getattr(self.house.switchboard, "core", None)
        return core is not None and bool(core.state.callbacks)

    async def with_pops(self, records):
        """Records for the outside: agent.popped of a call that is up brings "pop" along, which the journal does not hold."""
        found = []
        for record in records:
            if record["kind"] == "agent.popped" and self.house.call_is_open(record["call"]):
                try:
                    record = dict(record, pop=await self.pop(record["call"]))
                except LocalError as error:
                    record = dict(record, pop={"call": record["call"], "error": str(error)})
            found.append(record)
        return found

    async def pop(self, call):
        """What an agent is shown of a call that is up: {"call", "caller", "customer", "external", "source", "calls", "tickets", "callbacks"}."""
        core = getattr(self.house.switchboard, "core", None)
        known = core.state.calls.get(call) if core is not None else None
        if known is None:
            return await self._pop_of_ended(call)
        shown = known.caller_presentation == "allowed" and known.caller or None
        who = known.customer or {}
        queue, called = known.queue, known.called
        return await self._shown(call, shown, called, queue, who, known.customer == {}, dict(known.variables or {}))

    async def _pop_of_ended(self, call):
        """The same of a call that is over, for after-call work; who it was is looked up in our own list anew."""
        cdr = await self.read(lambda db: CDRs(self._cdrs).get(call))
        if cdr is None:
            raise Problem(404, "not found", "There is no call %s." % call[:20])
        shown = cdr["caller"] if cdr["caller"] and cdr["caller_presentation"] == "allowed" else None
        found = await self.read(customers.by_number, shown, self.country()) if shown else []
        return await self._shown(call, shown, cdr["called"], cdr["queue"], {"customer": found[0], "source": "own"} if found else {"source": "none"}, False, {})

    async def _shown(self, call, shown, called, queue, who, asked, data):
        customer = await self.read(customers.get, who["customer"]) if who.get("customer") else None
        external = await self.read(files.text, who["key"]) if who.get("key") else None
        made = await self.history((customer or {}).get("numbers") or ([shown] if shown else []), who.get("customer"), call)
        own = await self.read(lambda db: {"notes": tickets.notes(db, call), "dispositions": tickets.dispositions(db, call)})
        return {"call": call, "caller": shown, "called": called, "queue": queue, "asked": asked, "source": who.get("source"),
                "customer": customer, "external": external, "data": data, **own, **made}
