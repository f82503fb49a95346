-- Runs that a person holds. They stay so until they are resumed, whatever
-- process works them off.
CREATE TABLE paused (
  workflow TEXT PRIMARY KEY
) WITHOUT ROWID;
