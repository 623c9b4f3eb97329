"""The part of the switchboard's state that follows what happened to the box: its alarms and its configuration; one method for each record kind.

alarms: {id: {"id", "kind", "severity", "members", "all_members", "detail" {source: sentence}, "raised_ms", "repeats", "acked": {by ts_ms note} or None}} that stand;
        the keeper begins with them after a restart (chassis/keeper.py).
changes: [{"revision", "at_ms", "by", "paths", "count", "back_to": revision or None}] of the configuration, the last KEPT; values stand in the files of its history."""

KEPT = 200                  # as many as the store keeps files (config/store.py)


class TrailFolds:
    """Methods of CoreState: alarms of the box, changes of the configuration."""

    def alarm_raised(self, record, data, call):
        self.alarms[data["alarm"]] = {"id": data["alarm"], "kind": data["fault"], "severity": data["severity"], "members": list(data.get("members") or []),
                                      "all_members": list(data.get("members") or []), "detail": dict(data.get("detail") or {}),
                                      "raised_ms": data.get("raised_ms", record["ts_ms"]), "repeats": data.get("repeats", 1), "acked": data.get("acked")}

    def alarm_changed(self, record, data, call):
        row = self.alarms.get(data["alarm"])
        if row is None:
            return
        members = [name for name in row["members"] if name not in data["left"]] + [name for name in data["joined"] if name not in row["members"]]
        detail = dict([(name, row["detail"][name]) for name in row["detail"] if name in members])
        detail.update(data["detail"])
        self.alarms[data["alarm"]] = dict(row, members=members, all_members=row["all_members"] + [name for name in data["joined"] if name not in row["all_members"]],
                                          detail=detail, repeats=data["repeats"], acked=row["acked"] if data.get("acked", True) else None)

    def alarm_acknowledged(self, record, data, call):
        if data["alarm"] in self.alarms:
            self.alarms[data["alarm"]] = dict(self.alarms[data["alarm"]], acked={"by": data["by"], "ts_ms": record["ts_ms"], "note": data["note"]})

    def alarm_cleared(self, record, data, call):
        self.alarms.pop(data["alarm"], None)

    def timeslots_service(self, record, data, call):
        """For the journal, of which the history of the timeslots is a projection (control/timeslots.py)."""

    def timeslots_restarted(self, record, data, call):
        """The same."""

    def configuration_changed(self, record, data, call):
        row = {"revision": data["revision"], "at_ms": record["ts_ms"], "by": data.get("by"), "paths": data["paths"], "count": data["count"], "back_to": data.get("back_to")}
        self.changes = (self.changes + [row])[-KEPT:]
