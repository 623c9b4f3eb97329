"""Orders to lines with values of wrong types: refused with a sentence before a line hears of them."""

import asyncio
from types import SimpleNamespace

import pytest

from firmware.control.api_lines import LinesAPI
from firmware.control.commands import Problem


@pytest.mark.parametrize("order, body", [("loop", {"kind": "timeslot", "timeslot": value}) for value in ("a", True, 1.5, [1], {})]
                         + [("code", {"code": value}) for value in ([], {}, 5, True)])
def test_an_order_of_a_wrong_type_is_refused(order, body):
    async def ordered(*_):
        pytest.fail("the line heard of it")
    lines = SimpleNamespace(name="lines", loop=ordered, send_code=ordered)
    house = SimpleNamespace(adapters=[lines], config=SimpleNamespace(running=lambda: {"spans": [{"span": 3, "enabled": True}]}))
    with pytest.raises(Problem) as refused:
        asyncio.run(getattr(LinesAPI(SimpleNamespace(house=house)), order)("3", {}, body))
    assert refused.value.status == 400
