"""A simulated day as a picture: calls of each quarter of an hour by what became of them, the wait, agents on duty."""

import collections

from tests.day.plan import BEGIN_MS, RUSH

WIDTH, HEIGHT, LEFT, TOP, PANEL = 1000, 520, 70, 50, 180
COLOURS = {"answered": "#2b8a3e", "abandoned": "#d9480f", "short_abandoned": "#f2a65a", "overflowed": "#868e96"}
NAMES = {"answered": "answered", "abandoned": "gave up", "short_abandoned": "gave up at once", "overflowed": "given on"}
QUARTERS = 96


def draw(report, plan):
    """SVG text."""
    sums = collections.defaultdict(collections.Counter)
    for row in report["queues"]["rows"]:
        sums[(row["start_s"] - BEGIN_MS // 1000) // 900].update({field: row[field] or 0 for field in (*COLOURS, "answer_wait_ms")})
    most = max([sum(sums[q][field] for field in COLOURS) for q in range(QUARTERS)] + [1])
    waits = [sums[q]["answer_wait_ms"] / max(1, sums[q]["answered"]) / 1000 for q in range(QUARTERS)]
    longest, step = max([*waits, 1.0]), (WIDTH - LEFT - 20) / QUARTERS
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">' % (WIDTH, HEIGHT),
           '<rect width="100%" height="100%" fill="white"/>',
           '<text x="%d" y="24" font-size="16">A simulated day: %d agents; %02d:00 to %02d:00 brings 120 %% of what they can take</text>'
           % (LEFT, len(plan.agents), RUSH, RUSH + 1)]
    base = TOP + PANEL
    for q in range(QUARTERS):
        y = base
        for field, colour in COLOURS.items():
            height = sums[q][field] / most * PANEL
            y -= height
            out.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>' % (LEFT + q * step, y, step - 1, height, colour))
    for n, (field, colour) in enumerate(COLOURS.items()):
        out.append('<rect x="%d" y="%d" width="10" height="10" fill="%s"/><text x="%d" y="%d">%s</text>' % (
            LEFT + 250 + n * 130, TOP - 18, colour, LEFT + 264 + n * 130, TOP - 8, NAMES[field]))
    low = base + 60 + PANEL
    points = " ".join("%.1f,%.1f" % (LEFT + (q + 0.5) * step, low - waits[q] / longest * PANEL) for q in range(QUARTERS))
    out.append('<polyline points="%s" fill="none" stroke="#1864ab" stroke-width="2"/>' % points)
    for y, top, unit in ((base, most, "calls in a quarter of an hour"), (low, longest, "s: mean wait of who was answered")):
        out.append('<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#333"/>' % (LEFT, y, WIDTH - 20, y))
        out.append('<text x="%d" y="%d" text-anchor="end">%.0f</text><text x="%d" y="%d">%s</text>' % (
            LEFT - 6, y - PANEL + 10, top, LEFT, y - PANEL - 8, unit))
        for hour in range(0, 25, 3):
            out.append('<text x="%.1f" y="%d" text-anchor="middle">%02d:00</text>' % (LEFT + hour * 4 * step, y + 16, hour))
    return "\n".join(out + ["</svg>"])
