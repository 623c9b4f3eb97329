"""Bit error tests through the media process: the patterns against their recurrences bit by bit, errors counted exactly."""

import time

import numpy
import pytest

from hil.probes.bert import BERT

RECURRENCES = {"prbs9": (9, 5, 0), "prbs11": (11, 9, 0), "prbs15": (15, 14, 1), "prbs23": (23, 18, 1)}


def wait_blocks(board, count):
    target = board.blocks + count
    while board.blocks < target:
        time.sleep(0.005)


def figures(control, name):
    return next(row for row in control.do("berts")["berts"] if row["id"] == name)


@pytest.fixture
def test(control, board):
    """start(name, ...): a test that ends with the test."""
    names = []

    def start(name, **parameters):
        names.append(name)
        return control.do("bert_start", id=name, **parameters)
    yield start
    for name in names:
        control.do("bert_stop", id=name)
    board.far_end.clear()


@pytest.mark.conformance("O.151", "2.1-2.3", "the sequences, bit by bit; O.152 and O.153 for 2^11-1 and 2^9-1")
def test_the_patterns_are_those_of_the_standards(board, control, test):
    kept = {}
    for timeslot, pattern in enumerate([*RECURRENCES, "qrss", "fixed"], 1):
        kept[pattern] = []
        board.far_end[(9, timeslot)] = lambda octets, into=kept[pattern]: into.append(bytes(octets)) or octets
        test(pattern, span=9, timeslots=[timeslot], pattern=pattern, octet=0x88)
    since = {pattern: len(blocks) for pattern, blocks in kept.items()}
    wait_blocks(board, 60)
    for pattern, blocks in kept.items():
        blocks = blocks[since[pattern]:]
        if pattern not in ("fixed", "qrss"):                 # spandsp's 2^20-1 is turned over, O.151's is not
            tester = BERT(pattern)
            tester.take(b"".join(blocks[20:50]))
            assert tester.figures()["wrong"] == 0 and tester.figures()["bits"] > 10_000, (pattern, tester.figures())
            tester.close()
        bits = numpy.unpackbits(numpy.frombuffer(b"".join(blocks[20:50]), numpy.uint8))
        if pattern in RECURRENCES:
            a, b, inverted = RECURRENCES[pattern]
            bits = bits ^ inverted
            assert bits.any() and not (bits[a:] ^ bits[:-a] ^ bits[a - b:-b]).any(), pattern
        elif pattern == "qrss":
            wrong = numpy.count_nonzero(bits[20:] ^ bits[:-20] ^ bits[3:-17])
            longest = max(map(len, "".join(map(str, bits)).split("1")))
            assert wrong <= 3 * 4 and longest <= 14            # each one that is put in breaks three equations
        else:
            assert set(b"".join(blocks[20:50])) == {0x88}
        assert figures(control, pattern)["synced"] and figures(control, pattern)["errors"] == 0


@pytest.mark.conformance("O.151", "3", "a test is in step with an independent generator (spandsp's) and counts its errors exactly; a break is a loss")
def test_errors_are_counted_exactly_and_a_break_is_a_loss(board, control, test):
    generator = BERT("prbs15")
    stream = iter(generator.octets(80 * 4000).reshape(-1, 80))
    strange = {"wrong": 0}

    def generated(octets):
        octets = next(stream).copy()
        octets[:strange["wrong"]] ^= 0x08
        strange["wrong"] = 0
        return octets
    board.far_end[(9, 14)] = generated
    spoil = {"bits": 0, "cut": False}

    def far(octets):
        octets = numpy.array(octets)
        if spoil["cut"]:
            return octets * 0 + 0xD5
        for n in range(spoil["bits"]):
            octets[n] ^= 0x40
        spoil["bits"] = 0
        return octets
    board.far_end[(9, 13)] = far
    with pytest.raises(Exception, match="pattern"):
        test("bad", span=9, timeslots=[13], pattern="random")
    test("one", span=9, timeslots=[13], pattern="prbs15")
    test("strange", span=9, timeslots=[14], pattern="prbs15")
    wait_blocks(board, 130)
    with pytest.raises(Exception, match="in use by test one"):
        control.do("add", id="l9", kind="timeslot", span=9, timeslot=13, law="A")
    spoil["bits"], strange["wrong"] = 5, 11
    control.do("bert_insert", id="one", errors=7)
    wait_blocks(board, 20)
    told = figures(control, "one")
    assert (told["synced"], told["errors"], told["inserted"]) == (True, 12, 7)
    other = figures(control, "strange")
    assert (other["synced"], other["errors"]) == (True, 11), other
    assert told["losses"] == 0
    spoil["cut"] = True
    wait_blocks(board, 10)
    assert not figures(control, "one")["synced"]
    spoil["cut"] = False
    wait_blocks(board, 110)
    told = control.do("bert_stop", id="one")["bert"]
    assert (told["synced"], told["losses"], told["errors"]) == (True, 1, 12)
    assert told["es"] >= 1 and told["ses"] >= 1 and told["seconds"] >= told["es"]
    control.do("add", id="l9", kind="timeslot", span=9, timeslot=13, law="A")


def test_nothing_in_step_without_a_loop_and_a_whole_span_as_one_stream(board, control, test):
    test("alone", span=10, timeslots=[1], pattern="prbs15")
    for timeslot in range(1, 32):
        board.far_end[(11, timeslot)] = lambda octets: octets
    test("span", span=11, timeslots=list(range(1, 32)), pattern="qrss")
    wait_blocks(board, 120)
    assert not figures(control, "alone")["synced"] and figures(control, "alone")["unsynced_seconds"] >= 1
    told = figures(control, "span")
    assert told["synced"] and told["errors"] == 0 and told["bits"] > 100 * 80 * 31 * 8
