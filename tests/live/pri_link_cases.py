"""Live PRI: the D channel is lost while its calls are up (Q.931 5.8.9); collected in test_outgoing.py, in the house of pri_house.py.

The board spoils the bits of the D channel's timeslot both ways, the B channels stay as they are.  Layer 2 notices by the next message that is not
acknowledged, which is a call to there."""

import contextlib
import time

import pytest

from hil.board import bench
from tests.conftest import WHOLE_ONLY
from tests.live.pri_house import T1, T309_MS, bits_pass, hang_up, talk_through

LONGEST_S = 60      # of spoiled bits, one a frame; ended before


@contextlib.contextmanager
def without_d_channel(house, span):
    def spoil(**what):
        for fault in ("rx_bits", "tx_bits"):
            told = bench.ask(str(house.run_dir), {"do": "inject", "span": span, "fault": fault, "timeslot": 24 if span in T1 else 16, **what})
            assert told["ok"], told
    spoil(count=8000 * LONGEST_S)
    try:
        yield
    finally:
        spoil(on=False)


def state_of(house, span):
    return next(row["state"] for row in house.state()["spans"] if row["span"] == span)


def notice(house, span):
    """A call that nobody hears of, until layer 2 gives up; it and what was not answered are cleared at once.  Its id."""
    name = house.place(span=1, called=f"0215080{1900 + span}", record=False)
    house.wait(lambda s: state_of(house, span) == "down", 30, "the loss of the D channel")
    house.far.wait_for("hangup", 30, id=name)
    return name


def rings_at(house, span):
    """A call to a span that is not answered: (the caller's id, the called one's id)."""
    mark = house.far.mark()
    house.far.policy(incoming="alert")
    name = house.place(span=1, called=f"0215080{1900 + span}", record=False)
    out = house.far.wait_for("incoming", 30, since=mark, span=span)
    house.far.wait_for("alerting", 30, id=name)
    house.far.policy()
    return name, out["id"]


@WHOLE_ONLY
@pytest.mark.conformance("Q.931", "5.8.9/live", "the D channel is lost and comes back within T309: the active call goes on bit for bit and is asked for, the ringing one is cleared at once; beyond T309: cause 27; libpri, user side and network side")
@pytest.mark.parametrize("span", (12, 3))
def test_a_d_channel_is_lost_with_calls_up(house, phone, span):
    house.far.policy()
    name, out = talk_through(house, 1, span, record=False)
    ringing, _ = rings_at(house, span)
    mark = house.far.mark()
    with without_d_channel(house, span):
        lost = notice(house, span)
        house.far.wait_for("hangup", 5, id=ringing)
        assert not house.far.events("hangup", mark, id=name)
        bits_pass(house, name, out["id"])
    house.wait(lambda s: state_of(house, span) == "up", T309_MS / 1000, "the D channel again, before T309 is over")
    for way, kind in (("rx", "STATUS_ENQUIRY"), ("tx", "STATUS")):
        house.far.wait_for("message", 10, since=mark, span=span, direction=way, name=kind)
    for each in (ringing, lost):
        house.far.wait_for("released", 30, id=each)
    house.wait(lambda s: len(s["calls"]) == 1 and s["calls"][0]["state"] == "talking", 30, "the one call")
    bits_pass(house, name, out["id"])
    mark = house.far.mark()
    with without_d_channel(house, span):
        notice(house, span)
        began = time.monotonic()
        assert house.far.wait_for("hangup", T309_MS / 1000 + 10, since=mark, id=name)["cause"] == 27       # behind five seconds of busy tone
        assert time.monotonic() - began > T309_MS / 1000
    house.far.wait_for("released", 30, since=mark, id=out["id"])         # told when the link is there again
    house.wait(lambda s: state_of(house, span) == "up", 30, "the D channel again")
    house.wait_idle(30)
    name, out = talk_through(house, 1, span, record=False)
    hang_up(house, name, out["id"])


@WHOLE_ONLY
@pytest.mark.conformance("Q.931", "5.8.9/no T309", "T309 is optional on the user side: without it an active call is cleared with its D channel, cause 27; libpri")
def test_without_t309_a_call_ends_with_its_d_channel(house, phone):
    house.far.policy()
    name, out = talk_through(house, 1, 4, record=False)
    mark = house.far.mark()
    with without_d_channel(house, 4):
        notice(house, 4)
        assert house.far.wait_for("hangup", 10, since=mark, id=name)["cause"] == 27        # behind five seconds of busy tone
    house.far.wait_for("released", 30, since=mark, id=out["id"])
    house.wait(lambda s: state_of(house, 4) == "up", 30, "the D channel again")
