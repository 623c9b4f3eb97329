"""Ends that get lost: with a line, with a change of the configuration, with a telephone.  Nobody is left in silence."""

import os
import signal
import time

import pytest

pytestmark = pytest.mark.live


def talk(house, **options):
    """A call that has reached the agent: (id at the far exchange, call id)."""
    house.wait_agent_idle()
    name = house.place_and_choose("1", record=False, **options)
    return name, house.wait_call("talking")["call"]


def apply(house, change):
    """Change the running configuration."""
    running = house.product.get("/configuration")
    change(running["configuration"])
    house.product.post("/configuration/apply", running)


def test_a_hang_up_while_the_line_was_away(house):
    """The far end's DISCONNECT is lost with its data link: our question after the line's return ends the call."""
    name, call = talk(house)
    house.far.line(1, "ais")
    time.sleep(1)
    house.far.hangup(name)
    time.sleep(11)
    mark = house.far.mark()
    house.far.line(1, "normal")
    house.far.wait_for("link_up", 5, span=1, since=mark)
    house.wait(lambda s: not any(c["call"] == call for c in s["calls"]), 2, "the end of the call")
    cdr = house.cdr(call)["cdr"]
    assert (cdr["result"], cdr["released_by"]) == ("answered", "caller")
    house.wait_idle()


def test_a_span_changed_and_taken_out_with_a_call_up(house):
    """Overlap receiving goes under a call; enabled=false tells the far end; the span comes back idle."""
    name, call = talk(house, span=2)
    mark = house.far.mark()
    apply(house, lambda c: [group.update(overlap_receiving=False) for group in c["trunk_groups"]])
    time.sleep(1)
    assert not house.far_events("hangup", "link_down", "link_up", "restart", since=mark)
    assert house.wait_call("talking")["call"] == call

    apply(house, lambda c: c["spans"][1].update(enabled=False))
    assert house.far.wait_for("hangup", 2, id=name)["cause"] == 38
    house.far.wait_for("released", 2, id=name)
    cdr = house.cdr(call)["cdr"]
    assert (cdr["cause"], cdr["result"], cdr["released_by"]) == (38, "answered", "switch")
    house.wait(lambda s: len(s["spans"]) == 1, 5, "the end of the span")
    house.wait_agent_idle()

    mark = house.far.mark()
    apply(house, lambda c: c["spans"][1].update(enabled=True))
    house.far.wait_for("restart", 10, span=2, since=mark)
    house.wait(lambda s: len(s["spans"]) == 2 and s["spans"][1]["state"] == "up", 5, "span 2")
    name, call = talk(house, span=2)

    apply(house, lambda c: c["spans"][1].update(enabled=False))
    house.kill("control")
    house.far.wait_for("released", 5, id=name)
    house.wait(lambda s: len(s["spans"]) == 1 and not s["calls"], 10, "the end of the span")
    assert house.cdr(call)["cdr"]["agent"] == "1001"
    apply(house, lambda c: c["spans"][1].update(enabled=True))
    house.wait(lambda s: len(s["spans"]) == 2 and s["spans"][1]["state"] == "up", 10, "span 2")
    name, call = talk(house, span=2)
    house.far.hangup(name)
    house.far.wait_for("released", 8, id=name)
    house.wait_idle()


def test_a_telephone_that_sleeps_is_kept_and_one_that_dies_is_not(house):
    apply(house, lambda c: next(line for line in c["lines"] if line["name"] == "1001").update(dead_s=10))
    name, call = talk(house)
    os.kill(house.agent_phone.pid, signal.SIGSTOP)
    try:
        time.sleep(7)                           # RTP is missed after 5 s, the answer to OPTIONS after 9
    finally:
        os.kill(house.agent_phone.pid, signal.SIGCONT)
    time.sleep(4)
    assert house.wait_call("talking")["call"] == call, "the telephone answered in time"
    os.kill(house.agent_phone.pid, signal.SIGKILL)
    house.wait(lambda s: [c for c in s["calls"] if c["state"] == "queued"], 25, "the caller in the queue again")       # dead_s, and a question more
    house.far.hangup(name)
    cdr = house.cdr(call)["cdr"]
    assert (cdr["result"], cdr["released_by"], cdr["agents"]) == ("answered", "caller", ["1001"])
