"""A number goes out of files: whole in a log, wherever it is in a damaged database, while logs are cut."""

import json
import os
import sqlite3

from firmware.storage import erased_files

PERSON, OTHER = "13912345678", "02150801000"
FORMS = [PERSON, "0" + PERSON, "86" + PERSON]


def test_no_column_of_a_damaged_database_keeps_the_number(tmp_path):
    """SQLite writes the columns of a row back to back, so caller is followed by the digits of called."""
    path = tmp_path / "strowger.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE cdr (number INTEGER PRIMARY KEY, caller TEXT, called TEXT, body TEXT)")
        db.execute("CREATE INDEX cdr_caller ON cdr (caller)")
        for number in range(20):
            body = json.dumps({"caller": PERSON, "called": OTHER})
            db.execute("INSERT INTO cdr (caller, called, body) VALUES (?, ?, ?)", (FORMS[number % 3], OTHER, body))
            db.execute("INSERT INTO cdr (caller, called, body) VALUES (?, ?, ?)", (OTHER, PERSON, "7" + PERSON + "7"))
    db.close()
    damaged = tmp_path / "strowger.db.damaged-20261122T000000Z"
    os.rename(path, damaged)
    assert damaged.read_bytes().count(PERSON.encode()) == 100
    size = damaged.stat().st_size
    counts = erased_files.mask_all([tmp_path], FORMS)
    assert counts == {str(damaged): 100} and damaged.stat().st_size == size
    octets = damaged.read_bytes()
    assert PERSON.encode() not in octets and octets.count(OTHER.encode()) == 80         # called and body; caller and its index
    with sqlite3.connect(damaged) as db:
        assert db.execute("SELECT count(*) FROM cdr WHERE called = ?", (OTHER,)).fetchone() == (20,)
    db.close()
    assert erased_files.mask_all([tmp_path], FORMS) == {str(damaged): 0}


def test_a_log_is_read_in_pieces_and_no_border_hides_or_makes_a_number(tmp_path, monkeypatch):
    monkeypatch.setattr(erased_files, "PIECE", 16)
    path = tmp_path / "control.log"
    for ahead in range(40):
        text = "%s%s %s9 0%s %s" % ("." * ahead, PERSON, PERSON, PERSON, PERSON)
        path.write_text(text)
        assert erased_files.mask(str(path), FORMS) == 3, ahead
        assert path.read_text() == "%s%s %s9 %s %s" % ("." * ahead, "*" * 11, PERSON, "*" * 12, "*" * 11)
    path.write_text("")
    assert erased_files.mask(str(path), FORMS) == 0


def test_a_log_that_is_cut_meanwhile_gets_no_hole_and_what_was_cut_is_looked_at(tmp_path, monkeypatch):
    """As logfile.bound() does it: copied to .log.1, then cut; here after the first number was masked in it, and .log.1 is written only after all was looked at."""
    path, older = tmp_path / "control.log", tmp_path / "control.log.1"
    path.write_text("a %s\nb %s\n" % (PERSON, PERSON))
    plain, cut = os.pwrite, []

    def cuts(descriptor, octets, place):
        count = plain(descriptor, octets, place)
        if not cut:
            cut.append(path.read_bytes())
            path.write_bytes(b"new\n")
        return count
    looks = erased_files.files

    def files(folders):
        yield from looks(folders)
        older.write_bytes(cut[0])
    monkeypatch.setattr(os, "pwrite", cuts)
    monkeypatch.setattr(erased_files, "files", files)
    erased_files.mask_all([tmp_path], FORMS)
    assert path.read_bytes() == b"new\n" and older.read_text() == "a %s\nb %s\n" % ("*" * 11, "*" * 11)
