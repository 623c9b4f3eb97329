"""What telephones say of themselves: PUBLISH of presence and of dialogs.  RFC 3903, RFC 3856, RFC 4235.

A line publishes for itself only, its digest checked.  What it says is joined to what the switch knows (subscriptions.py): a telephone
that says closed closes its line's presence, its activities and its note stand where the switch has none, and its dialogs are shown
beside those that go through the switch (one that does is not shown twice: its Call-ID tells).

A publication is soft state with an entity tag, a new one at each PUBLISH (RFC 3903 6 step 6).  A PUBLISH without a body refreshes the one
of SIP-If-Match, one with a body changes it, Expires 0 ends it, a tag that is not known is 412.  They outlive a
restart (records "publication/<line>").
"""

from firmware.errors import RemoteError
from firmware.proto.sip.headers import media_type
from firmware.proto.sip.published import dialogs_of, presence_of
from firmware.proto.sip.text import hexadecimal, number
from firmware.proto.sip.uri import parse_uri

PRESENCE, DIALOG = "presence", "dialog"
BODIES = {PRESENCE: "application/pidf+xml", DIALOG: "application/dialog-info+xml"}
EVENTS = "dialog, presence"
DEFAULT_S, LEAST_S, MOST_S = 3600, 60, 86400         # RFC 3903 leaves them to the package: RFC 3856 6.4 says 3,600; the rest ours
MOST_OF_LINE = 8                                     # ours: telephones of a line, two packages each; the oldest goes


class Publications:
    """All of an endpoint's.  agent: the endpoint.  of: {line: [{"tag", "package", "expires_ms", "state"}]}."""

    def __init__(self, agent):
        self.agent = agent
        self.of = {}
        self.enabled = True
        self._timers = {}

    def receive(self, message, line, source, now_ms):
        """A PUBLISH of a line, its digest checked.  Raises RemoteError."""
        agent = self.agent
        package = media_type(message.get("Event") or "")
        if package not in BODIES:
            agent.reply(message, source, 489, now_ms, headers=(("Allow-Events", EVENTS),))
            return
        if parse_uri(message.uri).plain_user() != line:
            agent.reply(message, source, 403, now_ms)        # of others nobody says anything
            return
        tag = message.get("SIP-If-Match")
        rows = self.of.get(line, [])
        found = None
        if tag is not None:
            for row in rows:
                if row["tag"] == tag.strip() and row["package"] == package and row["expires_ms"] > now_ms:
                    found = row
            if found is None:
                agent.reply(message, source, 412, now_ms)
                return
        value = message.get("Expires")
        seconds = None if value is None else number(value.strip(), 2 ** 32)
        seconds = DEFAULT_S if seconds is None else min(seconds, MOST_S)
        if seconds and seconds < LEAST_S:
            agent.reply(message, source, 423, now_ms, headers=(("Min-Expires", "%d" % LEAST_S),))
            return
        state = None
        if message.body:
            if media_type(message.get("Content-Type") or "") != BODIES[package]:
                agent.reply(message, source, 415, now_ms, headers=(("Accept", BODIES[package]),))
                return
            state = self._state(package, message.body)
        elif found is None:
            raise RemoteError("a first PUBLISH has to say something (RFC 3903 4.1); its body is empty", status=400)
        transaction = agent.serve(message, source, agent.nobody)
        tag = hexadecimal(agent.random(8))
        rows = [row for row in rows if row is not found]
        if seconds:
            rows.append({"tag": tag, "package": package, "expires_ms": now_ms + seconds * 1000, "state": found["state"] if state is None else state})
        while len(rows) > MOST_OF_LINE:
            rows.pop(0)
        agent.respond(transaction, 200, now_ms, headers=(("SIP-ETag", tag), ("Expires", "%d" % seconds)))
        self._store(line, rows, now_ms)

    def _state(self, package, body):
        if package == PRESENCE:
            is_open, activities, note = presence_of(body)
            return {"open": is_open, "activities": activities, "note": note}
        return {"dialogs": [list(row) for row in dialogs_of(body)]}

    def _said(self, line):
        return [(row["package"], row["state"]) for row in self.of.get(line, ())]

    def _store(self, line, rows, now_ms):
        former = self._said(line)
        if rows:
            self.of[line] = rows
        else:
            self.of.pop(line, None)
        self.agent.timers.cancel(self._timers.pop(line, None))
        if rows:
            self._timers[line] = self.agent.timers.start(min([row["expires_ms"] for row in rows]), self, line)
        self.agent.publication_changed(line)
        if self._said(line) != former:                       # a plain refresh is nothing to tell
            self.agent.subscriptions.show_published(line, now_ms)

    def fire(self, line, now_ms):
        """Some publication of a line was not refreshed in time."""
        self._timers.pop(line, None)
        self._store(line, [row for row in self.of.get(line, []) if row["expires_ms"] > now_ms], now_ms)

    def remove(self, line, now_ms):
        """The line is gone."""
        if line in self.of:
            self._store(line, [], now_ms)

    def presence(self, line):
        """(False where telephones say closed and none open, [activities], note or None)."""
        said, activities, note = [], [], None
        for row in self.of.get(line, ()):
            if row["package"] == PRESENCE:
                said.append(row["state"]["open"])
                activities.extend([one for one in row["state"]["activities"] if one not in activities])
                note = row["state"]["note"] or note
        return False not in said or True in said, activities, note

    def dialogs(self, line, known=None):
        """[(id, direction, state)] that telephones have beside us: none that goes through this switch.  known: agent.call_ids(), of who asks for many lines."""
        out = []
        for index, row in enumerate(self.of.get(line, ())):
            if row["package"] == DIALOG:
                for name, call_id, direction, state in row["state"]["dialogs"]:
                    if known is None:
                        known = self.agent.call_ids()
                    if call_id is None or call_id not in known:
                        out.append(("p%d-%s" % (index, name), direction, state))
        return out

    def describe(self, line, known=None):
        """For people: GET /v1/state.  known: as in dialogs()."""
        is_open, activities, note = self.presence(line)
        return {"open": is_open, "activities": activities, "note": note, "dialogs": len(self.dialogs(line, known)),
                "until_ms": max([row["expires_ms"] for row in self.of[line]])} if line in self.of else None

    def dump_line(self, line):
        """JSON-able record, or None."""
        rows = self.of.get(line)
        return {"rows": [dict(row) for row in rows]} if rows else None

    def restore(self, line, record, now_ms):
        """From dump_line().  False: all of it has expired."""
        rows = [row for row in record["rows"] if row["expires_ms"] > now_ms and row["package"] in BODIES]
        if rows:
            self.of[line] = rows
            self._timers[line] = self.agent.timers.start(min([row["expires_ms"] for row in rows]), self, line)
        return bool(rows)
