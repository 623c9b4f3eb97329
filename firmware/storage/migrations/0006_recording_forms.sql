-- Recordings in other forms of file than A-law stereo, and marks in them: [[ms, "paused"|"resumed"|"segment", text], ...].
ALTER TABLE recording ADD COLUMN form TEXT NOT NULL DEFAULT 'alaw stereo';
ALTER TABLE recording ADD COLUMN marks TEXT NOT NULL DEFAULT '[]';
