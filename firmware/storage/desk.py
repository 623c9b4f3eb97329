"""The desk's own database: what persons write down about persons.  One file, desk.db, apart from the journal.

Why apart: the journal is append-only, and what it says about a person must be erasable all the same.  So records of the journal name
customers, texts and tickets by keys only (`customer`, `key`, `ticket`); names, numbers, notes and the contents of tickets stand here in
rows of these keys, and erasing a row leaves a journal that says nothing about the person any more.  Writing here waits for no call:
one thread (control/desk.py) owns the connection, commits are on the disk (synchronous=FULL) before a request is answered.

    customers, articles, shifts   lists that persons keep, as the configuration is; each change is a record "desk.changed" besides
    texts                         written before the record that names them; a kill between the two leaves a text that nobody names
    tickets, notes, dispositions  projections of the journal's records: fold() takes each once (`applied`), rebuild() makes them anew

A file that SQLite calls damaged is set aside, as strowger.db is; tickets are then made again from the journal, texts are lost."""

import json
import os
import secrets
import sqlite3

from firmware.errors import LocalError
from firmware.storage.database import set_aside

SCHEMA = ["""
CREATE TABLE customer (
    id         TEXT    PRIMARY KEY,
    revision   INTEGER NOT NULL,
    external   TEXT    UNIQUE,                -- its key in the customer's own system
    owner      TEXT,                          -- agent
    changed_ms INTEGER NOT NULL,
    body       TEXT    NOT NULL               -- JSON: name, company, ...
) WITHOUT ROWID;
CREATE TABLE customer_number (
    number   TEXT NOT NULL,                   -- digits, national
    customer TEXT NOT NULL,
    place    INTEGER NOT NULL,
    PRIMARY KEY (number, customer)
) WITHOUT ROWID;
CREATE INDEX customer_number_of ON customer_number (customer);

CREATE TABLE text (
    key      TEXT    PRIMARY KEY,
    kind     TEXT    NOT NULL,                -- note, ticket, external
    at_ms    INTEGER NOT NULL,
    customer TEXT,
    call     TEXT,
    body     TEXT    NOT NULL                 -- JSON
) WITHOUT ROWID;
CREATE INDEX text_customer ON text (customer) WHERE customer IS NOT NULL;
CREATE INDEX text_call ON text (call) WHERE call IS NOT NULL;

CREATE TABLE ticket (
    number     INTEGER PRIMARY KEY,           -- the digits of its id: newest last
    revision   INTEGER NOT NULL,
    template   TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    owner      TEXT,
    queue      TEXT,
    customer   TEXT,
    priority   INTEGER NOT NULL,
    due_ms     INTEGER,
    opened_ms  INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    closed_ms  INTEGER,
    key        TEXT                           -- of the text with title and fields
);
CREATE INDEX ticket_open ON ticket (state, number);
CREATE INDEX ticket_owner ON ticket (owner, number);
CREATE INDEX ticket_customer ON ticket (customer, number) WHERE customer IS NOT NULL;
CREATE TABLE ticket_call (
    call   TEXT    NOT NULL,
    ticket INTEGER NOT NULL,
    PRIMARY KEY (call, ticket)
) WITHOUT ROWID;
CREATE INDEX ticket_call_of ON ticket_call (ticket);
CREATE TABLE ticket_event (
    ticket INTEGER NOT NULL,
    seq    INTEGER NOT NULL,                  -- of the journal
    ts_ms  INTEGER NOT NULL,
    by     TEXT,
    data   TEXT    NOT NULL,                  -- JSON: what changed
    PRIMARY KEY (ticket, seq)
) WITHOUT ROWID;
CREATE TABLE note (
    call   TEXT    NOT NULL,
    seq    INTEGER NOT NULL,
    ts_ms  INTEGER NOT NULL,
    agent  TEXT,
    by     TEXT,
    key    TEXT    NOT NULL,
    PRIMARY KEY (call, seq)
) WITHOUT ROWID;
CREATE TABLE disposition (
    call   TEXT    NOT NULL,
    agent  TEXT    NOT NULL,
    seq    INTEGER NOT NULL,
    ts_ms  INTEGER NOT NULL,
    queue  TEXT,
    code   TEXT,                              -- NULL: after-call work was ended without one
    key    TEXT,
    PRIMARY KEY (call, agent)
) WITHOUT ROWID;
CREATE INDEX disposition_time ON disposition (ts_ms);

CREATE TABLE article (
    id         INTEGER PRIMARY KEY,
    revision   INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    by         TEXT,
    language   TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    tags       TEXT    NOT NULL               -- JSON
);
CREATE VIRTUAL TABLE article_index USING fts5 (title, body, tags, content='', tokenize="unicode61 remove_diacritics 2");

CREATE TABLE shift (
    agent    TEXT    NOT NULL,
    start_s  INTEGER NOT NULL,
    end_s    INTEGER NOT NULL,
    activity TEXT    NOT NULL,
    PRIMARY KEY (agent, start_s)
) WITHOUT ROWID;
CREATE INDEX shift_time ON shift (start_s);

CREATE TABLE applied (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL);
INSERT INTO applied VALUES (1, 0);
""", """
CREATE TABLE warning (
    seq        INTEGER PRIMARY KEY,           -- of threshold.raised
    name       TEXT    NOT NULL,
    queue      TEXT,
    severity   TEXT,
    value      REAL,
    bound      INTEGER,
    since_ms   INTEGER NOT NULL,
    raised_ms  INTEGER NOT NULL,
    cleared_ms INTEGER,
    step       INTEGER NOT NULL DEFAULT 0,
    acked_by   TEXT,
    acked_ms   INTEGER
);
CREATE INDEX warning_open ON warning (name) WHERE cleared_ms IS NULL;
CREATE TABLE presence (
    agent  TEXT    NOT NULL,
    ts_ms  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    status TEXT    NOT NULL,
    reason TEXT,
    PRIMARY KEY (agent, ts_ms, seq)
) WITHOUT ROWID;
"""]

PROJECTED = ("ticket.opened", "ticket.changed", "call.noted", "call.disposed", "call.undisposed", "threshold.raised", "threshold.escalated",
             "threshold.acknowledged", "threshold.cleared", "agent.status")
TABLES = ("ticket", "ticket_call", "ticket_event", "note", "disposition", "warning", "presence")


def open_file(path):
    """(connection, sentence or None): the file of a data folder, made where there is none.  Raises sqlite3.Error, OSError, LocalError."""
    try:
        return _open(path), None
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        kept = set_aside(path)
        return _open(path), "%s was damaged (%s) and lies in %s; customers, articles and texts are missing: restore a backup" % (
            os.path.basename(path), error, os.path.basename(kept))


def _open(path):
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        os.chmod(path, 0o600)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")           # what is erased is overwritten, not only left out
        have = connection.execute("PRAGMA user_version").fetchone()[0]
        if have > len(SCHEMA):
            raise LocalError("%s has schema %d, this firmware knows %d: install the newer firmware again" % (path, have, len(SCHEMA)))
        for number, script in enumerate(SCHEMA[have:], have + 1):
            connection.executescript("BEGIN IMMEDIATE;\n%s\nPRAGMA user_version=%d;\nCOMMIT;" % (script, number))
    except BaseException:
        connection.close()
        raise
    return connection


class transaction:
    """with transaction(db): all of the block, or nothing of it."""

    def __init__(self, db):
        self._db = db

    def __enter__(self):
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    def __exit__(self, kind, error, trace):
        if kind is None:
            try:
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        elif self._db.in_transaction:
            self._db.execute("ROLLBACK")


# Texts.

def put_text(db, kind, at_ms, body, customer=None, call=None):
    """Write a text down; its key.  body: plain data."""
    key = "x" + secrets.token_hex(8)
    with transaction(db):
        db.execute("INSERT INTO text VALUES (?,?,?,?,?,?)", (key, kind, at_ms, customer, call, json.dumps(body, ensure_ascii=False)))
    return key


def drop_text(db, key):
    """Take back a text whose record was refused."""
    with transaction(db):
        db.execute("DELETE FROM text WHERE key = ?", (key,))


def text(db, key):
    """A text, or None where it was erased."""
    row = db.execute("SELECT body FROM text WHERE key = ?", (key,)).fetchone() if key else None
    return json.loads(row[0]) if row else None


# The projections.

def applied(db):
    """Number of the last record that was taken."""
    return db.execute("SELECT seq FROM applied").fetchone()[0]


def fold(db, records, upto=None):
    """Take records of the journal in order, each once.  upto: all up to this number were looked at."""
    with transaction(db):
        last = applied(db)
        for record in records:
            if record["seq"] > last:
                last = record["seq"]
                if record["kind"] in PROJECTED:
                    _FOLDS[record["kind"]](db, record, record["data"])
        db.execute("UPDATE applied SET seq = ?", (max(last, upto or 0),))


def rebuild(db, records):
    """Make the projections anew from all records (an iterator)."""
    with transaction(db):
        for table in TABLES:
            db.execute("DELETE FROM %s" % table)
        last = 0
        for record in records:
            last = record["seq"]
            if record["kind"] in PROJECTED:
                _FOLDS[record["kind"]](db, record, record["data"])
        db.execute("UPDATE applied SET seq = ?", (last,))


def dump(db):
    """{table: rows} of the projections, for comparison."""
    return {table: sorted(map(repr, db.execute("SELECT * FROM %s" % table))) for table in TABLES}


def _ticket_opened(db, record, data):
    number = int(data["ticket"][1:])
    db.execute("INSERT OR REPLACE INTO ticket VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", (
        number, 1, data["template"], data["state"], data.get("owner"), record["queue"], data.get("customer"), data.get("priority") or 0,
        data.get("due_ms"), record["ts_ms"], record["ts_ms"], record["ts_ms"] if data["state"] == "closed" else None, data.get("key")))
    _event(db, record, number, {name: data.get(name) for name in ("template", "state", "owner", "customer", "priority", "due_ms", "key")
                                if data.get(name) is not None})
    if record["call"]:
        db.execute("INSERT OR IGNORE INTO ticket_call VALUES (?, ?)", (record["call"], number))


def _ticket_changed(db, record, data):
    number = int(data["ticket"][1:])
    changes = dict(data["changes"])
    for name in ("state", "owner", "queue", "customer", "priority", "due_ms", "key"):
        if name in changes:
            db.execute("UPDATE ticket SET %s = ? WHERE number = ?" % name, (changes[name], number))
    if "state" in changes:
        db.execute("UPDATE ticket SET closed_ms = ? WHERE number = ?", (record["ts_ms"] if changes["state"] == "closed" else None, number))
    db.execute("UPDATE ticket SET revision = ?, changed_ms = ? WHERE number = ?", (data["revision"], record["ts_ms"], number))
    if record["call"]:
        db.execute("INSERT OR IGNORE INTO ticket_call VALUES (?, ?)", (record["call"], number))
        changes["call"] = record["call"]
    if data.get("comment"):
        changes["comment"] = data["comment"]
    _event(db, record, number, changes)


def _event(db, record, number, changes):
    db.execute("INSERT OR REPLACE INTO ticket_event VALUES (?,?,?,?,?)", (number, record["seq"], record["ts_ms"], record["data"].get("by"),
                                                                          json.dumps(changes, ensure_ascii=False, sort_keys=True)))


def _noted(db, record, data):
    db.execute("INSERT OR REPLACE INTO note VALUES (?,?,?,?,?,?)", (record["call"], record["seq"], record["ts_ms"], record["agent"], data.get("by"),
                                                                    data["key"]))


def _disposed(db, record, data):
    db.execute("INSERT OR REPLACE INTO disposition VALUES (?,?,?,?,?,?,?)", (record["call"], record["agent"] or "", record["seq"], record["ts_ms"],
                                                                             record["queue"], data.get("code"), data.get("key")))


def _threshold(db, record, data):
    kind, now_ms = record["kind"], record["ts_ms"]
    if kind == "threshold.raised":
        db.execute("UPDATE warning SET cleared_ms = ? WHERE name = ? AND cleared_ms IS NULL", (now_ms, data["threshold"]))
        db.execute("INSERT OR REPLACE INTO warning (seq, name, queue, severity, value, bound, since_ms, raised_ms) VALUES (?,?,?,?,?,?,?,?)", (
            record["seq"], data["threshold"], record["queue"], data["severity"], data["value"], data["limit"], data["since_ms"], now_ms))
        return
    changes = {"threshold.cleared": ("cleared_ms = ?", (now_ms,)), "threshold.escalated": ("step = ?", (data.get("step"),)),
               "threshold.acknowledged": ("acked_by = ?, acked_ms = ?", (data.get("by") or "", now_ms))}[kind]
    db.execute("UPDATE warning SET %s WHERE name = ? AND cleared_ms IS NULL" % changes[0], (*changes[1], data["threshold"]))


def _status(db, record, data):
    db.execute("INSERT OR REPLACE INTO presence VALUES (?,?,?,?,?)", (record["agent"], record["ts_ms"], record["seq"], data["status"], data["reason"]))


_FOLDS = {"threshold.raised": _threshold, "threshold.escalated": _threshold, "threshold.acknowledged": _threshold, "threshold.cleared": _threshold,
          "agent.status": _status,
          "ticket.opened": _ticket_opened, "ticket.changed": _ticket_changed, "call.noted": _noted, "call.disposed": _disposed,
          "call.undisposed": _disposed}
