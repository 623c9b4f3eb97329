"""The board's E1 framing (hil/board/e1.c) against hil/line.py, bit-serial CRC and constructed signals."""

import numpy
import pytest

from hil import line as far
from hil.board._emulator import Framer
from hil.probes.bert import PATTERNS, BERT

FMR1, FMR2, XSW, XSP, FRS0, FRS1, IERR, DEC = 0x1D, 0x1E, 0x20, 0x21, 0x4C, 0x4D, 0x1B, 0x60
CRC4_ON = ((FMR1, 0x0C), (FMR2, 0x82))
CRC4_AUTOMATIC = ((FMR1, 0x0C), (FMR2, 0xC2))
LOS, AIS, LFA, RAI, NMF, LMFA = 0x80, 0x40, 0x20, 0x10, 0x04, 0x02
ALL_ONES = b"\xff" * far.BLOCK_OCTETS


def framer(*registers):
    board = Framer()
    for address, value in registers:
        board.write(address, value)
    return board


def payloads(seed):
    random = numpy.random.default_rng(seed)
    while True:
        yield random.integers(0, 256, (80, 32), dtype=numpy.uint8)


def crc_serial(bits):
    """CRC-4 of G.704 2.3.3.5, one bit at a time: remainder of bits * x^4 by x^4 + x + 1."""
    register = 0
    for bit in list(bits) + [0, 0, 0, 0]:
        register = register << 1 | int(bit)
        if register & 0x10:
            register ^= 0x13
    return register


def line_bits(octets):
    return numpy.unpackbits(numpy.frombuffer(bytes(octets), numpy.uint8))


def feed(board, blocks):
    return [numpy.frombuffer(board.receive(b), numpy.uint8).reshape(80, 32) for b in blocks]


def test_serial_crc_gives_the_published_check_value():
    # CRC-4/G-704 of "123456789" is 7 in the catalogue of parametrised CRC algorithms, which takes
    # the least significant bit first; on the line the most significant one is, hence both reversals.
    reversed_octets = [int("{:08b}".format(c)[::-1], 2) for c in b"123456789"]
    assert crc_serial(line_bits(reversed_octets)) == int("{:04b}".format(7)[::-1], 2)


def test_client_crc_equals_the_serial_one():
    random = numpy.random.default_rng(1)
    submultiframes = random.integers(0, 256, (6, 8, 32), dtype=numpy.uint8)
    submultiframes[5] = 0
    submultiframes[5, 7, 31] = 1
    for got, frames in zip(far.crc4(submultiframes), submultiframes):
        frames = frames.copy()
        frames[::2, 0] &= 0x7F
        assert got == crc_serial(line_bits(frames.tobytes()))
    assert far.crc4(submultiframes)[5] == 3  # x^4 modulo x^4 + x + 1 is x + 1


def test_board_sends_crc_multiframes_that_the_serial_crc_confirms():
    board = framer(*CRC4_ON)
    source = payloads(2)
    octets = b"".join(board.transmit(next(source).reshape(-1)) for _ in range(2))
    frames = numpy.frombuffer(octets, numpy.uint8).reshape(-1, 8, 32)
    previous = None
    for n, submultiframe in enumerate(frames):
        sent = [int(f[0]) >> 7 for f in submultiframe[::2]]
        assert all(f[0] & 0x7F == 0x1B for f in submultiframe[::2])
        assert all(f[0] & 0x40 for f in submultiframe[1::2])
        if previous is not None:
            assert int("".join(map(str, sent)), 2) == previous, n
        clear = submultiframe.copy()
        clear[::2, 0] &= 0x7F
        previous = crc_serial(line_bits(clear.tobytes()))
    ones = (frames.reshape(-1, 16, 32)[:, 1::2, 0] >> 7).tolist()
    assert all(row[:6] == [0, 0, 1, 0, 1, 1] for row in ones)


@pytest.mark.conformance("G.706", "4.1.2", "frame alignment is found at any bit of the stream")
@pytest.mark.parametrize("bit_offset", [0, 8, 40, 255, 3, 129, 250])
@pytest.mark.parametrize("crc4", [False, True])
def test_receive_aligns_at_any_bit(bit_offset, crc4):
    board = framer(*(CRC4_ON if crc4 else ()))
    source, sender, sent = payloads(3), far.E1Framer(crc4=crc4), []
    bits = [numpy.zeros(bit_offset, numpy.uint8)]
    for _ in range(12):
        sent.append(next(source))
        bits.append(line_bits(sender.block(sent[-1])))
    stream = numpy.packbits(numpy.concatenate(bits)).tobytes()
    out = numpy.concatenate(feed(board, [stream[n:n + 2560] for n in range(0, 11 * 2560, 2560)]))
    assert board.read(FRS0) == 0
    sent = numpy.concatenate(sent)
    late = 1 if bit_offset else 0  # a straddling frame is handed on when its last bit has come
    assert (out[240:880, 1:] == sent[240 - late:880 - late, 1:]).all()
    assert board.receive(ALL_ONES)[32 * 8:] == b"\xd5" * (2560 - 32 * 8)


def test_random_data_is_no_frame_and_search_recovers():
    board, sender, source = framer(), far.E1Framer(), payloads(4)
    feed(board, [next(source).tobytes() for _ in range(5)])
    feed(board, [sender.block(next(source)) for _ in range(3)])
    assert board.read(FRS0) == 0


@pytest.mark.conformance("G.706", "4.1.1", "three wrong alignment signals in a row lose the frame, two do not")
def test_three_wrong_alignment_signals_lose_the_frame_two_do_not():
    board, sender = framer(), far.E1Framer()
    feed(board, [sender.block() for _ in range(3)])
    sender.wrong_fas = 2
    feed(board, [sender.block()])
    assert board.read(0x6A) & 0x40 == 0          # ISR2.LFA
    board.write(DEC, 0x01)
    assert board.read(0x50) == 2                 # FEC
    sender.wrong_fas = 3
    feed(board, [sender.block()])
    assert board.read(0x6A) & 0xC0 == 0xC0       # lost, and found again in the same block
    assert board.read(0x6A) == 0                 # clear on read
    assert board.read(FRS0) == 0


@pytest.mark.conformance("G.732", "4.2.2", "LOS, AIS and loss of frame are told to the far end at once, and its word (bit A) is heard")
def test_ais_los_and_rai():
    board, sender = framer(), far.E1Framer()
    feed(board, [sender.block() for _ in range(2)])
    assert board.read(FRS0) == 0
    feed(board, [ALL_ONES])
    assert board.read(FRS0) == AIS | LFA
    checker = far.E1Checker()
    checker.take(board.transmit(bytes(2560)))
    assert checker.rai                           # FMR2.AXRA: told to the far end
    feed(board, [bytes(2560)])
    assert board.read(FRS0) == LOS | LFA
    feed(board, [sender.block()])
    assert board.read(FRS0) == 0
    checker.take(board.transmit(bytes(2560)))
    assert not checker.rai
    sender.rai = True
    feed(board, [sender.block()])
    assert board.read(FRS0) == RAI
    board.write(XSW, 0x20 | 0x9F)
    checker.take(board.transmit(bytes(2560)))
    assert checker.rai


@pytest.mark.conformance("G.775", "5.2", "AIS is at most two zeros in each of two double frames")
def test_ais_needs_nearly_all_ones():
    board = framer()
    block = bytearray(ALL_ONES)
    for n in range(0, len(block), 64):           # 3 zeros in each double frame: no AIS (G.775)
        block[n + 7] = 0xF8
    feed(board, [bytes(block)])
    assert board.read(FRS0) == LFA
    for n in range(0, len(block), 64):
        block[n + 7] = 0xF9
    feed(board, [bytes(block)])
    assert board.read(FRS0) == AIS | LFA


@pytest.mark.conformance("G.775", "5.2 end", "AIS ends with three zeros in each of two double frames in a row, not with those of one")
def test_ais_ends_after_two_double_frames():
    board = framer()
    feed(board, [ALL_ONES])
    one, two = bytearray(ALL_ONES), bytearray(ALL_ONES)
    for n in range(0, len(one), 128):
        one[n + 7] = 0xF8                        # each second double frame
    for n in (64, 128):
        two[n + 7] = 0xF8
    feed(board, [bytes(one)])
    assert board.read(FRS0) == AIS | LFA
    board.read(0x6A)
    feed(board, [bytes(two)])                    # ends, and begins again in the same block
    assert board.read(0x6A) & 0x08 and board.read(FRS0) == AIS | LFA
    two[2560 - 64 + 7] = two[2560 - 128 + 7] = 0xF8
    feed(board, [bytes(two)])
    assert board.read(FRS0) == LFA


@pytest.mark.conformance("G.775", "4.2 intervals", "LOS is 255 pulse positions without a pulse, from wherever they begin; 254 are none; it ends with the pulses")
@pytest.mark.parametrize("begin", [0, 13, 250, 255, 511, 20480 - 100])
def test_los_is_255_positions_without_a_pulse(begin):
    for count, lost in ((254, False), (255, True)):
        board = framer()
        bits = numpy.ones(2 * 20480, numpy.uint8)
        bits[begin:begin + count] = 0
        octets = numpy.packbits(bits).tobytes()
        feed(board, [ALL_ONES])
        assert not board.read(FRS0) & LOS
        board.read(0x6A)
        feed(board, [octets[:2560], octets[2560:]])
        assert bool(board.read(0x6A) & 0x04) == lost             # ISR2.LOS
        assert not board.read(FRS0) & LOS                        # the pulses are there again


@pytest.mark.conformance("G.775", "4.2 silence", "the longest silence of a frame whose payload is all zeros is no LOS")
def test_a_payload_of_zeros_is_a_signal():
    board, sender = framer(), far.E1Framer()
    feed(board, [sender.block(numpy.zeros((80, 32), numpy.uint8)) for _ in range(4)])
    assert board.read(FRS0) == 0


@pytest.mark.conformance("G.775", "RDI", "bit A counts from the third double frame on, two are none; it ends in the same way")
def test_remote_alarm_needs_three_double_frames():
    board, sender = framer(), far.E1Framer()
    feed(board, [sender.block() for _ in range(3)])
    for state in (True, False):                                  # double frames that say so, of 40
        for count, told in ((2, not state), (3, state)):
            frames = numpy.frombuffer(sender.block(), numpy.uint8).reshape(80, 32).copy()
            frames[1::2, 0] |= 0 if state else 0x20
            frames[-2 * count + 1::2, 0] ^= 0x20
            feed(board, [frames.tobytes()])
            assert bool(board.read(FRS0) & RAI) == told, (state, count)
    assert board.read(FRS0) == 0


@pytest.mark.conformance("G.706", "4.1.1 bit 2", "bit 2 of timeslot 0 wrong three times in a row without a frame alignment signal loses the frame, twice does not")
def test_bit_2_of_the_other_frames():
    for count, lost in ((2, False), (3, True)):
        board, sender = framer(), far.E1Framer()
        feed(board, [sender.block() for _ in range(3)])
        board.read(0x6A)
        frames = numpy.frombuffer(sender.block(), numpy.uint8).reshape(80, 32).copy()
        frames[21:21 + 2 * count:2, 0] &= ~0x40 & 0xFF
        feed(board, [frames.tobytes()])
        assert bool(board.read(0x6A) & 0x40) == lost


@pytest.mark.conformance("G.706", "4.2 search", "one multiframe alignment signal is none, two within 8 ms are; without them the frame is searched anew")
def test_crc4_multiframe_needs_two_signals():
    board, sender = framer(*CRC4_ON), far.E1Framer(crc4=True)
    blocks = [numpy.frombuffer(sender.block(), numpy.uint8).reshape(80, 32).copy() for _ in range(6)]
    for block in blocks:
        block[1:80:2, 0] &= 0x7F                                 # bit 1 of the odd frames: no multiframe at all
    feed(board, [block.tobytes() for block in blocks[:3]])
    assert board.read(FRS0) & LMFA
    assert board.read(0x6A) & 0x40                               # given up after 8 ms, and searched anew
    one = blocks[3]
    good = numpy.frombuffer(sender.block(), numpy.uint8).reshape(80, 32)
    one[16:32] = good[16:32]                                     # a single one
    feed(board, [one.tobytes()])
    assert board.read(FRS0) & LMFA
    feed(board, [sender.block() for _ in range(3)])
    assert board.read(FRS0) == 0


@pytest.mark.conformance("G.706", "4.2", "CRC-4 multiframe alignment, and wrong blocks told by E bits")
def test_crc4_both_ways_with_e_bits():
    board, sender, checker = framer(*CRC4_ON), far.E1Framer(crc4=True), far.E1Checker(crc4=True)
    source = payloads(5)

    def exchange(n):
        for _ in range(n):
            checker.take(board.transmit(next(source).reshape(-1)))
            feed(board, [sender.block(next(source))])

    exchange(30)
    told = checker.e_errors                      # E bits are 0 until the multiframe is found
    assert board.read(FRS0) == 0
    board.write(DEC, 0x0D)
    sender.wrong_crc = 3
    exchange(5)
    board.write(DEC, 0x0D)
    assert board.read(0x54) == 3
    assert checker.e_errors - told == 3          # one E bit for each wrong submultiframe
    for _ in range(2):
        board.write(IERR, 0x08)
    exchange(5)
    assert checker.crc_errors == 2 and checker.crc_checked > 300
    sender.e_bits = [0, 1]
    exchange(2)
    board.write(DEC, 0x0D)
    assert board.read(0x56) == 10 and board.read(0x57) == 0
    assert checker.fas_errors == 0


@pytest.mark.conformance("G.706", "annex B", "CRC-4 at one end only: the automatic mode goes on without it")
def test_crc4_at_one_end_only():
    board, sender = framer(*CRC4_ON), far.E1Framer(crc4=False)
    out = feed(board, [sender.block() for _ in range(6)])
    assert board.read(FRS0) & (LFA | LMFA) == LFA | LMFA
    assert (out[-1][:, 1:] == 0xD5).all()
    automatic = framer(*CRC4_AUTOMATIC)
    feed(automatic, [sender.block() for _ in range(30)])
    assert automatic.read(FRS0) == LMFA
    feed(automatic, [sender.block() for _ in range(12)])
    assert automatic.read(FRS0) == NMF | LMFA    # G.706 annex B: goes on without
    board.write(FMR2, 0x02)
    feed(board, [sender.block()])
    assert board.read(FRS0) == 0


@pytest.mark.conformance("G.706", "4.3.2", "915 wrong sub-multiframes of 1,000 search the frame anew")
def test_915_wrong_submultiframes_a_second_search_anew():
    board, sender = framer(*CRC4_ON), far.E1Framer(crc4=True)
    feed(board, [sender.block() for _ in range(10)])
    board.read(0x6A)
    sender.wrong_crc = 900
    feed(board, [sender.block() for _ in range(100)])
    board.second()
    assert board.read(0x6A) & 0x40 == 0
    sender.wrong_crc = 920
    feed(board, [sender.block() for _ in range(100)])
    board.second()
    assert board.read(0x6A) & 0x40


@pytest.mark.conformance("G.732", "5.2.2", "two wrong multiframe alignment signals in a row lose the multiframe of timeslot 16, one does not; so does a multiframe of zeros")
def test_when_the_cas_multiframe_is_lost():
    board, sender = framer((XSP, 0x44)), far.E1Framer(cas=True)
    feed(board, [sender.block() for _ in range(3)])
    assert board.read(FRS1) == 0

    def spoiled(*multiframes):
        frames = numpy.frombuffer(sender.block(), numpy.uint8).reshape(80, 32).copy()
        for n in multiframes:
            frames[16 * n, 16] |= 0x50
        return frames
    feed(board, [spoiled(1, 3).tobytes()])                       # not in a row
    assert board.read(0x6B) & 0x40 == 0 and board.read(FRS1) == 0
    feed(board, [spoiled(3, 4).tobytes()])
    assert board.read(FRS1) & 0x08                               # TS16LFA
    feed(board, [sender.block()])
    assert board.read(FRS1) == 0
    zeros = spoiled()
    zeros[:, 16] = 0
    feed(board, [zeros.tobytes()])
    assert board.read(FRS1) & 0x08


@pytest.mark.conformance("G.732", "5.2", "the CAS multiframe: bits of 30 timeslots both ways, its alarms")
def test_cas_multiframe_both_ways():
    board = framer((XSP, 0x44))
    sender, checker = far.E1Framer(cas=True), far.E1Checker(cas=True)
    sender.cas_bits = numpy.array([(n * 7 + 1) % 15 + 1 for n in range(32)], numpy.uint8)
    tx = bytes((n * 5 + 3) % 15 + 1 for n in range(32))
    board.set_cas(tx)
    for _ in range(3):
        checker.take(board.transmit(bytes(2560)))
        feed(board, [sender.block()])
    used = [n for n in range(32) if n not in (0, 16)]
    assert [board.cas()[n] for n in used] == [int(sender.cas_bits[n]) for n in used]
    assert [int(checker.cas_bits[n]) for n in used] == [tx[n] for n in used]
    assert board.read(FRS1) == 0
    sender.cas_alarm = True
    feed(board, [sender.block()])
    assert board.read(FRS1) == 0x40
    sender.cas = False
    payload = numpy.full((80, 32), 0xFF, numpy.uint8)
    feed(board, [sender.block(payload)])
    assert board.read(FRS1) == 0x18              # TS16LFA and TS16AIS
    checker.take(board.transmit(bytes(2560)))
    checker.take(board.transmit(bytes(2560)))
    assert checker.cas_alarm
    assert [board.cas()[n] for n in used] == [int(sender.cas_bits[n]) for n in used]  # frozen


def test_loops_and_ais_by_register():
    board, sender, source = framer(), far.E1Framer(), payloads(6)
    sent = [sender.block(next(source)) for _ in range(3)]
    feed(board, sent)
    board.write(0x37, 0x02)                      # LIM1.RL: the line comes back as it was
    assert board.transmit(bytes(2560)) == sent[-1]
    board.write(0x37, 0x00)
    board.write(FMR2, 0x06)                      # FMR2.PLB: payload back, framing new
    back = numpy.frombuffer(board.transmit(bytes(2560)), numpy.uint8).reshape(80, 32)
    assert (back[:, 1:] == numpy.frombuffer(sent[-1], numpy.uint8).reshape(80, 32)[:, 1:]).all()
    board.write(FMR2, 0x02)
    board.write(FMR1, 0x05)
    assert board.transmit(bytes(2560)) == ALL_ONES


def test_registers_that_do_not_exist_are_refused():
    board = framer()
    for address in (0xF0, 0x41, 0x100):
        with pytest.raises(ValueError):
            board.read(address)
    with pytest.raises(ValueError):
        board.write(FRS0, 1)
    assert board.read(0x4A) == 0x05


@pytest.mark.conformance("G.704", "2.3 payload", "spandsp's bit error tester through the frame at both sides: all 30 timeslots bit for bit, errors counted exactly")
@pytest.mark.parametrize("pattern", PATTERNS)
def test_an_independent_tester_through_the_framer(pattern):
    board, sender, checker = framer(*CRC4_ON), far.E1Framer(crc4=True), far.E1Checker(crc4=True)
    slots = [n for n in range(1, 32) if n != 16]
    towards, back = BERT(pattern), BERT(pattern)
    for n in range(14):
        frames = numpy.full((80, 32), 0xD5, numpy.uint8)
        frames[:, slots] = towards.octets(80 * 30).reshape(80, 30)
        block = bytearray(sender.block(frames))
        if n == 12:
            for place in (5, 1001, 1700):
                block[place] ^= 0x10                             # three bits of the line, not in timeslot 0 or 16
        received, = feed(board, [bytes(block)])
        sent = checker.take(board.transmit(received.tobytes()))  # straight back
        if n >= 4 and sent is not None:
            back.take(sent[:, slots].tobytes())
    told = back.figures()
    assert told["bits"] > 9 * 80 * 30 * 8 and told["wrong"] == 3, told
    assert board.read(FRS0) == 0 and checker.crc_errors == 0
    towards.close(), back.close()
