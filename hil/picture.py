"""A call as a picture (SVG): its events on a time line above the wave forms of its recording."""

import html

import numpy as np

RATE_HZ = 8000
WIDTH, MARGIN, BAND = 1200, 70, 60
CHARACTER = 7.2         # width of a letter of a label at size 12, at most; estimated
COLOURS = {"caller": "#0b5d8a", "agent": "#1c7c3c", "event": "#5a5a5a"}
SHOWN = ("leg.offered", "leg.answered", "ivr", "queue", "offer", "bridge", "recording", "leg.released", "call.ended")


def _wave(samples, begin_x, pixels_per_s, middle, colour):
    """One channel as a filled outline: the peak of each pixel column."""
    count = max(1, int(len(samples) / RATE_HZ * pixels_per_s))
    peaks = [float(np.max(np.abs(piece))) if len(piece) else 0.0 for piece in np.array_split(samples / 32768, count)]
    up = " ".join(f"{begin_x + i:.0f},{middle - p * BAND:.1f}" for i, p in enumerate(peaks))
    down = " ".join(f"{begin_x + i:.0f},{middle + p * BAND:.1f}" for i, p in reversed(list(enumerate(peaks))))
    return f'<polygon points="{up} {down}" fill="{colour}"/>'


def call_picture(found, stereo, path):
    """Write the picture.  found: the product's answer for one call.  stereo: int16 (n, 2), its recording."""
    records, cdr = found["records"], found["cdr"]
    first, last = records[0]["ts_ms"], records[-1]["ts_ms"]
    scale = (WIDTH - 2 * MARGIN) / max((last - first) / 1000, 0.001)

    def x(ts_ms):
        return MARGIN + (ts_ms - first) / 1000 * scale

    shown = [r for r in records if r["kind"].startswith(SHOWN)]
    rows, ends = [], []
    parts = []
    for record in shown:
        at, label = x(record["ts_ms"]), record["kind"]
        width = CHARACTER * len(label) + 6
        leftward = at + width > WIDTH           # it would be cut off at the right edge
        first_x, last_x = (at - width, at) if leftward else (at, at + width)
        row = next((i for i, end in enumerate(ends) if end < first_x), len(ends))
        if row == len(ends):
            ends.append(0)
        ends[row] = last_x + 6
        rows.append((at, row, label, leftward))
    top = 60
    axis = top + 18 * len(ends) + 14
    for at, row, label, leftward in rows:
        y = top + 18 * row
        text = f'x="{at - 3:.1f}" text-anchor="end"' if leftward else f'x="{at + 3:.1f}"'
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y}" y2="{axis}" stroke="#c8ccd0"/>'
                     f'<circle cx="{at:.1f}" cy="{axis}" r="2.5" fill="{COLOURS["event"]}"/>'
                     f'<text {text} y="{y + 4}" font-size="12">{html.escape(label)}</text>')
    seconds = (last - first) / 1000
    step = next(s for s in (1, 2, 5, 10, 20, 60, 600) if seconds / s <= 20 or s == 600)
    for second in range(0, int(seconds) + 1, step):
        at = MARGIN + second * scale
        parts.append(f'<text x="{at:.1f}" y="{axis + 18}" font-size="11" text-anchor="middle" fill="#5a5a5a">{second} s</text>')
    begun = next((r["ts_ms"] for r in records if r["kind"].startswith("recording")), last)
    for channel, who in enumerate(("caller", "agent")):
        middle = axis + 40 + BAND + channel * (2 * BAND + 10)
        parts.append(f'<text x="6" y="{middle + 4}" font-size="13" fill="{COLOURS[who]}">{who}</text>'
                     f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{middle}" y2="{middle}" stroke="#e3e6e9"/>'
                     + _wave(stereo[:, channel], x(begun), scale, middle, COLOURS[who]))
    height = axis + 60 + 4 * BAND + 20
    title = f"Call {cdr['call']}: {cdr['caller']} to {cdr['called']}, queue {cdr['queue']}, agent {cdr['agent']}, {cdr['result']}"
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{MARGIN}" y="28" font-size="17">{html.escape(title)}</text>'
        f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{axis}" y2="{axis}" stroke="#5a5a5a"/>' + "".join(parts) + "</svg>\n",
        encoding="utf-8")
