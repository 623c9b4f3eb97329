"""Outgoing calls over PRI spans: real core, real Q.931 on both ends, media as a stand-in.

Calls out are tandem calls here: they come in on span 1 and go out on span 2, whose far end is
the network or, where we are the network, the user."""

import asyncio
import urllib.parse

import pytest

from firmware.cli.__main__ import main as strowger
from firmware.config.store import ConfigStore
from firmware.control.client import ControlClient, ControlError
from firmware.proto.q931.link import Q931Link
from tests.control.test_pri_call import Far, kill, run, settle

OUT = "02150801009"


class FarOut(Far):
    """The far end of span 2; it remembers what it was asked for."""

    def __init__(self, media, house, side="network"):
        super().__init__(media, house)
        self.machine = Q931Link(side, "etsi")

    def up(self):
        self.media.standing["links"].append({"link": 2, "state": "up"})
        self.events += self.machine.link_up(self.now())
        self.media.up("dl_establish_confirm", link=2)

    def exchange(self):
        while True:
            out = self.machine.take_output()
            for octets in out:
                self.media.up("dl_data_indication", link=2, octets=octets)
            new = [octets for link, kind, octets in self.media.sent[self.seen:] if kind == "dl_data_request" and link == 2]
            self.seen = len(self.media.sent)
            for octets in new:
                self.events += self.machine.receive(octets, self.now())
            if not out and not new:
                return

    def setups(self):
        return [event for event in self.events if event["event"] == "setup_indication"]


def configure(site, side="user", **group):
    store = ConfigStore(site.data / "configuration.json")
    config = dict(store.running())
    config["trunk_groups"] = config["trunk_groups"] + [dict({"name": "out", "selection": "ascending"}, **group)]
    config["spans"] = [config["spans"][0], dict(config["spans"][1], trunk_group="out", side=side)]
    config["numbers"] = config["numbers"] + [{"number": OUT, "application": "outside", "target": "913800001111"}]
    config["routes"] = [{"number": "9.", "choices": [{"trunk_group": "out", "strip": 1}]}]
    store.apply(config, config["revision"])


class World:
    """One house, the carrier on span 1, another exchange on span 2."""

    def __init__(self, site):
        self.site = site

    async def start(self, side="network"):
        self.house, self.media = self.site.whole()
        await self.house.start()
        await settle()
        self.far = Far(self.media, self.house)
        self.far.up()
        self.out = FarOut(self.media, self.house, side)
        self.out.up()
        self.far.answered = self.out.answered = 0
        await self.quiet()
        return self

    async def quiet(self):
        for _ in range(3):
            for end in (self.far, self.out):
                end.exchange()
                for event in end.events[end.answered:]:
                    if event["event"] == "disconnect_indication":
                        end.request("release_request", event["call"])
                end.answered = len(end.events)
            await settle()

    async def call(self, **more):
        call = self.far.call(called=OUT, **more)
        await self.quiet()
        return call

    async def says(self, primitive, **given):
        """The called side answers our SETUP."""
        self.out.request(primitive, self.out.setups()[-1]["call"], **given)
        await self.quiet()

    async def killed(self):
        kill(self.house)
        self.house, _ = self.site.whole(self.media)
        self.far.house = self.out.house = self.house
        await self.house.start()
        await settle()
        await self.quiet()

    def leg(self):
        """The outgoing leg, as the API shows it."""
        return self.house.state()["calls"][0]["legs"][1]

    async def over(self):
        """Nothing may be left anywhere."""
        await self.quiet()
        assert self.far.machine.calls() == [] and self.out.machine.calls() == [] and self.house.state()["calls"] == []
        assert self.media.standing["terminations"] == [] and self.media.standing["bridges"] == []
        assert not [name for name in self.house.stores.machines.names("q931/") if name.count("/") == 2]
        cdr = self.house.stores.cdrs.page(1)[0]
        await self.house.stop()
        return cdr


def scenario(site, function, side="network", ours="user", **group):
    async def play():
        configure(site, ours, **group)
        await function(await World(site).start(side))
    run(play())


@pytest.mark.parametrize("side, ours", (("network", "user"), ("user", "network")))
def test_a_call_goes_out_is_answered_and_cleared(site, side, ours):
    async def play(world):
        call = await world.call()
        setup = world.out.setups()[0]
        assert (setup["called_digits"], setup["called_complete"], setup["timeslot"]) == ("13800001111", True, 1)
        assert setup["caller"]["number"] == "13912345678" and setup["redirecting"]["number"] == OUT
        assert "proceeding_indication" in world.far.names()
        assert [row["span"] for row in world.media.of("add")] == [1], "no termination before the channel is certain"
        await world.says("proceeding_request")
        assert [(row["span"], row["timeslot"]) for row in world.media.of("add")] == [(1, 5), (2, 1)]
        await world.says("alerting_request")
        assert "alerting_indication" in world.far.names() and "setup_confirm" not in world.far.names()
        assert world.leg()["state"] == "alerting" and world.leg()["trunk_group"] == "out"
        await world.says("setup_response")
        assert "setup_confirm" in world.far.names()
        assert len(world.media.standing["bridges"]) == 1 and len(world.media.standing["bridges"][0]["legs"]) == 2
        slot = [slot for slot in world.house.state()["spans"][1]["timeslots"] if slot["timeslot"] == 1][0]
        assert slot["state"] == "busy" and slot["call"]
        world.far.request("disconnect_request", call, cause=16)
        cdr = await world.over()
        assert (cdr["out_span"], cdr["out_timeslot"], cdr["dialled"], cdr["released_by"]) == (2, 1, "13800001111", "caller")
    scenario(site, play, side, ours)


def test_the_called_party_clears_and_the_cause_goes_through(site):
    async def play(world):
        await world.call()
        await world.says("setup_response")
        world.out.request("disconnect_request", world.out.setups()[0]["call"], cause=31)
        await world.quiet()
        assert [e["cause"] for e in world.far.events if e["event"] == "disconnect_indication"] == [31]
        cdr = await world.over()
        assert (cdr["cause"], cdr["released_by"], cdr["result"]) == (31, "callee", "answered")
    scenario(site, play)


@pytest.mark.conformance("Q.931", "5.1.6", "in-band information: the path is cut through before the answer and the caller told")
def test_inband_information_is_cut_through(site):
    async def play(world):
        await world.call()
        await world.says("proceeding_request", inband=True)
        assert [e["inband"] for e in world.far.events if e["event"] == "progress_indication"] == [True]
        assert len(world.media.standing["bridges"]) == 1
        await world.says("alerting_request")
        assert [e["inband"] for e in world.far.events if e["event"] == "alerting_indication"] == [True]
        world.out.request("disconnect_request", world.out.setups()[0]["call"], cause=17)
        await world.quiet()
        assert [e["cause"] for e in world.far.events if e["event"] == "disconnect_indication"] == [17]
        assert (await world.over())["result"] == "busy"
    scenario(site, play)


@pytest.mark.conformance("Q.931", "5.3.4.1", "DISCONNECT with in-band information before the answer: the caller listens to it")
@pytest.mark.parametrize("end", ("network", "caller", "killed"))
def test_an_announcement_in_a_disconnect_is_heard(site, end):
    async def play(world):
        call = await world.call()
        await world.says("proceeding_request")
        out = world.out.setups()[0]["call"]
        world.out.request("disconnect_request", out, cause=1, inband=True)
        await world.quiet()
        assert len(world.media.standing["bridges"]) == 1 and world.house.state()["calls"][0]["state"] == "ringing"
        assert [e["inband"] for e in world.far.events if e["event"] == "progress_indication"] == [True]
        if end == "network":
            world.house.clock._offset_ns += 31_000_000_000              # T306 of the network
            world.out.events += world.out.machine.expire(world.out.now())
        elif end == "caller":
            world.far.request("disconnect_request", call, cause=16)
        else:
            await world.killed()
        cdr = await world.over()
        assert (cdr["cause"], cdr["result"]) == ((16, "abandoned") if end == "caller" else (1, "failed"))
    scenario(site, play)


def test_an_announcement_of_congestion_is_not_waited_for(site):
    async def play(world):
        await world.call()
        await world.says("proceeding_request")
        world.out.request("disconnect_request", world.out.setups()[0]["call"], cause=34, inband=True)
        await world.quiet()
        assert [e["cause"] for e in world.far.events if e["event"] == "disconnect_indication"] == [34]
        await world.over()
    scenario(site, play)


@pytest.mark.conformance("Q.931", "5.1.3", "SETUP ACKNOWLEDGE after a whole number: INFORMATION with Sending complete")
def test_a_far_end_that_asks_for_more_digits(site):
    async def play(world):
        call = await world.call()
        await world.says("setup_ack_request")
        assert [e["complete"] for e in world.out.events if e["event"] == "information_indication"] == [True]
        await world.says("setup_response")
        world.far.request("disconnect_request", call, cause=16)
        await world.over()
    scenario(site, play)


@pytest.mark.conformance("Q.931", "5.7", "glare on the user side: the network's call wins, ours takes another channel")
def test_glare_with_the_network(site):
    async def play(world):
        real, held = world.media.send_signalling, []
        world.media.send_signalling = lambda link, kind, octets=b"": held.append((link, kind, octets)) if link == 2 else real(link, kind, octets)
        call = world.far.call(called=OUT)                   # our SETUP for timeslot 1 of span 2 is on its way ...
        await settle()
        glare = world.out.machine.new_call()                # ... when the network's for the same one comes
        world.out.request("setup_request", glare, called="02150801000", timeslot=1, exclusive=True)
        await settle()
        world.media.send_signalling = real
        for row in held:
            real(*row)
        await world.quiet()
        assert "setup_confirm" in world.out.names(), "the network's call is answered"
        assert world.out.setups()[-1]["timeslot"] == 2, "ours goes out on the next one"
        await world.says("setup_response")
        assert "setup_confirm" in world.far.names()
        seized = {(leg["span"], leg["timeslot"]) for each in world.house.state()["calls"] for leg in each["legs"]}
        assert seized == {(1, 5), (2, 1), (2, 2)}
        world.far.request("disconnect_request", call, cause=16)
        world.out.request("disconnect_request", glare, cause=16)
        await world.over()
    scenario(site, play)


def test_a_preferred_channel_is_moved_by_the_far_end(site):
    async def play(world):
        world.out.machine.blocked = [1, 2, 3]
        call = await world.call()
        assert world.out.setups()[0]["timeslot"] == 4
        await world.says("alerting_request")
        assert world.leg()["timeslot"] == 4 and world.media.of("add")[-1]["timeslot"] == 4
        world.far.request("disconnect_request", call, cause=16)
        assert (await world.over())["out_timeslot"] == 4
    scenario(site, play, channel="preferred")


def test_an_exclusive_channel_that_is_refused_is_replaced(site):
    async def play(world):
        world.out.machine.blocked = [1, 2]
        call = await world.call()
        assert world.out.setups()[0]["timeslot"] == 3
        await world.says("setup_response")
        world.far.request("disconnect_request", call, cause=16)
        cdr = await world.over()
        assert (cdr["out_timeslot"], cdr["out_attempts"]) == (3, 3)
    scenario(site, play)


def test_the_far_end_is_silent(site):
    """T303 twice, then no other way: cause 18, in nine seconds of the machines' time."""
    async def play(world):
        world.out.exchange = lambda: None
        call = await world.call()
        for _ in range(2):
            world.house.clock._offset_ns += 5_000_000_000
            world.house.turns.expire()
            await settle()
        await world.quiet()
        sent = [octets for link, kind, octets in world.media.sent if link == 2 and kind == "dl_data_request"]
        assert [octets[4] for octets in sent[-3:]] == [0x05, 0x05, 0x5A], "SETUP, SETUP again, RELEASE COMPLETE"
        assert [e["cause"] for e in world.far.events if e["event"] in ("disconnect_indication", "released")][0] == 18
        assert world.house.state()["calls"] == []
        await world.house.stop()
    scenario(site, play)


def test_the_link_goes_down_during_the_set_up(site):
    async def play(world):
        await world.call()
        await world.says("proceeding_request")
        world.media.up("dl_release_indication", link=2)
        await settle()
        world.far.exchange()
        await settle()
        assert [e["cause"] for e in world.far.events if e["event"] == "disconnect_indication"] == [27]
        await world.house.stop()
    scenario(site, play)


@pytest.mark.conformance("Q.931", "5.8.10", "outgoing calls are asked for by STATUS ENQUIRY after a restart of control")
@pytest.mark.parametrize("steps", range(5))
def test_a_kill_at_any_moment_of_the_set_up(site, steps):
    async def play(world):
        call = await world.call()
        done = [("proceeding_request", {}), ("progress_request", {"inband": True}), ("alerting_request", {}), ("setup_response", {})]
        for primitive, given in done[:steps]:
            await world.says(primitive, **given)
        sent, heard = len(world.media.sent), len(world.out.events)
        await world.killed()
        asked = [octets for link, kind, octets in world.media.sent[sent:] if link == 2 and octets[4:5] == b"\x75"]
        assert len(asked) == (1 if steps else 0), "a SETUP without an answer is repeated by T303, not asked for"
        assert not [e for e in world.out.events[heard:] if e["event"] in ("released", "disconnect_indication", "restart_indication")]
        for primitive, given in done[steps:]:
            await world.says(primitive, **given)
        assert world.house.state()["calls"][0]["state"] == "talking" and "setup_confirm" in world.far.names()
        assert len(world.media.standing["bridges"]) == 1
        world.far.request("disconnect_request", call, cause=16)
        cdr = await world.over()
        assert (cdr["result"], cdr["out_attempts"], cdr["cause"]) == ("answered", 1, 16)
    scenario(site, play)


@pytest.mark.parametrize("moment", range(8))
def test_a_kill_between_commit_and_effect(site, moment):
    """The commit of the n-th turn is the last thing the process does: the call goes on or ends, nothing stays."""
    async def play(world):
        commit, turns = world.house.turns._commit, []

        class Killed(BaseException):
            pass

        def commit_and_die(now_ms):
            commit(now_ms)
            turns.append(1)
            if len(turns) > moment:
                raise Killed
        world.house.turns._commit = commit_and_die
        call = None
        try:
            call = world.far.call(called=OUT)
            await settle()
            for primitive in ("proceeding_request", "alerting_request", "setup_response"):
                world.out.exchange()
                await settle()
                if world.out.setups():
                    world.out.machine.request(primitive, world.out.setups()[-1]["call"], world.out.now())
                    world.out.exchange()
                    await settle()
        except Killed:
            pass
        call = call or world.far.machine.calls()[0]
        await world.killed()
        if world.out.setups() and world.out.machine.calls():
            for primitive in ("proceeding_request", "alerting_request", "setup_response"):
                try:
                    await world.says(primitive)
                except Exception as error:                  # it was past that already
                    assert "not possible" in str(error)
        if world.house.state()["calls"]:
            assert world.house.state()["calls"][0]["state"] == "talking"
        for release in ("disconnect_request", "release_request"):
            if world.far.machine.calls():
                world.far.request(release, call, cause=16)
                await world.quiet()
        assert (await world.over())["call"]
    scenario(site, play)


def test_a_number_that_cannot_be_coded(site):
    """What configuration lets through and Q.931 does not costs its call only."""
    async def play(world):
        world.house.turns.handle({"kind": "leg.offered", "leg": "x1", "tech": "fake", "line": "1001", "caller": "1001", "called": "9" + "1" * 31})
        await world.quiet()
        assert world.house.state()["calls"] or world.house.stores.cdrs.page(1)
        await world.house.stop()
    scenario(site, play)


def test_a_route_is_told_over_the_api_and_at_the_command_line(site, capsys):
    async def play(world):
        client = ControlClient(site.run)

        def ask():
            told = client.get("/v1/routes/9139", line="1001")
            assert told["allowed"] and told["ways"][0]["first"] == [2, 1]
            assert client.get("/v1/routes/9139", trunk_group="carrier")["cause"] == 1
            for path, query, status in (("9139", {}, 422), ("9139", {"line": "1001", "trunk_group": "out"}, 422), ("9139", {"line": "x"}, 404),
                                        ("9" * 65, {"line": "1001"}, 422), ("%0a", {"line": "1001"}, 422), ("%E4", {"line": "1001"}, 422)):
                with pytest.raises(ControlError) as error:
                    client.get("/v1/routes/" + path, **query)
                assert error.value.status == status
            capsys.readouterr()
            assert strowger(["--run", str(site.run), "route", "9139", "--line", "1001"]) == 0
            assert "TRUNK GROUP" in capsys.readouterr().out
            for written in ("9-139", "（９） 139", "9\u00a01 3\u20119"):
                assert client.get("/v1/routes/" + urllib.parse.quote(written, safe=""), trunk_group="carrier", caller="(021) 5555")["digits"] == "9139"
                assert strowger(["--run", str(site.run), "route", written, "--line", "1001"]) == 0
                assert "9139: outside 9139" in capsys.readouterr().out, "what was read is told"
            assert strowger(["--run", str(site.run), "route", "777", "--line", "1001"]) == 0
            assert "refused with cause 1, no number, line or route takes 777" in capsys.readouterr().out
        await asyncio.to_thread(ask)
        await world.house.stop()
    scenario(site, play)


def overlapping(site, function, side="network", ours="user", **group):
    """A world whose way out takes digits one by one; the caller of span 1 dials so, behind the prefix 9."""
    async def play():
        configure(site, ours, overlap_sending="trunks", **group)
        store = ConfigStore(site.data / "configuration.json")
        config = dict(store.running())
        config["trunk_groups"] = [dict(row, classes=["national"]) if row["name"] == "carrier" else row for row in config["trunk_groups"]]
        config["routes"] += [{"number": "8.", "class": "premium", "choices": [{"trunk_group": "out", "strip": 1}]}]
        store.apply(config, config["revision"])
        world = await World(site).start(side)
        world.out.machine.config["overlap_receiving"] = True
        await function(world)
    run(play())


def heard_digits(world):
    first = world.out.setups()[-1]["called_digits"] or ""
    return first + "".join(e["digits"] for e in world.out.events if e["event"] == "information_indication")


async def dial_on(world, call, digits, **more):
    for digit in digits:
        world.far.request("information_request", call, digits=digit)
        await world.quiet()
    if more:
        world.far.request("information_request", call, digits="", **more)
        await world.quiet()


@pytest.mark.conformance("Q.931", "5.1.3/on", "overlap sending from trunk to trunk, user side: SETUP with what there is, each further digit an INFORMATION")
@pytest.mark.conformance("Q.931", "5.2.4/on", "... and network side")
@pytest.mark.parametrize("side, ours", (("network", "user"), ("user", "network")))
def test_digits_go_out_one_by_one(site, side, ours):
    async def play(world):
        call = world.far.call(called="91", complete=False)
        await world.quiet()
        setup = world.out.setups()[0]
        assert (setup["called_digits"], setup["called_complete"]) == ("1", False)
        assert "setup_ack_indication" in world.far.names() and "proceeding_indication" not in world.far.names()
        await dial_on(world, call, "38")                    # the far end has not asked for more yet: they wait
        assert heard_digits(world) == "1"
        await world.says("setup_ack_request")
        assert heard_digits(world) == "138"
        await dial_on(world, call, "0000")
        assert heard_digits(world) == "1380000"
        assert len([e for e in world.out.events if e["event"] == "information_indication"]) == 5, "one for those that waited, then one each"
        await world.says("proceeding_request")
        assert "proceeding_indication" in world.far.names()
        await world.says("alerting_request")
        await world.says("setup_response")
        assert "setup_confirm" in world.far.names()
        world.far.request("disconnect_request", call, cause=16)
        cdr = await world.over()
        assert (cdr["dialled"], cdr["called"], cdr["result"]) == ("1380000", "91380000", "answered")
    overlapping(site, play, side, ours)


def test_the_caller_says_that_these_were_all_digits(site):
    async def play(world):
        call = world.far.call(called="9", complete=False)
        await world.quiet()
        assert world.out.setups()[0]["called_digits"] == "", "the way is known, no digit yet: SETUP without a number"
        await world.says("setup_ack_request")
        await dial_on(world, call, "13", complete=True)
        assert heard_digits(world) == "13" and world.out.events[-1]["complete"]
        await world.says("alerting_request")                # without CALL PROCEEDING
        assert world.far.names()[-2:] == ["proceeding_indication", "alerting_indication"]
        world.far.request("disconnect_request", call, cause=16)
        await world.over()
    overlapping(site, play)


def test_digits_that_lead_where_the_caller_may_not_call(site):
    """National allowed, international not: the digit that makes it international never leaves."""
    async def play(world):
        call = world.far.call(called="9", complete=False)
        await world.quiet()
        await world.says("setup_ack_request")
        await dial_on(world, call, "00")
        assert heard_digits(world) == "0"
        assert [e["cause"] for e in world.far.events if e["event"] == "disconnect_indication"] == [21]
        other = world.far.call(called="81", complete=False, timeslot=7)     # a forbidden class: no trunk is seized
        await world.quiet()
        assert len(world.out.setups()) == 1
        world.far.request("disconnect_request", other, cause=16)
        await world.over()
    overlapping(site, play)


@pytest.mark.parametrize("steps", range(4))
def test_a_kill_in_the_middle_of_the_digits_loses_none(site, steps):
    async def play(world):
        call = world.far.call(called="91", complete=False)
        await world.quiet()
        if steps > 0:
            await dial_on(world, call, "3")
        if steps > 1:
            await world.says("setup_ack_request")
        if steps > 2:
            await dial_on(world, call, "8")
        await world.killed()
        await dial_on(world, call, "77")
        if steps < 2:
            await world.says("setup_ack_request")
        await dial_on(world, call, "9")
        assert heard_digits(world) == ("1", "13", "13", "138")[steps] + "779"
        await world.says("alerting_request")
        await world.says("setup_response")
        assert "setup_confirm" in world.far.names()
        world.far.request("disconnect_request", call, cause=16)
        assert (await world.over())["result"] == "answered"
    overlapping(site, play)


def test_a_pbx_has_two_of_its_calls_joined_by_us(site):
    """Two callers of the carrier reach a PBX behind span 2, of which we are the network; it holds one and asks for the transfer: they hear each other, its trunks are free."""
    async def play(world):
        callers = []
        for timeslot in (5, 6):
            callers.append(await world.call(timeslot=timeslot))
            await world.says("setup_response")
        held, active = [event["call"] for event in world.out.setups()]
        for primitive in ("hold_request", "ect_request"):
            world.out.request(primitive, held)
            await world.quiet()
        told = [event["event"] for event in world.out.events]
        assert "hold_confirm" in told and "ect_confirm" in told and "ect_failed" not in told
        assert world.out.machine.calls() == [] and len(world.far.machine.calls()) == 2
        (call,) = world.house.state()["calls"]
        assert sorted((leg["span"], leg["timeslot"]) for leg in call["legs"]) == [(1, 5), (1, 6)] and call["state"] == "talking"
        (bridge,) = world.media.standing["bridges"]
        assert sorted(bridge["legs"]) == sorted(leg["leg"] for leg in call["legs"])
        world.far.request("disconnect_request", callers[0], cause=16)
        await world.over()
    scenario(site, play, side="user", ours="network")
