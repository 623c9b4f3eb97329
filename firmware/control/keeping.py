"""What the control process does about old data and persons to be erased, beside its calls.

    await keeping.make_hours() once after an update
    await keeping.run()        for ever: prunes what is older than the configuration keeps, goes on with erasures
    keeping.status()           for the API

The database's writing connection is the control loop's, so writing is in small steps with rests: at most SHARE of the loop's time.  All
reading is in a thread of its own.  Every step may be killed: storage/retention.py, storage/erasure.py; an erasure is in the state until it
is done, and is begun anew, which finds less to do."""

import asyncio
import contextlib
import datetime
import logging
import os
import time

from firmware.control import apart, core_kept, trace_legs
from firmware.control.commands import Problem
from firmware.errors import LocalError
from firmware.storage import desk_customers as customers
from firmware.storage import erasure, retention
from firmware.storage.recordings import Recordings

log = logging.getLogger(__name__)

MACHINES_S = 60.0       # longer than any machine outlives its call; invented
LOOK_S = 3600.0         # between looks for old rows; invented
SOON_S = 60.0           # after a start
BUSY_S = 5.0            # between looks whether a person's call is over; invented
STEP_MS = 4.0           # of the loop at a time
SHARE = 0.05            # of the loop's time
FOLDED = 100_000        # rows between two bases
LEAST, MOST = 20, 2000  # rows in a step


class Keeping:
    """house: the House."""

    def __init__(self, house):
        self.house = house
        self.pruned_rows = self.pruned_cdrs = 0
        self.busy = None            # sentence: what is being done
        self.asked = asyncio.Event()
        self._reader, self._rows = None, 100
        self._look_at = time.monotonic() + SOON_S
        self._upto = None           # rows up to this number are gone
        self._again = {}            # erasure -> when it is looked at again, time.monotonic()
        self.one = asyncio.Lock()

    async def run(self):
        """For ever."""
        await self.house.resumed.wait()
        state = getattr(getattr(self.house.switchboard, "core", None), "state", None)
        if state is None:
            return
        while True:
            async with self.one:
                await self._erasures(state)
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + LOOK_S
                await self.prune()
            wait_s = min([LOOK_S, self._look_at - time.monotonic(), *(at - time.monotonic() for at in self._again.values())])
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.asked.wait(), max(0.1, wait_s))
            self.asked.clear()

    def look_now(self):
        """Look for old rows now."""
        self._look_at = 0.0
        self.asked.set()

    async def _read(self, function, *args):
        """In the thread of reading."""
        if self._reader is None:
            self._reader = self.house.database.reader()
        return await asyncio.to_thread(function, self._reader, *args)

    async def _write(self, function, *args):
        """function(connection, *args) in a transaction in the loop, then a rest.  Waits while the disk refuses.  Returns what it returns."""
        while self.house.turns.fault:
            await asyncio.sleep(1.0)
        began = time.perf_counter()
        with self.house.database.transaction() as connection:
            result = function(connection, *args)
        took_s = time.perf_counter() - began
        if took_s * 1000 > STEP_MS:
            self._rows = max(LEAST, self._rows // 2)
        elif took_s * 1000 < STEP_MS / 2:
            self._rows = min(MOST, self._rows + self._rows // 4 + 1)
        await asyncio.sleep(min(1.0, took_s / SHARE))
        return result

    async def make_hours(self):
        """Hours of reports for a database of before there were any: day by day, beside the calls; a start goes on where a kill ended it."""
        figures = self.house.stores.figures

        def look():
            with contextlib.closing(self.house.database.reader()) as reader:
                return figures.without_hours(reader)
        found = await asyncio.to_thread(look)
        if found is None:
            return
        at_s, last_s, names = found
        while at_s <= last_s and names:
            for start in range(0, len(names), LEAST):
                await self._write(lambda connection, some, at_s: figures.fill_hours(some, at_s), names[start:start + LEAST], at_s)
            at_s = figures.day_after(at_s)
            await self._write(lambda connection, at_s: figures.filled(at_s), at_s)
        await self._write(lambda connection: figures.filled(None))

    # -- pruning --

    def cutoff_ms(self, months):
        """The site's midnight before which rows go; None: all are kept."""
        if not months:
            return None
        offset = self.house.utc_offset_ms
        now_ms = self.house.clock.now_ms()
        today = datetime.datetime.fromtimestamp((now_ms + offset(now_ms)) / 1000, datetime.timezone.utc).date()
        month = today.year * 12 + today.month - 1 - months
        day = datetime.datetime(month // 12, month % 12 + 1, min(today.day, 28), tzinfo=datetime.timezone.utc)
        local_ms = int(day.timestamp() * 1000)
        return local_ms - offset(local_ms - offset(local_ms))

    async def prune(self):
        """Remove what is older than the configuration keeps.  Returns {"rows", "cdrs", "documents"}."""
        async with self.one:
            config = self.house.config.running()["retention"]
            rows = cdrs = documents = 0
            try:
                before_ms = self.cutoff_ms(config["journal_months"])
                if before_ms is not None:
                    self.busy = "rows of the journal from before %s are being removed" % _day(before_ms)
                    rows = await self._prune_journal(before_ms)
                calls_ms = self.cutoff_ms(config["calls_months"])
                if calls_ms is not None:
                    self.busy = "calls from before %s are being removed from the list" % _day(calls_ms)
                    documents = await self._prune_documents(calls_ms)       # first: an erasure finds them by their calls
                    while count := await self._write(retention.delete_cdrs, calls_ms, self._rows):
                        cdrs += count
            finally:
                self.busy = None
                self.pruned_rows, self.pruned_cdrs = self.pruned_rows + rows, self.pruned_cdrs + cdrs
            if rows or cdrs or documents:
                await self.house.command({"kind": "command.kept", "record": "journal.pruned",
                                          "data": {"before_ms": before_ms, "rows": rows, "cdrs": cdrs, "documents": documents}})
            return {"rows": rows, "cdrs": cdrs, "documents": documents}

    async def _prune_journal(self, before_ms):
        base, count = await self._read(retention.base_of), 0
        offset, more = self.house.utc_offset_ms, True
        while True:
            while deleted := await self._write(retention.delete, base["seq"], self._rows):      # of a process before us, too
                count += deleted
            self._upto = base["seq"]
            if not more:
                return count
            new, more = await self._read(retention.fold, base, before_ms, FOLDED, offset)
            if new["seq"] == base["seq"]:
                return count
            await self._write(retention.keep, new)
            base = new

    async def _prune_documents(self, before_ms):
        """Received faxes, beside the loop.  Returns how many."""
        count = 0
        try:
            while some := await asyncio.to_thread(self.house.documents.forget_before, before_ms, MOST):
                count += some
        except OSError as error:
            log.error("control: old received faxes are not removed yet: %s", error)
        return count

    def gone_upto(self):
        """Number of the last row that was pruned."""
        if self._upto is None:
            self._upto = retention.base_of(self.house.database.write)["seq"]
        return self._upto

    # -- erasing a person --

    async def _erasures(self, state):
        """Those that may begin: one that waits for the end of the person's call does when the number is in none."""
        at = time.monotonic()
        names = [name for name in sorted(state.erasures) if self._again.get(name, at) <= at]
        busy = core_kept.in_calls(self.house.switchboard.core, {form for name in names if state.erasures[name].get("waits") for form in state.erasures[name]["forms"]})
        for name in names:
            row = state.erasures[name]
            if not busy.keys().isdisjoint(row["forms"] if row.get("waits") else ()) or not await self._free(name, row):
                self._again[name] = time.monotonic() + BUSY_S
            else:
                self._again[name] = time.monotonic() + SOON_S       # unless it succeeds
                await self._erase(name, row)
        self._again = {name: when for name, when in self._again.items() if name in state.erasures}

    async def _free(self, name, row):
        """Let one that waits begin; whether it may."""
        if row.get("waits"):
            try:
                await self.house.command({"kind": "command.erase", "forms": row["forms"], "by": row["by"], "reason": row["reason"], "erasure": name})
            except LocalError:
                return False        # the number is in a new call
        return True

    async def erase(self, number, confirm, by, reason, later=False):
        """Begin.  later: after the person's call, where there is one.  Returns {"erasure", "forms", "waits_for"?}; raises Problem, LocalError."""
        forms = self.forms(number)
        if number != confirm:
            raise Problem(422, "not confirmed", "Give the number once more as confirm: what is erased does not come back.")
        if reason is not None and (not isinstance(reason, str) or len(reason) > 200):
            raise Problem(422, "bad reason", "reason is a text of at most 200 characters; do not name the person in it.")
        answer = await self.house.command({"kind": "command.erase", "forms": forms, "by": by, "reason": reason, "later": later})
        self.asked.set()
        return {**answer, "forms": forms}

    def forms(self, number):
        """The forms in which a number may have been kept."""
        digits = str(number or "").lstrip("+")
        if not (digits.isascii() and digits.isdecimal() and 5 <= len(digits) <= 20):
            raise Problem(422, "bad number", "Give the whole number of the person: 5 to 20 digits, with + or not.")
        config = self.house.config.running()
        country = config["desk"]["country"]
        plain = customers.plain(number, country) or digits
        forms = {number, digits, plain, plain.lstrip("0")}
        if not plain.startswith("00"):
            abroad = country + plain.lstrip("0")
            forms |= {"0" + plain.lstrip("0"), abroad, "00" + abroad, "+" + abroad}
        else:
            forms.add("+" + plain[2:])
        own = {row["number"] for row in config["numbers"]} | {row["name"] for row in config["lines"]}
        if forms & own:
            raise Problem(422, "our own number", "%s is a number or line of this switch, no person's." % sorted(forms & own)[0])
        digits = [form for form in forms if form.isdecimal()]
        forms.update(prefix + form for prefix in _prefixes(config) for form in digits)
        return sorted(form for form in forms if len(form) >= 5)

    async def _erase(self, name, row):
        """All that is on the disk.  Ends with the record person.erased."""
        house, token = self.house, "erased-" + name
        forms, numbers = row["forms"], erasure.pattern(row["forms"])
        self.busy = "erasure %s: a person's data are being erased" % name
        try:
            upto = house.stores.journal.last_seq()
            await house.checkpoints.make()          # a start replays nothing of what is changed now
            if retention.limit_of(house.database.write) < upto:
                raise LocalError("no checkpoint could be written")
            plain, plain_cdr = await self._read(erasure.plain_upto)
            upto_key = await self._read(erasure.newest_key)
            own = [call for call in await self._read(erasure.calls_of, forms) if call not in house.calls]
            found = {"records": 0, "calls": 0, "recordings": 0, "texts": 0}
            own = set(own)
            keys = [(key, call) for key, call in await self._read(erasure.numbers_of, forms, upto_key) if call not in house.calls]
            named = await self._named(forms, plain_cdr) | {call for _, call in keys if call is not None}
            found["trace"] = sum((await trace_legs.forget(house, self._read, sorted({form.lstrip("+") for form in forms}), sorted(own | named))).values())     # while the calls are known
            faxes = await self._read(erasure.faxes_of, sorted(own | named), forms)
            found["documents"] = await asyncio.to_thread(house.documents.forget, faxes)
            for call in sorted(own):
                found["records"] += await self._erase_keys(await self._read(erasure.values_of, call), name)
                found["records"] += await self._change(await self._read(erasure.rows_of, call, min(upto, plain)), numbers, token, own)
                found["recordings"] += await self._erase_recordings(call)
            at = self.gone_upto()
            while at < min(upto, plain):
                rows, at = await self._read(erasure.rows_with, forms, at, min(upto, plain))
                found["records"] += await self._change([one for one in rows if one[2] not in house.calls], numbers, token, own)
            found["texts"] = await self._erase_desk(forms, own, lambda value: erasure.cleaned(value, numbers, token))
            found["records"] += await self._erase_keys(await self._read(erasure.notes_of, [key for key, call in keys if call is None]), name)
            # Last, since they say whose calls these were, should a kill begin all this anew.
            found["records"] += await self._erase_keys([(key, token) for key, _ in keys], name)
            await self._erase_cdrs(forms, numbers, token, own, plain_cdr)
            found["calls"] = len(named)
            await self._machines_forget(forms)
            found["files"] = await self._erase_files(forms)
            house.feed.forget()
            await self._write(lambda connection: None)
            await house.command({"kind": "command.kept", "record": "person.erased", "data": {"erasure": name, **found}})
            await house.checkpoints.make()
            await asyncio.wrap_future(house.database.shorten())
            log.warning("control: erasure %s is done: %s", name, ", ".join("%d %s" % (count, what) for what, count in found.items()))
        except (LocalError, OSError) as error:
            log.error("control: erasure %s is not done yet (%s); it is tried again", name, error)
        finally:
            self.busy = None

    async def _machines_forget(self, forms):
        """Wait until no dump of a call names the person: that of a telephone's dialogue stands for 32 s after the call (RFC 3261, timers H and B)."""
        until = time.monotonic() + MACHINES_S
        while True:
            ending, lasting = await self._read(erasure.machines_with, forms)
            if not ending:
                break
            if time.monotonic() > until:
                raise LocalError("a call's signalling is not over yet")
            await asyncio.sleep(1.0)
        if lasting:
            log.warning("control: the number to erase is also in the state of %s; it stays there while they are registered or configured so", ", ".join(lasting))

    async def _named(self, forms, upto):
        """Ids of the finished calls whose CDRs name the person themselves."""
        calls, at = set(), 0
        while at is not None:
            rows, at = await self._read(erasure.cdrs_with, forms, at, upto)
            calls.update(call for _, call, _ in rows if call not in self.house.calls)
        return calls

    async def _erase_files(self, forms):
        """Logs and what was set aside, by a process at the lowest priority (storage/erased_files.py).  Returns how many places."""
        try:
            found = await apart.ask("firmware.storage.erased_files", {"forms": list(forms)}, self.house.data_dir, str(self.house.run_dir))
        except apart.Unanswered as error:
            raise LocalError("logs still name the person: %s" % error) from None
        return found["places"]

    async def _erase_cdrs(self, forms, numbers, token, own, upto):
        at = 0
        while at is not None:
            rows, at = await self._read(erasure.cdrs_with, forms, at, upto)
            for number, call, body in rows:
                if call not in self.house.calls:
                    await self._write(erasure.write_cdr, number, erasure.new_text(None, body, numbers, token, call in own))

    async def _erase_keys(self, rows, name):
        for start in range(0, len(rows), LEAST):
            await self._write(erasure.erase, rows[start:start + LEAST], name)
        return len(rows)

    async def _change(self, rows, numbers, token, own):
        changed = [(seq, new) for seq, kind, call, text in rows if not isinstance(text, bytes)
                   if (new := erasure.new_text(kind, text, numbers, token, call in own)) != text]
        for start in range(0, len(changed), LEAST):
            await self._write(erasure.write_rows, changed[start:start + LEAST])
        return len(changed)

    async def _erase_recordings(self, call):
        root, house = self.house.data_dir, self.house
        rows = await self._read(lambda connection: Recordings(connection, root).of_call(call))

        def remove():
            for row in rows:
                for path in (row["path"], *_beside(root, row["path"])):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)
        await asyncio.to_thread(remove)
        if rows:
            house.turns.run("recordings of an erased person", lambda now_ms: house.media.forget_recordings([row["id"] for row in rows]))
        return len(rows)

    async def _erase_desk(self, forms, own, clean):
        """The person's customers, the texts of the calls, the number in notes and tickets of others."""
        desk = next((adapter for adapter in self.house.adapters if adapter.name == "desk"), None)
        if desk is None:
            return 0
        await desk.settled()
        country = self.house.config.running()["desk"]["country"]

        def work(db):
            texts = customers.erase_calls(db, sorted(own))
            for key in {key for form in forms for key in customers.by_number(db, form, country)}:
                texts += 1 + customers.erase(db, key)
            return texts
        async with desk.writing:
            texts = await desk.run(work)
        for table in ("text", "customer"):
            at = ""
            while at is not None:
                async with desk.writing:        # in pieces, so that others have their turn
                    count, at = await desk.run(customers.forget, table, at, clean)
                texts += count
        return texts

    def status(self):
        """{"busy", "pruned", "gone_upto", "erasures": not done yet}."""
        state = self.house.switchboard.core.state
        return {"busy": self.busy, "pruned": {"rows": self.pruned_rows, "calls": self.pruned_cdrs}, "gone_upto": self.gone_upto(),
                "erasures": [{"erasure": name, "asked_ms": row["asked_ms"], "by": row["by"], "reason": row["reason"], "waits": bool(row.get("waits"))}
                             for name, row in sorted(state.erasures.items())]}


def _prefixes(config):
    """Digits that are dialled before numbers to the outside, and those that trunks put there, as the configuration says."""
    found = {row["callback"]["prefix"] for row in config.get("queues") or ()} | {(config.get("fax") or {}).get("prefix") or ""}
    for row in config.get("routes") or ():
        found |= {text for choice in row["choices"] for text in (row["number"][:choice["strip"]], choice["prefix"])}
    return {text for text in found if text.isdecimal()}


def _beside(root, path):
    """Files made of a recording for browsers (webui/playable.py)."""
    folder, stem = os.path.join(root, "converted"), os.path.splitext(os.path.basename(path))[0] + "-"
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder) if name.startswith(stem)]
    except OSError:
        return []


def _day(at_ms):
    return datetime.datetime.fromtimestamp(at_ms / 1000, datetime.timezone.utc).strftime("%Y-%m-%d")
