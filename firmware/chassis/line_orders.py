"""What people (and far ends) order of a line: loops, loop codes, forced alarms.

The half of Framers that acts.  Orders are carried out by the thread that owns the request ring; who ordered waits for it.
A loop or a forced alarm lasts until it is ended, the span's settings change, the board carries it no more, or its framer is set up anew; a control process that
starts again sets it again.  What the turn-up orders ends with that process (turn_up_held.py); its forced alarms come on top of a person's.

A far end of a T1 may order loops by codes (T1.403 9): one of the data link acts at once (the framer has seen it eight times),
one in band after IN_BAND_S of it.  A loop that we ordered ourselves is not changed by a code."""

import asyncio
import collections
import concurrent.futures
import logging
import time

from drivers.framer.base import LOOP_CODES, check_loop
from firmware.errors import LocalError, StrowgerError

log = logging.getLogger(__name__)

IN_BAND_S = 5.0         # T1.403 9.4.1
ANSWER_S = 5.0          # ours: a thread that needs longer has lost its board
LOOPS, FORCED = "loops", "forced alarms"         # under which they are kept
TURN_UP = "turn-up"
FORCIBLE = ("rai", "ais")


class LineOrders:
    """Mixed into Framers: uses _rows, _changed, _loop, _set_up, _gone, turns."""

    def _begin_orders(self, machines):
        self._orders = collections.deque()
        self._loops = {}            # span -> {"kind", "timeslot", "by": "us", TURN_UP or "far end", "since_ms"}
        self._forced = {}           # span -> {"rai", "ais", "since_ms"} that a person ordered
        # of the control process before
        self._of_before, self._forced_before = ({int(span): row for span, row in (machines.load(name) or {}).items()} for name in (LOOPS, FORCED))
        self._unsaved = False       # one of them changed since they were saved
        self._codes_sent = {}       # span -> code
        self._levels = {}           # span -> what its line interface sees
        self._codes = {}            # span -> (code that comes, since when)

    def lines(self):
        """{span: {"loop", "forced": ["rai", "ais"], "code_sent", "code_received", and where the framer sees them "level_db", "limit_db", "transmit"}} of the
        spans in service."""
        levels = self._levels
        return {span: {"loop": self._loops.get(span), "forced": [name for name in FORCIBLE if self._forced.get(span, {}).get(name)], "code_sent": self._codes_sent.get(span),
                       "code_received": self._codes.get(span, (None,))[0], **levels.get(span, {})} for span in self._rows}

    async def act(self, span, function):
        """Run function(framer) where the ring is owned.  Raises what it raises, or LocalError after ANSWER_S."""
        if span not in self._rows:
            raise LocalError("span %d is not in service" % span)
        future = concurrent.futures.Future()
        self._orders.append((span, function, future))
        self._changed.set()
        try:
            await asyncio.wait_for(asyncio.wrap_future(future), ANSWER_S)
        except asyncio.TimeoutError:
            raise LocalError("span %d: the board did not take the order in %d s; %s" % (
                span, ANSWER_S, self.fault or "look at the alarms")) from None
        return self.lines()[span]

    async def loop(self, span, kind, timeslot=None, by="us"):
        """Set or end a loop.  by: "us" or TURN_UP."""
        check_loop(kind, timeslot, 31 if self._rows.get(span, {}).get("type", "e1") == "e1" else 24)

        def order(framer):
            framer.loop(kind, timeslot)
            self._note_loop(span, kind, timeslot, by)
        return await self.act(span, order)

    async def force(self, span, rai, ais, by="us"):
        """Send RAI or AIS whatever comes in.  by: "us" or TURN_UP."""
        def order(framer):
            if by == TURN_UP:
                standing = self._forced.get(span, {})
                framer.force(rai or standing.get("rai", False), ais or standing.get("ais", False))
            else:
                framer.force(rai, ais)
                self._note_forced(span, rai, ais)
        return await self.act(span, order)

    async def listen(self, span, sensitivity):
        """Take weaker signals for a while ("high"), or as configured again (None)."""
        return await self.act(span, lambda framer: framer.listen(sensitivity))

    async def send_code(self, span, code):
        """Send a loop code; None ends it."""
        if code is not None and code not in LOOP_CODES:
            raise LocalError("loop code %r: use one of %s" % (code, ", ".join(LOOP_CODES)))

        def order(framer):
            framer.send_code(code)
            self._codes_sent.pop(span, None)
            if code:
                self._codes_sent[span] = code
        return await self.act(span, order)

    def dirty(self):
        """Loops or forced alarms changed."""
        return self._unsaved

    def save(self, stores):
        """Those that are to stand after a restart."""
        self._unsaved = False
        stores.machines.save(LOOPS, {str(span): row for span, row in list(self._loops.items()) if row["by"] != TURN_UP} or None)
        stores.machines.save(FORCED, {str(span): row for span, row in list(self._forced.items())} or None)

    # -- in the thread --

    def _note_loop(self, span, kind, timeslot, by):
        self._loops.pop(span, None)
        if kind != "none":
            self._loops[span] = {"kind": kind, "timeslot": timeslot, "by": by, "since_ms": time.time_ns() // 1_000_000}
        log.warning("span %d: loop %s, ordered by %s", span, kind, by)
        self._keep_orders()

    def _note_forced(self, span, rai, ais):
        self._forced.pop(span, None)
        if rai or ais:
            self._forced[span] = {"rai": rai, "ais": ais, "since_ms": time.time_ns() // 1_000_000}
        log.warning("span %d: forced to send %s", span, " and ".join(name.upper() for name, sent in zip(FORCIBLE, (rai, ais)) if sent) or "no alarm")
        self._keep_orders()

    def _keep_orders(self):
        self._unsaved = True
        if not self._ended.is_set():
            self._loop.call_soon_threadsafe(self.turns.run, {"loops": sorted(self._loops), "forced": sorted(self._forced)}, lambda: None)

    def _order_again(self, span, framer):
        """What the control process before had ordered, which configure() has just ended."""
        row = self._of_before.get(span)
        if row is not None and (row["timeslot"] or 0) <= framer.TIMESLOTS:         # else a T1 by now
            framer.loop(row["kind"], row["timeslot"])
            self._loops[span] = row
            log.warning("span %d: loop %s, ordered by %s, stands again after the restart", span, row["kind"], row["by"])
        row = self._forced_before.get(span)
        if row is not None:
            framer.force(row["rai"], row["ais"])
            self._forced[span] = row
            log.warning("span %d: the forced alarm stands again after the restart", span)

    def _end_orders_out_of_service(self):
        """A span that the board carries no more neither loops on nor sends a forced alarm: nobody would see it, nor end it."""
        for span in sorted({*self._loops, *self._forced} - set(self._rows)):
            if span in self._set_up and span not in self._gone:
                self._set_up[span][1].loop("none")
                self._set_up[span][1].force()
            log.warning("span %d: what was ordered of it ends, it is out of service", span)
            self._forget_orders(span)

    def _carry_out(self, framers):
        while self._orders:
            span, function, future = self._orders.popleft()
            if not future.set_running_or_notify_cancel():       # nobody waits for it any more: what it would set, nobody would end
                continue
            try:
                if span not in framers:
                    raise LocalError("span %d has no framer" % span)
                function(framers[span])
                future.set_result(None)
            except StrowgerError as error:
                future.set_exception(error)

    def _forget_orders(self, span):
        """The framer was configured anew: it loops no more, and says what it sees."""
        self._codes_sent.pop(span, None)
        ended = [self._loops.pop(span, None), self._forced.pop(span, None)]
        if any(ended):
            self._keep_orders()

    def _obey(self, span, framer, code):
        """A loop code of the far end, or None."""
        known, since = self._codes.get(span, (None, 0.0))
        now = time.monotonic()
        if code != known:
            since = now
            self._codes[span] = (code, now)
        if code is None or not self._rows.get(span, {}).get("loop_codes", True):
            return
        if code.startswith("in_band") and now - since < IN_BAND_S:
            return
        wanted, standing = LOOP_CODES[code][1], self._loops.get(span)
        if wanted == (standing or {}).get("kind", "none") or (standing and standing["by"] != "far end"):
            return
        framer.loop(wanted)
        self._note_loop(span, wanted, None, "far end")
