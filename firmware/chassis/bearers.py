"""Spans that the board does not carry: told to media, watched five times a second as framers are.

What carries a span is chosen in its row of the configuration or, one line a span, in the description of the board
(firmware/config/bearer.py says which wins).  Media holds the bearers, so they outlive this process; a media process that starts
anew is told again.  What media cannot do (an address that is not this box's) is the alarm "configuration" of the span with its
sentence, and is tried again each AGAIN_S.

Alarms, seconds and slips go the way of those of the framers: SpanLinks, alarm list, performance, clock doctor."""

import asyncio
import logging

from boardconfig.bearers import end_of, far_of
from drivers.framer.base import ALARM_NAMES
from firmware.chassis.line_orders import FORCIBLE
from firmware.config import bearer
from firmware.errors import LocalError
from firmware.links.adapter import Adapter

log = logging.getLogger(__name__)

POLL_S, AGAIN_S = 0.2, 2.0
FRAMED = ("fas_errors", "crc_errors", "e_bits")


class Bearers(Adapter):
    """tell(span, alarms, now_ms): the function of a turn (SpanLinks.alarms); watch(polled): keeper.bearers.

    described: "bearers" of the board's description; fault: of that description, or None."""

    name = "bearers"

    def __init__(self, house, described, tell, watch, fault=None):
        self.turns, self.media, self._tell, self._watch = house.turns, house.media, tell, watch
        self._clock = house.turns.clock
        self._described, self._config, self._fault = described, house.config.running(), fault
        self._choose()
        self._task = None
        self._faults = {}               # span -> sentence of media
        self._again = 0.0
        self.seen = {}                  # span -> row of media's last answer
        self._known, self._before = {}, {}
        self._last = {}                 # span -> figures at the second before

    def _choose(self):
        self.wanted, errors = bearer.in_force(self._config, self._described)
        self.faults = ["Bearers of the board's description: %s" % error for error in errors] + ([self._fault] if self._fault else [])
        for sentence in self.faults:
            log.error("%s", sentence)

    # -- life --

    def start(self):
        """Begin to watch."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self):
        """End; media goes on carrying."""
        if self._task is not None:
            self._task.cancel()

    def media_found(self, audit, now_ms):
        """Whatever media has: what is wanted."""
        self._set()

    def media_lost(self, now_ms):
        """Its bearers are gone with it; what was seen of them stands until it is back."""
        self._last = {}

    def configure(self, config, now_ms):
        """Spans changed."""
        self._config = config
        self._choose()
        self._known.clear()             # a span with another signalling is another adapter's, which has heard nothing
        for span in set(self._before) - set(self.wanted):
            self._before.pop(span)
            self._last.pop(span, None)
            self.seen.pop(span, None)
        if self.media.serving:
            self._set()

    def _set(self):
        def done(reply, now_ms):
            self._faults = {int(span): sentence for span, sentence in reply["faults"].items()}

        def refused(error, now_ms):
            self._faults = dict.fromkeys(self.wanted, str(error))
        self.media.command("bearers_set", done, refused, rows=[{"span": span, **row} for span, row in self.wanted.items()])

    # -- watching --

    async def _run(self):
        loop = asyncio.get_running_loop()
        second = loop.time()
        while True:
            await asyncio.sleep(POLL_S)
            if not self.wanted or not self.media.serving:
                continue
            try:
                if self._faults and loop.time() > self._again:
                    self._again = loop.time() + AGAIN_S
                    self.turns.run("bearers again", lambda now_ms: self._set())
                answer = await self.media.client.call("bearers")
                over = loop.time() - second >= 1.0
                if over:
                    second = max(second + 1.0, loop.time() - 1.0)
                self.polled(answer, over)
            except LocalError as error:
                log.info("bearers: %s", error)
            except Exception:
                log.exception("bearers: a look failed")

    def polled(self, answer, over):
        """One answer of media; over: a second is."""
        self.seen = {row["span"]: row for row in answer["rows"] if row["span"] in self.wanted}
        spans, counters = {}, {}
        for span in self.wanted:
            row = self.seen.get(span)
            if row is None:
                kinds = {"configuration": self._faults.get(span, "media does not carry it yet")}
                slips = (0, 0)
            else:
                kinds, slips = row["alarms"], self._slips(span, row["figures"])
                if over:
                    counters[span] = self._second(span, row)
            if span in self._faults or row is not None:
                self._report(span, [name for name in (*ALARM_NAMES, "configuration", "card") if name in kinds])
                spans[span] = (kinds, {"defects": set(), "slips": sum(slips), "slips_left_out": slips[1]})
        self._watch({"spans": spans, "seconds": counters, "settings": self.wanted, "heartbeat": answer["ticks"],
                     "loops": {span: self._loop(row) for span, row in self.seen.items() if row["loop"] != "none"}})

    def _report(self, span, alarms):
        """Passed on when two looks in a row agree, as of a framer."""
        if alarms == self._before.get(span) and alarms != self._known.get(span):
            self._known[span] = alarms
            self.turns.run({"bearer": span, "alarms": alarms}, self._tell, span, alarms)
        self._before[span] = alarms

    def _slips(self, span, figures):
        """(repeated, left out) since the look before."""
        last = self._last.setdefault(span, {})
        found = []
        for name in ("slips_repeated", "slips_left_out"):
            count = figures[name]
            found.append(max(0, count - last.get(name, count)))
            last[name] = count
        return tuple(found)

    def _second(self, span, row):
        """Counters of a second: real ones of an E1 in packets, thousandths of the frames that did not come else."""
        figures, last = row["figures"], self._last.setdefault(span, {})

        def grown(name, count):
            before, last["s_" + name] = last.get("s_" + name, count), count
            return max(0, count - before)
        missing, played = grown("missing", figures["frames_missing"]), grown("played", figures["frames_played"])
        share = -(-1000 * missing // played) if played else 0
        if "framing" not in figures:
            return {"fas_errors": share}
        counters = {name: grown(name, figures["framing"][name]) for name in FRAMED}
        return {**counters, "fas_errors": max(counters["fas_errors"], share)}

    # -- what people see and order --

    @staticmethod
    def _loop(row):
        return {"kind": row["loop"], "timeslot": row["timeslot"], "by": "us", "since_ms": None}

    def lines(self):
        """{span: {"loop", "forced", "code_sent", "code_received", "bearer": {...}}}."""
        found = {}
        for span, wanted in self.wanted.items():
            row = self.seen.get(span)
            told = {"kind": wanted["kind"], "local": end_of(wanted), "remote": far_of(wanted), "fault": self._faults.get(span)}
            if row is not None:
                told.update({name: row[name] for name in ("ppm", "within_ppm", "level_ms", "figures")})
            found[span] = {"loop": self._loop(row) if row is not None and row["loop"] != "none" else None, "code_sent": None,
                           "forced": [name for name in FORCIBLE if row is not None and row[name]], "code_received": None, "bearer": told}
        return found

    def describe(self, state, legs):
        """Each span says what carries it."""
        for row in state["spans"]:
            wanted = self.wanted.get(row["span"])
            row["bearer"] = "board" if wanted is None else "%s %s" % (wanted["kind"], far_of(wanted))
        if self.faults:
            state["system"]["faults"] = [*state["system"]["faults"], *self.faults]
            state["system"]["ok"] = False

    async def loop(self, span, kind, timeslot=None, by="us"):
        """Set or end a loop; media holds it, and who ordered it is not kept there."""
        await self.media.client.call("bearer_order", span=span, loop=kind, timeslot=timeslot)
        return await self._now(span)

    async def force(self, span, rai, ais, by="us"):
        """Say RAI or AIS to the far end whatever comes in; media holds it, and who ordered it is not kept there."""
        await self.media.client.call("bearer_order", span=span, rai=rai, ais=ais)
        return await self._now(span)

    async def send_code(self, span, code):
        """There are none in packets."""
        raise LocalError("span %d: loop codes are for a T1 of the board; loop a pseudowire here or at its far end" % span)

    async def _now(self, span):
        self.polled(await self.media.client.call("bearers"), False)
        return self.lines()[span]
