-- Rates that a run keeps, whatever process works it off.
CREATE TABLE limits (
  workflow TEXT PRIMARY KEY,
  run      TEXT NOT NULL,  -- of the workflow: the next one begins with its own
  upload   TEXT NOT NULL,  -- a rate or timetable; '' for none
  download TEXT NOT NULL
) WITHOUT ROWID;
