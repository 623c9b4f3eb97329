"""Turn-up of a span: looks, tests, and says in sentences what is wrong.

judge(facts) is pure; TurnUp gathers the facts of one span on a running house: alarms, errors, slips, the data link, and a bit
error test in one idle timeslot (five wrong bits are sent: whoever counts exactly five hears us).  Calls on the span go on; a timeslot
that is busy is not tested.  Not in it: test calls and echo return loss.

A finding is {"check", "result": "pass", "fail" or "note", "key", "arguments", "text"}: `key` is the sentence's name for other
languages, `text` says it in English."""

import asyncio
import logging

from firmware.errors import LocalError, StrowgerError
from firmware.links.adapter import Adapter

log = logging.getLogger(__name__)

TEST_ERRORS, TEST_S = 5, 3.0
SLIP_PPM = 125.0            # a slip is 125 us: so many ppm if it comes once a second
SENTENCES = {
    "signal_ok": "Signal and frames arrive.",
    "los": "No signal arrives: the cable is not plugged, or its pairs are crossed (receive on transmit). Exchange the two pairs, then look "
           "at the receive pair and at the far end's power.",
    "ais": "All ones arrive: the cable is good, the fault is behind the far end's equipment. Ask the carrier.",
    "lfa_e1": "A signal arrives, but no E1 frames: the far end is a T1, or has another line code, or a bad line. Compare the settings of both ends.",
    "lfa_t1": "A signal arrives, but no %(framing)s frames: the far end has another framing (ESF or D4), or is an E1, or has another line code.",
    "rai": "We hear the far end, it does not hear us (one way): our transmit pair is open, or it insists on CRC-4 and it is off here.",
    "rai_crc4": "We hear the far end, it does not hear us (one way): our transmit pair is open, or CRC-4 is off there and on here.",
    "crc4_far_off": "CRC-4 is set wrongly at one end: it is on here, the far end sends none. Set both ends alike.",
    "crc_all": "Every CRC is wrong although the frames are good: one end is set to T1, the other to J1.",
    "errors_none": "No errors in %(seconds)d s.",
    "errors": "%(errors)d errored blocks in %(seconds)d s: a bad pair or connector, or too long a cable.",
    "far_errors": "The far end counts %(errors)d errored blocks of ours in %(seconds)d s: our transmit pair is bad.",
    "clock_ok": "No slips in %(seconds)d s: both ends have one clock, or nearly.",
    "clock_follow": "%(slips)d slips in %(seconds)d s: the far end's clock is about %(ppm).1f ppm away from ours. We are its user: name span %(span)d as "
                    "clock source of the box.",
    "clock_selected": "%(slips)d slips in %(seconds)d s although this span is the box's clock: the line is bad, or the far end's clock jumps.",
    "clock_far": "%(slips)d slips in %(seconds)d s: the far end's clock is about %(ppm).1f ppm away from ours, and it should follow us: set its clock to "
                 "the line. If the carrier gives the clock there, name span %(span)d as clock source here.",
    "looped_far": "What we send comes back bit for bit: the far end is in loop, or a loop plug is in the socket.",
    "looped_near": "The span is looped by ourselves (%(kind)s): end the loop, then test again.",
    "looped_code": "The far end has ordered a loop by a loop code: it is testing the line.",
    "crossed": "What this span sends arrives at span %(other)d: two cables are crossed.",
    "no_loop": "The far end is not in loop.",
    "no_loop_test": "No timeslot was free for a loop test.",
    "link_up": "The D channel is up.",
    "link_down": "The line is good, but the D channel does not come up: the far end has not enabled it, both ends are the same side (user or "
                 "network), or it is in another timeslot than %(timeslot)d.",
    "link_looped": "The D channel hears itself: it comes up when the loop ends.",
    "link_waits": "The D channel waits for the line.",
}


def judge(facts):
    """Findings.  facts: {"span", "type", "framing", "crc4", "side", "signalling", "d_timeslot", "alarms": set of names now,
    "seconds", "errors", "far_errors", "blocks", "slips", "clock_selected": bool, "link_up": bool, "loop": kind of our own or None,
    "code": loop code that came or None, "looped": bool or None (not tested), "crossed": other span or None}"""
    findings, alarms = [], facts["alarms"]

    def find(check, result, key, **arguments):
        arguments = {"span": facts["span"], "seconds": facts["seconds"], **arguments}
        findings.append({"check": check, "result": result, "key": key, "arguments": arguments, "text": SENTENCES[key] % arguments})
    line = "los" if "los" in alarms else "ais" if "ais" in alarms else "lfa" if "lfa" in alarms else None
    if line == "lfa":
        find("signal", "fail", "lfa_e1" if facts["type"] == "e1" else "lfa_t1", framing=facts["framing"].upper())
    elif line:
        find("signal", "fail", line)
    else:
        find("signal", "pass", "signal_ok")
        if "rai" in alarms:
            find("far end", "fail", "rai_crc4" if facts["crc4"] and facts["type"] == "e1" else "rai")
        if alarms & {"no_crc4", "lmfa"}:
            find("crc4", "fail", "crc4_far_off")
        if facts["type"] != "e1" and facts["blocks"] and facts["errors"] >= 0.9 * facts["blocks"]:
            find("errors", "fail", "crc_all")
        elif facts["errors"]:
            find("errors", "fail", "errors", errors=facts["errors"])
        else:
            find("errors", "pass", "errors_none")
        if facts["far_errors"]:
            find("errors", "fail", "far_errors", errors=facts["far_errors"])
        if facts["slips"]:
            find("clock", "fail", "clock_selected" if facts["clock_selected"] else "clock_follow" if facts["side"] == "user" else "clock_far",
                 slips=facts["slips"], ppm=facts["slips"] * SLIP_PPM / facts["seconds"])
        else:
            find("clock", "pass", "clock_ok")
    looped = bool(facts["loop"]) or facts["looped"]
    if facts["loop"]:
        find("loop", "fail", "looped_code" if facts["code"] else "looped_near", kind=facts["loop"])
    elif facts["crossed"]:
        find("loop", "fail", "crossed", other=facts["crossed"])
    elif facts["looped"]:
        find("loop", "fail", "looped_far")
    elif not line:
        find("loop", *(("note", "no_loop_test") if facts["looped"] is None else ("pass", "no_loop")))
    if facts["signalling"] == "pri":
        if facts["link_up"] and not line:
            find("d channel", "pass", "link_up")
        elif line:
            find("d channel", "note", "link_waits")
        else:
            find("d channel", "fail", "link_looped" if looped else "link_down", timeslot=facts["d_timeslot"])
    return findings


class TurnUp(Adapter):
    """framers, keeper, spans: adapters.  bearers(row): the timeslots of a span that carry calls."""

    name = "turn_up"

    def __init__(self, house, framers, keeper, spans, bearers):
        self._bearers = bearers
        self._framers, self._keeper, self._spans = framers, keeper, spans
        self._media, self._clock, self._config = house.media, house.turns.clock, house.config
        self._reports, self._tasks = {}, {}

    def begin(self, row, seconds):
        """Begin; returns the report that grows.  Raises LocalError while one runs on the span."""
        span = row["span"]
        if self._reports.get(span, {}).get("running"):
            raise LocalError("span %d is being tested; wait for its report" % span)
        report = {"span": span, "type": row["type"], "running": True, "seconds": seconds, "started_ms": self._clock.now_ms(),
                  "ended_ms": None, "verdict": None, "findings": []}
        self._reports[span] = report
        self._tasks[span] = asyncio.get_running_loop().create_task(self._run(row, seconds, report))
        return report

    def report(self, span):
        """The last report.  Raises LocalError when there is none."""
        if span not in self._reports:
            raise LocalError("span %d has not been tested since the control process started" % span)
        return self._reports[span]

    def tested(self):
        """{span: "running", "pass" or "fail"} of the reports that there are."""
        return {span: "running" if report["running"] else report["verdict"] for span, report in self._reports.items()}

    def stop(self):
        """End what runs."""
        for task in self._tasks.values():
            task.cancel()

    async def _run(self, row, seconds, report):
        try:
            facts = await self._facts(row, seconds)
            report["findings"] = judge(facts)
            report["verdict"] = "fail" if any(f["result"] == "fail" for f in report["findings"]) else "pass"
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("turn-up of span %d", row["span"])
            report["verdict"], report["findings"] = "fail", [{"check": "test", "result": "fail", "key": None, "arguments": {},
                                                              "text": "The test itself failed: %s" % error}]
        finally:
            report["running"], report["ended_ms"] = False, self._clock.now_ms()

    async def _facts(self, row, seconds):
        span = row["span"]
        before = self._keeper.sums(span)
        looped, crossed = await self._loop_test(row)
        await asyncio.sleep(max(0.0, seconds - TEST_S))
        after = self._keeper.sums(span)
        line = self._framers.lines().get(span) or {}
        link = self._spans.spans.get(span)
        errors = {name: after[name] - before[name] for name in after}
        return {"span": span, "type": row["type"], "framing": row["framing"], "crc4": row["crc4"], "side": row["side"],
                "signalling": row["signalling"], "d_timeslot": row["d_timeslot"], "alarms": self._keeper.defects(span),
                "seconds": seconds, "errors": errors["errors"], "far_errors": errors["far_errors"],
                "blocks": errors["seconds"] * (333 if row["type"] != "e1" else 1000), "slips": errors["slips"],
                "clock_selected": self._keeper.clock_selection.selected == "span %d" % span,
                "link_up": bool(link is not None and link.machine.up), "loop": (line.get("loop") or {}).get("kind"),
                "code": line.get("code_received"), "looped": looped, "crossed": crossed}

    async def _loop_test(self, row):
        """(whether our own pattern comes back, or None; the other span at which it arrives, or None)."""
        tests = {}
        try:
            for other in [row] + [r for r in self._config.running()["spans"] if r["enabled"] and r["span"] != row["span"]]:
                name = "turn-up-%d-%d" % (row["span"], other["span"])
                for timeslot in reversed(self._bearers(other)):
                    try:
                        await self._media.client.call("bert_start", id=name, span=other["span"], timeslots=[timeslot])
                        tests[other["span"]] = name
                        break
                    except StrowgerError:
                        continue           # a call is on it
                if row["span"] not in tests:
                    return None, None
            await asyncio.sleep(TEST_S / 2)
            before = {row["id"]: row["errors"] for row in (await self._media.client.call("berts"))["berts"]}
            await self._media.client.call("bert_insert", id=tests[row["span"]], errors=TEST_ERRORS)
            await asyncio.sleep(TEST_S / 2)
            figures = {row["id"]: row for row in (await self._media.client.call("berts"))["berts"]}
            heard = [span for span, name in tests.items() if name in figures and figures[name]["synced"]
                     and figures[name]["errors"] - before.get(name, 0) == TEST_ERRORS]
        finally:
            for name in tests.values():
                try:
                    await self._media.client.call("bert_stop", id=name)
                except StrowgerError as error:
                    log.warning("turn-up: %s", error)
        others = [span for span in heard if span != row["span"]]
        return row["span"] in heard, others[0] if others and row["span"] not in heard else None
