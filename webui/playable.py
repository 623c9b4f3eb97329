"""Recordings as a browser can play them: G.711 and PCM as they are, ADPCM converted by a process of its own.

What was converted is kept for a while, since a browser asks for it again and again, piece by piece."""

import os
import pathlib
import subprocess
import sys
import threading

PLAYABLE = ("alaw", "ulaw", "pcm16")    # what browsers play in WAV
KEPT = 8                                # converted files; ours
KEPT_OCTETS = 256 << 20                 # of all of them; the last one always stays; ours
CONVERT_S = 120                         # an hour of G.726 takes a few seconds; ours


class Playable:
    """folder: for converted files; made when it is needed."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._one = threading.Lock()    # at a time

    def path(self, source, form):
        """The file to send for one of a form (format's name).  Raises OSError with a sentence where it cannot be converted."""
        if form in PLAYABLE:
            return source
        status = source.stat()
        target = self.folder / f"{source.stem}-{status.st_mtime_ns:x}-{status.st_size:x}.wav"
        with self._one:
            if not target.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                try:
                    done = subprocess.run([sys.executable, "-m", "firmware.media.convert", str(source), str(target)], check=False,
                                          capture_output=True, text=True, timeout=CONVERT_S, preexec_fn=lambda: os.nice(10))
                except subprocess.TimeoutExpired as error:
                    raise OSError(f"{source.name} was not converted within {CONVERT_S} s") from error
                if done.returncode:
                    raise OSError(done.stderr.strip() or f"{source.name} cannot be converted")
                self._forget(target)
            os.utime(target)
        return target

    def _forget(self, newest):
        held = sorted(self.folder.glob("*.wav"), key=lambda path: path.stat().st_mtime, reverse=True)
        total = 0
        for place, path in enumerate(held):
            total += path.stat().st_size
            if path != newest and (place >= KEPT or total > KEPT_OCTETS):
                path.unlink(missing_ok=True)
