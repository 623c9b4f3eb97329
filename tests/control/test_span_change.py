"""Configuration changes of a PRI span with calls up: in place, or an orderly end that the far end hears of."""

import asyncio
import copy
import pathlib
import sys

import pytest

from firmware.links import span_change

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from test_pri_call import house_with_far, kill, run, settle, span     # noqa: E402


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(span_change, "LINGER_MS", 20)


async def apply(house, change):
    candidate = copy.deepcopy(house.config.running())
    change(candidate)
    await house.apply_configuration(candidate, candidate["revision"])
    await settle()


async def talking(site, calls=1):
    house, media, far = await house_with_far(site)
    for timeslot in range(5, 5 + calls):
        far.call(timeslot=timeslot)
    await settle()
    far.exchange()
    assert len(house.state()["calls"]) == calls
    far.events.clear()
    return house, media, far


def let_go(far):
    """The far end does what a DISCONNECT asks for."""
    far.exchange()
    for call in far.machine.calls():
        if far.machine.call_state(call)["state"].startswith("N11"):
            far.request("release_request", call)


async def until(condition, far=None):
    for _ in range(200):
        if far is not None:
            let_go(far)
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited 2 s in vain")


def disabled(config):
    config["spans"][0]["enabled"] = False


def moved(config):
    config["spans"][0]["d_timeslot"] = 15


def test_what_needs_no_restart_touches_no_call(site):
    async def scenario():
        house, media, far = await talking(site)
        machine = house.adapters[0].spans[1].machine
        sent = len(media.sent)

        def change(config):
            group = dict(config["trunk_groups"][0], name="other", overlap_receiving=False)
            config["trunk_groups"].append(group)
            config["spans"][0]["trunk_group"] = "other"
        await apply(house, change)
        assert house.adapters[0].spans[1].machine is machine and len(media.sent) == sent
        assert media.of("link_close") == [] and len(house.state()["calls"]) == 1
        assert span(house)["trunk_group"] == "other" and span(house)["state"] == "up"
        call = far.call(called="0215", complete=False, timeslot=9)
        await settle()
        far.exchange()
        assert "setup_ack_indication" not in far.names() and call not in far.machine.calls()
        machines = house.stores.machines
        assert machines.load("q931.row/1")["row"]["trunk_group"] == "other" and "row" not in machines.load("q931/1")
        kill(house)
        house, _ = site.whole(media)
        await house.start()
        await settle()
        assert len(house.state()["calls"]) == 1 and media.of("link_close") == []
        await house.stop()
    run(scenario())


def test_a_span_taken_out_releases_its_calls_first(site):
    async def scenario():
        house, media, far = await talking(site, calls=2)
        await apply(house, disabled)
        far.exchange()
        told = [event for event in far.events if event["event"] == "disconnect_indication"]
        assert [event["cause"] for event in told] == [38, 38]
        assert house.state()["calls"] == [] and media.of("link_close") == []
        assert [(cdr["cause"], cdr["released_by"]) for cdr in house.stores.cdrs.page(2)] == [(38, "switch")] * 2
        far.call(timeslot=9, exclusive=True)
        far.call(timeslot=10, exclusive=False)
        assert [event["cause"] for event in far.events if event["event"] == "released"] == [44, 38]
        assert span(house)["state"] == "down"
        await until(lambda: media.of("link_close"), far)
        await settle()
        assert media.of("link_close") == [{"link": 1}] and far.machine.calls() == []
        kinds = [kind for link, kind, _ in media.sent if link == 1]
        assert kinds[-1] == "dl_release_request"
        assert [row["span"] for row in house.state()["spans"]] == [2]
        assert house.stores.machines.names("q931/1") == [] == house.stores.machines.names("q931.row/1") and media.standing["terminations"] == []
        await house.stop()
    run(scenario())


def test_a_far_end_that_does_not_answer(site, monkeypatch):
    monkeypatch.setattr(span_change, "CLOSING_MS", 200)

    async def scenario():
        house, media, far = await talking(site)
        await apply(house, disabled)
        await until(lambda: len(house.state()["spans"]) == 1)
        assert media.of("link_close") == [{"link": 1}] and house.stores.machines.names("q931/1") == [] == house.stores.machines.names("q931.row/1")
        await house.stop()
    run(scenario())


def test_a_span_without_its_link_goes_at_once(site):
    async def scenario():
        house, media, far = await talking(site)
        media.up("dl_release_indication")
        await apply(house, disabled)
        assert house.state()["calls"] == []
        await until(lambda: len(house.state()["spans"]) == 1)
        await house.stop()
    run(scenario())


def test_a_span_that_restarts_begins_idle_on_both_sides(site):
    async def scenario():
        house, media, far = await talking(site)
        await apply(house, moved)
        await until(lambda: len(media.of("link_open")) == 3, far)
        await settle()
        assert media.of("link_open")[-1]["timeslot"] == 15
        far.machine.link_down(far.now())
        far.machine.link_up(far.now())
        stale = far.machine.new_call()
        far.machine.request("setup_request", stale, far.now(), called="1", timeslot=7)
        far.machine.take_output()
        far.events.clear()
        far.up()
        far.exchange()
        assert "restart_indication" in far.names() and far.machine.calls() == []
        assert span(house)["state"] == "up" and house.adapters[0].spans[1].machine._restarts == []
        call = far.call(timeslot=7)
        await settle()
        far.exchange()
        assert "setup_confirm" in far.names() and call in far.machine.calls()
        await house.stop()
    run(scenario())


def test_an_unanswered_restart_is_not_repeated_over_new_calls(site):
    async def scenario():
        house, media, far = await talking(site)
        machine = house.adapters[0].spans[1].machine
        machine._restarts.append([machine.config["timeslots"], True, 1])
        sent = len(media.sent)
        media.up("dl_establish_indication")
        await settle()
        kinds = [octets[4] for _, kind, octets in media.sent[sent:] if octets]
        assert 0x46 not in kinds and machine._restarts == []        # RESTART
        await house.stop()
    run(scenario())


@pytest.mark.parametrize("change", [disabled, moved])
@pytest.mark.parametrize("moment", range(7))
def test_a_kill_in_the_middle_of_the_change(site, change, moment):
    """The n-th commit after the change of the file is the last thing the process does; moment 0: not even that."""
    async def scenario():
        house, media, far = await talking(site)
        commit, commits = house.turns._commit, []

        class Killed(BaseException):
            pass

        def commit_and_die(now_ms):
            if len(commits) >= moment:
                raise Killed
            commit(now_ms)
            commits.append(1)
        house.turns._commit = commit_and_die
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        try:
            await apply(house, change)
            await until(lambda: len(commits) >= moment, far)
        except Killed:
            pass
        kill(house)
        opened = len(media.of("link_open"))
        house, _ = site.whole(media)
        await house.start()
        spans = house.adapters[0].spans
        if change is disabled:
            await until(lambda: 1 not in spans, far)
        else:
            await until(lambda: 1 in spans and spans[1].row["d_timeslot"] == 15 and spans[1].closing_ms is None
                        and any(row["timeslot"] == 15 for row in media.of("link_open")[opened:]), far)
            far.up()
        await until(lambda: far.machine.calls() == [], far)
        assert {"link": 1} in media.of("link_close")
        assert house.state()["calls"] == [] and media.standing["terminations"] == []
        assert house.stores.cdrs.page(1)[0]["cause"] in (38, 41)
        await house.stop()
    run(scenario())
