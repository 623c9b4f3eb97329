"""The part of the switchboard's state that follows mailboxes (core_mailboxes.py): one method for each record kind."""

from firmware.call import call as calls


class MailboxFolds:
    """Methods of CoreState: records of mailboxes and messages."""

    def _message(self, name, **changes):
        if name in self.messages:
            self.messages[name] = dict(self.messages[name], **changes)

    def mailbox_entered(self, record, data, call):
        if call is not None:
            call.state = calls.MAILBOX
            call.mailbox = {"name": data["mailbox"], "mode": data["mode"], "step": None, "tries": 0, "index": 0}

    def mailbox_moved(self, record, data, call):
        if call is None or call.mailbox is None:
            return
        box = dict(call.mailbox, step=data["step"])
        for name in ("recording", "tries", "index", "list"):
            if name in data:
                box[name] = data[name]
        box["own_path"] = data.get("path") if data["step"] == "own_greeting" else None
        call.mailbox = box
        self.timers.set("mailbox", call.id, data["deadline_ms"])

    def mailbox_greeting(self, record, data, call):
        self.greetings[data["mailbox"]] = data["path"]

    def mailbox_code(self, record, data, call):
        if data["right"]:
            self.wrong_codes.pop(data["mailbox"], None)
        else:
            count, last_ms = self.wrong_codes.get(data["mailbox"]) or (0, 0)
            self.wrong_codes[data["mailbox"]] = (count + 1 if record["ts_ms"] < last_ms + 86_400_000 else 1, record["ts_ms"])

    def message_begun(self, record, data, call):
        self.messages[data["message"]] = {"id": data["message"], "mailbox": data["mailbox"], "recording": data["recording"], "path": data["path"],
                                          "caller": data["caller"], "called": data["called"], "call": record["call"], "left_ms": record["ts_ms"],
                                          "duration_ms": None, "state": "recording", "dropped": False, "mail": False, "mailed": None,
                                          "again_ms": None, "mail_tries": 0}

    def message_dropped(self, record, data, call):
        for name in sorted(self.messages):
            if self.messages[name]["recording"] == data["recording"]:
                self._message(name, dropped=True)

    def message_left(self, record, data, call):
        self._message(data["message"], state="new", duration_ms=data["duration_ms"], mail=data["mail"], mailed="wanted" if data["mail"] else None)
        self.timers.set("message", data["message"], data["delete_at_ms"])

    def message_state(self, record, data, call):
        self._message(data["message"], state=data["state"])

    def message_deleted(self, record, data, call):
        self.messages.pop(data["message"], None)
        self.timers.cancel("message", data["message"])

    def message_mailed(self, record, data, call):
        row = self.messages.get(data["message"])
        if row is not None:
            more = {"mailed_to": (row.get("mailed_to") or []) + data["to"]} if data.get("to") else {}
            self._message(row["id"], mail=not data["ok"] and data["again_ms"] is not None, again_ms=data["again_ms"], mail_tries=row["mail_tries"] + 1, **more,
                          mailed="sent" if data["ok"] else "wanted" if data["again_ms"] is not None else "failed")
