package applelibrary

import (
	"context"
	"database/sql"

	"lightfast/internal/sqlite"
	"lightfast/photos"
)

// generation is what differs between the databases that Photos has had.
type generation interface {
	// identity of the library, and for people the version of its format.
	identity() (id, version string)

	// media says where files lie, and by what those of one asset are found.
	media() layout

	// assets gives every asset of the database, and tells s which files it
	// explains with them.
	assets(ctx context.Context, s *scan, give func(photos.Asset) error) error

	// unknown are the parts that this database keeps where nobody has seen
	// them yet.
	unknown() []string
}

var (
	_ generation = (*model)(nil)
	_ generation = (*legacy)(nil)
)

// layout is how media lie in the bundle.
type layout struct {
	folders []string
	// stem is what the files of one asset have in common.
	stem func(name string) string
}

// generationOf finds out by its tables whose database it is, never by its
// name: every Photos 5 bundle also has a photos.db, and a migrated one
// leftovers of iPhoto. It returns nil for none of a Photos library, and how
// many tables there are.
func generationOf(ctx context.Context, db *sql.DB) (generation, int, error) {
	schema, err := sqlite.Tables(ctx, db)
	if err != nil {
		return nil, 0, err
	}
	t := tables{schema}
	m, err := readModel(ctx, db, t)
	if err == nil && m.asset != "" {
		return &m, len(schema), m.index(ctx, db)
	} else if err != nil {
		return nil, len(schema), err
	}
	if t.has("RKVersion", "modelId", "uuid", "masterUuid") && t.has("RKMaster", "uuid", "imagePath") {
		g, err := readLegacy(ctx, db, t)
		return g, len(schema), err
	}
	return nil, len(schema), nil
}
