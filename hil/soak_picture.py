"""The soak as a picture (SVG): one panel a quantity over time, kills as vertical lines."""

import html

WIDTH, PANEL, MARGIN = 1000, 130, 70
COLOURS = {"media": "#0b5d8a", "control": "#1c7c3c", "web": "#a05a00", "supervisor": "#7a7a7a", "": "#333333",
           "database": "#333333", "log": "#999999", "p99.9": "#0b5d8a", "p50": "#1c7c3c"}


def panels(report):
    """[(title, unit, {series: [(second, value)]})]."""
    rows = report["rows"]

    def of(name, field):
        return [(row["at_s"], row["processes"][name][field]) for row in rows if row["processes"].get(name)]

    def load(name):
        """Processor time of each step, in percent of one processor; a step with a new process is left out."""
        points = of(name, "cpu_s")
        return [(at, 100 * (cpu - before) / (at - since)) for (since, before), (at, cpu) in zip(points, points[1:])
                if at > since and cpu >= before]

    names = ("media", "control", "web")
    return [("Calls up", "", {"": [(row["at_s"], row["calls"]) for row in rows]}),
            ("Resident memory", "MB", {name: of(name, "rss_mb") for name in names}),
            ("Processor time", "% of one", {name: load(name) for name in names}),
            ("Descriptors", "", {name: of(name, "descriptors") for name in names}),
            ("Database, and its write-ahead log", "MB", {"database": [(row["at_s"], row["database_mb"]) for row in rows],
                                                        "log": [(row["at_s"], row["wal_mb"]) for row in rows]})]


def draw(report, path):
    """Write the picture of a report of hil/soak.py."""
    last = max((row["at_s"] for row in report["rows"]), default=1) or 1
    title = f'Soak: {sum(report["outcomes"].values())} calls in {last:.0f} s, {"every check held" if report["ok"] else "NOT every check held"}'
    path.write_text(picture(title, panels(report), last, report["kills"]), encoding="utf-8")


def picture(title, drawn, last, kills=()):
    """SVG text.  drawn: as of panels(); last: second at the right edge; kills: [{"at_s", "process"}]."""
    height = len(drawn) * (PANEL + 40) + 50
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
             f'<text x="{MARGIN}" y="24" font-size="16">{html.escape(title)}</text>']

    def x(at):
        return MARGIN + at / last * (WIDTH - 2 * MARGIN)

    for number, (title, unit, series) in enumerate(drawn):
        top = 50 + number * (PANEL + 40)
        most = max((value for points in series.values() for _, value in points), default=0) or 1
        parts.append(f'<text x="{MARGIN}" y="{top - 4}">{html.escape(title)}{f" ({unit})" if unit else ""}</text>')
        for share in (0, 0.5, 1):
            y = top + PANEL * (1 - share)
            parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e0e3e6"/>'
                         f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#5a5a5a">{most * share:.4g}</text>')
        for kill in kills:
            parts.append(f'<line x1="{x(kill["at_s"]):.1f}" x2="{x(kill["at_s"]):.1f}" y1="{top}" y2="{top + PANEL}" '
                         f'stroke="{COLOURS[kill["process"]]}" stroke-dasharray="3 3"/>')
        for index, (name, points) in enumerate(series.items()):
            line = " ".join(f"{x(at):.1f},{top + PANEL * (1 - value / most):.1f}" for at, value in points)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[name]}" stroke-width="1.5"/>')
            if name:
                parts.append(f'<text x="{WIDTH - MARGIN + 6}" y="{top + 12 + 15 * index}" fill="{COLOURS[name]}">{html.escape(name)}</text>')
    for at in range(5):
        parts.append(f'<text x="{x(last * at / 4):.1f}" y="{height - 16}" text-anchor="middle" fill="#5a5a5a">{last * at / 4:.0f} s</text>')
    return "\n".join(parts) + "\n</svg>\n"
