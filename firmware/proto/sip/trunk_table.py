"""Which trunk: the trunks of an endpoint as its requests and sessions see them.  The trunks themselves: trunks.py."""

from firmware.proto.sip.parties import user_of
from firmware.proto.sip.trunks import Trunk


class TrunkTable:
    """The half of SIPEndpoint that knows its trunks."""

    def _run_trunks(self, now_ms):
        """Trunks begin with resume(): before it nothing may leave."""
        self._trunks_run = True
        for name in sorted(self.trunks):
            self.trunks[name].start(now_ms, name in self._restored_trunks)

    def set_trunks(self, rows, now_ms):
        """New table of trunks.  One that changed begins anew; calls go on.  Returns events."""
        old, self.trunks = self.trunks, {}
        for row in rows:
            known = old.get(row["name"])
            if known is not None and row["kind"] == known.row["kind"] == "pbx":
                row = dict(row)
                row["addresses"] = known.row["addresses"]        # of its registration
            if known is not None and _same_row(known.row, row):
                if row.get("named"):
                    known.readdress(row, now_ms, self._trunks_run)
                else:
                    known.row = row
                self.trunks[row["name"]] = old.pop(row["name"])
            else:
                self.trunks[row["name"]] = Trunk(self, dict(row, addresses=[]) if row["kind"] == "pbx" else row)
        for name in sorted(old):
            old[name].leave(now_ms)
            self.trunk_changed(old[name])
        self.config["trunks"] = rows
        self.guard.trusted = {}
        if self._trunks_run:
            for name in sorted(self.trunks):
                if not self.trunks[name].timers and self.trunks[name].state != "up":
                    self.trunks[name].start(now_ms)
        return self._take_events()

    def trunk_changed(self, trunk):
        """Its record is to be stored."""
        self._changed["trunk/" + trunk.name] = True

    def trunk_of(self, message, source):
        """The trunk that a new request comes from, or None: by its source, then by the name we registered with.

        A line that calls from the host of a trunk (a gateway and telephones behind one NAT) stays a line: it is challenged."""
        found = [trunk for trunk in self.trunks.values() if trunk.sends_from(source[0])]
        if not found:
            return None
        user = user_of(message.uri)
        ports = [trunk for trunk in found if source[1] in [address[1] for address in trunk.row["addresses"] if address[0] == source[0]]]
        if not ports and user_of(message.from_address.uri) in self._lines:
            return None
        for candidates in (ports, found):
            for trunk in candidates:
                if trunk.row["kind"] == "register" and trunk.row["user"] == user:
                    return trunk
        found = ports or found
        found.sort(key=lambda trunk: (trunk.row["kind"] == "register", trunk.name))
        return found[0]

    def is_trunk_host(self, host):
        """Whether a trunk's calls come from a host."""
        return any([trunk.sends_from(host) for trunk in self.trunks.values()])

    def trunk_load(self, name):
        """How many calls a trunk carries."""
        return len(self.trunk_legs.get(name) or ())

    def trunk_unanswered(self, name, address, now_ms):
        """An INVITE to an address of a trunk had no answer at all."""
        if name in self.trunks:
            self.trunks[name].unanswered(tuple(address), now_ms)

    def credentials_of(self, session):
        """{realm: [user, password]} for challenges put to a leg."""
        trunk = self.trunks.get(session.trunk)
        return self.credentials if trunk is None else trunk.credentials


def _same_row(one, other):
    """Whether two rows of a trunk are alike, functions apart, and what DNS says of it."""
    apart = ("is_source", "addresses", "unresolved", "names") if one.get("named") and other.get("named") else ("is_source",)
    keys = [key for key in one if key not in apart]
    return sorted(keys) == sorted([key for key in other if key not in apart]) and all([one[key] == other[key] for key in keys])
