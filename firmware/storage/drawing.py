"""Making the TIFF of a document, in a process of its own: what a PDF asks for costs control neither memory nor time.

    python -m firmware.storage.drawing GIVEN MADE      a PBM picture (P4) or a PDF -> a TIFF; says how many pages, or with status 1 why not

A PDF is drawn by poppler's pdftoppm at 204 x 196 pels an inch, page by page, each within AS_OCTETS of memory and FILE_OCTETS of disk."""

import os
import resource
import struct
import subprocess
import sys

from firmware.errors import LocalError

PAGES_MOST = 200
WIDTHS = (1728, 2048, 2432)
LINES_MOST = 12000              # ours: 78 cm at fine resolution
RENDER_S = 60
AS_OCTETS = 768 << 20           # of memory for a page; invented
FILE_OCTETS = WIDTHS[-1] // 8 * LINES_MOST + 1000
MADE_OCTETS = 128 << 20         # all pages, not packed; 200 of A4 are 99 MB
HEAD_OCTETS = 1000
BEYOND = 99                     # pdftoppm: there is no such page
# Tags of TIFF 6.0: width, lines, bits a sample, compression, photometric, strip offsets, samples a pel, rows a strip, strip lengths, x and y resolution, unit.
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, SAMPLES, ROWS, COUNTS, X_RESOLUTION, Y_RESOLUTION, UNIT = (
    256, 257, 258, 259, 262, 273, 277, 278, 279, 282, 283, 296)


def head(octets, what):
    """(width, lines, where the rows begin) of a PBM picture, of its beginning.  Raises LocalError."""
    parts, at = [], 2
    while len(parts) < 2 and at < min(len(octets), 1000):
        while at < len(octets) and octets[at:at + 1] in (b" ", b"\t", b"\r", b"\n"):
            at += 1
        if octets[at:at + 1] == b"#":
            at = octets.find(b"\n", at) + 1 or len(octets)
            continue
        end = at
        while end < len(octets) and 48 <= octets[end] < 58:
            end += 1
        if end == at:
            break
        parts.append(int(octets[at:end][:8]))
        at = end
    if len(parts) < 2 or not 0 < parts[0] <= WIDTHS[-1] or not 0 < parts[1] <= LINES_MOST:
        raise LocalError("%s has %s; a page has at most %d pels a line and %d lines" % (what, "no size" if len(parts) < 2 else "%d x %d pels" % tuple(parts), WIDTHS[-1], LINES_MOST))
    return parts[0], parts[1], at + 1


def pbm(path, what):
    """(width, lines, rows) of a PBM picture, its size checked before the rest is read; a bit that is set is black."""
    with open(path, "rb") as file:
        width, lines, begin = head(file.read(HEAD_OCTETS), what)
        file.seek(begin)
        wanted = (width + 7) // 8 * lines
        rows = file.read(wanted)
    if len(rows) < wanted:
        raise LocalError("%s ends too early: %d octets are missing" % (what, wanted - len(rows)))
    return width, lines, rows


def paper(width, lines, rows):
    """The same on paper of a width that machines have, in its middle: (width, lines, rows)."""
    whole, each = next(one for one in WIDTHS if one >= width), (width + 7) // 8
    left, spare = (whole - width) // 16, 8 * each - width
    made = bytearray()
    for line in range(lines):
        row = int.from_bytes(rows[line * each:(line + 1) * each], "big") >> spare << spare        # what is beyond the width is white
        made += bytes(left) + row.to_bytes(each, "big") + bytes(whole // 8 - left - each)
    return whole, lines, bytes(made)


def rendered(source, folder):
    """One PBM file after the other, of the pages of a PDF, as (path, what); the caller is done with one before the next.  Raises LocalError."""
    path = os.path.join(folder, "page.pbm")
    for number in range(1, PAGES_MOST + 2):
        what = "page %d" % number
        try:
            done = subprocess.run(["pdftoppm", "-mono", "-singlefile", "-rx", "204", "-ry", "196", "-f", str(number), "-l", str(number), source, path[:-4]],
                                  stdin=subprocess.DEVNULL, capture_output=True, preexec_fn=_bounded)
        except FileNotFoundError as error:
            raise LocalError("this box has no pdftoppm (package poppler-utils), which makes pictures of a PDF; give a TIFF") from error
        if number > 1 and done.returncode == BEYOND:
            return
        if number > PAGES_MOST:
            raise LocalError("the PDF has more than %d pages; send it in parts" % PAGES_MOST)
        if done.returncode and os.path.exists(path) and os.path.getsize(path) >= FILE_OCTETS // 2:
            with open(path, "rb") as file:
                head(file.read(HEAD_OCTETS), what)          # says how large it would be
        if done.returncode < 0 or b"emory" in done.stderr:
            raise LocalError("%s cannot be drawn in %d MB; its paper may be too large, or what is on it" % (what, AS_OCTETS >> 20))
        if done.returncode or not os.path.exists(path):
            raise LocalError("the PDF cannot be drawn (%s)" % ((done.stderr.decode(errors="replace").strip().splitlines() or ["no " + what])[0][:120]))
        yield path, what
        os.unlink(path)


def _bounded():
    resource.setrlimit(resource.RLIMIT_AS, (AS_OCTETS, AS_OCTETS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_OCTETS, FILE_OCTETS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def tiff(pages):
    """A TIFF of [(width, lines, rows)], one strip a page, not packed: the modems' library packs anew for each machine."""
    made, directory_at = bytearray(b"II*\0" + bytes(4)), 4
    for width, lines, rows in pages:
        strip = len(made)
        made += rows + bytes(len(rows) % 2)
        resolutions = len(made)
        made += struct.pack("<4I", 204, 1, 196, 1)
        struct.pack_into("<I", made, directory_at, len(made))
        entries = [(WIDTH, 4, width), (LENGTH, 4, lines), (BITS, 3, 1), (COMPRESSION, 3, 1), (PHOTOMETRIC, 3, 0), (OFFSETS, 4, strip), (SAMPLES, 3, 1),
                   (ROWS, 4, lines), (COUNTS, 4, len(rows)), (X_RESOLUTION, 5, resolutions), (Y_RESOLUTION, 5, resolutions + 8), (UNIT, 3, 2)]
        made += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
        directory_at = len(made)
        made += bytes(4)
    return bytes(made)


def draw(given, made):
    """The number of pages.  Raises LocalError, OSError."""
    with open(given, "rb") as file:
        is_picture = file.read(2) == b"P4"
    pages, octets = [], 0
    for path, what in [(given, "the picture")] if is_picture else rendered(given, os.path.dirname(made)):
        pages.append(paper(*pbm(path, what)))
        octets += len(pages[-1][2])
        if octets > MADE_OCTETS:
            raise LocalError("the document has more than %d MB up to %s; send it in parts" % (MADE_OCTETS >> 20, what))
    with open(made, "wb") as file:
        file.write(tiff(pages))
        file.flush()
        os.fsync(file.fileno())
    return len(pages)


def main(given, made):
    """Status of the process; what is to be said goes to stdout."""
    os.nice(19)
    try:
        print(draw(given, made))
    except (LocalError, OSError, MemoryError) as error:
        print(error if isinstance(error, LocalError) else "the document cannot be drawn (%s)" % (error or "no memory"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
