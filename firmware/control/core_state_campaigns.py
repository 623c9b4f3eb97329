"""The part of the switchboard's state that follows campaigns (core_campaigns.py): one method for each record kind.

campaigns: {name: {"id", "queue", "mode", "state", "by", "at_ms", "out": rows in the queue or being called, "next": index of the next row that was never taken, "later": [indexes of rows to be called again],
"rows": [{"number", "note", "state": "new"|"out"|a result, "attempts", "due_ms", "why", "call", "disposition", "at_ms"}]}}."""


class CampaignFolds:
    """Methods of CoreState: records of campaigns."""

    def campaign_loaded(self, record, data, call):
        rows = [{"number": number, "note": note, "state": "new", "attempts": 0, "due_ms": None, "why": None, "call": None, "disposition": None, "at_ms": None}
                for number, note in data["rows"]]
        self.campaigns[data["campaign"]] = {"id": data["campaign"], "queue": record["queue"], "mode": data["mode"], "state": "ready", "by": data["by"],
                                            "at_ms": record["ts_ms"], "out": 0, "next": 0, "later": [], "rows": rows}

    def campaign_moved(self, record, data, call):
        row = self.campaigns.get(data["campaign"])
        if row is None:
            return
        if data["state"] == "stopped":
            for index in range(len(row["rows"])):
                if row["rows"][index]["state"] == "new":
                    row["rows"][index] = dict(row["rows"][index], state="not_called", at_ms=record["ts_ms"])
            row = dict(row, next=len(row["rows"]), later=[])
        self.campaigns[data["campaign"]] = dict(row, state=data["state"], at_ms=record["ts_ms"])
        self._campaign_timer(data["campaign"])

    def campaign_removed(self, record, data, call):
        self.campaigns.pop(data["campaign"], None)
        self.timers.cancel("campaign", data["campaign"])

    def _campaign_row(self, where, **changes):
        """where: [campaign, index]."""
        row = self.campaigns.get(where[0])
        if row is None or where[1] >= len(row["rows"]):
            return
        before = row["rows"][where[1]]
        after = row["rows"][where[1]] = dict(before, **changes)
        out, later = row["out"] + (after["state"] == "out") - (before["state"] == "out"), [index for index in row["later"] if index != where[1]]
        if after["state"] == "new":
            later.append(where[1])
        self.campaigns[where[0]] = dict(row, out=out, later=later, next=max(row["next"], where[1] + 1))
        self._campaign_timer(where[0])

    def _campaign_timer(self, name):
        """When a row is to be called again."""
        row = self.campaigns[name]
        due = [row["rows"][index]["due_ms"] for index in row["later"] if row["rows"][index]["due_ms"] is not None]
        self.timers.set("campaign", name, min(due) if due and row["state"] == "running" else None)

    def campaign_passed(self, record, data, call):
        self._campaign_row([data["campaign"], data["row"]], state=data["outcome"], why=data["why"], at_ms=record["ts_ms"])

    def campaign_asked(self, where, record):
        """A row came into the queue, as a callback."""
        self._campaign_row(where, state="out", due_ms=None, at_ms=record["ts_ms"])

    def campaign_called(self, where, record, **changes):
        """Something became of the callback of a row."""
        self._campaign_row(where, at_ms=record["ts_ms"], **changes)

    def campaign_over(self, where, record, data, callback):
        """The callback of a row is over: it has a result, or it was paused."""
        if data["outcome"] in ("paused", "later"):
            self._campaign_row(where, state="new", attempts=callback["attempts"], due_ms=callback["due_ms"])
        else:
            self._campaign_row(where, state=data["outcome"], attempts=callback["attempts"] + (data["outcome"] in ("reached", "exhausted")), at_ms=record["ts_ms"],
                               call=record["call"] or callback["call"])

    def campaign_disposed(self, record, data):
        """An agent says what a call of a row was about."""
        for name in self.campaigns:
            rows = self.campaigns[name]["rows"]
            for index in range(len(rows)):
                if rows[index]["call"] is not None and rows[index]["call"] == record["call"]:
                    rows[index] = dict(rows[index], disposition=data["code"])
                    return

    def forget_campaigns(self, forms):
        """A person is erased: the number is not called, nor listed, any more."""
        for name in self.campaigns:
            rows = self.campaigns[name]["rows"]
            for index in range(len(rows)):
                if rows[index]["number"].lstrip("+") in forms:
                    rows[index] = dict(rows[index], number="", note="", why=None, state="erased" if rows[index]["state"] == "new" else rows[index]["state"])
