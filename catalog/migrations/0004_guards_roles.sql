-- From where a library was last backed up to a repository. Another one found
-- there is suspicious.
CREATE TABLE place (
  repository INTEGER NOT NULL REFERENCES repository,
  source     TEXT NOT NULL,    -- as a backup names it
  library    INTEGER NOT NULL REFERENCES library,
  PRIMARY KEY (repository, source)
) WITHOUT ROWID;
INSERT OR REPLACE INTO place SELECT repository, json_object('path', source), id FROM library WHERE snapshot <> '' ORDER BY snapshot;

-- What it was called there; until the next run, where it was.
ALTER TABLE library RENAME COLUMN source TO name;

-- Figures by role; those that follow from them go.
ALTER TABLE asset ADD COLUMN roles TEXT NOT NULL DEFAULT '';
UPDATE asset SET roles = coalesce((
  SELECT group_concat((value ->> 'role') || CASE
      WHEN value ->> 'sha256' IS NULL THEN '-' || coalesce(value ->> 'reason', '')
      WHEN value ->> 'since' IS NOT NULL THEN '+'
      ELSE '' END)
  FROM doc, json_each(iif(json_valid(CAST(doc.row AS TEXT)), CAST(doc.row AS TEXT), '{}'), '$.resources')
  WHERE doc.asset = asset.id), '');
ALTER TABLE asset DROP COLUMN resources;
ALTER TABLE asset DROP COLUMN stored;
ALTER TABLE asset DROP COLUMN kept;
ALTER TABLE asset DROP COLUMN absent;
