"""The pages of the lines: the picture of 64 spans, and that each page renders in both languages."""

import pytest

from webui.lines import LOOPS, PATTERNS, picture
from webui.render import LANGUAGES, render, where

ALARM = {"id": 4, "kind": "los", "severity": "critical", "members": ["span 3", "span 4"], "text": "no signal <b>", "advice": "look",
         "raised_ms": 1_790_000_000_000, "cleared_ms": None, "detail": {"span 3": "since <i>"}}
LINES = {str(n): {"loop": None, "code_sent": None, "code_received": None, "turn_up": None} for n in (1, 3, 5)}
COUNTS = {name: 0 for name in ("es", "ses", "bbe", "uas", "fe_es", "fe_ses", "slips")}


def test_the_picture_has_64_places_with_the_worst_of_each():
    lines = {**LINES, "5": {**LINES["5"], "loop": {"kind": "local", "by": "us"}}}
    ports = picture([ALARM, {**ALARM, "severity": "minor", "members": ["span 1", "span 3"]}], lines)
    assert [p["span"] for p in ports] == list(range(1, 65))
    assert {p["span"]: p["state"] for p in ports if p["state"] != "absent"} == {1: "minor", 3: "critical", 5: "looped"}
    assert len({(p["x"], p["y"]) for p in ports}) == 64 and ports[3]["what"] is None     # span 4 is not configured


def test_sources_in_short():
    assert where(["span 1", "span 2", "span 4", "clock"]) == "span 1-2, span 4, clock"


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
                  patterns=PATTERNS, loops=LOOPS, bins=[], now={"start_s": 900, **COUNTS}, why='{"detail": "no room"}')
    assert "ESF" in page and "100 % sure" in page and "no room" in page and "turn_up." not in page
