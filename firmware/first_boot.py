"""The password of the first administrator, in $STROWGER_DATA/first-boot-password until it has been changed."""

import contextlib
import fcntl
import json
import os
import secrets

from firmware.errors import LocalError


def password(data_dir):
    """The password; None once users.json is there and the file is not.  Made where neither is.

    Written in one piece.  A file that holds nothing readable counts as none."""
    path, users = data_dir / "first-boot-password", data_dir / "users.json"
    found = read(path)
    if found or users.exists():
        return found or None
    made = secrets.token_urlsafe(9)
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(made + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    return made


def read(path):
    """The password of the file, "" where there is none: the file is missing, empty or no text."""
    try:
        found = path.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    return found if found.isprintable() else ""


SHORTEST = 10           # characters of a password that a person chooses
_HASH = {"memory_cost": 19 * 1024, "time_cost": 2, "parallelism": 1}


@contextlib.contextmanager
def locked(data_dir):
    """Alone with users.json among all processes: whoever changes it reads it, changes it and writes it within."""
    descriptor = os.open(data_dir / "users.json.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def names(data_dir):
    """[{"name", "must_change"}] of who may sign in, by name.  LocalError where users.json cannot be read."""
    users = _users(data_dir)
    return [{"name": name, "must_change": bool(users[name].get("must_change"))} for name in sorted(users)]


def set_password(data_dir, name, password):
    """A user, new or known, signs in with this password once and chooses another.  LocalError where users.json cannot be read; OSError."""
    from argon2 import PasswordHasher
    digest = PasswordHasher(**_HASH).hash(password)
    with locked(data_dir):
        users = _users(data_dir)
        users[name] = {"hash": digest, "must_change": True}
        _write(data_dir, users)


def remove(data_dir, name, is_admin):
    """Whether there was such a user, who may sign in no more.  is_admin: function(name).  LocalError for the last administrator."""
    with locked(data_dir):
        users = _users(data_dir)
        found = users.pop(name, None) is not None
        if found and (not users or is_admin(name)) and not any(is_admin(left) for left in users):
            raise LocalError("%s is the last administrator who can sign in; give another one a password first" % name)
        if found:
            _write(data_dir, users)
    return found


def _users(data_dir):
    try:
        users = json.loads((data_dir / "users.json").read_text(encoding="utf-8"))
        if isinstance(users, dict) and all(isinstance(entry, dict) for entry in users.values()):
            return users
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        pass
    raise LocalError("users.json is damaged; restore it from a backup, or let the craft port make a password")


def _write(data_dir, users):
    path = data_dir / "users.json"
    beside = path.with_name("users.json.given")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(users, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def give_password(data_dir):
    """A new password of the administrator of the first boot, to be changed at the log-in; returns it.

    For a person who stands at the box.  Other users stay; a users.json that cannot be read is set aside.  OSError where the disk refuses."""
    from argon2 import PasswordHasher
    path, made = data_dir / "users.json", secrets.token_urlsafe(9)
    digest = PasswordHasher(**_HASH).hash(made)
    with locked(data_dir):
        try:
            users = json.loads(path.read_text(encoding="utf-8"))
            assert isinstance(users, dict)
        except FileNotFoundError:
            users = {}
        except (ValueError, AssertionError):
            os.replace(path, path.with_name("users.json.damaged"))
            users = {}
        users["admin"] = {"hash": digest, "must_change": True}
        _write(data_dir, users)
    return made
