"""The control process put together: core, adapters, journal, media, API.

    start   configuration, database, replay of the journal into the switchboard, adapters
            from their dumps; connect media; audit; resume; only then sockets are read
    lost    media went away: the switchboard clears its calls ("media.lost"), adapters
            forget the data links; connect again, open the links, "media.back"
    look    each second: lookout.py; `again` is set where this process should be started anew
    stop    close; no call is touched: the next control process takes them over

All runs in one asyncio loop; what waits for a disk runs in threads beside it.
"""

import asyncio
import contextlib
import logging
import os
import pathlib
import sqlite3
import time

from boardconfig.schema import load_country
from firmware import sockets
from firmware.config.store import ConfigStore
from firmware.control import api, feasible, roles
from firmware.control.checkpoints import Checkpoints
from firmware.control.clock import Clock
from firmware.control.commands import Problem
from firmware.control.feed import Feed
from firmware.control.keeping import Keeping
from firmware.control.lookout import Lookout
from firmware.control.mailer import Mailer
from firmware.control.timeslots import Timeslots
from firmware.control.turns import Turns
from firmware.control.zone import offset_of
from firmware.errors import ConfigError, LocalError
from firmware.links.adapter import Nobody
from firmware.links.media import MediaLink
from firmware.links.prompts import Prompts
from firmware.storage.database import Damaged, refused, set_asides
from firmware.storage.flow_versions import FlowVersions
from firmware.storage.documents import Documents
from firmware.storage.prompt_files import PromptFiles
from firmware.storage.retention import base_of
from firmware.storage.stores import Stores

log = logging.getLogger(__name__)

OWNERS = {"line.messages": "sip", "lookup.ask": "lookups", "customer.ask": "desk"}      # actions without a leg: the adapter's name
MEDIA_WAIT_S = 3.0           # at a start: longer than media needs to come back; then its calls are given up; invented
RETRY_S = 0.1
TRACE_MB = 512               # what media keeps of the signalling unless it is told otherwise (media/__main__.py)
CHANGED_MOST = 100           # paths of a change that the journal names; invented
UNUSABLE_S = 1.0            # invented: with 64 spans it costs milliseconds
AGAIN_S = 5                  # before a task that failed begins anew; invented


class House:
    """One control process.  make_adapters(house): [leg adapters].
    core(config, ids): the switchboard.  media_client: for tests."""

    def __init__(self, run_dir, data_dir, prompts_dir, core, make_adapters=None, media_client=None, check_flow=None):
        self.run_dir, self.data_dir = pathlib.Path(run_dir), str(data_dir)
        self.started_ms = time.time_ns() // 1_000_000
        self.config = ConfigStore(os.path.join(self.data_dir, "configuration.json"), check_flow=check_flow)
        config = self.config.running()
        self.stores = Stores(self.data_dir, self.run_dir)
        self.database = self.stores.database
        self.clock = Clock()
        self._zone(config)
        # Also above that of a database that was lost while media went on.
        self.epoch = self.stores.counters.next_number("epoch", least=self.started_ms // 1000)
        self.legs, self.calls = {}, set()       # leg -> its call; calls that stand
        try:
            self._keep_epoch()
            self._replay(core(config, self.stores.counters))
        except (sqlite3.Error, Damaged):
            with contextlib.suppress(sqlite3.Error):
                self.database.close()
            raise
        self.feed = Feed(self.stores.journal.last_seq())
        self.turns = Turns(self.switchboard, self.stores, self.clock, self.feed, self._route, self._record,
                           self._schedule)
        self.nobody = Nobody(self.turns)
        self.media = MediaLink(self.run_dir, self.data_dir, self.epoch, self.turns, self.stores,
                               Prompts(prompts_dir, config["site"]["languages"]), self.legs.get,
                               self._signalling, self._media_lost, self._board, media_client)
        self.media.configure(config)
        self.listening = feasible.listening(config)
        self.flow_versions = FlowVersions(os.path.join(self.data_dir, "flows"))
        self.faults = []        # of the start: sentences of what was left out
        self.adapters = list(make_adapters(self)) if make_adapters else []
        self.turns.adapters = [self.media, *self.adapters]
        self.media_generation = None
        self.superseded, self.resumed = asyncio.Event(), asyncio.Event()
        self.again = asyncio.Event()            # this process should be started anew
        self.lookout, self.checkpoints = Lookout(self), Checkpoints(self)
        self.mailer, self.keeping, self.timeslots = Mailer(self), Keeping(self), Timeslots(self)
        self.media.prompts.data_dir = self.data_dir
        self.documents = Documents(os.path.join(self.data_dir, "documents"))
        self.prompt_files = self.media.prompts.given = PromptFiles(os.path.join(self.data_dir, "prompts"))
        self._timer = None
        self._timer_at = None
        self._tasks = set()
        self._checking, self._applying = asyncio.Lock(), asyncio.Lock()
        self._server = None

    def _zone(self, config):
        """The site's time: of the days of reports."""
        self.utc_offset_ms = offset_of(config["site"]["timezone"]) or (lambda utc_ms: 0)
        self.stores.figures.zone(self.utc_offset_ms)

    def _keep_epoch(self):
        """On a full disk it is written later; until then the time of the day keeps it unique."""
        try:
            with self.database.transaction():
                self.stores.counters.save()
            self.stores.counters.saved()
        except sqlite3.Error as error:
            if not refused(error):
                raise
            log.critical("control: the data disk refuses (%s); starting all the same. Free space on it", error)

    def _replay(self, switchboard):
        began = time.perf_counter()
        self.switchboard = switchboard
        switchboard.unusable = self._unusable
        self._unusable_slots, self._unusable_until = set(), 0.0
        count = 0
        try:
            for record in self.stores.journal.replay():
                self.switchboard.apply(record)
                self.stores.cdrs.fold(record)
                self.stores.figures.replay(record)
                count += 1
        except Exception as error:      # what the disk gave back is no record of ours
            if refused(error):
                raise
            log.exception("control: the journal cannot be replayed")
            raise Damaged("the journal cannot be replayed: %s: %s" % (type(error).__name__, error)) from error
        self.stores.cdrs.forget_finished()
        self._sums()
        self._replay_unwritten()
        for call in self.switchboard.snapshot(self.clock.now_ms())["calls"]:
            self.calls.add(call["call"])
            for leg in call["legs"]:
                self.legs[leg["leg"]] = call["call"]
        log.info("control: %d records replayed in %.0f ms, %d legs stand", count,
                 (time.perf_counter() - began) * 1000, len(self.legs))

    def _replay_unwritten(self):
        """What an earlier process could not write; its CDRs wait for the commit."""
        try:
            for record in self.stores.unwritten.records:
                self.switchboard.apply(record)
                self.stores.cdrs.fold(record)
                self.stores.figures.fold(record)
        except Exception:
            self.stores.unwritten.discard()     # the next start comes without it
            raise

    def _sums(self):
        """The sums of reports stand in the database; where they never did, they are made from the journal."""
        figures = self.stores.figures
        figures.forget()
        if self.stores.journal.last_seq():
            try:
                with self.database.transaction():
                    if figures.is_empty():
                        figures.rebuild(self.stores.journal, base_of(self.database.write))
            except sqlite3.Error as error:
                if not refused(error):
                    raise
                log.error("control: the sums of reports cannot be made now (%s); the next start tries again", error)

    # -- start and stop --

    async def start(self):
        """Take over what stands, then serve."""
        self.run_dir.mkdir(parents=True, exist_ok=True)
        (self.run_dir / "control.ready").unlink(missing_ok=True)
        await self._serve_api()
        try:
            await self.media.connect(MEDIA_WAIT_S)
            audit = await self.media.audit()
        except LocalError as error:
            log.error("control: %s; starting without it", error)
            audit = None
        self.turns.run("resume", self._resume, audit)
        self.turns.run("configuration", self._replaced)
        self.resumed.set()
        for adapter in self.adapters:
            adapter.start()
        self.turns.later = asyncio.get_running_loop().call_later
        if audit is None:
            self.spawn(self._reconnect())
        else:
            self.media.serve()
        self.spawn(self._always(self.lookout.run))
        self.spawn(self.keep_flows(self.config.running()))
        self.spawn(self._always(self.mailer.run))
        self.spawn(self._always(self.keeping.run))
        self.spawn(self._always(self.timeslots.run))
        self.spawn(self._always(self.keeping.make_hours))
        try:
            (self.run_dir / "control.ready").touch()
            print("control ready", flush=True)
        except OSError as error:        # a full disk below the log
            log.error("control: ready, but it cannot be said: %s", error)

    def _resume(self, audit, now_ms):
        """The first turn: the switchboard and the adapters agree with media and each other."""
        known, guard = self.media.known_boot_id, self.turns.guard      # one adapter or call that cannot be healed costs no other
        self.turns.after_commit += [self.checkpoints.committed, self.lookout.committed, self.mailer.committed, self.timeslots.committed, *(adapter.committed for adapter in self.adapters)]
        lost = audit is None or (known is not None and known != self.media.boot_id)
        guard("ids of media", None, self._begin_above, audit or {})
        for adapter in self.adapters:
            guard("resume of %s" % adapter.name, None, adapter.resume, now_ms)
        if lost:
            self._lose(now_ms)
        if audit is not None:
            self._found(audit, now_ms)
        live = {}
        for adapter in self.adapters:
            live.update(guard("legs of %s" % adapter.name, None, adapter.live_legs) or {})
        self.switchboard.resume(None if lost else audit, live, now_ms, guard=guard)
        guard("first checkpoint", None, self.checkpoints.begin, now_ms)

    def _begin_above(self, audit):
        """No id that media holds comes again, whatever was not written."""
        if self.stores.unwritten.gap:
            self.lookout.forgotten = ["timeslot %s of span %s" % (row["timeslot"], row["span"])
                                      for row in audit.get("terminations") or []
                                      if isinstance(row, dict) and "timeslot" in row and row["id"] not in self.legs]
        for part in ("terminations", "bridges", "recordings"):
            for row in audit.get(part) or []:
                ids = [row["id"], *os.path.basename(row.get("path") or "").partition(".")[0].split("-")] if isinstance(row, dict) else [row]
                for found in ids:
                    if found[:1] in ("c", "l", "b", "r") and found[1:].isdecimal() and len(found) < 17:
                        self.stores.counters.reach(found[0], int(found[1:]) + self.stores.unwritten.gap)

    def _found(self, audit, now_ms):
        """Media is there: links are opened (harmless when they are), the switchboard may act.

        Adapters make good what a kill kept from media, and add it to the audit."""
        standing = {row["id"] if isinstance(row, dict) else row for row in audit.get("recordings") or []}
        guard = self.turns.guard
        guard("recordings that are over", None, lambda: self.lookout.repair(self.lookout.over(standing), "control was away when it ended"))
        guard("tones of the country", None, lambda: self.media.found(load_country(self.config.running()["site"]["country"])["tones"], now_ms,
                                                                     audit.get("terminations") or ()))
        if self.config.running()["trace"]["signalling_mb"] != TRACE_MB:
            self.media.command("trace", megabytes=self.config.running()["trace"]["signalling_mb"])
        for adapter in self.adapters:
            guard("media's return at %s" % adapter.name, None, adapter.media_found, audit, now_ms)
        self.turns.post({"kind": "media.back", "audit": audit})

    def _lose(self, now_ms):
        for adapter in self.adapters:
            self.turns.guard("media's loss at %s" % adapter.name, None, adapter.media_lost, now_ms)
        self.turns.guard("media's loss", None, self.switchboard.handle, {"kind": "media.lost"}, now_ms)
        self.turns.guard("recordings of the lost media", None, lambda: self.lookout.repair(self.stores.recordings.opened()))

    def _media_lost(self, reason):
        log.error("control: media is lost: %s", reason)
        self.turns.run("media lost", self._lose)
        self.spawn(self._reconnect())

    async def _reconnect(self):
        while True:
            try:
                await self.media.connect(RETRY_S)
                audit = await self.media.audit()
            except LocalError as error:
                if "this control process must end" in str(error):
                    log.error("control: %s", error)
                    self.superseded.set()
                    return
                await asyncio.sleep(RETRY_S)
                continue
            self.turns.run("media back", self._found, audit)
            self.media.serve()
            log.warning("control: media is back")
            return

    async def stop(self):
        """Let go of everything; calls stay as they are."""
        self.turns.later = None
        self.turns.finish()
        self.feed.close()
        for adapter in self.adapters:
            adapter.stop()
        for task in list(self._tasks):
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            self._server.should_exit = True
            self._server.force_exit = True
            await self._serving
        self.media.client.close()
        self.timeslots.close()
        try:
            await asyncio.to_thread(self.database.close)
        except sqlite3.Error as error:
            log.error("control: the database could not be closed in order: %s", error)
        (self.run_dir / "control.ready").unlink(missing_ok=True)

    async def _serve_api(self):
        listener = api.listen(str(self.run_dir / "control.sock"))
        self._server = api.server(self)
        self._serving = asyncio.ensure_future(self._server.serve(sockets=[listener]))

    def spawn(self, coroutine):
        """A task that stop() ends."""
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _always(self, run):
        """run() for ever: begun anew after an exception, which is logged and set aside."""
        while True:
            try:
                await run()
                return
            except Exception as error:
                log.exception("control: %s failed; it begins anew in %d s", run.__qualname__, AGAIN_S)
                self.stores.set_aside.put("event", "task %s" % run.__qualname__, error)
            await asyncio.sleep(AGAIN_S)

    def _ended(self, task):
        """A task that died of an exception is no secret."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            error, name = task.exception(), getattr(task.get_coro(), "__qualname__", "a task")
            log.error("control: %s ended with an exception", name, exc_info=error)
            self.stores.set_aside.put("event", "task %s" % name, error)

    # -- what the turn asks --

    def _route(self, action):
        do = action["do"]
        if do.startswith("media."):
            return self.media
        if do.startswith("ivr."):
            return next((adapter for adapter in self.adapters if adapter.name == "services"), self.nobody)
        for adapter in self.adapters:
            if do in OWNERS:
                if adapter.name == OWNERS[do]:
                    return adapter
                continue
            if (do == "leg.create" and adapter.creates(action)) or adapter.owns(action["leg"]):
                return adapter
        return self.nobody

    def _record(self, record):
        """Each record as it is made: which calls stand, which leg belongs to which."""
        kind, leg, call = record["kind"], record["leg"], record["call"]
        self.lookout.made(record)
        if kind in ("leg.offered", "callback.waits", "fax.dialled", "home.called", "test.begun"):
            self.calls.add(call)
        elif kind == "call.ended":
            self.calls.discard(call)
        if leg is not None and call is not None:
            if kind in ("leg.released", "leg.quality"):     # the latter comes when all is over
                self.legs.pop(leg, None)
            else:
                self.legs[leg] = call

    def legs_that_stand(self):
        """The core's legs, to look at."""
        return list(self.switchboard.core.state.legs.values())

    def calls_without_a_voice(self):
        """Ids of the calls in which nobody speaks."""
        return [call.id for call in self.switchboard.core.state.calls.values() if call.dead_air is not None]

    def _signalling(self, message, now_ms):
        for adapter in self.adapters:
            if adapter.owns_link(message["link"]):
                adapter.signalling(message, now_ms)
                return
        log.warning("control: layer 2 message of link %s, which nobody has", message["link"])

    def _board(self, event, now_ms):
        log.info("control: the board is %s (generation %s)", event.get("state"), event.get("generation"))
        for adapter in self.adapters:
            adapter.board(event, now_ms)

    def _schedule(self):
        """After each turn: one timer for the earliest deadline."""
        deadline = self.turns.deadline_ms()
        if deadline == self._timer_at and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = deadline
        if deadline is not None:
            delay_s = max(0.0, (deadline - self.clock.now_ms()) / 1000)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._due)

    def _due(self):
        self._timer = self._timer_at = None
        self.turns.expire()

    # -- what the API asks --

    def state(self):
        """GET /v1/state."""
        now_ms = self.clock.now_ms()
        site = self.config.running()["site"]
        system = {**self.health(), "site": site["name"], "timezone": site["timezone"]}
        state = {"seq": self.feed.last_seq, "now_ms": now_ms, "system": system, "spans": []}
        state.update(self.switchboard.snapshot(now_ms))
        for adapter in self.adapters:
            adapter.describe(state, self.legs)
        return state

    def out_of_service(self):
        """{(span, timeslot)} that take no call, though their span is up: locked by hand, blocked by the far end, being reset."""
        rows = {"spans": []}
        for adapter in self.adapters:
            if adapter.name in ("spans", "circuits", "ss7"):
                adapter.describe(rows, self.legs)
        return {(row["span"], slot["timeslot"]) for row in rows["spans"] for slot in row.get("timeslots") or () if slot["state"] not in ("idle", "busy")}

    def _unusable(self):
        """The same, at most UNUSABLE_S old: what reservations are counted by."""
        now = time.monotonic()
        if now >= self._unusable_until:
            self._unusable_slots, self._unusable_until = self.out_of_service(), now + UNUSABLE_S
        return self._unusable_slots

    def health(self):
        """GET /v1/health: {"ok", ...}; "faults" has a sentence for each thing that is wrong."""
        faults = [*([self.turns.fault] if self.turns.fault else ()), *(fault.rstrip(".") for fault in self.faults)]
        for path in set_asides(self.database.path):
            faults.append("the database was damaged and lies in %s; a new one was begun. Take from it what you can, "
                          "then move it elsewhere" % path)
        if self.turns.fault and self.stores.unwritten.failed:
            faults.append("%s: a restart of the control process would lose calls. Free space" % self.stores.unwritten.failed)
        elif self.stores.unwritten.unreserved:
            faults.append("%s: when the disk is full, a restart of the control process may lose calls. Free space"
                          % self.stores.unwritten.unreserved)
        if self.turns.lost_records:
            faults.append("%d records are lost, because too many waited for the disk; the list of calls has gaps"
                          % self.turns.lost_records)
        faults += self.lookout.faults() + self.mailer.faults() + self.stores.set_aside.faults() + ([self.prompt_files.fault] if self.prompt_files.fault else []) + ([self.timeslots.fault] if self.timeslots.fault else []) + [
            adapter.fault for adapter in self.adapters if adapter.name in ("desk", "watch", "siprec") and adapter.fault]
        if not self.media.serving:
            faults.append("the media process is not there")
        for path in sorted((pathlib.Path(self.data_dir) / "tls").glob("*.unusable")):
            faults.append("%s could not be used and was set aside; the pages show a certificate that was made here. Put a "
                          "key and its certificate there as key.pem and certificate.pem, and remove this file" % path)
        with contextlib.suppress(OSError):      # webui, or the supervisor, writes it when there are none
            why = (self.run_dir / "web.fault").read_text(encoding="utf-8", errors="replace")
            faults.append("there are no web pages: %s" % why.strip().rstrip("."))
        return {"ok": not faults, "faults": faults, "pid": os.getpid(), "started_ms": self.started_ms,
                "epoch": self.epoch, "revision": self.config.running()["revision"],
                "media": {"connected": self.media.serving, "boot_id": self.media.boot_id,
                          "refused": self.media.refused},
                "turns": {"count": self.turns.turns, "commits": self.turns.commits, "longest_ms": round(self.turns.longest_ms, 2),
                          "exceptions": self.turns.exceptions, "lost_records": self.turns.lost_records}}

    def call_is_open(self, call):
        """Whether a call stands in the switchboard."""
        return call in self.calls

    def agent_exists(self, agent):
        """Whether the configuration names an agent."""
        return any(row["name"] == agent for row in self.config.running()["agents"])

    async def command(self, event):
        """An event of the API; returns what it found out (a dict or None) when it is on the disk.

        Raises Problem: 409 where the switchboard refuses it, 503 when it is not on the disk."""
        await self.resumed.wait()
        before = self.turns.exceptions
        self.turns.handle(event)
        if self.turns.exceptions != before:
            raise Problem(500, "fault in the control process", "This could not be done for a fault of ours, which is kept aside and shown in the health.")
        refusal, answer = getattr(self.switchboard, "refusal", None), getattr(self.switchboard, "answer", None)
        if refusal is not None:
            raise Problem(409, "not possible now", refusal[:1].upper() + refusal[1:] + ".")
        if not self.turns.fault:
            try:
                await asyncio.wrap_future(self.database.sync())
                return answer
            except OSError as error:
                raise self._unkept(error) from error
        raise self._unkept(self.turns.fault)

    @staticmethod
    def _unkept(reason):
        return Problem(503, "the disk refuses", "Done, but not kept: a restart of the switch may lose it (%s). "
                                                "Free space on the data disk." % reason)

    async def apply_configuration(self, candidate, revision, back_to=None):
        """Put a configuration in force.  back_to: the revision that it is again.  Returns {"revision", "configuration", "restart", "notice", "changes"}.

        Raises ConfigError where this machine cannot carry it out."""
        await self.resumed.wait()
        async with self._applying:      # what is written is what is in force: nobody comes between the two
            report = await self.propose_configuration(candidate)
            self.config.check_revision(revision)
            if not report["ok"]:
                raise ConfigError(report["errors"][0]["path"], report["errors"][0]["advice"])
            traced = self.config.running()["trace"]["signalling_mb"]
            try:
                config = await asyncio.to_thread(self.config.put, report["configuration"], revision)
            except OSError as error:
                raise Problem(503, "the disk refuses", "The configuration cannot be written (%s); the old one stays. "
                                                       "Free space on the data disk." % error) from error
            paths = [change["path"] for change in report["changes"]]
            told = {"revision": config["revision"], "paths": paths[:CHANGED_MOST], "count": len(paths), "by": roles.by(None), **({"back_to": back_to} if back_to else {})}

            def work(now_ms):
                self._configure(config, now_ms, traced)
                self.turns.post({"kind": "command.desk", "record": "configuration.changed", "data": told})
            self.turns.run("configuration", work)
            await self.keep_flows(config)
        return {"revision": config["revision"], "configuration": config, "restart": report["restart"],
                "notice": feasible.notice(report["restart"]), **({"changes": report["changes"]} if back_to else {})}

    async def rollback_configuration(self, revision, running=None):
        """Put an earlier revision in force, as a new one.  running: the one that must be in force; None: any.  Returns what apply_configuration() does."""
        if running is None:
            running = self.config.running()["revision"]
        self.config.check_revision(running)
        if revision == running:
            raise LocalError(f"Revision {revision} is in force already.")
        return await self.apply_configuration(await asyncio.to_thread(self.config.earlier, revision), running, revision)

    def _replaced(self, now_ms):
        """A turn's function: the configuration is not the one that the journal knows, as after a restore by hand."""
        core = getattr(self.switchboard, "core", None)
        known, revision = core.state.changes[-1:] if core is not None else [], self.config.running()["revision"]
        if known and known[0]["revision"] != revision:
            self.turns.post({"kind": "command.desk", "record": "configuration.changed", "data": {"revision": revision, "paths": [], "count": None, "by": "file"}})

    async def keep_flows(self, config):
        """Write the versions of flows down that are new."""
        try:
            await asyncio.to_thread(self.flow_versions.keep, config["ivr"], self.clock.now_ms())
        except (OSError, LocalError) as error:
            log.error("control: a version of a flow cannot be kept (%s); it is in force, but no rollback will find it", error)

    async def propose_configuration(self, candidate):
        """Check a candidate, also against this machine.  Returns what ConfigStore.propose() does."""
        async with self._checking:      # one at a time, beside the loop: a large one takes part of a second
            report = await asyncio.to_thread(self.config.propose, candidate)
        if report["ok"]:
            errors = await asyncio.to_thread(feasible.obstacles, self.config.running(), report["configuration"],
                                             self.listening, self.media.prompts)
            report["ok"], report["errors"] = not errors, [{"path": e.path, "advice": e.advice} for e in errors]
        return report

    def _configure(self, config, now_ms, before=None):
        if before is not None and before != config["trace"]["signalling_mb"]:
            self.media.command("trace", megabytes=config["trace"]["signalling_mb"])
        self.media.prompts.languages = list(config["site"]["languages"])
        self._zone(config)
        self.switchboard.configure(config, now_ms)
        self.media.configure(config, now_ms)
        for adapter in self.adapters:
            adapter.configure(config, now_ms)


def inherited_or_own(name, kind, address, port):
    """A socket handed on by the supervisor, else one of our own."""
    sock = sockets.inherited(name) or sockets.open_listener(name, kind, address, port)
    sock.setblocking(False)
    return sock
