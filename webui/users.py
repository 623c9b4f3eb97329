"""Who may sign in: names and argon2 hashes in $STROWGER_DATA/users.json.

At first boot the supervisor leaves a password in `first-boot-password`; it
makes the user `admin`, who must choose another before anything else.
Verifying costs 19 MiB and tens of milliseconds each, so a small gate lets two
through at a time: a thousand log-ins at shift start queue, they do not thrash.
"""

import contextlib
import json
import os
import pathlib
import secrets
import threading

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from firmware import first_boot
from firmware.errors import LocalError

GATE = threading.BoundedSemaphore(2)
HASHER = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
SHORTEST = first_boot.SHORTEST
RECOVERY = "remove it and first-boot-password and start Strowger again: that makes a new first-boot password."
FIRST_USER = "admin"


class Users:
    """The user file.  data_dir: $STROWGER_DATA.  Raises LocalError with advice when it cannot be used."""

    def __init__(self, data_dir):
        self.path = pathlib.Path(data_dir) / "users.json"
        self.first_boot = pathlib.Path(data_dir) / "first-boot-password"
        self._lock = threading.Lock()
        # A hash to verify against when the name is unknown: both answers take the same time.
        self._nobody = HASHER.hash(secrets.token_urlsafe(16))
        self._stamp = None
        self.changed = lambda name: None        # somebody else removed the user or gave another password: called with the name
        self._users = self._read()
        first = first_boot.read(self.first_boot)
        if not self._users and first:
            digest = HASHER.hash(first)
            with self._alone():
                self._users.setdefault(FIRST_USER, {"hash": digest, "must_change": True})
                self._save()
        if not self._users:
            raise LocalError(f"{self.path} names no user and there is no first-boot password, so nobody could sign in; "
                             f"{RECOVERY}")

    def _read(self):
        """The users of the file.  Raises LocalError when it is none of ours."""
        if not self.path.exists():
            return {}
        try:
            found = json.loads(self.path.read_text())
            for entry in found.values():
                extract_parameters(entry["hash"]), bool(entry["must_change"])
        except (OSError, ValueError, AttributeError, TypeError, KeyError, RecursionError, InvalidHashError) as error:
            raise LocalError(f"{self.path} is damaged ({error}); restore it from a backup (it is read again each minute), or "
                             f"{RECOVERY}") from error
        return found

    @contextlib.contextmanager
    def _alone(self):
        """Alone with the file, which other processes change as well (first_boot.py); what it holds now is known within."""
        with self._lock, first_boot.locked(self.path.parent):
            try:
                self._take(self._read())
            except LocalError:
                pass                    # what was known stands
            yield

    def _take(self, found):
        """What the file says now, if it says anything."""
        before, self._users = self._users, found or self._users
        for name in before:
            if self._users.get(name, {}).get("hash") != before[name]["hash"]:
                self.changed(name)

    def _look(self):
        """Take notice of a file that somebody else wrote: the craft port gave a password, or a backup was restored."""
        try:
            stamp = os.stat(self.path).st_mtime_ns
            if stamp != self._stamp:
                found = self._read()
                with self._lock:
                    self._stamp = stamp
                    self._take(found)
        except (OSError, LocalError):
            pass                        # what was known stands

    def verify(self, name, password):
        """True when the password is the user's.  Takes the same time for unknown names."""
        self._look()
        entry = self._users.get(name)
        with GATE:
            try:
                HASHER.verify(entry["hash"] if entry else self._nobody, password)
            except (VerificationError, InvalidHashError):
                return False
        return entry is not None

    def must_change(self, name):
        """True while the user has a password that was given: that of the first boot, or one of an administrator."""
        return bool(self._users.get(name, {}).get("must_change"))

    def change(self, name, password):
        """Set a password.  Returns None, or the sentence that says why not."""
        self._look()
        before = self._users.get(name)
        if len(password) < SHORTEST:
            return f"The password is too short; use at least {SHORTEST} characters."
        if self.must_change(name) and self.verify(name, password):
            return "This is the password that you were given; choose another."
        with GATE:
            digest = HASHER.hash(password)
        with self._alone():
            if self._users.get(name) != before:
                return "An administrator has removed you or given you another password meanwhile; sign in anew."
            self._users[name] = {"hash": digest, "must_change": False}
            self._save()
        if name == FIRST_USER:
            self.first_boot.unlink(missing_ok=True)
        return None

    def names(self):
        """[{"name", "must_change"}], by name."""
        self._look()
        return [{"name": name, "must_change": bool(self._users[name].get("must_change"))} for name in sorted(self._users)]

    def give(self, name, password):
        """An administrator gives a user a password, which must be changed at the next log-in.  Returns None, or why not."""
        self._look()
        if len(password) < SHORTEST:
            return f"The password is too short; use at least {SHORTEST} characters."
        with GATE:
            digest = HASHER.hash(password)
        with self._alone():
            self._users[name] = {"hash": digest, "must_change": True}
            self._save()
        return None

    def known(self, name):
        """Whether the user may sign in yet, whoever wrote the file."""
        self._look()
        return name in self._users

    def remove(self, name, by):
        """Whether there was such a user, who may sign in no more.  by: the administrator who asks and so is left; nobody, once removed."""
        with self._alone():
            if by not in self._users or by == name:
                return False
            found = self._users.pop(name, None) is not None
            if found:
                self._save()
        return found

    def _save(self):
        beside = self.path.with_suffix(".json.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(self._users, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)
        self._stamp = os.stat(self.path).st_mtime_ns
