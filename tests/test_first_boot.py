"""users.json is changed by two processes: what one wrote the other neither loses nor brings back."""

import json

from argon2 import PasswordHasher

from firmware import first_boot
from webui.users import Users

LONG = "a long enough one"


def test_what_is_written_while_a_password_is_hashed_stays(tmp_path, monkeypatch):
    (tmp_path / "first-boot-password").write_text("first-password")
    users = Users(tmp_path)
    for name in ("anna", "bob"):
        first_boot.set_password(tmp_path, name, LONG)
    plain, meanwhile = PasswordHasher.hash, []

    def hashing(self, password, **more):
        made = plain(self, password, **more)
        if meanwhile:
            meanwhile.pop()()
        return made
    monkeypatch.setattr(PasswordHasher, "hash", hashing)

    def held():
        return set(json.loads((tmp_path / "users.json").read_text()))

    def while_hashing(other, work):
        meanwhile.append(other)
        return work()
    assert while_hashing(lambda: first_boot.set_password(tmp_path, "carl", LONG), lambda: users.give("dora", LONG)) is None
    assert while_hashing(lambda: users.give("emil", LONG), lambda: first_boot.set_password(tmp_path, "fritz", LONG)) is None
    assert held() == {"admin", "anna", "bob", "carl", "dora", "emil", "fritz"}
    told = while_hashing(lambda: first_boot.remove(tmp_path, "anna", lambda name: name == "admin"), lambda: users.change("anna", "my own long one"))
    assert "sign in anew" in told and "anna" not in held() and not users.known("anna")       # she does not come back
    assert users.known("bob") and first_boot.remove(tmp_path, "bob", lambda name: name == "admin") and not users.known("bob")
    assert while_hashing(lambda: users.give("gerd", LONG), lambda: first_boot.give_password(tmp_path)) and "gerd" in held()
    assert not users.remove("admin", "bob") and users.remove("carl", "admin") and "admin" in held()      # bob was an administrator once


def test_whoever_changes_the_file_is_alone(tmp_path, monkeypatch):
    (tmp_path / "first-boot-password").write_text("first-password")
    users, within = Users(tmp_path), []
    plain = first_boot.locked

    def locked(folder):
        within.append(folder)
        return plain(folder)
    monkeypatch.setattr(first_boot, "locked", locked)
    users.give("anna", LONG), users.change("anna", "my own long one"), users.remove("anna", "admin")
    first_boot.set_password(tmp_path, "bob", LONG), first_boot.remove(tmp_path, "bob", lambda name: name == "admin"), first_boot.give_password(tmp_path)
    assert within == [tmp_path] * 6
