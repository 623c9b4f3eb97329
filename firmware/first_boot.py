"""The password of the first administrator, in $STROWGER_DATA/first-boot-password until it has been changed."""

import json
import os
import secrets


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


def give_password(data_dir):
    """A new password of the administrator of the first boot, to be changed at the log-in; returns it.

    For a person who stands at the box.  Other users stay; a users.json that cannot be read is set aside.  OSError where the disk refuses."""
    from argon2 import PasswordHasher
    path, made = data_dir / "users.json", secrets.token_urlsafe(9)
    try:
        users = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(users, dict)
    except FileNotFoundError:
        users = {}
    except (ValueError, AssertionError):
        os.replace(path, path.with_name("users.json.damaged"))
        users = {}
    users["admin"] = {"hash": PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1).hash(made), "must_change": True}
    beside = path.with_name("users.json.rescue")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(users, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    return made
