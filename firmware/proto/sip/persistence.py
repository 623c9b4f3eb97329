"""What an endpoint leaves to be stored, and how one is made of it after its process died.  The keys: endpoint.py."""

from firmware.errors import RemoteError
from firmware.proto.sip.incoming import IncomingSession
from firmware.proto.sip.outgoing import OutgoingSession
from firmware.proto.sip.trunk_calls import TrunkSession


class Persistence:
    """The part of SIPEndpoint that outlives its process."""

    def __init__(self):
        self._changed = {}               # key: True, of what is to be stored
        self._restored = []              # (session, its record) until resume()
        self._restored_trunks = {}

    def take_changes(self):
        """Records that changed since the last call: {key: record, or None for removed}."""
        changed = self._changed
        self._changed = {}
        out = {}
        for key in changed:
            out[key] = self._record(key)
        return out

    def dump(self):
        """All records that restore() needs: {key: JSON-able dict}."""
        out = {}
        for leg in self.sessions:
            if self.sessions[leg].is_stored():
                out["leg/" + leg] = self.sessions[leg].dump()
        for line in self.registrar.bindings:
            out["line/" + line] = self.registrar.dump_line(line)
        for name in self.trunks:
            out["trunk/" + name] = self.trunks[name].dump()
        for name in self.subscriptions.all:
            out["subscription/" + name] = self.subscriptions.all[name].dump()
        for line in self.publications.of:
            out["publication/" + line] = self.publications.dump_line(line)
        return out

    @classmethod
    def restore(cls, dump, config, random, hash_functions, new_leg, now_ms):
        """Rebuild from dump() or from the rows of take_changes().  Then call resume()."""
        endpoint = cls(config, random, hash_functions, new_leg)
        for key in sorted(dump):
            record = dump[key]
            kind, _, name = key.partition("/")
            if record is None:
                continue
            try:
                endpoint._restore_record(key, kind, name, record, now_ms)
            except (KeyError, TypeError, ValueError, RemoteError) as error:
                # a record of another version costs one leg or line, not the start of the service
                endpoint._changed[key] = True
                endpoint.fault("not_restored", "%s: %s: %s" % (key, type(error).__name__, error), None)
        return endpoint

    def resume(self, now_ms):
        """After restore(): take up what was under way.  Returns events."""
        restored, self._restored = self._restored, []
        for session, record in restored:
            try:
                session.resume(record, now_ms)
            except RemoteError as error:
                self.fault("dropped", str(error), None)
            self.touch(session)
        self._run_trunks(now_ms)
        self.subscriptions.tell_all(now_ms)
        return self._take_events()

    def subscription_changed(self, name):
        """Its record is to be stored."""
        self._changed["subscription/" + name] = True

    def publication_changed(self, line):
        """What a line has published is to be stored."""
        self._changed["publication/" + line] = True

    def _restore_record(self, key, kind, name, record, now_ms):
        """Take one record; what it is about may be gone from the configuration, then its row goes too."""
        if kind == "line":
            kept = self._restore_line(name, record, now_ms)
        elif kind == "subscription":
            kept = record["line"] in self._lines and self.subscriptions.restore(name, record, now_ms)
        elif kind == "publication":
            kept = name in self._lines and self.publications.restore(name, record, now_ms)
        elif kind == "trunk":
            kept = name in self.trunks
            if kept and self.trunks[name].load(record, now_ms):
                self._restored_trunks[name] = True
        else:
            kept = True
            if kind == "leg":
                self._restore_leg(name, record, now_ms)
        if not kept:
            self._changed[key] = True

    def _restore_line(self, name, record, now_ms):
        """Whether the line is there yet and has a binding that has not expired."""
        if name in self._lines:
            for binding in record["bindings"]:
                if len(binding["source"]) > 2 and not binding.get("path"):
                    binding["silent"] = True     # its connection died with the process before
            self.registrar.restore_line(name, record, now_ms)
            self._watch_line(name)
            if self.registrar.is_silent(name) and self.registrar.targets(name, True):
                self.qualifier.soon(name, now_ms)
            else:
                self.qualifier.watch(name, now_ms)
        return name in self.registrar.bindings

    def _restore_leg(self, name, record, now_ms):
        trunk = self.trunks.get(record.get("trunk"))
        if record["direction"] == "out" and trunk is not None:
            session = TrunkSession(self, name, trunk)
        else:
            make = OutgoingSession if record["direction"] == "out" else IncomingSession
            session = make(self, name, record["line"])
        session.load(record, now_ms)
        self.sessions[name] = session
        self._note_standing(session)
        if session.dialog is not None:
            if session.dialog.peer is not None and len(session.dialog.peer) > 2:
                self._flow_lost(session)
            self.learn(session.dialog, session)
        self._restored.append((session, record))

    def _record(self, key):
        kind, _, name = key.partition("/")
        if kind == "line":
            return self.registrar.dump_line(name)
        if kind == "trunk":
            return self.trunks[name].dump() if name in self.trunks else None
        if kind == "publication":
            return self.publications.dump_line(name)
        if kind == "subscription":
            return self.subscriptions.all[name].dump() if name in self.subscriptions.all else None
        session = self.sessions.get(name)
        return session.dump() if session is not None and session.is_stored() else None
