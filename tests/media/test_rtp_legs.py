"""RTP legs against a peer written here: steady stream, loss, disorder, garbage, telephone-events."""

import os
import random
import socket
import struct
import threading
import time
import types

import numpy
import pytest

from dsp import g711
from firmware.media.table import Table

BLOCK = 80
LEGS, PACKETS = 70, 20          # more than a bundle (native/bundle.pxi), in two units


class Peer:
    """A UDP peer that sends and collects RTP at a 20 ms pace."""

    def __init__(self, remote=None):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(0.2)
        self.address = list(self.sock.getsockname())
        self.remote = remote
        self.packets, self.times = [], []
        self._end = False
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        while not self._end:
            try:
                data, _ = self.sock.recvfrom(2048)
            except TimeoutError:
                continue
            except OSError:
                return
            self.packets.append(data)
            self.times.append(time.monotonic())

    def packet(self, seq, ts, payload, pt=8, marker=0, ssrc=0x1234):
        return struct.pack("!BBHII", 0x80, pt | marker << 7, seq & 0xFFFF, ts & 0xFFFFFFFF, ssrc) + payload

    def send(self, data):
        self.sock.sendto(data, tuple(self.remote))

    def stream(self, octets, seq=100, ts=5000, order=None, drop=(), twice=()):
        """Send 20 ms packets; order: {at: packet index}; times are kept against the clock."""
        count = len(octets) // 160
        due = time.monotonic()
        for at in range(count):
            n = (order or {}).get(at, at)
            data = self.packet(seq + n, ts + 160 * n, octets[160 * n:160 * n + 160])
            if n not in drop:
                self.send(data)
                if n in twice:
                    self.send(data)
            due += 0.02
            time.sleep(max(0, due - time.monotonic()))

    def close(self):
        self._end = True
        self.thread.join()
        self.sock.close()


@pytest.fixture
def pair(board, control):
    """(peer, listen): an RTP leg bridged with span 11 timeslot 1."""
    control.do("add", id="t", kind="timeslot", span=11, timeslot=1, law="A")
    port = control.do("add", id="r", kind="rtp", address="127.0.0.1")["port"]
    assert port % 2 == 0
    peer = Peer(("127.0.0.1", port))
    control.do("modify", id="r", remote=peer.address, payload_type=8, dtmf_payload_type=101)
    control.do("bridge", id="b", legs=["t", "r"])
    yield peer
    peer.close()


def noise(seed, octets):
    rng = random.Random(seed)
    return bytes(rng.choice([o for o in range(256) if o != 0xD5]) for _ in range(octets))


def stats(control, leg="r"):
    return next(row for row in control.audit()["terminations"] if row["id"] == leg)["stats"]


def wait_blocks(board, count):
    target = board.blocks + count
    while board.blocks < target:
        time.sleep(0.005)


def test_what_is_said_on_a_timeslot_leaves_as_steady_rtp(board, control, pair):
    wait_blocks(board, 4)
    octets = noise(1, 12000)
    first, before = board.blocks, len(pair.packets)
    board.say(11, 1, octets)
    wait_blocks(board, 165)
    packets = list(pair.packets)
    assert abs((len(packets) - before) * 2 - (board.blocks - first)) <= 4      # the board's pace, whatever the host's
    fields = [struct.unpack("!BBHII", p[:12]) for p in packets]
    assert all(len(p) == 172 and f[0] == 0x80 and f[1] & 127 == 8 for p, f in zip(packets, fields))
    assert [f[1] >> 7 for f in fields] == [1] + [0] * (len(fields) - 1)
    assert len({f[4] for f in fields}) == 1
    assert all((b[2] - a[2]) & 0xFFFF == 1 and (b[3] - a[3]) & 0xFFFFFFFF == 160 for a, b in zip(fields, fields[1:]))
    audio = b"".join(p[12:] for p in packets)
    assert octets in audio                          # no sample missing or inserted, bit exact
    assert abs(numpy.median(numpy.diff(pair.times)) - 0.02) < 0.002


def test_a_steady_stream_reaches_the_timeslot_unchanged(board, control, pair):
    octets = noise(2, 16000)
    board.listen(11, 1)
    pair.stream(octets)
    wait_blocks(board, 40)
    heard = board.said(11, 1)
    figures = stats(control)
    assert figures["received"] == 100 and figures["lost"] == 0 and figures["duplicates"] == 0
    if figures["concealed_samples"] == 0:
        assert octets in heard
    else:
        assert octets[:1600] in heard or octets[-1600:] in heard
    started = control.event("rtp_started", id="r")
    assert started["from"] == pair.address
    assert figures["delay_ms"] <= 80


def test_disorder_and_duplicates_do_no_harm(board, control, pair):
    octets = noise(3, 8000)
    order = {}
    for at in range(10, 50, 10):
        order[at], order[at + 1] = at + 1, at
    board.listen(11, 1)
    pair.stream(octets, order=order, twice=set(range(5, 50, 9)))
    wait_blocks(board, 40)
    figures = stats(control)
    assert figures["lost"] == 0 and figures["duplicates"] == 5 and figures["reordered"] == 4
    if figures["concealed_samples"] == 0:
        assert octets in board.said(11, 1)


def test_loss_is_concealed_and_the_rest_stays_in_place(board, control, pair):
    t = numpy.arange(16000)
    x = (6000 * numpy.sin(2 * numpy.pi * 200 * t / 8000) * (1 + 0.3 * numpy.sin(2 * numpy.pi * 3 * t / 8000))).astype(numpy.int16)
    octets = g711.compress(x, 0).tobytes()
    board.listen(11, 1)
    drop = {20, 45, 46, 70}
    pair.stream(octets, drop=drop)
    wait_blocks(board, 40)
    figures = stats(control)
    assert figures["lost"] == 4
    assert 640 <= figures["concealed_samples"] <= 640 + 400, figures
    heard = g711.expand(numpy.frombuffer(board.said(11, 1), numpy.uint8), 0).astype(float)
    start = board.said(11, 1).index(octets[:800])
    got, wanted = heard[start:start + 16000], x[:len(heard) - start].astype(float)[:16000]
    whole = numpy.corrcoef(got[:len(wanted)], wanted)[0, 1]
    assert whole > 0.97, whole
    for n in drop:                                   # a periodic signal is carried on, not cut out
        hole = slice(n * 160, n * 160 + 160)
        assert numpy.corrcoef(got[hole], wanted[hole])[0, 1] > 0.7, n
    jumps = numpy.abs(numpy.diff(got))
    assert jumps.max() < 4 * numpy.abs(numpy.diff(wanted)).max(), jumps.max()


def test_a_gap_of_the_sender_is_not_made_up_for_later(board, control, pair):
    """After 300 ms without packets but with contiguous timestamps the delay must come back."""
    octets = noise(4, 8000)
    pair.stream(octets[:4000])
    time.sleep(0.3)
    board.listen(11, 1)
    pair.stream(octets[4000:], seq=125, ts=5000 + 4000)
    wait_blocks(board, 3)
    assert stats(control)["delay_ms"] <= 120
    wait_blocks(board, 40)
    assert octets[4800:6400] in board.said(11, 1)


def test_garbage_of_any_kind_is_counted_and_dropped(board, control, pair):
    rng = random.Random(7)
    pair.stream(noise(5, 1600))
    for _ in range(3000):
        data = bytearray(rng.randbytes(rng.choice((0, 1, 4, 11, 12, 13, 16, 40, 172, 400, 1500))))
        if data and rng.random() < 0.8:
            data[0] = rng.choice((0x80, 0x90, 0xA0, 0xB0, 0x8F, 0x9F, 0xBF))
        if len(data) > 1 and rng.random() < 0.5:
            data[1] = rng.choice((0, 8, 13, 101, 0x88, 101 | 0x80))
        pair.send(bytes(data))
        if rng.random() < 0.01:
            time.sleep(0.01)
    pair.send(b"\x80\x08" + bytes(2000))
    time.sleep(0.3)
    figures = stats(control)
    assert figures["garbage"] > 500
    octets = noise(6, 8000)
    board.listen(11, 1)
    pair.stream(octets, seq=9000, ts=777777)
    wait_blocks(board, 40)
    assert octets[1600:6400] in board.said(11, 1)


def test_a_flood_to_one_leg_and_refusals_of_its_packets_harm_no_neighbour(board, control, media, pair):
    """Both legs' packets come by one socket (native/gather.pxi), and what ICMP says of their packets, too."""
    victim = ("127.0.0.1", control.do("add", id="victim", kind="rtp", address="127.0.0.1")["port"])
    before, octets, over = control.do("stats")["tick"]["gathered_packets"], noise(10, 4000), threading.Event()

    def flood():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while not over.wait(0.004):
                for _ in range(300):
                    sock.sendto(b"no RTP at all, and much of it", victim)
    flooding = threading.Thread(target=flood)
    flooding.start()
    board.listen(11, 1)
    pair.stream(octets)
    over.set()
    flooding.join()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        control.do("modify", id="victim", remote=list(closed.getsockname()))
    deadline = time.monotonic() + 30
    while not stats(control, "victim")["send_errors"]:
        assert time.monotonic() < deadline, stats(control, "victim")
        time.sleep(0.02)
    figures = stats(control)
    assert figures["received"] == 25 and figures["lost"] == 0 and figures["send_errors"] == 0 and figures["garbage"] == 0
    assert octets[1600:2400] in board.said(11, 1) or figures["concealed_samples"]
    assert stats(control, "victim")["garbage"] > 300
    if os.environ.get("STROWGER_RTP_STEERING") != "0" and "are not gathered" not in (media.folder / "media.log").read_text():
        assert control.do("stats")["tick"]["gathered_packets"] > before + 25


def test_a_stranger_is_not_heard_and_a_new_source_is_believed_later(board, control, pair):
    pair.stream(noise(8, 3200))
    other = Peer(pair.remote)
    other.stream(noise(9, 1600), seq=1, ts=1)
    figures = stats(control)
    assert figures["strangers"] >= 9 and figures["source"] == pair.address
    time.sleep(0.9)
    other.stream(noise(9, 3200), seq=50, ts=100000)
    assert stats(control)["remote"] == other.address
    wait_blocks(board, 5)
    assert other.packets
    other.close()


def test_a_nat_that_binds_anew_is_followed_within_a_quarter_of_a_second(board, control, pair):
    """The same source from another port: its SSRC and numbers go on, so it is not waited for as a stranger is; who does not know the SSRC is."""
    pair.stream(noise(8, 3200))
    last = stats(control)
    stranger, moved = Peer(pair.remote), Peer(pair.remote)
    seq, clock = 120, 5000 + 3200
    while stats(control)["remote"] == pair.address and seq < 220:
        if seq % 2:         # as good as it gets without: two in a row, the right numbers, another source
            for place in (0, 1):
                data = bytearray(stranger.packet(seq + 1 + place, clock, noise(3, 160)))
                data[8] ^= 1
                stranger.send(bytes(data))
        moved.send(moved.packet(seq, clock, noise(9, 160)))
        seq, clock = seq + 1, clock + 160
        time.sleep(0.02)
    figures = stats(control)
    assert figures["remote"] == figures["source"] == moved.address, figures
    assert figures["lost"] - last["lost"] < 50, "far less than the second that a stranger waits"
    for each in (stranger, moved):
        each.close()


def test_the_signalled_address_takes_over_from_whoever_was_first(board, control, pair):
    other = Peer(pair.remote)
    other.stream(noise(9, 1600))
    assert stats(control)["source"] == other.address
    pair.stream(noise(8, 800), seq=9)
    other.stream(noise(9, 800), seq=11)
    figures = stats(control)
    assert figures["source"] == figures["remote"] == pair.address and figures["strangers"] == 5
    other.close()


def test_without_latch_media_sends_where_it_was_told(board, control, pair):
    control.do("modify", id="r", latch=False)
    other = Peer(pair.remote)
    other.stream(noise(9, 1600))
    before = len(pair.packets)
    time.sleep(0.1)
    assert not other.packets and len(pair.packets) > before
    other.close()


def test_telephone_events_are_digits_once_a_key_press(board, control, pair):
    control.do("detect", id="r", dtmf=True)
    pair.stream(noise(10, 1600))
    seq, ts = 110, 5000 + 1600

    def press(code, seq, ts, durations, ends=3):
        for duration in durations:
            pair.send(pair.packet(seq, ts, struct.pack("!BBH", code, 10, duration), 101))
            seq += 1
            time.sleep(0.02)
        for _ in range(ends):
            pair.send(pair.packet(seq, ts, struct.pack("!BBH", code, 0x8A, durations[-1]), 101))
            seq += 1
        return seq

    seq = press(5, seq, ts, (160, 320, 480, 640))
    event = control.event("digit", id="r")
    assert (event["digit"], event["duration_ms"], event["source"]) == ("5", 80, "event")
    seq = press(5, seq, ts + 1600, (160, 320))
    assert control.event("digit", id="r")["digit"] == "5"
    seq = press(11, seq, ts + 3200, (160, 320, 480), ends=0)          # its end is lost
    assert control.event("digit", id="r")["digit"] == "#"
    seq = press(17, seq, ts + 4800, (160,))                            # no digit
    control.do("detect", id="r", dtmf=False)
    seq = press(16, seq, ts + 6400, (160, 320))                        # a hook flash is told whether anybody listens for digits or not
    event = control.event("digit", id="r")
    assert (event["digit"], event["duration_ms"]) == ("!", 40)
    control.do("detect", id="r", dtmf=True)
    control.do("modify", id="r", dtmf_clock_hz=48000)                  # as beside Opus; the second is held for longer than one packet can say
    seq = press(7, seq, ts + 9600, (960, 1920, 3840))
    assert control.event("digit", id="r")["duration_ms"] == 80
    seq = press(8, seq, ts + 90000, (64000, 65280), ends=0)
    press(8, seq, ts + 90000 + 65280, (960, 4800))
    event = control.event("digit", id="r")
    assert (event["digit"], event["duration_ms"]) == ("8", 1460)
    control.do("modify", id="r", dtmf_clock_hz=8000)
    assert "dtmf_clock_hz" in control.raw("modify", id="r", dtmf_clock_hz=44100)["error"]
    time.sleep(0.3)
    control.do("stats")
    assert not [e for e in control.events if e["kind"] == "digit"]


def test_in_band_digits_are_detected_on_an_rtp_leg(board, control, pair):
    control.do("detect", id="r", dtmf=True)
    t = numpy.arange(800)
    tone = 6000 * (numpy.sin(2 * numpy.pi * 770 * t / 8000) + numpy.sin(2 * numpy.pi * 1336 * t / 8000))
    x = numpy.concatenate([numpy.zeros(1600), tone, numpy.zeros(1600), tone, numpy.zeros(1600)]).astype(numpy.int16)
    pair.stream(g711.compress(x, 0).tobytes())
    assert [control.event("digit", id="r")["digit"] for _ in range(2)] == ["5", "5"]
    time.sleep(0.2)
    control.do("stats")
    assert not [e for e in control.events if e["kind"] == "digit"]


def test_silence_of_the_far_end_is_told_once(board, control, pair):
    control.do("modify", id="r", timeout_ms=300)
    pair.stream(noise(11, 1600))
    event = control.event("rtp_timeout", id="r")
    assert 300 <= event["silent_ms"] <= 330
    time.sleep(0.5)
    control.do("stats")
    assert not [e for e in control.events if e["kind"] == "rtp_timeout"]


@pytest.mark.parametrize("modified", [False, True])
def test_the_return_of_a_far_end_that_was_silent_is_told(board, control, pair, modified):
    """Or control goes on asking a telephone that speaks whether it is still there, for as long as the call lasts."""
    control.do("modify", id="r", timeout_ms=300)
    pair.stream(noise(11, 1600))
    control.event("rtp_started", id="r")
    control.event("rtp_timeout", id="r")
    if modified:                        # a re-INVITE meanwhile
        control.do("modify", id="r", ptime_ms=40)
    pair.stream(noise(12, 1600), seq=110, ts=6600)
    control.event("rtp_started", id="r")


def test_pcmu_and_other_packet_times(board, control, pair):
    control.do("modify", id="r", payload_type=0, ptime_ms=30)
    time.sleep(0.1)
    pair.packets.clear()
    t = numpy.arange(8000)
    x = (5000 * numpy.sin(2 * numpy.pi * 300 * t / 8000)).astype(numpy.int16)
    board.say(11, 1, g711.compress(x, 0).tobytes())
    wait_blocks(board, 60)
    packets = list(pair.packets)
    assert all(len(p) == 12 + 240 and p[1] & 127 == 0 for p in packets)
    audio = g711.expand(numpy.frombuffer(b"".join(p[12:] for p in packets), numpy.uint8), 1).astype(float)
    assert audio.max() > 4500


def folded(octets):
    """Sum of RFC 1071: 0xFFFF where a checksum in it is right."""
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.fixture
def wire():
    """All UDP packets of this machine with their IP headers."""
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    except PermissionError:
        pytest.skip("a raw socket wants CAP_NET_RAW; then media sends by its legs' sockets, too")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.settimeout(30)
    with sock:
        yield sock


@pytest.mark.conformance("RFC 768", "-", "UDP length and checksum of RTP that media writes itself; IPv4 header of RFC 791; DSCP of RFC 3246")
def test_headers_of_bundles_are_right_and_a_bad_leg_harms_no_other(board, control, wire):
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind(("127.0.0.1", 0))
    with peer:
        number = peer.getsockname()[1]
        ports = [control.do("add", id=f"r{n}", kind="rtp", address="127.0.0.1", ptime_ms=(10, 20, 30)[n % 3])["port"] for n in range(LEGS)]
        # Broadcast is allowed to no socket of ours: neither way of sending takes this one's packets.
        control.do("add", id="bad", kind="rtp", address="127.0.0.1")
        control.do("modify", id="bad", remote=["127.255.255.255", number])
        for n in range(LEGS):
            control.do("modify", id=f"r{n}", remote=["127.0.0.1", number])
        seen, deadline = {port: [] for port in ports}, time.monotonic() + 30
        while min(len(numbers) for numbers in seen.values()) < PACKETS:
            assert time.monotonic() < deadline, {port: len(numbers) for port, numbers in seen.items()}
            packet = wire.recv(2048)
            source, target, length, checksum = struct.unpack("!4H", packet[20:28])
            if target != number or source not in seen:
                continue
            assert packet[0] == 0x45 and packet[1] == 46 << 2 and packet[6] & 0x40 and packet[8] == 64
            assert packet[12:20] == socket.inet_aton("127.0.0.1") * 2 and folded(packet[:20]) == 0xFFFF
            assert length == len(packet) - 20 and checksum
            assert folded(packet[12:20] + struct.pack("!HH", 17, length) + packet[20:]) == 0xFFFF
            octets = (80, 160, 240)[ports.index(source) % 3]
            assert packet[28] == 0x80 and packet[29] & 127 == 8 and len(packet) == 40 + octets
            seen[source].append(struct.unpack("!HI", packet[30:36]))
        for port, numbers in seen.items():
            step = (80, 160, 240)[ports.index(port) % 3]
            lost = 0                    # by this test's own socket, if it was kept from reading
            for (a, at), (b, then) in zip(numbers, numbers[1:]):
                assert (then - at) % (1 << 32) == step * ((b - a) % 65536)
                lost += (b - a) % 65536 - 1
            assert lost < len(numbers)
        bad = next(t for t in control.audit()["terminations"] if t["id"] == "bad")
        assert bad["stats"]["send_errors"] > 0
        good = next(t for t in control.audit()["terminations"] if t["id"] == "r0")
        assert good["stats"]["send_errors"] == 0 and good["stats"]["sent"] >= PACKETS


def test_packets_leave_by_a_raw_socket_of_their_own_address(control, wire):
    """Bound, so that the kernel routes by the address of the leg."""
    addresses = ("127.0.0.2", "127.0.0.3")
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind(("127.0.0.1", 0))
    with peer:
        number = peer.getsockname()[1]
        ports = {}
        for n in range(8):
            ports[control.do("add", id=f"r{n}", kind="rtp", address=addresses[n % 2])["port"]] = addresses[n % 2]
            control.do("modify", id=f"r{n}", remote=["127.0.0.1", number])
        seen, deadline = {port: 0 for port in ports}, time.monotonic() + 30
        while min(seen.values()) < 5:
            assert time.monotonic() < deadline, seen
            packet = wire.recv(2048)
            source, target = struct.unpack("!2H", packet[20:24])
            if target == number:
                assert packet[12:16] == socket.inet_aton(ports[source])
                seen[source] += 1
        bound = [row.split()[1] for row in open("/proc/net/raw", encoding="ascii").readlines()[1:]]
        assert {"0200007F:00FF", "0300007F:00FF"} <= set(bound), bound


@pytest.mark.parametrize("counted, level", [({}, "DEBUG"), ({"lost": 1}, "INFO"), ({"late": 2}, "INFO"), ({"concealed_samples": 80}, "INFO"),
                                            ({"garbage": 1}, "WARNING"), ({"strangers": 3, "lost": 1}, "WARNING")])
def test_the_log_tells_of_legs_that_did_not_hear_all(caplog, counted, level):
    stats = {"remote": "127.0.0.1:4000", **dict.fromkeys(("received", "lost", "late", "concealed_samples", "garbage", "strangers", "sent"), 0), **counted}
    term = types.SimpleNamespace(id="l1", port=20000, leg=types.SimpleNamespace(stats=lambda: stats))
    with caplog.at_level("DEBUG", "firmware.media.table"):
        Table._tell_of(term)
    assert [(record.levelname, "leg l1 ended" in record.getMessage()) for record in caplog.records] == [(level, True)]
