"""The pages of the lines: the picture of 64 spans, and that each page renders in both languages."""

import ast
import pathlib
import re
import shutil
import subprocess

import pytest

from drivers.tdm import cesopsn, dahdi
from firmware.chassis.clock_selection import QUALITIES
from firmware.chassis.turn_up_judge import CHECKS
from webui import acceptance
from webui.lines import LOOPS, PATTERNS, picture
from webui.render import CATALOGUES, LANGUAGES, render
from webui.sayings import Sayings, where
from webui.turn_up import spans_of

ALARM = {"id": 4, "kind": "los", "severity": "critical", "members": ["span 3", "span 4"], "text": "no signal <b>", "advice": "look",
         "raised_ms": 1_790_000_000_000, "cleared_ms": None, "detail": {"span 3": "since <i>"}}
LINES = {str(n): {"loop": None, "code_sent": None, "code_received": None, "turn_up": None, "bearer": {"kind": "board"}} for n in (1, 3, 5)}
COUNTS = {name: 0 for name in ("es", "ses", "bbe", "uas", "fe_es", "fe_ses", "slips")}


def test_the_picture_has_64_places_with_the_worst_of_each():
    lines = {**LINES, "5": {**LINES["5"], "loop": {"kind": "local", "by": "us"}}}
    ports = picture([ALARM, {**ALARM, "severity": "minor", "members": ["span 1", "span 3"]}], lines)
    assert [p["span"] for p in ports] == list(range(1, 65))
    assert {p["span"]: p["state"] for p in ports if p["state"] != "absent"} == {1: "minor", 3: "critical", 5: "looped"}
    assert len({(p["x"], p["y"]) for p in ports}) == 64 and ports[3]["what"] is None     # span 4 is not configured


def test_sources_in_short():
    assert where(["span 1", "span 2", "span 4", "clock"]) == "span 1-2, span 4, clock"


RUN = {"number": 3, "site": "x <b>", "started_ms": 1_790_000_000_000, "ended_ms": 1_790_000_040_000, "running": False, "test_numbers": ["8888"],
       "options": {"seconds": 10, "number": "10000", "incoming_s": 0, "loop": True}, "spans": [
           {"span": n, "type": "e1", "signalling": "pri", "verdict": verdict, "running": False, "stage": "done", "started_ms": 1, "ended_ms": 9000, "findings": findings}
           for n, verdict, findings in ((1, "pass", []), (64, "fail", [
               {"check": check, "result": "fail", "key": None, "arguments": {}, "text": "wrong % <i> 100"} for check in CHECKS]))]}
HEARD = {"heard_hz": 1004.0, "heard_dbm0": -10.0, "level_dbm0": -10.0, "erl_db": 41.9, "erl_is_least": True, "looped": False, "tone_back_dbm0": None}
CALL = {"call": "c1", "way": "out", "span": 1, "timeslot": 5, "number": "10000", "started_ms": 1, "answer_ms": 5, "ended_ms": 9, "cause": 16, "figures": HEARD,
        "why": None}
FINDING = {"ppm": 49.9, "text": "Span 2 is <b>", "advice": "look <i>"}
DOCTOR = {"reference": "span 1", "mode": "locked", "spans": {"2": {"ppm": 49.9, "within_ppm": 0.2, "slips": 9, "seconds": 60, "errored": 0}}, "findings": [
    {**FINDING, "finding": name, "key": key, "spans": [2, 3], "arguments": arguments} for name, key, arguments in (
        ("bad_line", "bad_line", {}), ("bad_line", "bad_line.weak", {"db": 20.4}), ("restless", "restless", {}), ("not_followed", "not_followed", {}), ("odd_reference", "odd_reference", {"reference": 1}),
        ("no_reference", "no_reference", {}), ("own_clock", "own_clock.box", {"reference": None}), ("own_clock", "own_clock.span", {"reference": 1}),
        ("own_clock", "own_clock.external", {"reference": None}), ("one_clock", "one_clock", {"slips": 0, "within": 0.1}))]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_of_turn_up_and_clock_render(language):
    common = {"site": "x", "user": "admin", "path": "/turn_up", "zone": "Asia/Shanghai"}
    spans = acceptance.contents(RUN, language, "Asia/Shanghai")["spans"]
    page = render("turn_up.html", language, **common, run=RUN, spans=spans, calls=[CALL, {**CALL, "figures": None, "why": "cut <b>"}], why=None)
    assert "1004 Hz" in page and "check." not in page and "<i> 100" not in page and ("呼出" in page) == (language == "zh_CN")
    assert "check." not in str(spans) and "result." not in str(spans)
    clock = render("clock.html", language, **common, doctor=DOCTOR, clock={"sources": [
        {"source": "span 1", "state": state, "quality": quality, "priority": 1, "selected": True, "locked_out": state == "failed", "reason": reason}
        for state in ("usable", "waiting", "failed") for quality in QUALITIES for reason in ("", "ais, los", "out of frequency", "nothing heard of it yet")]})
    assert "clock." not in clock.split("<main>")[1] and clock.count("<article") == 10
    assert ("中继线 2-3" in clock and "快 49.9 ppm" in clock and "Span 2 is" not in clock) == (language == "zh_CN")
    for nothing in ({"run": None, "spans": [], "calls": []},):
        assert "<table" not in render("turn_up.html", language, **common, **nothing, why='{"detail": "no <b>"}')


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_acceptance_report_stands_by_itself(language):
    html = acceptance.as_html(RUN, language, "Asia/Shanghai")
    assert "x &lt;b&gt;" in html and "100" in html and "http" not in html and ("验收报告" in html) == (language == "zh_CN") and "2026-09-21" in html


@pytest.mark.parametrize("language, count, more", [("en", "1 of 2 spans passed", "(and %d more)"), ("zh_CN", "2 条中 1 条通过", "(另有 %d 项)")])
def test_the_acceptance_report_counts_and_gives_reasons(language, count, more):
    shown = acceptance.contents(RUN, language, "Asia/Shanghai")
    assert shown["heads"][-1][1] == count
    assert shown["summary"][0]["cells"][3] == "" and shown["summary"][1]["cells"][3].endswith(more % (len(CHECKS) - 1))
    now = {**RUN, "spans": [*RUN["spans"], {**RUN["spans"][0], "running": True, "verdict": None}]}
    assert count[0] not in acceptance.contents(now, language, "Asia/Shanghai")["heads"][-1][1]
    cut = {"check": "call in", "result": "fail", "key": "call_in_unmeasured", "arguments": {"timeslot": 7, "why": "the call ended before it was measured"},
           "text": "A call came in on timeslot 7, but was not measured: the call ended before it was measured"}
    row = acceptance.contents({**RUN, "spans": [{**RUN["spans"][1], "findings": [cut]}]}, language, "Asia/Shanghai")
    assert row["summary"][0]["cells"][3] == row["spans"][0]["rows"][0]["text"] and ("ended before" in str(row)) == (language == "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_acceptance_report_as_pdf(language, tmp_path):
    """64 spans; read back by Poppler: each text is there, all fonts are embedded."""
    pytest.importorskip("fpdf", reason="the library of the PDF is not installed yet: make setup")
    many = {**RUN, "spans": [{**RUN["spans"][n % 2], "span": n + 1} for n in range(16)]}
    (tmp_path / "a.pdf").write_bytes(acceptance.as_pdf(many, language, "Asia/Shanghai"))
    if shutil.which("pdftotext") is None:
        return
    text = subprocess.run(["pdftotext", "-layout", str(tmp_path / "a.pdf"), "-"], capture_output=True, text=True, check=True)
    assert text.stderr == "" and text.stdout.count("10000") == 1 and "8888" in text.stdout and ("验收报告" in text.stdout) == (language == "zh_CN")
    if language == "zh_CN":         # no line begins with what closes
        assert not [line for line in text.stdout.splitlines() if line.strip()[:1] in set("。，、；：）")]
    fonts = subprocess.run(["pdffonts", str(tmp_path / "a.pdf")], capture_output=True, text=True, check=True).stdout.splitlines()[2:]
    assert fonts and all(" yes yes yes " in line for line in fonts)


def test_how_a_line_of_the_report_breaks():
    class Page:
        def get_string_width(self, text):
            return sum(2 if character > "\u2e80" else 1 for character in text)
    for text, width, lines in (("One two three", 7, ["One two", "three"]), ("信号足够强。请核对", 10, ["信号足够", "强。请核对"]),
                               ("时隙 16，不是（时隙 17）。", 12, ["时隙 16，不", "是（时隙", "17）。"]), ("", 5, [""])):
        assert acceptance._wrap(Page(), text, width) == lines


@pytest.mark.parametrize("text, spans", [("", "all"), (" ", "all"), ("3", [3]), ("1-4, 7", [1, 2, 3, 4, 7]), ("2,2", [2]), ("x", ["x"]), ("1-", ["1-"]), ("\u0663", ["\u0663"])])
def test_spans_as_people_write_them(text, spans):
    assert spans_of(text) == spans


def test_every_sentence_of_the_doctor_is_there_in_chinese():
    said = {key for key in CATALOGUES["zh_CN"].messages if key.startswith("clock.")}
    for row in DOCTOR["findings"]:
        assert "clock.text." + row["key"] in said and "clock.advice." + row["finding"] in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_render(language):
    common = {"site": "x", "user": "admin", "path": "/alarms", "zone": "UTC"}
    alarms = render("alarms.html", language, **common, alarms=[ALARM], history=[ALARM], ports=picture([ALARM], LINES), width=416, height=272)
    assert "<b>" not in alarms.split("<main>")[1].replace("<b></b>", "") and "<i>" not in alarms and alarms.count("<rect") == 64
    assert ("线路没有信号" in alarms) == (language == "zh_CN") and ("中继线 3-4" in alarms) == (language == "zh_CN")
    page = render("performance.html", language, **common, spans={"1": {"available": False, "quarter": COUNTS, "week": None}})
    assert "■" in page
    finding = {"check": "signal", "result": "fail", "key": "lfa_t1", "arguments": {"framing": "ESF", "span": 1, "seconds": 5},
               "text": "no ESF frames, 100 % sure"}
    report = {"running": False, "verdict": "fail", "ended_ms": 1, "findings": [finding, {**finding, "key": None}]}
    page = render("line.html", language, **common, span=1, line={**LINES["1"], "loop": {"kind": "remote", "timeslot": None, "by": "far end"}},
                  report=report, alarms=[ALARM], berts=[{"id": "bert-1-all", "pattern": "qrss", "timeslots": [1, 2], "synced": True,
                                                        "seconds": 3, "unsynced_seconds": 0, "bits": 9, "errors": 1, "es": 1}],
                  patterns=PATTERNS, loops=LOOPS, bins=[], now={"start_s": 900, **COUNTS}, why='{"detail": "no room"}',
                  nfas={"group": "g", "interface": 1, "d_channel": "none", "leader": 7})
    assert "ESF" in page and "100 % sure" in page and "no room" in page and "turn_up." not in page
    assert "/lines/7" in page and "nfas." not in page and ("对端" if language == "zh_CN" else "the far end") in page
    packets = {**ALARM, "members": ["span 1"], "detail": {"span 1": "no packets come from 192.0.2.1:9"}}
    page = render("line.html", language, **common, span=1, report=None, alarms=[packets], berts=[], line={**LINES["1"],
                  "loop": {"kind": "timeslot", "timeslot": 5, "by": "turn-up"}, "bearer": {"kind": "cesopsn", "local": "192.0.2.2:8", "remote": "192.0.2.1:9", "fault": None}},
                  patterns=PATTERNS, loops=LOOPS, bins=[], now=None, nfas=None, why='{"detail": "the span is looped already: remote loop, ordered by turn-up"}')
    assert ("时隙 5 · 命令者: 开通测试" if language == "zh_CN" else "Timeslot 5 · Ordered by: the turn-up") in page and ("已被开通测试环回" in page) == (language == "zh_CN")
    assert "cesopsn · 192.0.2.2:8 ↔ 192.0.2.1:9" in page and ("没有收到来自 192.0.2.1:9" if language == "zh_CN" else "no packets come from 192.0.2.1:9") in page


def said_by(module, *functions):
    """The sentences that some functions of a module make, each blank filled."""
    for function in ast.walk(ast.parse(pathlib.Path(module.__file__).read_text())):
        if isinstance(function, ast.FunctionDef) and function.name in functions:
            for part in ast.walk(function):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and " " in part.value and part.value != ast.get_docstring(function):
                    yield re.sub("%[sd]", "192.0.2.1", part.value)


def test_what_is_said_of_bearers_is_said_in_chinese():
    """Every sentence of a pseudowire's or a card's alarms; of a few their inner part is a sentence itself."""
    said = Sayings(CATALOGUES["zh_CN"]).said_detail
    texts = {*said_by(cesopsn, "_alarms", "_framing", "_misfit"), *cesopsn.MISFITS.values(), *said_by(dahdi, "_alarms")} - {"; and ", "192.0.2.1 has 192.0.2.1"}
    texts |= {"DAHDI span 3 has " + told for told in dahdi.TOLD.values()} | {text.replace("sends 192.0.2.1 RTP", "sends %s RTP" % word) for text in texts for word in ("an", "no")}
    texts = {text for text in texts if "sends 192.0.2.1 RTP" not in text}
    both = list(cesopsn.MISFITS.values())[:2]
    texts.add("packets of 192.0.2.1 are thrown away: " + "; and ".join(both))
    texts.add("packets of 192.0.2.1 are thrown away: they have 4 octets where 16 are expected; the far end sends no RTP header: set rtp alike at both ends")
    assert len(texts) > 20
    english = {text: said(text) for text in texts if re.search("[a-z]{2,} [a-z]{2,}", said(text).replace("DAHDI span 3", ""))}
    assert not english
