"""The part of the switchboard's state that belongs to the desk (core_desk.py), to messages (core_broadcasts.py) and to the traffic early warning
(core_warnings.py): one method for each record kind."""


class DeskFolds:
    """Methods of CoreState: who calls, what agents say that calls were about, messages, alarms, mails."""

    def call_customer_asked(self, record, data, call):
        if call is not None:
            call.customer = {}

    def call_customer(self, record, data, call):
        if call is not None:
            call.customer = {"customer": data["customer"], "source": data["source"], "key": data.get("key")}

    def call_disposed(self, record, data, call):
        self.campaign_disposed(record, data)
        if record["agent"] is not None:
            agent = self.agent(record["agent"])
            agent.disposed = record["call"]
            if agent.wrapped == record["call"]:
                agent.undone = False

    def agent_wrap_up_waits(self, record, data, call):
        self.agent(record["agent"]).undone = True
        self.timers.cancel("wrap_up", record["agent"])

    # Messages.

    def broadcast_sent(self, record, data, call):
        self.broadcasts[data["broadcast"]] = {"broadcast": data["broadcast"], "text": data["text"], "by": data["by"], "at_ms": record["ts_ms"],
                                              "urgent": data["urgent"], "agents": list(data["agents"]), "seen": [], "expires_ms": data["expires_ms"]}
        self.timers.set("broadcast", data["broadcast"], data["expires_ms"])

    def broadcast_seen(self, record, data, call):
        row = self.broadcasts.get(data["broadcast"])
        if row is None:
            return
        row = dict(row, agents=[name for name in row["agents"] if name != record["agent"]], seen=row["seen"] + [record["agent"]])
        if row["agents"]:
            self.broadcasts[data["broadcast"]] = row
        else:
            self.broadcast_ended(record, data, call)

    def broadcast_ended(self, record, data, call):
        self.broadcasts.pop(data["broadcast"], None)
        self.timers.cancel("broadcast", data["broadcast"])

    # The traffic early warning.

    def threshold_crossed(self, record, data, call):
        self.warnings[data["threshold"]] = {"state": "pending", "queue": record["queue"], "since_ms": record["ts_ms"], "raised_ms": None, "value": data["value"],
                                            "severity": data["severity"], "step": 0, "acked": None, "told": []}

    def threshold_back(self, record, data, call):
        self.warnings.pop(data["threshold"], None)

    def threshold_raised(self, record, data, call):
        self.threshold_crossed(record, data, call)
        self.warnings[data["threshold"]].update(state="raised", since_ms=data["since_ms"], raised_ms=record["ts_ms"])

    def threshold_escalated(self, record, data, call):
        warning = self.warnings.get(data["threshold"])
        if warning is not None:
            told = warning["told"] + [one for one in data["mail"] if one not in warning["told"]]
            self.warnings[data["threshold"]] = dict(warning, step=data["step"], told=told)

    def threshold_acknowledged(self, record, data, call):
        if data["threshold"] in self.warnings:
            self.warnings[data["threshold"]] = dict(self.warnings[data["threshold"]], acked={"by": data["by"], "ts_ms": record["ts_ms"], "note": data["note"]})

    def threshold_cleared(self, record, data, call):
        self.warnings.pop(data["threshold"], None)

    def notice_queued(self, record, data, call):
        self.notices[data["notice"]] = {"id": data["notice"], "to": list(data["to"]), "subject": data["subject"], "text": data["text"], "at_ms": record["ts_ms"],
                                        "tries": 0, "again_ms": None}

    def notice_mailed(self, record, data, call):
        row = self.notices.get(data["notice"])
        if row is None:
            return
        if data["ok"] or data["again_ms"] is None:
            del self.notices[data["notice"]]
        else:
            self.notices[data["notice"]] = dict(row, tries=row["tries"] + 1, again_ms=data["again_ms"], to=data.get("to") or row["to"])
