"""The configuration on disk: one revisioned JSON file, replaced atomically.

A change is proposed (checked, nothing happens), then applied: the old file
goes into history/, the new one is written beside it, flushed to the disk and
renamed over it.  A power cut leaves the old one or the new one, whole.
"""

import json
import os
import pathlib

from firmware.config import schema, sip
from firmware.errors import ConfigError, LocalError

KEEP_REVISIONS = 200   # history files kept; invented


def _flatten(value, path=""):
    if isinstance(value, dict) and value:
        for key in value:
            yield from _flatten(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _flatten(item, f"{path}[{index}]")
    else:
        yield path, value


def differences(old, new):
    """List what a change does: [{"path", "old", "new"}], in order of the path."""
    before, after = dict(_flatten(old)), dict(_flatten(new))
    return [{"path": path, "old": before.get(path), "new": after.get(path)}
            for path in sorted(before.keys() | after.keys())
            if path != "revision" and before.get(path) != after.get(path)]


class ConfigStore:
    """The running configuration and its history.

    path: the JSON file.  default: plain data written there when it is missing.
    check_flow: see schema.check.  Raises ConfigError when the file is unusable."""

    def __init__(self, path, default=None, check_flow=None):
        self.path = pathlib.Path(path)
        self.history = self.path.parent / "configuration.history"
        self.check_flow = check_flow
        if not self.path.exists():
            if default is None:
                raise ConfigError(str(self.path), "is missing; restore it from a backup or start with a default")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            checked, errors = schema.check({**default, "revision": 1}, check_flow)
            if errors:
                raise errors[0]
            self._write(checked)
        self._running = self._read()

    def _read(self):
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            kept = sorted(self.history.glob("*.json"))
            raise ConfigError(str(self.path), f"cannot be read ({error}); " + (
                f"copy {kept[-1]}, the revision before, over it" if kept else "restore it from a backup")) from error
        checked, errors = schema.check(data, self.check_flow, None)
        if errors:
            raise errors[0]
        return checked

    def running(self):
        """The configuration in force, as plain data with every default filled in.  Do not change it."""
        return self._running

    def earlier(self, revision):
        """The configuration of a revision, as it was written.  Raises LocalError where it is not kept."""
        if revision == self._running["revision"]:
            return self._running
        try:
            return json.loads((self.history / f"{revision:08d}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LocalError(f"Revision {revision} of the configuration is not kept here; the last {KEEP_REVISIONS} are.") from error

    def change(self, revision):
        """What a revision changed against the one before: differences().  Raises LocalError."""
        return differences(self.earlier(revision - 1), self.earlier(revision))

    def propose(self, candidate):
        """Check a candidate.  Returns {"ok", "errors": [{path, advice}], "changes", "configuration",
        "restart": paths of changes that wait for a restart}."""
        checked, errors = schema.check(candidate, self.check_flow, sip.clashes(self._running))
        changes = [] if errors else differences(self._running, checked)
        return {"ok": not errors,
                "errors": [{"path": e.path, "advice": e.advice} for e in errors],
                "changes": changes, "restart": schema.restarting(changes),
                "configuration": checked}

    def apply(self, candidate, revision):
        """Put a candidate in force.

        revision: the one the editor began from.  Returns the new configuration.
        Raises ConfigError on a bad candidate, LocalError when somebody else
        changed the configuration meanwhile, OSError when the disk refuses; then the old one stays."""
        self.check_revision(revision)
        checked, errors = schema.check(candidate, self.check_flow, sip.clashes(self._running))
        if errors:
            raise errors[0]
        return self.put(checked, revision)

    def check_revision(self, revision):
        """Raises LocalError unless it is that of the configuration in force."""
        if revision != self._running["revision"]:
            raise LocalError(f"The configuration was changed meanwhile (revision {self._running['revision']}, "
                             f"yours began from {revision}). Load it again and repeat the change.")

    def put(self, checked, revision):
        """As apply(), with what propose() has found right."""
        self.check_revision(revision)
        checked = {**checked, "revision": revision + 1}
        self.history.mkdir(exist_ok=True)
        keep = self.history / f"{revision:08d}.json"
        if not keep.exists():
            os.link(self.path, keep)
        for old in sorted(self.history.glob("*.json"))[:-KEEP_REVISIONS]:
            old.unlink()
        self._write(checked)
        self._running = checked
        return checked

    def _write(self, data):
        beside = self.path.with_suffix(".json.new")
        # It holds the passwords of the phones.
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(data, file, ensure_ascii=False, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
