"""What the live PRI calls said, read by tshark; collected in test_outgoing.py, in the house of pri_house.py, after the other PRI cases."""

import shutil
import subprocess

import pytest

from tests.live.pri_house import SPANS, hang_up, slot, talk_through
from tests.proto import isdn


@pytest.mark.conformance("Q.931", "4/live", "every layer 3 message of the live calls of these spans is read by tshark without complaint")
def test_tshark_reads_what_we_said(house):
    """Ours are those that the far exchange received; a Facility of DMS-100's or NI2's is beyond tshark where libpri wrote it, not ours.

    Not judged: maintenance messages of National ISDN (discriminator 0x43), which tshark does not know; an invoke without argument
    (mCIDRequest of EN 300 130 has none, and libpri answers it), in which tshark misses one ("Empty choice"); ectExecute of EN 300 369, local operation 6,
    which tshark reads as QSIG's pathReplaceRetain of the same number and finds malformed, and libpri carries out."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    seen = 0
    houses = house.folder.name.rstrip("0123456789") + "[0-9]*"       # those before, too: one that the host disturbed is not used again
    for path in sorted(path for span in SPANS for path in house.folder.parent.glob(f"{houses}/trace/span-{span}.pcap")):
        octets, at, packets = path.read_bytes(), 24, []
        while at + 16 <= len(octets):
            size = int.from_bytes(octets[at + 8:at + 12], "little")
            packets.append(octets[at + 16:at + 16 + size])
            at += 16 + size
        rows = isdn.tshark(path)
        for packet, row in zip(packets, rows, strict=False):
            ours, frame = packet[1] != 4, packet[16:]
            if ours and len(frame) > 5 and not frame[2] & 1:
                seen += 1
                argumentless = b"\x1c\x09\x91\xa1\x06" in frame and ("Empty choice" in row[1] or frame[-3:] == b"\x02\x01\x06")
                assert frame[4] == 0x43 or argumentless or not row[1], (path.name, frame.hex(), row)
    assert seen > 100
    trace = house.product.octets("/api/v1/trace?span=2")            # of the box's own ring on the disk
    first = int.from_bytes(trace[4:8], "little")
    assert trace[:4] == b"\x0a\x0d\x0d\x0a" and trace[first:first + 4] == b"\x01\0\0\0" and trace[first + 8:first + 10] == b"\xb1\0", "pcapng, link type 177"


def test_a_call_s_trace_and_its_timeslot_s_history(house, phone):
    """From the ring on the disk, when the call is over: the frames of its two legs and of no other call; a timeslot's state and its calls."""
    house.far.policy()
    other, beside = talk_through(house, 1, 12, record=False)
    name, out = talk_through(house, 3, 7, timeslot=9, record=False)
    call = house.newest_call()["call"]
    assert slot(house, 3, 9)["state"] == house.product.get("/spans/3/timeslots/9")["timeslot"]["state"] == "busy"
    house.far.hangup(name)
    for each in (name, out["id"]):
        house.far.wait_for("released", 30, id=each)
    house.cdr(call)
    hang_up(house, other, beside["id"])
    for span, timeslot in ((3, 9), (7, out["timeslot"])):
        told = house.product.get(f"/spans/{span}/timeslots/{timeslot}")
        assert told["timeslot"]["state"] == "idle" and told["calls"][0]["call"] == call
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    path = house.folder / "call.pcapng"
    path.write_bytes(house.product.octets(f"/api/v1/calls/{call}/trace"))
    rows = [line.split("\t") for line in subprocess.run(
        ["tshark", "-n", "-r", str(path), "-T", "fields", "-e", "frame.interface_name", "-e", "q931.message_type", "-e", "_ws.malformed"],
        capture_output=True, text=True, check=True).stdout.splitlines()]
    kinds = [row[1] for row in rows]
    assert [kinds.count(kind) for kind in ("0x05", "0x07", "0x45", "0x4d", "0x5a")] == [2] * 5, rows        # SETUP, CONNECT, DISCONNECT, RELEASE, RELEASE COMPLETE
    assert not any(row[2] for row in rows) and len({row[0] for row in rows}) == 2, "two spans"
