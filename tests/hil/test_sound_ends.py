"""The far ends of the sound of many calls (hil/load/sound_ends.c): what came, what is missing, who is spoken to."""

import contextlib
import pathlib
import socket
import struct
import subprocess

import pytest

from hil.load.takeover import SoundEnds
from hil.ports import UDP, free_block

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def program():
    subprocess.run(["nice", "make", "-s", "-C", str(ROOT / "hil"), "../build/hil/sound-ends"], check=True)


def rtp(number, kind=8):
    return struct.pack(">BBHII", 0x80, kind, number & 0xFFFF, number * 160, 7) + bytes(160)


@contextlib.contextmanager
def ends_and_legs(heard, legs):
    """Two ends, and so many legs of the first that have said something."""
    ports = [free_block({UDP: (0,)}) for _ in range(2)]
    ends = SoundEnds(ports, heard)
    with contextlib.ExitStack() as stack:
        stack.callback(ends.stop)
        socks = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(legs)]
        for sock in socks:
            sock.settimeout(10)
            sock.connect(("127.0.0.1", ports[0]))
            sock.send(rtp(65530))
            wait_for(ends, lambda: ends.ask("legs")[0] == socks.index(sock) + 1)
        yield ends, socks


def wait_for(ends, condition):
    for _ in range(2000):           # an order is obeyed each 2 ms
        if condition():
            return
    raise AssertionError("in vain")


def test_what_came_and_what_is_missing():
    with ends_and_legs(heard=9, legs=2) as (ends, (one, other)):
        assert ends.ask("watch") == [0, 0]
        for number in (65531, 65534, 65533, 65536 + 2):     # 65532 never came; 65533 came late; 65535, 0 and 1 never
            one.send(rtp(number))
        one.send(rtp(99, kind=200))                         # RTCP
        other.send(rtp(65531))
        wait_for(ends, lambda: [sum(leg[0] for leg in end["legs"]) for end in ends.ask("count")] == [5, 0])
        first, second = ends.ask("count")
        assert [(packets, missing) for packets, _, missing in first["legs"]] == [(4, 4), (1, 0)]
        assert all(gap >= 0 for _, gap, _ in first["legs"]) and first["dropped"] == 0 and second["legs"] == []


def test_a_leg_that_falls_silent_has_a_gap_up_to_now():
    with ends_and_legs(heard=9, legs=1) as (ends, (one,)):
        ends.ask("watch")
        before = ends.ask("count")[0]["legs"][0]
        wait_for(ends, lambda: ends.ask("count")[0]["legs"][0][1] > before[1])
        assert ends.ask("count")[0]["legs"][0][0] == 0


def test_legs_are_spoken_to_and_those_beyond_less_often():
    with ends_and_legs(heard=1, legs=2) as (ends, (one, other)):
        numbers = [struct.unpack(">H", one.recv(2048)[2:4])[0] for _ in range(120)]
        assert [(later - sooner) & 0xFFFF for sooner, later in zip(numbers, numbers[1:])] == [1] * 119
        numbers = [struct.unpack(">H", other.recv(2048)[2:4])[0] for _ in range(2)]
        assert (numbers[1] - numbers[0]) & 0xFFFF == 50
