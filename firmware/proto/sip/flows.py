"""Flows of telephones: connections that end, come back, or are opened anew, and what was said over them.  RFC 5626 5.3, 6.

A part of SIPEndpoint (endpoint.py), whose sessions, registrar and qualifier it uses.
"""

from firmware.proto.sip.session import ENDED


class Flows:
    """See the top."""

    def __init__(self):
        self._without_flow = {}          # leg of a telephone whose connection is gone: that connection

    def connection_lost(self, address, opened, now_ms):
        """A connection ended (opened), or an address cannot be connected to.  Returns events; never raises.

        Requests that wait for its answer have failed (RFC 3261 17.1.4).  What was reached over it only is not there
        until it speaks again: a telephone registers anew."""
        try:
            self.transactions.unreachable(address, now_ms)
            if opened:
                self._flow_closed(address, now_ms)
            for name in sorted(self.trunks):
                self.trunks[name].connection_gone(address, now_ms)
        except Exception as error:
            self.fault("internal_error", "connection lost: %s: %s" % (type(error).__name__, error), address)
        return self._take_events()

    def _flow_closed(self, address, now_ms):
        for line in self.registered_lines():
            for binding in self.registrar.bindings[line]:
                if tuple(binding["source"]) == address and not binding.get("path") and self.registrar.mark(
                        line, binding["uri"], True, None, None, (address, [])):
                    self.contact_changed(line)
                    if self.registrar.targets(line, True):
                        self.qualifier.soon(line, now_ms)
        for session in self.sessions.values():
            dialog = session.dialog
            if dialog is not None and dialog.peer == address and session.state != ENDED:
                self._flow_lost(session)
                self.emit({"kind": "flow_lost", "leg": session.leg})
                self.touch(session)

    def _flow_lost(self, session):
        """The connection of a call is gone: its Contact or Route may be connected to, or the far end opens another one."""
        if session.line is not None:
            self._without_flow[session.leg] = session.dialog.peer
        session.dialog.peer = None

    def connection_back(self, address, now_ms):
        """A connection that counted as gone stands after all.  Returns events."""
        for line in self.registered_lines():
            for binding in self.registrar.bindings[line]:
                if tuple(binding["source"]) == address:
                    self.qualifier.heard(line, binding["uri"], None, (address, []))
        for leg in [leg for leg in sorted(self._without_flow) if self._without_flow[leg] == address]:
            del self._without_flow[leg]
            session = self.sessions.get(leg)
            if session is not None and session.dialog is not None and session.dialog.peer is None:
                self._flow_found(session, address, True)
        return self._take_events()

    def flow_opened(self, line, uris, source):
        """A telephone has registered over a connection: what is said in its calls goes there.  uris: its Contacts."""
        for leg in sorted(self._without_flow):
            session = self.sessions.get(leg)
            if session is None or session.dialog is None or session.dialog.peer is not None:
                del self._without_flow[leg]
            elif session.line == line and (session.dialog.target in uris or len(self.registrar.bindings.get(line, ())) == 1):
                del self._without_flow[leg]
                self._flow_found(session, source, session.dialog.target in uris)

    def _flow_found(self, session, address, same):
        """A call has a connection again.  same: its far end is the one that was there before, not its successor at the line."""
        session.dialog.peer = address
        if same:
            self.emit({"kind": "flow_back", "leg": session.leg})
        self.touch(session)

    def flow_failed(self, line, uri, way, now_ms):
        """An edge proxy says that the flow to a telephone is gone (RFC 5626 5.3.1): it is not called there until it registers again."""
        if line is not None:
            self.count("flows_failed")
            self.qualifier.silent(line, uri, None, way)
