"""The control process put together: core, adapters, journal, media, API.

    start   configuration, database, replay of the journal into the switchboard, adapters
            from their dumps; connect media; audit; resume; only then sockets are read
    lost    media went away: the switchboard clears its calls ("media.lost"), adapters
            forget the data links; connect again, open the links, "media.back"
    look    each second: a disk that refused is tried again; a process that cannot write for another
            reason than the disk, or began on a full disk that now has room, asks to be started again
            (`again`); recordings that nobody closed are measured and closed in the index; calls whose
            recording failed are recorded anew once the disk has room
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
from firmware.control import api
from firmware.control.clock import Clock
from firmware.control.commands import Problem
from firmware.control.feed import Feed
from firmware.control.turns import Turns
from firmware.errors import LocalError
from firmware.links.adapter import Nobody
from firmware.links.media import MediaLink
from firmware.links.prompts import Prompts
from firmware.storage.checkpoint import pack
from firmware.storage.database import Damaged, damage, refused, set_asides
from firmware.storage.recordings import has_room, measure
from firmware.storage.stores import Stores

log = logging.getLogger(__name__)

MEDIA_WAIT_S = 3.0           # at a start: longer than media needs to come back; then its calls are given up; invented
CHECKPOINT_RECORDS = 10_000  # bounds a replay to about a fifth of a second; invented
CHECKPOINT_SHARE = 0.005     # of the time, at most: with 1,800 calls the copy takes 35 ms of the loop, the rest 0.15 s of a thread
RETRY_S = 0.1
LOOK_S = 1.0
HOPELESS_S = 10.0            # of commits that fail for no reason of the disk's; invented
DAMAGED_S = 600.0            # with a damaged file, while calls stand: a restart would cost them; invented
RECORD_AGAIN_LOOKS = 5       # between trials of a disk that refused a recording; invented
ROOM_OCTETS = 16 << 20       # that must be free before recordings begin again, with a minute of every call; invented
MINUTE_OCTETS = 60 * 16000   # of a stereo recording
LEFT_OPEN_LOOKS = 90         # above the core's guard of 60 s for a recording's end; invented


class House:
    """One control process.  make_adapters(house): [leg adapters].
    core(config, ids): the switchboard.  media_client: for tests."""

    def __init__(self, run_dir, data_dir, prompts_dir, core, make_adapters=None, media_client=None, check_flow=None):
        self.run_dir, self.data_dir = pathlib.Path(run_dir), str(data_dir)
        self.started_ms = time.time_ns() // 1_000_000
        self.config = ConfigStore(os.path.join(self.data_dir, "configuration.json"), check_flow=check_flow)
        config = self.config.running()
        self.stores = Stores(self.data_dir)
        self.database = self.stores.database
        self.clock = Clock()
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
        self.adapters = list(make_adapters(self)) if make_adapters else []
        self.turns.adapters = [self.media, *self.adapters]
        self.media_generation = None
        self.superseded, self.resumed = asyncio.Event(), asyncio.Event()
        self.again = asyncio.Event()            # this process should be started anew
        self._left_open = set()
        self.unrecorded = False                 # a recording failed, and none was begun since
        self._record_again = True               # one trial at a start: the failure may be older than this process
        self._since_checkpoint = 0
        self._next_checkpoint = 0.0
        self._packing = False                   # a checkpoint is being written out
        self._timer = None
        self._timer_at = None
        self._tasks = set()
        self._server = None

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
        count = 0
        try:
            for record in self.stores.journal.replay():
                self.switchboard.apply(record)
                self.stores.cdrs.fold(record)
                count += 1
        except Exception as error:      # what the disk gave back is no record of ours
            if refused(error):
                raise
            log.exception("control: the journal cannot be replayed")
            raise Damaged("the journal cannot be replayed: %s: %s" % (type(error).__name__, error)) from error
        self.stores.cdrs.forget_finished()
        for call in self.switchboard.snapshot(self.clock.now_ms())["calls"]:
            self.calls.add(call["call"])
            for leg in call["legs"]:
                self.legs[leg["leg"]] = call["call"]
        log.info("control: %d records replayed in %.0f ms, %d legs stand", count,
                 (time.perf_counter() - began) * 1000, len(self.legs))

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
        self.resumed.set()
        for adapter in self.adapters:
            adapter.start()
        if audit is None:
            self._spawn(self._reconnect())
        else:
            self.media.serve()
        self._spawn(self._look())
        try:
            (self.run_dir / "control.ready").touch()
            print("control ready", flush=True)
        except OSError as error:        # a full disk below the log
            log.error("control: ready, but it cannot be said: %s", error)

    def _resume(self, audit, now_ms):
        """The first turn: the switchboard and the adapters agree with media and each other."""
        known = self.media.known_boot_id
        lost = audit is None or (known is not None and known != self.media.boot_id)
        for adapter in self.adapters:
            adapter.resume(now_ms)
        if lost:
            self._lose(now_ms)
        if audit is not None:
            self._found(audit, now_ms)
        live = {}
        for adapter in self.adapters:
            live.update(adapter.live_legs())
        self.switchboard.resume(None if lost else audit, live, now_ms)
        self.turns.after_commit += [self._count_records, self._lost_recordings, *(adapter.committed for adapter in self.adapters)]
        self._since_checkpoint = 0
        self.switchboard.checkpoint(now_ms)

    def _found(self, audit, now_ms):
        """Media is there: links are opened (harmless when they are), the switchboard may act.

        Adapters make good what a kill kept from media, and add it to the audit."""
        standing = {row["id"] if isinstance(row, dict) else row for row in audit.get("recordings") or []}
        self._spawn(self._repair_index(self._over(standing), "control was away when it ended"))
        self.media.found(load_country(self.config.running()["site"]["country"])["tones"], now_ms)
        for adapter in self.adapters:
            adapter.media_found(audit, now_ms)
        self.turns.post({"kind": "media.back", "audit": audit})

    def _lose(self, now_ms):
        for adapter in self.adapters:
            adapter.media_lost(now_ms)
        self.switchboard.handle({"kind": "media.lost"}, now_ms)
        self._spawn(self._repair_index(self.stores.recordings.opened()))

    def _media_lost(self, reason):
        log.error("control: media is lost: %s", reason)
        self.turns.run("media lost", self._lose)
        self._spawn(self._reconnect())

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

    def _over(self, but):
        """Recordings that are open in the index though their call is over: [(id, path)]."""
        over = {recording for recording, call in self.stores.recordings.left_open()
                if call not in self.calls and recording not in but}
        return [row for row in self.stores.recordings.opened() if row[0] in over] if over else []

    async def _look(self):
        looks = 0
        while True:
            await asyncio.sleep(LOOK_S)
            looks += 1
            if self.turns.fault:
                self.turns.try_again()
            if self.turns.hopeless:
                error, since = self.turns.hopeless
                patience_s = DAMAGED_S if damage(error) and self.calls else HOPELESS_S
                if time.monotonic() - since > patience_s:
                    log.critical("control: nothing can be written (%s); starting again", error)
                    self.again.set()
            elif self.database.narrow and not self.turns.fault:
                log.warning("control: the data disk has room again and all is written; starting again to use it fully")
                self.again.set()
            if looks % RECORD_AGAIN_LOOKS == 0 and (self.unrecorded or self._record_again):
                await self._try_recording()
            if looks % LEFT_OPEN_LOOKS == 0:
                await self._close_left_open()

    async def _try_recording(self):
        """Recordings failed: begin new ones for who still talks, if the disk takes data now."""
        wanted = ROOM_OCTETS + MINUTE_OCTETS * len(self.calls)
        if await asyncio.to_thread(has_room, os.path.join(self.data_dir, "recordings"), wanted):
            if self.unrecorded:
                log.warning("control: the disk takes recordings again")
            self.unrecorded = self._record_again = False
            self.turns.handle({"kind": "recording.room"})

    async def _close_left_open(self):
        """What was over at the last look and is still open has lost its end."""
        try:
            over = self._over(())
        except sqlite3.Error as error:
            log.error("control: the recordings index cannot be read: %s", error)
            return
        await self._repair_index([row for row in over if row[0] in self._left_open], "its end was never told")
        self._left_open = {row[0] for row in over}

    async def _repair_index(self, opened, *why):
        measured = await asyncio.to_thread(lambda: [(recording, *measure(path), *why) for recording, path in opened])
        if measured:
            self.turns.run("repair of the recordings index", lambda now_ms: self.media.repair_index(measured))

    async def stop(self):
        """Let go of everything; calls stay as they are."""
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
        try:
            await asyncio.to_thread(self.database.close)
        except sqlite3.Error as error:
            log.error("control: the database could not be closed in order: %s", error)
        (self.run_dir / "control.ready").unlink(missing_ok=True)

    async def _serve_api(self):
        listener = api.listen(str(self.run_dir / "control.sock"))
        self._server = api.server(self)
        self._serving = asyncio.ensure_future(self._server.serve(sockets=[listener]))

    def _spawn(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- what the turn asks --

    def _route(self, action):
        do = action["do"]
        if do.startswith("media."):
            return self.media
        for adapter in self.adapters:
            if (do == "leg.create" and adapter.creates(action)) or adapter.owns(action["leg"]):
                return adapter
        return self.nobody

    def _record(self, record):
        """Each record as it is made: which calls stand, which leg belongs to which."""
        kind, leg, call = record["kind"], record["leg"], record["call"]
        if kind == "recording.failed":
            self.unrecorded = True
        if kind == "leg.offered":
            self.calls.add(call)
        elif kind == "call.ended":
            self.calls.discard(call)
        if leg is not None and call is not None:
            if kind == "leg.released":
                self.legs.pop(leg, None)
            else:
                self.legs[leg] = call

    def _count_records(self, records):
        self._since_checkpoint += len(records)
        if (self._since_checkpoint >= CHECKPOINT_RECORDS and time.monotonic() >= self._next_checkpoint
                and not self._packing):
            self._packing = True
            self.turns.run("checkpoint", self._checkpoint)

    def _lost_recordings(self, records):
        """Recordings that the switchboard gave up without a word of media."""
        lost = {record["data"]["recording"] for record in records
                if record["kind"] == "recording.closed" and record["data"]["reason"] in ("not_found", "unconfirmed")}
        if lost:
            self._spawn(self._repair_index([row for row in self.stores.recordings.opened() if row[0] in lost]))

    def _checkpoint(self, now_ms):
        """A turn's function: copy the state; a thread writes it out, and it is stored with the number of its last record."""
        if self.turns.fault:                    # what is not in the journal has no number
            self._packing = False
            return
        self._since_checkpoint = 0
        began = time.perf_counter()
        data = {"as_of": self.stores.journal.last_seq(), **self.switchboard.whole(now_ms)}
        took_s = 8 * (time.perf_counter() - began)      # with the thread's work; measured
        self._next_checkpoint = time.monotonic() + took_s / CHECKPOINT_SHARE
        self._spawn(self._store_checkpoint(now_ms, data))

    async def _store_checkpoint(self, now_ms, data):
        try:
            octets = await asyncio.to_thread(pack, data)
            with self.database.transaction():
                self.stores.journal.checkpoint(now_ms, octets)
        except sqlite3.Error as error:
            log.error("control: a checkpoint cannot be written (%s); the next start replays more records", error)
        finally:
            self._packing = False

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

    def health(self):
        """GET /v1/health: {"ok", ...}; "faults" has a sentence for each thing that is wrong."""
        faults = [self.turns.fault] if self.turns.fault else []
        for path in set_asides(self.database.path):
            faults.append("the database was damaged and lies in %s; a new one was begun. Take from it what you can, "
                          "then move it elsewhere" % path)
        if self.unrecorded:
            faults.append("a recording failed; calls go on without, and are recorded again once the data disk takes data. "
                          "Free space on it")
        if not self.media.serving:
            faults.append("the media process is not there")
        return {"ok": not faults, "faults": faults, "pid": os.getpid(), "started_ms": self.started_ms,
                "epoch": self.epoch, "revision": self.config.running()["revision"],
                "media": {"connected": self.media.serving, "boot_id": self.media.boot_id,
                          "refused": self.media.refused},
                "turns": {"count": self.turns.turns, "longest_ms": round(self.turns.longest_ms, 2),
                          "exceptions": self.turns.exceptions}}

    def call_is_open(self, call):
        """Whether a call stands in the switchboard."""
        return call in self.calls

    def agent_exists(self, agent):
        """Whether the configuration names an agent."""
        return any(row["name"] == agent for row in self.config.running()["agents"])

    async def command(self, event):
        """An event of the API; returns when it is on the disk.  Raises Problem 503 when it is not."""
        await self.resumed.wait()
        self.turns.handle(event)
        if not self.turns.fault:
            try:
                await asyncio.wrap_future(self.database.sync())
                return
            except OSError as error:
                raise self._unkept(error) from error
        raise self._unkept(self.turns.fault)

    @staticmethod
    def _unkept(reason):
        return Problem(503, "the disk refuses", "Done, but not kept: a restart of the switch may lose it (%s). "
                                                "Free space on the data disk." % reason)

    async def apply_configuration(self, candidate, revision):
        """Put a configuration in force.  Returns {"revision", "configuration"}."""
        await self.resumed.wait()
        try:
            config = await asyncio.to_thread(self.config.apply, candidate, revision)
        except OSError as error:
            raise Problem(503, "the disk refuses", "The configuration cannot be written (%s); the old one stays. "
                                                   "Free space on the data disk." % error) from error
        self.turns.run("configuration", self._configure, config)
        return {"revision": config["revision"], "configuration": config}

    def _configure(self, config, now_ms):
        self.media.prompts.languages = list(config["site"]["languages"])
        self.switchboard.configure(config, now_ms)
        for adapter in self.adapters:
            adapter.configure(config, now_ms)


def inherited_or_own(name, kind, address, port):
    """A socket handed on by the supervisor, else one of our own."""
    sock = sockets.inherited(name) or sockets.open_listener(name, kind, address, port)
    sock.setblocking(False)
    return sock
