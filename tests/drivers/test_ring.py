"""The window without a board: mapping, refusals, single stores.  tests/hil has it with one."""

import struct

import pytest

from drivers.tdm import ring
from firmware.errors import DriverError, LocalError

SPANS = 2
RX = ring.HEADER_OCTETS
TX = RX + 2048 * SPANS * 32
CAS_RX = TX + 2048 * SPANS * 32
CAS_TX = CAS_RX + SPANS * 32
REQUEST = CAS_TX + SPANS * 32


def write_window(path, **changes):
    values = {"magic": ring.MAGIC, "version": 1, "spans": SPANS, "ring_frames": 2048, "frame_rate_hz": 8000, "timeslots": 32,
              "rx_offset": RX, "tx_offset": TX, "cas_rx_offset": CAS_RX, "cas_tx_offset": CAS_TX,
              "request_offset": REQUEST, "request_entries": 16, "burst_frames": 80, "generation": 1, "idle_code": 0xD5,
              **changes}
    octets = bytearray(REQUEST + 16 * 16)
    for name, offset, width, _ in ring.HEADER:
        struct.pack_into("<Q" if width == 8 else "<I", octets, offset, values.get(name, 0))
    path.write_bytes(octets)
    return str(path)


def test_header_is_the_contract():
    offsets = {name: (offset, width) for name, offset, width, _ in ring.HEADER}
    assert offsets["rx_head"] == (0x40, 8) and offsets["tx_head"] == (0x48, 8)
    assert offsets["tx_written"] == (0x80, 8) and offsets["media_owner"] == (0x88, 4)
    assert offsets["control_owner"] == (0xC0, 4) and offsets["generation"] == (0x34, 4)
    ends = 0
    for name, offset, width, _ in ring.HEADER:
        assert offset >= ends and offset % width == 0, name
        ends = offset + width
    assert ends <= ring.HEADER_OCTETS


def test_fields_and_views_share_the_file(tmp_path):
    path = write_window(tmp_path / "window")
    window, other = ring.Window(path), ring.Window(path)
    window.set("tx_written", (1 << 40) + 3)
    assert other.get("tx_written") == (1 << 40) + 3
    window.rx[2047, 1, 31] = 0x42
    assert other.rx[2047, 1, 31] == 0x42
    window.cas_tx[1, 31] = 0xA
    octets = (tmp_path / "window").read_bytes()
    assert octets[RX + 2047 * SPANS * 32 + 1 * 32 + 31] == 0x42
    assert octets[CAS_TX + 32 + 31] == 0xA
    assert window.address % 4096 == 0 and window.offsets["rx"] == RX and window.offsets["rx_head"] == 0x40
    assert window.present()


@pytest.mark.parametrize("changes, sentence", [
    ({"magic": 0}, "not ready"), ({"version": 2}, "version 2"), ({"spans": 64}, "outside the window"),
    ({"request_offset": 1 << 31}, "outside the window"), ({"rx_offset": 0}, "outside the window")])
def test_a_wrong_window_is_refused(tmp_path, changes, sentence):
    path = write_window(tmp_path / "window", **changes)
    with pytest.raises(DriverError, match=sentence):
        ring.Window(path)


def test_a_missing_or_short_window(tmp_path, monkeypatch):
    with pytest.raises(DriverError, match="start the board"):
        ring.open_window(str(tmp_path / "none"), 0.1)
    (tmp_path / "short").write_bytes(b"x")
    with pytest.raises(DriverError, match="start the board"):
        ring.Window(str(tmp_path / "short"))
    monkeypatch.delenv("STROWGER_BOARD", raising=False)
    monkeypatch.delenv("STROWGER_RUN", raising=False)
    with pytest.raises(LocalError, match="STROWGER_RUN"):
        ring.window_path()
    monkeypatch.setenv("STROWGER_RUN", "/r")
    assert ring.window_path() == "/r/board/window"
    monkeypatch.setenv("STROWGER_BOARD", "/b")
    assert ring.window_path() == "/b"


def test_a_board_that_does_not_answer(tmp_path):
    window = ring.Window(write_window(tmp_path / "window"))
    requests = ring.RequestRing(window, owner=77, sleep=lambda seconds: None)
    requests.ANSWER_TIMEOUT_MS = 10
    requests.take()
    assert window.get("control_owner") == 77
    with pytest.raises(DriverError, match="the board has stopped"):
        requests.read(1, 0x4C)
    assert (window.request[:, 0] == ring.FREE).all()
    window.set("generation", 2)
    with pytest.raises(DriverError, match="was reset"):
        requests.read(1, 0x4C)
