"""One machine inside of a node: a table, timers, and fields that survive control's death.  Portable."""

from firmware.proto.machine import Machine


class Part(Machine):
    """Base of the machines of a node.  FIELDS: attributes beside the state that dump() keeps; each is
    plain data (numbers, strings, lists, dictionaries), MESSAGES those that are lists of [key, octets]."""

    FIELDS = ()
    MESSAGES = ()

    def __init__(self, node):
        super().__init__(node.durations_ms)
        self.node = node

    def illegal(self, name, now_ms, *details):
        """No row: what came does not fit the state, and is ignored (Q.704 throughout)."""
        self.node.count("unexpected_inputs")

    def dump(self):
        """Return plain data."""
        saved = {"state": self.state, "timers": self.timers.dump()}
        for name in self.FIELDS:
            saved[name] = getattr(self, name)
        for name in self.MESSAGES:
            saved[name] = [[key, octets.hex()] for key, octets in getattr(self, name)]
        return saved

    def load(self, saved):
        """Take what dump() gave."""
        self.state = saved["state"]
        self.timers.restore(saved["timers"])
        for name in self.FIELDS:
            setattr(self, name, saved[name])
        for name in self.MESSAGES:
            setattr(self, name, [[key, bytes.fromhex(text)] for key, text in saved[name]])
