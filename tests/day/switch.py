"""The control process of a simulated day: the real switchboard, turns and database; the world is at the other end of a pipe.

    python -m tests.day.switch DATA_DIR

Standard input: msgpack maps {"now", "events": [[number, event]], "expire"?, "resume"?: audit, "die"?, "report"?: [from_s, to_s, interval],
"state"?}; each is
answered on standard output by any number of {"actions": [...]} and one {"done": deadline or None, ...}.  What is
different from firmware/control/house.py: the time is told, the technologies and media are the world's, and the
checkpoint is written in the turn.  The order is that of a turn: nothing leaves before its commit.

die: this process kills itself (SIGKILL) "before" the turn, when all is "written" but not committed, or "committed" and
nothing has left: three moments that a power-cord puller cannot aim at.
"""

import os
import signal
import sys

import msgpack

from firmware.call import leg as legs
from firmware.config.store import ConfigStore
from firmware.control.compose import make_core
from firmware.control.turns import Turns
from firmware.control.zone import offset_of
from firmware.links.adapter import Adapter
from firmware.storage import reporting
from firmware.storage.checkpoint import pack
from firmware.storage.stores import Stores

CHECKPOINT_RECORDS = 20_000
WORLD = "world"


class Told:
    """A clock that shows what it is told."""

    now = 0

    def now_ms(self):
        """UTC ms."""
        return self.now


class Nobody:
    """The live feed of a house that nobody looks at."""

    def publish(self, records):
        """Records that were committed."""

    def trouble(self, on):
        """The disk refuses."""


class World(Adapter):
    """All legs and media, as seen from the switch.  Orders about legs are kept with the turn, as Q.931's outbox is."""

    name = WORLD

    def __init__(self, stores, out):
        self._out, self._machines = out, stores.machines
        self._actions, self._unsent = [], self._machines.load(WORLD) or []
        self.die = None

    def creates(self, action):
        """Everything."""
        return True

    def owns(self, leg):
        """Everything."""
        return True

    def carry_out(self, action, now_ms):
        """Collected until the commit."""
        self._actions.append(action)

    def dirty(self):
        """Whether there are orders to keep, or old ones to forget."""
        return self.die == "written" or self._orders() != self._unsent

    def _orders(self):
        return [action for action in self._actions if action["do"] in ("leg.answer", "leg.release")]

    def save(self, stores):
        """Inside the transaction."""
        self._unsent = self._orders()
        stores.machines.save(WORLD, self._unsent or None)
        if self.die == "written":
            os.kill(os.getpid(), signal.SIGKILL)

    def flush(self):
        """After the commit."""
        if self.die == "committed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._actions:
            self._out({"actions": self._actions})
            self._actions = []

    def again(self):
        """What may not have left before a death; orders bear being given twice."""
        if self._unsent:
            self._out({"actions": self._unsent})


class Switch:
    """data_dir: configuration and database.  out(message): to the world."""

    def __init__(self, data_dir, out):
        self.out, self.clock = out, Told()
        self.config = ConfigStore(os.path.join(data_dir, "configuration.json")).running()
        self.offset = offset_of(self.config["site"]["timezone"])
        self.stores = Stores(data_dir)
        self.stores.figures.zone(self.offset)
        self.switchboard = make_core(self.config, self.stores.counters)
        self.replayed = 0
        for record in self.stores.journal.replay():
            self.switchboard.apply(record)
            self.stores.cdrs.fold(record)
            self.stores.figures.replay(record)
            self.replayed += 1
        self.stores.cdrs.forget_finished()
        self.stores.figures.forget()
        self.world = World(self.stores, out)
        self.turns = Turns(self.switchboard, self.stores, self.clock, Nobody(), lambda action: self.world)
        self.turns.adapters = [self.world]
        self.turns.after_commit.append(self._count)
        self._since = 0

    def _count(self, records):
        self._since += len(records)

    def resume(self, audit):
        """The first turn.  A telephone that only rang has lost its INVITE, as a SIP transaction does with its process."""
        live, gone = {}, []
        for name, leg in self.switchboard.core.state.legs.items():
            if leg.line is not None and leg.state in (legs.CREATED, legs.ALERTING):
                gone.append(name)
            else:
                live[name] = {"state": leg.state if leg.state in (legs.ANSWERED, legs.RELEASING) else "setup"}
        self.out({"gone": gone})
        self.world.again()
        self.turns.run("resume", lambda now_ms: self.switchboard.resume(audit, live, now_ms))

    def checkpoint(self):
        """Between two turns."""
        self._since = 0
        data = {"as_of": self.stores.journal.last_seq(), **self.switchboard.whole(self.clock.now)}
        with self.stores.database.transaction():
            self.stores.journal.checkpoint(self.clock.now, pack(data))

    def take(self, message):
        """One message of the world."""
        self.clock.now = message["now"]
        self.world.die = message.get("die")
        if self.world.die == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if "resume" in message:
            self.resume(message["resume"])
        for number, event in message.get("events", ()):
            self.turns.run(event, lambda event, now_ms: self.turns.post(event), event, source=(WORLD, "1", number))
        if message.get("expire"):
            self.turns.expire()
        if self._since >= CHECKPOINT_RECORDS:
            self.checkpoint()
        more = {name: getattr(self, name)(*arguments) for name, arguments in (("report", message.get("report")), ("state", message.get("state") and ()))
                if arguments is not None}
        self.out({"done": self.turns.deadline_ms(), "exceptions": self.turns.exceptions, "replayed": self.replayed, **more})

    def report(self, from_s, to_s, interval):
        """What GET /v1/reports gives of all three parts."""
        reader = self.stores.database.reader()
        running = self.stores.figures.running(self.clock.now)
        abandons = {row["name"]: row["service_level_abandons"] for row in self.config["queues"]}
        return {part: reporting.make(reader, running, part, from_s, to_s, interval, self.offset, abandons)
                for part in ("queues", "agents", "trunk_groups")}


    def state(self):
        """Whether a replay gives what stands here, and which stored sums a fold of the whole journal contradicts."""
        again = make_core(self.config, self.stores.counters)
        for record in self.stores.journal.replay():
            again.apply(record)
        differed = self.stores.figures.compare(self.stores.database.reader(), self.stores.journal)
        return {"replays": again.dump() == self.switchboard.dump(), "calls": len(self.switchboard.core.state.calls),
                "sums_that_differ": [list(key) for key in differed]}


def main(data_dir):
    """Until standard input ends."""
    pipe = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)                           # whatever prints must not come between
    switch = Switch(data_dir, lambda message: pipe.write(msgpack.packb(message)))
    pipe.write(msgpack.packb({"ready": switch.replayed}))
    unpacker = msgpack.Unpacker(strict_map_key=False)
    while octets := os.read(0, 1 << 20):
        unpacker.feed(octets)
        for message in unpacker:
            switch.take(message)
    switch.stores.database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
