"""Prompts that people gave to the box, beside those that came with it: data/prompts, one file a version and an index.

    <language>/<name>@<version>.wav      never changed once it is there, so that a call that plays it plays it to its end
    index.json                           {"en/greeting": {"current": 3 or None (that of the box), "versions": [{version, at_ms, by, file, ...}]}}

A version counts when the index names it, and the index is replaced whole: a kill leaves the old or the new, never half of one.  Music is
language "music".  The newest KEPT versions of each stay.
"""

import json
import logging
import os
import re

from firmware.errors import LocalError

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9_-]{1,60}\Z")
LANGUAGE = re.compile(r"[a-z]{2}(_[A-Z]{2})?\Z|music\Z")
KEPT = 10               # ours
MOST = 5000             # prompts; ours


class PromptFiles:
    """folder: made when the first comes."""

    def __init__(self, folder):
        self.folder, self._index, self.fault = str(folder), {}, None
        try:
            with open(os.path.join(self.folder, "index.json"), encoding="utf-8") as file:
                self._index = {key: row for key, row in json.load(file).items() if self._whole(row)}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, AttributeError) as error:
            self.fault = "the index of prompts %s/index.json cannot be used (%s); the box's own are played. Restore it from a backup" % (self.folder, error)
            log.error("prompts: %s", self.fault)

    @staticmethod
    def _whole(row):
        return isinstance(row, dict) and isinstance(row.get("versions"), list) and all(isinstance(one.get("version"), int) for one in row["versions"])

    def path(self, key):
        """The file that is to be played for "en/greeting", or None: that of the box."""
        row = self._index.get(key)
        return self._file(key, row["current"]) if row is not None and row["current"] is not None else None

    def _file(self, key, version):
        return os.path.join(self.folder, "%s@%d.wav" % (key, version))

    def check(self, language, name):
        """The key of a prompt.  Raises LocalError with a sentence."""
        if not LANGUAGE.match(language):
            raise LocalError("%s is no language of prompts; give zh_CN, en or another one as these, or music" % language[:20])
        if not NAME.match(name):
            raise LocalError("%s is no name of a prompt; use letters, digits, dash and underline, at most 60" % name[:70])
        key = "%s/%s" % (language, name)
        if key not in self._index and len(self._index) >= MOST:
            raise LocalError("there are %d prompts already; remove some" % MOST)
        return key

    def next_file(self, key):
        """(version, path) for a new one; its folder is there.  Raises OSError."""
        row = self._index.get(key)
        version = max([one["version"] for one in row["versions"]], default=0) + 1 if row else 1
        path = self._file(key, version)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return version, path

    def put(self, key, version, facts):
        """The file of next_file() is there: it is the current one from now on.  Raises OSError; then nothing has changed."""
        row = self._index.get(key) or {"current": None, "versions": []}
        versions = row["versions"] + [{"version": version, **facts}]
        self._write(dict(self._index, **{key: {"current": version, "versions": versions[-KEPT:]}}))
        for one in versions[:-KEPT]:
            self._unlink(key, one["version"])

    def turn_back(self, key, version):
        """Another version is the current one; None: that of the box.  Raises LocalError, OSError."""
        row = self._row(key)
        if version is not None and not [one for one in row["versions"] if one["version"] == version]:
            raise LocalError("prompt %s has no version %s that is kept" % (key, version))
        self._write(dict(self._index, **{key: dict(row, current=version)}))

    def remove(self, key):
        """All versions.  Raises LocalError, OSError."""
        row = self._row(key)
        self._write({name: other for name, other in self._index.items() if name != key})
        for one in row["versions"]:
            self._unlink(key, one["version"])

    def _row(self, key):
        if key not in self._index:
            raise LocalError("nobody has given a prompt %s" % key)
        return self._index[key]

    def rows(self):
        """[{"prompt", "language", "current", "versions"}] by name."""
        return [{"language": key.partition("/")[0], "prompt": key.partition("/")[2], **self._index[key]} for key in sorted(self._index)]

    def file(self, key, version=None):
        """The path of a version, default the current one.  Raises LocalError."""
        row = self._row(key)
        wanted = row["current"] if version is None else version
        if not [one for one in row["versions"] if one["version"] == wanted]:
            raise LocalError("prompt %s has no version %s that is kept" % (key, wanted))
        return self._file(key, wanted)

    def _unlink(self, key, version):
        try:
            os.unlink(self._file(key, version))
        except OSError as error:
            log.error("prompts: an old version of %s cannot be removed: %s", key, error)

    def _write(self, index):
        path = os.path.join(self.folder, "index.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(index, file, ensure_ascii=False, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._index = index
