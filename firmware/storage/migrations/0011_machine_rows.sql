-- Dumps of machines in an ordinary table.  In one WITHOUT ROWID all but the first 1,000 octets of a row stand in pages of their own, and the
-- dump of a SIP leg has 2,000: half of the pages that a call wrote were those (measured: 29 pages a commit, 16 now).

CREATE TABLE machine_rows (
    name  TEXT PRIMARY KEY,
    state TEXT NOT NULL                    -- JSON
);
INSERT INTO machine_rows SELECT name, state FROM machine;
DROP TABLE machine;
ALTER TABLE machine_rows RENAME TO machine;
