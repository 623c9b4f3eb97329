"""Whatever comes in whatever order to queues with every rule: nobody is lost, nobody is counted twice.

Each entry into a queue ends exactly once (answered, abandoned, overflow, failed), also over kill, checkpoint and
replay; who is given on enters what the record names; an offer goes to an agent who has what the call needs then."""

import copy

from hypothesis import HealthCheck, given, settings, strategies as st

from tests.control.switchboard_rig import CONFIG
from tests.control.test_acd import BYE, OPERATOR, SALES, SERVICE, to
from tests.control.test_switchboard_properties import INDEX, STEP, Player

FLOW = {"version": 1, "languages": ["zh_CN", "en"], "start": "menu", "nodes": {
    "menu": {"type": "menu", "prompts": ["menu"], "exhausted": "b", "choices": {"1": "a", "2": "b", "3": "c"}},
    "a": {"type": "queue", "queue": "sales", "overflow": "b", "skills": {"fr": 2}, "priority": 3},
    "b": {"type": "queue", "queue": "service", "overflow": "a"},
    "c": {"type": "queue", "queue": "operator", "overflow": "c"}}}


def config():
    made = copy.deepcopy(CONFIG)
    sales, service, operator = made["queues"]
    sales.update(strategy="round_robin", skills={"en": 3}, max_waiting=3, last_agent_days=3, max_wait_s=90,
                 relax=[{"after_s": 5, "less": 1}, {"after_s": 20, "less": 2}],
                 overflow=[to("full", "service"), to("waiting", "operator", 2), to("wait", "service", 15), to("wait", "main", 60, "flow")])
    service.update(strategy="least_occupied", priority=2, max_waiting=2, offer_timeout_s=20,
                   overflow=[to("no_agents", "sales"), to("longest_wait", "sales", 10), to("wait", "sales", 15), to("full", "main", kind="flow")])
    operator.update(strategy="most_skilled", hours=[{"days": "4", "from": "08:00", "to": "08:05"}],
                    overflow=[to("closed", "bye", kind="flow"), to("no_agents", "service"), to("wait", "sales", 5)])
    for agent, levels in zip(made["agents"], ({"en": 4, "fr": 2}, {"en": 1}, {})):
        agent["skills"] = levels
    made["numbers"] += [{"number": SERVICE, "application": "queue", "target": "service"},
                        {"number": OPERATOR, "application": "queue", "target": "operator"}]
    made["ivr"] = {"main": FLOW, "bye": BYE}
    return made


def recount(journal, skills):
    """From the raw records: every entry's end; returns how many ended by each reason."""
    inside, ends, needs = {}, {}, {}
    given_on = {}
    for record in journal:
        kind, call, data = record["kind"], record["call"], record["data"]
        if kind == "queue.entered":
            assert call not in inside, "in two queues"
            assert given_on.pop(call, record["queue"]) == record["queue"], "not where it was given on to"
            inside[call] = record
            needs[call] = data["skills"]
        elif kind == "queue.relaxed":
            needs[call] = data["skills"]
        elif kind == "queue.left":
            entered = inside.pop(call)              # a second end would raise
            assert entered["queue"] == record["queue"]
            ends[data["reason"]] = ends.get(data["reason"], 0) + 1
            if entered["ts_ms"] <= record["ts_ms"]:
                assert data["wait_ms"] == record["ts_ms"] - entered["ts_ms"] and data["total_ms"] >= data["wait_ms"]
            if "queue" in data.get("to", {}):
                given_on[call] = data["to"]["queue"]
        elif kind == "agent.offered":
            assert call in inside and inside[call]["queue"] == record["queue"]
            assert all(skills[record["agent"]].get(skill, 0) >= level for skill, level in needs[call].items())
        elif kind == "call.ended":
            assert call not in inside, "ended in a queue"
    assert not inside and not given_on
    return ends


ACD_STEP = st.one_of(
    STEP, st.tuples(st.just("offer"), INDEX, st.sampled_from((SALES, SALES, SERVICE, OPERATOR, "02150801000")), st.just(True)),
    st.tuples(st.just("offer"), INDEX, st.sampled_from((SALES, SERVICE, OPERATOR)), st.just(True)),
    st.tuples(st.just("press"), INDEX, st.sampled_from("123")),
    st.tuples(st.just("status"), st.sampled_from(("1001", "1002", "1003")), st.sampled_from(("available", "available", "logged_out"))),
    st.tuples(st.just("wait"), st.sampled_from((400, 5000, 15000, 40000))),
    st.tuples(st.just("kill"), st.booleans()))


@settings(max_examples=70, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.booleans(), st.lists(ACD_STEP, min_size=5, max_size=30))
def test_every_waiting_caller_ends_once(lazy, steps):
    player = Player(lazy, config=config())
    for step in steps:
        player.step(step)
    player.end()
    rig = player.rig
    ends = recount(rig.journal, {agent["name"]: agent["skills"] for agent in rig.config["agents"]})
    assert sum(ends.values()) == len([record for record in rig.journal if record["kind"] == "queue.entered"])
    assert set(ends) <= {"answered", "abandoned", "overflow", "failed"}
    start = max([at for at, record in enumerate(rig.journal) if record["kind"] == "core.checkpoint"], default=0)
    assert rig.replayed(rig.journal[start:]).dump() == rig.sb.dump()
