"""What is personal stands in rows of its own: any data come back as they were, no digits stay in the records, a kill leaves no key without its value."""

import contextlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys

import hypothesis
import pytest
from hypothesis import strategies

from firmware.storage import database, erasure, export, personal, retention
from firmware.storage.cdr import CDRs, of_callers
from firmware.storage.journal import Journal
from firmware.storage.personal import MARK

ROOT = pathlib.Path(__file__).resolve().parents[2]
PERSON, OTHER = "13912345678", "02150801000"


@pytest.fixture
def db(tmp_path):
    made = database.Database(tmp_path / "a.db")
    yield made
    made.close()


def record(kind, call="c1", data=None):
    return {"kind": kind, "ts_ms": 5, "call": call, "leg": None, "agent": None, "queue": None, "data": data or {}}


def append(db, *records):
    with db.transaction():
        Journal(db.write).append(list(records))
    return [row[0] for row in db.write.execute("SELECT data FROM journal WHERE kind <> 'core.checkpoint' ORDER BY seq")]


TEXTS = (PERSON, "+86" + PERSON, "sip:%s@192.0.2.1;x=%s" % (PERSON, OTHER), "c123456", "recordings/2026/11/22/c1234567-r99999.wav", "1234", "", "\u4e2d\u6587 \"\\\n",
         MARK, MARK + "17" + MARK, MARK + "=17" + MARK, MARK + "!" + MARK, PERSON + MARK, MARK + PERSON, "%s%s12345%s" % (MARK, MARK, MARK), "\ufdd1\x00\u2028", "\U0001f4de 110110")
NAMES = ("caller", "caller_name", "set", "input", "position", "variables", "value", "text", "error", "trunk_group", "n", PERSON, MARK + "1", "c1234567", "deadline_ms")


def drawn(dice, deep=0):
    """Any plain data."""
    kind = dice.randrange(8 if deep < 4 else 6)
    if kind < 3:
        return dice.choice(TEXTS)
    if kind < 6:
        return dice.choice((None, True, False, 0, 1753891200000, -1, 1.5, ""))
    if kind == 6:
        return [drawn(dice, deep + 1) for _ in range(dice.randrange(4))]
    return {dice.choice(NAMES): drawn(dice, deep + 1) for _ in range(dice.randrange(5))}


def test_any_data_come_back_as_they_were_and_no_number_stays_in_them(db):
    dice, written = random.Random(8), []
    for number in range(400):
        data = {dice.choice(NAMES): drawn(dice) for _ in range(dice.randrange(6))}
        written.append(record(dice.choice(("leg.offered", "ivr.moved", "ivr.told", "leg.streamed", "notice.queued")), dice.choice(("c1", "c2", None)), data))
    before = json.dumps(written)
    texts = append(db, *written)
    assert json.dumps([{name: value for name, value in one.items() if name != "seq"} for one in written]) == before, "what the core holds stays as it is"
    assert [one["data"] for one in Journal(db.write).everything()] == [one["data"] for one in written]
    assert not [text for text in texts if PERSON in text and "trunk_group" not in text]
    for text in texts:
        json.loads(text)            # so others can read the table
    reader = db.reader()
    assert [one["data"] for one in Journal(reader).after(0, 900)] == [one["data"] for one in written]
    assert len(Journal(reader).of_call("c2")) == sum(one["call"] == "c2" for one in written)
    assert [one["data"] for one in export.journal(reader, 0, 9)] == [one["data"] for one in written]
    reader.close()


TEXT = strategies.text("0123456789abcz_ :+\"\\\n,{}[]\u00e9\u4e2d" + MARK, max_size=14) | strategies.sampled_from(TEXTS) | strategies.from_regex("[a-z_\":]{0,2}[0-9]{4,7}[a-z]?", fullmatch=True)
NAME = strategies.sampled_from(sorted(personal.PERSONAL | personal.PLACES | personal.NAMES) + ["caller", "value", "n"]) | TEXT
PLAIN = strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats(allow_nan=False) | TEXT
DATA = strategies.dictionaries(NAME, strategies.recursive(PLAIN, lambda inner: strategies.lists(inner, max_size=4) | strategies.lists(inner, max_size=3).map(tuple)
                                                          | strategies.dictionaries(NAME, inner, max_size=4), max_leaves=12), max_size=5)
RECORDS = strategies.lists(strategies.tuples(strategies.sampled_from(("leg.answered", "leg.held", "leg.streamed", "ivr.moved", "fax.asked")),
                                             strategies.sampled_from(("c1", "c2", None)), DATA), max_size=6)


@hypothesis.settings(max_examples=300, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(RECORDS)
def test_the_short_way_writes_what_the_long_way_writes(records):
    """Whatever came before it in the same kind."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE personal (key INTEGER)")
        short, long = personal.Keys(connection), personal.Keys(connection)
        for kind, call, data in records:
            text, rows = short.encoded(kind, call, data)
            found, wanted = long.split(kind, call, data)
            assert (text, rows or []) == (personal.ENCODE(found), wanted)


def test_what_the_short_way_passes_over_has_nothing_personal(db):
    dice, keys, passed = random.Random(9), personal.keys_of(db.write), 0
    for _ in range(20000):
        data = {dice.choice(NAMES): drawn(dice) for _ in range(dice.randrange(6))}
        if not personal.suspect(personal.ENCODE(data)):
            passed += 1
            assert keys.split("leg.answered", dice.choice(("c1", None)), data) == (data, []), data
    assert passed > 500
    for number, (kind, data) in enumerate((("leg.answered", {"a": ":" + PERSON}), ("leg.answered", {"a": [PERSON]}), ("leg.held", {"a": {"b": "x " + PERSON}}),
                                           ("leg.held", {"caller_name": "Ann"}), ("ivr.moved", {"set": {"pin": 1}}), ("leg.answered", {"": "12345"}))):
        text, rows = keys.encoded(kind, "c%d" % number, data)
        assert rows and MARK in text and PERSON not in text, data


def test_names_of_fields_of_any_length_are_not_kept(db):
    """A service names its variables as it likes."""
    keys, long = personal.keys_of(db.write), "n" * 1000
    assert keys.split("ivr.told", "c1", {"answer": [{long: "x", "short": "x"}]})[1]
    assert long not in personal.PLAIN and "short" in personal.PLAIN


def test_a_number_is_found_by_its_index_and_erased_for_every_row_that_names_it(db):
    cdrs, journal = CDRs(db.write), Journal(db.write)
    append(db, record("leg.offered", "c1", {"caller": "+86" + PERSON, "called": OTHER, "caller_name": "Li Wei"}),
           record("ivr.moved", "c1", {"position": {"flow": "f12345", "node": "pin", "entry": "987654", "language": "en"}, "input": {"digit": "4"}, "set": {"account": "5550123456"}}),
           record("leg.offered", "c2", {"caller": OTHER, "called": PERSON, "caller_name": "Anna"}), record("line.registered", None, {"line": PERSON}))
    with db.transaction():
        cdrs.write({"call": "c1", "caller": "+86" + PERSON, "called": OTHER, "started_ms": 1, "ended_ms": 2})
        cdrs.write({"call": "c2", "caller": OTHER, "called": PERSON, "started_ms": 3, "ended_ms": 4})
    plan = " ".join(row[3] for row in db.write.execute("EXPLAIN QUERY PLAN SELECT key, call FROM personal WHERE number IN (?, ?)", (PERSON, "0" + PERSON)))
    assert "personal_number" in plan
    forms = [PERSON, "86" + PERSON]
    assert [row[0] for row in of_callers(db.write, forms, 9)] == ["c1"] and of_callers(db.write, forms, 9)[0][5] == OTHER
    rows = erasure.numbers_of(db.write, forms, erasure.newest_key(db.write))
    assert {call for _, call in rows} == {"c1", "c2", None}
    with db.transaction() as write:
        bodies = write.execute("SELECT seq, data FROM journal").fetchall(), write.execute("SELECT * FROM cdr").fetchall()
        erasure.erase(write, erasure.values_of(write, "c1") + [(key, "erased-e1") for key, _ in rows], "e1")
    first, moved, second, third = journal.everything()
    assert first["data"] == {"caller": "+erased-e1", "called": OTHER, "caller_name": ""}
    assert moved["data"] == {"position": {"flow": "f12345", "node": "pin", "entry": "", "language": "en"}, "input": {}, "set": {}}
    assert second["data"] == {"caller": OTHER, "called": "erased-e1", "caller_name": "Anna"} and third["data"] == {"line": "erased-e1"}
    assert [(cdr["caller"], cdr["called"]) for cdr in cdrs.page()] == [(OTHER, "erased-e1"), ("+erased-e1", OTHER)]
    assert (db.write.execute("SELECT seq, data FROM journal").fetchall(), db.write.execute("SELECT * FROM cdr").fetchall()) == bodies, "no row was written anew"
    assert of_callers(db.write, forms, 9) == [] and len(of_callers(db.write, [OTHER], 9)) == 1
    assert db.shorten().result(30)
    octets = b"".join(path.read_bytes() for path in pathlib.Path(db.path).parent.iterdir())
    assert not [text for text in (PERSON, "987654", "5550123456", "Li Wei") if text.encode() in octets] and b"Anna" in octets
    append(db, record("leg.offered", "c1", {"caller": PERSON}))         # a late record of the same call
    assert list(journal.everything())[-1]["data"] == {"caller": PERSON}


def test_what_was_noted_beside_a_number_without_a_call_goes_with_it(db):
    asked = {"number": "+86" + PERSON, "note": "Li Wei, owes 12345", "given": {}, "language": None}
    listed = {"campaign": "spring", "mode": "preview", "rows": [[PERSON, "Li Wei owes"], [OTHER, "ask Anna, not %s" % PERSON], ["13900002222", ""]], "by": None}
    texts = append(db, record("callback.asked", None, asked), record("campaign.loaded", None, listed), record("callback.asked", None, {"number": OTHER, "note": "Anna"}))
    assert [one["data"] for one in Journal(db.write).everything()] == [asked, listed, {"number": OTHER, "note": "Anna"}]
    assert not [text for text in texts if "Li Wei" in text or PERSON in text or "12345" in text]
    named = {key for text in texts for key in personal.named(text)}
    values = {key for value, in db.write.execute("SELECT value FROM personal WHERE value IS NOT NULL") for key in personal.named(value)}
    assert named | values == {key for key, in db.write.execute("SELECT key FROM personal")}
    keys = [key for key, _ in erasure.numbers_of(db.write, [PERSON, "86" + PERSON], erasure.newest_key(db.write))]
    with db.transaction() as write:
        erasure.erase(write, erasure.notes_of(write, keys) + [(key, "erased-e1") for key in keys], "e1")
    first, second, third = [one["data"] for one in Journal(db.write).everything()]
    assert first == {"number": "+erased-e1", "note": "", "given": {}, "language": None} and third == {"number": OTHER, "note": "Anna"}
    assert second["rows"] == [["erased-e1", ""], [OTHER, "ask Anna, not erased-e1"], ["13900002222", ""]]
    assert erasure.notes_of(db.write, keys) == []


def test_a_number_goes_as_it_was_dialled_too(db):
    """Behind prefixes: "9" of ours, a carrier's."""
    append(db, record("call.dialling", "c1", {"digits": "9" + PERSON, "ways": [{"number": PERSON}, {"number": "17951" + PERSON}]}),
           record("call.dialling", "c2", {"digits": "9" + OTHER, "ways": [{"number": OTHER}]}))
    for _ in range(3):                  # one after the other, each begun anew after a kill: the last one says whose call it was
        keys = erasure.numbers_of(db.write, [PERSON, "0" + PERSON], erasure.newest_key(db.write))
        with db.transaction() as write:
            erasure.erase(write, [(keys[0][0], "erased-e1")], "e1")
    assert [one["data"]["digits"] for one in Journal(db.write).everything()] == ["erased-e1", "9" + OTHER]
    assert PERSON not in str(list(Journal(db.write).everything())) + str(db.write.execute("SELECT * FROM personal").fetchall())


def test_with_its_last_row_a_value_goes(db):
    cdrs = CDRs(db.write)
    for call in ("c1", "c2"):
        append(db, record("leg.offered", call, {"caller": PERSON, "called": OTHER}), record("ivr.moved", call, {"position": {}, "input": {"text": "pin 123456"}}))
        with db.transaction():
            cdrs.write({"call": call, "caller": PERSON, "called": OTHER, "ended_ms": int(call[1:])})
    append(db, record("line.registered", None, {"line": "123456"}))

    def left():
        return sorted({row[0] for row in db.write.execute("SELECT call FROM personal")}, key=str), db.write.execute("SELECT count(*) FROM personal").fetchone()[0]
    assert left() == ([None, "c1", "c2"], 9)
    with db.transaction() as write:
        assert retention.delete(write, 1, 9) == 1
    assert left()[1] == 9, "the call has a row yet"
    with db.transaction() as write:
        assert retention.delete(write, 3, 9) == 2
    assert left()[1] == 7 and cdrs.get("c1")["caller"] == PERSON, "what was keyed is gone, what the CDR names is not"
    with db.transaction() as write:
        assert retention.delete_cdrs(write, 3, 9) == 2
    assert left() == ([None, "c2"], 5) and Journal(db.write).of_call("c2")[0]["data"]["input"] == {"text": "pin 123456"}
    with db.transaction() as write:
        assert retention.delete(write, 9, 9) == 2
    assert left() == ([], 0)


def test_what_was_rolled_back_is_not_named(db):
    with pytest.raises(ZeroDivisionError), db.transaction():
        Journal(db.write).append([record("leg.offered", "c1", {"caller": PERSON})])
        1 / 0
    append(db, record("leg.answered", "c1", {"caller": PERSON}))
    assert [one["data"] for one in Journal(db.write).everything()] == [{"caller": PERSON}]


def test_what_is_remembered_is_bounded(db, monkeypatch):
    monkeypatch.setattr(personal, "KNOWN", 100)
    for number in range(40):
        append(db, *(record("leg.offered", "c%d" % number, {"caller": "1%010d" % (number * 9 + n)}) for n in range(9)))
    assert len(db.write.keys._known) <= 100
    assert [one["data"]["caller"] for one in Journal(db.write).everything()] == ["1%010d" % n for n in range(360)]


WRITER = """
import sys
from firmware.storage.cdr import CDRs
from firmware.storage.database import Database
from firmware.storage.journal import Journal
db = Database(sys.argv[1])
n = 0
while True:
    n += 1
    with db.transaction():
        Journal(db.write).append([{"kind": "ivr.moved", "ts_ms": 1, "call": "c%d" % n, "data": {"caller": "1%010d" % n, "input": {"text": "a %d" % (10000 + n)}}}])
        CDRs(db.write).write({"call": "c%d" % n, "caller": "1%010d" % n, "called": "2%010d" % n})
    print(n, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 20, 60])
def test_a_kill_leaves_no_record_without_its_value_and_no_value_without_its_record(tmp_path, lines):
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "a.db")], cwd=ROOT, stdout=subprocess.PIPE)
    for _ in range(lines):
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.stdout.close()
    child.wait()
    with sqlite3.connect(tmp_path / "a.db") as raw:
        texts = [text for query in ("SELECT data FROM journal", "SELECT body FROM cdr", "SELECT value FROM personal WHERE value IS NOT NULL") for text, in raw.execute(query)]
        assert {key for text in texts for key in personal.named(text)} == {key for key, in raw.execute("SELECT key FROM personal")}
        rows = list(Journal(raw).everything())
        assert len(rows) >= lines and [row["data"] for row in rows] == [{"caller": "1%010d" % n, "input": {"text": "a %d" % (10000 + n)}} for n in range(1, len(rows) + 1)]
        assert CDRs(raw).get("c%d" % len(rows))["called"] == "2%010d" % len(rows)
    raw.close()


def test_rows_of_older_firmware_are_read_as_they_are_and_new_ones_have_keys(tmp_path):
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as old:
        for number, step in database.migrations()[:9]:
            old.executescript(step.read_text() + ";PRAGMA user_version=%d" % number)
        old.execute("INSERT INTO journal (ts_ms, kind, call, data) VALUES (1, 'leg.offered', 'c1', ?)", (json.dumps({"caller": PERSON, "caller_name": "Li Wei"}),))
        old.execute("INSERT INTO cdr (number, call, caller, body) VALUES (1, 'c1', ?, ?)", (PERSON, json.dumps({"call": "c1", "caller": PERSON})))
    old.close()
    db = database.Database(path)
    append(db, record("leg.offered", "c2", {"caller": PERSON}))
    with db.transaction():
        CDRs(db.write).write({"call": "c2", "caller": PERSON, "called": OTHER})
    assert erasure.plain_upto(db.write) == (1, 1)
    assert [one["data"]["caller"] for one in Journal(db.write).everything()] == [PERSON] * 2 and [row[0] for row in of_callers(db.write, [PERSON], 9)] == ["c2", "c1"]
    assert erasure.calls_of(db.write, [PERSON]) == ["c2", "c1"]
    assert [row[0] for row in erasure.rows_with(db.write, [PERSON], 0, 9)[0]] == [1] and [row[0] for row in erasure.cdrs_with(db.write, [PERSON], 0, 1)[0]] == [1]
    db.close()
