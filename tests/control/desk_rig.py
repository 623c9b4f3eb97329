"""A house with the real core, a desk, and telephones that ring as long as the test lets them: legs are the test's, media is faked."""

import asyncio

from firmware.control import roles
from firmware.control.client import ControlClient, ControlError
from firmware.control.compose import make_core
from firmware.control.desk import Desk
from tests.control.conftest import FakeLegs, FakeMedia

SALES = "02150801001"


class Telephones(FakeLegs):
    """Trunk legs that the test offers, telephones that ring."""

    def creates(self, action):
        return True

    def carry_out(self, action, now_ms):
        if action["do"] == "leg.create":
            self.legs[action["leg"]] = action["line"]
        super().carry_out(action, now_ms)


class DeskHouse:
    """async with DeskHouse(site) as desk: desk.house, desk.client, await desk.ask("GET", "/v1/..."), desk.call("p1")."""

    make_media = FakeMedia

    def __init__(self, site, prepare=None, more=()):
        self.site, self.prepare, self.more = site, prepare, more

    async def __aenter__(self):
        from firmware.control.house import House
        roles._told.clear()             # what was denied in a house before this one, in the same process
        self.media, self.legs = self.make_media(), Telephones()
        site = self.site
        self.house = House(site.run, site.data, site.data.parent / "prompts", make_core, self.adapters, self.media)
        self.legs.turns, self.media.link = self.house.turns, self.house.media
        await self.house.start()
        self.client = ControlClient(site.run)
        if self.prepare:
            running = await self.ask("GET", "/v1/configuration")
            self.prepare(running["configuration"])
            await self.ask("POST", "/v1/configuration/apply", running)
        for line in ("1001", "1002"):
            self.house.turns.handle({"kind": "line.registered", "line": line})
        return self

    async def __aexit__(self, *error):
        await self.house.stop()

    def adapters(self, house):
        """What the house is made of."""
        return [self.legs, Desk(house), *(make(house) for make in self.more)]

    async def ask(self, method, path, body=None, user=None, **query):
        """One request of the local API."""
        client = ControlClient(self.site.run, user=user) if user else self.client
        return await asyncio.to_thread(client.request, method, path, body, query)

    async def refused(self, method, path, body=None, user=None, **query):
        """The refusal: ControlError."""
        try:
            answer = await self.ask(method, path, body, user, **query)
        except ControlError as error:
            return error
        raise AssertionError("it was not refused: %r" % answer)

    def call(self, leg="p1", caller="13912345678", called=SALES):
        """A caller comes; the newest call."""
        self.legs.legs[leg] = "offered"
        self.house.turns.handle({"kind": "leg.offered", "leg": leg, "tech": "pri", "trunk_group": "carrier", "span": 1, "timeslot": int(leg[1:]),
                                 "caller": caller, "caller_presentation": "allowed", "called": called, "called_complete": True})
        return self.state()["calls"][-1]

    def state(self):
        """The switchboard's snapshot."""
        return self.house.switchboard.snapshot(self.house.clock.now_ms())

    def answer(self):
        """The telephone that rings last is answered."""
        leg = max((leg for leg, line in self.legs.legs.items() if line != "offered"), key=lambda leg: int(leg[1:]))
        self.house.turns.handle({"kind": "leg.answered", "leg": leg})

    def hang_up(self, leg="p1"):
        """The caller goes."""
        self.legs.legs.pop(leg, None)
        self.house.turns.handle({"kind": "leg.released", "leg": leg, "cause": 16, "by": "far"})

    async def until(self, what):
        """Wait until something is true; what it is."""
        for _ in range(3000):
            found = what()
            if found:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError("it did not come to be")

    def records(self, kind):
        """Records of a kind that were committed."""
        reader = self.house.database.reader()
        from firmware.storage.journal import Journal
        found = [record for record in Journal(reader).everything() if record["kind"] == kind]
        reader.close()
        return found


def prepared(config):
    """A queue without announcements that wants dispositions, a template, a number of the queue."""
    config["numbers"].append({"number": SALES, "application": "queue", "target": "sales"})
    config["queues"][0].update(announce_position_s=0, dispositions=[{"code": "sold", "label": "Sold"}, {"code": "later"}])
    config["ticket_templates"] = [{"name": "repair", "label": "Repair", "due_h": 24, "fields": [
        {"name": "device", "type": "choice", "choices": ["modem", "phone"], "required": "open"}, {"name": "cause", "required": "close"},
        {"name": "room"}, {"name": "units", "type": "whole", "least": -10}, {"name": "warranty", "type": "flag"}]}]
    config["desk"]["customer_fields"] = ["contract"]


def run(scenario):
    """Run a coroutine with a limit."""
    asyncio.run(asyncio.wait_for(scenario, 60))
