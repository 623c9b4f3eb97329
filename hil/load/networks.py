"""Calls over bad networks, as a table and a picture: `python -m hil.load.networks [CASE,CASE...]`; part of make bench (hil.impaired).

build/networks/networks.md, .json and .svg: for each case the calls, how many were answered, CDRs, INVITEs that the called telephone rang for
(more than calls: a duplicate), packets lost or too late, MOS and R (G.107, as the switch measured the worst leg), and where the telephone
at the far end of the good network heard the speech: correlation with what was said, the best of all alignments.  Cases that are named replace
their rows in a table that is there.
"""

import html
import json
import pathlib
import sys

FOLDER = pathlib.Path("build/networks")
COLUMNS = ("case", "calls", "answered", "CDRs", "rang", "wrong", "lost or late %", "MOS", "R", "correlation", "ended")


def wrong(found):
    """How many calls or CDRs are too many or missing.  A call that was not answered may have a CDR, or have never come through."""
    return max(0, found["cdrs"] - found["calls"]) + max(0, found["answered"] - found["cdrs"]) + max(0, found["rang"] - found["calls"])


def line(case, found):
    """One row as texts."""
    def shown(value, form):
        return "-" if value is None else form % value
    return (case, str(found["calls"]), str(found["answered"]), str(found["cdrs"]), str(found["rang"]), str(wrong(found)), "%.1f" % (100 * found["lost_share"]),
            shown(found["mos"], "%.2f"), shown(found["r"], "%.1f"), shown(found.get("correlation"), "%.3f"), "; ".join(sorted(set(found.get("ended") or ()))))


def write(table, order, folder=FOLDER):
    """table: [(case, what call_over() found)], rows of other cases stay; order: all cases."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "networks.json"
    before = {row["case"]: row for row in json.loads(path.read_text())} if path.exists() else {}
    whole = dict({case: row for case, row in before.items() if case in order}, **{case: dict(found, case=case) for case, found in table})
    table = sorted(whole.items(), key=lambda row: order.index(row[0]))
    path.write_text(json.dumps([found for _, found in table], indent=1) + "\n")
    rows = [line(case, found) for case, found in table]
    text = ["| %s |" % " | ".join(COLUMNS), "|%s" % ("---|" * len(COLUMNS))] + ["| %s |" % " | ".join(row) for row in rows]
    (folder / "networks.md").write_text("# Calls over bad networks\n\n" + "\n".join(text) + "\n")
    (folder / "networks.svg").write_text(drawn(table))
    return folder / "networks.md"


def drawn(table):
    """Bars: MOS of each case; red where a call or CDR is wrong."""
    width, tall = 90 + 56 * len(table), 220
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">' % (width, tall + 110),
             '<rect width="%d" height="%d" fill="#ffffff"/><text x="20" y="20" font-size="15">Calls over bad networks: MOS (G.107) by case</text>' % (width, tall + 110)]
    for mark in range(1, 6):
        y = 30 + tall * (5 - mark) / 4
        parts.append('<line x1="40" x2="%d" y1="%.1f" y2="%.1f" stroke="#dddddd"/><text x="20" y="%.1f">%d</text>' % (width - 20, y, y, y + 4, mark))
    for place, (case, found) in enumerate(table):
        x, mos = 56 + 56 * place, found["mos"] or 1
        high = tall * (mos - 1) / 4
        parts.append('<rect x="%d" y="%.1f" width="34" height="%.1f" fill="%s"><title>%s: %s</title></rect>' % (
            x, 30 + tall - high, high, "#b3261e" if wrong(found) else "#1c7c3c", html.escape(case), html.escape(" ".join(line(case, found)))))
        parts.append('<text x="%d" y="%.1f">%.2f</text><text x="%d" y="%d" text-anchor="middle">%s</text>' % (
            x + 4, 26 + tall - high, mos, x + 17, tall + 48 + 16 * (place % 2), html.escape(case)))
    return "".join(parts) + "</svg>\n"


def main():
    """One command: measure, then write."""
    from hil import impaired
    impaired.results(tuple(sys.argv[1].split(",")) if len(sys.argv) > 1 else tuple(impaired.CASES))
    print((FOLDER / "networks.md").read_text())


if __name__ == "__main__":
    main()
