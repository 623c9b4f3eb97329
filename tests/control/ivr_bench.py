"""What a flow costs the control process: callers through a greeting, a menu, an entry of eight digits, a branch and spoken values.

results() for `make bench`: processor time of one caller's whole visit (ten keys, three prompts), decisions and journal together, media,
signalling and sockets left out; and the share of one core that 60 such calls a second take.  The processor's time, whatever else the machine does.
"""

import copy
import pathlib
import tempfile
import time

from firmware.control.switchboard import Switchboard
from firmware.storage.stores import Stores
from tests.control.switchboard_rig import CONFIG, Ids

CALLS = 300
KEYS = "162345678"
FLOW = {"version": 1, "languages": ["zh_CN"], "start": "hello", "nodes": {
    "hello": {"type": "play", "prompts": ["greeting"], "next": "menu"},
    "menu": {"type": "menu", "prompts": ["menu"], "choices": {"1": "account"}, "exhausted": "bye"},
    "account": {"type": "collect", "prompts": ["enter_code"], "into": "account", "length": 8, "check": "length(value) == 8", "next": "level", "failed": "bye"},
    "level": {"type": "branch", "cases": [{"if": "starts(account, \"62\") and time.weekday <= 5", "next": "tell"}], "otherwise": "bye"},
    "tell": {"type": "play", "prompts": [{"digits": "{account}"}, {"money": "120.50"}], "next": "bye"},
    "bye": {"type": "hangup", "prompts": ["goodbye"]}}}


class Bench:
    """A switchboard with a journal on the disk."""

    def __init__(self, folder):
        config = copy.deepcopy(CONFIG)
        config["ivr"] = {"main": FLOW}
        self.now_ms, self.records, self.signals = 1753920000000, 0, {}
        self.stores = Stores(str(folder), pathlib.Path(folder))
        self.sb = Switchboard(config, Ids())
        self.sb.resume({"terminations": [], "bridges": [], "signals": [], "recordings": [], "links": []}, {}, self.now_ms)
        self.sb.take()

    def do(self, kind, **fields):
        """One turn: decide, write."""
        self.sb.handle(dict(fields, kind=kind), self.now_ms)
        records, actions = self.sb.take()
        self.records += len(records)
        with self.stores.database.transaction():
            self.stores.journal.append(records)
        for action in actions:
            if action["do"] == "media.signal":
                self.signals[action["leg"]] = action["token"]

    def call(self, number):
        """One caller's visit."""
        leg = "p%d" % number
        self.now_ms += 17
        self.do("leg.offered", leg=leg, tech="pri", trunk_group="carrier", span=1, timeslot=1, caller="13912345678", caller_presentation="allowed",
                called="02150801000", called_complete=True)
        self.do("media.signal_complete", leg=leg, token=self.signals[leg], reason="done")
        for key in KEYS:
            self.do("media.digit", leg=leg, digit=key)
        for _ in range(2):
            self.do("media.signal_complete", leg=leg, token=self.signals[leg], reason="done")
        self.do("leg.released", leg=leg, cause=16, by="near")
        if self.sb.core.state.calls:
            raise AssertionError("the caller is still there")


def results():
    """Rows of the bench."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder)
        bench.call(0)
        before, began = bench.records, time.process_time()
        for number in range(CALLS):
            bench.call(number + 1)
        each_ms = (time.process_time() - began) * 1000 / CALLS
        records = (bench.records - before) / CALLS
        bench.stores.database.close()
    note = "%.0f records a call, each turn a commit of its own; without media and signalling" % records
    return [{"name": "ivr.visit_ms", "value": round(each_ms, 2), "unit": "ms CPU", "note": note},
            {"name": "ivr.cores_at_60_calls_s", "value": round(each_ms * 60 / 1000, 3), "unit": "cores", "note": "the same, 60 times a second"}]
