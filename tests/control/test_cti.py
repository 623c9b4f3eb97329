"""The CTI link of the house: log in, follow the journal, act."""

import asyncio
import json
import socket

from argon2 import PasswordHasher

from firmware.control.cti import CTILink


class Client:
    async def connect(self, address):
        self.reader, self.writer = await asyncio.open_connection(*address)
        return self

    async def ask(self, **request):
        self.writer.write(json.dumps(request).encode() + b"\n")
        while True:
            line = json.loads(await asyncio.wait_for(self.reader.readline(), 10))
            if "ok" in line:
                return line


def test_log_in_subscribe_and_act(site):
    async def scenario():
        hasher = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
        (site.data / "users.json").write_text(json.dumps({
            "crm": {"hash": hasher.hash("correct horse"), "must_change": False},
            "admin": {"hash": hasher.hash("first boot"), "must_change": True}}))
        house, media, legs = site.house()
        listener = socket.create_server(("127.0.0.1", 0))
        link = CTILink(house, listener)
        house.adapters.append(link)
        house.turns.adapters.append(link)
        await house.start()
        await asyncio.sleep(0.05)
        client = await Client().connect(listener.getsockname())
        assert not (await client.ask(do="log_in", user="admin", password="first boot"))["ok"]
        assert not (await client.ask(do="log_in", user="crm", password="wrong"))["ok"]
        assert (await client.ask(id=1, do="log_in", user="crm", password="correct horse"))["ok"]
        assert (await client.ask(do="subscribe", after=0))["ok"]
        legs.offer("l1", caller="139")
        seen = []
        while "leg.offered" not in seen:
            line = json.loads(await asyncio.wait_for(client.reader.readline(), 5))
            if "record" in line:
                seen.append(line["record"]["kind"])
        assert seen[0] == "core.resumed" and "core.checkpoint" not in seen
        refused = await client.ask(do="agent_status", agent="1001", status="asleep")
        assert not refused["ok"] and "available" in refused["error"]
        assert (await client.ask(do="agent_status", agent="1001", status="on_break", reason="lunch"))["ok"]
        assert (await client.ask(do="hangup", call="c1"))["ok"]
        assert not (await client.ask(do="hangup", call="c1"))["ok"]
        assert house.switchboard.calls == {}
        await house.stop()
    asyncio.run(asyncio.wait_for(scenario(), 20))
