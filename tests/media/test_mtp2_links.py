"""SS7 signalling links: MTP2 in media, on a timeslot of the fake board.

The far end's signal units run through our HDLC kernel, which tests/dsp compares with spandsp's; its level 2 is our own MTP2 machine, which libss7 proves
in tests/proto and in the tests of the whole house."""

import time

import numpy
import pytest

from dsp import hdlc
from firmware.media.mtp2_link import BUSY_MS
from firmware.proto.mtp2 import MTP2Link
from tests.media.test_links import Signalling

MESSAGE = bytes([0x85]) + bytes(range(20))


class Far:
    """The other end of a signalling link, on the fake board's clock."""

    def __init__(self, board, span, timeslot):
        self.board, self.key = board, (span, timeslot)
        self.machine = MTP2Link({"T4E": 500})
        self.rx, self.tx = hdlc.new_rx_state(1), hdlc.new_tx_state(1)
        hdlc.set_mtp2(self.rx, self.tx, 0)
        hdlc.rx_view(self.rx)["tell"] = hdlc.TELL_ERRORS
        self.events, self.received, self.cut = [], 0, False
        self.noise = numpy.random.default_rng(20261122)
        self.do("power_on")
        board.far_end[self.key] = self.block

    def do(self, primitive, octets=None):
        self.events += self.machine.request(primitive, int(time.monotonic() * 1000), octets)

    def block(self, octets):
        now = int(time.monotonic() * 1000)
        for _, unit, repeats, errors in hdlc.receive_units(self.rx, numpy.asarray(octets)[None]):
            if repeats:
                self.events += self.machine.receive_repeats(repeats, now)
            for _ in range(min(errors, 64)):
                self.events += self.machine.receive_error(now)
            if unit:
                self.received += 1
                self.events += self.machine.receive(unit, now)
        deadline = self.machine.deadline_ms()
        if deadline is not None and deadline <= now:
            self.events += self.machine.expire(now)
        for unit in self.machine.take_output(160):
            hdlc.put(self.tx, 0, unit)
        block = hdlc.transmit(self.tx, 80)[0]
        return self.noise.integers(0, 256, 80, numpy.uint8) if self.cut else block

    def wait(self, condition, seconds=5.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.events, self.machine.state)
            time.sleep(0.01)

    def messages(self):
        return [event[1] for event in self.events if event[0] == "message"]


@pytest.fixture
def far(board, control, media, request):
    """request.param: more of link_open."""
    for _ in range(2):                  # said twice: no harm
        control.do("link_open", link="s41.7", span=41, timeslot=7, kind="mtp2", parameters={"T4E": 500}, **getattr(request, "param", {}))
    yield Far(board, 41, 7)
    del board.far_end[(41, 7)]


@pytest.fixture
def up(media, control, far):
    """Control's end, with the link in service."""
    signalling = Signalling(media.folder, control.epoch)
    signalling.send(ack=1 << 40)
    for name in ("emergency", "start"):
        far.do(name)
        signalling.send(link="s41.7", kind="mtp2_" + name)
    far.wait(lambda: far.machine.in_service and "mtp2_in_service" in signalling.kinds())
    yield signalling
    signalling.sock.close()


def octets_of(signalling, kind="mtp2_message"):
    return [m["octets"] for m in signalling.take() if m.get("kind") == kind]


def row(control):
    return control.audit()["links"][0]


@pytest.mark.conformance("Q.781", "8.1", "MSU transmission and reception")
def test_messages_go_both_ways_and_idling_costs_no_python(board, control, far, up):
    wanted = [MESSAGE + bytes([n]) for n in range(100)]
    for octets in wanted:
        up.send(link="s41.7", kind="mtp2_message", octets=octets)
        far.do("message", octets)
    far.wait(lambda: far.messages() == wanted and octets_of(up) == wanted)
    up.send(ack=up.messages[-1]["n"])
    time.sleep(0.3)
    before, units = row(control)["hdlc"], far.received
    time.sleep(0.5)
    after = row(control)["hdlc"]
    assert after["frames"] - before["frames"] > 400, "FISUs flow all the time"
    assert after["frames"] - before["frames"] == after["repeats"] - before["repeats"] and far.received == units
    assert after["errors"] == before["errors"] and row(control)["counters"].get("errors", 0) == 0
    assert row(control)["mtp2"] == "IN_SERVICE" and row(control)["state"] == "up"


def test_control_away_is_a_processor_outage_and_nothing_is_lost(media, control, far, up):
    """kill -9 of control: the link stays; after 4 s SIPO, then service again with what came meanwhile."""
    up.sock.close()
    far.do("message", MESSAGE)
    time.sleep(1.0)
    assert far.machine.in_service, "a short absence is not noticed"
    far.wait(lambda: ("remote_processor_outage",) in far.events)
    late = MESSAGE + b"late"
    far.do("message", late)
    time.sleep(2.5)                     # beyond T7
    assert not [event for event in far.events if event[0] == "out_of_service"]
    again = Signalling(media.folder, control.epoch)
    far.wait(lambda: ("remote_processor_recovered",) in far.events and octets_of(again) == [MESSAGE, late])
    assert row(control)["state"] == "up" and far.machine.in_service
    again.send(ack=again.messages[-1]["n"])
    again.sock.close()


@pytest.mark.parametrize("far", [{"up_most": 64}], indirect=True)      # the bound of the product takes longer to fill
def test_control_that_does_not_acknowledge_is_congestion(control, far, up):
    wanted = [MESSAGE + bytes([n]) for n in range(120)]
    for octets in wanted:
        far.do("message", octets)
    far.wait(lambda: far.machine.counters.get("units_received", 0) and row(control)["unacknowledged"] >= 64)
    far.wait(lambda: ("remote_processor_outage",) in far.events, 5)      # before T6 ends the link
    for _ in range(30):
        up.send(ack=up.take()[-1]["n"])
        time.sleep(0.2)
        if octets_of(up) == wanted:
            break
    assert octets_of(up) == wanted and far.machine.in_service


def test_half_a_second_of_a_busy_link_is_no_congestion(control, far, up):
    """What comes while control begins anew waits for it (64, a D channel's bound, ended links of far ends that know no SIB)."""
    wanted = [MESSAGE + n.to_bytes(2, "big") for n in range(120)]
    for octets in wanted:
        far.do("message", octets)
    far.wait(lambda: row(control)["unacknowledged"] == 120, 30)
    time.sleep(BUSY_MS / 1000 + 0.5)        # after which it would be an outage
    assert far.machine.in_service and ("remote_processor_outage",) not in far.events
    assert octets_of(up) == wanted
    up.send(ack=up.messages[-1]["n"])
    far.wait(lambda: row(control)["unacknowledged"] == 0, 30)


def test_noise_ends_the_link_and_it_gives_the_messages_back(control, far, up):
    far.cut = True
    up.send(link="s41.7", kind="mtp2_message", octets=MESSAGE)
    far.wait(lambda: "mtp2_out_of_service" in up.kinds(), 1)
    assert [m["reason"] for m in up.messages if m["kind"] == "mtp2_out_of_service"] == ["excessive_error_rate"]
    up.send(link="s41.7", kind="mtp2_retrieve_bsnt")
    up.send(link="s41.7", kind="mtp2_retrieve", octets=b"\x7f")
    far.wait(lambda: "mtp2_retrieval_complete" in up.kinds(), 1)
    assert octets_of(up, "mtp2_retrieved_message") == [MESSAGE]
    assert [m["number"] for m in up.messages if m["kind"] == "mtp2_bsnt"] == [127]
    far.wait(lambda: not far.machine.in_service)
    far.cut = False
    for name in ("emergency", "start"):
        far.do(name)
        up.send(link="s41.7", kind="mtp2_" + name)
    far.wait(lambda: far.machine.in_service and up.kinds().count("mtp2_in_service") == 2)
    up.send(link="s41.7", kind="mtp2_power_on")
    up.send(link="s41.7", kind="mtp2_message", octets=b"x")
    far.wait(lambda: up.kinds().count("error") == 2, 1)


def test_bad_parameters_are_refused(control):
    for wrong in ({"variant": "mars"}, {"parameters": {"T99": 1}}, {"parameters": {"T1": "x"}}, {"correction": 7}, {"up_most": 0}, {"up_most": "64"}):
        with pytest.raises(Exception, match="link_open"):
            control.do("link_open", link="x", span=41, timeslot=8, kind="mtp2", **wrong)
