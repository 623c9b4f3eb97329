"""Looks at the live figures each second for the traffic early warning, and gives its mails to the mail server.

The core judges (core_warnings.py); what it does not keep, the sums of the last quarters of an hour, is read here from the same sums that the reports
use, each COUNT_S, for the queues that have such thresholds: in a thread, on a view of the database that is fixed in the moment of what runs now.
Whoever shows thresholds takes `counted`."""

import asyncio
import email.message
import email.utils
import logging
import smtplib

from firmware.acd.report import add
from firmware.acd.thresholds import COUNTED
from firmware.control import core_warnings
from firmware.control.mailer import AGAIN_S, send
from firmware.links.adapter import Adapter
from firmware.storage.figures import QUARTER_S, Figures

log = logging.getLogger(__name__)

LOOK_S = 1.0
COUNT_S = 5.0


class Watch(Adapter):
    """house: the House."""

    name = "watch"

    def __init__(self, house):
        self.house = house
        self.counted, self._counted_at = {}, None
        self._connection = None
        self.sent = self.failed = 0
        self.why = None             # sentence of the last failure, until a mail is sent

    def start(self):
        """Begin to look."""
        self.house.spawn(self._run(self._look, LOOK_S))
        self.house.spawn(self._run(self._mail, LOOK_S))

    async def _run(self, what, every_s):
        await self.house.resumed.wait()
        while True:
            await asyncio.sleep(every_s)
            try:
                await what()
            except Exception:       # the next look is not to be lost for it
                log.exception("watch: a look failed")

    def _core(self):
        return getattr(self.house.switchboard, "core", None)

    async def _look(self):
        core, config = self._core(), self.house.config.running()
        if core is None or not (config["thresholds"] or core.state.warnings):
            return
        now_ms = self.house.clock.now_ms()
        if self._counted_at is None or abs(now_ms - self._counted_at) >= COUNT_S * 1000:
            self._counted_at = now_ms
            self.counted = await self.count(now_ms)
        self.house.turns.handle({"kind": "figures.look", "counted": self.counted})

    async def count(self, now_ms):
        """{queue: {minutes: counts}} of the thresholds that count callers."""
        wanted = {(row["queue"], row["interval_min"]) for row in self.house.config.running()["thresholds"] if row["enabled"] and row["figure"] in COUNTED}
        if not wanted:
            return {}
        if self._connection is None:
            self._connection = self.house.database.reader()
        connection = self._connection
        if self.house.database.narrow:      # the writing connection is the reader: the loop's alone
            return tally(connection, self.house.stores.figures.running(now_ms), wanted, now_ms)
        connection.execute("BEGIN")
        try:
            connection.execute("SELECT count(*) FROM counter").fetchone()       # fixes the view: nothing is committed while the loop is here
            running = self.house.stores.figures.running(now_ms)
            return await asyncio.to_thread(tally, connection, running, wanted, now_ms)
        finally:
            connection.execute("ROLLBACK")

    async def _mail(self):
        core = self._core()
        if core is None or not core.state.notices:
            return
        now_ms = self.house.clock.now_ms()
        due = [row for row in core.state.notices.values() if (row["again_ms"] or 0) <= now_ms]
        if not due:
            return
        row = min(due, key=lambda row: (row["again_ms"] or 0, row["at_ms"], row["id"]))
        mail, error, again_ms, left = self.house.config.running()["mail"], None, None, None
        if not mail["host"]:
            error = "no mail server is configured"
        else:
            try:
                refused = await asyncio.to_thread(send, compose(row, mail), mail, row["to"])
                if refused:         # the others have it
                    left = sorted(refused)
                    error = "the server refused %s" % ", ".join(left)[:250]
            except (OSError, smtplib.SMTPException, ValueError) as failure:
                error = ("%s: %s" % (type(failure).__name__, failure))[:300]
            if error is not None and row["tries"] < len(AGAIN_S):
                again_ms = self.house.clock.now_ms() + AGAIN_S[row["tries"]] * 1000
        if error is None:
            self.sent, self.why = self.sent + 1, None
        else:
            self.failed, self.why = self.failed + 1, "mail about alarms cannot be sent: %s. Look at the settings below mail and at the server" % error.rstrip(".")
            log.warning("watch: mail %s: %s", row["id"], error)
        self.house.turns.handle({"kind": "notice.mailed", "notice": row["id"], "ok": error is None, "error": error, "again_ms": again_ms, "to": left})

    def describe(self, state, legs):
        """Thresholds with their figures of the interval."""
        core = self._core()
        if core is not None and self.house.config.running()["thresholds"]:
            state["thresholds"] = core_warnings.snapshot(core, state["now_ms"], self.counted)

    @property
    def fault(self):
        """Sentence for health, or None."""
        return self.why


def tally(connection, running, wanted, now_ms):
    """{queue: {minutes: counts}}: stored sums of the last quarters and what runs.  wanted: {(queue, minutes)}."""
    found, present_s = {}, now_ms // 1000 // QUARTER_S * QUARTER_S
    for queue, minutes in sorted(wanted):
        from_s, sums = present_s - (minutes // 15 - 1) * QUARTER_S, {}
        for _, _, counts in Figures.sums(connection, "queues", QUARTER_S, from_s, present_s + QUARTER_S, queue):
            add(sums, counts)
        for (part, length, name, start_s), counts in running.items():
            if part == "queues" and length == QUARTER_S and name == queue and from_s <= start_s <= present_s:
                add(sums, counts)
        found.setdefault(queue, {})[str(minutes)] = {name: sums.get(name, 0) for name in ("queued", "abandoned", "events", "events_answered",
                                                                                        "events_abandoned")}
    return found


def compose(row, mail):
    """The mail of a row of the state's notices."""
    message = email.message.EmailMessage()
    message["Subject"], message["From"], message["To"] = row["subject"], mail["from"], ", ".join(row["to"])
    message["Date"] = email.utils.formatdate(row["at_ms"] / 1000)
    message["Message-ID"] = "<%s.%d@%s>" % (row["id"], row["at_ms"], mail["from"].partition("@")[2])
    message.set_content(row["text"])
    return message
