-- Journal and what is derived from it; state that a killed control process needs.

-- Every state change, one row.  seq is the order and the cursor of the event stream.
CREATE TABLE journal (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    ts_ms   INTEGER NOT NULL,              -- UTC
    kind    TEXT    NOT NULL,
    call    TEXT,
    leg     TEXT,
    agent   TEXT,
    queue   TEXT,
    data    TEXT    NOT NULL DEFAULT '{}'  -- JSON
);
CREATE INDEX journal_call ON journal (call, seq) WHERE call IS NOT NULL;

CREATE INDEX journal_checkpoint ON journal (seq) WHERE kind = 'core.checkpoint';

-- Projection of the journal; a rebuild must equal it.
CREATE TABLE cdr (
    number     INTEGER PRIMARY KEY,        -- the digits of the call id: newest last
    call       TEXT    NOT NULL UNIQUE,
    started_ms INTEGER,
    ended_ms   INTEGER,
    caller     TEXT,
    called     TEXT,
    queue      TEXT,
    agent      TEXT,
    result     TEXT,
    body       TEXT    NOT NULL            -- JSON, the whole CDR
);
CREATE INDEX cdr_started ON cdr (started_ms);

CREATE TABLE recording (
    id          TEXT    PRIMARY KEY,
    call        TEXT,
    path        TEXT    NOT NULL,          -- relative to the data directory
    state       TEXT    NOT NULL,          -- recording, closed, interrupted, failed
    started_ms  INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL DEFAULT 0,
    octets      INTEGER NOT NULL DEFAULT 0,
    error       TEXT
);
CREATE INDEX recording_call ON recording (call);
CREATE INDEX recording_open ON recording (state) WHERE state = 'recording';

-- Dumps of protocol machines, replaced in the transaction of the event that changed them.
CREATE TABLE machine (
    name  TEXT PRIMARY KEY,
    state TEXT NOT NULL                    -- JSON
) WITHOUT ROWID;

CREATE TABLE counter (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- Last number taken from each at-least-once source, and which life of the source it belongs to.
CREATE TABLE inbox (
    source TEXT    PRIMARY KEY,
    boot   TEXT    NOT NULL,
    number INTEGER NOT NULL
) WITHOUT ROWID;

-- Layer 3 messages decided but perhaps not yet handed to media.
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY,
    link   INTEGER NOT NULL,
    kind   TEXT    NOT NULL,
    octets BLOB    NOT NULL
);
