"""The part of the switchboard's state that follows documents sent to numbers (core_faxes.py): one method for each record kind.

faxes: {id: {"id", "document", "number", "station", "header", "by", "note", "order", "asked_ms", "asked_in": call, "due_ms", "expires_ms", "attempts",
"call": the one on its way, of a finished row the last one, or None, "told": {ok why pages rate} of the machines, or None, "why", "outcome", "ended_ms"}}."""

KEPT = 100                  # that are over; invented


class FaxFolds:
    """Methods of CoreState: records of documents sent to numbers."""

    def _fax(self, name, **changes):
        if name in self.faxes:
            self.faxes[name] = dict(self.faxes[name], **changes)

    def fax_asked(self, record, data, call):
        self.faxes[data["fax"]] = {"id": data["fax"], "asked_ms": record["ts_ms"], "asked_in": record["call"], "attempts": 0, "call": None, "told": None, "why": None,
                                   "outcome": None, "ended_ms": None}
        for name in ("document", "number", "station", "header", "by", "note", "order", "due_ms", "expires_ms"):
            self.faxes[data["fax"]][name] = data[name]
        self.order = max(self.order, data["order"])
        self.timers.set("fax", data["fax"], data["due_ms"])

    def fax_dialled(self, record, data, call):
        call = self._begin_call(record, data, "fax", target=data["fax"], caller="", caller_presentation="allowed", called=data["number"])
        self._fax(data["fax"], call=call.id, told=None)
        self.timers.cancel("fax", data["fax"])

    def fax_joined(self, record, data, call):
        if call is not None:
            self._caller_is(call, record["leg"])
            call.answered_ms = record["ts_ms"]

    def _fax_of(self, call):
        """Name of the row that a call sends, or None: a flow's own fax."""
        return call.target if call is not None and call.application == "fax" and (self.faxes.get(call.target) or {}).get("call") == call.id else None

    def fax_page(self, record, data, call):
        self._fax(self._fax_of(call), told={"ok": False, "why": "the call ended", "pages": data["pages"], "rate": None})

    def fax_ended(self, record, data, call):
        pages = data["pages"] if data["pages"] is not None else ((self.faxes.get(self._fax_of(call)) or {}).get("told") or {}).get("pages")
        self._fax(self._fax_of(call), told={"ok": data["ok"], "why": data["why"], "pages": pages, "rate": data["rate"]})

    def fax_failed(self, record, data, call):
        self._fax(data["fax"], call=None, attempts=data["attempts"], why=data["why"], due_ms=data["due_ms"])
        self.timers.set("fax", data["fax"], data["due_ms"])

    def fax_finished(self, record, data, call):
        self._fax(data["fax"], outcome=data["outcome"], why=data["why"], ended_ms=record["ts_ms"])
        self.timers.cancel("fax", data["fax"])
        over = sorted([row["order"], row["id"]] for row in self.faxes.values() if row["outcome"] is not None)
        for _, name in over[:-KEPT]:
            del self.faxes[name]

    def forget_faxes(self, forms):
        """A person is erased: what was sent to the number is not listed any more."""
        for name in sorted(self.faxes):
            if self.faxes[name]["number"].lstrip("+") in forms and self.faxes[name]["outcome"] is not None:
                del self.faxes[name]
