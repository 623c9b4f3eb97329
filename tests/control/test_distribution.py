"""Ring all, tiers by time, customers and weights, the agent who is waited for: on the switchboard.

The rig replays the whole journal after every step and compares, and holds the index of ready agents against the state."""

import copy

import pytest

from firmware.config.schema import check
from tests.control.switchboard_rig import CONFIG
from tests.control.test_acd import SALES, answer, lefts, only, ring, served, world


def rings(rig):
    """Lines whose telephones ring for a queue now."""
    state = rig.sb.core.state
    return [state.legs[offer["leg"]].line for call in state.calls_in_order() for offer in call.offers]


def leg_at(rig, line):
    return rig.sb.core.state.line_legs[line][-1]


# Ring all.

def test_ring_all_first_answer_wins_and_the_others_hear_that_it_was_answered_elsewhere():
    rig = only("ring_all")
    rig.offer("p1", called=SALES)
    assert rings(rig) == ["1001", "1002", "1003"] and rig.call()["offered_agents"] == ["1001", "1002", "1003"]
    losers = [leg_at(rig, "1001"), leg_at(rig, "1003")]
    rig.do("leg.answered", leg=leg_at(rig, "1002"))
    assert [(action["leg"], action["cause"]) for action in rig.actions_of("leg.release")] == [(leg, 26) for leg in losers]
    assert rig.call()["agent"] == "1002" and [rig.agent(name)["state"] for name in ("1001", "1003")] == ["idle", "idle"]
    ended = [(record["agent"], record["data"]["outcome"]) for record in rig.journal if record["kind"] == "agent.offer_ended"]
    assert ended == [("1001", "elsewhere"), ("1003", "elsewhere")]
    assert ring(rig, "p2") == "1001" and rings(rig) == ["1001", "1003"]     # the next one has the two that are left


def test_ring_all_two_answer_in_the_same_moment():
    rig = only("ring_all", lazy=True)
    rig.offer("p1", called=SALES)
    first, second = leg_at(rig, "1002"), leg_at(rig, "1001")
    rig.do("leg.answered", leg=first)
    rig.do("leg.answered", leg=second)          # crossed with our CANCEL
    rig.confirm()
    assert rig.call()["agent"] == "1002" and rig.agent("1001")["state"] == "idle"
    assert len([record for record in rig.journal if record["kind"] == "agent.connected"]) == 1
    rig.hang_up("p1")
    rig.confirm()
    rig.wait(20000)
    rig.finished()


def test_ring_all_who_becomes_ready_rings_too_and_nobody_is_set_away_for_ringing():
    rig = only("ring_all", missed_pause_s=4)
    rig.do("agent.status", agent="1002", status="on_break", reason="r")
    rig.offer("p1", called=SALES)
    rig.wait(5000)
    rig.do("agent.status", agent="1002", status="available")
    assert rings(rig) == ["1001", "1003", "1002"]
    for line in ("1001", "1003"):
        rig.do("leg.alerting", leg=leg_at(rig, line))
    rig.do("leg.released", leg=leg_at(rig, "1002"), cause=21, by="far")     # refused: that counts
    assert (rig.agent("1002")["status"], rig.agent("1002")["reason"]) == ("on_break", "offer refused")
    rig.wait(10000)                                                         # 15 s of ringing are over
    assert rings(rig) == [] and [rig.agent(name)["status"] for name in ("1001", "1003")] == ["available"] * 2
    assert [rig.agent(name)["missed"] for name in ("1001", "1003")] == [0, 0]
    rig.wait(4000)
    assert rings(rig) == ["1001", "1003"]                                   # rested, and asked again
    assert rig.queue("sales")["waiting"] == 1


def test_ring_all_caller_goes_agent_goes_supervisor_takes_away():
    rig = only("ring_all", ring_most=2)
    rig.offer("p1", called=SALES)
    assert rings(rig) == ["1001", "1002"]
    rig.do("agent.status", agent="1001", status="on_break", reason="r")
    assert rings(rig) == ["1002", "1003"]                                   # another one in the place
    assert "rings there itself" in rig.command("command.pick_up", call=rig.call()["call"], agent="1002")
    assert rig.command("command.pick_up", target="1002", line="2001") is None
    assert rings(rig) == [] and lefts(rig)[-1][1] == "answered"
    rig.do("leg.answered", leg=leg_at(rig, "2001"))
    rig.offer("p2", called=SALES, timeslot=2)
    assert rings(rig) == ["1002", "1003"]
    rig.hang_up("p2")
    assert rings(rig) == [] and [rig.agent(name)["state"] for name in ("1002", "1003")] == ["idle", "idle"]


def test_ring_all_survives_a_kill():
    rig = only("ring_all")
    rig.offer("p1", called=SALES)
    rig.kill()
    assert sorted(rings(rig)) == ["1001", "1002", "1003"]
    answer(rig)
    rig.hang_up("p1")
    rig.wait(60000)
    rig.finished()


# Tiers by time, and who is waited for.

def test_levels_open_with_the_wait_over_a_kill():
    agents = {"1001": {"queues": [{"queue": "sales", "level": 1}]}, "1002": {"queues": [{"queue": "sales", "level": 2}]},
              "1003": {"queues": [{"queue": "sales", "level": 4}]}}
    rig = world(agents, {"tiers": [{"level": 2, "after_s": 10}, {"level": 4, "after_s": 30}]})
    rig.do("agent.status", agent="1001", status="on_break", reason="r")
    assert ring(rig, "p1") is None and ring(rig, "p2") is None
    rig.wait(9000)
    rig.kill()
    assert rings(rig) == []
    rig.wait(700)
    assert rings(rig) == ["1002"] and rig.call()["offered_agent"] == "1002"
    answer(rig)
    rig.wait(20000)
    assert rings(rig) == ["1003"]                                           # the second one, after 30 s
    answer(rig)


def test_a_caller_is_kept_for_the_last_agent_for_a_while():
    rig = only("longest_idle", last_agent_days=1, last_agent_wait_s=20)
    assert served(rig, "p1") == "1001"
    rig.wait(60000)
    assert ring(rig, "p2", caller="137") == "1002"                  # somebody else
    answer(rig)
    assert ring(rig, "p3", caller="138") == "1003"
    answer(rig)
    rig.hang_up("p2")                                               # 1002 is ready, 1001 too
    assert ring(rig, "p4", caller="136") == "1001"
    answer(rig)
    assert ring(rig, "p5") is None                                  # 1002 is ready, but this caller's agent is 1001
    assert ring(rig, "p6", caller="135") == "1002"                  # who comes later is not held up
    answer(rig)
    rig.kill()
    rig.hang_up("p4")
    assert rings(rig) == ["1001"]
    answer(rig)
    rig.hang_up("p5")
    rig.hang_up("p6")
    assert ring(rig, "p7", caller="134") is not None
    answer(rig)
    rig.do("agent.status", agent="1001", status="on_break", reason="lunch")
    assert ring(rig, "p8") is not None                              # who is on a break is not waited for


def test_who_is_kept_too_long_goes_to_anybody():
    rig = only("longest_idle", last_agent_days=1, last_agent_wait_s=20)
    served(rig, "p1")
    rig.wait(1000)
    for leg, caller in (("p2", "137"), ("p3", "136"), ("p4", "135")):
        ring(rig, leg, caller=caller)
        answer(rig)
    assert ring(rig, "p5") is None
    rig.hang_up("p2")
    rig.hang_up("p3")
    line = rig.agent("1001")["call"]
    assert line is not None and rings(rig) == []
    rig.wait(20000)
    assert rings(rig) != []


# Customers and weights.

def test_customers_are_shared_out_evenly_who_comes_again_is_no_new_one():
    rig = only("fewest_customers")
    assert [served(rig, "p1", caller="131"), served(rig, "p2", caller="132"), served(rig, "p3", caller="133")] == ["1001", "1002", "1003"]
    rig.do("agent.status", agent="1002", status="on_break", reason="r")
    assert [served(rig, "p4", caller="134"), served(rig, "p5", caller="135")] == ["1001", "1003"]
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.sb = rig.replayed(rig.journal[-1:])
    rig.do("agent.status", agent="1002", status="available")
    assert served(rig, "p6", caller="134") == "1002"                # 1001's customer becomes 1002's: 1 - 2 - 2
    assert sorted(rig.sb.core.state.customer_counts.items()) == [("1001", 1), ("1002", 2), ("1003", 2)]
    rig.kill()
    assert served(rig, "p7", caller="139") == "1001"
    rig.wait(24 * 3600000)
    assert served(rig, "p8", caller="139") in ("1001", "1002", "1003") and sum(rig.sb.core.state.customer_counts.values()) == 1


def test_weights_share_the_calls_out():
    agents = {name: {"queues": [{"queue": "sales", "weight": weight}]} for name, weight in (("1001", 30), ("1002", 20), ("1003", 10))}
    rig = world(agents, {"strategy": "weighted_share"}, checks=False)
    lines = [served(rig, "p%d" % n) for n in range(1, 25)]
    assert [lines.count(line) for line in ("1001", "1002", "1003")] == [12, 8, 4]
    for end in range(6, 25, 6):
        assert [lines[end - 6:end].count(line) for line in ("1001", "1002", "1003")] == [3, 2, 1]
    rig.kill()
    assert [served(rig, "p%d" % n) for n in range(25, 31)].count("1001") == 3


# The configuration.

@pytest.mark.parametrize("row, path, words", [
    ({"strategy": "dice"}, "queues[0].strategy", "choose one of"),
    ({"tiers": [{"level": 1, "after_s": 5}]}, "queues[0].tiers[0].level", "2 to 9"),
    ({"tiers": [{"level": 2, "after_s": 50}, {"level": 3, "after_s": 20}]}, "queues[0].tiers", "longer wait"),
    ({"last_agent_wait_s": 5}, "queues[0].last_agent_wait_s", "needs last_agent_days"),
    ({"ring_most": 1}, "queues[0].ring_most", "2 to 100")])
def test_what_cannot_be_is_said(row, path, words):
    errors = check({"queues": [dict({"name": "q"}, **row)]})[1]
    assert [error.path for error in errors] == [path] and words in errors[0].advice


def test_an_old_checkpoint_with_one_offer_is_taken():
    rig = only("longest_idle")
    ring(rig, "p1")
    rig.sb.checkpoint(rig.now)
    rig.settle()
    record = copy.deepcopy(rig.journal[-1])
    for call in record["data"]["state"]["calls"]:
        call["offer"] = call.pop("offers")[0]
        for name in ("tiers", "reserved"):
            del call[name]
    for name in ("customers", "shares"):
        del record["data"]["state"][name]
    record["data"]["state"]["timers"] = [row for row in record["data"]["state"]["timers"] if row[0] != "offer"]
    rig.journal[-1] = record
    rig.journal = rig.journal[-1:]
    rig.checks = False
    rig.kill()
    assert rings(rig) == ["1001"] and CONFIG["queues"][0]["name"] == "sales"


# A supervisor moves agents between queues.

def test_an_agent_is_moved_to_another_queue_and_back_over_kill_checkpoint_and_configuration():
    rig = only("longest_idle")
    for name in ("1001", "1002"):
        assert rig.command("command.assign", agent=name, queues=[{"queue": "service", "level": 2}], by="chief") is None
    assert rig.agent("1001")["queues"] == ["service"] and rig.agent("1001")["assigned"] and rig.queue("sales")["agents"] == 1
    assert ring(rig, "p1") == "1003" and ring(rig, "p2") is None
    assert ring(rig, "p3", called="02150801003") == "1001"
    rig.kill()
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.sb = rig.replayed(rig.journal[-1:])
    assert rig.queue("sales")["agents"] == 1 and rig.agent("1002")["queues"] == ["service"]
    rig.sb.configure(copy.deepcopy(rig.config), rig.now)
    rig.settle()
    assert rig.agent("1002")["queues"] == ["service"]
    assert "no queue" in rig.command("command.assign", agent="1002", queues=[{"queue": "nowhere"}])
    assert rig.command("command.assign", agent="1002") is None                  # back: takes who waits
    assert "1002" in rings(rig) and not rig.agent("1002")["assigned"]
    assert rig.command("command.assign", agent="1003", queues=[]) is None
    assert rig.agent("1003")["queues"] == []
