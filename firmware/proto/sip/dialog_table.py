"""Which dialog: the calls of an endpoint, found by what a message or a telephone names them by.  The dialogs themselves: dialog.py."""

from firmware.proto.sip.session import ENDED, Session


class DialogTable:
    """The part of SIPEndpoint that knows whose a dialog is."""

    def __init__(self):
        self._dialogs = {}               # (Call-ID, our tag) -> session, or who else owns the dialog
        self._session_dialogs = {}       # leg -> [those keys]

    def leg_of_dialog(self, call_id, one_tag, other_tag):
        """The leg that Replaces names, in whichever order its tags stand, or None."""
        for ours, theirs in ((one_tag, other_tag), (other_tag, one_tag)):
            session = self._dialogs.get((call_id, ours))
            if isinstance(session, Session) and session.state != ENDED and session.line is not None:
                dialog = session.dialog_for(theirs)
                if dialog is not None or (session.dialog is None and session.direction == "out"):
                    return session.leg
        return None

    def dialog_name(self, leg):
        """(Call-ID, our tag, the far end's tag or None) by which a leg can be named, or None."""
        session = self.sessions.get(leg)
        if session is not None and session.dialog is not None:      # of several telephones the one that has answered, or took it over
            return session.dialog.call_id, session.dialog.local_tag, session.dialog.remote_tag
        keys = self._session_dialogs.get(leg)
        return tuple(keys[0]) + (None,) if session is not None and keys else None

    def leg_of_call(self, call_id, tags):
        """The leg whose dialog has a Call-ID and one of the tags as ours, or None."""
        for tag in tags:
            session = self._dialogs.get((call_id, tag))
            if isinstance(session, Session):
                return session.leg
        return None

    def learn(self, dialog, session):
        """Find a session by a dialog of its from now on."""
        key = (dialog.call_id, dialog.local_tag)
        self._dialogs[key] = session
        self._session_dialogs.setdefault(session.leg, []).append(key)

    def learn_dialog(self, dialog, owner):
        """Requests in a dialog that is no call's go to its owner."""
        self._dialogs[(dialog.call_id, dialog.local_tag)] = owner

    def forget_dialog(self, dialog):
        """The dialog is over."""
        self._dialogs.pop((dialog.call_id, dialog.local_tag), None)

    def call_ids(self):
        """The Call-IDs of the calls that go through here."""
        return set([session.dialog.call_id for session in self.sessions.values() if session.dialog is not None])

    def _forget_dialogs_of(self, leg):
        """A session is over, and whatever it was found by."""
        for key in self._session_dialogs.pop(leg, ()):
            self._dialogs.pop(key, None)
