"""The history of the timeslots: from the records of calls, and from a look at the signalling each second.

A record that seizes, connects or frees a timeslot becomes a row when it is committed (no work of the turn).  What the machines know, locked, blocked by the far
end, in alarm, restarted, is compared with what was known; a change is a record of its own ("timeslots.service", one for all timeslots of a span with the
same news), so the history is a projection of the journal alone, and who follows the journal hears of it.  Restarts come from the adapters, as
"timeslots.restarted".  Once a second the rows are written by a thread (storage/timeslots.py).
"""

import asyncio
import logging
import sqlite3

from firmware.storage.timeslots import TimeslotHistory, path_of

log = logging.getLogger(__name__)

LOOK_S = 1.0                # invented: shorter states than that are no matter of a history, calls excepted
WAITING_MOST = 100_000      # rows that wait for a disk that refuses; the journal has them all the same; invented
CATCH_UP_MOST = 500_000     # records that are read again at a start: hours; invented
CURSOR_EVERY = 20_000       # records without a row, after which the cursor is written; invented
SIGNALLED = ("spans", "circuits", "ss7")        # adapters that describe spans
WHY = {"near_hardware": "alarm", "far_hardware": "alarm", "unequipped": "out_of_service"}       # of SS7


def service_of(row, slot):
    """(state, why) of a timeslot as GET /v1/state has it, without the call on it; None: not known now."""
    if row["state"] == "alarm":
        return "alarm", ", ".join(row["alarms"])
    if row["state"] != "up":
        return ("down", "") if row["state"] == "down" else None
    told, by, why = slot.get("service") or {}, slot.get("blocked_by") or (), slot.get("why") or ""
    if told.get("near") == "locked" or why == "blocking" or "near" in by:
        return "locked", ""
    if told.get("near"):
        return "out_of_service", told["near"]
    if told.get("far") or why == "blocked" or "far" in by:
        return "blocked", told.get("far") or ""
    if by:
        return WHY.get(by[0], "out_of_service"), by[0]
    if why:
        return "alarm" if why == "alarm" else "out_of_service", why
    return ("in_service", "") if slot["state"] != "blocked" else ("out_of_service", "")


class Timeslots:
    """house: the House, with turns, stores, adapters, data_dir."""

    def __init__(self, house):
        self.house, self.fault = house, None
        self._rows, self._seq, self._written = [], 0, 0
        self._writing = asyncio.Lock()
        self._legs = {}             # leg -> [(span, timeslot), state, why, call]
        self._on = {}               # (span, timeslot) -> legs that hold it: two in a glare
        self._service = {}          # (span, timeslot) -> (state, why)
        self._history = None
        try:
            self._begin()
        except sqlite3.Error as error:
            self._refused(error)

    def _begin(self):
        """Open the file; take from the journal what a kill kept from it."""
        self._history, journal = TimeslotHistory(path_of(self.house.data_dir)), self.house.stores.journal
        last, cursor = journal.last_seq(), self._history.cursor()
        for place, row in self._history.last("call").items():
            if row["leg"] is not None and row["state"] != "idle":
                self._legs[row["leg"]], self._on[place] = [place, row["state"], row["why"], row["call"]], [row["leg"]]
        self._service = {place: (row["state"], row["why"]) for place, row in self._history.last("service").items()}
        self._seq = self._written = last if cursor is None or not 0 <= last - cursor <= CATCH_UP_MOST else cursor
        if self._seq < last:
            self.committed(journal.everything(self._seq))

    def _refused(self, error):
        if self.fault is None:
            log.error("timeslots: the history cannot be written (%s); it is caught up from the journal later. Look at the data disk", error)
        self.fault = "the history of the timeslots cannot be written: %s" % error

    # -- records --

    def committed(self, records):
        """Records that are in the journal."""
        for record in records:
            fold = FOLDS.get(record["kind"])
            if fold is not None:
                fold(self, record, record["data"])
            self._seq = record["seq"]

    def _note(self, record, place, part, state, why, call=None, leg=None):
        self._rows.append((*place, part, record["ts_ms"], state, why, call, leg))

    def _seized(self, record, data):
        """leg.offered, leg.created: a leg that holds a timeslot of a span; SIP trunks have names and no timeslots."""
        if type(data.get("span")) is int and record["leg"] is not None:
            self._holds(record, (data["span"], data["timeslot"]), "in" if record["kind"] == "leg.offered" else "out")

    def _holds(self, record, place, why):
        self._legs[record["leg"]] = [place, "seized", why, record["call"]]
        self._on.setdefault(place, []).append(record["leg"])
        self._note(record, place, "call", "seized", why, record["call"], record["leg"])

    def _moved(self, record, data):
        leg = self._legs.get(record["leg"])
        if leg is not None and leg[0] != (data["span"], data["timeslot"]):
            self._frees(record, "moved")
            self._holds(record, (data["span"], data["timeslot"]), leg[2])

    def _goes_on(self, record, state, why):
        leg = self._legs.get(record["leg"])
        if leg is not None and leg[1] != state:
            leg[1], leg[2] = state, why
            self._note(record, leg[0], "call", state, why, leg[3], record["leg"])

    def _connected(self, record, data):
        self._goes_on(record, "connected", None)

    def _clearing(self, record, data):
        self._goes_on(record, "clearing", "cause %s" % data["cause"])

    def _released(self, record, data):
        if record["leg"] in self._legs:
            self._frees(record, "cause %s" % data.get("cause"))

    def _frees(self, record, why):
        """A leg lets go of its timeslot; where two held it (glare), the other one stays."""
        place, _, _, call = self._legs.pop(record["leg"])
        others = self._on[place]
        others.remove(record["leg"])
        if others:
            _, state, why, call = self._legs[others[0]]
            self._note(record, place, "call", state, why, call, others[0])
            return
        del self._on[place]
        self._note(record, place, "call", "idle", why, call, record["leg"])

    def _in_service(self, record, data):
        for timeslot in data["timeslots"]:
            self._service[data["span"], timeslot] = (data["state"], data["why"])
            self._note(record, (data["span"], timeslot), "service", data["state"], data["why"])

    def _restarted(self, record, data):
        for timeslot in data["timeslots"]:
            self._note(record, (data["span"], timeslot), "event", "restarted", data["by"])

    # -- the look --

    async def run(self):
        """Look for ever; first at the file, beside the loop."""
        await self.check()
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()
            await self.write()

    def look(self):
        """Compare what the machines know with what was known; what is new becomes a record."""
        rows = {"spans": []}
        for adapter in self.house.adapters:
            if adapter.name in SIGNALLED:
                adapter.describe(rows, {})
        news, seen = {}, set()
        for row in rows["spans"]:
            for slot in row["timeslots"]:
                place = (row["span"], slot["timeslot"])
                seen.add(place)
                told = service_of(row, slot) if slot["state"] != "d" else None
                if told is not None and told != self._service.get(place):
                    news.setdefault((row["span"], told), []).append(slot["timeslot"])
        for place, told in self._service.items():
            if place not in seen and told[0] != "unconfigured":
                news.setdefault((place[0], ("unconfigured", "")), []).append(place[1])
        if news:
            self.house.turns.run("news of timeslots", self._tell, news)

    def _tell(self, news, now_ms):
        for (span, (state, why)), timeslots in sorted(news.items()):
            self.house.turns.post({"kind": "command.desk", "record": "timeslots.service",
                                   "data": {"span": span, "timeslots": sorted(timeslots), "state": state, "why": why}})

    # -- the file --

    async def write(self):
        """Write what waits."""
        async with self._writing:
            if not self._rows and self._seq - self._written < CURSOR_EVERY:
                return
            rows, seq, self._rows = self._rows, self._seq, []
            try:
                await asyncio.to_thread(self._put, rows, seq)
                self._written, self.fault = seq, None
            except sqlite3.Error as error:
                self._rows = (rows + self._rows)[-WAITING_MOST:]
                self._refused(error)

    def _put(self, rows, seq):
        if self._history is None:
            self._history = TimeslotHistory(path_of(self.house.data_dir))
        self._history.write(rows, seq)

    async def check(self):
        """A damaged file is begun anew."""
        async with self._writing:
            if self._history is None:
                return
            try:
                if not await asyncio.to_thread(self._history.check):
                    log.error("timeslots: the history was damaged; it begins anew, the old file is %s.damaged", self._history.path)
            except sqlite3.Error as error:
                self._refused(error)

    async def ask(self, question):
        """question(TimeslotHistory), beside the loop, with all that has happened so far."""
        await self.write()
        async with self._writing:
            if self._history is None:
                raise sqlite3.OperationalError(self.fault)
            return await asyncio.to_thread(question, self._history)

    def close(self):
        """Write what waits and close the file."""
        try:
            if self._rows:
                self._put(self._rows, self._seq)
            if self._history is not None:
                self._history.close()
        except sqlite3.Error as error:
            self._refused(error)


FOLDS = {"leg.offered": Timeslots._seized, "leg.created": Timeslots._seized, "leg.seized": Timeslots._moved, "leg.answered": Timeslots._connected,
         "leg.releasing": Timeslots._clearing, "leg.released": Timeslots._released, "timeslots.service": Timeslots._in_service, "timeslots.restarted": Timeslots._restarted}
