"""SIP in the ring: found by call and by trunk, read by tshark, without keys, codes and passwords."""

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

import pytest

from firmware.links.sip_trace import INVITE, TAG, SIPTrace
from firmware.trace import calls, ring, sip
from firmware.trace._signs import PASSWORD, SIGNS, signs

ROOT = pathlib.Path(__file__).resolve().parents[2]
SDP = ("v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 8\r\nk=clear:hunter2\r\n"
       "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n")


def message(call, first="INVITE sip:02150801000@192.0.2.1 SIP/2.0", method="INVITE", body=SDP, kind="application/sdp", more=""):
    octets = body.encode()
    head = ("%s\r\nVia: SIP/2.0/UDP 10.0.0.2:5062;branch=z9hG4bK%s\r\nMax-Forwards: 70\r\nFrom: <sip:1001@192.0.2.1>;tag=far%s\r\n"
            "To: <sip:02150801000@192.0.2.1>;tag=near%s\r\nCall-ID: %s@10.0.0.2\r\nCSeq: 1 %s\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (
                first, call, call, call, call, method, more, kind, len(octets)))
    return head.encode() + octets


def recorded(folder, legs=None):
    legs = legs or {"one@10.0.0.2": "l1", "two@10.0.0.2": "l2"}
    trace = SIPTrace(folder, 8, {"address": "192.0.2.1", "port": 5060, "ports": {"TLS": 5061}},
                     lambda name, tags: legs.get(name) if any(tag.startswith("near") for tag in tags) else None)
    digest = 'Authorization: Digest username="1001", realm="strowger", nonce="n", uri="sip:x", response="5d41402abc4b2a76b9719d911017c592"\r\n'
    basic = "Proxy-Authorization: Basic MTAwMTpzZWNyZXQ=\r\n"
    for call, far in (("one", ("10.0.0.2", 5062)), ("two", ("2001:db8::7", 5071, "TCP"))):
        trace.put(False, message(call, more=digest + basic), far)
        trace.put(True, message(call, "SIP/2.0 200 OK"), far)
        trace.put(False, message(call, "INFO sip:user:opensesame@192.0.2.1 SIP/2.0", "INFO", "Signal=7\r\nDuration=160\r\n", "application/dtmf-relay"), far)
        trace.put(False, message(call, "INFO sip:x@192.0.2.1 SIP/2.0", "INFO", "4", "application/dtmf"), far)
    trace.put(False, b"\r\n\r\n" * 8, ("10.0.0.2", 5062))
    trace.put(True, message("three", "OPTIONS sip:10.9.9.9 SIP/2.0", "OPTIONS", "", "text/plain"), ("10.9.9.9", 5061, "TLS"))
    trace.close()
    return trace


def cut(folder, **question):
    done = subprocess.run([sys.executable, "-m", "firmware.trace", str(folder)], cwd=ROOT, capture_output=True, check=True,
                          input=json.dumps({"since_us": 0, "until_us": 1 << 60, "spans": None, **question}).encode())
    return done.stdout


def leg(name):
    return {"tech": "sip", "leg": name, "from_us": 0, "until_us": 1 << 60}


def test_no_key_no_code_and_no_password_is_kept(tmp_path):
    assert not recorded(tmp_path).faults
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (b"d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj", b"hunter2", b"asd88fgpdd777uzjYhagZg", b"MTAwMTpzZWNyZXQ", b"opensesame", b"Signal=7", b"\r\n\r\n4"):
        assert secret not in kept, secret
    assert b'response="5d41402abc4b2a76b9719d911017c592"' in kept and b"inline:XXXXXXXX" in kept and b"sip:user:XXXXXXXXXX@" in kept
    whole = message("one")
    assert len(sip.mask(whole)) == len(whole) and sip.mask(message("x", body="v=0\r\n")) == message("x", body="v=0\r\n")


@pytest.mark.parametrize("before, after", [
    (b"To: <sip:7:secret@h>", b"To: <sip:7:XXXXXX@h>"), (b"SIPS:a.b:p;x=1@h;user=phone sip:c:d@e", b"SIPS:a.b:XXXXX@h;user=phone sip:c:X@e"),
    (b"<sip:7@h:5060>, sip:h:5060", b"<sip:7@h:5060>, sip:h:5060"), (b"<sip:7;a=sip:8:p@h>", b"<sip:7;a=sip:8:X@h>"), (b"sip:a:b@c:d@e", b"sip:a:X@c:d@e"),
    (b"x@y sip:a: b@c", b"x@y sip:a: b@c"), (b"\r\nContent-Type: application/dtmf\r\nX: 1\r\n\r\n12#\r\n", b"\r\nContent-Type: application/dtmf\r\nX: 1\r\n\r\nXXX\r\n"),
    (b"\r\nX: 1\r\nContent-Type: application/dtmf\r\n\r\n5", b"\r\nX: 1\r\nContent-Type: application/dtmf\r\n\r\nX")])
def test_what_is_masked(before, after):
    assert sip.mask(before) == after


@pytest.mark.parametrize("before, after", [
    (b"\r\na=crypto:1 A INLINE:d0Rm/+=|2^20", b"\r\na=crypto:1 A INLINE:XXXXXXX|2^20"), (b"\r\nK=CLEAR:hunter2\r\n", b"\r\nK=CLEAR:XXXXXXX\r\n"),
    (b"\r\na=ICE-PWD:asd88\r\n", b"\r\na=ICE-PWD:XXXXX\r\n"), (b"\r\nAUTHORIZATION: BASIC MTAw\r\n", b"\r\nAUTHORIZATION: BASIC XXXX\r\n"),
    (b"\r\nAuthorization:\r\n Basic\t MTAw\r\n", b"\r\nAuthorization:\r\n Basic\t XXXX\r\n"), (b"\r\nProxy-Authorization: basic  MTAw", b"\r\nProxy-Authorization: basic  XXXX"),
    (b"\r\n\r\nSIGNAL=7#\r\n", b"\r\n\r\nSIGNAL=XX\r\n"), (b"\r\nsignal = d", b"\r\nsignal = X")])
def test_letters_hide_no_secret(before, after):
    assert sip.mask(before) == after


def plainly(octets):
    """What signs() says, in the words of its docstring."""
    small, found = octets.lower(), 0
    for n, sign in enumerate(SIGNS):
        found |= (sign in small) << n
    pieces = re.split(rb"[ \t\n\v\f\r\"<>]", octets)
    return found | (PASSWORD if any(part.count(b":") > 1 for piece in pieces for part in piece.split(b"@")[:-1]) else 0)


def test_signs_are_what_a_plain_search_finds():
    """Random messages of pieces of signs, so that each stands whole, cut off, at the end, and in any letters."""
    draw = random.Random(7)
    pieces = [*SIGNS, b":", b"@", b"<", b">", b" ", b"\r\n", b'"', b"sip:", b"x", b"\x00\xff"]
    seen = 0
    for _ in range(20000):
        octets = b"".join(draw.choice((piece, piece.upper(), piece[:draw.randrange(len(piece) + 1)])) for piece in draw.choices(pieces, k=draw.randrange(8)))
        assert signs(octets) == plainly(octets), octets
        seen |= plainly(octets)
    assert seen == PASSWORD | (1 << len(SIGNS)) - 1


def test_refusals_in_overload_are_summed(tmp_path):
    """The first of a second as it was sent, the others as a number; by trunk too, and tshark reads the sentence."""
    trace = SIPTrace(tmp_path, 8, {"address": "192.0.2.1", "port": 5060}, lambda name, tags: None)
    refusal = message("late", "SIP/2.0 503 Service Unavailable", body="")
    for _ in range(3):
        trace.refused([(refusal, ("10.0.0.%d" % host, 5060)) for host in range(1, 51)])
    trace.close()
    kinds = [record[0] for record in ring.records(tmp_path, 0, 1 << 62)]
    sums = [json.loads(record[5]) for record in ring.records(tmp_path, 0, 1 << 62) if record[0] == ring.REFUSED]
    assert sum(row["refused"] for row in sums) == 150 and kinds.count(ring.SIP) == len(sums) and not trace.faults
    assert all(sum(row["hosts"].values()) == row["refused"] for row in sums)
    assert b"new SIP requests were refused in overload" in cut(tmp_path) and b"refused in overload" in cut(tmp_path, hosts=["10.0.0.1"])
    assert b"refused in overload" not in cut(tmp_path, hosts=["10.9.9.9"])
    quiet = SIPTrace(tmp_path / "off", 0, {"address": "192.0.2.1", "port": 5060}, lambda name, tags: None)
    quiet.refused([(refusal, ("10.0.0.1", 5060))] * 2)
    quiet.close()
    assert not quiet.faults and not list(ring.records(tmp_path / "off", 0, 1 << 62))


@pytest.mark.parametrize("piece", [b"sip:a:", b"sip:", b"sips:a", b"sip:a:b@", b"@", b"@sip:a", b";sip:", b"a", b"\ncontent-type:application/dtmf\r\n", b"inline:",
                                   b"\nk=a", b"\nk=", b"ice-pwd:", b"\nauthorization :  basic ", b"\nauthorization", b"\nauthorization:\r\n ", b"\r\n ", b"\nsignal ", b"\nsignal= ", b"\ni:", b"\ni ", b" ", b"\t:"])
@pytest.mark.parametrize("ahead", [b"", b"\r\nf:", b"\r\ncontent-type: application/dtmf\r\n", b"\ncseq:", b"\nsignal"])
def test_no_message_takes_more_than_its_length(ahead, piece):
    """Four times as long: about four times the work, not sixteen.  CPU time, the least of several."""
    def took_s(size):
        octets, least = b"SIP/2.0 200 OK\r\nX: @ basic signal" + ahead + piece * (size // len(piece)), []
        for _ in range(5):
            begun = time.process_time()
            sip.mask(octets)
            sip.call_id(octets)
            for pattern in (INVITE, TAG):
                pattern.search(octets)
            least.append(time.process_time() - begun)
        return min(least)
    assert took_s(60000) < 10 * max(took_s(15000), 0.0005)


def test_a_call_and_a_trunk_have_their_messages(tmp_path):
    recorded(tmp_path)
    records = list(ring.records(tmp_path, 0, 1 << 62))
    assert [record[0] for record in records].count(ring.SIP) == 9 and [record[0] for record in records].count(ring.NOTE) == 2
    assert calls.call_ids(records, [leg("l2")]) == {b"two@10.0.0.2"}
    for name, call in (("l1", b"one"), ("l2", b"two")):
        octets = cut(tmp_path, legs=[leg(name)])
        assert octets.count(b"Call-ID: " + call) == 4 == octets.count(b"Call-ID: ")
    assert cut(tmp_path, legs=[leg("l9")]).count(b"Call-ID: ") == 0
    assert cut(tmp_path, hosts=["10.9.0.0/16"]).count(b"Call-ID: ") == 1 and cut(tmp_path, hosts=["2001:db8::/32"]).count(b"Call-ID: two") == 4
    assert cut(tmp_path, spans=[3]).count(b"Call-ID: ") == 0


def test_garbage_in_the_ring_ends_nothing(tmp_path):
    recorded(tmp_path)
    writer = ring.Writer(tmp_path, "other", segment_octets=4096)
    for payload in (b"", b"\x00", b"\x09\x04" + bytes(12), os.urandom(300), b"\x00\x06abc"):
        for kind in (ring.SIP, ring.NOTE, ring.LAPD, ring.MTP2, ring.CAS, 77):
            writer.put(kind, 1, 1, 0, payload)
    writer.put(ring.NOTE, 0, 0, 0, b'{"leg": ["l1"], "call_id": 5}')
    legs = [leg("l1"), {"tech": "pri", "span": 1, "timeslot": 1, "from_us": 0, "until_us": 1 << 60}]
    assert cut(tmp_path, legs=legs).count(b"Call-ID: one") == 4
    assert cut(tmp_path, hosts=["10.0.0.0/8"]).count(b"Call-ID: one") == 4


def test_another_length_and_none(tmp_path):
    trace = recorded(tmp_path)
    trace.put(False, message("one"), ("10.0.0.2", 5062))
    trace.resize(0)
    assert not list(tmp_path.iterdir())
    trace.put(False, message("one"), ("10.0.0.2", 5062))
    assert not list(tmp_path.iterdir())
    trace.resize(9)
    trace.put(False, message("one"), ("10.0.0.2", 5062))
    assert len(list(tmp_path.iterdir())) == 1 and trace.ring.most == 9
    trace.put(False, message("one"), ("not an address", 5062))
    trace.put(False, b"\xff" * 70000, ("10.0.0.2", 5062))
    assert not trace.faults


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_tshark_reads_the_messages(tmp_path):
    recorded(tmp_path / "ring")
    (tmp_path / "t.pcapng").write_bytes(cut(tmp_path / "ring", hosts=["0.0.0.0/0", "::/0"]))
    lines = subprocess.run(["tshark", "-n", "-r", str(tmp_path / "t.pcapng"), "-T", "fields", "-e", "sip.Method", "-e", "sip.Status-Code", "-e", "_ws.col.Source",
                            "-e", "_ws.col.Destination", "-e", "sip.Call-ID", "-e", "_ws.malformed", "-e", "frame.comment"],
                           capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split("\t") for line in lines]
    assert len(rows) == 9 and not any(row[5] for row in rows)
    assert rows[0][0] == "INVITE" and rows[0][2:5] == ["10.0.0.2", "192.0.2.1", "one@10.0.0.2"] and rows[1][1] == "200"
    assert rows[4][2] == "2001:db8::7" and rows[4][6] == "TCP" and rows[8][0] == "OPTIONS" and rows[8][3] == "10.9.9.9" and rows[8][6] == "TLS"


def test_a_long_time_is_not_held_in_memory(tmp_path):
    """40 MB of other calls beside one: what is held is that one's."""
    writer = ring.Writer(tmp_path, "media")
    for _ in range(40000):
        writer.put(ring.MTP2, 1, 16, 0, bytes(1000))
    writer.close()
    writer = SIPTrace(tmp_path, 8, {"address": "192.0.2.1", "port": 5060}, lambda name, tags: "l1")
    writer.put(False, message("one"), ("10.0.0.2", 5062))
    writer.close()
    code = ("import runpy, sys; sys.argv = ['x', %r]\nrunpy.run_module('firmware.trace', run_name='__main__')\n"
            "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0], file=sys.stderr)" % str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True,
                          input=json.dumps({"since_us": 0, "until_us": 1 << 60, "legs": [leg("l1")]}).encode())
    assert done.stdout.count(b"Call-ID: one") == 1 and int(done.stderr) < 60_000, done.stderr
