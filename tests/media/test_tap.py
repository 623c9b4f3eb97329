"""A leg that hears another one outside of bridges (SIPREC): octet by octet, beside the bridge, and nobody else after that leg is gone."""

import socket
import time

import numpy


def test_a_tap_is_exact_and_ends_with_its_source(board, control):
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far.bind(("127.0.0.1", 0))
    far.settimeout(30)
    control.do("add", id="r", kind="rtp", address="127.0.0.1")
    control.do("modify", id="r", remote=list(far.getsockname()), payload_type=8, latch=False, timeout_ms=0)
    for number in (1, 2):
        control.do("add", id=f"t{number}", kind="timeslot", span=11, timeslot=number, law="A")
    control.do("bridge", id="b", legs=["t1", "t2"])
    control.do("tap", id="r", source="t1")
    said = numpy.random.default_rng(3).integers(0, 256, 8000, dtype=numpy.uint8)
    said[said == 0xD5] = 1
    heard = far.recv(2048)[12:]         # the tap has begun
    board.say(11, 1, said.tobytes())
    while said.tobytes()[-400:] not in heard:
        heard += far.recv(2048)[12:]
    assert said.tobytes() in heard

    def rest():
        """What comes in the next packets after those that wait already."""
        far.setblocking(False)
        try:
            while far.recv(2048):
                pass
        except BlockingIOError:
            far.settimeout(30)
        return b"".join(far.recv(2048)[12:] for _ in range(10))
    control.do("subtract", id="t1")
    control.do("add", id="t3", kind="timeslot", span=11, timeslot=1, law="A")       # gets the slot of t1
    board.say(11, 1, said.tobytes())
    time.sleep(0.1)
    assert set(rest()) == {0xD5}
    control.do("tap", id="r", source="t2")
    control.do("tap", id="r", source=None)
    board.say(11, 2, said.tobytes())
    time.sleep(0.1)
    assert set(rest()) == {0xD5}
    assert "tap: source" in control.raw("tap", id="r", source="nobody")["error"]
    far.close()
