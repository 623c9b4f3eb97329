"""Documents that fax nodes send: $STROWGER_DATA/documents/<name>.tif, one TIFF each, written whole or not at all.

    documents.rows()                [{"document", "pages", "octets", "changed_ms"}]
    documents.put(name, octets)     a TIFF, a PBM picture (P4) or, where pdftoppm is installed, a PDF -> {"pages", "octets"}
    documents.file(name)            path
    documents.remove(name)

What goes to a fax machine has 1 bit a pel and 1728, 2048 or 2432 pels a line (ITU-T T.4 2.1; A4, B4, A3), 204 pels and 98, 196 or 391 lines an
inch.  A picture that is narrower is put into the middle of white paper; another width is refused with a sentence, since we scale nothing."""

import os
import pathlib
import struct
import subprocess
import tempfile

from firmware.errors import LocalError

OCTETS_MOST = 32 << 20
PAGES_MOST = 200
WIDTHS = (1728, 2048, 2432)
LINES_MOST = 12000              # ours: 78 cm at fine resolution
RENDER_S = 60
ENDING = ".tif"
# Tags of TIFF 6.0: width, lines, bits a sample, compression, photometric, strip offsets, samples a pel, rows a strip, strip lengths, x and y resolution, unit.
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, SAMPLES, ROWS, COUNTS, X_RESOLUTION, Y_RESOLUTION, UNIT = (
    256, 257, 258, 259, 262, 273, 277, 278, 279, 282, 283, 296)
SIZES = {1: 1, 3: 2, 4: 4, 5: 8}            # octets of BYTE, SHORT, LONG, RATIONAL
CODED = {1: "not packed", 2: "Huffman", 3: "group 3", 4: "group 4"}


class Documents:
    """folder: where they are; made when the first one comes."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def rows(self):
        """By name."""
        found = []
        for path in sorted(self.folder.glob("[!.]*" + ENDING)):
            try:
                stat, octets = path.stat(), path.read_bytes()
                found.append({"document": path.stem, "pages": len(pages_of(octets)), "octets": stat.st_size, "changed_ms": stat.st_mtime_ns // 1_000_000})
            except (OSError, LocalError):
                continue            # removed meanwhile, or put there by hand: file() says what is wrong
        return found

    def file(self, name):
        """The path of one.  Raises LocalError."""
        path = self._path(name)
        if not path.is_file():
            raise LocalError("there is no document %s; give it to the box first (PUT /v1/documents/%s)" % (name[:64], name[:64]))
        return str(path)

    def put(self, name, octets):
        """Check, convert, keep.  Raises LocalError, OSError."""
        path = self._path(name)
        made = as_tiff(octets)
        count = len(pages_of(made))
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_name("." + path.name + ".new")
        with open(beside, "wb") as file:
            file.write(made)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        return {"document": name, "pages": count, "octets": len(made)}

    def remove(self, name):
        """Raises LocalError where there is none."""
        os.unlink(self.file(name))

    def _path(self, name):
        if not (0 < len(name) <= 64 and name[0] != "." and all(c.isascii() and (c.isalnum() or c in "-._") for c in name)):
            raise LocalError("a document has a name of 1 to 64 letters, digits, dots, dashes and underlines that begins with no dot")
        return self.folder / (name + ENDING)


def as_tiff(octets):
    """A TIFF that fax machines take, of what was given.  Raises LocalError with a sentence."""
    if octets[:4] in (b"II*\0", b"MM\0*"):
        check(octets)
        return octets
    if octets[:2] == b"P4":
        return tiff([paper(*pbm(octets, "the picture"))])
    if octets[:5] == b"%PDF-":
        return tiff([paper(*pbm(page, "page %d" % (number + 1))) for number, page in enumerate(rendered(octets))])
    raise LocalError("the file is none that can be sent: give a TIFF of 1 bit a pel, a PBM picture (P4) or a PDF")


def pbm(octets, what):
    """(width, lines, rows) of a PBM picture; a bit that is set is black."""
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
    rows = octets[at + 1:]
    if len(parts) < 2 or not 0 < parts[0] <= WIDTHS[-1] or not 0 < parts[1] <= LINES_MOST:
        raise LocalError("%s has %s; a page has at most %d pels a line and %d lines" % (what, "no size" if len(parts) < 2 else "%d x %d pels" % tuple(parts), WIDTHS[-1], LINES_MOST))
    if len(rows) < (parts[0] + 7) // 8 * parts[1]:
        raise LocalError("%s ends too early: %d octets are missing" % (what, (parts[0] + 7) // 8 * parts[1] - len(rows)))
    return parts[0], parts[1], rows


def paper(width, lines, rows):
    """The same on paper of a width that machines have, in its middle: (width, lines, rows)."""
    whole, each = next(one for one in WIDTHS if one >= width), (width + 7) // 8
    left, spare = (whole - width) // 16, 8 * each - width
    made = bytearray()
    for line in range(lines):
        row = int.from_bytes(rows[line * each:(line + 1) * each], "big") >> spare << spare        # what is beyond the width is white
        made += bytes(left) + row.to_bytes(each, "big") + bytes(whole // 8 - left - each)
    return whole, lines, bytes(made)


def rendered(octets):
    """[PBM] of the pages of a PDF, by poppler's pdftoppm, a program of its own, at 204 x 196 pels an inch.  Raises LocalError."""
    with tempfile.TemporaryDirectory(prefix="strowger-document-") as folder:
        source = os.path.join(folder, "given.pdf")
        with open(source, "wb") as file:
            file.write(octets)
        try:
            done = subprocess.run(["nice", "-n", "19", "pdftoppm", "-mono", "-rx", "204", "-ry", "196", "-l", str(PAGES_MOST + 1), source, os.path.join(folder, "page")],
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=RENDER_S)
        except FileNotFoundError as error:
            raise LocalError("this box has no pdftoppm (package poppler-utils), which makes pictures of a PDF; give a TIFF") from error
        except subprocess.TimeoutExpired as error:
            raise LocalError("the PDF was not drawn within %d s; give a simpler one, or a TIFF" % RENDER_S) from error
        paths = sorted(pathlib.Path(folder).glob("page*.pbm"))
        if done.returncode or not paths:
            raise LocalError("the PDF cannot be drawn (%s)" % ((done.stderr.decode(errors="replace").strip().splitlines() or ["no page"])[0][:120]))
        if len(paths) > PAGES_MOST:
            raise LocalError("the PDF has more than %d pages; send it in parts" % PAGES_MOST)
        return [path.read_bytes() for path in paths]


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


def pages_of(octets):
    """[{tag: [values]}] of the directories of a TIFF.  Raises LocalError."""
    order = "<" if octets[:2] == b"II" else ">"
    try:
        (at,), found, seen = struct.unpack_from(order + "I", octets, 4), [], set()
        while at:
            if at in seen or len(found) > PAGES_MOST:
                raise LocalError("the TIFF has more than %d pages, or its pages lead in a ring" % PAGES_MOST)
            seen.add(at)
            (count,), page = struct.unpack_from(order + "H", octets, at), {}
            for place in range(count):
                tag, kind, number, _ = struct.unpack_from(order + "HHII", octets, at + 2 + 12 * place)
                size = SIZES.get(kind)
                if size is None or number > 100_000:
                    continue
                where = at + 10 + 12 * place if size * number <= 4 else struct.unpack_from(order + "I", octets, at + 10 + 12 * place)[0]
                letter = {1: "B", 3: "H", 4: "I", 5: "I"}[kind]
                page[tag] = list(struct.unpack_from("%s%d%s" % (order, number * (2 if kind == 5 else 1), letter), octets, where))
            found.append(page)
            (at,) = struct.unpack_from(order + "I", octets, at + 2 + 12 * count)
    except struct.error:
        raise LocalError("the TIFF ends too early; it was cut off") from None
    return found


def check(octets):
    """Raise LocalError where a fax machine could not print a TIFF; names the page."""
    pages = pages_of(octets)
    if not pages:
        raise LocalError("the TIFF has no page")
    for number, page in enumerate(pages):
        def one(tag, default=None, page=page):
            return page[tag][0] if page.get(tag) else default
        here = "page %d of the TIFF" % (number + 1)
        if one(BITS, 1) != 1 or one(SAMPLES, 1) != 1:
            raise LocalError("%s is in grey or colour; a fax has 1 bit a pel (tiff2bw, or print it as PDF)" % here)
        if one(WIDTH) not in WIDTHS:
            raise LocalError("%s is %s pels wide; a fax has %s" % (here, one(WIDTH), ", ".join("%d" % width for width in WIDTHS)))
        if one(COMPRESSION, 1) not in CODED:
            raise LocalError("%s is packed in a way that faxes do not use (%s); use one of %s" % (here, one(COMPRESSION), ", ".join(CODED.values())))
        if not 0 < (one(LENGTH) or 0) <= LINES_MOST:
            raise LocalError("%s has %s lines; 1 to %d are possible" % (here, one(LENGTH), LINES_MOST))
        strips = list(zip(page.get(OFFSETS) or [], page.get(COUNTS) or []))
        if not strips or any(start + length > len(octets) for start, length in strips):
            raise LocalError("%s lies beyond the end of the file; it was cut off" % here)
