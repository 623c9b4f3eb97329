"""The ring of signalling: what is written is there, whoever dies; the newest stays."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from firmware.control.trace_legs import legs_of
from firmware.trace import calls, pcapng, ring

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETUP = bytes.fromhex("00 0001 0000 08 02 0005 05 0403 8090a3 1803 a98387 7005 8131303030".replace(" ", ""))        # our side, then the frame
RELEASE = bytes.fromhex("00 0001 0200 08 02 0005 5a".replace(" ", ""))
OTHER = bytes.fromhex("00 0001 0400 08 02 0006 05 0403 8090a3 1803 a98388".replace(" ", ""))


def test_records_come_back_in_order(tmp_path):
    writer = ring.Writer(tmp_path, "media")
    for number in range(50):
        writer.put(ring.LAPD, 5, 16, number % 2, bytes([0, number]))
    writer.put(ring.CAS, 6, 7, 0, b"")
    found = list(ring.records(tmp_path, 0, 1 << 62))
    assert [record[5] for record in found] == [bytes([0, number]) for number in range(50)] + [b""]
    assert found[-1][:4] == (ring.CAS, 6, 7, 0) and found == sorted(found, key=lambda record: record[4])
    assert list(ring.records(tmp_path, found[10][4], found[10][4]))[0][4] == found[10][4]


def test_the_oldest_goes_and_a_new_writer_goes_on(tmp_path):
    writer = ring.Writer(tmp_path, "media", most=3, segment_octets=4096)
    for number in range(1000):
        writer.put(ring.MTP2, 1, 16, 0, number.to_bytes(4, "big") + bytes(60))
    assert len(ring.segments(tmp_path)) == 3 and sum(path.stat().st_size for path in tmp_path.iterdir()) == 3 * 4096
    again = ring.Writer(tmp_path, "media", most=3, segment_octets=4096)
    again.put(ring.MTP2, 1, 16, 0, b"last")
    found = [record[5] for record in ring.records(tmp_path, 0, 1 << 62)]
    assert found[-1] == b"last" and found[-2][:4] == (999).to_bytes(4, "big")
    numbers = [int.from_bytes(payload[:4], "big") for payload in found[:-1]]
    assert numbers == list(range(numbers[0], 1000)), "no gap"


def test_a_killed_writer_has_lost_nothing(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "import sys; from firmware.trace.ring import *; w = Writer(sys.argv[1], 'media')\n"
                              "for n in range(1000): w.put(LAPD, 1, 16, 0, n.to_bytes(4, 'big'))\nprint('done', flush=True); input()", str(tmp_path)],
                             cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"done\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert [int.from_bytes(record[5], "big") for record in ring.records(tmp_path, 0, 1 << 62)] == list(range(1000))


def test_a_full_disk_costs_the_oldest_never_a_call(tmp_path, monkeypatch):
    writer = ring.Writer(tmp_path, "media", most=10, segment_octets=4096)
    for number in range(200):
        writer.put(ring.MTP2, 1, 16, 0, bytes(60))
    held, refuse = len(ring.segments(tmp_path)), []

    def fallocate(descriptor, offset, octets):
        if len(ring.segments(tmp_path)) > held:     # the new one is there already
            raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    monkeypatch.setattr(ring.mmap, "mmap", lambda descriptor, octets: bytearray(octets) if refuse else _mapped(descriptor, octets))
    for number in range(200):
        writer.put(ring.MTP2, 1, 16, 0, b"new" + bytes(57))
    assert not writer.dropped and len(ring.segments(tmp_path)) <= held
    assert [record[5][:3] for record in ring.records(tmp_path, 0, 1 << 62)][-1] == b"new"


def _mapped(descriptor, octets, mmap=ring.mmap.mmap):
    os.ftruncate(descriptor, octets)
    return mmap(descriptor, octets)


def test_garbage_ends_a_segment_and_raises_nothing(tmp_path):
    (tmp_path / "media-00000001.ring").write_bytes(os.urandom(5000))
    (tmp_path / "media-00000002.ring").write_bytes(b"\x05")
    (tmp_path / "notes.txt").write_text("x")
    writer = ring.Writer(tmp_path, "media")
    writer.put(ring.LAPD, 1, 16, 0, b"\0abc")
    assert [record[5] for record in ring.read_segment(ring.segments(tmp_path)[-1][1])] == [b"\0abc"]
    list(ring.records(tmp_path, 0, 1 << 62))


def test_a_call_on_a_d_channel_is_found_by_its_reference(tmp_path):
    writer = ring.Writer(tmp_path, "media")
    for sent, frame in ((0, SETUP), (0, OTHER), (0, RELEASE)):
        writer.put(ring.LAPD, 3, 16, sent, frame)
    found = list(ring.records(tmp_path, 0, 1 << 62))
    leg = {"tech": "pri", "span": 3, "timeslot": 7, "from_us": found[0][4], "until_us": found[-1][4]}
    assert [record[5] for record in calls.of_legs(found, [leg])] == [SETUP, RELEASE]
    assert calls.of_legs(found, [{**leg, "timeslot": 9}]) == []


def frames(*texts):
    """Records of span 3's D channel, one each 10 ms; sent by the far end where the reference is the sender's."""
    return [(ring.LAPD, 3, 16, int(text[4:6] == "80"), 10_000_000 + 10_000 * number, bytes.fromhex("0000010000" + text)) for number, text in enumerate(texts)]


def test_a_call_whose_setup_was_said_twice_is_one_call():
    found = frames("0802000505" "1803a98387", "0802000505" "1803a98387", "0802800502" "1803a98387", "080200055a", "0802000505" "1803a98387")
    leg = {"tech": "pri", "span": 3, "timeslot": 7, "from_us": 10_000_000, "until_us": 10_030_000}
    assert calls.of_legs(found, [leg]) == found[:4]


@pytest.mark.parametrize("channel, timeslot, span", [
    ("1804e9828385", 5, 4),             # interface 2 by name
    ("1803a98385", 5, 3),               # no interface: that of the D channel, 0
    ("1806e9829300 0010".replace(" ", ""), 5, 4),       # by a map of 24
])
def test_channels_of_a_group_with_one_d_channel(channel, timeslot, span):
    rows = [{"span": number, "signalling": "pri", "channel_numbering": "timeslot", "nfas": {"group": "g", "interface": interface, "d_channel": kind}}
            for number, interface, kind in ((3, 0, "primary"), (4, 2, "none"))]
    found = frames("0802000505" + channel, "080200055a")
    for asked in (3, 4):
        journal = [{"kind": "leg.offered", "leg": "l1", "ts_ms": 10_000, "data": {"tech": "pri", "span": asked, "timeslot": timeslot}},
                   {"kind": "leg.released", "leg": "l1", "ts_ms": 10_010, "data": {}}]
        legs, _ = legs_of(journal, {"spans": rows, "ss7": []})
        assert list(calls.candidates(found, legs, False, set())) == found
        assert calls.of_legs(found, legs) == (found if asked == span else [])


def test_channels_that_are_counted_on_end():
    row = {"span": 3, "signalling": "pri", "channel_numbering": "consecutive", "nfas": {"group": "", "interface": 0, "d_channel": "primary"}}
    found = frames("0802000505" "1803a98390", "080200055a", "0802000605" "1803a98391", "080200065a")
    for timeslot, wanted in ((17, found[:2]), (18, found[2:]), (16, [])):
        journal = [{"kind": "leg.offered", "leg": "l1", "ts_ms": 10_000, "data": {"tech": "pri", "span": 3, "timeslot": timeslot}}]
        assert calls.of_legs(found, legs_of(journal, {"spans": [row], "ss7": []}, 10_100_000)[0]) == wanted


def test_isup_and_circuits(tmp_path):
    unit = bytes([0x80, 0x80, 12, 0x85]) + (100 | 200 << 14).to_bytes(4, "little") + (33).to_bytes(2, "little") + b"\x01\x00"
    assert calls.isup_circuit(unit, False) == (frozenset((100, 200)), 33)
    assert calls.isup_circuit(unit[:6], False) is None and calls.isup_circuit(b"\0\0\0", False) is None
    now = time.time_ns() // 1000
    records = [(ring.MTP2, 33, 16, 0, now, unit), (ring.CAS, 5, 7, 0, now, b"\x01"), (ring.CAS, 5, 8, 0, now, b"\x01")]
    leg = {"tech": "ss7", "span": 40, "timeslot": 1, "cic": 33, "codes": frozenset((100, 200)), "from_us": now, "until_us": now}
    assert calls.of_legs(records, [leg]) == records[:1] and calls.of_legs(records, [{**leg, "cic": 34}]) == []
    assert calls.of_legs(records, [{"tech": "r2", "span": 5, "timeslot": 7, "from_us": now, "until_us": now}]) == records[1:2]


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_tshark_reads_the_file(tmp_path):
    now = time.time_ns() // 1000
    isup = bytes.fromhex("8080 00 85 64003200 2100 0c 02 00 02 8090".replace(" ", ""))
    isup = isup[:2] + bytes([len(isup) - 3]) + isup[3:]
    with open(tmp_path / "t.pcapng", "wb") as out:
        writer = pcapng.PcapngWriter(out, "test")
        for record in ((ring.LAPD, 3, 16, 0, now, SETUP), (ring.MTP2, 33, 16, 1, now + 1, isup), (ring.CAS, 5, 7, 0, now + 2, b"\x09"),
                       (ring.REGISTER, 5, 7, 1, now + 3, b"r2_backward signal 1")):
            writer.put(record)
    lines = subprocess.run(["tshark", "-n", "-r", str(tmp_path / "t.pcapng"), "-T", "fields", "-e", "frame.protocols", "-e", "_ws.col.Info", "-e", "frame.comment",
                            "-e", "frame.interface_name"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == 4
    assert "q931" in lines[0] and "SETUP" in lines[0] and "span 3 D channel timeslot 16" in lines[0]
    assert "isup" in lines[1] and "REL" in lines[1]
    assert "timeslot 7: far end sends ABCD 1001" in lines[2] and "r2_backward signal 1" in lines[3]
