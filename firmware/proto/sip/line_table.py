"""Which line: the lines of an endpoint, their secrets, and what becomes of their bindings.  The bindings themselves: registrar.py."""

from firmware.proto.sip.digest import ha1
from firmware.proto.sip.text import octet_text


class LineTable:
    """The part of SIPEndpoint that knows its lines."""

    def __init__(self, lines):
        self._lines = {}
        self._secrets = {}               # line -> {algorithm: HA1}
        self._line_timers = {}
        self._take_lines(lines)

    def set_lines(self, lines, now_ms):
        """New table of lines; bindings of lines that are gone go too.  Returns events."""
        self._take_lines(lines)
        for line in self.registered_lines():
            if line not in self._lines:
                self.registrar.remove(line)
                self._line_changed(line)
        for line in sorted({one.line: True for one in self.subscriptions.all.values() if one.line not in self._lines}):
            self.subscriptions.drop_line(line)
        for line in [line for line in self.publications.of if line not in self._lines]:
            self.publications.remove(line, now_ms)
        return self._take_events()

    def set_realm(self, realm):
        """New realm of challenges; set_lines() must follow, since the secrets of lines hold it."""
        if realm != self.config["realm"]:
            self.config["realm"] = self.digest.realm = realm
            self._secrets = {}

    def set_digest(self, algorithms):
        """New algorithms of challenges, in their order; set_lines() must follow as after set_realm()."""
        if list(algorithms) != self.digest.algorithms:
            self.digest.algorithms = list(algorithms)
            self._secrets = {}

    def contacts(self, line):
        """Contacts of a line, as in line_registered."""
        return self.registrar.contacts(line)

    def is_silent(self, line):
        """Whether a line is registered and none of its telephones answers."""
        return self.registrar.is_silent(line)

    def registered_lines(self):
        """Names of all lines with a binding, sorted."""
        return sorted(self.registrar.bindings)

    def has_line(self, line):
        """Whether there is a line of that name."""
        return line in self._lines

    def contact_changed(self, line):
        """A contact of a line fell silent, or is there again."""
        self._line_changed(line)

    def fire(self, name, now_ms):
        """A contact of a line expired (timers of the endpoint itself bear a line's name)."""
        if self.registrar.expire(name, now_ms):
            self._line_changed(name)
        else:
            self._watch_line(name)

    def _take_lines(self, lines):
        """Take a table of lines and work out their secrets now, so that no first request takes longer."""
        old, self._lines = self._lines, dict(lines)
        for line in old:
            if self._lines.get(line) != old[line]:
                self._secrets.pop(line, None)
        for line in self._lines:
            given = self._lines[line]
            if line in self._secrets:
                continue
            if isinstance(given, str):
                self._secrets[line] = {}
                for name in self.digest.algorithms:
                    self._secrets[line][name] = ha1(self.hash_functions[name], octet_text(line), self.config["realm"],
                                                    octet_text(given))
            else:
                self._secrets[line] = given

    def _secret_of(self, user, algorithm):
        """HA1 of a line, or None."""
        return self._secrets.get(user, {}).get(algorithm)

    def _tell_line(self, line, known, left=False):
        self.subscriptions.show_presence(line, 0)
        contacts = self.registrar.contacts(line)
        if contacts:
            self.emit({"kind": "line_registered", "line": line, "contacts": contacts})
        elif known:
            self.emit({"kind": "line_unregistered", "line": line, "contacts": [], "left": left})

    def _line_changed(self, line):
        self._changed["line/" + line] = True
        self._watch_line(line)
        self._tell_line(line, True)

    def _watch_line(self, line):
        """One timer a line, at its first expiry."""
        self.timers.cancel(self._line_timers.pop(line, None))
        expiry_ms = self.registrar.next_expiry_ms(line)
        if expiry_ms is not None:
            self._line_timers[line] = self.timers.start(expiry_ms, self, line)
