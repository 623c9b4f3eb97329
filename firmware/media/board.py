"""Following the board's window: map it when it appears, map it again when it was replaced."""

import logging
import os
import time

from drivers.tdm import ring
from firmware.errors import StrowgerError
from firmware.media import _engine
from firmware.media.circuits import BLOCKED

log = logging.getLogger("firmware.media.board")

LOOK_S = 0.25                   # how often the file is looked at


class BoardFollower:
    """present: a window is mapped.  generation: of media, as the window counts it (0: no board yet)."""

    def __init__(self, engine, path=None):
        self._engine, self._path = engine, path
        self.present = False
        self.generation = 0
        self._window = None
        self._stamp = None
        self._looked = 0.0
        self._said = None

    def follow(self, table):
        """Look now and then; table.later() frees the old mapping once the tick has left it."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        stamp = self._look()
        if self.present and (stamp != self._stamp or not self._window.window.present()):
            self._leave(table)
        if not self.present and stamp is not None:
            self._enter(table, stamp)
        elif not self.present:
            self._say("no board window at %s yet: running on the system's clock until it appears", self._where())

    def figures(self):
        """Plain dict for the stats command."""
        window = self._window.window if self.present else None
        return {"present": self.present, "generation": self.generation,
                "late_media_frames": window.get("late_media_frames") if window else None,
                "moved_time_base": window.get("moved_time_base") if window else None}

    def _where(self):
        try:
            return self._path or ring.window_path()
        except StrowgerError as error:
            return str(error)

    def _look(self):
        try:
            status = os.stat(self._path or ring.window_path())
        except (OSError, StrowgerError):
            return None
        return status.st_dev, status.st_ino, status.st_size

    def _enter(self, table, stamp):
        try:
            window = ring.Window(self._path)
            if window.spans > 64 or window.timeslots != 32 or window.burst_frames != 80 or window.ring_frames < 1024:
                self._say("the board window has %d spans, %d timeslots, blocks of %d: media wants up to 64, 32, 80",
                          window.spans, window.timeslots, window.burst_frames)
                return
        except StrowgerError as error:
            self._say("%s", error)
            return
        self.generation = window.get("media_generation") + 1 & 0xFFFFFFFF
        # What another life of media sent is void: circuits are blocked until control opens them.
        window.cas_tx[:] = BLOCKED
        window.set("media_owner", os.getpid())
        window.set("media_generation", self.generation)
        self._window, self._stamp = _engine.BoardWindow(window), stamp
        self._engine.set_window(self._window)
        self._engine.commit()
        self.present, self._said = True, None
        log.info("board window mapped: %s, %d spans", window.path, window.spans)

    def _leave(self, table):
        old, self._window, self.present = self._window, None, False
        self._engine.set_window(None)
        table.later(lambda: old)        # holds the mapping until then
        log.warning("the board has left its window; waiting for it to come back")

    def _say(self, sentence, *details):
        """The same thing is said once."""
        if self._said != (sentence, details):
            self._said = (sentence, details)
            log.warning(sentence, *details)
