"""A span under a changing line and a changing configuration: no call is dropped without a word."""

import time

import pytest

pytestmark = pytest.mark.live


def talk(house, **options):
    """A call that has reached the agent: (id at the far exchange, call id)."""
    house.wait_agent_idle()
    name = house.place_and_choose("1", record=False, **options)
    return name, house.wait_call("talking")["call"]



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
