-- Answers of surveys are few among the records: their report reads these alone.
CREATE INDEX journal_survey ON journal (ts_ms) WHERE kind = 'ivr.survey';
