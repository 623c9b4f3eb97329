"""Whatever comes in whatever order to queues with every rule: nobody is lost, nobody is counted twice.

Each entry into a queue ends exactly once (answered, abandoned, overflow, failed), also over kill, checkpoint and
replay; who is given on enters what the record names; an offer goes to an agent who has what the call needs then."""

import copy

from hypothesis import HealthCheck, given, settings, strategies as st

from firmware.acd.strategy import STRATEGIES
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


STRATEGY = st.sampled_from(("ring_all", "weighted_share", "fewest_customers", "longest_idle", "least_calls", "linear"))


def who_is_ready(journal, end, lines=("1001", "1002", "1003")):
    """Agents who may be offered a call before the record at `end`, from the raw records alone: available, idle, rested, no other leg."""
    status, state, legs, rests, there = {}, {}, {}, set(), {}
    for record in journal[:end]:
        kind, agent, data = record["kind"], record["agent"], record["data"]
        if kind == "agent.status":
            status[agent] = data["status"]
            if data["status"] == "available":
                rests.discard(agent)
        elif kind in ("agent.offered", "agent.busy", "agent.connected", "agent.wrap_up"):
            state[agent] = kind
        elif kind in ("agent.idle", "agent.offer_ended"):
            state[agent] = None
            if data.get("rest_until_ms"):
                rests.add(agent)
        elif kind == "agent.rested":
            rests.discard(agent)
        elif kind in ("line.registered", "line.unregistered"):
            there[data["line"]] = kind == "line.registered"
        if kind in ("leg.offered", "leg.created") and data.get("line"):
            legs[record["leg"]] = data["line"]
        elif kind == "leg.released":
            legs.pop(record["leg"], None)
    return {name for name in lines if status.get(name) == "available" and not state.get(name) and name not in rests and there.get(name)
            and name not in legs.values()}


def check_offers(journal, levels):
    """Each offer: to an agent who was ready, one call an agent, in order among callers of a queue who need the same."""
    offered, inside = {}, {}
    for at, record in enumerate(journal):
        kind, call, agent, data = record["kind"], record["call"], record["agent"], record["data"]
        if kind == "queue.entered":
            inside[call] = {"queue": record["queue"], "rank": (-data["priority"], data["since_ms"], data["order"]), "needs": data["skills"],
                            "tiers": data.get("tiers", []), "reserved": data.get("reserved")}
        elif kind == "queue.relaxed":
            inside[call]["needs"] = data["skills"]
        elif kind == "queue.tiers":
            inside[call]["tiers"] = data["tiers"]
        elif kind == "queue.unreserved":
            inside[call]["reserved"] = None
        elif kind == "queue.left":
            del inside[call]
            assert call not in offered.values() or data["reason"] == "answered" or journal[at + 1]["kind"] == "agent.offer_ended"
        elif kind == "agent.offered":
            assert agent not in offered, "two calls for one agent"
            assert agent in who_is_ready(journal, at - 1), "not ready"         # its own leg.created stands between
            mine = inside[call]
            open_to = min([level for _, level in mine["tiers"]], default=99) - 1
            assert levels[agent, record["queue"]] <= open_to
            before = [other for name, other in inside.items() if other["queue"] == mine["queue"] and other["rank"] < mine["rank"]
                      and name not in offered.values() and other["needs"] == mine["needs"] and other["tiers"] == mine["tiers"]
                      and not other["reserved"]]
            assert not before, "somebody before was passed over"
            offered[agent] = call
        elif kind in ("agent.offer_ended", "agent.connected"):
            assert offered.pop(agent) == call
    assert not offered


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(STRATEGY, st.integers(0, 2), st.booleans(), st.lists(ACD_STEP, min_size=5, max_size=30))
def test_every_offer_is_in_order_and_to_somebody_ready(strategy, kept, lazy, steps):
    made = config()
    made["queues"][0].update(strategy=strategy, overflow=[], last_agent_wait_s=10 * kept)
    made["queues"][0]["tiers"] = [{"level": 2, "after_s": 8}]
    made["queues"][1].update(strategy=strategy, ring_most=2)
    levels = {}
    for place, agent in enumerate(made["agents"]):
        agent["queues"] = [{"queue": "sales", "level": 1 + place % 2, "weight": 5 + place}, {"queue": "service", "level": 1}]
        for member in agent["queues"]:
            levels[agent["name"], member["queue"]] = member["level"]
    player = Player(lazy, config=made)
    for step in steps:
        player.step(step)
    player.end()
    check_offers(player.rig.journal, levels)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(STRATEGIES)), st.lists(st.tuples(st.integers(0, 2), st.integers(1, 20000)), min_size=5, max_size=40))
def test_nobody_starves_as_long_as_somebody_works(strategy, arrivals):
    """Whoever waits is answered as soon as one agent is there for all: whatever came later, in the order of entry."""
    made = config()
    for queue in made["queues"]:
        queue.update(strategy=strategy, overflow=[], hours=[], priority=0, skills={}, relax=[], max_waiting=0, max_wait_s=86400, last_agent_days=0)
    for agent in made["agents"]:
        agent["queues"] = [{"queue": queue["name"]} for queue in made["queues"]]
        agent["wrap_up_s"] = 0
    rig = Player(False, config=made).rig
    rig.checks = False
    for count, (queue, pause_ms) in enumerate(arrivals):
        rig.offer("p%d" % (count + 1), called=(SALES, SERVICE, OPERATOR)[queue], timeslot=1 + count % 15)
        for leg in [leg for leg, state in rig.adapter.items() if leg[0] == "l" and state == "setup"]:
            if rig.adapter.get(leg) == "setup":
                rig.do("leg.answered", leg=leg)
        rig.wait(pause_ms)
        if count % 2:
            talking = [call["legs"][0]["leg"] for call in rig.sb.snapshot(rig.now)["calls"] if call["state"] == "talking"]
            for leg in talking[:1]:
                rig.hang_up(leg)
                for other in [leg for leg, state in rig.adapter.items() if leg[0] == "l" and state == "setup"]:
                    if rig.adapter.get(other) == "setup":
                        rig.do("leg.answered", leg=other)
    for _ in range(3 * len(arrivals)):
        calls = rig.sb.snapshot(rig.now)["calls"]
        for call in calls:
            if call["state"] == "talking":
                rig.hang_up(call["legs"][0]["leg"])
        for leg in [leg for leg, state in rig.adapter.items() if leg[0] == "l" and state == "setup"]:
            if rig.adapter.get(leg) == "setup":
                rig.do("leg.answered", leg=leg)
        if not rig.sb.core.state.calls:
            break
    entered = [record["call"] for record in rig.journal if record["kind"] == "queue.entered"]
    answered = [record["call"] for record in rig.journal if record["kind"] == "queue.left"]
    assert answered == entered and all(record["data"]["reason"] == "answered" for record in rig.journal if record["kind"] == "queue.left")


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
