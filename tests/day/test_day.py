"""A small simulated day: three accounts that agree, whatever is killed; the comparison notices what is wrong; the seed is all."""

import hashlib
import shutil
import sqlite3

import pytest

from tests.day import compare
from tests.day.__main__ import simulate
from tests.day.plan import BEGIN_MS, HOUR_MS, Plan
from tests.day.recount import Recount
from tests.day.world import World

SCALE = 0.02


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The rush, three deaths of the switch: (folder, report, differences)."""
    folder = tmp_path_factory.mktemp("day")
    return folder, *simulate(folder, scale=SCALE, count=3, hours=range(11, 12), progress=False)


def test_reports_recount_and_world_agree(day):
    _, made, differences = day
    assert not differences, differences[:5]
    assert {death["where"] for death in made["deaths"]} == {"before", "written", "committed"}
    queues, agents = made["totals"]["queues"], made["totals"]["agents"]
    assert made["calls"] > 300 and queues["answered"] > 150 and queues["abandoned"] > 30 and queues["overflowed"] > 5, queues
    assert agents["talking_ms"] > 150 * 60_000 and agents["holding_ms"] and agents["missed"]
    assert (day[0] / "day.svg").read_text().count("<rect") > 9


@pytest.mark.parametrize("change, part", [
    ("UPDATE journal SET ts_ms = ts_ms + 1000 WHERE seq = (SELECT max(seq) FROM journal WHERE kind = 'queue.left')", "queues"),
    ("UPDATE journal SET agent = 'a1' WHERE seq = (SELECT max(seq) FROM journal WHERE kind = 'agent.connected' AND agent <> 'a1')", "agents"),
    ("DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal WHERE kind = 'leg.answered' AND leg LIKE 't%')", "trunk_groups")])
def test_one_wrong_record_is_noticed(day, tmp_path, change, part):
    folder, made, _ = day
    shutil.copy(folder / "journal.sqlite", tmp_path / "journal.sqlite")
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute(change)
    ways = {row["name"]: row["service_level_abandons"] for row in Plan(1, SCALE).configuration["queues"]}
    differences = compare.with_recount(made["quarters"], Recount(tmp_path / "journal.sqlite"), ways)
    assert any(sentence.startswith(part) for sentence in differences), differences


def test_an_offer_to_somebody_who_is_away_is_noticed(day, tmp_path):
    shutil.copy(day[0] / "journal.sqlite", tmp_path / "journal.sqlite")
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("UPDATE journal SET data = json_set(data, '$.status', 'on_break') WHERE kind = 'agent.status' AND agent = 'a8'")
    assert any("was offered" in sentence and "on_break" in sentence for sentence in Recount(tmp_path / "journal.sqlite").broken)


def test_the_seed_decides_everything(tmp_path):
    digests = []
    for seed, name in ((5, "one"), (5, "two")):
        world = World(Plan(seed, SCALE, range(6, 7)), tmp_path / name)
        try:
            world.fill()
            world.run(8 * HOUR_MS, [(int(6.5 * HOUR_MS), "committed")])
        finally:
            world.close()
        with sqlite3.connect(tmp_path / name / "strowger.db") as connection:
            rows = connection.execute("SELECT ts_ms, kind, call, leg, agent, queue, data FROM journal WHERE kind <> 'core.checkpoint' ORDER BY seq").fetchall()
        assert rows[-1][0] >= BEGIN_MS + 6 * HOUR_MS and len(world.truth["deaths"]) == 1
        digests.append(hashlib.sha256(repr(rows).encode()).hexdigest())
    assert digests[0] == digests[1]
