"""The acceptance report of a turn-up: HTML and PDF, in the languages of the pages.

    run: the answer of GET /v1/turn_up.   as_html(run, "en", zone) -> text;   as_pdf(run, "zh_CN", zone) -> octets

Also a program, which the command `strowger turn-up` calls with the run on its standard input:
    python -m webui.acceptance html|pdf FILE [--language L] [--zone Z]

The PDF embeds of its fonts what it shows: Debian's fonts-dejavu-core, and for Chinese fonts-droid-fallback, which is small and has
TrueType outlines, as the library needs them, but no Latin letters."""

import argparse
import json
import os
import sys

from firmware.errors import LocalError
from webui.render import CATALOGUES, LANGUAGES, duration, moment, render, sayings

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
CHINESE = "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"
MARKS = {"pass": (28, 124, 60), "fail": (179, 38, 30), "note": (85, 85, 85)}
WIDTHS_MM, LINE_MM, SIZE = (34, 20, 136), 5.0, 9.5


def contents(run, language, zone):
    """What both forms show: {"title", "heads": [(name, value)], "summary_heads", "summary": [{"verdict", "cells"}], "spans": [{"title", "verdict",
    "told", "rows": [{"check", "result", "told", "text"}]}], "signs"}."""
    catalogue = CATALOGUES.get(language)
    say = catalogue.gettext if catalogue else (lambda message: message)
    sentence = sayings(catalogue)["sentence"]
    options, spans, summary = run["options"], [], []
    failed = [report for report in run["spans"] if report["verdict"] == "fail"]
    for report in run["spans"]:
        told = say("turn_up." + (report["verdict"] or "running"))
        rows = [{"check": say("check." + finding["check"]), "result": finding["result"], "told": say("result." + finding["result"]),
                 "text": sentence(finding)} for finding in report["findings"]]
        spans.append({"title": "%s %d (%s, %s)" % (say("Span"), report["span"], report["type"].upper(), report["signalling"].upper()),
                      "verdict": report["verdict"] or "note", "told": told, "rows": rows})
        why = [row["text"] for row in rows if row["result"] == "fail"]
        took = duration(report["ended_ms"] - report["started_ms"]) if report["ended_ms"] else ""
        summary.append({"verdict": report["verdict"] or "note", "cells": [str(report["span"]), told, took, why[0] if why else ""]})
    verdict = "running" if any(report["running"] for report in run["spans"]) else "fail" if failed else "pass"
    heads = [(say("Site"), run["site"]), (say("Run"), "%d" % run["number"]), (say("Begins"), "%s (%s)" % (moment(run["started_ms"], zone), zone)),
             (say("Ended"), moment(run["ended_ms"], zone)), (say("Watched"), "%d s" % options["seconds"]),
             (say("Test number called"), options["number"] or say("none called")),
             (say("Our test numbers"), ", ".join(run.get("test_numbers") or ()) or say("none called")),
             (say("Verdict"), "%s: %d / %d" % (say("turn_up." + verdict), len(run["spans"]) - len(failed), len(run["spans"])))]
    return {"title": say("Acceptance report"), "heads": heads, "summary_heads": [say("Span"), say("Verdict"), say("Took"), say("Reason")],
            "summary": summary, "spans": spans, "signs": [say("Installer"), say("Carrier"), say("Date")]}


def as_html(run, language, zone):
    """The report as one page that stands by itself."""
    return render("acceptance.html", language, run=run, **contents(run, language, zone))


def as_pdf(run, language, zone):
    """The report as PDF.  Raises LocalError where the machine has no font for it."""
    from fpdf import FPDF               # takes a third of a second: not at the start of the web process
    shown, pdf = contents(run, language, zone), FPDF(format="A4")
    pdf.set_title("%s %d · %s" % (shown["title"], run["number"], run["site"]))
    pdf.set_margin(10)
    pdf.set_auto_page_break(True, 14)
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
    _line(pdf, 13, " / ".join(shown["summary_heads"]), 8)
    for row in shown["summary"]:
        _cells(pdf, (14, 24, 16, 136), row["cells"], (None, row["verdict"], None, None))
    for span in shown["spans"]:
        pdf.ln(4)
        if pdf.get_y() > 250:
            pdf.add_page()
        _line(pdf, 13, "%s · %s" % (span["title"], span["told"]), 8, MARKS[span["verdict"]])
        for row in span["rows"]:
            _cells(pdf, WIDTHS_MM, (row["check"], row["told"], row["text"]), (None, row["result"], None))
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


def _cells(pdf, widths, texts, marks):
    """One row: each text wrapped in its width, a line below all."""
    _font(pdf, SIZE)
    lines = [pdf.multi_cell(width, LINE_MM, str(text), dry_run=True, output="LINES", align="L", wrapmode="CHAR" if _is_wide(str(text)) else "WORD")
             for width, text in zip(widths, texts)]
    height = max(len(rows) for rows in lines) * LINE_MM
    if pdf.get_y() + height > pdf.h - 14:
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


def _is_wide(text):
    """Whether a text may break anywhere: Chinese has no blanks."""
    return sum("\u2e80" <= character <= "\uffef" for character in text) * 3 > len(text)


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
