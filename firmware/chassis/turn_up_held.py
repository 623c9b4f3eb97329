"""What a turn-up holds of lines while it runs, bit error tests and loops, and how each is given back.

Each is noted before it is ordered, so that a run that is cancelled in the middle of an order gives that back, too: ending what never
began is no error, in media or in a framer.  One that cannot be given back keeps no other; its sentence is in `faults`.

A killed control process gives nothing back.  The next one does (left_behind): media's tests are known by their names, which bear the number
of their run; a framer that loops, or sends a forced alarm, is set up anew by chassis/framers.py, a pseudowire by the stage that was kept."""

import asyncio
import logging

from firmware.chassis.line_orders import TURN_UP
from firmware.errors import LocalError, StrowgerError

log = logging.getLogger(__name__)

NAMES = ("own-loop-", "pairs-", "turn-up-")


class Held:
    """Of one run.  client: of media; lines: AllLines; number: of the run."""

    def __init__(self, client, lines, number):
        self._client, self._lines, self._number = client, lines, number
        self._held = {}                 # what is held -> (span, coroutine function that gives it back)
        self.faults = {}                # span -> sentence of what could not be given back

    async def test(self, kind, span, timeslots):
        """Begin a bit error test; kind: one of NAMES.  Returns its name; raises StrowgerError where it is refused."""
        name = "%s%d-%d" % (kind, self._number, span)
        self._held[name] = (span, lambda: self._client.call("bert_stop", id=name))
        await self._client.call("bert_start", id=name, span=span, timeslots=timeslots)
        return name

    async def loop(self, span):
        """Our own loop, where nobody has looped the span: that loop would end with ours.  Raises StrowgerError."""
        standing = (self._lines.lines().get(span) or {}).get("loop")
        if standing:
            raise LocalError("the span is looped already: %s loop, ordered by %s" % (standing["kind"], standing["by"]))
        self._held["loop of", span] = (span, lambda: self._lines.loop(span, "none"))
        await self._lines.loop(span, "local", by=TURN_UP)

    async def give_back(self, what):
        """The name of a test, or ("loop of", span).  Returns what media or the line says at the end, or None."""
        span, function = self._held.get(what, (None, None))
        if function is None:
            return None
        try:
            answer = await function()           # cancelled meanwhile: an order that nobody waits for is not carried out, so it is held on
        except StrowgerError as error:
            log.warning("turn-up: %s", error)
            self.faults[span], answer = str(error), None
        self._held.pop(what, None)
        return answer

    async def give_all_back(self):
        """Whatever is still held."""
        await asyncio.gather(*(self.give_back(what) for what in list(self._held)))


async def to_its_end(coroutine):
    """Wait for an order that takes something back; whoever is cancelled meanwhile hears of it when the order is carried out."""
    task = asyncio.ensure_future(coroutine)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def left_behind(client, lines, number, stages):
    """End what an earlier control process left: tests of runs up to a number, and by {span: stage} what it had ordered of lines."""
    try:
        for row in (await client.call("berts"))["berts"]:
            kind = next((name for name in NAMES if row["id"].startswith(name)), None)
            run = row["id"][len(kind):].partition("-")[0] if kind else ""
            if run.isdecimal() and int(run) <= number:
                await client.call("bert_stop", id=row["id"])
                log.warning("turn-up: test %s of before the restart is ended", row["id"])
    except StrowgerError as error:
        log.warning("turn-up: what ran before the restart could not be ended: %s", error)
    for span, stage in stages.items():
        try:
            if stage == "own loop" and ((lines.lines().get(span) or {}).get("bearer") or {}).get("kind") != "board":      # there it is a person's that stands again
                await lines.loop(span, "none")
            elif stage == "pairs":
                await lines.force(span, False, False, TURN_UP)
        except StrowgerError as error:
            log.warning("turn-up: span %d: %s", span, error)
