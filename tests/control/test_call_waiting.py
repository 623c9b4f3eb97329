"""Call waiting: a further call rings at a telephone that talks, as many as its line may have; what its agent is meanwhile.

The rig replays the whole journal after every step and compares."""

import pytest

from tests.control.switchboard_rig import Rig
from tests.control.test_acd import answer, ring
from tests.control.test_outside import config as outside_config


def house(**waiting):
    """A rig with call_waiting by line."""
    config = outside_config()
    config["lines"] = [dict(line, call_waiting=waiting.get("l" + line["name"], 0)) for line in config["lines"]]
    for agent in config["agents"]:
        agent["wrap_up_s"] = 0
    return Rig(config, register=("1001", "1002", "1003", "2001"))


def calls_line(rig, line, leg):
    """A further call to a line, from a trunk: (its call, the leg at the line or None)."""
    before = len(rig.actions_of("leg.create"))
    rig.dial("2001", line, leg)
    made = rig.actions_of("leg.create")[before:]
    return rig.sb.core.call_of(leg), made[0] if made else None


def talks(rig):
    """Agent 1001 with a caller of the queue: (call, leg)."""
    ring(rig, "p1")
    answer(rig)
    assert rig.agent("1001")["state"] == "talking"
    return rig.call(-1)["call"], rig.last("leg.create")["leg"]


@pytest.mark.parametrize("most", (0, 1))
def test_a_call_rings_at_a_telephone_that_talks_or_gets_busy(most):
    rig = house(l1001=most)
    first, _ = talks(rig)
    _, made = calls_line(rig, "1001", "s1")
    if not most:
        assert made is None and rig.cdrs[-1]["result"] == "busy", rig.cdrs
        return
    assert made["line"] == "1001" and made["waiting"] is True
    rig.do("leg.alerting", leg=made["leg"])
    told = [action for action in rig.actions_of("leg.alerting") if action["leg"] == "s1"]
    assert told[-1]["waiting"] is True, "the caller is told"
    assert (rig.agent("1001")["state"], rig.agent("1001")["call"]) == ("talking", first)
    rig.do("leg.held", leg=rig.sb.core.state.calls[first].agent_leg)
    rig.do("leg.answered", leg=made["leg"])
    assert rig.hears("s1") == [made["leg"]] and (rig.agent("1001")["state"], rig.agent("1001")["call"]) == ("talking", first)


def test_more_than_may_wait_get_busy():
    rig = house(l1001=1)
    talks(rig)
    assert calls_line(rig, "1001", "s1")[1] is not None
    rig.offer("p2", called="02150801000", timeslot=2)
    assert not rig.sb.core.takes_call("1001")


def test_who_waits_in_vain_leaves_the_agent_in_the_call_before():
    rig = house(l1001=1)
    first, leg = talks(rig)
    call, made = calls_line(rig, "1001", "s1")
    rig.do("leg.alerting", leg=made["leg"])
    rig.wait(60000)
    assert call.id not in rig.sb.core.state.calls and rig.hears("p1") == [leg]
    assert (rig.agent("1001")["state"], rig.agent("1001")["call"]) == ("talking", first)
    call, made = calls_line(rig, "1001", "s1")
    rig.do("leg.released", leg=made["leg"], cause=17, by="far")
    assert rig.cdrs[-1]["result"] == "busy" and rig.agent("1001")["call"] == first
    rig.hang_up("p1")
    assert rig.agent("1001")["state"] == "idle"


def test_a_queue_lets_nobody_wait_at_a_telephone_that_talks():
    rig = house(l1001=4, l1002=4)
    talks(rig)
    before = len(rig.actions_of("leg.create"))
    rig.to_queue("p2", timeslot=2)
    assert all(action["line"] != "1001" for action in rig.actions_of("leg.create")[before:])


def test_the_call_before_ends_while_another_waits():
    rig = house(l1001=1)
    _, leg = talks(rig)
    call, made = calls_line(rig, "1001", "s1")
    rig.do("leg.alerting", leg=made["leg"])
    rig.hang_up("p1")
    assert (rig.agent("1001")["state"], rig.agent("1001")["call"]) == ("offered", call.id), "it rings now"
    rig.kill()
    rig = house(l1001=1)
    _, leg = talks(rig)
    call, made = calls_line(rig, "1001", "s1")
    rig.do("leg.held", leg=leg)
    rig.do("leg.answered", leg=made["leg"])
    rig.hang_up("p1")
    assert (rig.agent("1001")["state"], rig.agent("1001")["call"]) == ("talking", call.id)
    rig.hang_up("s1")
    assert rig.agent("1001")["state"] == "idle"
