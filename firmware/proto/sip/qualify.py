"""Which registered telephones are there: asked by OPTIONS, not offered calls while they are silent.

A registration outlives its telephone by up to an hour.  A contact is silent, and no contact to call any
more, once a request of ours ran out without a single response: an INVITE (RFC 3261 17.1.1.2, timer B) or one
of these OPTIONS (11, 17.1.2.2, timer F), or when its connection is gone.  Any response but 408 is a sign of life, a refusal too, and so is a
new REGISTER: the contact is called again.  Its binding stays; it expires in its own time.

The questions go to each contact every interval; the first comes after half to a whole of it, spread over the
lines, so that a thousand telephones are not asked in one moment.
"""

from firmware.proto.sip.dialog import Dialog
from firmware.proto.sip.session import SDP


RECONNECT_MS = 2000          # ours: shorter than the patience of a caller


class Ping:
    """Owner of one OPTIONS: tells the qualifier how it ended."""
    __slots__ = ("qualifier", "line", "uri", "destination", "began_ms", "way")

    def __init__(self, qualifier, line, uri, destination, began_ms, way):
        self.qualifier = qualifier
        self.line = line
        self.uri = uri
        self.destination = destination
        self.began_ms = began_ms
        self.way = way

    def response(self, transaction, message, now_ms):
        """A sign of life; a 408 is what a proxy says of a telephone that gives none, 430 of one whose flow is gone."""
        if message.status in (408, 430):
            self.qualifier.silent(self.line, self.uri, self.began_ms, self.way)
        else:
            self.qualifier.heard(self.line, self.uri, None if self.way[1] else self.destination, self.way)

    def failed(self, transaction, status, now_ms):
        """Timer F: nothing came."""
        self.qualifier.silent(self.line, self.uri, self.began_ms, self.way)

    def unacknowledged(self, transaction, now_ms):
        """Not of a client."""

    def finished(self, transaction, now_ms):
        """The next question may go out."""
        self.qualifier.asked.pop((self.line, self.uri, self.way[0]) + tuple(self.way[1]), None)


class Qualifier:
    """Asks the contacts of an endpoint's registrar.  interval_ms: 0 asks nobody."""

    def __init__(self, endpoint, interval_ms):
        self.endpoint = endpoint
        self.interval_ms = interval_ms
        self.asked = {}              # (line, URI, address, Route values ...) whose answer is awaited
        self._timers = {}            # line -> timer

    def set_interval(self, interval_ms, now_ms):
        """Ask at another interval from now on."""
        if interval_ms != self.interval_ms:
            self.interval_ms = interval_ms
            for line in self._timers:
                self.endpoint.timers.cancel(self._timers[line])
            self._timers = {}
            for line in self.endpoint.registered_lines():
                self.watch(line, now_ms)

    def watch(self, line, now_ms):
        """A line has contacts: begin to ask them, unless that has begun."""
        number = self.endpoint.registrar.newest(line)
        if self.interval_ms and number is not None and line not in self._timers:
            spread = 500 + number * 389 % 500            # thousandths; 389 and 500 have no common factor
            self._start(line, now_ms + self.interval_ms * spread // 1000)

    def soon(self, line, now_ms):
        """The connection of a contact is gone: ask, after the time in which a telephone that notices has opened another one."""
        self.endpoint.timers.cancel(self._timers.pop(line, None))
        self._start(line, now_ms + RECONNECT_MS)

    def _start(self, line, deadline_ms):
        self._timers[line] = self.endpoint.timers.start(deadline_ms, self, line)

    def fire(self, name, now_ms):
        """Ask the contacts of a line."""
        self._timers.pop(name, None)
        targets = self.endpoint.registrar.targets(name, True)
        if targets and self.interval_ms:
            self._start(name, now_ms + self.interval_ms)
        for uri, destination, nat, path in targets:
            key = (name, uri, destination) + tuple(path)
            if key not in self.asked:
                self.asked[key] = True
                self.endpoint.count("pings")
                self._ask(name, uri, destination, nat, path, now_ms)

    def _ask(self, line, uri, destination, nat, path, now_ms):
        identity = self.endpoint.identity
        local = "<sip:strowger@%s>" % identity.host
        dialog = Dialog(identity.call_id(), identity.tag(), local, "<%s>" % uri, uri)
        if nat:
            dialog.peer = destination
        dialog.routes = list(path)
        message = dialog.request("OPTIONS", identity, hop=destination)
        message.add("Accept", SDP)
        self.endpoint.transactions.request(message, destination, Ping(self, line, uri, destination, now_ms, (destination, list(path))), now_ms)

    def silent(self, line, uri, began_ms, way=None):
        """A request that went out at began_ms had no response.  A contact registered since then is another matter."""
        if self.endpoint.registrar.mark(line, uri, True, began_ms, None, way):
            self.endpoint.count("silent_contacts")
            self.endpoint.contact_changed(line)

    def heard(self, line, uri, destination=None, way=None):
        """A contact is there, and answered over the connection to destination."""
        if self.endpoint.registrar.mark(line, uri, False, None, destination, way):
            self.endpoint.contact_changed(line)
