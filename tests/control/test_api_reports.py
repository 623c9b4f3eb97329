"""Reports over the local API: bad parameters in sentences, JSON and CSV."""

import pytest

from firmware.control.client import ControlError
from tests.control.test_api import served


def test_reports(site):
    def scenario(client, house, legs, call):
        client.put("/v1/agents/1001/status", {"status": "available"})
        for part in ("queues", "agents", "trunk_groups"):
            assert client.get("/v1/reports/" + part)["formulas"]
        rows = client.get("/v1/reports/agents", interval="day")["rows"]
        assert [row["name"] for row in rows] == ["1001"] and rows[0]["occupancy"] == 0
        octets = client.get("/v1/reports/agents", format="csv")
        assert octets.startswith(b"\xef\xbb\xbfstart,end,name,offered") and b"\r\n" in octets
        assert client.post("/v1/reports/check") == {"differed": []}
        for query, words in (({"from": "yesterday"}, "2026-11-22"), ({"from": "2026-11-22T08:07"}, "quarter"), ({"interval": "moon"}, "half"),
                             ({"format": "pdf"}, "csv"), ({"from": "2026-11-22", "to": "2026-11-21"}, "later"),
                             ({"from": "2000-01-01", "interval": "quarter"}, "shorter")):
            with pytest.raises(ControlError) as error:
                client.get("/v1/reports/queues", **query)
            assert error.value.status == 400 and words in str(error.value), query
        with pytest.raises(ControlError) as error:
            client.get("/v1/reports/moons")
        assert error.value.status == 404
    served(site, scenario)
