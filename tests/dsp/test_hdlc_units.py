"""Signal units on a timeslot: repetition, suppression and error counts of dsp/_hdlc.pyx; spandsp is the other end."""

import numpy as np
import pytest

from dsp import hdlc, isa
from tests.dsp.test_hdlc import spandsp_receive, spandsp_transmit

KERNEL = "_hdlc"
FISU, OTHER, SIN = b"\xff\xff\x00", b"\xff\x80\x00", b"\xff\xff\x01\x01"
MSU = b"\x81\x85\x09" + bytes(range(9))


@pytest.fixture
def line(level):
    """A transmitter and a receiver of units: (rx, tx, level)."""
    rx, tx = hdlc.new_rx_state(1, level), hdlc.new_tx_state(1, level)
    hdlc.set_mtp2(rx, tx, 0)
    isa.load("_hdlc", level).call_rx_reset(rx, 0)
    return rx, tx, level


def send(line, *units, blocks=1):
    for unit in units:
        assert hdlc.put(line[1], 0, unit, line[2])
    return np.concatenate([hdlc.transmit(line[1], 80, at=line[2])[0] for _ in range(blocks)])


def take(line, octets):
    """[(unit, repeats, errors)] over blocks of 80."""
    return [row[1:] for at in range(0, len(octets), 80)
            for row in hdlc.receive_units(line[0], octets[None, at:at + 80], at=line[2])]


def test_the_last_short_unit_is_repeated_without_a_pause(line):
    octets = send(line, SIN, MSU, FISU, blocks=10)
    frames, stats = spandsp_receive(octets)
    assert frames[:3] == [SIN, MSU, FISU] and set(frames[3:]) == {FISU}
    # one flag between units: 6 octets a FISU, and the zeros put into 16 ones and the FCS
    assert len(frames) > (800 - 25) // 6.7 and stats.crc_errors == stats.aborts == 0
    assert hdlc.tx_view(line[1])["fills"][0] > 100


def test_a_repeated_unit_is_handed_up_once_and_counted(line):
    octets = send(line, FISU, blocks=5)
    got = take(line, octets)
    assert got == [(FISU, 0, 0)]
    got = take(line, send(line, MSU, MSU, OTHER, blocks=3))
    assert [row[0] for row in got] == [MSU, MSU, OTHER], "messages are never held back"
    assert got[0][1] > 50 and got[1][1] == got[2][1] == 0 and not any(row[2] for row in got)
    view = hdlc.rx_view(line[0])[0]
    assert view["repeats"] > 90 and view["errors"] == 0
    hdlc.rx_view(line[0])["tell"] = hdlc.TELL_REPEATS
    got = take(line, send(line, blocks=2))
    assert [row[0] for row in got] == [b"", b""] and 20 <= sum(row[1] for row in got)


def test_spandsp_sends_units_that_we_take(line):
    octets = np.frombuffer(spandsp_transmit([SIN] * 4 + [MSU] + [FISU] * 20, 240), np.uint8)
    got = take(line, octets)
    # the receiver counts octets from its start until the first good unit
    assert [(unit, repeats) for unit, repeats, _ in got] == [(SIN, 0), (MSU, 3), (FISU, 0)]
    assert hdlc.rx_view(line[0])["repeats"][0] == 3 + 19


def test_errors_come_before_the_unit_behind_them(line):
    octets = send(line, FISU, blocks=2).copy()
    take(line, octets)
    spoiled = send(line, blocks=2).copy()
    spoiled[40] ^= 0x08
    got = take(line, np.concatenate([spoiled, send(line, OTHER)]))
    assert [row[0] for row in got] == [OTHER] and got[0][2] in (1, 2) and got[0][1] > 15


@pytest.mark.parametrize("idle", [0xFF, 0xD5, 0x00])
def test_octet_counting(line, idle):
    take(line, send(line, FISU, blocks=2))
    hdlc.rx_view(line[0])["tell"] = hdlc.TELL_ERRORS
    got = take(line, np.full(8000, idle, np.uint8))
    errors = sum(row[2] for row in got)
    # 0xD5 and 0x00 hold no abort: counting begins when the unit is too long
    assert abs(errors - 8000 // 16) <= (1 if idle == 0xFF else 20), errors
    assert {row[0] for row in got} == {b""}
    got = take(line, send(line, blocks=3))
    assert sum(row[2] for row in got) <= 2 and sum(row[2] for row in take(line, send(line, blocks=3))) == 0


def test_plain_frames_are_as_they_were(line):
    rx, tx, level = line
    hdlc.set_mtp2(rx, tx, 0, False)
    isa.load("_hdlc", level).call_rx_reset(rx, 0)
    isa.load("_hdlc", level).call_tx_reset(tx, 0)
    octets = send(line, FISU, FISU, SIN, blocks=3)
    assert [row[0] for row in take(line, octets)] == [FISU, FISU, SIN]
