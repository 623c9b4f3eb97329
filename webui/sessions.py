"""Signed-in browsers: a random token in a cookie, its hash in $STROWGER_DATA/sessions.json.

The file lets a restart of the web process go unnoticed.  Failed log-ins slow
down the address they come from; they never lock a user out.
"""

import hashlib
import json
import os
import pathlib
import secrets
import threading
import time

COOKIE = "strowger_session"
LIFE_S = 12 * 3600
FAILURES_FREE = 5        # log-ins that fail before the address must wait; invented
FAILURE_WAIT_S = 30


def _digest(token):
    return hashlib.sha256(token.encode()).hexdigest()


class Sessions:
    """The sessions that are open.  clock_s: wall-clock seconds."""

    def __init__(self, data_dir, clock_s=time.time):
        self.path = pathlib.Path(data_dir) / "sessions.json"
        self.clock_s = clock_s
        self._lock = threading.Lock()
        self._failures = {}
        try:
            self._open = json.loads(self.path.read_text())
        except (OSError, ValueError):
            self._open = {}

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

    def must_wait(self, address):
        """Seconds that an address must wait before it may try again; 0: none."""
        count, last_s = self._failures.get(address, (0, 0))
        return max(0, int(last_s + FAILURE_WAIT_S - self.clock_s()) + 1) if count >= FAILURES_FREE else 0

    def failed(self, address):
        if len(self._failures) > 10000:
            self._failures.clear()
        count, last_s = self._failures.get(address, (0, 0))
        if self.clock_s() - last_s > FAILURE_WAIT_S:
            count = min(count, FAILURES_FREE - 1)
        self._failures[address] = (count + 1, self.clock_s())

    def succeeded(self, address):
        self._failures.pop(address, None)

    def _save(self):
        beside = self.path.with_suffix(".json.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(self._open, file)
        os.replace(beside, self.path)
