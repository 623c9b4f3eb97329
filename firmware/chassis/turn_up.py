"""Turn-up of spans: looks, tests, calls, and says in sentences what is wrong; ends in the facts of an acceptance report.

One run takes one span or many beside one another.  Of each it gathers, on a running house:

    own loop   (wanted by "loop") PRBS through our own loop in every timeslot, with the span free of calls; then the line must come back
    pairs      (wanted by "loop", E1) which far end answers to which span: turn_up_pairs.py
    loop       a bit error test in one idle timeslot of each span: so many wrong bits are put in, another number for each span,
               that whoever counts exactly so many hears that span: itself (a loop), or another (crossed cables)
    watch      alarms, errors, slips, clock, signalling for "seconds"
    call out   (wanted by a number) a test call over the span, measured: test_calls.py
    call in    (wanted by "incoming_s") a call to a test number of ours that comes in over the span meanwhile

turn_up_judge.py judges.  But for the own loop calls on the span go on; a timeslot that is busy is not tested.

A run can be cancelled: what it holds of the lines is given back (turn_up_held.py), its reports say what was measured until then.  The last run,
and each that goes on, is kept at every step, before the step begins: a killed control process leaves reports that say in which step they were
cut, the next one takes back what was set, and the same can be begun again."""

import asyncio
import logging

from firmware.chassis.framers import LEVELS
from firmware.chassis.turn_up_held import Held, left_behind
from firmware.chassis.turn_up_judge import cut, judge, judge_so_far
from firmware.chassis.turn_up_tests import LineTests, all_of
from firmware.errors import LocalError, StrowgerError
from firmware.links.adapter import Adapter

log = logging.getLogger(__name__)

SETTLE_S = 1.0                      # after our own loop, until the framers show the line again
LOOK_S = 0.2
BEFORE_MS = 60_000                  # how long before the test a line that came and went counts; invented
KEEP_S = 5.0                        # between looks at what was measured so far, for the page and for who comes after a kill; invented
CANCEL_S = 15.0                     # for what is set to be given back: an order to a board takes 5 s at most
HOLDS = ("own loop", "pairs")       # steps that order loops and forced alarms
OPTIONS = {"seconds": 10, "number": None, "incoming_s": 0, "loop": False}


class TurnUp(LineTests, Adapter):
    """framers, keeper, spans (PRI), test_calls: adapters.  bearers(row): the timeslots of a span that carry calls."""

    name = "turn_up"

    def __init__(self, house, framers, keeper, spans, bearers, test_calls):
        self._bearers, self._test_calls = bearers, test_calls
        self._framers, self._keeper, self._spans = framers, keeper, spans
        self._house, self._media, self._clock, self._config = house, house.media, house.turns.clock, house.config
        self._turns = house.turns
        self._reports, self._tasks, self._runs = {}, {}, 0      # span -> report; task -> run; number of the last run
        self._close = frozenset()       # spans that are listened to closely
        self._unsaved, self._cleared = False, False             # whether what an earlier process left was taken back
        self._clearing = None                                   # the task of that
        self._stages = {}                                       # of an earlier process: {span: step in which it was cut}
        self.last = house.stores.machines.load("turn_up")       # the last run of all: {"number", "started_ms", "ended_ms", "options", "spans": [report]}
        if self.last is not None:
            self._runs = self.last["number"]
            for run in (*self.last.pop("others", ()), self.last):
                for report in run["spans"]:
                    if report["running"]:
                        self._stages[report["span"]] = report["stage"]
                        self._cut(report, "interrupted")
                        run["ended_ms"] = report["ended_ms"]
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
        self._tasks[task] = run
        task.add_done_callback(lambda ended: self._over(self._tasks.pop(ended)))
        return run

    def _over(self, run):
        """A task is at its end; cancelled before its first step it has said nothing."""
        if run.get("cancelled") and run["ended_ms"] is None:
            for report in run["spans"]:
                if report["running"]:
                    self._cut(report, "cancelled")
            run["ended_ms"] = self._clock.now_ms()
            self._keep()

    async def cancel(self, span=None):
        """End the run that a span is in (all its spans), or whatever runs.  Returns the last run, when all is given back.  Raises LocalError where none runs."""
        found = {task: run for task, run in self._tasks.items() if span is None or any(row["span"] == span and row["running"] for row in run["spans"])}
        if not found:
            raise LocalError("no turn-up runs" if span is None else "span %d is not being tested" % span)
        for task, run in found.items():
            if not run.get("cancelled"):
                run["cancelled"] = True
                task.cancel()
        await asyncio.wait(found, timeout=CANCEL_S)
        return self.whole()

    def report(self, span):
        """The last report of a span.  Raises LocalError when there is none."""
        if span not in self._reports:
            raise LocalError("Span %d has not been tested yet." % span)
        return self._reports[span]

    def whole(self):
        """The last run.  Raises LocalError when there was none."""
        if self.last is None:
            raise LocalError("No span has been tested yet.")
        return {**self.last, "running": self.last["ended_ms"] is None and any(report["running"] for report in self.last["spans"]),
                "test_numbers": [row["number"] for row in self._config.running()["numbers"] if row["application"] == "test"]}

    def tested(self):
        """{span: "running", "pass" or "fail"} of the reports that there are."""
        return {span: "running" if report["running"] else report["verdict"] for span, report in self._reports.items()}

    def must_not_hold(self, span):
        """Raises LocalError while the turn-up itself loops a span or forces its alarms: what a person orders then would end with it."""
        if self._reports.get(span, {}).get("running") and self._reports[span]["stage"] in HOLDS:
            raise LocalError("span %d is being tested with loops and forced alarms of the turn-up's own; wait for the next step, or cancel the test" % span)

    def asked(self):
        """Spans on which all ones are sent (their far ends say RAI), or whose threshold is lowered."""
        return self._close | {report["span"] for run in self._tasks.values() for report in run["spans"] if report["stage"] == "pairs"}

    def start(self):
        """What an earlier process left on lines is taken back as soon as media is there."""
        if self._house.media.serving:
            self._clear()

    def media_found(self, audit, now_ms):
        """Tests of an earlier control process may run in it."""
        if not self._cleared:
            asyncio.get_running_loop().call_soon(self._clear)

    def _clear(self):
        if not self._cleared:
            self._cleared = True
            self._clearing = asyncio.get_running_loop().create_task(left_behind(self._media.client, self._framers, self._runs, self._stages))

    def stop(self):
        """End what runs; the next control process finds it cut."""
        for task in self._tasks:
            task.cancel()

    def dirty(self):
        """Whether something of a run has not been written."""
        return self._unsaved

    def save(self, stores):
        """Keep the last run, and others that go on."""
        if self._unsaved:
            others = [run for run in self._tasks.values() if run is not self.last]
            stores.machines.save("turn_up", {**self.last, "others": others} if others else self.last)

    def saved(self):
        """It is kept."""
        self._unsaved = False

    def _keep(self):
        self._unsaved = True
        if not self._turns.fault:
            self._turns.run("turn_up", lambda now_ms: None)

    # -- a run --

    async def _run(self, rows, options, run):
        reports, got = {report["span"]: report for report in run["spans"]}, {row["span"]: {} for row in rows}
        held, told = Held(self._media.client, self._framers, run["number"]), None

        def stage(name, spans=reports):
            for span in spans:
                reports[span]["stage"] = name
            self._so_far(rows, reports, got)
        try:
            if self._clearing is not None:
                await self._clearing
            told = asyncio.create_task(self._tell(rows, reports, got))
            if options["loop"]:
                stage("own loop")
                for span, figures in (await self._own_loops(rows, held)).items():
                    got[span]["prbs"] = figures
                await asyncio.sleep(SETTLE_S)
                for span, answers in (await self._pairs(rows, held, stage)).items():
                    got[span]["answers"] = answers
                stage("settles")
                await self._settled(rows)
            for row in rows:
                got[row["span"]].update(before=self._keeper.sums(row["span"]), watched=(0, set()), watched_s=0)
            stage("loop")
            await all_of((self._heard(rows, held, got, stage), *(self._watch(row, options["seconds"], got[row["span"]]) for row in rows)))
            for row in rows:                        # before a lowered threshold lets a signal through
                got[row["span"]]["alarms"] = self._keeper.defects(row["span"])
            stage("listens")
            for span, level_db in (await self._listen_closely(rows)).items():
                got[span]["weak"] = level_db
            await all_of(self._finish(row, options, reports[row["span"]], got[row["span"]], held) for row in rows)
        except asyncio.CancelledError:
            if not run.get("cancelled"):
                raise                           # the process ends
            await held.give_all_back()
            self._so_far(rows, reports, got)
            for report in reports.values():
                if report["running"]:
                    self._cut(report, "cancelled", held)
        except Exception as error:
            log.exception("turn-up")
            await held.give_all_back()
            for report in reports.values():
                if report["running"]:
                    self._end(report, [_failed(error), *report["findings"]])
        finally:
            if told is not None:
                told.cancel()
        run["ended_ms"] = self._clock.now_ms()
        self._keep()

    async def _tell(self, rows, reports, got):
        while True:
            await asyncio.sleep(KEEP_S)
            self._so_far(rows, reports, got)

    def _so_far(self, rows, reports, got):
        """What was measured until now, into the reports of spans that are not done; kept."""
        clocks = self._keeper.examine_clocks()["spans"]
        for row in rows:
            report, facts = reports[row["span"]], got[row["span"]]
            if report["running"]:
                report["findings"] = judge_so_far(self._facts(row, facts.get("watched_s", 0), facts, clocks), facts)
        self._keep()

    async def _heard(self, rows, held, got, stage):
        for span, heard in (await self._loop_test(rows, held)).items():
            got[span]["heard"] = heard
            if heard[0] is not None:
                self._keeper.hears_us(span, any(heard))
        stage("watches")

    async def _finish(self, row, options, report, got, held):
        try:
            facts = self._facts(row, options["seconds"], got, self._keeper.examine_clocks()["spans"])
            await self._calls(row, options, report, facts, got)
            self._end(report, [*judge(facts), *self._left(report, held)])
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("turn-up of span %d", row["span"])
            self._end(report, [_failed(error)])

    def _end(self, report, findings):
        report["findings"], report["running"], report["stage"] = findings, False, "done"
        report["verdict"] = "fail" if any(finding["result"] == "fail" for finding in findings) else "pass"
        report["ended_ms"] = self._clock.now_ms()

    def _cut(self, report, why, held=None):
        """It did not come to its end: "cancelled" or "interrupted"."""
        report.update(running=False, verdict=why, ended_ms=self._clock.now_ms())
        report["findings"] = [cut(why, report["stage"]), *report["findings"], *self._left(report, held)]

    @staticmethod
    def _left(report, held):
        fault = held.faults.get(report["span"]) if held is not None else None
        return [] if fault is None else [{"check": "test", "result": "fail", "key": None, "arguments": {}, "text":
                "What the test had set on the line could not be taken back: %s. Look at the span's loop and bit error tests, and end them there." % fault.rstrip(".")}]

    def _facts(self, row, seconds, got, clocks):
        span, after = row["span"], self._keeper.sums(row["span"])
        before, seconds = got.get("before", after), max(1, seconds)
        line = self._framers.lines().get(span) or {}
        link = self._spans.span_with(span)
        serves = None if link is None or span in link.links else link.number          # of a group with one D channel: another span's
        errors = {name: after[name] - before[name] for name in after}
        looped, crossed = got.get("heard", (None, None))
        settings = self._config.running().get("turn_up") or {}
        since_ms = self._reports[span]["started_ms"] - BEFORE_MS
        bad_seconds, bad_names = got.get("watched", (None, ()))
        return {**{name: line.get(name) for name in LEVELS}, "weak_db": got.get("weak"), "span": span, "type": row["type"], "framing": row["framing"], "crc4": row["crc4"], "side": row["side"],
                "signalling": row["signalling"], "d_timeslot": row["d_timeslot"], "alarms": got["alarms"] if "alarms" in got else self._keeper.defects(span),
                "seconds": seconds, "errors": errors["errors"], "far_errors": errors["far_errors"],
                "blocks": errors["seconds"] * (333 if row["type"] != "e1" else 1000), "slips": errors["slips"],
                "clock_selected": self._keeper.clock_selection.selected == "span %d" % span,
                "clock": clocks.get(str(span)), "clocks": clocks, "comings": self._keeper.comings(span, since_ms), "comings_min": (self._clock.now_ms() - since_ms) / 60_000, "bad_seconds": bad_seconds, "bad_names": bad_names,
                "d_span": serves,
                "link_up": bool(link is not None and link.up and (serves is not None or len(link.links) == 1 or span in link.open_links)), "up": self._is_up(span), "loop": (line.get("loop") or {}).get("kind"),
                "code": line.get("code_received"), "looped": looped, "crossed": crossed, "prbs": got.get("prbs"), "answers": got.get("answers"),
                "number": None, "configured_number": settings.get("number", ""), "out": None, "in": None, "incoming_s": 0, "least_erl_db": settings.get("least_erl_db", 6), "least_tone_dbm0": settings.get("least_tone_dbm0", -30)}

    def _is_up(self, span):
        return self._house.switchboard.core.span_is_up(span)

    async def _watch(self, row, seconds, got):
        """got["watched"]: (seconds in which an alarm stood, its kinds); got["watched_s"]: of so many."""
        bad, names = got["watched"]
        for second in range(seconds):
            this = set()
            for _ in range(int(1 / LOOK_S)):
                this |= self._keeper.defects(row["span"])
                await asyncio.sleep(LOOK_S)
            bad, names = bad + bool(this), names | this
            got.update(watched=(bad, sorted(names)), watched_s=second + 1)
            names = set(names)

    # -- calls --

    async def _calls(self, row, options, report, facts, got):
        span, number = row["span"], options["number"]
        got["calls"] = facts
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
