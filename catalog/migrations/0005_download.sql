-- Large files of a restore on their way: which temporary file each is in, and
-- what of it is durable there.
CREATE TABLE download (
  epoch INTEGER NOT NULL,
  item  INTEGER NOT NULL,
  key   TEXT NOT NULL, -- of the blob
  doc   BLOB NOT NULL,
  PRIMARY KEY (epoch, item, key)
) WITHOUT ROWID;
