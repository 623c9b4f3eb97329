"""How many messages wait for one agent at most, and how the desk shows them."""

from firmware.control import core_broadcasts
from tests.control.desk_rig import DeskHouse, run
from tests.control.test_roles import configure
from webui.render import render


def test_an_agent_has_so_many_messages_to_see_at_most(site, monkeypatch):
    monkeypatch.setattr(core_broadcasts, "MOST_EACH", 3)

    async def scenario():
        async with DeskHouse(site, configure) as desk:
            sent = [(await desk.ask("POST", "/v1/broadcasts", {"text": "t", "agents": ["1001"]}))["broadcast"] for _ in range(3)]
            error = await desk.refused("POST", "/v1/broadcasts", {"text": "t", "agents": ["1002", "1001"]})
            assert error.status == 409 and "gent 1001 has 3 messages to see" in str(error)
            await desk.ask("POST", "/v1/broadcasts/%s/seen" % sent[0], {"agent": "1001"})
            await desk.ask("POST", "/v1/broadcasts", {"text": "t", "agents": ["1002", "1001"]})
    run(scenario())


def test_the_desk_shows_the_newest_first_in_a_box_below_the_status():
    messages = [{"broadcast": "g%d" % n, "urgent": False, "by": "sue", "at_ms": 1_790_000_000_000 + n, "text": "t", "agents": ["1001"]} for n in (1, 2, 3)]
    row = {"name": "1001", "status": "available", "state": "idle", "reason": None, "since_ms": 1, "line": "1001", "registered": True, "undone": None, "locked": False}
    html = render("part_desk_me.html", "en", agent="1001", row=row, messages=messages, now={}, away=False, zone="UTC", reasons=[])
    places = [html.index(mark) for mark in ('id="status"', 'class="messages"', 'data-all-seen="g1 g2 g3"', 'data-broadcast="g3"', 'data-broadcast="g1"')]
    assert places == sorted(places)
