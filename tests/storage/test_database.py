"""The database: migrations, transactions, syncs, and what a kill -9 leaves."""

import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from firmware.errors import LocalError
from firmware.storage import database
from firmware.storage.journal import Journal
from firmware.storage.machines import Counters, Inbox, Machines, Outbox

ROOT = pathlib.Path(__file__).parents[2]


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
    with pytest.raises(LocalError, match="newer"):
        database.Database(path)


def test_a_transaction_that_raises_leaves_nothing(db):
    with pytest.raises(ZeroDivisionError):
        with db.transaction():
            Journal(db.write).append([{"kind": "x"}], 1)
            1 / 0
    assert Journal(db.write).last_seq() == 0


def test_sync_completes_and_a_reader_sees_what_is_committed(db):
    with db.transaction():
        Journal(db.write).append([{"kind": "x", "data": {"name": "客服"}}], 5)
    db.sync().result(5)
    reader = db.reader()
    assert Journal(reader).after(0) == [{"seq": 1, "ts_ms": 5, "kind": "x", "call": None, "leg": None,
                                         "agent": None, "queue": None, "data": {"name": "客服"}}]
    reader.close()


def test_checkpoints_keep_the_wal_small(db):
    for number in range(database.CHECKPOINT_COMMITS * 4):
        with db.transaction():
            Journal(db.write).append([{"kind": "x", "data": {"n": number}}], 5)
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
        outbox.put([("1", "dl_data_request", b"\x08\x02"), ("1", "dl_data_request", b"\x08")])
    assert Machines(db.write).names("q931/") == ["q931/1"]
    assert Machines(db.write).load("sip") == {"a": 1}
    assert outbox.pending() == [("1", "dl_data_request", b"\x08\x02"), ("1", "dl_data_request", b"\x08")]
    with db.transaction():
        outbox.clear()
        machines.save("sip", None)
    assert outbox.pending() == [] and Machines(db.write).load("sip") is None


def test_replay_holds_open_calls_and_each_agents_newest(db):
    journal = Journal(db.write)
    with db.transaction():
        journal.append([
            {"kind": "call.began", "call": "c1"}, {"kind": "call.began", "call": "c2"},
            {"kind": "agent.state", "agent": "1001", "data": {"state": "idle"}},
            {"kind": "agent.state", "agent": "1001", "call": "c1", "data": {"state": "talking"}},
            {"kind": "call.ended", "call": "c1"},
            {"kind": "agent.state", "agent": "1001", "data": {"state": "wrap_up"}},
        ], 9)
    assert [record["seq"] for record in journal.replay()] == [2, 6]
    assert journal.open_calls() == ["c2"]


WRITER = """
import sys
from firmware.storage.database import Database
from firmware.storage.journal import Journal
db = Database(sys.argv[1])
n = 0
while True:
    n += 1
    with db.transaction():
        Journal(db.write).append([{"kind": "x", "call": "c1", "data": {"n": n}}], 1)
    print(n, flush=True)
"""


def test_kill_9_keeps_every_committed_record(tmp_path):
    path = tmp_path / "a.db"
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    for _ in range(50):
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    said = int(child.stdout.read().split()[-1])
    child.wait()
    db = database.Database(path)
    assert Journal(db.write).last_seq() >= said
    db.close()


def test_a_commit_is_fast(db):
    machines, journal, spent = Machines(db.write), Journal(db.write), []
    for number in range(500):
        started = time.perf_counter()
        with db.transaction():
            journal.append([{"kind": "leg.offered", "call": "c%d" % number, "leg": "l1", "data": {"a": "b" * 200}}] * 3, 1)
            machines.save("q931/1", {"n": number, "calls": [{"x": 1}] * 30})
        spent.append(time.perf_counter() - started)
    assert sorted(spent)[len(spent) // 2] < 0.002
