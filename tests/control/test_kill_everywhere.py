"""Control dies at every turn of a whole call: trunk, IVR, queue, phone, recording, clearing.

At each turn in three ways: before its commit, between commit and effects, between effects and
acknowledgement.  Whatever happens, afterwards nothing is seized anywhere and the CDR is there.
The far ends behave: they repeat what is not acknowledged, answer what comes, hang up in the end."""

import asyncio
import re

import pytest

from tests.control import test_pri_call as pri
from tests.control.test_sip_legs import SDP, Phone, standing, until

MOMENTS = range(0, 13)      # the whole call takes 11 or 12 turns; in the last no kill comes


class Killed(BaseException):
    """kill -9, as the code under test sees it."""


class AutoPhone(Phone):
    """Answers every call after a moment, repeats its 200 until the ACK, obeys BYE and CANCEL."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.open, self.waiting = {}, {}

    async def live(self):
        while True:
            try:
                text = await self.hear(0.1)
            except asyncio.TimeoutError:
                for call in list(self.waiting):
                    self.answer(self.waiting[call], "200 OK", SDP % (40000, ""))
                continue
            call = re.search(r"^Call-ID: (.*)\r$", text, re.M).group(1)
            method = text.split(" ", 1)[0]
            if method == "INVITE":
                if call not in self.open:
                    self.open[call] = self.waiting[call] = text
                    self.answer(text, "180 Ringing")
                    self.answer(text, "200 OK", SDP % (40000, ""))
            elif method == "ACK":
                self.waiting.pop(call, None)
            elif method in ("BYE", "CANCEL"):
                known = self.open.pop(call, None)
                self.waiting.pop(call, None)
                self.answer(text, "200 OK" if known or method == "BYE" else "481 Call Does Not Exist", contact=False)


class Caller(pri.Far):
    """A far exchange that lives by itself: answers clearing, presses 1 once it is connected."""

    async def live(self):
        pressed = False
        while True:
            await asyncio.sleep(0.002)
            if self.media.connected:
                self.exchange()
                self.media.play_out()
            for event in self.events:
                if event["event"] == "disconnect_indication":
                    self.events += self.machine.request("release_request", event["call"], self.now())
            connected = "setup_confirm" in self.names()
            self.events = [event for event in self.events if event["event"] == "setup_confirm"]
            if connected and not pressed and self.media.connected and self.house.state()["calls"]:
                pressed = True
                self.media.event("digit", self.house.state()["calls"][0]["legs"][0]["leg"], digit="1", duration_ms=80)


def doomed(house, moment, way):
    """Make the house die at its n-th turn from now."""
    turns, done = house.turns, []
    commit, sent = turns._commit, turns._sent

    def die():
        done.append(True)
        house.adapters[-1].link.close()
        house.media.client.connected = False
        raise Killed

    def at(place):
        return way == place and house.turns.turns - start >= moment and not done

    def dying_commit(now_ms):
        if at("before commit"):
            die()
        commit(now_ms)
        if at("before effects"):
            die()

    def dying_sent():
        sent()
        if at("before acknowledgement"):
            die()
    start = turns.turns
    turns._commit, turns._sent = dying_commit, dying_sent
    return done


@pytest.mark.parametrize("moment, way", [(moment, "before effects") for moment in MOMENTS]
                         + [(moment, way) for moment in MOMENTS[::2] for way in ("before commit", "before acknowledgement")])
def test_nothing_stays_seized(site, moment, way):
    async def scenario():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)     # of the dead house
        house, media, address = await standing(site)
        phone = AutoPhone(address, "1001", "secret1001")
        await phone.register()
        far = Caller(media, house)
        far.up()
        far.exchange()
        tasks = [asyncio.ensure_future(phone.live()), asyncio.ensure_future(far.live())]
        dead = doomed(house, moment, way)
        call = None
        try:
            call = far.call()
        except Killed:
            call = far.machine.calls()[0]
        for _ in range(150):
            await asyncio.sleep(0.002)
            if dead or media.standing["bridges"]:
                break
        if not dead and call in far.machine.calls():            # talking: then the caller hangs up
            try:
                far.request("disconnect_request", call, cause=16)
            except Killed:
                pass
            await until(lambda: dead or not far.machine.calls())
            await asyncio.sleep(0.1)
        tasks[1].cancel()
        if dead:
            pri.kill(house)
            house, media, _ = await standing(site, media, address[1])
        far.house = house
        tasks[1] = asyncio.ensure_future(far.live())
        await asyncio.sleep(0.3)
        if call in far.machine.calls() and far.machine.call_state(call)["state"] == "N10_ACTIVE":
            far.request("disconnect_request", call, cause=16)
        await until(lambda: not far.machine.calls())
        await until(lambda: not house.state()["calls"] and not house.adapters[-1].legs)
        await until(lambda: not (media.standing["terminations"] or media.standing["bridges"]
                                 or media.standing["recordings"]))
        await until(lambda: not phone.open)
        await until(lambda: house.stores.machines.names("q931/1/") == [] == house.stores.machines.names("sip-leg/"))
        records = list(house.stores.journal.everything())
        offered = {row["call"] for row in records if row["kind"] == "leg.offered"}
        assert offered == {cdr["call"] for cdr in house.stores.cdrs.page(9)} and len(offered) <= 1
        assert house.stores.cdrs.rebuild(house.stores.journal) == []
        assert house.turns.exceptions == 0 and house.stores.recordings.opened() == []
        for task in tasks:
            task.cancel()
        await house.stop()
    pri.run(scenario())
