"""A day in small, with real media and real telephones: 100 calls of libpri, 20 agents of sipp, control killed meanwhile.

The reports are compared with a recount of the raw journal by an independent script, and with what the far ends saw.
"""

import sqlite3
import time

import pytest

from hil.sipp_agents import SippAgents
from hil.soak_traffic import Traffic
from tests.day import compare
from tests.day.recount import Recount

pytestmark = pytest.mark.live
AGENTS, CALLS, RATE = 20, 100, 4.0
EXCUSED_S = 8


@pytest.fixture(scope="module")
def day(house, tmp_path_factory):
    """The day as it went: (house, traffic, the agents' sipp)."""
    names = ["3%03d" % n for n in range(AGENTS)]
    running = house.product.get("/configuration")
    data = running["configuration"]
    data["sip"]["qualify_s"] = 0
    data["lines"] += [{"name": name, "password": "secret-" + name} for name in names]
    data["agents"] += [{**data["agents"][0], "name": name, "label": "", "line": name, "wrap_up_s": 1} for name in names]
    house.product.post("/configuration/apply", running)
    house.available("1001", "logged_out")
    agents = SippAgents(tmp_path_factory.mktemp("sipp"), house, {name: "secret-" + name for name in names}).start()
    traffic = Traffic(house.far, house.spans, RATE, 2.0, 50, seed=7).start()
    try:
        deadline, killed = time.monotonic() + 120, 0
        while traffic.placed < CALLS and time.monotonic() < deadline:
            time.sleep(0.2)
            if killed < 2 and traffic.placed >= (killed + 1) * CALLS // 3:
                traffic.excuse(EXCUSED_S)
                house.kill("control")
                killed += 1
        assert traffic.drain(60) and killed == 2
        house.wait_idle(30)
        house.wait(lambda state: all(agent["state"] == "idle" for agent in state["agents"]), 30, "agents without after-call work")
    finally:
        traffic.stop()
        agents.stop()
        house.far.listener = None
    return house, traffic, agents


def reports(house):
    """All quarters of today and tomorrow."""
    return {part: house.product.get("/reports/%s?interval=quarter" % part) for part in ("queues", "agents", "trunk_groups")}


def test_every_call_went_as_its_plan_says(day):
    _, traffic, _ = day
    assert not traffic.failures and traffic.placed >= CALLS, (traffic.failures, traffic.outcomes)


def test_the_far_ends_agree_with_the_reports(day):
    """libpri's calls and connects, sipp's acknowledged answers."""
    house, traffic, agents = day
    made = reports(house)

    def total(part, field):
        return sum(row[field] for row in made[part]["rows"])
    cut = traffic.outcomes["cut by a kill"]
    assert abs(total("trunk_groups", "in_calls") - traffic.placed) <= cut, traffic.outcomes
    assert abs(total("trunk_groups", "in_answered") - len(traffic.set_up_ms)) <= cut
    # A telephone that was picked up in the moment of a death, or of the caller's hanging up, got ACK and BYE, and no caller.
    with sqlite3.connect(house.data_dir / "strowger.db") as connection:
        torn, = connection.execute("SELECT count(*) FROM journal WHERE kind = 'agent.offer_ended' AND "
                                   "json_extract(data, '$.outcome') IN ('interrupted', 'cancelled')").fetchone()
    answered = total("queues", "answered")
    assert answered > CALLS // 3 and total("agents", "connected") == answered
    assert answered <= len(agents.answered()) <= answered + torn
    cdrs = house.product.get("/calls?limit=500")["calls"]
    assert sum(cdr["result"] == "answered" for cdr in cdrs) == answered
    assert sum(cdr["talk_ms"] or 0 for cdr in cdrs) == total("agents", "talking_ms")


def test_reports_are_what_a_recount_of_the_journal_gives(day, tmp_path):
    house, _, _ = day
    for agent in house.state()["agents"]:       # their time would run on
        house.available(agent["name"], "logged_out")
    with sqlite3.connect(house.data_dir / "strowger.db") as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "journal.sqlite"),))
    made, recount = reports(house), Recount(tmp_path / "journal.sqlite")
    ways = {row["name"]: row["service_level_abandons"] for row in house.product.get("/configuration")["configuration"]["queues"]}
    differences = compare.with_recount(made, recount, ways) + recount.broken
    assert not differences, differences[:5]
    assert not house.product.post("/reports/check")["differed"]
