"""A house whose far end is the scripted exchange of China's network (hil/far/ss7_script.py), and the moves that its tests share."""

import os
import subprocess
import sys
import time

from hil.far.ss7_script import ScriptedSS7
from hil.rig import CHECKOUT
from tests.live.conftest import House

OURS, THEIRS = "11-64-100", "11-64-200"
OWN, OTHER = 11 << 16 | 64 << 8 | 200, 11 << 16 | 64 << 8 | 100        # of the scripted exchange: its own code, the product's
ANSWERED = (("ACM", bytes([0x06, 0x14, 0x00])), ("ANM", b"\0"))        # charge, subscriber free, ISUP all the way, ISDN access; then the answer


class ScriptHouse(House):
    """Board, product and the scripted exchange.  links: [(span, timeslot, SLC, correction)]; circuits: how many there are; arrange(config): the rest."""

    links, circuits = (), 0

    def arrange(self, config):
        """Add the signalling point "cn", its groups and routes to the configuration."""
        raise NotImplementedError

    def start(self):
        self.start_board()
        self.start_product()
        running = self.product.get("/configuration")
        for span in running["configuration"]["spans"]:
            span["signalling"] = "ss7"
        self.arrange(running["configuration"])
        self.product.post("/configuration/apply", running)
        self.far = ScriptedSS7(self.run_dir, [1, 2], self.links, OWN, OTHER, crc4=[1], trace_dir=self.folder / "trace").start()
        self.up()
        return self

    def link_rows(self):
        """The links as a linkset of the configuration has them."""
        return [{"span": span, "timeslot": timeslot, "slc": slc, "correction": correction} for span, timeslot, slc, correction in self.links]

    def up(self, timeout_s=30):
        return self.wait(lambda s: all(link["usable"] for link in s["ss7"][0]["links"]) and sum(
            group["available"] for group in s["ss7"][0]["circuit_groups"]) == self.circuits, timeout_s, "all links and all circuits")

    def link(self, slc):
        """A signalling link as the product describes it."""
        return next(link for link in self.state()["ss7"][0]["links"] if link["slc"] == slc)

    @staticmethod
    def group(state, name):
        return next(row for row in state["ss7"][0]["circuit_groups"] if row["name"] == name)

    def slot(self, span, timeslot):
        return next(slot for row in self.state()["spans"] if row["span"] == span for slot in row["timeslots"] if slot["timeslot"] == timeslot)

    def cli(self, *words):
        """The command `strowger`, as an administrator has it."""
        environment = dict(os.environ, STROWGER_RUN=str(self.run_dir), STROWGER_DATA=str(self.data_dir))
        done = subprocess.run([sys.executable, "-m", "firmware.cli", *map(str, words)], cwd=CHECKOUT, env=environment, capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def alarms(self):
        """Alarms of linksets."""
        return [alarm for alarm in self.product.get("/alarms")["alarms"] if alarm["kind"].startswith("linkset")]

    def until(self, condition, what, timeout_s=30):
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "waited in vain for " + what
            time.sleep(0.05)
