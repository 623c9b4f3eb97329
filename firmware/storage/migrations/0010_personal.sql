-- What is personal stands in rows of its own, and records and CDRs name it by key (storage/personal.py).

CREATE TABLE personal (
    key    INTEGER PRIMARY KEY,
    seq    INTEGER,            -- the record that used it first; NULL: a CDR
    call   TEXT,               -- whose it is; NULL: of a record without a call
    number TEXT,               -- digits
    value  TEXT,               -- or JSON; of an erased number what is read instead
    erased TEXT                -- the erasure that took it away
);
CREATE INDEX personal_number ON personal (number) WHERE number IS NOT NULL;
CREATE INDEX personal_call ON personal (call) WHERE call IS NOT NULL;
CREATE INDEX personal_without_call ON personal (seq) WHERE call IS NULL;

-- Rows up to these hold what is personal themselves: they are read as they are, and erased in place.
INSERT INTO counter SELECT 'plain.journal', coalesce(max(seq), 0) FROM journal;
INSERT INTO counter SELECT 'plain.cdr', coalesce(max(number), 0) FROM cdr;
