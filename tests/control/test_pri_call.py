"""Calls over a PRI span: real core, real Q.931 on both ends, media as a stand-in."""

import asyncio

import pytest

from firmware.proto.q931.link import Q931Link

NUMBER = "02150801000"


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario, 90))


class Far:
    """The carrier's side of span 1."""

    def __init__(self, media, house, timers=None):
        self.machine = Q931Link("network", "etsi", {"timers": timers or {}})
        self.media, self.house, self.events, self.seen = media, house, [], 0

    def now(self):
        return self.house.clock.now_ms()

    def up(self):
        self.media.standing["links"] = [{"link": 1, "state": "up"}]
        self.events += self.machine.link_up(self.now())
        self.media.up("dl_establish_confirm")

    def request(self, primitive, call, **given):
        self.events += self.machine.request(primitive, call, self.now(), **given)
        self.exchange()

    def exchange(self):
        """Carry messages until both ends are quiet."""
        while True:
            out = self.machine.take_output()
            for octets in out:
                self.media.up("dl_data_indication", octets=octets)
            new = [octets for link, kind, octets in self.media.sent[self.seen:] if kind == "dl_data_request" and link == 1]
            self.seen = len(self.media.sent)
            for octets in new:
                self.events += self.machine.receive(octets, self.now())
            if not out and not new:
                return

    def call(self, called=NUMBER, complete=True, timeslot=5, **more):
        call = self.machine.new_call()
        self.request("setup_request", call, called=called, caller={"number": "13912345678", "presentation": "allowed"},
                     redirecting={"number": "4008001000"}, timeslot=timeslot, complete=complete, **more)
        return call

    def names(self):
        return [event["event"] for event in self.events]


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def house_with_far(site, media=None):
    house, media = site.whole(media)
    await house.start()
    await settle()
    far = Far(media, house)
    far.up()
    far.exchange()
    return house, media, far


def kill(house):
    """kill -9: nothing is closed in order, nothing more is sent."""
    house._server.should_exit = house._server.force_exit = True
    if house._timer:
        house._timer.cancel()
    for task in list(house._tasks):
        task.cancel()
    house.media.client.connected = False
    house.media.client = None
    house.database._asked.put(None)
    house.database._keeper.join()
    house.database.write.close()


def span(house):
    return house.state()["spans"][0]


def test_the_links_are_opened_and_established(site):
    async def scenario():
        house, media, far = await house_with_far(site)
        opened = media.of("link_open")
        assert [(row["link"], row["timeslot"], row["side"]) for row in opened] == [(1, 16, "user"), (2, 16, "user")]
        assert (1, "dl_establish_request", b"") in media.sent
        assert span(house)["state"] == "up"
        assert [slot["state"] for slot in span(house)["timeslots"]].count("idle") == 30
        assert house.state()["spans"][1]["state"] == "down"
        await house.stop()
    run(scenario())


def test_a_call_en_bloc_is_answered_and_cleared_by_the_caller(site):
    async def scenario():
        house, media, far = await house_with_far(site)
        call = far.call()
        await settle()
        far.exchange()
        assert "setup_confirm" in far.names()
        added = media.of("add")[0]
        assert (added["kind"], added["span"], added["timeslot"], added["law"]) == ("timeslot", 1, 5, "A")
        assert media.of("signal")[0]["items"][0]["file"].endswith("zh_CN/greeting.wav")
        assert [slot for slot in span(house)["timeslots"] if slot["timeslot"] == 5][0]["state"] == "busy"
        assert house.state()["calls"][0]["caller"] == "13912345678"
        far.request("disconnect_request", call, cause=16)
        await settle()
        far.exchange()
        assert far.machine.calls() == [] and house.state()["calls"] == []
        cdr = house.stores.cdrs.page(1)[0]
        assert (cdr["cause"], cdr["released_by"], cdr["called"], cdr["redirecting"]) == (16, "caller", NUMBER, "4008001000")
        assert media.standing["terminations"] == []
        assert house.stores.machines.names("q931/1/") == []
        assert house.stores.outbox.pending() == []
        await house.stop()
    run(scenario())


def test_overlap_receiving_collects_the_digits(site):
    async def scenario():
        house, media, far = await house_with_far(site)
        call = far.call(called="0215", complete=False)
        assert "setup_ack_indication" in far.names()
        for digit in NUMBER[4:]:
            far.request("information_request", call, digits=digit)
        await settle()
        far.exchange()
        assert "setup_confirm" in far.names()
        assert house.state()["calls"][0]["called"] == NUMBER
        await house.stop()
    run(scenario())


def test_an_unknown_number_is_refused(site):
    async def scenario():
        house, media, far = await house_with_far(site)
        far.call(called="999999")
        await settle()
        far.exchange()
        released = [event for event in far.events if event["event"] in ("released", "disconnect_indication")][0]
        assert released["cause"] == 1 and house.state()["calls"] == []
        await house.stop()
    run(scenario())


def test_a_kill_in_the_call_leaves_it_up_and_it_clears_afterwards(site):
    async def scenario():
        house, media, far = await house_with_far(site)
        call = far.call()
        await settle()
        far.exchange()
        establishments = [row for row in media.sent if row[1] == "dl_establish_request" and row[0] == 1]
        kill(house)
        far.events.clear()
        media.standing["terminations"][0]["enhance"] = {"echo": True, "noise": False, "level": "off", "vad": False}
        house, _ = site.whole(media)
        await house.start()
        await settle()
        far.exchange()
        assert [row["echo"] for row in media.of("enhance")] == [False]          # as the configuration has it
        assert [row for row in media.sent if row[1] == "dl_establish_request" and row[0] == 1] == establishments
        assert not [name for name in far.names() if name in ("released", "disconnect_indication", "restart_indication")]
        assert len(house.state()["calls"]) == 1 and span(house)["state"] == "up"
        assert len(media.of("add")) == 1
        far.request("disconnect_request", call, cause=16)
        await settle()
        far.exchange()
        assert far.machine.calls() == []
        assert house.stores.cdrs.page(1)[0]["released_by"] == "caller"
        assert media.standing["terminations"] == []
        await house.stop()
    run(scenario())


@pytest.mark.parametrize("moment", range(6))
def test_a_kill_between_commit_and_effect_still_has_the_effect(site, moment):
    """The commit of the n-th turn of a call is the last thing the process does."""
    async def scenario():
        house, media, far = await house_with_far(site)
        commit, turns = house.turns._commit, []

        class Killed(BaseException):
            pass

        def commit_and_die(now_ms):
            commit(now_ms)
            turns.append(1)
            if len(turns) > moment:
                raise Killed
        house.turns._commit = commit_and_die
        try:
            call = far.call()
            await settle()
            far.exchange()
            media.play_out()
            far.request("disconnect_request", call, cause=16)
            await settle()
            far.exchange()
        except Killed:
            pass
        kill(house)
        house, _ = site.whole(media)
        await house.start()
        await settle()
        far.exchange()
        await settle()
        for call in far.machine.calls():
            far.request("release_request", call, cause=16)
        await settle()
        far.exchange()
        assert far.machine.calls() == [] and house.state()["calls"] == []
        assert media.standing["terminations"] == []
        assert house.stores.machines.names("q931/1/") == []
        await house.stop()
    run(scenario())


def test_media_dies_in_the_call(site):
    async def scenario():
        house, media, far = await house_with_far(site)
        far.call()
        await settle()
        far.exchange()
        far.events.clear()
        far.events += far.machine.link_down(far.now())
        media.die("boot2")
        assert house.state()["calls"] == [] and house.stores.cdrs.page(1)[0]["cause"] == 41
        await asyncio.sleep(0.2)
        assert len(media.of("link_open")) == 4
        far.seen = len(media.sent)
        far.up()
        await settle()
        far.exchange()
        await settle()
        far.exchange()
        cleared = [event for event in far.events if event["event"] in ("disconnect_indication", "released")]
        assert cleared and cleared[0]["cause"] == 41
        for call in far.machine.calls():
            far.request("release_request", call, cause=41)
        assert far.machine.calls() == [] and house.adapters[0].spans[1].machine.calls() == []
        assert span(house)["state"] == "up"
        far.call(timeslot=5)
        await settle()
        far.exchange()
        assert "setup_confirm" in far.names()
        await house.stop()
    run(scenario())


@pytest.mark.parametrize("killed", (False, True))
@pytest.mark.parametrize("known", ("SETUP", "CONNECT"))
def test_media_dies_before_connect_is_acknowledged(site, known, killed):
    """The far end sees a reset (5.8.8), keeps its call and asks nothing, as libpri: it is told, even by the next control process."""
    async def scenario():
        house, media, far = await house_with_far(site)
        call = far.machine.new_call()
        far.machine.request("setup_request", call, far.now(), called=NUMBER, timeslot=5, complete=True, caller=None, redirecting=None)
        for octets in far.machine.take_output():
            media.up("dl_data_indication", octets=octets)
        await settle()
        for link, kind, octets in media.sent[far.seen:]:
            if known == "CONNECT" and kind == "dl_data_request" and link == 1:
                far.machine.receive(octets, far.now())
        assert far.machine.take_output() if known == "CONNECT" else True      # CONNECT ACKNOWLEDGE dies with media
        assert house.adapters[0].spans[1].machine.call_state("f1")["state"].startswith("U8")
        media.die("boot2")
        assert house.state()["calls"] == [] and house.adapters[0].spans[1].machine.calls() == []
        await asyncio.sleep(0.2)
        if killed:
            kill(house)
            house, _ = site.whole(media)
            far.house = house
            await house.start()
            await settle()
        far.seen = len(media.sent)
        far.machine.link_up(far.now())
        far.machine.take_output()
        assert far.machine.calls() == [call]
        media.standing["links"] = [{"link": 1, "state": "up"}]
        media.up("dl_establish_confirm")
        await settle()
        far.exchange()
        assert [(event["event"], event["cause"]) for event in far.events if event["event"] == "released"] == [("released", 41)]
        assert far.machine.calls() == [] and media.standing["terminations"] == []
        far.call(timeslot=5)
        await settle()
        far.exchange()
        assert "setup_confirm" in far.names()
        await house.stop()
    run(scenario())


@pytest.mark.parametrize("end", ("far", "media"))
def test_what_the_network_did_not_answer_is_told(site, end):
    """A question that is open when the call ends, or when media dies under it, does not stay "asked" in the journal."""
    async def scenario():
        house, media, far = await house_with_far(site)
        call = far.call()
        await settle()
        far.exchange()
        name = house.state()["calls"][0]["call"]
        await house.command({"kind": "command.malicious", "call": name})
        if end == "far":
            far.machine.request("disconnect_request", call, far.now(), cause=16)
            for octets in far.machine.take_output():
                media.up("dl_data_indication", octets=octets)
        else:
            media.die("boot2")
        await settle()
        assert house.state()["calls"] == []
        rows = [row["data"] for row in house.stores.journal.of_call(name) if row["kind"] == "leg.malicious"]
        assert [row["outcome"] for row in rows] == ["asked", "failed"] and "ended before the network answered" in rows[1]["why"]
        await house.stop()
    run(scenario())


def test_a_hang_up_lost_with_the_data_link(site):
    """The far end's DISCONNECT went down with the link, and only layer 3 can find out."""
    async def scenario():
        house, media, far = await house_with_far(site)
        call = far.call()
        await settle()
        far.exchange()
        far.machine.request("disconnect_request", call, far.now(), cause=16)
        assert len(far.machine.take_output()) == 1
        media.up("dl_establish_indication")
        far.exchange()
        await settle()
        far.exchange()
        assert house.state()["calls"] == [] and far.machine.calls() == []
        assert house.stores.cdrs.page(1)[0]["released_by"] == "caller"
        assert house.stores.machines.names("q931/1/") == [] and media.standing["terminations"] == []
        await house.stop()
    run(scenario())


def test_hang_up_by_command(site):
    async def scenario():
        house, media, far = await house_with_far(site)
        far.call()
        await settle()
        far.exchange()
        await house.command({"kind": "command.hangup", "call": house.state()["calls"][0]["call"]})
        far.exchange()
        assert "disconnect_indication" in far.names()
        far.request("release_request", far.machine.calls()[0])
        await settle()
        far.exchange()
        assert house.state()["calls"] == [] and far.machine.calls() == []
        assert house.stores.cdrs.page(1)[0]["released_by"] == "switch"
        await house.stop()
    run(scenario())


def test_garbage_on_the_d_channel_costs_nothing(site):
    async def scenario():
        house, media, far = await house_with_far(site)
        for octets in (b"", b"\x08", b"\x08\x02\x00", b"\xff" * 300, b"\x08\x02\x00\x01\x05", b"\x08\x02\x00\x01\x05\x04\x03\x80"):
            media.up("dl_data_indication", octets=octets)
        media.up("dl_something_new")
        assert house.turns.exceptions == 0
        far.exchange()
        far.call()
        await settle()
        far.exchange()
        assert "setup_confirm" in far.names()
        await house.stop()
    run(scenario())


def test_a_call_costs_the_same_however_many_are_up(site):
    """Turns and records of a call do not grow with the calls that are up; what they cost in time is a matter of `make bench`."""
    async def scenario():
        house, media, far = await house_with_far(site)
        costs = []
        for timeslots in (range(1, 7), range(7, 13), range(17, 23), range(23, 29)):
            before = house.turns.turns, house.stores.journal.last_seq()
            for timeslot in timeslots:
                far.call(timeslot=timeslot)
            await settle()
            far.exchange()
            costs.append((house.turns.turns - before[0], house.stores.journal.last_seq() - before[1]))
        assert len(house.state()["calls"]) == 24
        assert all(turns > 0 and records > 0 for turns, records in costs)
        assert costs[2:] == [costs[1]] * 2 and costs[1][0] <= 10 * 6, costs
        await house.stop()
    run(scenario())
