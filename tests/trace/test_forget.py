"""A person who is erased is in no octet of the ring any more; what others said is untouched; the writers go on."""

import json
import pathlib
import subprocess
import sys
import time

import pytest

from firmware.control.trace_legs import legs_of
from firmware.trace import forget, ring

ROOT = pathlib.Path(__file__).resolve().parents[2]
NUMBER, OTHER = "02150801234", "02150809999"
FORMS = ["02150801234", "2150801234", "862150801234"]


def setup(calling, reference, timeslot=7, more=b""):
    """Q.931 as it was sent: calling party number, then Signal (0x34), whose name is a digit in ASCII."""
    number = bytes([0x6C, 2 + len(calling), 0x21, 0x81]) + calling.encode() + b"\x34\x01\x40"
    return bytes.fromhex("000001000008020005") [:8] + bytes([reference, 5]) + bytes.fromhex("04038090a31803a983") + bytes([0x80 | timeslot]) + number + more


def release(reference):
    return bytes.fromhex("0000010200080200") + bytes([reference, 0x5A])


def semi_octets(digits):
    """Q.763 3.9: the first digit in bits 4-1; a filler of 0."""
    digits += "0" * (len(digits) % 2)
    return bytes(int(b) << 4 | int(a) for a, b in zip(digits[::2], digits[1::2], strict=True))


def iam(cic, called, calling):
    called, calling = semi_octets(called), semi_octets(calling)
    body = bytes([1, 0, 0x60, 1, 10, 3, 2, 4 + len(called), 2 + len(called), 0x83, 0x10]) + called + bytes([10, 2 + len(calling), 0x83, 0x13]) + calling + b"\0"
    return bytes([0x80, 0x80, 0, 0x85]) + (100 | 200 << 14).to_bytes(4, "little") + cic.to_bytes(2, "little") + body


def invite(number, name):
    return ("INVITE sip:1000@192.0.2.1 SIP/2.0\r\nFrom: <sip:+%s@10.0.0.2>;tag=%s77\r\nCall-ID: %s@10.0.0.2\r\nCSeq: 1 INVITE\r\n\r\n" % (number, number, name)).encode()


def packed(octets):
    return b"\0" + bytes([4, 10, 0, 0, 2]) + b"\x13\xc4" + bytes([4, 192, 0, 2, 1]) + b"\x13\xc4" + octets


def says(folder, digits):
    """Whether any payload names digits: as text, or as semi-octets from either half."""
    for record in ring.records(folder, 0, 1 << 62):
        octets = record[5]
        halves = "".join("%x%x" % (octet & 15, octet >> 4) for octet in octets)
        if digits.encode() in octets.replace(b"215080123477", b"") or record[0] == ring.MTP2 and digits in halves:
            return True
    return False


@pytest.fixture
def full(tmp_path):
    media, control = ring.Writer(tmp_path, "media", segment_octets=4096), ring.Writer(tmp_path, "control", segment_octets=4096)
    for n in range(30):                 # several segments
        media.put(ring.LAPD, 3, 16, 0, setup(OTHER, 5 + n))
        media.put(ring.MTP2, 5, 16, 0, iam(40 + n, "1000", OTHER))
        control.put(ring.SIP, 0, 0, 0, packed(invite(OTHER, "other%d" % n)))
        media.put(ring.LAPD, 3, 16, 0, setup(("00" if n % 2 else "") + "862150801234", 50 + n))
        media.put(ring.MTP2, 5, 16, 1, iam(80, *(("1000", NUMBER) if n % 2 else ("7" + NUMBER[1:], "1000"))))
        control.put(ring.SIP, 0, 0, 0, packed(invite("862150801234", "mine%d" % n)))
        control.put(ring.SIP, 0, 0, 0, packed(invite(NUMBER, "mine0%d" % n)))
    return tmp_path, media


def test_the_number_goes_and_nothing_else_does(full):
    folder, media = full
    before = list(ring.records(folder, 0, 1 << 62))
    sizes = {path: path.stat().st_size for path in folder.iterdir()}
    assert says(folder, "2150801234") and says(folder, OTHER)
    counts = forget.forget(folder, FORMS)
    assert counts == {"masked": 120, "dropped": 0} and not says(folder, "2150801234")
    media.put(ring.LAPD, 3, 16, 1, b"\0after")      # the writer's map and what was masked are one
    after = list(ring.records(folder, 0, 1 << 62))
    assert after[-1][5] == b"\0after" and {path: path.stat().st_size for path in folder.iterdir()} == sizes
    assert [record[:5] for record in after[:-1]] == [record[:5] for record in before]
    for old, new in zip(before, after, strict=False):
        assert len(old[5]) == len(new[5])
        if OTHER.encode() in old[5] or semi_octets(OTHER)[:5] in old[5]:
            assert old == new
        if old[0] == ring.SIP and NUMBER.encode() in old[5]:
            assert b"sip:+XXXXXXXXXXX@" in new[5] and b";tag=02150801234" in new[5], "a tag is no number"
    assert forget.forget(folder, FORMS) == {"masked": 0, "dropped": 0}


def test_a_call_of_the_person_goes_with_each_digit_and_again_changes_nothing(tmp_path):
    writer = ring.Writer(tmp_path, "media")
    begin = time.time_ns() // 1000
    keyed = bytes.fromhex("0000010002080200097b2c0132")           # INFORMATION: one digit
    for record in ((ring.LAPD, 3, 16, 0, setup("", 9, 12)), (ring.LAPD, 3, 16, 0, setup(OTHER, 10, 13)), (ring.LAPD, 3, 16, 0, keyed), (ring.LAPD, 3, 16, 0, release(9)),
                   (ring.REGISTER, 6, 4, 0, b"r2_forward signal 2"), (ring.REGISTER, 6, 5, 0, b"r2_forward signal 2"),
                   (ring.NOTE, 0, 0, 0, json.dumps({"leg": "l3", "call_id": "mine@x"}).encode()), (ring.SIP, 0, 0, 0, packed(invite("anonymous", "mine@x"[:-2]).replace(b"10.0.0.2\r", b"x\r"))),
                   (ring.SIP, 0, 0, 0, packed(invite(OTHER, "other")))):
        writer.put(*record)
    at_ms = begin // 1000
    journal = [{"kind": "leg.offered", "leg": name, "ts_ms": at_ms, "data": data} for name, data in (
        ("l1", {"tech": "pri", "span": 3, "timeslot": 12}), ("l2", {"tech": "r2", "span": 6, "timeslot": 4}), ("l3", {"tech": "sip"}))]
    legs, wide = legs_of(journal, {"ss7": []}, at_ms * 1000 + 5000)
    question = json.dumps({"forms": FORMS, "calls": [{"legs": legs, "wide": wide}, {"legs": [], "wide": False}]})

    def child():
        return json.loads(subprocess.run([sys.executable, "-m", "firmware.trace.forget", str(tmp_path)], cwd=ROOT, input=question, text=True, capture_output=True, check=True).stdout)
    assert child() == {"masked": 0, "dropped": 6}
    left = list(ring.records(tmp_path, 0, 1 << 62))
    assert [record[5] for record in left if record[0] != ring.ERASED] == [setup(OTHER, 10, 13), b"r2_forward signal 2", packed(invite(OTHER, "other"))]
    assert all(not any(record[5]) for record in left if record[0] == ring.ERASED) and len(left) == 9
    assert child() == {"masked": 0, "dropped": 0}


@pytest.mark.parametrize("forms", (["1000"], ["02150801234", "+492150"], [""], ["２１５０８"]))
def test_what_is_no_number_is_refused(tmp_path, forms):
    with pytest.raises(ValueError, match="5 digits or more"):
        forget.forget(tmp_path, forms)


def test_garbage_is_left_alone(tmp_path):
    (tmp_path / "media-00000001.ring").write_bytes(NUMBER.encode() * 50)
    (tmp_path / "media-00000002.ring").write_bytes(b"\x05")
    assert forget.forget(tmp_path, FORMS) == {"masked": 0, "dropped": 0}
    assert forget.forget(tmp_path / "none", FORMS, [{"legs": [{"tech": "r2", "span": 1, "timeslot": 1, "from_us": 0, "until_us": 1}]}]) == {"masked": 0, "dropped": 0}
