"""Pseudowires against a far end that was written apart (hil/far/pseudowire.py, hil/line.py), and tshark's dissectors.

Packets go over real sockets; ticks are played by the test, so time is the test's."""

import shutil
import socket
import struct
import subprocess

import numpy
import pytest

from drivers.tdm import cesopsn
from firmware.errors import DriverError, LocalError
from hil.far import pseudowire as far
from hil.line import E1Checker, E1Framer

ROW = {"kind": "cesopsn", "timeslots": "1-31", "cas": False, "packet_ms": 1, "jitter_ms": 5, "rtp": False, "rtp_payload_type": 97,
       "type": "e1", "crc4": False}


class Ends:
    """A pseudowire and the socket of its far end.  heard: int8 (32, samples) of what was taken."""

    def __init__(self, **settings):
        self.far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.far.bind(("127.0.0.1", 0))
        self.far.settimeout(30)
        self.row = {**ROW, **settings, "remote": "127.0.0.1:%d" % self.far.getsockname()[1]}
        for _ in range(20):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("127.0.0.1", 0))
                self.near = probe.getsockname()
            try:
                self.wire = cesopsn.Pseudowire(2, {**self.row, "local": "127.0.0.1:%d" % self.near[1]})
                break
            except DriverError:
                continue            # somebody took it meanwhile
        else:
            raise AssertionError("20 ports that the kernel had given were taken before use")
        self.abcd = numpy.full(32, 0xD, numpy.uint8)
        self.rtp = self.row["rtp_payload_type"] if self.row["rtp"] else None
        self.slots = far.slots_of(self.row["timeslots"]) if self.row["kind"] == "cesopsn" else list(range(32))
        self.frames = self.row["packet_ms"] * 8
        self.seq, self.stamp, self.part = 65500, 7, 0
        self.rest, self.taken, self._sent = [], [], []

    def close(self):
        self.wire.close()
        self.far.close()

    def payloads(self, rows):
        """Packets' payloads of a block, uint8 (32, 80); what is over waits."""
        self.rest.append(rows[self.slots].T)
        frames = numpy.concatenate(self.rest)
        whole = len(frames) // self.frames * self.frames
        self.rest = [frames[whole:]]
        return [frames[at:at + self.frames].tobytes() for at in range(0, whole, self.frames)]

    def packet(self, payload, **bits):
        """One packet of the far end, numbered."""
        made = far.build(self.seq, payload, rtp=self.rtp, timestamp=self.stamp, **bits)
        self.seq, self.stamp = self.seq + 1, self.stamp + self.frames
        return made

    def send(self, packets):
        for packet in packets:
            self.far.sendto(packet, self.near)

    def tick(self, rows=None, packets=(), abcd=bytes(32)):
        """The far end's packets, then one tick with `rows` to send.  Returns what was taken, uint8 (32, 80)."""
        self.send(packets)
        taken = numpy.frombuffer(self.wire.wire.take(self.abcd), numpy.uint8).reshape(32, 80)
        self.taken.append(taken)
        self.wire.wire.give((numpy.full((32, 80), 0xD5, numpy.uint8) if rows is None else rows).tobytes(), abcd)
        self.far.setblocking(False)
        while True:
            try:
                self._sent.append(self.far.recv(2048))
            except BlockingIOError:
                return taken

    def sent(self):
        """Packets that the pseudowire sent since the last call, parsed by the far end's own reader."""
        return [far.parse(packet, self.rtp) for packet in self.raw()]

    def raw(self):
        """The same as octets."""
        found, self._sent = self._sent, []
        return found

    @property
    def heard(self):
        return numpy.concatenate(self.taken, axis=1)

    def status(self):
        return self.wire.status()


@pytest.fixture
def ends():
    made = []

    def make(**settings):
        made.append(Ends(**settings))
        return made[-1]
    yield make
    for one in made:
        one.close()


def noise(blocks, seed=1):
    """uint8 (32, 80 * blocks)."""
    return numpy.random.default_rng(seed).integers(0, 256, (32, 80 * blocks), dtype=numpy.uint8)


def block(stream, n):
    return stream[:, 80 * n:80 * n + 80]


def delay_of(sent, heard, slots, at=2000, length=400):
    """Samples by which heard is late, by the piece that begins at `at`."""
    for late in range(at):
        if (heard[slots, at:at + length] == sent[slots, at - late:at + length - late]).all():
            return late
    raise AssertionError("what was sent is not there")


@pytest.mark.conformance("RFC 5086", "4.2", "octets of frames in the order of the timeslots, 1 to 5 ms a packet, with and without RTP")
@pytest.mark.parametrize("settings", [{}, {"packet_ms": 3, "rtp": True}, {"packet_ms": 5, "timeslots": "1-15,17-31"}, {"timeslots": "16,1,2", "packet_ms": 2}])
def test_timeslots_go_both_ways_octet_by_octet(ends, settings):
    one = ends(**settings)
    stream, packets = noise(60), []
    for n in range(60):
        one.tick(block(stream, n), [one.packet(payload) for payload in one.payloads(block(stream, n))])
        packets += one.sent()
    late = delay_of(stream, one.heard, one.slots)
    assert late <= one.row["jitter_ms"] * 8 + 80 + one.frames
    assert (one.heard[one.slots, 2000:] == stream[one.slots, 2000 - late:4800 - late]).all()
    idle = [slot for slot in range(1, 32) if slot not in one.slots]
    assert (one.heard[idle] == 0xD5).all()
    frames = b"".join(packet["payload"] for packet in packets)
    wanted = stream[one.slots].T.tobytes()
    assert frames == wanted[:len(frames)] and len(wanted) - len(frames) < one.frames * len(one.slots)
    assert [packet["seq"] for packet in packets] == [(packets[0]["seq"] + n) & 0xFFFF for n in range(len(packets))]
    if one.rtp is not None:
        assert {(b["timestamp"] - a["timestamp"]) & 0xFFFFFFFF for a, b in zip(packets, packets[1:])} == {one.frames}
        assert len({packet["ssrc"] for packet in packets}) == 1
    figures = one.status()["figures"]
    assert figures["frames_missing"] == figures["late"] == figures["resyncs"] == 0 and one.status()["alarms"] == {}


@pytest.mark.conformance("RFC 5086", "4.6", "E1 structure with CAS, whole and in two parts")
@pytest.mark.parametrize("packet_ms", [1, 2])
def test_abcd_bits_go_with_the_multiframe(ends, packet_ms):
    one = ends(cas=True, timeslots="1-15,17-31", packet_ms=packet_ms)
    theirs = {slot: slot * 5 + 1 & 15 for slot in one.slots}
    nibbles = [theirs[slot] for slot in one.slots]
    tail = bytes(nibbles[n] << 4 | nibbles[n + 1] for n in range(0, 30, 2))
    ours = bytes(n * 3 + 2 & 15 for n in range(32))
    stream, packets = noise(20), []
    for n in range(20):
        made = []
        for payload in one.payloads(block(stream, n)):
            last = packet_ms == 2 or one.part == 1
            made.append(one.packet(payload + (tail if last else b""), frg=0 if packet_ms == 2 else 2 if last else 1))
            one.part = 1 - one.part
        one.tick(block(stream, n), made, abcd=ours)
        packets += one.sent()
    assert {slot: one.abcd[slot] for slot in one.slots} == theirs
    assert {packet["frg"] for packet in packets} == ({0} if packet_ms == 2 else {1, 2})
    for packet in packets:
        if packet["frg"] != 1:
            told = packet["payload"][-15:]
            assert [told[k // 2] & 15 if k & 1 else told[k // 2] >> 4 for k in range(30)] == [ours[slot] for slot in one.slots]
    assert one.status()["alarms"] == {}
    one.tick(packets=[one.packet(bytes(30 * one.frames + 15), frg=3)])
    assert "multiframe" in one.status()["alarms"]["pw_mismatch"]


@pytest.mark.conformance("RFC 5086", "5.2", "reordered packets are put right, doubled ones thrown away, lost ones filled with idle code")
def test_loss_reordering_and_doubles(ends):
    one = ends(jitter_ms=10)
    stream, lost, n_packets = noise(100), set(), 0
    held = None
    for n in range(100):
        made = []
        for payload in one.payloads(block(stream, n)):
            packet = one.packet(payload)
            n_packets += 1
            if n_packets % 37 == 0:
                lost.add(n_packets - 1)
                continue
            if n_packets % 23 == 0 and held is None:
                held = packet
                continue
            made.append(packet)
            if held is not None:
                made.append(held)
                held = None
            if n_packets % 11 == 0:
                made.append(packet)
        one.tick(packets=made)
    late = delay_of(stream, one.heard, one.slots, 2200, 150)
    wrong = (one.heard[1:, late:] != stream[1:, :8000 - late]).any(axis=0)
    where = {n for n in lost if 8 * n + 8 <= 8000 - late and 8 * n > 2000}
    for n in where:
        assert (one.heard[1:, late + 8 * n:late + 8 * n + 8] == 0xD5).all()
        wrong[8 * n:8 * n + 8] = False
    assert not wrong[2000:].any()
    figures = one.status()["figures"]
    assert figures["duplicates"] > 80 and figures["reordered"] > 30 and figures["late"] == 0 and figures["far_away"] == 0


def test_a_packet_that_is_too_late_and_a_far_end_that_begins_anew(ends):
    one = ends()
    stream = noise(80)
    late = None
    for n in range(40):
        made = [one.packet(payload) for payload in one.payloads(block(stream, n))]
        if n == 20:
            late = made.pop(0)
        if n == 24:
            made.append(late)
        one.tick(packets=made)
    figures = one.status()["figures"]
    assert (figures["late"], figures["frames_missing"]) == (1, 8)
    one.seq += 20000
    for n in range(40, 80):
        one.tick(packets=[one.packet(payload) for payload in one.payloads(block(stream, n))])
    assert one.status()["figures"]["resyncs"] == 1
    assert delay_of(stream, one.heard, one.slots, 5800, 600) == 40


def test_a_far_end_that_begins_anew_twice_with_the_same_numbers(ends):
    """What it says after the second time is new, though its numbers are those of the first."""
    one = ends()
    stream = noise(90)
    for n in range(90):
        if n == 30:
            one.seq = 30000
        elif n in (40, 50):
            one.seq = 10000
        elif n == 45:
            one.seq = 40000
        one.tick(packets=[one.packet(payload) for payload in one.payloads(block(stream, n))])
    figures = one.status()["figures"]
    assert (figures["resyncs"], figures["duplicates"]) == (4, 0), figures
    assert delay_of(stream, one.heard, one.slots, 6800, 400) == 40
    heard, old = one.heard[1].tobytes(), stream[1, 3300:3340].tobytes()
    assert heard.count(old) == 1            # of the first time: not played again


@pytest.mark.conformance("RFC 5086", "5.3", "R while packets do not come, L and M of the far end, packets of others")
def test_what_the_far_end_says_and_what_it_is_told(ends):
    one = ends()
    for _ in range(12):
        one.tick()
    assert one.status()["alarms"] == {"los": "no packets come from %s" % one.row["remote"]}
    assert {(packet["l"], packet["r"], packet["m"]) for packet in one.sent()} == {(0, 1, 2)}
    good = bytes([0x11]) * 248

    def come(ticks, **bits):
        for _ in range(ticks):
            taken = one.tick(packets=[one.packet(good, **bits) for _ in range(10)])
        return taken
    come(12)
    one.sent()
    come(1)
    assert one.status()["alarms"] == {} and {(packet["r"], packet["m"]) for packet in one.sent()} == {(0, 0)}
    assert set(come(3, l=1)[1:].reshape(-1)) == {0xFF}
    assert "L bit" in one.status()["alarms"]["ais"] and {packet["m"] for packet in one.sent()[-10:]} == {2}
    for _ in range(3):
        one.tick(packets=[one.packet(b"", l=1) for _ in range(10)])     # the payload may be left out
    assert "pw_mismatch" not in one.status()["alarms"]
    come(3, r=1)
    assert "R bit" in one.status()["alarms"]["rai"]
    come(3, m=2)
    assert "M bits" in one.status()["alarms"]["rai"]
    come(3)
    assert one.status()["alarms"] == {}
    one.wire.order(ais=True, rai=True)
    come(1)
    assert {packet["l"] for packet in one.sent()[-10:]} == {1}
    one.wire.order(ais=False)
    come(1)
    assert {(packet["l"], packet["m"]) for packet in one.sent()[-10:]} == {(0, 2)}


def test_strangers_are_named_and_change_nothing(ends):
    one = ends()
    stream = noise(30)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        for n in range(30):
            made = [one.packet(payload) for payload in one.payloads(block(stream, n))]
            for k in range(20):
                stranger.sendto(far.build(one.seq + k, bytes(248)), one.near)
            one.tick(packets=made)
        told = one.status()
        assert told["alarms"] == {"pw_stranger": "packets come from 127.0.0.1:%d, which is not the far end %s; they are thrown away"
                                  % (stranger.getsockname()[1], one.row["remote"])}
        assert told["figures"]["strangers"] == 600 and told["figures"]["frames_missing"] == 0
    for _ in range(cesopsn.RECENT_TICKS):
        one.tick(packets=[one.packet(bytes(248)) for _ in range(10)])
    assert one.status()["alarms"] == {}


@pytest.mark.parametrize("packet, why", [
    (lambda one: one.packet(bytes(240)), "they have 244 octets where 252 are expected"),
    (lambda one: far.build(1, bytes(248), rtp=96), "an RTP header, set rtp alike"),
    (lambda one: b"\x80" + one.packet(bytes(248))[1:], "first four bits"),
    (lambda one: one.packet(bytes(248), frg=1), "multiframe"),
    (lambda one: b"", "they have 0 octets"), (lambda one: bytes(3), "they have 3 octets"), (lambda one: bytes(9000), "9000 octets"),
    (lambda one: struct.pack("!BBH", 0, 40, 1) + bytes(20), "24 octets")])
def test_packets_that_do_not_fit_are_thrown_away_and_told(ends, packet, why):
    one = ends()
    good = bytes([0x11]) * 248
    for _ in range(15):
        one.tick(packets=[one.packet(good) for _ in range(10)])
    one.tick(packets=[packet(one), *(one.packet(good) for _ in range(10))])
    assert why in one.status()["alarms"]["pw_mismatch"]
    assert sum(one.status()["figures"]["wrong"].values()) == 1


@pytest.mark.conformance("RFC 4197", "4.3.2", "the far clock is estimated from the level of the buffer; slips are counted")
@pytest.mark.parametrize("ppm", [200, -200])
def test_a_far_clock_of_its_own(ends, ppm):
    one = ends(packet_ms=1, timeslots="1-2", jitter_ms=5)
    due, frames = 0.0, 0
    for tick in range(5000):
        due += 80 * (1 + ppm * 1e-6)
        made = []
        while frames + 8 <= due:
            made.append(one.packet(bytes(16)))
            frames += 8
        one.tick(packets=made)
        if tick % 100 == 0:
            one.sent()
    told = one.status()
    assert abs(told["ppm"] - ppm) <= told["within_ppm"] <= 40
    drift, figures = abs(5000 * 80 * ppm * 1e-6), told["figures"]
    slips, others = (figures["slips_left_out"], figures["slips_repeated"])[::1 if ppm > 0 else -1]
    assert drift - 40 <= slips <= drift and others == 0
    assert figures["overruns"] == figures["underruns"] == 0 and figures["frames_missing"] == 0


def test_a_host_that_stood_still_is_made_good_at_once(ends):
    one = ends(jitter_ms=10)
    for n in range(150):
        one.tick(packets=[one.packet(bytes(248)) for _ in range(60 if n == 20 else 10)])       # 50 ms more than we took
    for _ in range(200):
        one.tick(packets=[one.packet(bytes(248)) for _ in range(10)])
    told = one.status()
    assert told["figures"]["overruns"] == 1 and abs(told["level_ms"] - 20) < 6
    for _ in range(4):
        one.tick()                                                                            # ... and 40 ms less
    for _ in range(300):
        one.tick(packets=[one.packet(bytes(248)) for _ in range(10)])
    told = one.status()
    assert told["figures"]["underruns"] == 1 and told["figures"]["resyncs"] == 0 and abs(told["level_ms"] - 20) < 6 and told["alarms"] == {}


def test_loops(ends):
    one = ends()
    stream = noise(40)
    one.wire.order(loop="local")
    for n in range(10):
        one.tick(block(stream, n))
    assert (one.taken[-1][1:] == block(stream, 8)[1:]).all()
    one.wire.order(loop="timeslot", timeslot=7)
    for n in range(10, 40):
        one.tick(packets=[one.packet(payload) for payload in one.payloads(block(stream, n))])
    back = numpy.frombuffer(b"".join(packet["payload"] for packet in one.sent()[-50:]), numpy.uint8).reshape(-1, 31)
    assert (back[:, 6] == numpy.concatenate(one.taken[-5:], axis=1)[7]).all() and (back[:, 7] == 0xD5).all()
    with pytest.raises(LocalError, match="loop"):
        one.wire.order(loop="sideways")
    with pytest.raises(LocalError, match="1 to 31"):
        one.wire.order(loop="timeslot", timeslot=32)


@pytest.mark.conformance("RFC 4553", "5", "an E1 bit by bit at any bit offset; all ones for what is lost; framing by an independent checker")
@pytest.mark.parametrize("shift", [0, 3, 133])
def test_satop_with_crc4_and_cas(ends, shift):
    one = ends(kind="satop", crc4=True, cas=True, rtp=bool(shift))
    framer, checker = E1Framer(crc4=True, cas=True), E1Checker(crc4=True, cas=True)
    framer.cas_bits = numpy.arange(32, dtype=numpy.uint8) * 7 % 15 + 1         # 0000 is the alignment signal's (G.704 5.1.3.2)
    ours = bytes(n * 4 % 15 + 1 for n in range(32))
    stream = noise(130)
    bits = numpy.zeros(shift, numpy.uint8)
    for n in range(130):
        line = numpy.frombuffer(framer.block(block(stream, n).T.copy()), numpy.uint8)
        bits = numpy.concatenate((bits, numpy.unpackbits(line)))
        whole = len(bits) // 2048 * 2048
        packets, bits = numpy.packbits(bits[:whole]).reshape(-1, 256), bits[whole:]
        one.tick(block(stream, n), [one.packet(packet.tobytes()) for packet in packets], abcd=ours)
        for packet in one.sent():
            one.rest.append(packet["payload"])
        if len(one.rest) >= 10:
            checker.take(b"".join(one.rest[:10]))
            del one.rest[:10]
        if n == 60:
            framer.wrong_crc, framer.e_bits = 3, [0, 1]
        if n == 62:
            framer.e_bits = [1, 1]
    told = one.status()
    seen = told["figures"]["framing"]
    slots = [*range(1, 16), *range(17, 32)]
    late = delay_of(stream, one.heard, slots)
    assert (one.heard[slots, 2000:] == stream[slots, 2000 - late:10400 - late]).all()
    assert seen["aligned"] and seen["multiframe"] and (seen["crc_errors"], seen["fas_errors"], seen["losses"]) == (3, 0, 0) and 8 <= seen["e_bits"] <= 12
    assert [one.abcd[slot] for slot in slots] == [framer.cas_bits[slot] for slot in slots]
    assert checker.offset is not None and checker.fas_errors == checker.crc_errors == 0 and checker.crc_checked > 500
    assert checker.e_errors == 3 and not checker.rai
    assert [checker.cas_bits[slot] for slot in slots] == [ours[slot] for slot in slots]
    assert told["alarms"] == {}


@pytest.mark.conformance("G.706", "4.1.1", "three wrong alignment signals in a row are loss of frame (SAToP); G.775: all ones are AIS; remote alarm")
def test_satop_framing_is_lost_and_found(ends):
    one = ends(kind="satop")

    def come(ticks, payload=None):
        for _ in range(ticks):
            line = payload or framer.block()
            one.tick(packets=[one.packet(line[at:at + 256]) for at in range(0, 2560, 256)])
        return one.status()["alarms"]
    framer = E1Framer()
    assert come(15) == {}
    framer.wrong_fas = 2
    assert come(4) == {} and one.status()["figures"]["framing"]["fas_errors"] == 2
    framer.wrong_fas = 3
    come(4)
    assert one.status()["figures"]["framing"]["losses"] == 1 and come(2) == {}
    assert "hold no frames" in come(5, bytes([0x55]) * 2560)["lfa"]
    assert "all ones" in come(5, bytes([0xFF]) * 2560)["ais"]
    checker = E1Checker()
    rest = b"".join(packet["payload"] for packet in one.sent()[-30:])
    for at in range(0, len(rest) - 2559, 2560):
        checker.take(rest[at:at + 2560])
    assert checker.rai is True
    framer.rai = True
    assert "does not understand" in come(8)["rai"]
    framer.rai = False
    assert come(8) == {}


def pcap(path, packets):
    """UDP packets to port 2142 as a file (link type 228, IPv4)."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 228))
        for packet in packets:
            udp = struct.pack("!HHHH", 2141, 2142, 8 + len(packet), 0) + packet
            whole = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, 0x7F000001, 0x7F000001) + udp
            file.write(struct.pack("<IIII", 0, 0, len(whole), len(whole)) + whole)


@pytest.mark.conformance("RFC 5086", "4.3", "tshark's dissectors of CESoPSN and SAToP find no fault in any packet")
@pytest.mark.parametrize("settings, protocol", [
    ({"timeslots": "1-31"}, "pwcesopsn"), ({"timeslots": "16"}, "pwcesopsn"), ({"kind": "satop"}, "pwsatopcw"), ({"kind": "satop", "rtp": True}, "rtp")])
def test_tshark_reads_every_packet_without_a_fault(ends, tmp_path, settings, protocol):
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    one = ends(**settings)
    raw = []
    for n in range(30):
        if n == 15:
            one.wire.order(ais=True)
        one.tick(block(noise(1, n), 0), [one.packet(bytes(256 if one.row["kind"] == "satop" else 8 * len(one.slots))) for _ in range(10)] if n > 5 else [])
        raw += one.raw()
    pcap(tmp_path / "pw.pcap", raw)
    shown = subprocess.run(["tshark", "-r", str(tmp_path / "pw.pcap"), "-d", "udp.port==2142," + protocol, "-T", "fields", "-E", "separator=;", "-e", "frame.protocols",
                            "-e", "_ws.expert.message", "-e", "_ws.malformed"],
                           capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    assert len(shown) == 300
    for line in shown:
        protocols, expert, malformed = line.split(";")
        assert protocol in protocols and malformed == "" and expert == "", line


def test_an_address_that_is_not_ours_is_said(ends):
    one = ends()
    with pytest.raises(DriverError, match="name an address of this box and a UDP port that nobody has"):
        cesopsn.Pseudowire(3, {**one.row, "local": "127.0.0.1:%d" % one.near[1]})
    with pytest.raises(DriverError, match="192.0.2.1"):
        cesopsn.Pseudowire(3, {**one.row, "local": "192.0.2.1:2142"})
