-- Sums of a length that a database had none of are made from its quarters, day by day, beside the calls (storage/figures.py).
-- upto_s: they are whole before this moment, UTC; NULL: all are.

CREATE TABLE figures_filled (
    length INTEGER PRIMARY KEY,
    upto_s INTEGER
) WITHOUT ROWID;

INSERT INTO figures_filled (length, upto_s)
    SELECT 3600, CASE WHEN EXISTS (SELECT 1 FROM figures_queues) OR EXISTS (SELECT 1 FROM figures_agents) OR EXISTS (SELECT 1 FROM figures_trunk_groups)
        THEN 0 ELSE NULL END;
