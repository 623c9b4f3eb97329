"""The database: migrations, transactions, syncs, and what a kill -9 leaves."""

import json
import os
import pathlib
import signal
import sqlite3
import statistics
import subprocess
import sys
import time

import pytest

from firmware.storage import database
from firmware.storage.cdr import CDRs
from firmware.storage.checkpoint import pack, unpack
from firmware.storage.journal import Journal
from firmware.storage.machines import Counters, Inbox, Machines, Outbox
from firmware.storage.stores import Stores

ROOT = pathlib.Path(__file__).parents[2]


def record(kind, **more):
    return {"kind": kind, "ts_ms": 5, "call": None, "leg": None, "agent": None, "queue": None, "data": {}, **more}


@pytest.fixture
def db(tmp_path):
    db = database.Database(tmp_path / "strowger.db")
    yield db
    db.close()


def test_migrations_run_once_and_a_newer_file_is_refused(tmp_path):
    path = tmp_path / "a.db"
    database.Database(path).close()
    database.Database(path).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(database.migrations())
        connection.execute("PRAGMA user_version=9999")
    connection.close()
    with pytest.raises(database.Unusable, match="newer"):
        database.Database(path)


def test_a_damaged_file_is_told_apart_and_set_aside(tmp_path):
    path = tmp_path / "a.db"
    for octets in (b"no database at all" * 1000, b"", os.urandom(8192)):
        path.write_bytes(octets)
        with pytest.raises(database.Damaged, match="a.db") as caught:
            database.Database(path)
        assert database.damage(caught.value) and not database.refused(caught.value)
        kept = database.set_aside(path)
        assert open(kept, "rb").read() == octets and not path.exists()
        db = database.Database(path)
        assert db.new
        db.close()
    assert len(database.set_asides(path)) == 3
    with pytest.raises(database.Unusable, match="missing/a.db.*right to it"):
        database.Database(tmp_path / "missing" / "a.db")


def test_a_new_database_beside_old_recordings_repeats_no_id(tmp_path):
    (tmp_path / "recordings").mkdir()
    stores = Stores(str(tmp_path))
    number = int(stores.counters.next("c")[1:])
    assert number > 1_700_000_000 and len("c%d" % number) <= 17
    with stores.database.transaction():
        assert stores.journal.append([record("x")])[0]["seq"] > 1_700_000_000
    stores.database.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", folder])


KILLED_ON_A_FULL_DISK = """
import os, sys
from firmware.storage import database
from firmware.storage.journal import Journal
db = database.Database(sys.argv[1])
with db.transaction():
    Journal(db.write).append([{"kind": "x", "ts_ms": 1, "data": {"n": n}} for n in range(100)])
try:
    with open(sys.argv[2], "ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
except OSError:
    pass
try:
    for _ in range(100):
        with db.transaction():
            Journal(db.write).append([{"kind": "y", "ts_ms": 1, "data": {"fill": "z" * 4000}}])
except Exception as error:
    assert database.refused(error), error
    os._exit(9)
"""


@pytest.mark.parametrize("ended", ["killed", "in order"])
def test_a_full_disk_is_opened_read_and_written_when_there_is_room(small_disk, ended):
    path, filler = small_disk / "a.db", small_disk / "filler"
    child = subprocess.run([sys.executable, "-c", KILLED_ON_A_FULL_DISK, str(path), str(filler)], cwd=ROOT)
    assert child.returncode == 9
    if ended == "in order":
        filler.unlink()
        database.Database(path).close()     # no -wal, no -shm are left
        with open(filler, "ab", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(bytes(4096))
    db = database.Database(path)
    assert db.narrow and not db.new
    reader = db.reader()
    assert len(Journal(db.write).after(0)) == len(Journal(reader).after(0)) == 100
    with pytest.raises(sqlite3.OperationalError) as caught:
        with db.transaction():
            Journal(db.write).append([record("y", data={"fill": "z" * 20000})])
    assert database.refused(caught.value) and not db.write.in_transaction
    filler.unlink()
    with db.transaction():
        Journal(db.write).append([record("y", data={"fill": "z" * 20000})])
    db.sync().result(5)
    assert len(Journal(reader).after(0)) == 101
    db.close()
    db = database.Database(path)
    assert not db.narrow and Journal(db.write).last_seq() == 101
    db.close()


def test_a_transaction_that_raises_leaves_nothing(db):
    with pytest.raises(ZeroDivisionError):
        with db.transaction():
            Journal(db.write).append([record("x")])
            1 / 0
    assert Journal(db.write).last_seq() == 0


def test_sync_completes_and_a_reader_sees_what_is_committed(db):
    with db.transaction():
        Journal(db.write).append([record("x", data={"name": "客服"})])
    db.sync().result(5)
    reader = db.reader()
    assert Journal(reader).after(0) == [{"seq": 1, "ts_ms": 5, "kind": "x", "call": None, "leg": None,
                                         "agent": None, "queue": None, "data": {"name": "客服"}}]
    reader.close()


def test_checkpoints_keep_the_wal_small(db):
    for number in range(database.CHECKPOINT_COMMITS * 4):
        with db.transaction():
            Journal(db.write).append([record("x", data={"n": number})])
    db.sync().result(5)
    assert os.path.getsize(db.path + "-wal") < 64 << 20


def test_counters_go_on_after_a_restart(tmp_path):
    db = database.Database(tmp_path / "a.db")
    counters = Counters(db.write)
    assert [counters.next("l"), counters.next("l"), counters.next("c")] == ["l1", "l2", "c1"]
    with db.transaction():
        counters.save()
    db.close()
    db = database.Database(tmp_path / "a.db")
    assert Counters(db.write).next("l") == "l3"
    db.close()


def test_inbox_drops_repeats_of_the_same_life_only(db):
    inbox = Inbox(db.write)
    assert inbox.is_new("media", "boot1", 1)
    with db.transaction():
        inbox.take("media", "boot1", 7)
    inbox = Inbox(db.write)
    assert not inbox.is_new("media", "boot1", 7)
    assert inbox.is_new("media", "boot1", 8)
    assert inbox.is_new("media", "boot2", 1)


def test_machines_and_outbox(db):
    machines, outbox = Machines(db.write), Outbox(db.write)
    with db.transaction():
        machines.save("q931/1", {"calls": []})
        machines.save("sip", {"a": 1})
        outbox.put([(1, "dl_data_request", b"\x08\x02"), (1, "dl_data_request", b"\x08")])
    assert Machines(db.write).names("q931/") == ["q931/1"]
    assert Machines(db.write).load("sip") == {"a": 1}
    assert outbox.pending() == [(1, "dl_data_request", b"\x08\x02"), (1, "dl_data_request", b"\x08")]
    with db.transaction():
        outbox.clear()
        machines.save("sip", None)
    assert outbox.pending() == [] and Machines(db.write).load("sip") is None


def test_replay_begins_at_the_last_checkpoint(db):
    journal = Journal(db.write)
    with db.transaction():
        journal.append([record("call.began", call="c1"), record("core.checkpoint"), record("a"),
                        record("core.checkpoint", data={"state": {}}), record("b")])
    assert [row["seq"] for row in journal.replay()] == [4, 5]
    assert [row["seq"] for row in journal.after(0)] == [1, 3, 5]
    assert [row["seq"] for row in journal.everything()] == [1, 3, 5]


def test_a_checkpoint_made_beside_stands_before_what_came_meanwhile(db):
    journal = Journal(db.write)
    data = {"as_of": 2, "state": {"calls": [{"id": "c%d" % n} for n in range(100)], "media_up": True, "none": {}, "few": [1]},
            "cdrs": {"c1": {"caller": "\u4e2d\u6587", "recording": []}}, "statistics": {"rows": [], "deep": {"a": {"b": [1] * 40}}}}
    with db.transaction():
        journal.append([record("call.began", call="c1"), record("a"), record("b"), record("c")])
        journal.checkpoint(7, pack(data, None))
        journal.append([record("d")])
    replayed = list(journal.replay())
    assert [row["kind"] for row in replayed] == ["core.checkpoint", "b", "c", "d"]
    assert replayed[0]["data"] == data and replayed[0]["ts_ms"] == 7 and unpack(pack(data)) == json.loads(json.dumps(data))
    assert [row["kind"] for row in journal.after(2)] == ["b", "c", "d"]
    with db.transaction():
        journal.append([record("core.checkpoint")])
    assert [row["seq"] for row in journal.replay()] == [7]
    assert db.write.execute("SELECT count(*) FROM journal WHERE kind = 'core.checkpoint'").fetchone()[0] == 1


def test_cdrs_are_a_fold_that_a_rebuild_repeats(db):
    journal, cdrs = Journal(db.write), CDRs(db.write)
    records = []
    for n in range(1, 6):
        records += [record("leg.offered", call="c%d" % n, leg="l%d" % n, data={"caller": "1", "called": "客"}),
                    record("call.clearing", call="c%d" % n, data={"cause": 16, "released_by": "caller",
                                                                "result": "self_service", "reason": None}),
                    record("call.ended", call="c%d" % n)]
    with db.transaction():
        journal.append(records)
        for row in records:
            cdrs.fold(row)
        assert len(cdrs.finished) == 5
        cdrs.save()
    assert [cdr["call"] for cdr in cdrs.page(2)] == ["c5", "c4"]
    assert [cdr["call"] for cdr in cdrs.page(9, before="c3")] == ["c2", "c1"]
    assert cdrs.get("c2")["called"] == "客" and cdrs.get("c9") is None
    assert cdrs.rebuild(journal) == []
    with db.transaction():
        db.write.execute("DELETE FROM cdr WHERE call = 'c3'")
    with db.transaction():
        assert cdrs.rebuild(journal) == ["c3"]
    assert cdrs.get("c3")["cause"] == 16


WRITER = """
import sys
from firmware.storage.database import Database
from firmware.storage.journal import Journal
db = Database(sys.argv[1])
n = 0
while True:
    n += 1
    with db.transaction():
        Journal(db.write).append([{"kind": "x", "ts_ms": 1, "call": "c1", "data": {"n": n}}])
    print(n, flush=True)
"""


def test_kill_9_keeps_every_committed_record(tmp_path):
    path = tmp_path / "a.db"
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    lines = [child.stdout.readline() for _ in range(50)]
    os.kill(child.pid, signal.SIGKILL)
    said = int((lines + child.stdout.read().split())[-1])
    child.wait()
    db = database.Database(path)
    assert Journal(db.write).last_seq() >= said
    db.close()


def test_the_wal_stays_small_where_commits_never_cease(db, monkeypatch):
    """A passive checkpoint alone never comes to an end with a writer that does not pause; a reader of an old view holds nobody up."""
    monkeypatch.setattr(database, "CHECKPOINT_COMMITS", 50)
    monkeypatch.setattr(database, "WAL_FRAMES", 400)
    journal, wal, sizes = Journal(db.write), pathlib.Path(db.path + "-wal"), []
    for number in range(6000):
        with db.transaction():
            journal.append([record("leg.offered", call="c%d" % number, leg="l1", data={"a": "b" * 500})] * 3)
        if number == 3000:
            reader = db.reader()
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM journal").fetchone()
        elif number == 3500:
            reader.close()
        if number % 100 == 0:
            sizes.append(wal.stat().st_size)
    assert max(sizes) < 50 << 20, (max(sizes), sizes[-1])       # all in all it is 113 MB; how soon the keeper comes is the machine's matter
    assert journal.last_seq() == 18000


def test_a_commit_costs_the_same_however_much_is_written(db):
    machines, journal, spent = Machines(db.write), Journal(db.write), []
    for number in range(500):
        started = time.thread_time()
        with db.transaction():
            journal.append([record("leg.offered", call="c%d" % number, leg="l1", data={"a": "b" * 200})] * 3)
            machines.save("q931/1", {"n": number, "calls": [{"x": 1}] * 30})
        spent.append(time.thread_time() - started)
    assert statistics.median(spent[400:]) < 3 * statistics.median(spent[20:120])
