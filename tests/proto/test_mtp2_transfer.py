"""Q.781 groups 5, 8, 9, 10 against our MTP2: delimitation, both error corrections, congestion;
retrieval for changeover, random octets, lossy lines, and tshark on what we send."""

import random
import shutil
import struct
import subprocess

import pytest
from hypothesis import given, settings, strategies

from dsp.hdlc import bits_reference, receive_reference
from firmware.proto import mtp2_units as units
from firmware.proto.mtp2 import MTP2Link
from tests.proto.mtp2_rig import MESSAGE, Rig, mark

BASIC = "Transmission and reception control (basic): "
PCR = "Transmission and reception control (PCR): "
DELIMITATION = "SU delimitation, alignment, error detection and correction: "


def send(r, number):
    for i in range(number):
        r.ask("message", MESSAGE + bytes([i % 256]))


def numbers(r):
    """FSNs of the MSUs that we sent, forgotten."""
    heard, r.heard = r.heard, []
    return [unit[3] for unit in heard if unit[0] == "MSU"]


def over_hdlc(r, bits):
    """Feed bits through the HDLC reference: whole frames up, what it threw away as errors."""
    frames, counters = receive_reference(bits, 276, 3)
    for kind in ("fcs_errors", "aborts", "giants", "shorts", "residues"):
        r.error(int(counters[kind]))
    for frame in frames:
        r._after(r.link.receive(frame, r.now_ms))


def fisu():
    return units.encode(units.Unit("FISU", 127, 1, 127, 1))


def msu(fsn, message=MESSAGE):
    return units.encode(units.Unit("MSU", 127, 1, fsn, 1, message))


@mark("5.1", DELIMITATION + "more than 7 ones between MSU opening and closing flags")
def test_too_many_ones():
    r = Rig().up()
    bits = list(bits_reference([msu(0)]))
    over_hdlc(r, bits[:40] + [1] * 9 + bits[40:] + list(bits_reference([fisu()])))
    assert r.link.in_service and r.link.counters["errors"] == 1 and r.took("message") == []


@mark("5.2", DELIMITATION + "greater than maximum signal unit length")
def test_too_long():
    r = Rig().up()
    over_hdlc(r, bits_reference([msu(0, bytes(274)), fisu()]))
    assert r.link.counters["errors"] == 1 and r.took("message") == []
    over_hdlc(r, bits_reference([msu(0, bytes(273))]))
    assert len(r.took("message")) == 1 and r.link.in_service


@mark("5.3", DELIMITATION + "below minimum signal unit length")
def test_too_short():
    r = Rig().up()
    over_hdlc(r, bits_reference([fisu()[:2], fisu()]))
    assert r.link.counters["errors"] == 1 and r.link.in_service


@pytest.mark.parametrize("flags", [
    pytest.param(1, marks=[mark("5.4(a)", DELIMITATION + "single flags between FISUs"),
                           mark("5.5(a)", DELIMITATION + "single flags between MSUs")]),
    pytest.param(6, marks=[mark("5.4(b)", DELIMITATION + "multiple flags between FISUs"),
                           mark("5.5(b)", DELIMITATION + "multiple flags between MSUs")])])
def test_flags(flags):
    r = Rig().up()
    flag = [0, 1, 1, 1, 1, 1, 1, 0]
    bits = []
    for frame in (fisu(), fisu(), msu(0), msu(1), msu(2), fisu()[:1] + bytes([2 | 128, 0])):
        one = list(bits_reference([frame]))
        assert one[:8] == flag and one[-8:] == flag
        bits += one[8:-8] + flag * flags
    over_hdlc(r, flag + bits)
    assert len(r.took("message")) == 3 and "errors" not in r.link.counters and r.last()[:2] == ("FISU", 2)


@mark("8.1", BASIC + "MSU transmission and reception")
def test_messages():
    r = Rig().up()
    send(r, 3)
    assert [u[0:1] + u[3:] for u in r.heard if u[0] == "MSU"] == [("MSU", 0, 1), ("MSU", 1, 1), ("MSU", 2, 1)]
    r.bsn = 2
    r.say_message()
    assert r.took("message") and r.last() == ("FISU", 0, 1, 2, 1) and r.link.queued_messages == 0
    r.wait(60000)
    assert r.link.in_service
    for _ in range(300):                # through the modulo
        r.say_message()
        send(r, 1)
        r.bsn = (r.bsn + 1) % 128
    r.say("FISU")
    assert len(r.took("message")) == 300 and r.link.queued_messages == 0 and r.link.in_service


@mark("8.2", BASIC + "negative acknowledgement of an MSU")
def test_nack():
    r = Rig().up()
    send(r, 3)
    numbers(r)
    r.say("FISU", bsn=0, bib=0)         # 0 arrived, 1 did not
    assert [u for u in r.heard if u[0] == "MSU"] == [("MSU", 127, 1, 1, 0), ("MSU", 127, 1, 2, 0)]
    r.say("FISU", bsn=2, bib=0)
    assert r.link.queued_messages == 0 and r.last() == ("FISU", 127, 1, 2, 0)


@mark("8.3", BASIC + "check RTB full")
def test_window():
    r = Rig().up()
    send(r, 130)
    assert numbers(r) == list(range(127))
    r.say("FISU", bsn=0)
    assert numbers(r) == [127]
    r.say("FISU", bsn=127)
    assert numbers(r) == [0, 1]


@mark("8.4", BASIC + "single MSU with erroneous FIB")
def test_message_with_erroneous_fib():
    r = Rig().up()
    r.say_message(fsn=0, fib=0)
    assert r.link.in_service and r.took("message") == [] and r.take() == []
    r.say_message()
    assert r.took("message") and r.last()[:3] == ("FISU", 0, 1)


@mark("8.5", BASIC + "duplicated FSN")
def test_duplicate():
    r = Rig().up()
    r.say_message()
    r.say_message(fsn=0)
    assert len(r.took("message")) == 1 and r.last()[:3] == ("FISU", 0, 1)
    r.say_message()
    assert len(r.took("message")) == 1 and r.last()[:3] == ("FISU", 1, 1)


@mark("8.6", BASIC + "erroneous retransmission, single MSU")
def test_erroneous_retransmission():
    r = Rig().up()
    r.say_message(fsn=1)                # 0 is missing
    assert r.last()[:3] == ("FISU", 127, 0)
    r.say_message(fsn=1)                # still the old FIB: already asked
    assert r.take() == ["FISU"]
    r.say_message(fsn=1, fib=0)         # the wrong one
    assert r.last()[:3] == ("FISU", 127, 1) and r.took("message") == []
    r.say_message(fsn=0, fib=1)
    r.say_message(fsn=1, fib=1)
    assert len(r.took("message")) == 2 and r.last()[:3] == ("FISU", 1, 1) and r.link.in_service


@mark("8.7", BASIC + "erroneous retransmission, multiple FISUs")
def test_erroneous_retransmission_by_fisu():
    r = Rig().up()
    r.say_message(fsn=1)
    assert r.last()[:3] == ("FISU", 127, 0)
    for turn in range(4):               # FISUs that claim messages which did not come
        r.say("FISU", fsn=1, fib=turn & 1)
        assert r.last()[:3] == ("FISU", 127, 1 - turn % 2) and r.link.in_service
    assert r.took("message") == []


@mark("8.8", BASIC + "single FISU with corrupt FIB")
def test_fisu_with_corrupt_fib():
    r = Rig().up()
    r.say("FISU", fib=0)
    r.say("FISU")
    r.repeats(5)
    r.say("FISU", fib=0)                # two, but not of three
    r.say("FISU")
    assert r.link.in_service and r.take() == []


@mark("8.9", BASIC + "single FISU prior to RPO being set")
def test_corrupt_fib_then_outage():
    r = Rig().up()
    r.say("FISU", fib=0)
    r.say("SIPO")
    assert r.link.state == "PROCESSOR_OUTAGE"
    r.say("FISU")
    assert r.link.in_service


@mark("8.10", BASIC + "abnormal BSN, single MSU")
def test_abnormal_bsn():
    r = Rig().up()
    r.say_message(fsn=0, bsn=5)
    assert r.link.in_service and r.took("message") == []
    r.say_message()
    assert r.took("message")


@mark("8.11", BASIC + "abnormal BSN, two consecutive FISUs")
def test_abnormal_bsn_twice():
    r = Rig().up()
    r.say("FISU", bsn=5)
    assert r.link.in_service
    r.repeats(1)
    assert r.take() == ["SIOS"] and r.took("out_of_service") == [("out_of_service", "abnormal_bsn")]


@mark("8.12", BASIC + "excessive delay of acknowledgement")
def test_t7():
    r = Rig().up()
    send(r, 2)
    r.wait(1499)
    r.say("FISU", bsn=0)
    r.wait(1499)
    assert r.link.in_service
    r.wait(1)
    assert r.take()[-1] == "SIOS" and r.took("out_of_service") == [("out_of_service", "excessive_delay_of_acknowledgement")]


@mark("8.13", BASIC + "level 3 stop command")
def test_stop():
    r = Rig().up()
    send(r, 2)
    r.ask("stop")
    assert r.take()[-1] == "SIOS"
    r.ask("retrieve", bytes([0]))
    assert r.took("retrieved_message") == [("retrieved_message", MESSAGE + b"\x01")]


def pcr(**parameters):
    return Rig(parameters=parameters, correction="pcr").up()


def polled(r, octets=20):
    """What goes out when the line asks for about one message more: FSNs."""
    heard = [units.decode(o) for o in r.link.take_output(octets)]
    return [u.fsn for u in heard if u.kind == "MSU"]


@mark("9.1", PCR + "MSU transmission and reception")
def test_pcr():
    r = pcr()
    r.link.request("message", 0, MESSAGE)
    assert [polled(r, 1) for _ in range(3)] == [[0], [0], [0]]
    r.bsn = 0
    r.say("FISU")
    assert polled(r) == [] and r.link.queued_messages == 0
    r.say_message()
    assert r.took("message") and r.last()[:3] == ("FISU", 0, 1)
    r.say_message(fsn=0, bsn=0)         # a preventive repetition
    assert r.took("message") == []


@mark("9.2", PCR + "priority control")
def test_pcr_new_before_old():
    r = pcr()
    for i in range(3):
        r.link.request("message", 0, MESSAGE)
    sent = sum([polled(r, 1) for _ in range(5)], [])
    assert sent == [0, 1, 2, 0, 1]
    r.link.request("message", 0, MESSAGE)
    assert sum([polled(r, 1) for _ in range(4)], []) == [3, 2, 3, 0]


@pytest.mark.parametrize("limits", [
    pytest.param({"N1": 4}, marks=mark("9.3", PCR + "forced retransmission with the value N1")),
    pytest.param({"N2": 4 * len(MESSAGE)}, marks=mark("9.4", PCR + "forced retransmission with the value N2"))])
def test_pcr_forced(limits):
    r = pcr(**limits)
    for i in range(6):
        r.link.request("message", 0, MESSAGE)
    assert sum([polled(r, 1) for _ in range(13)], []) == [0, 1, 2, 3] + [0, 1, 2, 3] * 2 + [0]
    r.link.receive(units.encode(units.Unit("FISU", 1, 1, 127, 1)), 0)
    assert sum([polled(r, 1) for _ in range(4)], []) == [2, 3, 4, 5]


@mark("9.5", PCR + "forced retransmission cancel")
def test_pcr_forced_cancelled():
    r = pcr(N1=4)
    for i in range(5):
        r.link.request("message", 0, MESSAGE)
    assert sum([polled(r, 1) for _ in range(6)], []) == [0, 1, 2, 3, 0, 1]
    r.link.receive(units.encode(units.Unit("FISU", 3, 1, 127, 1)), 0)
    assert polled(r, 1) == [4] and r.link.queued_messages == 1


@mark("9.6", PCR + "reception of forced retransmission")
def test_pcr_forced_of_the_far_end():
    r = pcr()
    r.error()                           # FSN 0 was lost
    r.say_message(fsn=1)
    r.say_message(fsn=2)
    assert r.took("message") == [] and r.take() == []
    for fsn in (0, 1, 2):
        r.say_message(fsn=fsn)
    assert len(r.took("message")) == 3 and r.last()[:3] == ("FISU", 2, 1)


@mark("9.7", PCR + "MSU transmission while RPO set")
def test_pcr_outage():
    r = pcr()
    r.say("SIPO")
    r.link.request("message", 0, MESSAGE)
    assert polled(r) == []
    r.link.receive(units.encode(units.Unit("FISU", 127, 1, 127, 1)), 0)
    assert polled(r, 1) == [0]
    r.say("FISU", bsn=0)
    assert r.link.queued_messages == 0


@mark("9.8", PCR + "abnormal BSN, single MSU")
def test_pcr_abnormal_bsn():
    r = pcr()
    r.say_message(fsn=0, bsn=9)
    assert r.link.in_service and r.took("message") == []
    r.say_message()
    assert r.took("message")


@mark("9.9", PCR + "abnormal BSN, two MSUs")
def test_pcr_abnormal_bsn_twice():
    r = pcr()
    r.say_message(fsn=0, bsn=9)
    r.say_message(fsn=1, bsn=9)
    assert r.took("out_of_service") == [("out_of_service", "abnormal_bsn")]


@mark("9.10", PCR + "unexpected FSN")
def test_pcr_unexpected_fsn():
    r = pcr()
    r.say_message(fsn=3)
    assert r.took("message") == [] and r.take() == [] and r.link.in_service
    r.say_message(fsn=0)
    assert r.took("message")


@mark("9.11", PCR + "excessive delay of acknowledgement")
def test_pcr_t7():
    r = pcr()
    r.link.request("message", 0, MESSAGE)
    r.now_ms = 0
    r.wait(60000)
    assert r.took("out_of_service") == [("out_of_service", "excessive_delay_of_acknowledgement")]


@mark("9.12", PCR + "FISU with FSN expected for MSU")
def test_pcr_fisu_with_next_fsn():
    r = pcr()
    r.say("FISU", fsn=0)
    assert r.link.in_service and r.take() == []
    r.say_message()
    assert r.took("message") and r.last()[:3] == ("FISU", 0, 1)


@mark("9.13", PCR + "level 3 stop command")
def test_pcr_stop():
    r = pcr()
    r.link.request("message", 0, MESSAGE)
    r.ask("stop")
    assert r.take()[-1] == "SIOS" and polled(r) == []
    r.ask("retrieve", bytes([127]))
    assert len(r.took("retrieved_message")) == 1


@mark("10.1", "Congestion control: congestion abatement")
def test_congestion():
    r = Rig().up()
    r.ask("congestion_accept")
    r.say_message()
    r.say_message()
    assert len(r.took("message")) == 2
    r.wait(350)
    assert r.take() == ["SIB", "FISU"] * 4
    assert r.link.in_service
    r.ask("no_congestion")
    assert [unit[:3] for unit in r.heard] == [("FISU", 1, 1)] and r.take()
    r.wait(1000)
    assert r.take() == []


def test_congestion_with_discard():
    r = Rig().up()
    r.ask("congestion_discard")
    r.say_message()
    r.say_message()
    assert r.took("message") == [] and r.take() == ["SIB", "FISU"]
    r.ask("no_congestion")
    assert r.last()[:3] == ("FISU", 127, 0)             # 9.3: asked for only now
    r.say_message(fsn=0, fib=0)
    r.say_message(fsn=1, fib=0)
    assert len(r.took("message")) == 2 and r.last()[:3] == ("FISU", 1, 0)


@mark("10.2", "Congestion control: timer T7")
def test_sib_holds_t7():
    r = Rig().up()
    send(r, 1)
    for _ in range(30):                 # 3 s: longer than T7, shorter than T6
        r.say("SIB")
        r.wait(100)
    assert r.link.in_service
    r.wait(1399)
    assert r.link.in_service
    r.wait(1)
    assert r.took("out_of_service") == [("out_of_service", "excessive_delay_of_acknowledgement")]


@mark("10.3", "Congestion control: timer T6")
def test_t6():
    r = Rig().up()
    send(r, 1)
    for _ in range(49):
        r.say("SIB")
        r.wait(100)
    assert r.link.in_service
    r.say("SIB")
    r.wait(100)
    assert r.took("out_of_service") == [("out_of_service", "far_end_congested")]


def test_t6_ends_with_an_acknowledgement():
    r = Rig().up()
    send(r, 2)
    for _ in range(40):
        r.say("SIB")
        r.wait(100)
    r.say("FISU", bsn=0)
    for _ in range(40):
        r.say("SIB")
        r.wait(100)
    assert r.link.in_service


def test_retrieval_for_changeover():
    r = Rig().up()
    send(r, 5)
    r.say_message(bsn=0)
    r.say("SIOS")
    r.ask("message", MESSAGE + b"late")
    r.ask("retrieve_bsnt")
    assert r.took("bsnt") == [("bsnt", 0)]
    r.ask("retrieve", bytes([2]))
    assert r.events == [("retrieved_message", MESSAGE + x) for x in (b"\x03", b"\x04", b"late")] + [("retrieval_complete",)]
    r = Rig().up()
    send(r, 200)
    r.ask("stop")
    r.ask("retrieve")                   # emergency changeover: only what never went out
    assert len(r.took("retrieved_message")) == 200 - 127


def test_transmit_queue_congestion():
    r = Rig().up()
    send(r, 128)
    assert r.took("congestion") == [("congestion", True)]
    r.say("FISU", bsn=70)
    assert r.took("congestion") == [("congestion", False)]
    send(r, 3000)
    assert r.link.queued_messages == 2048 and r.link.counters["messages_dropped"] > 0


def test_output_in_small_rooms_carries_true_numbers():
    """A FISU between messages bears the number of the last message, so nobody asks for a repetition."""
    link, far = MTP2Link(), Rig().up().link
    r = Rig().up()
    r.link.request("message", 0, MESSAGE)
    r.link.request("message", 0, MESSAGE)
    link = r.link
    first = [units.decode(o) for o in link.take_output(10)]
    assert [(u.kind, u.fsn) for u in first] == [("MSU", 0), ("FISU", 0)]
    assert [(u.kind, u.fsn) for u in map(units.decode, link.take_output(10))] == [("MSU", 1), ("FISU", 1)]
    assert link.take_output(10) == [] and far.in_service


@settings(max_examples=300, deadline=None)
@given(strategies.lists(strategies.one_of(
    strategies.binary(max_size=12), strategies.sampled_from(
        ["error", "repeat", "time", "start", "stop", "emergency", "local_processor_outage", "local_processor_recovered",
         "congestion_accept", "congestion_discard", "no_congestion", "flush_buffers", "message", "retrieve_bsnt", "retrieve",
         b"\xff\xff\x01\x00", b"\xff\xff\x01\x01", b"\xff\xff\x01\x02", b"\xff\xff\x00", b"\xff\x80\x03abc",
         b"\xff\xff\x01\x04", b"\xff\xff\x01\x05"])), max_size=60), strategies.sampled_from(["basic", "pcr"]))
def test_anything_may_come(steps, correction):
    link, now_ms = MTP2Link(correction=correction), 0
    link.request("power_on", 0)
    link.request("start", 0)
    for step in steps:
        now_ms += 300
        if isinstance(step, bytes):
            events = link.receive(step, now_ms)
        elif step == "error":
            events = link.receive_error(now_ms)
        elif step == "repeat":
            events = link.receive_repeats(40, now_ms)
        elif step == "time":
            events = link.expire(now_ms)
        else:
            events = link.request(step, now_ms, {"message": MESSAGE, "retrieve": b"\x00"}.get(step))
        assert all(isinstance(e, tuple) for e in events)
        for octets in link.take_output(100):
            units.decode(octets)


@pytest.mark.parametrize("correction", ["basic", "pcr"])
@pytest.mark.parametrize("seed", range(4))
def test_lossy_line_loses_nothing(correction, seed):
    """Two of our links over a line that spoils a unit in 40: every message once and in order."""
    chance = random.Random(seed)
    ends = [MTP2Link(correction=correction) for _ in range(2)]
    got, sent = [[], []], [0, 0]
    fills = [None, None]
    for link in ends:
        link.request("power_on", 0)
        link.request("start", 0)
    for tick in range(4000):
        now_ms = tick * 10
        for i, link in enumerate(ends):
            if link.in_service and sent[i] < 400 and chance.random() < 0.5 and tick > 1000:
                link.request("message", now_ms, struct.pack(">HH", i, sent[i]))
                sent[i] += 1
            line = link.take_output(80)
            fill = [o for o in line if o[2] & 63 < 3]
            line = line or [fills[i]]
            fills[i] = fill[-1] if fill else fills[i]
            for octets in line:
                if tick > 1000 and chance.random() < 1 / 40:
                    events = ends[1 - i].receive_error(now_ms)
                else:
                    events = ends[1 - i].receive(octets, now_ms)
                got[1 - i] += [e[1] for e in events if e[0] == "message"]
                assert not [e for e in events if e[0] == "out_of_service"]
            ends[1 - i].receive_repeats(10, now_ms)
            ends[1 - i].expire(now_ms)
    for i in range(2):
        assert got[1 - i] == [struct.pack(">HH", i, n) for n in range(400)] and ends[i].queued_messages == 0


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_tshark_reads_our_units(tmp_path):
    r = Rig()
    path = tmp_path / "mtp2.pcap"
    sent = []
    take = r.link.take_output
    r.link.take_output = lambda room=None: (sent.extend(o := take(room)), o)[1]
    r.up()
    r.ask("congestion_accept")
    r.ask("message", bytes.fromhex("81c8001900" "1120aabb"))
    r.ask("local_processor_outage")
    r.ask("stop")
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 140))
        for octets in sent:
            file.write(struct.pack("<IIII", 0, 0, len(octets), len(octets)) + octets)
    out = subprocess.run(["tshark", "-n", "-r", str(path), "-T", "fields", "-e", "mtp2.sf", "-e", "mtp2.li", "-e", "_ws.malformed",
                          "-e", "_ws.expert.message", "-e", "mtp2.fsn"], capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in out.splitlines()]
    assert len(rows) == len(sent) and not [row for row in rows if row[2] or row[3]]
    kinds = [int(row[0], 0) if row[0] else None for row in rows]
    assert [units.STATUS[k] if k is not None else units.decode(o).kind for k, o in zip(kinds, sent)] == [
        units.decode(o).kind for o in sent]
    assert {"SIO", "SIN", "SIOS", "SIPO", "SIB", "FISU", "MSU"} <= {units.decode(o).kind for o in sent}
