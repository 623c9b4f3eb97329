-- Callers who left for a callback, and callbacks that were reached.

ALTER TABLE figures_queues ADD COLUMN callbacks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE figures_queues ADD COLUMN callbacks_reached INTEGER NOT NULL DEFAULT 0;
