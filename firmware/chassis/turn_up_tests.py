"""The tests that a turn-up makes of lines: own loop with PRBS, pairs, loop plugs and crossed cables, a closer look at silent lines."""

import asyncio
import logging

from firmware.chassis import turn_up_pairs
from firmware.chassis.turn_up_held import to_its_end
from firmware.errors import StrowgerError

log = logging.getLogger(__name__)

TEST_ERRORS, TEST_S = 5, 3.0
OWN_LOOP_S, BACK_S = 3.0, 40.0      # PRBS through our own loop; until the far end is back after it: G.706, T200 and RAI take seconds
QUIET_S, GIVEN_UP_S = 2, 10         # a line that stays down, or has errors of its own, is not waited for; invented
CLOSE_S = 1.0                       # how long a receiver without a signal takes weaker ones; a look at it comes each 0.2 s


class LineTests:
    """Mixed into TurnUp: uses _media, _framers, _keeper, _bearers, _config, _is_up, _close."""

    async def _own_loops(self, rows, held):
        """PRBS of each span through its own loop: {span: figures, {"busy": True} or {"failed": sentence}}."""
        async def one(row):
            span = row["span"]
            try:
                name = await held.test("own-loop-", span, self._bearers(row))
            except StrowgerError:
                return {"busy": True}
            try:
                await held.loop(span)
                await asyncio.sleep(OWN_LOOP_S / 2)
                before = next((figures for figures in (await self._media.client.call("berts"))["berts"] if figures["id"] == name), None)
                await self._media.client.call("bert_insert", id=name, errors=TEST_ERRORS)
                await asyncio.sleep(OWN_LOOP_S / 2)
            except StrowgerError as error:
                return {"failed": str(error)}
            finally:
                figures = ((await held.give_back(name)) or {}).get("bert")
                await held.give_back(("loop of", span))
            if figures is None or before is None:
                return {"failed": held.faults.get(span, "media knows nothing of its test any more")}
            return {**figures, "errors": figures["errors"] - before["errors"], "inserted": TEST_ERRORS}
        return dict(zip([row["span"] for row in rows], await all_of(one(row) for row in rows)))

    async def _pairs(self, rows, held, stage):
        """{span: the span on which the far end answers that hears it}, of spans that are good so far and carry no calls."""
        kept = {}
        try:
            for row in rows:
                if row["type"] == "e1" and not self._keeper.defects(row["span"]):
                    try:
                        kept[row["span"]] = await held.test("pairs-", row["span"], self._bearers(row))
                    except StrowgerError:
                        pass            # a call is on it
            if len(kept) < 2:
                return {}
            stage("pairs", kept)
            return {there: here for here, there in (await turn_up_pairs.ask(list(kept), self._framers, self._keeper)).items()}
        except StrowgerError as error:
            log.warning("turn-up: %s", error)
            return {}
        finally:
            await all_of(held.give_back(name) for name in kept.values())      # one that fails keeps no other's running

    async def _settled(self, rows):
        """The lines are back after their loops: signalling up, and QUIET_S without errors that the loop may have left."""
        quiet, before = 0, None
        for second in range(int(BACK_S)):
            await asyncio.sleep(1)
            sums = {row["span"]: {name: value for name, value in self._keeper.sums(row["span"]).items() if name != "seconds"} for row in rows}
            quiet = quiet + 1 if sums == before else 0
            before = sums
            up = all(self._is_up(row["span"]) or row["signalling"] == "none" and not self._keeper.defects(row["span"]) for row in rows)
            if up and quiet >= QUIET_S or quiet >= QUIET_S + GIVEN_UP_S or second > 2 * GIVEN_UP_S and up:
                break

    async def _loop_test(self, rows, held):
        """{span: (whether our own pattern comes back, or None; the other span at which it arrives, or None)}."""
        tests = {}
        wanted = {row["span"]: TEST_ERRORS + place for place, row in enumerate(rows)}
        try:
            for row in rows + [r for r in self._config.running()["spans"] if r["enabled"] and r["span"] not in wanted]:
                for timeslot in reversed(self._bearers(row)):
                    try:
                        tests[row["span"]] = await held.test("turn-up-", row["span"], [timeslot])
                        break
                    except StrowgerError:
                        continue           # a call is on it
            await asyncio.sleep(TEST_S / 2)
            before = {row["id"]: row["errors"] for row in (await self._media.client.call("berts"))["berts"]}
            for span in wanted:
                if span in tests:
                    await self._media.client.call("bert_insert", id=tests[span], errors=wanted[span])
            await asyncio.sleep(TEST_S / 2)
            figures = {row["id"]: row for row in (await self._media.client.call("berts"))["berts"]}
        finally:
            await all_of(held.give_back(name) for name in tests.values())
        counted = {span: figures[name]["errors"] - before.get(name, 0) for span, name in tests.items() if name in figures and figures[name]["synced"]}
        heard = {}
        for span, errors in wanted.items():
            others = [other for other in counted if other != span and counted[other] == errors]
            looped = counted.get(span) == errors
            heard[span] = (None, None) if span not in tests else (looped, others[0] if others and not looped else None)
        return heard

    async def _listen_closely(self, rows):
        """{span: dB below nominal} of spans without a signal to which one comes while their receivers take all that they can."""
        found = {}

        async def one(span):
            try:
                await self._framers.listen(span, "high")
                await asyncio.sleep(CLOSE_S)
                line = self._framers.lines().get(span) or {}
                if line.get("level_db") is not None:
                    found[span] = line["level_db"]
            except StrowgerError as error:
                log.warning("turn-up: %s", error)
            finally:
                await to_its_end(self._framers.listen(span, None))
        silent = [row["span"] for row in rows if "los" in self._keeper.defects(row["span"]) and "level_db" in (self._framers.lines().get(row["span"]) or {})]
        self._close |= set(silent)          # what goes and comes by that is no plug
        try:
            answers = await asyncio.gather(*(one(span) for span in silent), return_exceptions=True)
        finally:
            self._close -= set(silent)
        for answer in answers:
            if isinstance(answer, Exception):
                log.warning("turn-up: %s", answer)
        return found


async def all_of(coroutines):
    """As asyncio.gather(), but whoever waits hears of the first error, or of being cancelled, when all are at their end: none goes on alone."""
    answers = await asyncio.gather(*coroutines, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers
