-- Performance of the spans and the history of the alarms.

-- One row a span and bin; a bin is 15 minutes ("quarter") or a day of UTC ("day").
CREATE TABLE performance (
    span            INTEGER NOT NULL,
    length          TEXT    NOT NULL,
    start_s         INTEGER NOT NULL,          -- UTC
    seconds         INTEGER NOT NULL,          -- that were counted: below the bin's length it is suspect
    es              INTEGER NOT NULL,
    ses             INTEGER NOT NULL,
    bbe             INTEGER NOT NULL,
    uas             INTEGER NOT NULL,
    fe_es           INTEGER NOT NULL,
    fe_ses          INTEGER NOT NULL,
    fe_bbe          INTEGER NOT NULL,
    fe_uas          INTEGER NOT NULL,
    slips           INTEGER NOT NULL,
    blocks_errored  INTEGER NOT NULL,
    code_violations INTEGER NOT NULL,
    PRIMARY KEY (span, length, start_s)
) WITHOUT ROWID;
CREATE INDEX performance_age ON performance (length, start_s);

CREATE TABLE alarm (
    id         INTEGER PRIMARY KEY,
    raised_ms  INTEGER NOT NULL,
    cleared_ms INTEGER,
    kind       TEXT    NOT NULL,
    severity   TEXT    NOT NULL,
    body       TEXT    NOT NULL                -- JSON, the whole alarm
);
