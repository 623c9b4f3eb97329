"""Turn-up of spans: looks, tests, calls, and says in sentences what is wrong; ends in the facts of an acceptance report.

One run takes one span or many beside one another.  Of each it gathers, on a running house:

    own loop   (wanted by "loop") PRBS through our own loop in every timeslot, with the span free of calls; then the line must come back
    pairs      (wanted by "loop", E1) which far end answers to which span: turn_up_pairs.py
    loop       a bit error test in one idle timeslot of each span: so many wrong bits are put in, another number for each span,
               that whoever counts exactly so many hears that span: itself (a loop), or another (crossed cables)
    watch      alarms, errors, slips, clock, signalling for "seconds"
    call out   (wanted by a number) a test call over the span, measured: test_calls.py
    call in    (wanted by "incoming_s") a call to a test number of ours that comes in over the span meanwhile

turn_up_judge.py judges.  But for the own loop calls on the span go on; a timeslot that is busy is not tested.  The last run is kept
over restarts of control; one that was cut off says so."""

import asyncio
import logging

from firmware.chassis import turn_up_pairs
from firmware.chassis.framers import LEVELS
from firmware.chassis.turn_up_judge import judge
from firmware.errors import LocalError, StrowgerError
from firmware.links.adapter import Adapter

log = logging.getLogger(__name__)

TEST_ERRORS, TEST_S = 5, 3.0
OWN_LOOP_S, BACK_S = 3.0, 40.0      # PRBS through our own loop; until the far end is back after it: G.706, T200 and RAI take seconds
SETTLE_S = 1.0                      # after our own loop, until the framers show the line again
QUIET_S, GIVEN_UP_S = 2, 10         # a line that stays down, or has errors of its own, is not waited for; invented
LOOK_S = 0.2
CLOSE_S = 1.0                       # how long a receiver without a signal takes weaker ones; a look at it comes each 0.2 s
OPTIONS = {"seconds": 10, "number": None, "incoming_s": 0, "loop": False}


class TurnUp(Adapter):
    """framers, keeper, spans (PRI), test_calls: adapters.  bearers(row): the timeslots of a span that carry calls."""

    name = "turn_up"

    def __init__(self, house, framers, keeper, spans, bearers, test_calls):
        self._bearers, self._test_calls = bearers, test_calls
        self._framers, self._keeper, self._spans = framers, keeper, spans
        self._house, self._media, self._clock, self._config = house, house.media, house.turns.clock, house.config
        self._turns = house.turns
        self._reports, self._tasks, self._runs = {}, set(), 0
        self._unsaved = False
        self.last = house.stores.machines.load("turn_up")       # the last run of all: {"number", "started_ms", "ended_ms", "options", "spans": [report]}
        if self.last is not None:
            self._runs = self.last["number"]
            for report in self.last["spans"]:
                if report["running"]:
                    report.update(running=False, verdict="fail", ended_ms=self._clock.now_ms(), findings=[_failed("the control process was restarted meanwhile")])
                self._reports[report["span"]] = report

    # -- what people order and see --

    def begin(self, rows, **options):
        """Begin a run.  Returns it; it grows.  Raises LocalError while one runs on one of the spans."""
        for row in rows:
            if self._reports.get(row["span"], {}).get("running"):
                raise LocalError("span %d is being tested; wait for its report" % row["span"])
        self._runs += 1
        options = {**OPTIONS, **options}
        if options["number"] is None:
            options["number"] = (self._config.running().get("turn_up") or {}).get("number", "")
        run = {"number": self._runs, "started_ms": self._clock.now_ms(), "ended_ms": None, "options": options, "site": self._config.running()["site"]["name"],
               "spans": []}
        for row in rows:
            report = self._reports[row["span"]] = {
                "span": row["span"], "type": row["type"], "signalling": row["signalling"], "running": True, "stage": "begins", "seconds": options["seconds"],
                "started_ms": run["started_ms"], "ended_ms": None, "verdict": None, "findings": []}
            run["spans"].append(report)
        self.last = run
        task = asyncio.get_running_loop().create_task(self._run(rows, options, run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run

    def report(self, span):
        """The last report of a span.  Raises LocalError when there is none."""
        if span not in self._reports:
            raise LocalError("span %d has not been tested yet" % span)
        return self._reports[span]

    def whole(self):
        """The last run.  Raises LocalError when there was none."""
        if self.last is None:
            raise LocalError("no span has been tested yet")
        return {**self.last, "running": self.last["ended_ms"] is None and any(report["running"] for report in self.last["spans"]),
                "test_numbers": [row["number"] for row in self._config.running()["numbers"] if row["application"] == "test"]}

    def tested(self):
        """{span: "running", "pass" or "fail"} of the reports that there are."""
        return {span: "running" if report["running"] else report["verdict"] for span, report in self._reports.items()}

    def stop(self):
        """End what runs."""
        for task in self._tasks:
            task.cancel()

    def dirty(self):
        """Whether a run is over that has not been written."""
        return self._unsaved

    def save(self, stores):
        """Keep the last run."""
        if self._unsaved:
            stores.machines.save("turn_up", self.last)

    def saved(self):
        """It is kept."""
        self._unsaved = False

    # -- a run --

    async def _run(self, rows, options, run):
        reports = {report["span"]: report for report in run["spans"]}
        try:
            prbs, answers = {}, {}
            if options["loop"]:
                prbs = await self._own_loops(rows, reports)
                await asyncio.sleep(SETTLE_S)
                answers = await self._pairs(rows, reports)
                await self._settled(rows)
            before = {row["span"]: self._keeper.sums(row["span"]) for row in rows}
            for report in reports.values():
                report["stage"] = "loop"
            watch = [asyncio.create_task(self._watch(row, options["seconds"])) for row in rows]
            heard = await self._loop_test(rows)
            for report in reports.values():
                report["stage"] = "watches"
            watched = await asyncio.gather(*watch)
            alarms = {row["span"]: self._keeper.defects(row["span"]) for row in rows}      # before a lowered threshold lets a signal through
            weak = await self._listen_closely(rows)
            await asyncio.gather(*(self._finish(row, options, reports[row["span"]], {
                "prbs": prbs.get(row["span"]), "answers": answers.get(row["span"]), "before": before[row["span"]], "heard": heard[row["span"]],
                "watched": seen, "weak": weak.get(row["span"]), "alarms": alarms[row["span"]]})
                for row, seen in zip(rows, watched)))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("turn-up")
            for report in reports.values():
                if report["running"]:
                    self._end(report, [_failed(error)])
        finally:
            run["ended_ms"] = self._clock.now_ms()
            if run is self.last:
                self._unsaved = True
                if not self._turns.fault:
                    self._turns.run("turn_up", lambda now_ms: None)

    async def _finish(self, row, options, report, got):
        try:
            facts = self._facts(row, options["seconds"], got)
            await self._calls(row, options, report, facts)
            self._end(report, judge(facts))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("turn-up of span %d", row["span"])
            self._end(report, [_failed(error)])

    def _end(self, report, findings):
        report["findings"], report["running"], report["stage"] = findings, False, "done"
        report["verdict"] = "fail" if any(finding["result"] == "fail" for finding in findings) else "pass"
        report["ended_ms"] = self._clock.now_ms()

    def _facts(self, row, seconds, got):
        span, before, after = row["span"], got["before"], self._keeper.sums(row["span"])
        line = self._framers.lines().get(span) or {}
        link = self._spans.span_with(span)
        errors = {name: after[name] - before[name] for name in after}
        looped, crossed = got["heard"]
        settings = self._config.running().get("turn_up") or {}
        bad_seconds, bad_names = got["watched"]
        clocks = self._keeper.examine_clocks()["spans"]
        return {**{name: line.get(name) for name in LEVELS}, "weak_db": got["weak"], "span": span, "type": row["type"], "framing": row["framing"], "crc4": row["crc4"], "side": row["side"],
                "signalling": row["signalling"], "d_timeslot": row["d_timeslot"], "alarms": got["alarms"],
                "seconds": seconds, "errors": errors["errors"], "far_errors": errors["far_errors"],
                "blocks": errors["seconds"] * (333 if row["type"] != "e1" else 1000), "slips": errors["slips"],
                "clock_selected": self._keeper.clock_selection.selected == "span %d" % span,
                "clock": clocks.get(str(span)), "clocks": clocks, "bad_seconds": bad_seconds, "bad_names": bad_names,
                "link_up": bool(link is not None and link.up), "up": self._is_up(span), "loop": (line.get("loop") or {}).get("kind"),
                "code": line.get("code_received"), "looped": looped, "crossed": crossed, "prbs": got["prbs"], "answers": got["answers"],
                "number": None, "out": None, "in": None, "incoming_s": 0, "least_erl_db": settings.get("least_erl_db", 6), "least_tone_dbm0": settings.get("least_tone_dbm0", -30)}

    def _is_up(self, span):
        return self._house.switchboard.core.span_is_up(span)

    async def _watch(self, row, seconds):
        """(seconds in which an alarm stood, its kinds)."""
        bad, names = 0, set()
        for _ in range(seconds):
            this = set()
            for _ in range(int(1 / LOOK_S)):
                this |= self._keeper.defects(row["span"])
                await asyncio.sleep(LOOK_S)
            bad, names = bad + bool(this), names | this
        return bad, sorted(names)

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
            finally:
                await self._framers.listen(span, None)
        silent = [row["span"] for row in rows if "los" in self._keeper.defects(row["span"]) and "level_db" in (self._framers.lines().get(row["span"]) or {})]
        for answer in await asyncio.gather(*(one(span) for span in silent), return_exceptions=True):
            if isinstance(answer, Exception):
                log.warning("turn-up: %s", answer)
        return found

    # -- loops --

    async def _own_loops(self, rows, reports):
        """PRBS of each span through its own loop: {span: figures, {"busy": True}}."""
        found = {}

        async def one(row):
            span, name = row["span"], "own-loop-%d" % row["span"]
            reports[span]["stage"] = "own loop"
            try:
                await self._media.client.call("bert_start", id=name, span=span, timeslots=self._bearers(row))
            except StrowgerError:
                found[span] = {"busy": True}
                return
            try:
                await self._framers.loop(span, "local")
                await asyncio.sleep(OWN_LOOP_S / 2)
                before = next(figures for figures in (await self._media.client.call("berts"))["berts"] if figures["id"] == name)
                await self._media.client.call("bert_insert", id=name, errors=TEST_ERRORS)
                await asyncio.sleep(OWN_LOOP_S / 2)
            finally:
                figures = (await self._media.client.call("bert_stop", id=name)).get("bert")
                await self._framers.loop(span, "none")
            found[span] = {**figures, "errors": figures["errors"] - before["errors"], "inserted": TEST_ERRORS}
        await asyncio.gather(*(one(row) for row in rows))
        return found

    async def _pairs(self, rows, reports):
        """{span: the span on which the far end answers that hears it}, of spans that are good so far and carry no calls."""
        kept = []
        try:
            for row in rows:
                if row["type"] == "e1" and not self._keeper.defects(row["span"]):
                    try:
                        await self._media.client.call("bert_start", id="pairs-%d" % row["span"], span=row["span"], timeslots=self._bearers(row))
                        kept.append(row["span"])
                    except StrowgerError:
                        pass            # a call is on it
            if len(kept) < 2:
                return {}
            for span in kept:
                reports[span]["stage"] = "pairs"
            return {there: here for here, there in (await turn_up_pairs.ask(kept, self._framers, self._keeper)).items()}
        except StrowgerError as error:
            log.warning("turn-up: %s", error)
            return {}
        finally:
            stops = [self._media.client.call("bert_stop", id="pairs-%d" % span) for span in kept]
            for error in await asyncio.gather(*stops, return_exceptions=True):      # one that fails keeps no other's running
                if isinstance(error, StrowgerError):
                    log.warning("turn-up: %s", error)

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

    async def _loop_test(self, rows):
        """{span: (whether our own pattern comes back, or None; the other span at which it arrives, or None)}."""
        tests, run = {}, self._runs
        wanted = {row["span"]: TEST_ERRORS + place for place, row in enumerate(rows)}
        try:
            for row in rows + [r for r in self._config.running()["spans"] if r["enabled"] and r["span"] not in wanted]:
                name = "turn-up-%d-%d" % (run, row["span"])
                for timeslot in reversed(self._bearers(row)):
                    try:
                        await self._media.client.call("bert_start", id=name, span=row["span"], timeslots=[timeslot])
                        tests[row["span"]] = name
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
            for name in tests.values():
                try:
                    await self._media.client.call("bert_stop", id=name)
                except StrowgerError as error:
                    log.warning("turn-up: %s", error)
        counted = {span: figures[name]["errors"] - before.get(name, 0) for span, name in tests.items() if name in figures and figures[name]["synced"]}
        heard = {}
        for span, errors in wanted.items():
            others = [other for other in counted if other != span and counted[other] == errors]
            looped = counted.get(span) == errors
            heard[span] = (None, None) if span not in tests else (looped, others[0] if others and not looped else None)
        return heard

    # -- calls --

    async def _calls(self, row, options, report, facts):
        span, number = row["span"], options["number"]
        facts.update(number=number, incoming_s=options["incoming_s"])
        if number and facts["up"] and row["signalling"] != "none":
            report["stage"] = "calls"
            try:
                facts["out"] = await self._test_calls.place(span, number)
            except StrowgerError as error:
                facts["out"] = {"answer_ms": None, "cause": None, "figures": None, "why": str(error)}
        facts["in"] = self._test_calls.came_in(span, report["started_ms"])
        if options["incoming_s"] and facts["in"] is None:
            report["stage"] = "waits for a call"
            for _ in range(int(options["incoming_s"] / LOOK_S)):
                await asyncio.sleep(LOOK_S)
                facts["in"] = self._test_calls.came_in(span, report["started_ms"])
                if facts["in"] is not None:
                    break


def _failed(error):
    return {"check": "test", "result": "fail", "key": None, "arguments": {}, "text": "The test itself failed: %s" % error}
