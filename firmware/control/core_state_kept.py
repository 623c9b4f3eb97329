"""The part of the switchboard's state that follows what is kept (core_kept.py): one method for each record kind."""


class KeptFolds:
    """Methods of CoreState: one for each record kind.  erasures: {id: {"forms", "by", "reason", "asked_ms"}} that are not done yet."""

    def person_erasing(self, record, data, call):
        self.erasures[data["erasure"]] = {"forms": data["forms"], "by": data["by"], "reason": data["reason"], "asked_ms": record["ts_ms"],
                                          "waits": data.get("waits", False)}
        if data.get("waits"):
            return                      # the call goes on as if nobody had asked
        for number in data["forms"] + ["+" + form for form in data["forms"]]:
            self.last_agents.pop(number, None)
            self.customers.pop(number, None)
        self.forget_faxes(data["forms"])
        self.forget_campaigns(data["forms"])

    def person_erased(self, record, data, call):
        self.erasures.pop(data["erasure"], None)
