package applelibrary

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"howett.net/plist"

	"lightfast/internal/sqlite"
)

// model is what a library's schema is like. The zero asset means that the
// database is not one of Photos 5 or later.
type model struct {
	schema   sqlite.Schema
	asset    string // ZASSET, or ZGENERICASSET in Photos 5
	uuid     string
	version  string
	albums   join // asset → album
	keywords join // attributes (not asset) → keyword
	faces    join // asset → person
}

// join is a table that relates two others by their keys; its zero value is a
// relation that this model does not have, or has under an unknown name.
type join struct{ table, from, to string }

// readModel looks at the schema. Core Data numbers its entities and builds
// the names of join tables from the numbers, which change with every release.
func readModel(ctx context.Context, db *sql.DB) (m model, err error) {
	if m.schema, err = sqlite.Tables(ctx, db); err != nil {
		return m, err
	}
	if m.schema["Z_METADATA"] == nil {
		return m, nil
	}
	entity := "Asset"
	switch {
	case m.has("ZASSET", "ZUUID", "ZDIRECTORY", "ZFILENAME"):
		m.asset = "ZASSET"
	case m.has("ZGENERICASSET", "ZUUID", "ZDIRECTORY", "ZFILENAME"):
		m.asset, entity = "ZGENERICASSET", "GenericAsset"
	default:
		return m, nil
	}
	if err := m.readMetadata(ctx, db); err != nil {
		return m, err
	}
	ent, err := entities(ctx, db)
	if err != nil {
		return m, err
	}
	num := func(format string, names ...string) string {
		for _, name := range names {
			format = strings.Replace(format, "#", ent[name], 1)
		}
		return format
	}
	m.albums = m.join(num("Z_#ASSETS", "Album"), num("Z_#ASSETS", entity), num("Z_#ALBUMS", "Album"))
	m.keywords = m.join(num("Z_#KEYWORDS", "AdditionalAssetAttributes"), num("Z_#ASSETATTRIBUTES", "AdditionalAssetAttributes"), num("Z_#KEYWORDS", "Keyword"))
	if m.faces = m.join("ZDETECTEDFACE", "ZASSETFORFACE", "ZPERSONFORFACE"); m.faces.table == "" {
		m.faces = m.join("ZDETECTEDFACE", "ZASSET", "ZPERSON")
	}
	return m, nil
}

// has reports whether table has all the columns.
func (m *model) has(table string, columns ...string) bool {
	for _, c := range columns {
		if !m.schema[table][c] {
			return false
		}
	}
	return true
}

func (m *model) join(table, from, to string) join {
	if !m.has(table, from, to) {
		return join{}
	}
	return join{table, from, to}
}

func (m *model) readMetadata(ctx context.Context, db *sql.DB) error {
	var info []byte
	if err := db.QueryRowContext(ctx, "SELECT Z_UUID, Z_PLIST FROM Z_METADATA").Scan(&m.uuid, &info); err != nil {
		return fmt.Errorf("identity of the library: %w", err)
	}
	if m.uuid == "" {
		return errors.New("identity of the library is empty")
	}
	var p struct {
		Model any `plist:"PLModelVersion"`
	}
	m.version = "unknown model"
	if _, err := plist.Unmarshal(info, &p); err == nil && p.Model != nil {
		m.version = fmt.Sprintf("model %v", p.Model)
	}
	return nil
}

// entities returns the number of every entity of Core Data, by name.
func entities(ctx context.Context, db *sql.DB) (map[string]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT Z_NAME, CAST(Z_ENT AS TEXT) FROM Z_PRIMARYKEY WHERE Z_NAME IS NOT NULL")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	ent := map[string]string{}
	for rows.Next() {
		var name, number string
		if err := rows.Scan(&name, &number); err != nil {
			return nil, err
		}
		ent[name] = number
	}
	return ent, rows.Err()
}

// index makes sure that what belongs to an asset is found without reading
// whole tables. Real libraries have most of these; the copy is ours.
func (m *model) index(ctx context.Context, db *sql.DB) error {
	for _, j := range []join{
		{table: "ZADDITIONALASSETATTRIBUTES", from: "ZASSET"},
		{table: "ZINTERNALRESOURCE", from: "ZASSET"},
		m.albums, m.keywords, m.faces,
	} {
		if j.table == "" || !m.has(j.table, j.from) {
			continue
		}
		var n int
		err := db.QueryRowContext(ctx, `SELECT count(*) FROM pragma_index_list(?) l, pragma_index_info(l.name) i
			WHERE l.partial = 0 AND i.seqno = 0 AND upper(i.name) = ?`, j.table, j.from).Scan(&n)
		if err == nil && n == 0 {
			_, err = db.ExecContext(ctx, fmt.Sprintf("CREATE INDEX lightfast_%s ON %s (%s)", j.table, j.table, j.from))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Column expressions. The casts keep one odd value from failing a whole
// library, and the driver from guessing times by a column's declared type.

func (m *model) text(table string, names ...string) string {
	return m.cast("coalesce(CAST(%s AS TEXT), '')", "''", table, names)
}

func (m *model) integer(table string, names ...string) string {
	return m.cast("coalesce(CAST(%s AS INTEGER), 0)", "0", table, names)
}

func (m *model) real(table string, names ...string) string {
	return m.cast("CAST(%s AS REAL)", "NULL", table, names)
}

func (m *model) blob(table string, names ...string) string {
	return m.cast("CAST(%s AS BLOB)", "NULL", table, names)
}

// cast returns the first of the columns that the table has.
func (m *model) cast(format, none, table string, names []string) string {
	for _, name := range names {
		if m.has(table, name) {
			return fmt.Sprintf(format, table+"."+name)
		}
	}
	return none
}
