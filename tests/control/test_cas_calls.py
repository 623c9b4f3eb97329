"""Calls over a span with R2 or E&M: real core, real machines on both ends, media as a stand-in.

What these prove of our own machines only is not interoperability: tests/live/test_cas.py has libopenr2 at the far end."""

import asyncio
import json

import pytest

from boardconfig.r2_variants import load_r2
from firmware.cli.__main__ import main as strowger
from firmware.config.schema import check
from firmware.control.client import ControlClient, ControlError
from firmware.control.compose import make_core
from firmware.control.house import House
from firmware.links.cas import CASLinks
from firmware.proto.cas.t1_circuit import T1Circuit
from firmware.proto.r2.circuit import R2Circuit
from firmware.proto.r2.variant import Variant
from tests.control.conftest import FakeMedia
from tests.control.test_pri_call import kill, run

NUMBER, TIMESLOT = "02150801000", 7
R1 = {"K": 13, "S": 15, "0": 10, **{str(n): n for n in range(1, 10)}}


class Wire(FakeMedia):
    """Media with the bits and tones of one circuit; far: the machine at its other end."""

    def __init__(self):
        super().__init__()
        self.standing["circuits"] = []
        self.keypad = {}
        self.bits, self.listens, self.far, self.far_events, self.far_bits = {}, {}, None, [], None

    async def call(self, do, **p):
        if do == "cas_open":
            for timeslot, bits in p["circuits"]:
                fresh = (p["span"], timeslot) not in self.bits
                self.bits[p["span"], timeslot] = bits
                if fresh and self.far_bits is not None:
                    self.circuit("cas", span=p["span"], timeslot=timeslot, bits=self.far_bits)
            self.put(p["span"], TIMESLOT)
            await super().call(do, **p)
            return {"received": [[timeslot, None] for timeslot, _ in p["circuits"]]}
        if do == "cas_send":
            self.bits[p["span"], p["timeslot"]] = p["bits"]
            self.put(p["span"], p["timeslot"])
        elif do == "cas_close":
            for timeslot in p["timeslots"]:
                self.bits.pop((p["span"], timeslot), None)
        elif do == "mf_listen":
            self.listens[p["id"]] = p["plan"]
            if self.tone is not None and p["plan"]:
                self.play(*self.tone)               # it sounds already
        elif do == "detect":
            self.keypad[p["id"]] = p["dtmf"]
        elif do == "subtract":
            self.listens.pop(p["id"], None)
            self.keypad.pop(p["id"], None)
        elif do == "mf_send":
            self.feed(("tone", p["signal"] if p["plan"] != "r1" or p["signal"] is None else p["signal"]))
            if p["plan"] in ("dtmf", "r1"):
                self.feed(("tone", None))
        return await super().call(do, **p)

    def put(self, span, timeslot):
        if timeslot == TIMESLOT:
            self.feed(("bits", self.bits[span, timeslot]))

    def circuit(self, kind, **fields):
        self.number += 1
        self.deliver("event", self.number, "_event", {"event": self.number, "kind": kind, "tick_ms": 1, **fields})

    def now(self):
        return self.link.turns.clock.now_ms()

    def feed(self, item):
        if self.far is not None:
            self.took(self.far.receive(item, self.now()))
            self.expire()

    def expire(self):
        while self.far.deadline_ms() is not None and self.far.deadline_ms() <= self.now():
            self.took(self.far.expire(self.now()))

    def took(self, events):
        self.far_events += events
        for event in events:
            if event["event"] == "disconnect_indication":
                self.ask("release_request", event["call"])
        for item in self.far.take_output():
            if item[0] == "bits":
                self.far_bits = item[1]
                self.circuit("cas", span=3, timeslot=TIMESLOT, bits=item[1])
            elif item[0] == "tone":
                self.tone = None if item[2] is None else item[1:]
                self.play(item[1], item[2])

    def play(self, plan, symbol):
        for leg in [leg for leg in self.keypad if self.keypad[leg] and plan == "dtmf" and symbol]:
            self.event("digit", leg, digit=symbol, duration_ms=70)
        for leg, listens in list(self.listens.items()):
            if plan == "mf" and listens == "r1":
                self.event("mf", leg, plan="r1", signal=R1.get(symbol, 0), place_ms=0)
            elif listens == plan:
                self.event("mf", leg, plan=plan, signal=symbol or 0, place_ms=0)

    def ask(self, primitive, call, **given):
        self.took(self.far.request(primitive, call, self.now(), **given))

    def names(self):
        return [event["event"] for event in self.far_events if event["event"] not in ("circuit_state", "protocol_error")]


class Place:
    def __init__(self, site, **settings):
        self.site = site
        self.media = Wire()
        path = site.data / "configuration.json"
        config = json.loads(path.read_text())
        kind = settings.pop("signalling", "r2")
        for number in settings.pop("numbers", ()):
            config["numbers"].append(dict(config["numbers"][0], number=number))
        config["spans"] = [{"span": 3, "signalling": kind, "crc4": False, "trunk_group": "carrier", kind: dict(settings, circuits="7")}]
        config["routes"] = [{"number": "9.", "class": "national", "choices": [{"trunk_group": "carrier", "strip": 1}]}]
        config, errors = check(config)
        assert not errors, [str(error) for error in errors]
        path.write_text(json.dumps(config))
        self.row = config["spans"][0]

    async def start(self):
        def adapters(house):
            self.circuits = CASLinks(house, load_r2)
            return [self.circuits]
        self.house = House(self.site.run, self.site.data, self.site.data.parent / "prompts", make_core, adapters, self.media)
        self.media.link = self.house.media
        await self.house.start()
        self.house.turns.run("framer", self.circuits.alarms, 3, [])
        await self.rest(0.05)
        return self

    def far(self, variant="cn", **config):
        """The other end of the circuit: our machine."""
        given = dict(config, timeslot=TIMESLOT, timers={"RECOGNITION": 0, "T_GUARD": 100, "T_WINK_DELAY": 10})
        self.media.far = T1Circuit(given) if "signalling" in config else R2Circuit(Variant(load_r2(variant)), given)
        self.media.took(self.media.far.start(self.media.now()))
        self.media.put(3, TIMESLOT)

    async def rest(self, seconds):
        for _ in range(max(1, int(seconds / 0.005))):
            await asyncio.sleep(0.005)
            if self.media.far is not None:
                self.media.expire()

    async def until(self, condition, seconds=8):
        for _ in range(int(seconds / 0.01)):
            if condition():
                return
            await self.rest(0.01)
        raise AssertionError((self.media.names(), self.house.state()["spans"][0]["timeslots"], self.media.commands[-12:]))

    def slot(self):
        return next(slot for slot in self.house.state()["spans"][0]["timeslots"] if slot["timeslot"] == TIMESLOT)

    def calls(self):
        return self.house.state()["calls"]


def scenario(site, story, far=None, **settings):
    async def play():
        place = await Place(site, **settings).start()
        try:
            place.far(**(far or {}))
            await place.until(lambda: place.house.state()["spans"][0]["state"] == "up" and place.slot()["state"] == "idle")
            await story(place)
        finally:
            await place.house.stop()
    run(play())


async def dial(place, called=NUMBER, caller="13912345678"):
    await place.until(lambda: place.media.far.seizable)
    call = place.media.far.new_call()
    place.media.ask("setup_request", call, called=called, caller=caller)
    return call


@pytest.mark.parametrize("settings, far", [
    (dict(variant="cn"), {}), (dict(variant="itu"), dict(variant="itu")), (dict(variant="mx", called_length=11), dict(variant="mx")),
    (dict(variant="itu", numbers=("400800100099",)), dict(variant="itu")),        # each digit is shown to the switchboard
    (dict(variant="itu", address="dtmf"), dict(variant="itu", address="dtmf")),
    (dict(signalling="cas", protocol="em_wink"), dict(signalling="em_wink", carrier="e1")),
    (dict(signalling="cas", protocol="fgd"), dict(signalling="fgd", carrier="e1"))])
def test_a_call_comes_in_and_the_caller_hangs_up(site, settings, far):
    async def story(place):
        call = await dial(place)
        await place.until(lambda: "setup_confirm" in place.media.names())
        found, = place.calls()
        numbered = settings.get("address") != "dtmf" and settings.get("protocol") != "em_wink"
        assert (found["called"], found["caller"] or None) == (NUMBER, "13912345678" if numbered else None)
        assert (place.slot()["state"], place.slot()["call"]) == ("busy", found["call"])
        place.media.ask("release_request", call)
        await place.until(lambda: not place.calls() and place.slot()["state"] == "idle")
        await place.until(lambda: place.media.standing["terminations"] == [])
        assert place.circuits.legs == {}
        assert place.circuits.spans[3].entries == {}
        if not numbered or settings.get("protocol"):
            return                                      # digits in real time take long
        await dial(place)                                     # and the circuit is good for another
        await place.until(lambda: place.media.names().count("setup_confirm") == 2)
    scenario(site, story, far, **settings)


def test_the_switch_ends_a_call_and_the_far_end_hears_clear_back(site):
    async def story(place):
        await dial(place)
        await place.until(lambda: "setup_confirm" in place.media.names())
        place.house.turns.handle({"kind": "command.hangup", "call": place.calls()[0]["call"]})
        await place.until(lambda: "released" in place.media.names() and not place.calls())
        assert place.media.far_events[-1].get("event") and [e["cause"] for e in place.media.far_events if e["event"] == "released"] == [16]
    scenario(site, story)


@pytest.mark.parametrize("called, cause", [("02150801999", 1)])
def test_unallocated_is_said_by_group_b(site, called, cause):
    async def story(place):
        await dial(place, called)
        await place.until(lambda: "released" in place.media.names())
        assert [e["cause"] for e in place.media.far_events if e["event"] == "released"] == [cause]
        await place.until(lambda: not place.calls() and place.slot()["state"] == "idle")
    scenario(site, story)


def test_given_up_in_the_middle_of_the_digits(site):
    """The switchboard never hears of it; nothing stays."""
    async def story(place):
        call = await dial(place)
        await place.until(lambda: place.media.standing["terminations"])
        place.media.ask("release_request", call)
        await place.until(lambda: place.slot()["state"] == "idle" and not place.media.standing["terminations"])
        assert place.circuits.legs == {} and place.circuits.spans[3].entries == {} and not place.calls()
    scenario(site, story)


@pytest.mark.parametrize("moment", ("digits", "talking"))
def test_control_is_killed(site, moment):
    """Answered calls stand; a call in its digits goes on where it was."""
    async def story(place):
        call = await dial(place)
        if moment == "talking":
            await place.until(lambda: "setup_confirm" in place.media.names())
        else:
            await place.until(lambda: len(place.media.of("mf_send")) > 6)
        kill(place.house)
        place.media.connected = False
        before = len(place.media.commands)
        await place.start()
        assert place.media.bits[3, TIMESLOT] == (0b0111 if moment == "talking" else 0b1111), "the bits stayed"
        await place.until(lambda: "setup_confirm" in place.media.names())
        found, = place.calls()
        assert found["called"] == NUMBER and len(place.media.standing["terminations"]) == 1
        assert not [p for do, p in place.media.commands[before:] if do == "subtract"]
        place.media.ask("release_request", call)
        await place.until(lambda: not place.calls() and place.slot()["state"] == "idle")
        assert "released" in place.media.names()
    scenario(site, story)


def test_media_dies(site):
    """Calls are cleared, circuits come back idle with the next media."""
    async def story(place):
        call = await dial(place)
        await place.until(lambda: "setup_confirm" in place.media.names())
        place.media.bits, place.media.listens = {}, {}
        place.media.die("boot2")
        await place.until(lambda: not place.calls() or place.calls()[0]["state"] == "clearing")
        place.media.ask("release_request", call)           # the board sent 1101: the far end clears
        await place.until(lambda: not place.calls() and place.slot()["state"] == "idle")
        await dial(place)
        await place.until(lambda: place.media.names().count("setup_confirm") == 2)
    scenario(site, story)


def test_an_alarm_blocks_and_clears(site):
    async def story(place):
        await dial(place)
        await place.until(lambda: place.calls() and place.slot()["state"] == "busy")
        place.house.turns.run("framer", place.circuits.alarms, 3, ["los"])
        span = place.house.state()["spans"][0]
        assert span["state"] == "alarm" and all(slot["state"] != "idle" for slot in span["timeslots"])
        await place.until(lambda: not place.calls())
        assert place.slot()["state"] == "blocked"                # what the line shows meanwhile is no call
        place.media.took(place.media.far.receive(("alarm", True), place.media.now()))
        await place.rest(0.1)
        assert not place.calls()
        place.media.took(place.media.far.receive(("alarm", False), place.media.now()))
        place.house.turns.run("framer", place.circuits.alarms, 3, [])
        await place.until(lambda: place.slot()["state"] == "idle" and place.house.state()["spans"][0]["state"] == "up", 12)
    scenario(site, story)


def test_the_far_end_blocks_its_circuits(site):
    async def story(place):
        place.media.took(place.media.far.request("block_request", None, place.media.now()))
        await place.until(lambda: place.slot()["state"] == "blocked")
        assert place.slot()["why"] == "blocked" and place.house.state()["spans"][0]["state"] == "down"
        place.media.took(place.media.far.request("unblock_request", None, place.media.now()))
        await place.until(lambda: place.slot()["state"] == "idle")
    scenario(site, story)


def test_circuits_are_taken_out_of_service_by_hand(site, capsys):
    """Drained, locked and put back over the API and at the command line; the far end sees each, over a death of control and a change of settings."""
    async def story(place):
        def command(*words):
            assert strowger(["--run", str(site.run), *words]) == 0
            return capsys.readouterr().out

        def far_sees():
            return place.media.far.trouble()
        client = ControlClient(site.run)
        await dial(place)
        await place.until(lambda: "setup_confirm" in place.media.names())
        row = await asyncio.to_thread(client.post, "/v1/cas/3/circuits", {"do": "drain", "timeslots": [7]})
        assert row["timeslots"][0]["near"] == "out_of_service" and len(place.calls()) == 1, "a call that stands goes on"
        assert " 7 " in await asyncio.to_thread(command, "cas")
        place.media.ask("release_request", place.media.far.call)
        await place.until(lambda: far_sees() == "blocked")
        assert place.house.state()["spans"][0]["state"] == "down" and not place.calls()
        kill(place.house)
        await place.start()
        await place.rest(0.3)
        assert far_sees() == "blocked" and (await asyncio.to_thread(client.get, "/v1/cas"))["cas"][0]["timeslots"][0]["why"] == "blocking"
        config = json.loads(json.dumps(place.house.config.running()))
        config["spans"][0]["r2"]["caller"] = "category"
        await place.house.apply_configuration(config, config["revision"])
        await place.rest(0.2)
        await place.until(lambda: place.circuits.spans[3].opened)
        assert place.slot()["why"] == "blocking" and far_sees() == "blocked", "other settings put nothing in service"
        assert " 7 " not in await asyncio.to_thread(command, "cas-circuits", "3", "unlock", "7")
        await place.until(lambda: far_sees() == "" and place.slot()["state"] == "idle")
        await dial(place)
        await place.until(lambda: place.media.names().count("setup_confirm") == 2)
        await asyncio.to_thread(command, "cas-circuits", "3", "lock")
        await place.until(lambda: not place.calls())
        if place.media.far.call is not None:
            place.media.ask("release_request", place.media.far.call)
        await place.until(lambda: far_sees() == "blocked")
        await asyncio.to_thread(command, "cas-circuits", "3", "restart")
        for path, body, status in (("9", {"do": "lock"}, 409), ("3", {"do": "swallow"}, 409), ("3", {"do": "lock", "timeslots": [8]}, 409),
                                   ("3", {"do": "lock", "timeslots": []}, 400), ("3", {"do": "lock", "timeslots": ["7"]}, 400), ("3", [], 400), ("x", {"do": "lock"}, 404)):
            with pytest.raises(ControlError) as error:
                await asyncio.to_thread(client.post, "/v1/cas/%s/circuits" % path, body)
            assert error.value.status == status, (path, body)
    scenario(site, story)


def test_a_change_of_the_configuration_begins_anew(site):
    async def story(place):
        await dial(place)
        await place.until(lambda: "setup_confirm" in place.media.names())
        config = json.loads(json.dumps(place.house.config.running()))
        config["spans"][0]["r2"]["caller"] = "category"
        await place.house.apply_configuration(config, config["revision"])
        assert not place.circuits.legs and place.house.state()["spans"][0]["state"] == "down"
        assert place.media.of("cas_close") or await place.rest(0.05) or place.media.of("cas_close")
        place.media.feed(("bits", 0b1111))                  # blocked: the far end takes it for clear-back
        await place.until(lambda: place.slot()["state"] == "idle" and place.house.state()["spans"][0]["state"] == "up")
        assert not place.calls()
    scenario(site, story)


def test_media_garbage_hurts_nobody(site):
    async def story(place):
        for span, timeslot, bits in ((3, 0, 1), (3, 31, 5), (64, 7, 1), (3, 7, 0xFF)):
            place.media.circuit("cas", span=span, timeslot=timeslot, bits=bits)
        place.media.event("mf", "l999", plan="r1", signal=3, place_ms=0)
        await place.rest(0.05)
        assert place.house.turns.exceptions == 0
        place.media.circuit("cas", span=3, timeslot=7, bits=0b1011)
        await dial(place)
        await place.until(lambda: "setup_confirm" in place.media.names())
    scenario(site, story)
