-- How true the expected wait was: callers answered for whom there was an estimate, the sums of |waited - expected| and of waited - expected.

ALTER TABLE figures_queues ADD COLUMN expected INTEGER NOT NULL DEFAULT 0;
ALTER TABLE figures_queues ADD COLUMN expected_error_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE figures_queues ADD COLUMN expected_bias_ms INTEGER NOT NULL DEFAULT 0;
