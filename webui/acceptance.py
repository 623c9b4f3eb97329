"""The acceptance report of a turn-up: HTML and PDF, in the languages of the pages.

    run: the answer of GET /v1/turn_up.   as_html(run, "en", zone) -> text;   as_pdf(run, "zh_CN", zone) -> octets

Also a program, which the command `strowger turn-up` calls with the run on its standard input:
    python -m webui.acceptance html|pdf FILE [--language L] [--zone Z]

The PDF embeds of its fonts what it shows: Debian's fonts-dejavu-core, and for Chinese fonts-droid-fallback, which is small and has
TrueType outlines, as the library needs them, but no Latin letters."""

import argparse
import json
import os
import re
import sys

from firmware.errors import LocalError
from webui.render import CATALOGUES, LANGUAGES, duration, moment, render
from webui.sayings import Sayings

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
CHINESE = "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"
MARKS = {"pass": (28, 124, 60), "fail": (179, 38, 30), "note": (85, 85, 85)}
WIDTHS_MM, SUMMARY_MM, LINE_MM, HEADING_MM, GAP_MM, FOOT_MM, SIZE = (34, 20, 136), (16, 24, 18, 132), 5.0, 8.0, 4.0, 14.0, 9.5
# where a line may break: at blanks, and beside a character of full width, but not before what closes or after what opens
PIECES = re.compile(r" +|[（《「“(]*(?:[\u2e80-\uffef]|[^ \u2e80-\uffef]+)[。，、；：！？）》」”,.;:!?)]*")


def contents(run, language, zone):
    """What both forms show: {"title", "heads": [(name, value)], "summary_heads", "summary": [{"verdict", "cells"}], "spans": [{"title", "verdict",
    "told", "rows": [{"check", "result", "told", "text"}]}], "signs"}."""
    catalogue = CATALOGUES.get(language)
    say = catalogue.gettext if catalogue else (lambda message: message)
    sentence = Sayings(catalogue).sentence
    options, spans, summary = run["options"], [], []
    verdicts = [report["verdict"] for report in run["spans"]]
    for report in run["spans"]:
        told = say("turn_up." + (report["verdict"] or "running"))
        mark = report["verdict"] if report["verdict"] in ("pass", "fail") else "note"       # neither: it runs, or did not come to its end
        rows = [{"check": say("check." + finding["check"]), "result": finding["result"], "told": say("result." + finding["result"]),
                 "text": sentence(finding)} for finding in report["findings"]]
        spans.append({"title": "%s %d (%s, %s)" % (say("Span"), report["span"], report["type"].upper(), report["signalling"].upper()),
                      "verdict": mark, "told": told, "rows": rows})
        why = [row["text"] for row in rows if row["result"] == "fail"]
        took = duration(report["ended_ms"] - report["started_ms"]) if report["ended_ms"] else ""
        summary.append({"verdict": mark, "cells": [str(report["span"]), told, took, _in_short(why, say)]})
    running = any(report["running"] for report in run["spans"])
    heads = [(say("Site"), run["site"]), (say("Run"), "%d" % run["number"]), (say("Begins"), "%s (%s)" % (moment(run["started_ms"], zone), zone)),
             (say("Ended"), moment(run["ended_ms"], zone)), (say("Watched"), "%d s" % options["seconds"]),
             (say("Test number called"), options["number"] or say("none called")),
             (say("Our test numbers"), ", ".join(run.get("test_numbers") or ()) or say("none called")),
             (say("Verdict"), say("turn_up.running") if running else say("turn_up.count") % {"passed": verdicts.count("pass"), "all": len(verdicts)})]
    return {"title": say("Acceptance report"), "heads": heads, "summary_heads": [say("Span"), say("Verdict"), say("Took"), say("Reason")],
            "summary": summary, "spans": spans, "signs": [say("Installer"), say("Carrier"), say("Date")]}


def _in_short(why, say):
    """The first of the reasons, and how many more there are."""
    return "" if not why else why[0] if len(why) == 1 else "%s (%s)" % (why[0], say("turn_up.more") % {"more": len(why) - 1})


def as_html(run, language, zone):
    """The report as one page that stands by itself."""
    return render("acceptance.html", language, run=run, **contents(run, language, zone))


def as_pdf(run, language, zone):
    """The report as PDF.  Raises LocalError where the machine has no font for it."""
    from fpdf import FPDF               # takes a third of a second: not at the start of the web process
    shown, pdf = contents(run, language, zone), FPDF(format="A4")
    pdf.set_title("%s %d · %s" % (shown["title"], run["number"], run["site"]))
    pdf.set_margin(10)
    pdf.set_auto_page_break(True, FOOT_MM)
    for name, path, package in (("report", FONT, "fonts-dejavu-core"), ("chinese", CHINESE, "fonts-droid-fallback")):
        if not os.path.exists(path):
            raise LocalError("the PDF needs the font %s: install Debian's %s" % (path, package))
        pdf.add_font(name, fname=path)
    pdf.set_fallback_fonts(["chinese"], exact_match=False)
    pdf.alias_nb_pages()

    def footer():
        pdf.set_y(-11)
        _font(pdf, 8)
        pdf.set_text_color(*MARKS["note"])
        pdf.cell(0, 5, "%s %d · %s · %d/{nb}" % (shown["title"], run["number"], run["site"], pdf.page_no()), align="C")
    pdf.footer = footer
    pdf.add_page()
    _line(pdf, 18, shown["title"], 10)
    for name, value in shown["heads"]:
        _cells(pdf, (50, 140), (name, value), ("note", None))
    pdf.ln(3)
    _cells(pdf, SUMMARY_MM, shown["summary_heads"], ("note",) * 4)
    for row in shown["summary"]:
        _cells(pdf, SUMMARY_MM, row["cells"], (None, row["verdict"], None, None))
    for span in shown["spans"]:
        rows = [((row["check"], row["told"], row["text"]), row["result"]) for row in span["rows"]]
        height = HEADING_MM + sum(_height(_wrapped(pdf, WIDTHS_MM, texts)) for texts, _ in rows)
        if pdf.get_y() + GAP_MM + height > _bottom(pdf):       # a span stays on one page
            pdf.add_page()
        else:
            pdf.ln(GAP_MM)
        _line(pdf, 13, "%s · %s" % (span["title"], span["told"]), HEADING_MM, MARKS[span["verdict"]])
        for texts, result in rows:
            _cells(pdf, WIDTHS_MM, texts, (None, result, None))
    pdf.ln(18)
    if pdf.get_y() > 265:
        pdf.add_page()
        pdf.ln(18)
    for sign in shown["signs"]:
        _font(pdf, SIZE)
        pdf.cell(58, 6, sign, border="T")
        pdf.cell(6)
    return bytes(pdf.output())


def _line(pdf, size, text, height, colour=(0, 0, 0)):
    _font(pdf, size)
    pdf.set_text_color(*colour)
    pdf.cell(0, height, text, new_x="LMARGIN", new_y="NEXT")


def _font(pdf, size):
    """Choose the font, and say so in the page: the library leaves the other one in force after a text in it, and forgets that."""
    pdf.set_font("report", size=size + 1)
    pdf.set_font("report", size=size)


def _bottom(pdf):
    return pdf.h - FOOT_MM


def _height(lines):
    return max(map(len, lines)) * LINE_MM


def _wrapped(pdf, widths, texts):
    """Lines of each text in its width."""
    _font(pdf, SIZE)
    return [_wrap(pdf, str(text), width - 2 * pdf.c_margin) for text, width in zip(texts, widths)]


def _wrap(pdf, text, width):
    lines, line = [], ""
    for piece in PIECES.findall(text):
        if line and pdf.get_string_width(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece if line or not piece.isspace() else ""
    return [*lines, line.rstrip()]


def _cells(pdf, widths, texts, marks):
    """One row: each text wrapped in its width, a line below all."""
    lines = _wrapped(pdf, widths, texts)
    height = _height(lines)
    if pdf.get_y() + height > _bottom(pdf):
        pdf.add_page()
    top, left = pdf.get_y(), pdf.l_margin
    for width, rows, mark in zip(widths, lines, marks):
        pdf.set_text_color(*MARKS.get(mark, (0, 0, 0)))
        for place, row in enumerate(rows):
            pdf.set_xy(left, top + place * LINE_MM)
            _font(pdf, SIZE)
            pdf.cell(width, LINE_MM, row)
        left += width
    pdf.set_draw_color(200, 200, 200)
    pdf.line(pdf.l_margin, top + height, left, top + height)
    pdf.set_xy(pdf.l_margin, top + height)


def main(arguments=None):
    """The program.  Returns its exit code."""
    parser = argparse.ArgumentParser(prog="webui.acceptance")
    parser.add_argument("kind", choices=("html", "pdf"))
    parser.add_argument("file")
    parser.add_argument("--language", choices=tuple(LANGUAGES), default="en")
    parser.add_argument("--zone", default="UTC")
    options = parser.parse_args(arguments)
    try:
        run = json.load(sys.stdin)
        octets = as_html(run, options.language, options.zone).encode() if options.kind == "html" else as_pdf(run, options.language, options.zone)
        with open(options.file, "wb") as file:
            file.write(octets)
    except (OSError, ValueError, LocalError, ImportError) as error:
        print("strowger: the acceptance report is not written: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
