"""Documents that fax nodes send and receive: $STROWGER_DATA/documents/<name>.tif, one TIFF each, written whole or not at all.

    documents.rows()                [{"document", "pages", "octets", "changed_ms"}]
    documents.put(name, octets)     a TIFF, a PBM picture (P4) or, where pdftoppm is installed, a PDF -> {"pages", "octets"}
    documents.file(name)            path
    documents.remove(name)
    documents.receiving(name)       path to which a fax machine writes what comes; no document yet.  name ends in the token of the fax
    documents.received(token)       its pages are a document now: {"document", "pages"}; None where no page has come, or nothing was received
    documents.adopt(tokens)         the same of all that nobody writes any more.  tokens: of faxes that run
    documents.forget(names)         of an erased person; how many there were
    documents.forget_before(ms, most)    up to so many that were received before a moment; how many

What goes to a fax machine has 1 bit a pel and 1728, 2048 or 2432 pels a line (ITU-T T.4 2.1; A4, B4, A3), 204 pels and 98, 196 or 391 lines an
inch.  A picture that is narrower is put into the middle of white paper; another width is refused with a sentence, since we scale nothing."""

import contextlib
import itertools
import mmap
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

from firmware.errors import LocalError
from firmware.storage.drawing import BITS, COMPRESSION, COUNTS, LENGTH, LINES_MOST, OFFSETS, PAGES_MOST, RENDER_S, SAMPLES, WIDTH, WIDTHS

OCTETS_MOST = 32 << 20
VALUES_MOST = 1_000_000         # in the directories of a file, which may point at the same octets again and again; invented
ENDING, RECEIVING = ".tif", ".receiving-"
RECEIVED = re.compile(r"-(c[0-9]+)-q[0-9]+$")       # the token of a fax (control/core_ivr.py)
SIZES = {1: 1, 3: 2, 4: 4, 5: 8}            # octets of BYTE, SHORT, LONG, RATIONAL
NAMED = {WIDTH: 1, LENGTH: 1, BITS: 4, COMPRESSION: 1, SAMPLES: 1, OFFSETS: LINES_MOST, COUNTS: LINES_MOST}     # those that check() reads: how many values
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
                with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:     # the directories only
                    stat = os.fstat(file.fileno())
                    found.append({"document": path.stem, "pages": len(pages_of(octets)), "octets": stat.st_size, "changed_ms": stat.st_mtime_ns // 1_000_000})
            except (OSError, ValueError, LocalError):
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
        if call_of(name) is not None:
            raise LocalError("a name that ends like -c12-q1 is that of a received fax; choose another one")
        if octets[:2] != b"P4" and octets[:5] != b"%PDF-":
            check(octets)
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(".drawing-*"):         # of a killed process; one is given at a time
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".drawing-", dir=self.folder) as beside:
            given, made = os.path.join(beside, "given"), os.path.join(beside, "made")
            with open(given, "wb") as file:
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
            if octets[:4] in (b"II*\0", b"MM\0*"):
                made, count = given, len(pages_of(octets))
            else:
                count = drawn(given, made)
            size = os.path.getsize(made)
            os.replace(made, path)
        return {"document": name, "pages": count, "octets": size}

    def remove(self, name):
        """Raises LocalError where there is none."""
        os.unlink(self.file(name))

    def receiving(self, name):
        """Raises LocalError, OSError.  A fax machine confirms pages whether they can be written or not, so there must be room before."""
        path = self._path(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < OCTETS_MOST:
            raise LocalError("there is no room to receive a fax: %d MB are free, %d are wanted" % (free >> 20, OCTETS_MOST >> 20))
        return str(path.with_name(RECEIVING + path.name))

    def received(self, token):
        """The same answer when it is asked again.  Raises OSError."""
        for came in self.folder.glob("%s*-%s%s" % (RECEIVING, token, ENDING)):
            if not _pages(came):
                came.unlink()
                continue
            with open(came, "rb") as file:
                os.fsync(file.fileno())
            os.replace(came, came.with_name(came.name[len(RECEIVING):]))
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        for path in self.folder.glob("*-%s%s" % (token, ENDING)):
            return {"document": path.stem, "pages": _pages(path)}
        return None

    def adopt(self, tokens):
        """Raises OSError."""
        for path in self.folder.glob("%s*%s" % (RECEIVING, ENDING)):
            token = "-".join(path.stem.split("-")[-2:])
            if token not in tokens:
                self.received(token)

    def forget(self, names):
        """Also one that nobody has adopted yet.  Raises OSError."""
        count = 0
        for path in [self._path(name) for name in names]:
            for each in (path, path.with_name(RECEIVING + path.name)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(each)
                    count += 1
        return count

    def forget_before(self, before_ms, most):
        """Those that were given to the box stay.  Raises OSError."""
        old = (path for path in self.folder.glob("[!.]*" + ENDING) if call_of(path.stem) is not None and path.stat().st_mtime_ns < before_ms * 1_000_000)
        return self.forget([path.stem for path in itertools.islice(old, most)])

    def _path(self, name):
        if not (0 < len(name) <= 64 and name[0] != "." and all(c.isascii() and (c.isalnum() or c in "-._") for c in name)):
            raise LocalError("a document has a name of 1 to 64 letters, digits, dots, dashes and underlines that begins with no dot")
        return self.folder / (name + ENDING)


def call_of(name):
    """The call in which a document was received; None: it was given to the box."""
    found = RECEIVED.search(name)
    return found.group(1) if found else None


def _pages(path):
    """How many pages a received file has, 0 where none is whole."""
    octets = path.read_bytes()
    try:
        return len(pages_of(octets)) if octets[:4] in (b"II*\0", b"MM\0*") else 0
    except LocalError:
        return 0


def drawn(given, made):
    """Make a TIFF of a picture or PDF in a process of its own (storage/drawing.py); the number of its pages.  Raises LocalError."""
    child = subprocess.Popen([sys.executable, "-m", "firmware.storage.drawing", given, made], cwd=pathlib.Path(__file__).parents[2], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        told = child.communicate(timeout=RENDER_S)[0].decode(errors="replace").strip()
    except subprocess.TimeoutExpired as error:
        raise LocalError("the document was not drawn within %d s; give a simpler one, or a TIFF" % RENDER_S) from error
    finally:
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
    if child.returncode or not told.isdecimal():
        raise LocalError(told[:300] or "the document cannot be drawn; give a TIFF")
    return int(told)


def pages_of(octets):
    """[{tag: [values]}] of the directories of a TIFF, of the tags that are named.  Raises LocalError."""
    order = "<" if octets[:2] == b"II" else ">"
    try:
        (at,), found, seen, values = struct.unpack_from(order + "I", octets, 4), [], set(), 0
        while at:
            if at in seen or len(found) > PAGES_MOST:
                raise LocalError("the TIFF has more than %d pages, or its pages lead in a ring" % PAGES_MOST)
            seen.add(at)
            (count,), page = struct.unpack_from(order + "H", octets, at), {}
            for place in range(count):
                tag, kind, number, _ = struct.unpack_from(order + "HHII", octets, at + 2 + 12 * place)
                size = SIZES.get(kind)
                if size is None or tag not in NAMED or tag in page:
                    continue
                if number > NAMED[tag]:
                    raise LocalError("page %d of the TIFF has %d values for tag %d; %d are possible" % (len(found) + 1, number, tag, NAMED[tag]))
                values += number
                if values > VALUES_MOST:
                    raise LocalError("the TIFF is in more than %d strips; write it with longer ones" % (VALUES_MOST // 2))
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
    if octets[:4] not in (b"II*\0", b"MM\0*"):
        raise LocalError("the file is none that can be sent: give a TIFF of 1 bit a pel, a PBM picture (P4) or a PDF")
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
