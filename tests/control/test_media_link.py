"""What media refuses, drops or says strangely."""

import asyncio

import pytest

from firmware.errors import LocalError
from tests.control import test_pri_call as pri


def refusing(media, wanted, cause=47):
    """Make media refuse one kind of command."""
    call = media.call

    async def refuse(do, **parameters):
        if do == wanted:
            await asyncio.sleep(0)
            media.commands.append((do, parameters))
            error = LocalError("media: refused for the test")
            error.cause = cause
            raise error
        return await call(do, **parameters)
    media.call = refuse


@pytest.mark.parametrize("wanted", ["add", "signal", "detect", "tones", "link_open"])
def test_a_refusal_never_stops_the_house(site, wanted):
    async def scenario():
        house, media = site.whole()
        refusing(media, wanted)
        await house.start()
        far = pri.Far(media, house)
        await pri.settle()
        far.up()
        far.exchange()
        far.call()
        for _ in range(5):
            await pri.settle()
            far.exchange()
        assert house.turns.exceptions == 0 and house.media.refused
        if wanted == "add":
            assert [e["cause"] for e in far.events if e["event"] in ("disconnect_indication", "released")][:1] == [47]
        for call in far.machine.calls():
            far.request("release_request", call, cause=16)
        for _ in range(5):
            await pri.settle()
            far.exchange()
        assert house.state()["calls"] == [] and far.machine.calls() == []
        await house.stop()
    pri.run(scenario())


def test_legs_that_have_a_timeslot_one_after_the_other_in_one_turn_leave_it(site):
    """As where the far exchange resets circuits on which calls are hunted on: who had it last has it, nobody else stays."""
    async def scenario():
        house, media, _ = site.house()
        await house.start()
        await pri.settle()
        media.commands.clear()

        def turn(now_ms):
            for leg in ("l91", "l92", "l93"):
                house.media.command("add", id=leg, kind="timeslot", span=9, timeslot=2, law="A")
            house.media.subtract("l91")
            house.media.subtract("l92")
        house.turns.run("three calls", turn)
        await pri.settle()
        holder = None
        for do, given in media.commands:
            if do == "add":
                assert holder is None, "media refuses who comes to a timeslot that is in use"
                holder = given["id"]
            elif do == "subtract" and given["id"] == holder:
                holder = None
        assert holder == "l93"
        await house.stop()
    pri.run(scenario())


def test_a_recording_that_cannot_be_written_is_in_the_index_with_its_reason(site):
    async def scenario():
        house, media, legs = site.house()
        refusing(media, "record")
        await house.start()
        legs.offer("l1")
        await pri.settle()
        row = house.stores.recordings.get("r1")
        assert row["state"] == "failed"
        media.event("record_failed", "r1", error="disk full")
        assert [e for e in house.switchboard.seen if e["kind"] == "media.record_failed"]
        await house.stop()
    pri.run(scenario())


def test_a_folder_that_cannot_be_made_costs_the_recording_and_not_the_call(site):
    async def scenario():
        house, media, legs = site.house()
        (site.data / "recordings").write_text("a file in its place")
        await house.start()
        legs.offer("l1")
        await pri.settle()
        assert house.stores.recordings.get("r1")["state"] == "failed"
        assert [e["recording"] for e in house.switchboard.seen if e["kind"] == "media.record_failed"] == ["r1"]
        assert not [command for command in media.commands if command[0] == "record"]
        assert house.turns.exceptions == 0 and legs.dropped == [] and house.switchboard.calls == {"c1": "l1"}
        await house.stop()
    pri.run(scenario())


def test_strange_events_are_passed_over_and_acknowledged(site, caplog):
    async def scenario():
        house, media, legs = site.house()
        await house.start()
        media.event("something_new", "l1")
        media.event("media_failed", "l1", error="socket")
        media.event("digit", "nobody", digit="1", duration_ms=1)
        media.link._event({"event": 4, "kind": "digit"})            # no id
        media.link._event({"event": 5, "kind": "record_closed", "id": "r9"})
        await pri.settle()
        assert media.acks[-1] == 5 and house.health()["media"]["connected"]
        await house.stop()
    pri.run(scenario())


def test_a_fax_machine_is_listened_for_and_in_the_journal(site):
    async def scenario():
        house, media = site.whole()
        await house.start()
        for row in house.switchboard.core.group_rows.values():
            row["fax_detection"] = True
        far = pri.Far(media, house)
        await pri.settle()
        far.up()
        far.exchange()
        far.call()
        for _ in range(5):
            await pri.settle()
            far.exchange()
        wished = [parameters for do, parameters in media.commands if do == "detect"]
        assert wished and wished[-1]["modem"] is True and wished[-1]["dtmf"] is True
        media.event("modem_tone", wished[-1]["id"], tone="cng", on=True)
        await pri.settle()
        assert house.state()["calls"][0]["legs"][0]["fax"] == ["cng"]
        await house.stop()
    pri.run(scenario())
