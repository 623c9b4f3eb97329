"""The probe phone's own parts: its RTP stream against another one, its digest, the octet matcher."""

import random
import time

import numpy as np
import pytest

from hil.phone import probe_rtp, probe_sip
from hil.probes import exact, wav


def octets(seed, count):
    chance = random.Random(seed)
    return bytes(chance.randrange(256) for _ in range(count))


@pytest.fixture
def pair():
    """(sender, witness): two streams that send to each other."""
    streams = probe_rtp.RTPStream(), probe_rtp.RTPStream()
    streams[0].start(("127.0.0.1", streams[1].port))
    streams[1].start(("127.0.0.1", streams[0].port))
    yield streams
    for stream in streams:
        stream.stop()


def test_a_stream_is_heard_octet_by_octet_at_its_pace(pair):
    sender, witness = pair
    sent = octets(1, 16000)
    play = sender.play(sent).wait(5)
    time.sleep(0.05)
    assert witness.breaks() == []
    assert exact.match(sent, witness.received_octets()).exact
    assert [p.payload for p in play.sent] == [sent[n:n + 160] for n in range(0, 16000, 160)]
    arrived = {p.seq: p.mono for p in witness.packets}
    assert all(-0.001 < arrived[s.seq] - s.mono < 0.02 for s in play.sent), "both clocks are one"
    assert np.array_equal(np.array(witness.received_samples(), np.int16),
                          wav.alaw_expand(np.frombuffer(witness.received_octets(), np.uint8)))


def test_faults_are_what_they_say(pair):
    sender, witness = pair
    time.sleep(0.1)

    def seen(kind, count, size=0):
        first = len(witness.packets) - 1
        sender.fault(kind, count, size)
        time.sleep(0.3)
        return [two.seq - one.seq & 0xFFFF for one, two in zip(witness.packets[first:], witness.packets[first + 1:])]

    assert sorted(set(seen("loss", 2))) == [1, 3]
    assert seen("duplicate", 3).count(0) == 3
    assert {2, 0xFFFF} <= set(seen("reorder", 1))
    assert witness.malformed == 0
    seen("truncate", 4, 7)
    assert witness.malformed == 4
    sender.inject(b"\x00rubbish" * 3)
    sender.inject(sender.packet(b"\x55" * 160, seq=7, ssrc=9), stranger=True)
    time.sleep(0.1)
    assert witness.malformed == 5
    assert not [p for p in witness.packets if p.ssrc == 9] and [source[1] != sender.port for source, _ in witness.foreign] == [True]
    with pytest.raises(ValueError, match="no fault"):
        sender.fault("noise")


def test_the_matcher_finds_what_is_missing_inserted_and_wrong():
    sent = octets(2, 20000)
    around = octets(3, 1000)
    found = exact.match(sent, around + sent + around)
    assert found.exact and found.at == 1000 and found.changed == 0
    found = exact.match(sent, around + sent[:5000] + sent[5001:] + around)
    assert found.slips == [(5001, -1)] and found.changed == 1 and not found.exact
    found = exact.match(sent, sent[:5000] + b"\x01\x02\x03" + sent[5000:])
    assert [inserted for _, inserted in found.slips] == [3] and found.changed == 0 and not found.exact
    wrong = bytearray(sent)
    wrong[7000:7160] = bytes(160)
    found = exact.match(sent, bytes(wrong))
    assert found.slips == [] and 155 <= found.changed <= 160
    assert not exact.match(sent, sent[:-10]).exact and not exact.match(sent, sent[200:]).exact
    assert exact.match(sent, around).at is None


def test_silence_proves_no_slip():
    sent = octets(4, 4000) + b"\xd5" * 4000 + octets(5, 4000)
    heard = bytearray(sent)
    heard[5000:5160] = b"\xd4" * 160
    assert exact.match(sent, bytes(heard)).slips == []


def test_digest_of_the_rfc():
    """RFC 2617 3.5, its own example without the client nonce's chance: the older form without qop."""
    challenge = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    value = probe_sip.authorization(challenge, "Mufasa", "Circle Of Life", "GET", "/dir/index.html")
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in value and "opaque=" in value
    with pytest.raises(ValueError, match="MD5"):
        probe_sip.authorization('Digest realm="a", nonce="b", algorithm=SHA-256', "u", "p", "GET", "/")


def test_a_message_is_read_and_written():
    text = (b"INVITE sip:1001@127.0.0.1 SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1\r\nf: \"A\" <sip:a@b>;tag=1\r\n"
            b"t: <sip:c@d>\r\ni: x\r\nCSeq: 1\r\n INVITE\r\nContent-Length: 2\r\n\r\nhi")
    message = probe_sip.parse(text)
    assert (message.method, message.branch, message.tag("from"), message.tag("to")) == ("INVITE", "z9hG4bK1", "1", "")
    answer = probe_sip.parse(probe_sip.response(message, 200, "OK", "9", body=b"yes").octets())
    assert (answer.status, answer.method, answer.tag("to"), answer.body) == (200, "INVITE", "9", b"yes")
    with pytest.raises(ValueError):
        probe_sip.parse(b"nonsense")
    media = probe_sip.read_description(probe_sip.describe("127.0.0.1", 4000, 1, "sendonly"))
    assert (media.host, media.port, media.direction) == ("127.0.0.1", 4000, "sendonly")
