"""The keeper of the box: joins what is polled to alarms, performance, clock and lamps, and keeps them over restarts.

Adapter of the control process, named "chassis"; its half that has to do with lines is line_keeper.py.  Two threads feed it through the
control loop: the framers' (chassis/framers.py) and one of its own for the chips on I2C.  What it decides goes back as orders; what must
survive is written in a turn's transaction: alarms when they change, performance bins once a minute.  Which alarms stand is folded from
the journal (core_state_trail.py); the table of alarms, written in the same transaction as the records, is what pages of the history read.

Environment: STROWGER_WATCHDOG (a watchdog device to feed), STROWGER_POWEROFF (a command for a box that is too hot); without them
there is an alarm and a line in the log only."""

import asyncio
import logging
import os
import shlex
import subprocess
import threading
import time

from boardconfig.schema import load_board
from drivers.watchdog import Watchdog
from firmware.chassis import clock_selection, liveness, thermal
from firmware.chassis.alarms import Alarms, of_journal
from firmware.chassis.audio_alarms import AudioAlarms
from firmware.chassis.clock_selection import ClockSelection
from firmware.chassis.devices import Devices, open_bus
from firmware.chassis.line_keeper import LineKeeper
from firmware.chassis.performance import KEEP_S
from firmware.errors import DriverError
from firmware.links.adapter import Adapter

log = logging.getLogger(__name__)

TICK_S, POLL_S, SAVE_S = 0.2, 1.0, 60.0
TRUNK_KINDS = {"down": "sip_trunk_down", "part": "sip_trunk_part"}
TRUNK_TICKS = 5             # ticks between looks at the trunks over IP
LINKSETS = ("linkset_lost", "linkset_degraded")
BUTTON_S = 0.1
SETTLE_MS = 10_000          # after a start: the DPLL goes on as it is until the sources have been looked at; invented
CHANGED_MS = 1000           # at least, between two records of one alarm's changes; invented


def journaled(do, alarm):
    """The switchboard's event that has an alarm's beginning or end written into the journal."""
    data = {"alarm": alarm["id"], "fault": alarm["kind"]}
    if do == "raise":
        data.update(severity=alarm["severity"], text=alarm["text"], members=list(alarm["members"]), detail=dict(alarm.get("detail") or {}))
        data.update({name: alarm[name] for name in ("raised_ms", "repeats", "acked") if alarm.get(name) is not None})
    return {"kind": "command.desk", "record": "alarm.raised" if do == "raise" else "alarm.cleared", "data": data}


def difference(known, alarm):
    """The event of what has changed of an alarm since the journal was told, or None.  known: (members, detail, repeats) as told."""
    members, detail, repeats = known
    joined, left = [name for name in alarm["members"] if name not in members], [name for name in members if name not in alarm["members"]]
    news = {name: sentence for name, sentence in alarm["detail"].items() if detail.get(name) != sentence}
    if not (joined or left or news or repeats != alarm["repeats"]):
        return None
    return {"kind": "command.desk", "record": "alarm.changed", "data": {
        "alarm": alarm["id"], "joined": joined, "left": left, "detail": news, "repeats": alarm["repeats"], "acked": alarm["acked"] is not None}}


def told_of(alarm):
    """What the journal knows of an alarm: (members, detail, repeats)."""
    return list(alarm["members"]), dict(alarm["detail"]), alarm["repeats"]


class Keeper(LineKeeper, Adapter):
    """board: description; open_devices() -> Devices or None: for tests."""

    name = "chassis"

    def __init__(self, house, board=None, open_devices=None):
        self._house, self.turns, self._clock = house, house.turns, house.turns.clock
        self._stores = house.stores
        self._board = board or load_board()
        self._chassis = self._board.get("chassis", {})
        self._open_devices = open_devices or (lambda: self._open(house.run_dir))
        self._told, self._known, self._changed, self._changed_ms = [], {}, {}, 0      # for the journal, with what is unsaved; {alarm: told_of()}
        self.alarms = Alarms(self._standing())
        self.alarms.number_above(self._stores.alarms.last_id())
        now_ms = self._clock.now_ms()
        self._media = getattr(house, "media", None)
        self._derated = any(alarm["kind"] == "derated" for alarm in self.alarms.active())
        self._audio = AudioAlarms(self.alarms, house.legs_that_stand(), now_ms, house.calls_without_a_voice())
        self._begin_lines(now_ms)
        self.inputs = {row["source"]: row["input"] for row in self._chassis.get("clock", {}).get("inputs", [])}
        self._sources = {row["source"]: row for row in self._chassis.get("clock", {}).get("inputs", [])}
        self.clock_selection = ClockSelection([], now_ms)
        self._clock_known, self._settled_ms = (), now_ms + SETTLE_MS
        self.box = None                   # last poll of the devices
        self.absent = "nothing has been polled yet"
        self._unsaved, self._saving = {}, ({}, [])
        self.button_wanted, self.presses, self._held = False, 0, False      # of the button on the front
        self._ended, self._thread, self._devices, self._task = threading.Event(), None, None, None
        self._beats = liveness.Heartbeats(("control", "media"), now_ms)
        self._ticks, self._pulse = 0, {"board": None, "ticks": None}
        self._powered_off = False

    def _standing(self):
        """The alarms that stand by the journal, and those of a database of before it said so, which it is told."""
        core = getattr(getattr(self._house, "switchboard", None), "core", None)
        rows, alarms = core.state.alarms if core is not None else {}, []
        for row in rows.values():
            alarm = of_journal(row)
            if alarm is None:
                self._told.append(journaled("clear", row))
            else:
                alarms.append(alarm)
                self._known[alarm["id"]] = told_of(alarm)
        old = self._stores.machines.load("chassis.alarms")
        self._old = old is not None
        for alarm in (old or {}).get("alarms", ()):
            if alarm["id"] not in rows:
                alarms.append(alarm)
                self._known[alarm["id"]] = told_of(alarm)
                self._told.append(journaled("raise", alarm))
        return {"alarms": alarms}

    def _open(self, run_dir):
        bus = open_bus(run_dir, self._chassis.get("i2c_bus", 0))
        return Devices(bus, self._chassis, self._derated) if bus is not None else None

    # -- life --

    def start(self):
        """Begin to watch the box."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run())
        self._thread = threading.Thread(target=self._poll, name="chassis", daemon=True)
        self._thread.start()

    def stop(self):
        """End; the fans stay as they are and the chip's own watchdog takes them over."""
        self._ended.set()
        if self._task is not None:
            self._task.cancel()
        if self._thread is not None:
            self._thread.join(3)
        self._flush_bins()
        if self._bins or self._unsaved or self._told:
            self.turns.run("chassis", self._tell)

    def committed(self, records):
        """Records of the core: sound that is missing is an alarm."""
        self._audio.committed(records, self._clock.now_ms())

    def configure(self, config, now_ms):
        """Spans that are gone lose their alarms at once."""
        wanted = {row["span"] for row in config["spans"] if row["enabled"]}
        for span in (set(self._spans) | set(self._seconds)) - wanted:
            self.alarms.forget("span %d" % span, now_ms)
            self._bins += [(span, *row) for row in self._spans.pop(span).flush()] if span in self._spans else []
            self._seconds.pop(span, None)
            self._thresholds.forget(span)
        self._in_service = wanted

    def signalling(self, source, kinds, now_ms):
        """What a linkset lacks (links/ss7_linksets.py): {kind: sentence}; None: there is no such linkset any more."""
        if kinds is None:
            self.alarms.forget(source, now_ms)
        else:
            self.alarms.report(source, kinds, LINKSETS, now_ms)

    def channels(self, span, sentence, now_ms):
        """PRI channels whose RESTART the far end ignores (links/span_manage.py): a sentence, or None."""
        self.alarms.report("span %d" % span, {} if sentence is None else {"restart_ignored": sentence}, ("restart_ignored",), now_ms)

    def linksets(self, known, now_ms):
        """At a start: alarms of linksets that are not among the known sources end."""
        for source, kind in self.alarms.sources():
            if kind in LINKSETS and source not in known:
                self.alarms.forget(source, now_ms)

    # -- the thread of the chips --

    def _poll(self):
        devices, watchdog = None, self._open_watchdog()
        while not self._ended.is_set():
            polled = None
            try:
                devices = self._devices = devices or self._open_devices()
                polled = devices.poll(self._clock.now_ms()) if devices else {"absent": "this machine has no I2C bus of a box"}
            except DriverError as error:
                polled = {"absent": str(error), "fault": str(error)}
            except Exception:
                log.exception("chassis: the poll failed")
                polled = {"absent": "the poll failed; the log of control says why", "fault": "the poll of the chips failed"}
            if polled and "I2C bus" in polled.get("faults", {}):
                devices.close()            # and opened anew
                devices = None
            if not self._ended.is_set():
                self._loop.call_soon_threadsafe(self.polled, polled)
            if watchdog is not None:
                self._feed(watchdog)
            self._rest(devices)
        if watchdog is not None:
            try:
                watchdog.disarm()
            except DriverError as error:
                log.error("chassis: %s", error)

    def _rest(self, devices):
        """Until the next poll; the button is looked at meanwhile where somebody waits for it."""
        for _ in range(round(POLL_S / BUTTON_S)):
            if self._ended.wait(BUTTON_S):
                return
            if self.button_wanted and devices is not None:
                held = devices.pressed()
                self.presses += held and not self._held
                self._held = held

    @staticmethod
    def _open_watchdog():
        path = os.environ.get("STROWGER_WATCHDOG")
        if not path:
            return None
        try:
            watchdog = Watchdog(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
            log.info("chassis: watchdog %s resets the box after %d s", path, watchdog.configure(liveness.TIMEOUT_S))
            return watchdog
        except (OSError, DriverError) as error:
            log.error("chassis: the watchdog %s cannot be used: %s", path, error)
            return None

    def _feed(self, watchdog):
        silent = self._beats.silent(self._clock.now_ms())
        try:
            if silent:
                log.critical("chassis: the watchdog is not fed: %s stands", " and ".join(silent))
            else:
                watchdog.feed()
        except DriverError as error:
            log.error("chassis: %s", error)

    # -- in the loop --

    async def _run(self):
        while True:
            try:
                self.tick()
            except Exception:
                log.exception("chassis: a tick failed")
            await asyncio.sleep(TICK_S)

    def tick(self):
        """Let time pass: alarms, clock, what is to be written."""
        now_ms = self._clock.now_ms()
        self._ticks += 1
        self._beats.beat("control", self._ticks, now_ms)
        if self._sources and self._clock_known:
            self.clock_selection.expire(now_ms)
        if self._ticks % TRUNK_TICKS == 0:
            self._look_at_trunks(now_ms)
            self._look_at_data_links(now_ms)
        self.alarms.expire(now_ms)
        for event in self.alarms.take():
            alarm = event["alarm"]
            self._unsaved[alarm["id"]] = alarm
            if event["do"] != "change":
                log.warning("alarm %d %s: %s %s: %s", alarm["id"], "raised" if event["do"] == "raise" else "cleared",
                            alarm["severity"], ", ".join(alarm["members"][:4]) + (" ..." if len(alarm["members"]) > 4 else ""),
                            alarm["text"])
                self._told.append(journaled(event["do"], alarm))
                self._changed.pop(alarm["id"], None)
                self._known.pop(alarm["id"], None)
                if event["do"] == "raise":
                    self._known[alarm["id"]] = told_of(alarm)
            else:
                self._changed[alarm["id"]] = alarm
        if self._changed and now_ms - self._changed_ms >= CHANGED_MS:
            self._changed_ms, changed, self._changed = now_ms, self._changed, {}
            for alarm in changed.values():
                event = difference(self._known.get(alarm["id"], ([], {}, 0)), alarm)
                if event is not None:
                    self._known[alarm["id"]] = told_of(alarm)
                    self._told.append(event)
        if time.monotonic() - self._flushed_s >= SAVE_S:
            self._flush_bins()
        if (self._unsaved or self._bins or self._told) and not self.turns.fault:
            self.turns.run("chassis", self._tell)

    def _look_at_trunks(self, now_ms):
        """A trunk over IP that carries no calls, or only over some of its addresses, is an alarm."""
        for adapter in self._house.adapters or ():
            faults, names = adapter.trunk_faults(), adapter.trunk_names()
            for name in names:
                kinds = {TRUNK_KINDS[faults[name][0]]: faults[name][1]} if name in faults else {}
                self.alarms.report("SIP trunk " + name, kinds, tuple(TRUNK_KINDS.values()), now_ms)
            if names or adapter.name == "sip":
                for source in {source for source, kind in self.alarms.sources() if kind in TRUNK_KINDS.values()} - {"SIP trunk " + n for n in names}:
                    self.alarms.forget(source, now_ms)

    def _tell(self, now_ms):
        """A turn that writes, and tells the journal."""
        told, self._told = self._told, []
        for event in told:
            self.turns.post(event)

    def polled(self, polled):
        """One poll of the chips."""
        now_ms = self._clock.now_ms()
        if "absent" in polled:
            self.box, self.absent = None, polled["absent"]
            self._devices_alarms({"I2C bus": polled["fault"]} if "fault" in polled else {}, now_ms)
            return
        self.box, self.absent = polled, None
        self._devices_alarms(polled["faults"], now_ms)
        answer = polled["thermal"]
        for place in self._chassis.get("thermal", {}):
            source = "temperature " + place
            if place not in polled["celsius"]:
                continue                   # not known: what stood stands
            self.alarms.report(source, answer["alarms"].get(source, {}), thermal.KINDS, now_ms)
        if polled["fans"] is not None:
            self.alarms.report("fans", answer["alarms"].get("fans", {}), thermal.FAN_KINDS, now_ms)
        power = liveness.power_alarms(polled["supplies"])
        for row in polled["supplies"]:
            source = liveness.NUMBERED % row["number"]
            if row["ok"] is None:
                continue
            self.alarms.report(source, power.get(source, {}), liveness.PSU_KINDS, now_ms)
        if "I2C bus" not in polled["faults"]:          # else nothing is known of it: what stood stands
            self.alarms.report("identity", {"identity": polled["identity_fault"]} if polled["identity_fault"] else {}, ("identity",), now_ms)
        if answer["derate"] != self._derated:
            self._derated = answer["derate"]
            log.warning("chassis: media takes %d %% of its calls", self._percent())
            if self._media is not None and self._media.serving:
                self.turns.run("derate", self._derate)
        self.alarms.report("box", {"derated": "%d %% of its room for calls" % self._percent()} if self._derated else {}, ("derated",), now_ms)
        mode = self._follow(polled["dpll"], now_ms)
        if self._devices is not None:
            selected = self.clock_selection.selected
            if selected is not None or now_ms > self._settled_ms:
                self._devices.orders["input"] = self.inputs.get(selected)
            self._devices.orders["lamps"] = liveness.lamps(
                self.alarms.worst(), {row["number"]: bool(row["ok"]) for row in polled["supplies"]},
                bool(polled["fans"]) and not any(row["failed"] for row in polled["fans"]), mode, True)
        if answer["shutdown"] and not self._powered_off:
            self._power_off()

    def _percent(self):
        return thermal.DERATE_PERCENT if self._derated else 100

    def _derate(self, now_ms):
        """A turn's function: how much media may take."""
        self._media.command("derate", percent=self._percent())

    def media_found(self, audit, now_ms):
        """Another life of media takes all, another control may have said something else."""
        self._derate(now_ms)

    def _devices_alarms(self, faults, now_ms):
        known = {source for (source, kind) in self.alarms.sources() if kind == "device"}
        for device in known | set(faults):
            self.alarms.report(device, {"device": faults[device]} if device in faults else {}, ("device",), now_ms)

    def _follow(self, dpll, now_ms):
        """Clock sources: spans that are configured, as the framers and the DPLL see them.  Returns the mode."""
        wanted = tuple(source for source in self._sources if source == "external" or source in {"span %d" % n for n in set(self._spans) - self._packets})
        if wanted != self._clock_known:
            self._clock_known = wanted
            self.clock_selection = ClockSelection([self._sources[source] for source in wanted], now_ms)
        for source in wanted:
            row = dpll["inputs"][self.inputs[source]] if dpll else {"signal": source != "external", "in_frequency": True}
            bad = sorted(self._raw(source) & set(clock_selection.BAD_FOR_CLOCK))
            reason = ", ".join(bad) or ("no signal at the DPLL" if not row["signal"] else "" if row["in_frequency"] else "out of frequency")
            self.clock_selection.report(source, not reason, now_ms, reason)
        mode = self.clock_selection.mode(dpll)
        if dpll and not dpll["locked"]:
            self.doctor.reference(None, mode, now_ms)
        else:
            self.doctor.reference(self.clock_selection.selected, mode, now_ms)
        self.alarms.report("clock", self.clock_selection.alarms(mode).get("clock", {}) if dpll else {}, clock_selection.ALARMS, now_ms)
        return mode

    def _power_off(self):
        self._powered_off = True
        command = os.environ.get("STROWGER_POWEROFF")
        log.critical("chassis: too hot: the box is switched off%s", "" if command else " (no STROWGER_POWEROFF: it is not)")
        if command:
            subprocess.Popen(shlex.split(command), stdin=subprocess.DEVNULL)

    # -- what the turn asks --

    def dirty(self):
        """Whether something is to be written."""
        return bool(self._unsaved or self._bins or self._old and not self._told)

    def save(self, stores):
        """Alarms that changed, bins that grew."""
        self._saving = (dict(self._unsaved), list(self._bins))
        for alarm in self._unsaved.values():
            stores.alarms.save({name: value for name, value in alarm.items() if name != "all_members"})
        if self._unsaved:
            stores.alarms.prune()
        if self._old and not self._told:
            stores.machines.save("chassis.alarms", None)        # of a version that kept them there; the journal is told in this transaction
        if self._bins:
            stores.performance.save(self._bins)
            now_s = self._clock.now_ms() // 1000
            for length, keep_s in KEEP_S.items():
                stores.performance.prune(length, now_s - keep_s)

    def saved(self):
        """They are committed."""
        alarms, bins = self._saving
        self._old = self._old and bool(self._told)
        for number, alarm in alarms.items():
            if self._unsaved.get(number) is alarm:
                del self._unsaved[number]
        del self._bins[:len(bins)]

    # -- what people see --

    def list_alarms(self):
        """{"worst", "alarms": [...]} now."""
        return {"worst": self.alarms.worst(), "alarms": [{name: value for name, value in alarm.items() if name != "all_members"}
                                                          for alarm in self.alarms.active()]}

    def list_box(self):
        """The box: temperatures, fans, supplies, clock, identity."""
        clock = {"selected": self.clock_selection.selected, "why": self.clock_selection.why, "sources": self.clock_selection.describe()}
        if self.box is None:
            return {"present": False, "why": self.absent, "clock": clock}
        clock["mode"] = self.clock_selection.mode(self.box["dpll"])
        return {"present": True, "celsius": self.box["celsius"], "fans": self.box["fans"], "drive_percent": self.box["thermal"]["drive"],
                "derated": self.box["thermal"]["derate"], "supplies": self.box["supplies"], "identity": self.box["identity"],
                "faults": self.box["faults"], "clock": clock}
