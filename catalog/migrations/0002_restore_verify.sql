-- Names that a restore has given away while it makes its plan. Their number
-- is that of the target's files, so they are not kept in memory.
CREATE TABLE name (
  epoch INTEGER NOT NULL,
  key   BLOB NOT NULL,    -- of the name
  owner BLOB NOT NULL,    -- who has it
  n     INTEGER NOT NULL, -- how many have asked for it
  PRIMARY KEY (epoch, key)
) WITHOUT ROWID;

-- Objects that the snapshots of a verify name, and what was found of them.
CREATE TABLE object (
  epoch   INTEGER NOT NULL,
  key     TEXT NOT NULL,
  size    INTEGER NOT NULL,             -- as the snapshots say, -1 for nothing
  found   INTEGER NOT NULL DEFAULT -1,  -- as the store lists it, -1 for not
  checked INTEGER NOT NULL DEFAULT 0,   -- 1: looked at by itself, 2: its checksum was compared
  damage  BLOB,                         -- opaque; NULL for none
  PRIMARY KEY (epoch, key)
) WITHOUT ROWID;
