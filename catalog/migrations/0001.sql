-- Repositories and libraries that this host backs up.
CREATE TABLE repository (
  id   INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  dest TEXT NOT NULL
);

CREATE TABLE library (
  id         INTEGER PRIMARY KEY,
  repository INTEGER NOT NULL REFERENCES repository,
  key        TEXT NOT NULL,            -- the identity that the source gives
  source     TEXT NOT NULL,            -- where it was last seen
  workflow   TEXT NOT NULL DEFAULT '', -- the workflow that owns its runs
  snapshot   TEXT NOT NULL DEFAULT '', -- newest snapshot that this host knows
  UNIQUE (repository, key)
);

-- What the repository holds, as far as this host stored or saw it.
CREATE TABLE blob (
  repository  INTEGER NOT NULL,
  hash        BLOB NOT NULL,
  size        INTEGER NOT NULL,
  key         TEXT NOT NULL,
  encoding    TEXT NOT NULL,
  stored_size INTEGER NOT NULL,
  PRIMARY KEY (repository, hash)
) WITHOUT ROWID;

CREATE TABLE page (
  repository  INTEGER NOT NULL,
  hash        BLOB NOT NULL,
  stored_size INTEGER NOT NULL,
  PRIMARY KEY (repository, hash)
) WITHOUT ROWID;

-- One row an asset; what is large about it lies in doc, so that a scan which
-- changes nothing rewrites small rows only.
CREATE TABLE asset (
  id        INTEGER PRIMARY KEY,
  library   INTEGER NOT NULL REFERENCES library,
  name      TEXT NOT NULL,    -- the id that the source gives
  added     INTEGER NOT NULL, -- order in pages, with name
  orphan    INTEGER NOT NULL,
  scan      INTEGER NOT NULL, -- epoch of the run that last saw it
  digest    BLOB NOT NULL,    -- of doc.doc
  state     INTEGER NOT NULL, -- 0 to do, 1 done, 2 failed
  resources INTEGER NOT NULL, -- figures of doc.row
  stored    INTEGER NOT NULL,
  kept      INTEGER NOT NULL,
  bytes     INTEGER NOT NULL,
  absent    TEXT NOT NULL,    -- reasons, joined by commas
  UNIQUE (library, name)
);
CREATE INDEX asset_order ON asset (library, added, name);

CREATE TABLE doc (
  asset INTEGER PRIMARY KEY REFERENCES asset,
  doc   BLOB NOT NULL, -- its media token, and what is still to be stored of it
  row   BLOB NOT NULL  -- its line in a page
);

-- A run and what it has still to do. The plan outlives every process.
CREATE TABLE run (
  epoch    INTEGER PRIMARY KEY AUTOINCREMENT,
  library  INTEGER NOT NULL, -- 0 for a restore
  workflow TEXT NOT NULL,
  state    TEXT NOT NULL,    -- scanning, open, finished
  doc      BLOB NOT NULL     -- what the activities must know of it
);
CREATE INDEX run_workflow ON run (workflow);

CREATE TABLE plan (
  epoch INTEGER NOT NULL,
  item  INTEGER NOT NULL, -- asset.id, or the number in item of a restore
  lane  TEXT NOT NULL,
  rank  INTEGER NOT NULL, -- higher comes first
  name  TEXT NOT NULL,    -- for people
  size  INTEGER NOT NULL,
  state INTEGER NOT NULL DEFAULT 0,
  sent  INTEGER NOT NULL DEFAULT 0,
  fresh INTEGER NOT NULL DEFAULT 0, -- resources stored by this run
  known INTEGER NOT NULL DEFAULT 0, -- resources whose content was there already
  bytes INTEGER NOT NULL DEFAULT 0, -- what the repository grew by
  error TEXT NOT NULL DEFAULT '',   -- JSON of what went wrong, for the result
  PRIMARY KEY (epoch, item)
) WITHOUT ROWID;
CREATE INDEX plan_next ON plan (epoch, lane, rank DESC, item) WHERE state = 0;

CREATE TABLE item (
  epoch INTEGER NOT NULL,
  item  INTEGER NOT NULL,
  doc   BLOB NOT NULL,
  PRIMARY KEY (epoch, item)
) WITHOUT ROWID;

CREATE TABLE run_page (
  epoch INTEGER NOT NULL,
  n     INTEGER NOT NULL,
  doc   BLOB NOT NULL,
  PRIMARY KEY (epoch, n)
) WITHOUT ROWID;

-- Large objects on their way. The store is the record of parts; this is what
-- it cannot know: checksums of the whole, made before the first part left.
CREATE TABLE upload (
  repository INTEGER NOT NULL,
  source     TEXT NOT NULL, -- library, asset, resource and its token
  doc        BLOB NOT NULL,
  PRIMARY KEY (repository, source)
) WITHOUT ROWID;
