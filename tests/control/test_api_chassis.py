"""The box's part of the local API, on a real database and a keeper of the test's."""

import asyncio
import types

import pytest

from firmware.chassis.performance import COUNTS
from firmware.control.api import API
from firmware.control.commands import Problem
from firmware.storage.stores import Stores


GROWING = {"available": True, "quarter": {"start_s": 3600, **dict.fromkeys(COUNTS, 6)}}


@pytest.fixture
def get(tmp_path):
    stores = Stores(str(tmp_path))
    with stores.database.transaction():
        stores.performance.save([(1, "quarter", 900 * n, dict.fromkeys(COUNTS, n)) for n in range(5)])
        for number in (1, 2, 3):
            stores.alarms.save({"id": number, "raised_ms": 1, "cleared_ms": 2, "kind": "los", "severity": "critical"})
    keeper = types.SimpleNamespace(name="chassis", list_alarms=lambda: {"worst": "cleared", "alarms": []},
                                   list_performance=lambda: {"1": GROWING}, list_box=lambda: {"present": False})
    house = types.SimpleNamespace(adapters=[keeper], database=stores.database, data_dir=str(tmp_path), clock=types.SimpleNamespace(now_ms=lambda: 0))
    api = API(house)

    def get(path, **query):
        handler, names = api._find("GET", "/v1/" + path)
        return asyncio.run(handler(*names, query=query, body=None))
    get.house = house
    yield get
    stores.database.close()


def test_what_is_there(get):
    assert get("alarms") == {"worst": "cleared", "alarms": []} and get("chassis") == {"present": False}
    assert [row["id"] for row in get("alarms/history", limit="2")["alarms"]] == [3, 2]
    assert [row["id"] for row in get("alarms/history", before="2")["alarms"]] == [1]
    assert get("performance")["spans"]["1"]["week"]["es"] == 0 + 1 + 2 + 3 + 6      # the stored copy of the growing one has 4
    answer = get("performance/1", limit="3")
    assert [row["start_s"] for row in answer["bins"]] == [3600, 2700, 1800] and answer["now"] == GROWING
    assert get("performance/64")["bins"] == []


@pytest.mark.parametrize("path, query, status", [
    ("performance/65", {}, 404), ("performance/x", {}, 404), ("performance/1", {"length": "year"}, 400),
    ("performance/1", {"limit": "0"}, 400), ("alarms/history", {"before": "-1"}, 400)])
def test_nonsense_is_refused(get, path, query, status):
    with pytest.raises(Problem) as told:
        get(path, **query)
    assert told.value.status == status


def test_a_control_process_without_a_keeper_says_so(get):
    get.house.adapters.clear()
    with pytest.raises(Problem, match="no chassis|not found"):
        get("alarms")
