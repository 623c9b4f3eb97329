"""Skills, strategies, priorities and overflow between queues on the switchboard.

The rig replays the whole journal after every step and compares, so each of these tests is one of replay too."""

import copy

import pytest

from tests.control.switchboard_rig import CONFIG, Rig

SALES, SERVICE, OPERATOR = "02150801001", "02150801003", "02150801004"


def world(agents=None, sales=None, service=None, operator=None, numbers=None, flows=None, register=("1001", "1002", "1003", "2001"), **more):
    """A rig whose queues and agents have more settings.  agents: {name: settings}."""
    config = copy.deepcopy(CONFIG)
    for queue, settings in zip(config["queues"], (sales, service, operator)):
        queue.update(settings or {}, announce_position_s=0)
    for agent in config["agents"]:
        agent["queues"] = [{"queue": "sales"}]
        agent["wrap_up_s"] = 0
        agent.update((agents or {}).get(agent["name"], {}))
    config["numbers"] += [{"number": SERVICE, "application": "queue", "target": "service"},
                          {"number": OPERATOR, "application": "queue", "target": "operator"}]
    config["ivr"].update(flows or {})
    return Rig(config, register=register, **more)


def ring(rig, leg, called=SALES, **more):
    """A caller comes; the line that rings for it, or None."""
    before = len(rig.actions_of("leg.create"))
    rig.offer(leg, called=called, timeslot=int(leg[1:]), **more)
    new = rig.actions_of("leg.create")[before:]
    return new[0]["line"] if new else None


def answer(rig):
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])


def served(rig, leg, talk_ms=0, **more):
    """A caller comes, is answered, talks and goes; the line."""
    line = ring(rig, leg, **more)
    answer(rig)
    rig.wait(talk_ms)
    rig.hang_up(leg)
    return line


def lefts(rig):
    return [(record["queue"], record["data"]["reason"], record["data"]["wait_ms"], record["data"]["total_ms"])
            for record in rig.journal if record["kind"] == "queue.left"]


# Strategies.

def only(strategy, **more):
    return world(sales=dict({"strategy": strategy}, **more))


def test_round_robin_goes_on_from_the_last_over_a_kill_and_a_checkpoint():
    rig = only("round_robin")
    assert [served(rig, "p1"), served(rig, "p2")] == ["1001", "1002"]
    rig.kill()
    assert [served(rig, "p3"), served(rig, "p4")] == ["1003", "1001"]
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.sb = rig.replayed(rig.journal[-1:])
    rig.do("agent.status", agent="1002", status="on_break")
    assert [served(rig, "p5"), served(rig, "p6")] == ["1003", "1001"]


def test_linear_asks_the_first_again():
    rig = only("linear")
    assert [served(rig, "p1"), served(rig, "p2")] == ["1001", "1001"]


def test_least_calls_and_least_occupied():
    rig = only("least_calls")
    assert [served(rig, "p%d" % n) for n in range(1, 5)] == ["1001", "1002", "1003", "1001"]
    rig.do("agent.status", agent="1003", status="on_break")
    assert served(rig, "p5") == "1002"
    rig.do("agent.status", agent="1003", status="available")
    assert served(rig, "p6") == "1003"                      # one call; the others have two
    rig = only("least_occupied")
    rig.wait(1000)
    assert [served(rig, "p1", 60000), served(rig, "p2", 5000), served(rig, "p3", 30000)] == ["1001", "1002", "1003"]
    assert [served(rig, "p4", 60000), served(rig, "p5", 90000)] == ["1002", "1003"]
    rig.kill()
    assert served(rig, "p6") == "1001"          # 60 s of talk, 90 s of waiting since


def test_most_and_least_skilled():
    levels = {"1001": {"skills": {"en": 4}}, "1002": {"skills": {"en": 9, "fr": 9}}, "1003": {"skills": {"en": 2, "fr": 9}}}
    assert served(world(levels, {"strategy": "most_skilled", "skills": {"en": 3}}), "p1") == "1002"
    assert served(world(levels, {"strategy": "least_skilled", "skills": {"en": 3}}), "p1") == "1001"


def test_a_caller_comes_to_the_agent_of_the_last_call():
    rig = only("longest_idle", last_agent_days=2)
    assert served(rig, "p1", caller="139") == "1001"
    assert served(rig, "p2", caller="137") == "1002"
    rig.kill()
    assert served(rig, "p3", caller="139") == "1001"        # 1003 is idle for longer
    assert served(rig, "p4", caller="") == "1003"
    rig.do("agent.status", agent="1001", status="on_break")
    assert served(rig, "p5", caller="139") == "1002"        # now 1002 is the last one
    rig.do("agent.status", agent="1001", status="available")
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.sb = rig.replayed(rig.journal[-1:])
    assert served(rig, "p6", caller="139") == "1002"
    rig.wait(3 * 86400000)
    assert served(rig, "p7", caller="139") == "1003"        # too long ago


# Skills.

def test_only_who_has_the_skill_and_a_caller_without_hope_holds_up_nobody():
    flow = {"version": 1, "languages": ["en"], "start": "q", "nodes": {"q": {"type": "queue", "queue": "sales", "skills": {"fr": 2}}}}
    rig = world({"1001": {"skills": {"en": 5}}, "1002": {"skills": {"en": 2, "fr": 1}}}, {"skills": {"en": 3}}, flows={"main": flow})
    assert ring(rig, "p1", called="02150801000") is None    # nobody has French at 2
    assert rig.call()["skills"] == {"en": 3, "fr": 2} and rig.call()["position"] == 1
    assert ring(rig, "p2") == "1001"
    assert ring(rig, "p3") is None                          # 1002 and 1003 lack English
    answer(rig)
    rig.hang_up("p2")
    assert rig.last("leg.create")["line"] == "1001" and rig.call(1)["offered_agent"] == "1001"


def test_needs_relax_in_steps_also_over_a_kill():
    rig = world({"1001": {"skills": {"en": 3}}, "1002": {"skills": {"en": 1}}},
                {"skills": {"en": 5}, "relax": [{"after_s": 10, "less": 1}, {"after_s": 20, "less": 1}, {"after_s": 40, "less": 9}]},
                register=("1001", "1002"))
    assert ring(rig, "p1") is None and ring(rig, "p2") is None
    rig.wait(19999)
    assert not rig.actions_of("leg.create") and rig.call()["skills"] == {"en": 4}
    rig.kill(away_ms=1)
    assert rig.last("leg.create")["line"] == "1001" and rig.call()["offered_agent"] == "1001"
    rig.wait(14000)                                         # 1001 does not answer: nobody is left until the last step
    rig.kill(away_ms=10000)
    assert rig.call()["skills"] == {} and rig.call(1)["skills"] == {}
    assert sorted(call["offered_agent"] for call in rig.sb.snapshot(rig.now)["calls"]) == ["1001", "1002"]


# Priority.

def test_priority_then_waiting_time_over_the_queues_of_an_agent():
    rig = world({"1001": {"queues": [{"queue": "sales"}, {"queue": "service"}]}}, service={"priority": 5}, register=("1001",))
    rig.do("agent.status", agent="1001", status="on_break")
    for leg, called in (("p1", SALES), ("p2", SERVICE), ("p3", SALES), ("p4", SERVICE)):
        ring(rig, leg, called)
        rig.wait(1000)
    rig.do("agent.status", agent="1001", status="available")
    order = []
    for _ in range(4):
        leg = [call["legs"][0]["leg"] for call in rig.sb.snapshot(rig.now)["calls"] if call["offered_agent"]][0]
        order.append(leg)
        answer(rig)
        rig.hang_up(leg)
    assert order == ["p2", "p4", "p1", "p3"]


def test_a_flow_gives_a_priority():
    flow = {"version": 1, "languages": ["en"], "start": "q", "nodes": {"q": {"type": "queue", "queue": "sales", "priority": 9}}}
    rig = world(flows={"main": flow}, register=())
    ring(rig, "p1")
    ring(rig, "p2", called="02150801000")
    assert [(call["position"], call["priority"]) for call in rig.sb.snapshot(rig.now)["calls"]] == [(2, 0), (1, 9)]


# Overflow.

def to(when, target, limit=0, kind="queue"):
    return {"when": when, "limit": limit, "to": kind, "target": target}


BYE = {"version": 1, "languages": ["en"], "start": "bye", "nodes": {"bye": {"type": "hangup", "prompts": ["goodbye"]}}}


def test_after_a_wait_to_another_queue_with_the_waiting_time():
    rig = world({"1003": {"queues": [{"queue": "service"}]}}, {"overflow": [to("wait", "service", 30)]}, register=("1003",))
    rig.do("agent.status", agent="1003", status="on_break")
    ring(rig, "p1")
    rig.wait(20000)
    ring(rig, "p2", SERVICE)
    rig.wait(9999)
    assert rig.queue("sales")["waiting"] == 1
    rig.kill(away_ms=1)
    assert rig.queue("sales")["waiting"] == 0 and rig.queue("service")["waiting"] == 2 and rig.queue("sales")["overflowed"] == 1
    assert rig.call()["position"] == 1 and rig.call()["waiting_since_ms"] == rig.now - 30000        # before p2
    rig.wait(5000)
    rig.do("agent.status", agent="1003", status="available")
    answer(rig)
    rig.hang_up("p1")
    answer(rig)
    rig.hang_up("p2")
    assert lefts(rig) == [("sales", "overflow", 30000, 30000), ("service", "answered", 5000, 35000), ("service", "answered", 15000, 15000)]
    assert [(cdr["queue"], cdr["wait_ms"], cdr["result"]) for cdr in rig.cdrs] == [("service", 35000, "answered"), ("service", 15000, "answered")]
    rig.finished()


def test_a_telephone_that_rings_at_that_moment_may_be_answered():
    rig = world({"1003": {"queues": [{"queue": "service"}]}}, {"overflow": [to("wait", "service", 10)]}, register=("1001", "1003"))
    rig.do("agent.status", agent="1003", status="on_break")
    assert ring(rig, "p1") == "1001"
    rig.do("leg.alerting", leg=rig.last("leg.create")["leg"])
    rig.wait(12000)
    assert rig.queue("sales")["waiting"] == 1
    rig.wait(3000)                                          # not answered: now it is given on
    assert rig.queue("sales")["waiting"] == 0 and rig.queue("service")["waiting"] == 1
    rig.do("agent.status", agent="1003", status="available")
    assert rig.call()["offered_agent"] == "1003"


def test_a_full_target_is_asked_again_and_the_next_rule_is_looked_at():
    rig = world(sales={"overflow": [to("wait", "service", 10), to("wait", "bye", 30, "flow")]}, service={"max_waiting": 1},
                flows={"bye": BYE}, register=())
    ring(rig, "p1", SERVICE)
    ring(rig, "p2")
    rig.wait(15000)
    assert rig.call(1)["queue"] == "sales"
    rig.hang_up("p1")
    rig.wait(5000)
    assert rig.call()["queue"] == "service"
    ring(rig, "p3")
    rig.wait(30000)
    assert rig.call(1)["state"] == "closing" and rig.heard("p3") == ["goodbye en"]


@pytest.mark.parametrize("rule, waiting_ms", ((to("waiting", "service", 2), 0), (to("longest_wait", "service", 5), 5000),
                                              (to("no_agents", "service"), None)))
def test_at_the_entry(rule, waiting_ms):
    rig = world({"1003": {"queues": [{"queue": "service"}], "initial_status": "on_break"}}, {"overflow": [rule]}, register=())
    if waiting_ms is None:
        for name in ("1001", "1002"):
            rig.do("agent.status", agent=name, status="logged_out")
    else:
        ring(rig, "p1")
        if waiting_ms:
            rig.wait(waiting_ms - 1)
        ring(rig, "p2")
        assert rig.queue("sales")["waiting"] == 2
        rig.wait(1)
    ring(rig, "p3")
    assert rig.sb.snapshot(rig.now)["calls"][-1]["queue"] == "service"
    refused = [record for record in rig.journal if record["kind"] == "queue.refused"]
    assert [(record["data"]["reason"], record["data"]["to"]) for record in refused] == [(rule["when"], {"queue": "service"})]
    assert rig.queue("sales")["offered"] == (0 if waiting_ms is None else 2) and rig.queue("service")["offered"] == 1


def test_who_waits_is_given_on_when_the_last_agent_logs_out():
    rig = world({"1003": {"queues": [{"queue": "service"}]}}, {"overflow": [to("no_agents", "service")]},
                {"overflow": [to("no_agents", "sales")]}, register=())
    ring(rig, "p1")
    rig.do("agent.status", agent="1001", status="logged_out")
    assert rig.queue("sales")["waiting"] == 1
    rig.do("agent.status", agent="1002", status="logged_out")
    assert rig.queue("service")["waiting"] == 1
    rig.do("agent.status", agent="1003", status="logged_out")
    assert rig.queue("service")["waiting"] == 1             # nobody anywhere: no ball game
    rig.do("agent.status", agent="1002", status="on_break")
    rig.do("agent.status", agent="1003", status="on_break")
    rig.do("agent.status", agent="1003", status="logged_out")
    assert rig.queue("sales")["waiting"] == 1


def test_closed_and_full():
    rig = world(sales={"hours": [{"days": "12345", "from": "09:00", "to": "17:00"}], "max_waiting": 1,
                       "overflow": [to("closed", "bye", kind="flow"), to("full", "service")]}, flows={"bye": BYE}, register=())
    ring(rig, "p1")                                         # a Thursday, 08:00
    assert rig.call()["state"] == "closing" and rig.heard("p1") == ["goodbye en"] and not rig.queue("sales")["open"]
    rig.played("p1")
    assert rig.cdrs[0]["result"] == "self_service" and rig.cdrs[0]["queue"] is None
    rig.wait(3600000)
    assert rig.queue("sales")["open"]
    ring(rig, "p2")
    ring(rig, "p3")
    assert [call["queue"] for call in rig.sb.snapshot(rig.now)["calls"]] == ["sales", "service"]
    rig = world(sales={"hours": [{"days": "67"}]}, register=())
    rig.offer("p1")
    rig.press("1")                                          # without a rule: the overflow node of the flow
    assert rig.call()["node"] == "goodbye"
    ring(rig, "p2")
    assert rig.call(1)["state"] == "closing" and rig.heard("p2") == ["goodbye zh_CN", "goodbye en"]


def test_rules_that_lead_back_to_each_other_end():
    again = {"version": 1, "languages": ["en"], "start": "q", "nodes": {"q": {"type": "queue", "queue": "sales", "overflow": "q"}}}
    rig = world(sales={"hours": [{"days": "7"}], "overflow": [to("closed", "again", kind="flow")]}, flows={"again": again}, register=())
    ring(rig, "p1")
    assert rig.call()["state"] == "closing" and rig.journal[-1]["kind"] == "call.signal"
    assert [record["data"]["reason"] for record in rig.journal if record["kind"] == "queue.refused"][-1] == "loop"
    rig.offer("p2", called="02150801000", timeslot=2)
    rig.press("2", "p2")
    assert rig.call(1)["queue"] == "service"


# Figures.

def test_short_abandons_and_the_three_service_levels():
    for way, level in (("ignore", 1.0), ("negative", 0.5), ("positive", 1.0)):
        rig = world(sales={"short_abandon_s": 3, "service_level_s": 20, "service_level_abandons": way}, register=("1001",))
        for leg, wait_ms in (("p1", 2999), ("p2", 3000)):
            rig.do("agent.status", agent="1001", status="on_break")
            ring(rig, leg)
            rig.wait(wait_ms)
            rig.hang_up(leg)
        rig.do("agent.status", agent="1001", status="available")
        served(rig, "p3")
        queue = rig.queue("sales")
        assert (queue["short_abandoned"], queue["abandoned"], queue["answered"], queue["service_level"]) == (1, 1, 1, level)
