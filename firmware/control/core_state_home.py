"""The part of the switchboard's state that follows home agents' telephones (core_home.py): one method for each record kind.

homes: {line: {"call", "leg": of the trunk or None, "state": "calling"|"asking"|"up"|"down", "serves": leg of a caller's call or None,
"asks": "none"|"key"|"pin", "tries", "agent", "mode", "number", "why": it went down, or None}}; serving: {leg: line} follows from it."""

from firmware.call import call as calls


class HomeFolds:
    """Methods of CoreState: records of home telephones."""

    def _home(self, data, **changes):
        row = dict(self.homes[data["line"]], **changes)
        before = self.homes[data["line"]]["serves"]
        if before != row["serves"]:
            self.serving.pop(before, None)
        if row["serves"] is not None:
            self.serving[row["serves"]] = data["line"]
        self.homes[data["line"]] = row

    def home_called(self, record, data, call):
        call = self._begin_call(record, data, "home", target=data["line"], caller="", caller_presentation="allowed", called=data["number"])
        self.homes.setdefault(data["line"], {"serves": None})
        self._home(data, call=call.id, leg=None, state="calling", serves=data["serves"], asks=None, tries=0, agent=record["agent"],
                   mode="nailed" if data["serves"] is None else "per_call", number=data["number"], why=None)

    def home_joined(self, record, data, call):
        if call is not None:
            call.state = calls.HOME
            self._caller_is(call, record["leg"])
            call.answered_ms = record["ts_ms"]
            if self.homes.get(data["line"], {}).get("call") == call.id:
                self._home(data, leg=record["leg"], state="asking", asks=data["asks"])
                self.timers.set("home", call.id, data["deadline_ms"])

    def home_asked(self, record, data, call):
        self._home(data, tries=data["tries"])
        self.timers.set("home", record["call"], data["deadline_ms"])

    def home_up(self, record, data, call):
        self._home(data, state="up")
        self.timers.cancel("home", record["call"])

    def home_serves(self, record, data, call):
        self._home(data, serves=record["leg"])

    def home_freed(self, record, data, call):
        self._home(data, serves=None)

    def home_down(self, record, data, call):
        self._home(data, state="down", why=data["why"])

    def home_removed(self, record, data, call):
        self.serving.pop(self.homes.pop(data["line"])["serves"], None)

    def load_homes(self, dumped):
        """Take the part of a checkpoint back."""
        self.homes = dict([(line, dict(row)) for line, row in dumped])
        self.serving = dict([(self.homes[line]["serves"], line) for line in self.homes if self.homes[line]["serves"] is not None])
