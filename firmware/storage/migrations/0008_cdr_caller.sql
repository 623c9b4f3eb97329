-- The calls of a caller, for whoever is shown who calls.
CREATE INDEX cdr_caller ON cdr (caller, number);
