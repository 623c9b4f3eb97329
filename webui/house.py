"""The control process as the pages see it: its state now, and word of every change.

One thread follows the journal (GET /v1/events); whoever shows something live
waits for the next change.  When control is away the last state is kept and
marked, so a page says so instead of going blank.
"""

import threading
import time

from firmware.control.client import ControlClient, ControlError
from firmware.errors import LocalError

RETRY_S = 0.5
ME_S = 2.0                   # for so long a role that was taken away may still show a page; what it asks is refused at once
ASKING, BUSY_S = 10, 1.0     # of the 16 page threads; invented


class SharedClient(ControlClient):
    """At most ASKING page threads wait for control at a time: where control hangs, the others still serve what needs none."""

    def __init__(self, run_dir):
        super().__init__(run_dir)
        self._asking = threading.BoundedSemaphore(ASKING)

    def request(self, method, path, body=None, query=None, user=None, timeout_s=None):
        if not self._asking.acquire(timeout=BUSY_S):
            raise ControlError(503, {"title": "control is busy", "status": 503,
                                     "detail": "The control process does not answer in time; try again in a moment."})
        try:
            return super().request(method, path, body, query, user, timeout_s)
        finally:
            self._asking.release()


class House:
    """Follows the control process.  run_dir: $STROWGER_RUN."""

    def __init__(self, run_dir):
        self.client = SharedClient(run_dir)
        self.changed = threading.Condition()
        self.version = 0        # counts what could have changed a page
        self.away = True        # control does not answer
        self._state, self._state_version = None, -1
        self._me = {}
        self._reading = threading.Lock()

    def follow(self):
        """Start the thread that follows the journal."""
        threading.Thread(target=self._follow, name="journal", daemon=True).start()

    def _follow(self):
        while True:
            try:
                after = self.client.get("/v1/state")["seq"]
                self._change(away=False)
                for _ in self.client.stream_events(after=after, brief=1):      # that something came is all that counts
                    self._change(away=False)    # a keep-alive too: with a full disk no record says what changes
            except (LocalError, OSError, ValueError):
                pass
            self._change(away=True)
            time.sleep(RETRY_S)

    def _change(self, away):
        with self.changed:
            if away and self.away:
                return
            self.away = away
            self.version += 1
            self.changed.notify_all()

    def wait(self, version, timeout_s):
        """Wait until the version differs from the one given; returns the version."""
        with self.changed:
            self.changed.wait_for(lambda: self.version != version, timeout_s)
            return self.version

    def me(self, user):
        """What control says that a user may: {"role", "agent", "agents", "queues"}, asked anew after ME_S.  Raises ControlError."""
        known = self._me.get(user)
        if known is None or time.monotonic() - known[0] > ME_S:
            try:
                known = self._me[user] = (time.monotonic(), self.client.request("GET", "/v1/me", user=user))
            except ControlError as error:
                if known is None or error.status != 503:
                    raise
            if len(self._me) > 5000:
                self._me.clear()
        return known[1]

    def known_role(self, user):
        """The role as it was told last, without asking: a page that needs nothing of control does not wait for it."""
        known = self._me.get(user)
        return known[1]["role"] if known else None

    def state(self):
        """(version, state), read once per change however many pages ask.  state: None before the first."""
        with self._reading:
            version = self.version
            if version != self._state_version or self._state is None:
                try:
                    self._state = self.client.get("/v1/state")
                    self._state_version = version
                except (LocalError, OSError, ValueError):
                    pass
            return version, self._state
