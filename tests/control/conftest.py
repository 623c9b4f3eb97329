"""Stand-ins for the rooms around the house: the core, media, a leg adapter."""

import asyncio
import contextlib
import json
import types

import pytest

from firmware.call.records import CDRProjection
from firmware.config import demo
from firmware.errors import LocalError
from firmware.links.adapter import Adapter


def record(kind, now_ms, call=None, leg=None, **data):
    return {"kind": kind, "ts_ms": now_ms, "call": call, "leg": leg, "agent": data.pop("agent", None), "queue": None,
            "data": data}


class FakeCore:
    """A switchboard that answers every offered leg and remembers what it saw."""

    def __init__(self, config, ids):
        self.ids, self.config, self.out, self.calls = ids, config, ([], []), {}
        self.fold = CDRProjection()
        self.seen, self.applied, self.resumed = [], [], None

    def emit(self, entry, *actions):
        self.apply(entry)
        self.out[0].append(entry)
        self.out[1].extend(actions)

    def apply(self, entry):
        self.applied.append(entry["kind"])
        self.fold.apply(entry)
        if entry["kind"] == "leg.offered":
            self.calls[entry["call"]] = entry["leg"]
        elif entry["kind"] == "call.ended":
            self.calls.pop(entry["call"], None)
        elif entry["kind"] == "core.checkpoint":
            self.calls = dict(entry["data"]["state"])

    def handle(self, event, now_ms):
        self.seen.append(event)
        kind, leg = event["kind"], event.get("leg")
        if kind == "leg.offered":
            call = self.ids.next("c")
            self.emit(record(kind, now_ms, call, leg, caller=event.get("caller"), called=event.get("called")),
                      {"do": "leg.answer", "leg": leg},
                      {"do": "media.signal", "leg": leg, "token": "t1", "repeat": 1,
                       "items": [{"prompt": "greeting", "language": "zh_CN"}]},
                      {"do": "media.record", "recording": "r1", "path": "recordings/a.wav", "left": leg, "right": None})
        elif kind == "media.digit" and event["digit"] == "9":
            raise ZeroDivisionError("a fault in the core")
        elif kind == "command.hangup":
            self.out[1].append({"do": "leg.release", "leg": self.calls[event["call"]], "cause": 16})
        elif kind in ("leg.released", "media.lost"):
            for call, other in sorted(self.calls.items()):
                if leg in (None, other):
                    self.emit(record("call.clearing", now_ms, call, cause=event.get("cause", 41), released_by="caller",
                                     result="failed", reason=None))
                    self.emit(record("call.ended", now_ms, call))
        elif kind == "agent.status":
            self.emit(record(kind, now_ms, agent=event["agent"], status=event["status"]))

    def take(self):
        out, self.out = self.out, ([], [])
        return out

    def resume(self, audit, live_legs, now_ms, guard=None):
        self.resumed = (audit, live_legs)
        self.emit(record("core.resumed", now_ms))

    def checkpoint(self, now_ms):
        self.emit(record("core.checkpoint", now_ms, **self.whole(now_ms)))

    def whole(self, now_ms):
        return {"state": dict(self.calls), "cdrs": self.fold.dump()}

    def configure(self, config, now_ms):
        self.config = config

    def expire(self, now_ms):
        pass

    def deadline_ms(self):
        return None

    def snapshot(self, now_ms):
        return {"calls": [{"call": call, "legs": [{"leg": leg}]} for call, leg in sorted(self.calls.items())],
                "queues": [], "agents": [], "lines": []}


class FakeMedia:
    """The media process, as MediaClient shows it."""

    together = staticmethod(contextlib.nullcontext)

    def __init__(self):
        self.boot_id, self.commands, self.acks, self.signalling_acks, self.sent = "boot1", [], [], [], []
        self.tasks = set()
        self.connected, self.absent, self.link, self.number, self.up_number = False, False, None, 0, 0
        self.epoch = 0                  # as media's: what a control process said before a later one's hello is refused
        self.unacknowledged = {}
        self.standing = {"terminations": [], "bridges": [], "signals": [], "recordings": [], "links": []}

    async def connect(self, wait_s=10):
        await asyncio.sleep(0)
        if self.absent:
            raise LocalError("media: no answer")
        self.connected = True
        self.epoch += 1
        for receive, message in list(self.unacknowledged.values()):
            getattr(self.link, receive)(message)
        return {"ok": True, "boot_id": self.boot_id, "generation": 1, "capacity": 100}

    def post(self, do, parameters, answered):
        epoch = self.epoch

        async def act():
            if epoch < self.epoch:
                return                  # of a dead process: nobody waits for the answer
            try:
                answered(await self.call(do, **parameters), None)
            except LocalError as error:
                answered(None, error)
        task = asyncio.ensure_future(act())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def call(self, do, **parameters):
        epoch = self.epoch
        await asyncio.sleep(0)
        if epoch < self.epoch:
            raise LocalError("media: the epoch is over")
        self.commands.append((do, parameters))
        name = parameters.get("id")
        if do == "add":
            self.standing["terminations"].append({"id": name, **parameters})
        elif do == "subtract":
            self.standing["terminations"] = [row for row in self.standing["terminations"] if row["id"] != name]
        elif do == "signal":
            self.standing["signals"] = [row for row in self.standing["signals"] if row["id"] != name]
            self.standing["signals"].append({"id": name, "token": parameters["token"], "position_ms": 0})
        elif do == "stop":
            for row in [row for row in self.standing["signals"] if row["id"] == name]:
                self.standing["signals"].remove(row)
                self.event("signal_complete", name, token=row["token"], reason="stopped", position_ms=1)
        elif do == "bridge":
            self.standing["bridges"] = [row for row in self.standing["bridges"] if row["id"] != name]
            if parameters["legs"]:
                self.standing["bridges"].append({"id": name, "legs": parameters["legs"]})
        elif do == "record":
            self.standing["recordings"].append({"id": name})
        elif do == "record_stop":
            self.standing["recordings"] = [row for row in self.standing["recordings"] if row["id"] != name]
            self.event("record_closed", name, octets=16000, duration_ms=1000)
        elif do == "link_open":
            if not any(row["link"] == parameters["link"] for row in self.standing["links"]):
                self.standing["links"].append({"link": parameters["link"], "state": "down"})
        return {"ok": True, "port": 20000}

    def event(self, kind, name, **more):
        """An event of media."""
        self.number += 1
        self.deliver("event", self.number, "_event",
                     {"event": self.number, "kind": kind, "id": name, "tick_ms": 1, **more})

    def up(self, kind, link=1, octets=b""):
        """A layer 2 primitive towards control."""
        self.up_number += 1
        self.deliver("n", self.up_number, "_signalling",
                     {"n": self.up_number, "link": link, "tick_ms": 1, "kind": kind, "octets": octets})

    def deliver(self, kind, number, receive, message):
        """At least once: kept until acknowledged, given again to the next control process."""
        self.unacknowledged[kind, number] = (receive, message)
        if self.connected:
            getattr(self.link, receive)(message)

    def play_out(self):
        """Whatever plays once has come to its end."""
        for row in list(self.standing["signals"]):
            repeat = [p["repeat"] for d, p in self.commands if d == "signal" and p["token"] == row["token"]][-1]
            if repeat:
                self.standing["signals"].remove(row)
                self.event("signal_complete", row["id"], token=row["token"], reason="done", position_ms=1)

    def of(self, do):
        """Parameters of all commands of a kind."""
        return [parameters for name, parameters in self.commands if name == do]

    async def audit(self):
        return self.json.loads(self.json.dumps(self.standing))

    json = json

    def ack(self, upto):
        self.acks.append(upto)
        self.forget("event", upto)

    def ack_signalling(self, upto):
        self.signalling_acks.append(upto)
        self.forget("n", upto)

    def forget(self, kind, upto):
        for key in [key for key in self.unacknowledged if key[0] == kind and key[1] <= upto]:
            del self.unacknowledged[key]

    def send_signalling(self, link, kind, octets=b""):
        self.sent.append((link, kind, bytes(octets)))

    def close(self):
        self.connected = False

    def die(self, boot_id):
        """The process is gone; the next connect finds a new one."""
        self.connected, self.boot_id, self.number, self.up_number = False, boot_id, 0, 0
        self.unacknowledged = {}
        self.standing = {part: [] for part in self.standing}
        self.link._lost("it died")


class FakeLegs(Adapter):
    """An adapter of legs whose far end is the test."""

    name = "fake"

    def dirty(self):
        return False

    def save(self, stores):
        pass

    def __init__(self):
        self.legs, self.did, self.dropped, self.out = {}, [], [], []
        self.alive = {}
        self.turns = None

    def owns(self, leg):
        return leg in self.legs

    def offer(self, leg, **more):
        self.turns.run({"offer": leg}, self._offer, leg, more)

    def _offer(self, leg, more, now_ms):
        self.legs[leg] = "offered"
        self.turns.post({"kind": "leg.offered", "leg": leg, "tech": "pri", **more})

    def carry_out(self, action, now_ms):
        self.out.append(action)
        if action["do"] == "leg.release":
            self.legs.pop(action["leg"], None)
            self.turns.post({"kind": "leg.released", "leg": action["leg"], "cause": action["cause"], "by": "near"})

    def flush(self):
        self.did += self.out
        self.out = []

    def drop(self, leg, now_ms):
        self.dropped.append(leg)

    def live_legs(self):
        return dict(self.alive)

    def describe(self, state, legs):
        state["spans"] = []


@pytest.fixture
def site(tmp_path):
    """Directories of one house and a function that builds it: site.house() -> (house, media, legs)."""
    from firmware.control.house import House
    (tmp_path / "data").mkdir()
    (tmp_path / "prompts" / "zh_CN").mkdir(parents=True)
    (tmp_path / "prompts" / "zh_CN" / "greeting.wav").write_bytes(bytes(100))
    config = demo.configuration({name: "secret" + name for name in demo.AGENTS})
    from firmware.config.store import ConfigStore
    ConfigStore(tmp_path / "data" / "configuration.json", config)

    def whole(media=None, sip_socket=None):
        """A house with the real core and adapters, media excepted: (house, media)."""
        from firmware.control.compose import make_core
        from firmware.links.sip_legs import SIPLegs
        from firmware.links.span import SpanLinks
        from firmware.links.ss7 import SS7Points
        media = media or FakeMedia()

        def adapters(house):
            return [SpanLinks(house), SS7Points(house)] + ([SIPLegs(house, sip_socket)] if sip_socket else [])
        built = House(tmp_path / "run", tmp_path / "data", tmp_path / "prompts", make_core, adapters, media)
        media.link = built.media
        return built, media

    def house(media=None, alive=None, core=FakeCore):
        media, legs = media or FakeMedia(), FakeLegs()
        legs.alive.update(alive or {})
        legs.legs.update(alive or {})
        built = House(tmp_path / "run", tmp_path / "data", tmp_path / "prompts", core, lambda house: [legs], media)
        legs.turns, media.link = built.turns, built.media
        return built, media, legs

    return types.SimpleNamespace(house=house, whole=whole, run=tmp_path / "run", data=tmp_path / "data", json=json)
