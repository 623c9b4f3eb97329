"""RTP legs that carry a fax as packets, in the media process: a page from one T.38 terminal of spandsp to another over UDP, strangers, garbage, settings."""

import random
import socket
import struct
import time

import numpy as np
import pytest
from PIL import Image

from firmware.media import faxes
from hil import fax
from tests.dsp.conftest import corpus       # noqa: F401  a fixture

pytestmark = pytest.mark.skipif(fax.LIBRARY is None, reason="spandsp is not installed (Debian: libspandsp2)")
STEP, LONGEST = 160, 8000 * 200


def datagram(number, ifp, before=()):
    """UDPTL with redundancy, written here: T.38 9.1.  All lengths below 128."""
    return struct.pack(">HB", number, len(ifp)) + ifp + bytes([0, len(before)]) + b"".join(bytes([len(each)]) + each for each in before)


class Terminal:
    """A T.38 terminal at a UDP port."""

    def __init__(self, calling, **files):
        self.machine = fax.Machine("t38", calling, **files)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = list(self.sock.getsockname())
        self.remote, self.sent, self.got = None, [], set()

    def send(self):
        """What the machine has to say, a datagram a tick at most: nobody's queue runs over, however slow the host is."""
        for ifp in self.machine.packets():
            self.sock.sendto(datagram(len(self.sent) & 0xFFFF, ifp, self.sent[:-3:-1]), self.remote)
            self.sent.append(ifp)
            yield len(self.sent)

    def take(self, count):
        """Wait until so many packets have come since the start."""
        self.sock.settimeout(30)
        while len(self.got) < count:
            data = self.sock.recv(2048)
            number, length = struct.unpack(">HB", data[:3])
            if number not in self.got:
                self.got.add(number)
                self.machine.rx_ifp(data[3:3 + length], number)

    def close(self):
        self.sock.close()
        self.machine.close()


@pytest.fixture
def pair(control, corpus, tmp_path):       # noqa: F811
    image = Image.open(corpus / "fax/itu1.pbm").convert("1").crop((0, 0, 1728, 300))
    image.save(tmp_path / "page.tif", compression="group4", dpi=(204, 196))
    ends = Terminal(True, send=tmp_path / "page.tif"), Terminal(False, receive=tmp_path / "got.tif")
    for name, end in zip(("t1", "t2"), ends, strict=True):
        reply = control.do("add", id=name, kind="rtp", address="127.0.0.1")
        end.remote = ("127.0.0.1", reply["port"])
        control.do("modify", id=name, remote=end.address, t38={"recovery": "redundancy"})
    control.do("bridge", id="b-fax", legs=["t1", "t2"])
    yield *ends, np.asarray(image), tmp_path / "got.tif"
    for end in ends:
        end.close()


def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def row(control, name):
    return next(row for row in control.audit()["terminations"] if row["id"] == name)


@pytest.mark.conformance("T.38", "9.1", "packets pass from one leg to the other through the process, each with its own numbers, beside garbage and strangers")
def test_a_page_passes_between_two_legs_untouched(control, pair):
    """Nothing is demodulated, so the machines' time need not be the world's."""
    one, other, pixels, got = pair
    stranger, chance = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), random.Random(7)
    stranger.bind(("127.0.0.2", 0))
    told = 0
    for _ in range(LONGEST // STEP):
        for end in (one, other):
            end.machine.tick(STEP)
            peer = other if end is one else one
            for count in end.send():
                peer.take(count)
                told += 1
                if told % 40 == 0:
                    stranger.sendto(datagram(chance.randrange(65536), b"\x06"), end.remote)      # CNG, from another host
                    peer.sock.sendto(bytes(chance.randrange(256) for _ in range(chance.randrange(60))), peer.remote)
        if one.machine.result is not None and other.machine.result is not None:
            break
    assert (one.machine.result, other.machine.result) == (0, 0)
    assert np.array_equal(np.asarray(Image.open(got).convert("1")), pixels)
    figures = row(control, "t1")["fax"]
    assert figures["received"] >= len(one.sent) - 3 and figures["sent"] >= len(other.sent) - 3 and figures["garbage"] > 0, figures
    assert row(control, "t1")["stats"]["strangers"] > 0
    control.do("subtract", id="t1", call="c1")
    assert control.event("leg_quality", 30, id="t1")["quality"]["t38"]["received"] == figures["received"]
    stranger.close()


def test_the_signalled_port_is_followed_but_never_taken_away(control):
    ours = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for sock in ours:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
    reply = control.do("add", id="n1", kind="rtp", address="127.0.0.1")
    remote = ("127.0.0.1", reply["port"])
    control.do("modify", id="n1", remote=["127.0.0.1", 9], t38={})             # the NAT has another port than it says
    ours[0].sendto(datagram(0, b"\x00"), remote)
    until(lambda: row(control, "n1")["fax"]["received"] == 1)
    for number in (1, 2):
        ours[1].sendto(datagram(number, b"\x00"), remote)
    until(lambda: row(control, "n1")["fax"]["strangers"] == 2)
    assert row(control, "n1")["fax"]["received"] == 1
    for sock in ours:
        sock.close()


def test_settings_are_checked_and_sound_comes_back(control):
    control.do("add", id="s1", kind="rtp", address="127.0.0.1")
    for wrong, words in (({"recovery": "hope"}, "recovery"), ({"rate": 33600}, "rate"), ({"depth": 9}, "depth"), ({"most_octets": 5}, "most_octets"), ({"x": 1}, "map of")):
        reply = control.raw("modify", id="s1", t38=wrong)
        assert not reply["ok"] and words in reply["error"], reply
    reserved = control.do("stats")["admission"]["reserved_us"]
    control.do("modify", id="s1", t38={"recovery": "fec"})
    assert control.do("stats")["admission"]["reserved_us"] > reserved and control.do("stats")["admission"]["costs_ns"]["t38"] > 0
    control.do("modify", id="s1", t38={"recovery": "fec"})                          # again: nothing begins anew
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind(("127.0.0.1", 0))
    peer.settimeout(5)
    control.do("modify", id="s1", remote=list(peer.getsockname()), t38=None)
    while peer.recv(2048)[:2] not in (b"\x80\x88", b"\x80\x08"):                    # RTP, PCMA
        pass
    assert row(control, "s1")["fax"]["sent"] == 0 and row(control, "s1")["t38"] is None        # it had nowhere to send to
    assert control.do("stats")["admission"]["reserved_us"] == reserved
    peer.close()


def test_the_gateway_is_told_how_long_a_datagram_may_be(monkeypatch):
    told = []
    monkeypatch.setattr(faxes, "Gateway", lambda *given: told.append(given))
    faxes.Fax(None, {**faxes.DEFAULTS, "most_octets": 160})
    assert told == [(True, 14400, 0, 160)]
