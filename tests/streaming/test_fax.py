"""The fax machine in place of a service: a document goes to another terminal of spandsp over A-law, on rings as media has them."""

import numpy

from dsp import g711
from firmware.storage.documents import pages_of
from firmware.storage.drawing import tiff
from firmware.streaming import rings
from firmware.streaming._fax import Terminal
from firmware.streaming.fax import LEAD_MS, FaxSession, sentence

ROW = bytes([0, 0x3C] * 108)


class Line:
    """A page of the rings, with the tick's part played here."""

    def __init__(self):
        self.memory = memoryview(bytearray(rings.PAGE_OCTETS))
        self.page = rings.Page(self.memory, 0)
        self.words = self.memory[:rings.HEADER_OCTETS].cast("Q")

    def tick(self, said):
        """160 samples of the leg go out; returns those for the leg."""
        head = self.words[rings.OUT_HEAD]
        for n, octet in enumerate(said):
            at = rings.HEADER_OCTETS + (head + 2 * n) % rings.OUT_OCTETS
            self.memory[at] = octet
        self.words[rings.OUT_HEAD] = head + 2 * len(said)
        tail = self.words[rings.IN_TAIL]
        assert self.words[rings.IN_HEAD] - tail >= len(said), "a hole in what the modem sends"
        base = rings.HEADER_OCTETS + rings.OUT_OCTETS
        heard = bytes(self.memory[base + (tail + n) % rings.IN_OCTETS] for n in range(len(said)))
        self.words[rings.IN_TAIL] = tail + len(said)
        return heard


def order(path, role="calls"):
    return {"document": str(path), "role": role, "station": "+86 21 5080", "header": ""}


def test_pages_reach_another_machine_though_the_pump_is_late_now_and_then(tmp_path):
    pages = [(1728, 40, ROW * 40), (1728, 24, bytes(216 * 24))]
    (tmp_path / "a.tif").write_bytes(tiff(pages))
    line, told, other = Line(), [], Terminal(calls=False, receive=str(tmp_path / "b.tif"), station="13912345678")
    session = FaxSession(order(tmp_path / "a.tif"), line.page, lambda what, **fields: told.append((what, fields)))
    heard = bytes(160)
    for n in range(50 * 90):
        if n % 50 < 50 - LEAD_MS // 20 + 1:             # 280 ms of each second nobody pumps
            session.pump()
        other.receive(g711.expand(numpy.frombuffer(heard, numpy.uint8), 0))
        heard = line.tick(g711.compress(other.transmit(160), 0).tobytes())
        if other.over and told[-1][0] == "fax":
            break
    assert [what for what, _ in told] == ["opened", "page", "page", "fax"]
    assert told[-1][1]["ok"] and told[-1][1]["pages"] == 2 and told[-1][1]["station"] == "13912345678", told
    assert other.status == 0 and other.figures()["pages"] == 2 and other.figures()["bad_rows"] == 0
    assert line.words[rings.ENDED] == 1


def received(tmp_path, ticks):
    """(what was told, the session, pels of each page that was sent) of another machine that sends two pages for so long."""
    pages = [(1728, 40, ROW * 40), (1728, 900, ROW * 900)]
    (tmp_path / "a.tif").write_bytes(tiff(pages))
    line, told, other = Line(), [], Terminal(calls=True, send=str(tmp_path / "a.tif"), station="13912345678")
    session = FaxSession(order(tmp_path / "b.tif", "receives"), line.page, lambda what, **fields: told.append((what, fields)))
    heard = bytes(160)
    for _ in range(ticks):
        session.pump()
        other.receive(g711.expand(numpy.frombuffer(heard, numpy.uint8), 0))
        heard = line.tick(g711.compress(other.transmit(160), 0).tobytes())
        if told[-1][0] == "fax" or [what for what, _ in told].count("page") and ticks < 50 * 90:
            break
    return told, session, pages


def test_pages_of_another_machine_are_a_whole_file_when_it_is_told(tmp_path):
    told, _, pages = received(tmp_path, 50 * 90)
    assert told[-1][0] == "fax" and told[-1][1]["ok"] and (told[-1][1]["pages"], told[-1][1]["station"]) == (2, "13912345678"), told
    assert [page[257][0] for page in pages_of((tmp_path / "b.tif").read_bytes())] == [40, 900]


def test_a_call_that_ends_in_the_second_page_leaves_the_first(tmp_path):
    told, session, _ = received(tmp_path, 50 * 60)
    assert told[-1][0] == "page" and told[-1][1]["pages"] == 1, told
    session.close().close()
    assert pages_of((tmp_path / "b.tif").read_bytes())[0][257] == [40]


def test_nobody_answers_or_the_document_is_gone(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff([(1728, 4, ROW * 4)]))
    for path, seconds, words in ((tmp_path / "a.tif", 75, sentence(2)), (tmp_path / "none.tif", 75, "")):
        line, told = Line(), []
        session = FaxSession(order(path), line.page, lambda what, **fields: told.append((what, fields)))
        for n in range(50 * seconds):
            session.pump()
            line.tick(b"\xd5" * 160)
            if told[-1][0] == "fax":
                break
        assert told[-1][0] == "fax" and not told[-1][1]["ok"] and words in told[-1][1]["why"], told
        session.close().close()
