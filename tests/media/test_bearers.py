"""Spans that media carries itself: a pseudowire beside the board's spans, through the media process; the far end is the test's."""

import select
import socket
import threading

import pytest

from hil.far import pseudowire as far
from tests.media.test_timeslots import add, speech, strip, wait_blocks

SPAN, BLOCK = 9, 80


class FarEnd:
    """Answers each packet of the box with one: what it got (echo) or, of one timeslot, what it is to say.

    say: octets still to be sent in timeslot 1; heard: of timeslot 1; silent, drop: each so manieth packet is lost."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.say, self.heard, self.silent, self.seq, self.wrong, self.drop = b"", bytearray(), False, 0, 0, 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._end.is_set():
            if not select.select([self.socket], [], [], 0.1)[0]:
                continue
            packet, source = self.socket.recvfrom(2048)
            try:
                told = far.parse(packet)
            except ValueError:
                self.wrong += 1
                continue
            self.heard += told["payload"][0::31]
            now, self.say = self.say[:8].ljust(8, b"\xd5"), self.say[8:]
            payload = bytearray(b"\xd5" * 248)
            payload[0::31] = now
            self.seq += 1
            if not self.silent and not (self.drop and self.seq % self.drop == 0):
                self.socket.sendto(far.build(self.seq, bytes(payload)), source)

    def close(self):
        self._end.set()
        self._thread.join()
        self.socket.close()


@pytest.fixture
def wire(control, board):
    """(FarEnd, the row that media was given)."""
    end = FarEnd()
    for _ in range(20):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        row = {"span": SPAN, "kind": "cesopsn", "local": f"127.0.0.1:{port}", "remote": f"127.0.0.1:{end.port}", "timeslots": "1-31", "cas": False,
               "packet_ms": 1, "jitter_ms": 100, "rtp": False, "rtp_payload_type": 96, "type": "e1", "crc4": False}
        if not control.do("bearers_set", rows=[row])["faults"]:
            break
    yield end, row
    control.do("bearers_set", rows=[])
    end.close()


def seen(control):
    return control.do("bearers")["rows"][0]


def until(condition, board, blocks=3000):
    for _ in range(blocks):
        if condition():
            return
        wait_blocks(board, 1)
    raise AssertionError("waited in vain")


def test_a_bridge_of_the_board_and_a_pseudowire_is_bit_exact_and_others_lose_no_sample(board, control, wire):
    """... while the pseudowire is well, loses packets and falls silent; a row that comes again changes nothing."""
    end, row = wire
    add(control, "l1", SPAN, 1)
    add(control, "l2", 3, 7)
    add(control, "l3", 4, 1)
    add(control, "l4", 5, 2)
    control.do("bridge", id="b1", legs=["l1", "l2"])
    control.do("bridge", id="b2", legs=["l3", "l4"])
    until(lambda: seen(control)["alarms"] == {}, board)
    wait_blocks(board, 20)
    before = seen(control)["figures"]
    one, two, others = speech(1, 8000), speech(2, 8000), speech(3, 28000)
    board.listen(3, 7)
    board.listen(5, 2)
    board.say(4, 1, others)
    began = board.blocks
    end.heard.clear()
    board.say(3, 7, two)
    end.say = one
    wait_blocks(board, 140)
    after = seen(control)["figures"]
    undisturbed = all(after[name] == before[name] for name in ("frames_missing", "overruns", "underruns", "resyncs"))
    heard, there = strip(bytes(end.heard))[0], strip(board.said(3, 7))[0]
    end.drop = 50
    wait_blocks(board, 100)
    end.silent = True
    until(lambda: "los" in seen(control)["alarms"], board)
    assert control.do("bearers_set", rows=[row])["faults"] == {}
    end.silent, end.drop = False, 0
    until(lambda: seen(control)["alarms"] == {}, board)
    until(lambda: board.blocks - began > 28000 // BLOCK + 20, board)
    assert end.wrong == 0 and seen(control)["figures"]["frames_missing"] > after["frames_missing"]
    if undisturbed:
        assert (heard, there) == (two, one)
    assert strip(board.said(5, 2))[0] == others


def test_a_loop_of_a_pseudowire_and_a_bit_error_test_over_it(board, control, wire):
    control.do("bearer_order", span=SPAN, loop="local")
    control.do("bert_start", id="t", span=SPAN, timeslots=[1, 2, 3], pattern="prbs15")
    until(lambda: control.do("berts")["berts"][0]["bits"] > 20000, board)
    assert control.do("bert_stop", id="t")["bert"]["errors"] == 0
    assert seen(control)["loop"] == "local"
    control.do("bearer_order", span=SPAN, loop="none")


@pytest.mark.parametrize("do, parameters", [
    ("bearers_set", {}), ("bearers_set", {"rows": [5]}), ("bearers_set", {"rows": [{"span": 0, "kind": "cesopsn"}]}),
    ("bearers_set", {"rows": [{"span": 1, "kind": "atm"}]}), ("bearer_order", {"span": 60, "loop": "local"}), ("bearer_order", {}),
    ("derate", {}), ("derate", {"percent": 0}), ("derate", {"percent": "50"})])
def test_bad_commands_are_refused(control, do, parameters):
    assert control.raw(do, **parameters)["ok"] is False


def test_what_cannot_be_opened_is_said_and_a_hot_box_takes_fewer(control):
    row = {"span": 1, "kind": "cesopsn", "local": "192.0.2.1:2142", "remote": "127.0.0.1:9", "timeslots": "1-31", "cas": False, "packet_ms": 1, "jitter_ms": 20,
           "rtp": False, "rtp_payload_type": 96, "type": "e1", "crc4": False}
    faults = control.do("bearers_set", rows=[row, {"span": 2, "kind": "satop"}])["faults"]
    assert "name an address of this box" in faults["1"] and "cannot use this bearer" in faults["2"]
    assert control.do("bearers")["rows"] == []
    whole = control.do("stats")["admission"]
    control.do("derate", percent=50)
    half = control.do("stats")["admission"]
    control.do("derate", percent=100)
    assert (whole["percent"], half["percent"]) == (100, 50) and abs(half["limit_us"] * 2 - whole["limit_us"]) <= 2
