"""Signed-in browsers: a random token in a cookie, its hash in $STROWGER_DATA/sessions.json.

The file lets a restart of the web process go unnoticed.  After FAILURES_FREE failed log-ins
a user name waits at the address they came from: others behind the same NAT do
not, and the user does not at another address.
"""

import hashlib
import json
import logging
import os
import pathlib
import secrets
import threading
import time

log = logging.getLogger(__name__)

COOKIE = "strowger_session"
LIFE_S = 12 * 3600
FAILURES_FREE = 5        # log-ins of a name that fail at an address before both must wait; invented
FAILURES_OF_ADDRESS = 50 # the same for all names together: a call centre is behind one NAT; invented
FAILURE_WAIT_S = 30


def _digest(token):
    return hashlib.sha256(token.encode()).hexdigest()


class Sessions:
    """The sessions that are open.  known(name): whether there is such a user; clock_s: wall-clock seconds."""

    def __init__(self, data_dir, known=lambda name: True, clock_s=time.time):
        self.path = pathlib.Path(data_dir) / "sessions.json"
        self.clock_s = clock_s
        self._lock = threading.Lock()
        self._failures = {}
        self._open = {key: entry for key, entry in self._read().items() if known(entry["user"])}    # who was removed meanwhile is not

    def _read(self):
        """The sessions of the file; what has not the right shape was never one of ours."""
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError, RecursionError):
            return {}
        return {key: entry for key, entry in (found.items() if isinstance(found, dict) else ())
                if isinstance(entry, dict) and isinstance(entry.get("user"), str)
                and isinstance(entry.get("until_s"), (int, float))}

    def begin(self, user):
        """Open a session; returns its token."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            now = self.clock_s()
            self._open = {k: v for k, v in self._open.items() if v["until_s"] > now}
            self._open[_digest(token)] = {"user": user, "until_s": now + LIFE_S}
            self._save()
        return token

    def user(self, token):
        """The user of a token, or None."""
        entry = self._open.get(_digest(token)) if token else None
        return entry["user"] if entry and entry["until_s"] > self.clock_s() else None

    def end(self, token):
        with self._lock:
            if self._open.pop(_digest(token), None):
                self._save()

    def end_others(self, user, token):
        """Close the user's other sessions (after a change of password)."""
        with self._lock:
            keep = _digest(token)
            self._open = {k: v for k, v in self._open.items() if v["user"] != user or k == keep}
            self._save()

    def must_wait(self, address, name):
        """Seconds that this name must wait at this address before it may try again; 0: none."""
        return max(self._wait_s((address, name), FAILURES_FREE), self._wait_s(address, FAILURES_OF_ADDRESS))

    def _wait_s(self, who, free):
        count, last_s = self._failures.get(who, (0, 0))
        return max(0, int(last_s + FAILURE_WAIT_S - self.clock_s()) + 1) if count >= free else 0

    def failed(self, address, name):
        if len(self._failures) > 10000:
            self._failures.clear()
        for who, free in (((address, name), FAILURES_FREE), (address, FAILURES_OF_ADDRESS)):
            count, last_s = self._failures.get(who, (0, 0))
            if self.clock_s() - last_s > FAILURE_WAIT_S:
                count = min(count, free - 1)
            self._failures[who] = (count + 1, self.clock_s())

    def succeeded(self, address, name):
        self._failures.pop((address, name), None)

    def _save(self):
        """A full disk keeps nobody out: the session then lives as long as this process."""
        beside = self.path.with_suffix(".json.new")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(self._open, file)
            os.replace(beside, self.path)
        except OSError as error:
            log.warning("sessions: %s cannot be written (%s); sessions are kept in memory", self.path, error.strerror)
