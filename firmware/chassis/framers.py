"""The framers of the board: configured when they need it, watched five times a second.

A thread of its own owns the request ring (a register takes 1 to 10 ms) and tells the
control loop only what changed.  A framer that already holds what the configuration wants is
not touched by its driver: the calls of a span outlive a restart of control.

An alarm is passed on when two polls in a row agree (POLL_S): enough for the state of a
span.  The soak of G.7710 (2.5 s to raise, 10 s to clear) belongs to the alarm list
(chassis/keeper.py), which is told every poll, and the counters of every second that a framer
says is over.
"""

import asyncio
import logging
import threading

from drivers.framer.base import counters_of_all, look_for_chips, watch_all
from drivers.framer.falc import FALC
from drivers.tdm.ring import RequestRing, open_window
from firmware.chassis.line_orders import LineOrders
from firmware.errors import DriverError, StrowgerError
from firmware.links.adapter import Adapter

log = logging.getLogger(__name__)

POLL_S = 0.2
SETTINGS = ("type", "crc4", "framing", "line_code", "build_out_db", "impedance_ohm", "sensitivity", "loop_codes")      # of a span's row
LEVELS = ("level_db", "limit_db", "transmit")          # what a line interface sees, beside alarms
CHIPS_POLLS = 5         # polls between looks whether each framer is the one expected
AWAY_S = 1.0            # between attempts to find a board that is not there


NOTHING = {"second": False, "slips": 0, "slips_left_out": 0, "defects": set()}


class Framers(LineOrders, Adapter):
    """Adapter of the board's framers.

    tell(span, alarms, now_ms): the function of a turn (SpanLinks.alarms).  open_ring() -> ring.
    watch(polled): told each poll in the control loop's thread, see _told; None: nobody wants it.
    elsewhere(): spans that the board does not carry."""

    name = "framers"

    def __init__(self, house, tell, open_ring=None, driver=FALC, watch=None, elsewhere=dict):
        self._elsewhere = elsewhere
        self.turns, self._tell, self._driver, self._watcher = house.turns, tell, driver, watch
        self._open_ring = open_ring or self._map
        self._rows = self._wanted(house.config.running())
        self._changed = threading.Event()
        self._anew = False          # the settings changed
        self._begin_orders(house.stores.machines)
        self._ended = threading.Event()
        self._thread = None
        self._known = {}            # span -> alarms told
        self._before = {}           # span -> alarms of the poll before
        self._gone = {}             # span -> what is wrong with its framer
        self._set_up = {}           # span -> (settings that its framer holds, framer)
        self._written = set()       # spans whose framer was set up anew since the watcher was told
        self._window = None         # of the board, for the transmit heartbeat of media
        self.fault = None

    def _wanted(self, config):
        elsewhere = set(self._elsewhere())
        return {row["span"]: {"cas": row["signalling"] in ("r2", "cas"), **{name: row[name] for name in SETTINGS if name in row}}
                for row in config["spans"] if row["enabled"] and row["span"] not in elsewhere}

    def _map(self):
        self._window = open_window()
        ring = RequestRing(self._window)
        ring.take()
        return ring

    def start(self):
        """Begin to watch."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="framers", daemon=True)
        self._thread.start()

    def stop(self):
        """End the thread; the framers stay as they are."""
        self._ended.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join(2)

    def configure(self, config, now_ms):
        """Spans changed."""
        self._rows = self._wanted(config)
        self._anew = True
        self._changed.set()

    def describe(self, state, legs):
        """A board that does not answer is a fault of the system."""
        if self.fault:
            state["system"]["faults"] = [*state["system"]["faults"], self.fault]
            state["system"]["ok"] = False

    # -- in the thread --

    def _run(self):
        while not self._ended.is_set():
            if not self._rows:          # all spans come otherwise: a box without a board is none that fails
                self.fault, self._anew = None, True
                self._told({"board": None, "spans": {}, "seconds": {}})
                self._changed.wait(AWAY_S)
                self._changed.clear()
                continue
            try:
                self._watch(self._open_ring())
            except StrowgerError as error:
                if self.fault is None:
                    log.error("framers: %s", error)
                self.fault = str(error)
            except Exception:
                log.exception("framers: the watch failed")
                self.fault = "the watch of the framers failed; the log of control says why"
            for span in list(self._known):
                self._say(span, ["board"])
            self._told({"board": self.fault, "spans": {}, "seconds": {}})
            self._ended.wait(AWAY_S)

    def _watch(self, ring):
        self._set_up = {}
        framers, polls = self._configure(ring), 0
        while not self._ended.is_set():
            polls += 1
            if polls % CHIPS_POLLS == 0:
                framers = self._look_for_chips(ring, framers)
            polled = {span: row for span, row in zip(framers, watch_all(ring, framers.values())) if row is not None}
            if len(polled) < len(framers):         # a card was pulled
                framers = self._look_for_chips(ring, framers)
                polled = {span: row for span, row in polled.items() if span in framers}
            over = [span for span, (_, events) in polled.items() if events["second"]]
            counted = zip(over, counters_of_all(ring, [framers[span] for span in over])) if over else ()
            counters = {span: row for span, row in counted if row is not None}
            self._levels = {span: {name: status[name] for name in LEVELS if name in status} for span, (status, _) in polled.items()}
            for span, (status, _) in polled.items():
                self._obey(span, framers[span], status.get("code"))
                alarms = status["alarms"]
                if alarms == self._before.get(span) and alarms != self._known.get(span):
                    self._say(span, alarms)
                self._before[span] = alarms
            self.fault = None
            polled.update({span: ({"alarms": ["framer"], "details": {"framer": sentence}}, NOTHING) for span, sentence in self._gone.items()})
            self._told({"board": None, "spans": polled, "seconds": counters, "settings": self._rows, "configured": self._written,
                        "loops": {span: dict(row) for span, row in list(self._loops.items())},
                        "heartbeat": self._window.get("tx_written") if self._window is not None else None})
            self._written = set()
            if self._changed.wait(POLL_S):
                self._changed.clear()
                if self._anew:
                    self._anew = False
                    framers = self._configure(ring)
                self._carry_out(framers)

    def _look_for_chips(self, ring, framers):
        """Framers that are there; those that went and came are told, and what came is configured anew."""
        gone = look_for_chips(ring, {span: framers.get(span) or self._driver(ring, span) for span in sorted(self._rows)})
        if gone == self._gone:
            return framers
        for span in set(gone) - set(self._gone):
            log.error("framers: span %d: %s", span, gone[span])
            self._say(span, ["framer"])
        came, self._gone = set(self._gone) - set(gone), gone
        self._set_up = {span: row for span, row in self._set_up.items() if span not in gone}
        for span in came:
            log.warning("framers: span %d has its framer again", span)
        return self._configure(ring) if came else {span: framer for span, framer in framers.items() if span not in gone}

    def _configure(self, ring):
        """Framers of the spans wanted, each holding its settings; one that is not there costs its own spans only."""
        framers = {}
        self._end_orders_out_of_service()
        self._gone = look_for_chips(ring, {span: self._driver(ring, span) for span in sorted(self._rows)})
        for span, sentence in self._gone.items():
            if "framer" not in self._known.get(span, ()):
                log.error("framers: span %d: %s", span, sentence)
            self._say(span, ["framer"])
        self._set_up = {span: row for span, row in self._set_up.items() if span not in self._gone and row[0] == self._rows.get(span)}
        for span, settings in sorted(self._rows.items()):
            if span in self._gone:
                continue
            if span in self._set_up:            # not touched: what was ordered of it stands
                framers[span] = self._set_up[span][1]
                continue
            framer = self._driver(ring, span)
            try:
                if framer.configure(settings):
                    log.info("framers: span %d configured: %s", span, settings)
                    self._forget_orders(span)
                    self._order_again(span, framer)
                    self._written.add(span)
            except DriverError:
                raise
            except StrowgerError as error:
                log.error("framers: span %d is not configured: %s", span, error)
                self._say(span, ["configuration"])
                continue
            framers[span] = framer
            self._set_up[span] = (settings, framer)
        for span in set(self._known) - set(self._rows):
            self._known.pop(span)
        if self._of_before or self._forced_before:
            self._of_before, self._forced_before = {}, {}
            self._keep_orders()
        return framers

    def _told(self, polled):
        """{"board": fault or None, "spans": {span: (status, events)}, "seconds": {span: counters}, ...}."""
        if self._watcher is not None and not self._ended.is_set():
            self._loop.call_soon_threadsafe(self._watcher, polled)

    def _say(self, span, alarms):
        if self._known.get(span) == alarms:
            return
        self._known[span] = alarms
        if not self._ended.is_set():
            self._loop.call_soon_threadsafe(self.turns.run, {"framer": span, "alarms": alarms},
                                            self._tell, span, alarms)
