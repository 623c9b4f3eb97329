"""Documents for fax: what is taken, how it lies on the paper, and sentences for what no machine could print."""

import shutil
import struct
import subprocess
import tracemalloc
from types import SimpleNamespace

import pytest

from firmware.errors import LocalError
from firmware.storage import drawing
from firmware.storage.documents import Documents, pages_of
from firmware.storage.drawing import tiff

PBM = b"P4\n# a line\n16 2\n\xff\x00\x80\x01"


@pytest.fixture
def documents(tmp_path):
    return Documents(tmp_path / "documents")


def grey(path):
    """The pels as ffmpeg reads them."""
    return subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray", "-"], capture_output=True, check=True).stdout


def test_a_picture_lies_in_the_middle_of_white_paper_as_an_independent_reader_sees(documents):
    assert documents.put("small", PBM) == {"document": "small", "pages": 1, "octets": 8 + 2 * 216 + 16 + 2 + 12 * 12 + 4}
    pels = grey(documents.file("small"))
    first, second = pels[:1728], pels[1728:]
    at = (1728 - 16) // 16 * 8
    assert len(pels) == 2 * 1728
    assert first[at:at + 16] == bytes(8) + b"\xff" * 8 and second[at:at + 16] == b"\0" + b"\xff" * 14 + b"\0"
    assert first.count(0) == 8 and second.count(0) == 2
    assert documents.rows()[0]["pages"] == 1
    documents.put("small", tiff([(1728, 1, bytes(216)), (2048, 3, bytes(256 * 3))]))
    assert [page[256] for page in pages_of(open(documents.file("small"), "rb").read())] == [[1728], [2048]]
    documents.remove("small")
    assert documents.rows() == []
    with pytest.raises(LocalError, match="there is no document small"):
        documents.remove("small")


def test_what_a_machine_has_sent_is_a_document_when_it_is_whole(documents):
    """Over and over: a restart asks again.  What ended before a page was there is nothing."""
    assert documents.received("c1-q1") is None
    path = documents.receiving("inbox-c1-q1")
    with open(path, "wb") as file:
        file.write(tiff([(1728, 1, bytes(216)), (1728, 3, bytes(3 * 216))]))
    with open(documents.receiving("inbox-c2-q1"), "wb") as file:
        file.write(b"II*\0")
    assert documents.rows() == [], "nobody may read what is being written"
    assert [documents.received("c1-q1") for _ in range(2)] == [{"document": "inbox-c1-q1", "pages": 2}] * 2
    assert documents.received("c2-q1") is None and [row["document"] for row in documents.rows()] == ["inbox-c1-q1"]


def test_what_is_given_to_the_box_never_looks_like_a_received_fax(documents):
    """Age and erasures tell them apart by their names."""
    for name in ("offer-c1-q1", "-c12-q3"):
        with pytest.raises(LocalError, match="that of a received fax"):
            documents.put(name, PBM)
    for name in ("offer", "offer-c1", "c1-q1", "offer-c1-q1-2026"):
        documents.put(name, PBM)
    assert documents.forget_before(1 << 45, 10) == 0 and len(documents.rows()) == 4


def test_received_faxes_go_by_age_so_many_at_a_time(documents):
    for call in range(5):
        with open(documents.receiving("inbox-c%d-q1" % call), "wb") as file:
            file.write(tiff([(1728, 1, bytes(216))]))
    documents.adopt(())
    assert documents.forget_before(0, 10) == 0
    assert [documents.forget_before(1 << 45, 2) for _ in range(4)] == [2, 2, 1, 0] and documents.rows() == []


def test_a_received_document_may_have_no_name_but_its_token(documents):
    with open(documents.receiving("-c1-q1"), "wb") as file:
        file.write(tiff([(1728, 1, bytes(216))]))
    assert documents.received("c1-q1") == {"document": "-c1-q1", "pages": 1}


def test_nothing_is_received_where_there_is_no_room(documents, monkeypatch):
    """The machine would confirm each page, and none would be there."""
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=5 << 20))
    with pytest.raises(LocalError, match="no room to receive a fax: 5 MB are free, 32 are wanted"):
        documents.receiving("inbox-c1-q1")


def test_pages_of_calls_that_ended_in_their_middle_are_kept(documents):
    for token in ("c3-q1", "c4-q2"):
        with open(documents.receiving("in-box-" + token), "wb") as file:
            file.write(tiff([(1728, 1, bytes(216))]))
    documents.adopt({"c4-q2"})
    assert [row["document"] for row in documents.rows()] == ["in-box-c3-q1"], "the other one is being written"
    documents.adopt(())
    assert len(documents.rows()) == 2 and not list(documents.folder.glob(".*"))


def pdf(width=595, height=842):
    """Two pages with a black square of an inch each, written by hand; width, height in points."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2>>"]
    objects += [b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Contents 5 0 R>>" % (width, height)] * 2
    objects += [b"<</Length 17>>stream\n0 0 72 72 re f   \nendstream"]
    made, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects):
        places.append(len(made))
        made += b"%d 0 obj" % (number + 1) + one + b"endobj\n"
    table = b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    made += table + b"trailer<</Root 1 0 R/Size 6>>startxref\n%d\n%%%%EOF" % len(made)
    return made


def test_a_pdf_is_drawn(documents):
    assert documents.put("paper", pdf())["pages"] == 2
    first = pages_of(open(documents.file("paper"), "rb").read())[0]
    assert first[256] == [1728] and abs(first[257][0] - 842 / 72 * 196) < 3
    black = grey(documents.file("paper")).count(0)
    assert abs(black / (204 * 196) - 1) < 0.05          # an inch by an inch


def test_a_page_of_a_pdf_is_bounded_and_control_holds_none_of_it(documents, monkeypatch):
    """A page of 14,400 points by 14,400 would be 1.6 thousand million pels; one that is too long by little, too, is refused by its size."""
    for width, height, words in ((14400, 14400, "page 1 (has|cannot be drawn in)"), (595, 4500, "page 1 has 1686 x 12250 pels; a page has at most")):
        with pytest.raises(LocalError, match=words):
            documents.put("large", pdf(width, height))
    monkeypatch.setattr(drawing, "paper", None)         # the work on lines is another process's
    monkeypatch.setattr(drawing, "tiff", None)
    assert documents.put("paper", pdf())["pages"] == 2 and [path.name for path in documents.folder.iterdir()] == ["paper.tif"]


def test_directories_of_a_tiff_are_no_bomb(documents):
    """65,535 entries that all point at the same 100,000 values, of a tag that nobody asks for, of one that is, and over many pages."""
    values = bytes(400_000)

    def bomb(tag, number, count):
        return b"II*\0" + struct.pack("<I", 8 + len(values)) + values + struct.pack("<H", count) + struct.pack("<HHII", tag, 4, number, 8) * count + bytes(4)
    tracemalloc.start()
    for tag, number, count, words in ((4000, 100_000, 65535, "grey|wide"), (273, 100_000, 65535, "100000 values for tag 273"), (273, 12_000, 65535, "wide"), (256, 2, 1, "2 values for tag 256")):
        with pytest.raises(LocalError, match=words):
            documents.put("bomb", bomb(tag, number, count))
    strips = struct.pack("<H", 2) + struct.pack("<HHII", 273, 4, 12_000, 8) + struct.pack("<HHII", 279, 4, 12_000, 8)
    made = b"II*\0" + struct.pack("<I", 8 + len(values)) + values
    for page in range(190):
        made += strips + struct.pack("<I", len(made) + len(strips) + 4 if page < 189 else 0)
    with pytest.raises(LocalError, match="500000 strips"):
        documents.put("bomb", made)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 64 << 20 and documents.rows() == []


def test_a_refusing_disk_leaves_nothing_and_the_list_reads_no_pictures(documents, monkeypatch):
    documents.put("a", PBM)

    def refuses(*_):
        raise OSError(28, "No space left on device")
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", refuses)
        with pytest.raises(OSError, match="No space"):
            documents.put("b", tiff([(1728, 4, bytes(216 * 4))]))
    assert [path.name for path in documents.folder.iterdir()] == ["a.tif"]
    (documents.folder / "empty.tif").write_bytes(b"")
    monkeypatch.setattr("pathlib.Path.read_bytes", None)
    assert [row["document"] for row in documents.rows()] == ["a"]


def test_what_cannot_be_printed_is_said_and_the_old_one_stays(documents):
    documents.put("a", PBM)
    before = open(documents.file("a"), "rb").read()
    good = tiff([(1728, 4, bytes(216 * 4))])

    def changed(tag, value):
        at = good.index(struct.pack("<HH", tag, 3 if tag in (258, 259, 277) else 4))
        return good[:at + 8] + struct.pack("<I", value) + good[at + 12:]
    for octets, words in ((b"", "none that can be sent"), (b"GIF89a", "none that can be sent"), (b"P4\n0 5\n", "0 x 5 pels"), (b"P4\nx", "no size"), (PBM[:-1], "1 octets are missing"),
                          (b"P4\n5000 1\n" + bytes(700), "5000 x 1"), (b"II*\0" + bytes(8), "no page"), (good[:-30], "too early"), (changed(256, 1000), "1000 pels wide"),
                          (changed(258, 8), "grey or colour"), (changed(259, 7), "faxes do not use"), (changed(257, 0), "0 lines"), (changed(273, 1 << 30), "beyond the end"),
                          (good[:-4] + struct.pack("<I", len(good) - 4 - 2 - 12 * 12), "in a ring"), (b"%PDF-1.4\nnothing", "cannot be drawn")):
        with pytest.raises(LocalError, match=words):
            documents.put("a", octets)
        assert open(documents.file("a"), "rb").read() == before
    for name in ("", ".a", "a/b", "ä", "a" * 65):
        with pytest.raises(LocalError, match="a document has a name"):
            documents.put(name, PBM)
