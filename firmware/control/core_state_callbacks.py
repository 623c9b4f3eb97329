"""The part of the switchboard's state that follows callbacks (core_callbacks.py): one method for each record kind."""

ASKED = ("queue", "number", "priority", "since_ms", "order", "skills", "given", "called", "language", "languages", "by", "due_ms", "note", "expires_ms")


class CallbackFolds:
    """Methods of CoreState: records of callbacks."""

    def _callback(self, name, **changes):
        if name in self.callbacks:
            self.callbacks[name] = dict(self.callbacks[name], **changes)

    def callback_asked(self, record, data, call):
        row = {"id": data["callback"], "attempts": 0, "call": None, "joined": False}
        for name in ASKED:
            row[name] = record["queue"] if name == "queue" else data[name]
        if data.get("campaign"):
            row.update(campaign=data["campaign"], first=data["first"], attempts=data["attempts"])
            self.campaign_asked(data["campaign"], record)
        self.callbacks[row["id"]] = row
        self.order = max(self.order, data["order"])
        self.timers.set("callback", row["id"], data["due_ms"])
        self.timers.set("callback_end", row["id"], data["expires_ms"])

    def callback_waits(self, record, data, call):
        call = self._begin_call(record, data, "callback", callback=data["callback"], answered_ms=record["ts_ms"],
                                caller=data["caller"], caller_presentation=data["caller_presentation"], called=data["called"])
        self._callback(data["callback"], call=call.id, due_ms=None, joined=False)
        self.timers.set("callback", data["callback"], data["look_at_ms"])

    def callback_looked(self, record, data, call):
        self.timers.set("callback", data["callback"], data["look_at_ms"])

    def callback_dialled(self, record, data, call):
        self._caller_is(call, record["leg"])
        self.timers.cancel("callback", data["callback"])
        row = self.callbacks.get(data["callback"]) or {}
        if row.get("campaign"):
            self.campaign_called(row["campaign"], record, call=record["call"])

    def callback_joined(self, record, data, call):
        self._caller_is(call, record["leg"])
        self._callback(data["callback"], joined=True)

    def callback_failed(self, record, data, call):
        self._callback(data["callback"], call=None, attempts=data["attempts"], due_ms=data["due_ms"], joined=False)
        self.timers.set("callback", data["callback"], data["due_ms"])

    def callback_ended(self, record, data, call):
        row = self.callbacks.pop(data["callback"], None)
        if row is not None and row.get("campaign"):
            self.campaign_over(row["campaign"], record, data, row)
        for kind in ("callback", "callback_end"):
            self.timers.cancel(kind, data["callback"])
