-- Sums of reports: roll-ups of the journal, which can be rebuilt from it and are checked against it (storage/figures.py).
-- length 900: a quarter of an hour of UTC; 86400: a day of the site, start_s its midnight.

CREATE TABLE figures_queues (
    length            INTEGER NOT NULL,
    name              TEXT    NOT NULL,
    start_s           INTEGER NOT NULL,          -- UTC
    queued            INTEGER NOT NULL DEFAULT 0,
    answered          INTEGER NOT NULL DEFAULT 0,
    answer_wait_ms    INTEGER NOT NULL DEFAULT 0,
    abandoned         INTEGER NOT NULL DEFAULT 0,
    short_abandoned   INTEGER NOT NULL DEFAULT 0,
    overflowed        INTEGER NOT NULL DEFAULT 0,
    failed            INTEGER NOT NULL DEFAULT 0,
    events            INTEGER NOT NULL DEFAULT 0,
    events_answered   INTEGER NOT NULL DEFAULT 0,
    events_abandoned  INTEGER NOT NULL DEFAULT 0,
    handled           INTEGER NOT NULL DEFAULT 0,
    handle_ms         INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (length, name, start_s)
) WITHOUT ROWID;

CREATE TABLE figures_agents (
    length            INTEGER NOT NULL,
    name              TEXT    NOT NULL,
    start_s           INTEGER NOT NULL,          -- UTC
    offered           INTEGER NOT NULL DEFAULT 0,
    missed            INTEGER NOT NULL DEFAULT 0,
    connected         INTEGER NOT NULL DEFAULT 0,
    handled           INTEGER NOT NULL DEFAULT 0,
    handle_ms         INTEGER NOT NULL DEFAULT 0,
    talking_ms        INTEGER NOT NULL DEFAULT 0,
    holding_ms        INTEGER NOT NULL DEFAULT 0,
    wrap_up_ms        INTEGER NOT NULL DEFAULT 0,
    available_ms      INTEGER NOT NULL DEFAULT 0,
    on_break_ms       INTEGER NOT NULL DEFAULT 0,
    busy_ms           INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (length, name, start_s)
) WITHOUT ROWID;

CREATE TABLE figures_trunk_groups (
    length            INTEGER NOT NULL,
    name              TEXT    NOT NULL,
    start_s           INTEGER NOT NULL,          -- UTC
    in_calls          INTEGER NOT NULL DEFAULT 0,
    in_answered       INTEGER NOT NULL DEFAULT 0,
    out_attempts      INTEGER NOT NULL DEFAULT 0,
    out_answered      INTEGER NOT NULL DEFAULT 0,
    seized_ms         INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (length, name, start_s)
) WITHOUT ROWID;

