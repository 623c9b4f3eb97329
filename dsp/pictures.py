"""Pictures for people: spectrograms with their axes, and how an echo goes down.  Plain SVG, no plotting library.

spectrogram(path, channels, labels)    one below the other, 0 to 4 kHz, 70 dB from black to white, one scale for all
convergence(path, values, title, aims) echo return loss enhancement each 100 ms
"""

import base64
import html
import struct
import zlib

import numpy as np

RATE = 8000
STEP, WINDOW = 40, 256                     # of a spectrogram, samples
RANGE_DB = 70
LEFT, HEIGHT, GAP, WIDEST = 60, 130, 14, 1000       # pixels
HEAD = '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'


def spectrum(x):
    """dB (heights, widths), 4 kHz at the top."""
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(x, float), WINDOW)[::STEP] * np.hanning(WINDOW)
    return 20 * np.log10(np.abs(np.fft.rfft(frames)).T[::-1] + 1e-9)


def png(pixels):
    """Grey pixels, uint8 (heights, widths), as octets of a PNG."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def seconds_axis(seconds, width, y):
    """Numbers below, as many as have room."""
    step = next((s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10) if s * width / seconds >= 45), 20)
    return "".join(f'<path d="M{x:.1f} {y}v4" stroke="#666"/><text x="{x:.1f}" y="{y + 17}" text-anchor="middle">{t:g} s</text>'
                   for t in np.arange(0, seconds + 1e-9, step) for x in [LEFT + width * t / seconds])


def spectrogram(path, channels, labels):
    """channels: samples, equally long."""
    parts = [spectrum(one) for one in channels]
    top, seconds = max(part.max() for part in parts), len(channels[0]) / RATE
    width = float(min(WIDEST, max(300, parts[0].shape[1] / 2)))
    drawn = []
    for at, (part, label) in enumerate(zip(parts, labels)):
        y = 8 + at * (HEIGHT + GAP)
        pixels = np.clip((part - top + RANGE_DB) / RANGE_DB * 255, 0, 255).astype(np.uint8)
        data = base64.b64encode(png(pixels)).decode()
        drawn.append(f'<image x="{LEFT}" y="{y}" width="{width}" height="{HEIGHT}" preserveAspectRatio="none" href="data:image/png;base64,{data}"/>')
        drawn += [f'<text x="{LEFT - 6}" y="{y + HEIGHT * (1 - khz / 4) + 4:.1f}" text-anchor="end">{khz} kHz</text>' for khz in ((0, 2, 4) if at == 0 else (0, 2))]
        drawn.append(f'<text x="{LEFT + 6}" y="{y + 15}" fill="#ffd080">{html.escape(label)}</text>')
    y = 8 + len(parts) * (HEIGHT + GAP) - GAP
    path.write_text(HEAD.format(round(LEFT + width + 30), y + 26) + "".join(drawn) + seconds_axis(seconds, width, y) + "</svg>\n")


def convergence(path, values, title, aims=()):
    """values: dB each 100 ms, NaN where there is nothing to cancel; drawn with the median of the second around.  aims: (second, dB)."""
    at = lambda i, v: (LEFT + 8 * i, 290 - 5 * min(max(v, 0), 50))
    points = [at(i, v) for i, v in enumerate(values) if v == v]
    around = [(i, values[max(0, i - 5):i + 6]) for i in range(len(values))]
    curve = [at(i, np.nanmedian(near)) for i, near in around if np.isfinite(near).sum() >= 3]
    width = 8 * len(values)
    lines = "".join(f'<path d="M{LEFT} {290 - 5 * db}h{width}" stroke="#ccc"/><text x="{LEFT - 8}" y="{294 - 5 * db}" text-anchor="end">{db} dB</text>' for db in range(0, 51, 10))
    marks = "".join(f'<path d="M{x - 6} {y}h12M{x} {y - 6}v12" stroke="#c40" stroke-width="2"/><text x="{x + 9}" y="{y + 15}" fill="#c40">aim: {db} dB at {second} s</text>'
                    for second, db in aims for x, y in [at(10 * second, db)])
    path.write_text(HEAD.format(LEFT + width + 30, 325) + f'<text x="{LEFT}" y="20">{html.escape(title)}</text>{lines}{seconds_axis(len(values) / 10, width, 292)}'
                    + "".join(f'<circle cx="{x}" cy="{y:.1f}" r="2.5" fill="#8ab4d8"/>' for x, y in points)
                    + '<polyline fill="none" stroke="#06c" stroke-width="2" points="' + " ".join(f"{x},{y:.1f}" for x, y in curve) + f'"/>{marks}</svg>\n')
