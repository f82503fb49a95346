package applelibrary

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// model is what a library's schema is like. The zero asset means that the
// database is not one of Photos 5 or later.
type model struct {
	tables
	asset    string // ZASSET, or ZGENERICASSET in Photos 5
	uuid     string
	version  string
	albums   join // asset → album
	keywords join // attributes (not asset) → keyword
	faces    join // asset → person
}

// join is a table that relates two others by their keys; its zero value is a
// relation that this model does not have, or has under an unknown name.
type join struct {
	table, from, to string
	order           string // column that sorts the rows of one "to", or ""
}

// readModel looks at the schema. Core Data numbers its entities and builds
// the names of join tables from the numbers, which change with every release.
func readModel(ctx context.Context, db *sql.DB, t tables) (m model, err error) {
	m.tables = t
	if m.schema["Z_METADATA"] == nil {
		return m, nil
	}
	entity := "Asset"
	switch {
	case m.has("ZASSET", "Z_PK", "ZUUID", "ZDIRECTORY", "ZFILENAME"):
		m.asset = "ZASSET"
	case m.has("ZGENERICASSET", "Z_PK", "ZUUID", "ZDIRECTORY", "ZFILENAME"):
		m.asset, entity = "ZGENERICASSET", "GenericAsset"
	default:
		return m, nil
	}
	if err := m.readMetadata(ctx, db); err != nil {
		return m, err
	}
	ent, err := m.entities(ctx, db)
	if err != nil {
		return m, err
	}
	const attr = "AdditionalAssetAttributes"
	m.albums = m.numbered("ASSETS", "ALBUMS", "ASSETS", ent["Album"], ent[entity], ent["Album"])
	m.keywords = m.numbered("KEYWORDS", "KEYWORDS", "ASSETATTRIBUTES", ent[attr], ent[attr], ent["Keyword"])
	if m.faces = m.join("ZDETECTEDFACE", "ZASSETFORFACE", "ZPERSONFORFACE"); m.faces.table == "" {
		m.faces = m.join("ZDETECTEDFACE", "ZASSET", "ZPERSON")
	}
	return m, nil
}

func (m *model) join(table, from, to string) join {
	if !m.has(table, from, to) {
		return join{}
	}
	return join{table: table, from: from, to: to}
}

// numbered finds a join table that Core Data made: Z_tASSETS, say, with the
// columns Z_fASSETS and Z_nALBUMS. Where the numbers lead nowhere, the only
// table that looks like it is the one.
func (m *model) numbered(table, to, from, t, f, n string) join {
	if j := m.join("Z_"+t+table, "Z_"+f+from, "Z_"+n+to); j.table != "" {
		return m.ordered(j)
	}
	var found []join
	for name, columns := range m.schema {
		if !isNumbered(name, table) {
			continue
		}
		j := join{table: name}
		for c := range columns {
			switch {
			case isNumbered(c, to):
				j.to = c
			case isNumbered(c, from):
				j.from = c
			}
		}
		if j.to != "" && j.from != "" {
			found = append(found, m.ordered(j))
		}
	}
	if len(found) != 1 {
		return join{}
	}
	return found[0]
}

// ordered adds the column by which Core Data keeps an order.
func (m *model) ordered(j join) join {
	if c := strings.Replace(j.from, "Z_", "Z_FOK_", 1); m.has(j.table, c) {
		j.order = c
	}
	return j
}

// isNumbered reports whether name is Z_, a number, and what.
func isNumbered(name, what string) bool {
	number, ok := strings.CutPrefix(name, "Z_")
	if ok {
		number, ok = strings.CutSuffix(number, what)
	}
	_, err := strconv.ParseUint(number, 10, 32)
	return ok && err == nil
}

func (m *model) readMetadata(ctx context.Context, db *sql.DB) error {
	var info []byte
	if err := db.QueryRowContext(ctx, "SELECT Z_UUID, Z_PLIST FROM Z_METADATA").Scan(&m.uuid, &info); err != nil {
		return fmt.Errorf("identity of the library: %w", err)
	}
	if m.uuid == "" {
		return errors.New("identity of the library is empty")
	}
	m.version = "unknown model"
	if p, err := parseBplist(info); err == nil {
		if n, ok := p.number(p.value(p.root, "PLModelVersion")); ok {
			m.version = fmt.Sprintf("model %d", n)
		}
	}
	return nil
}

// entities returns the number of every entity of Core Data, by name.
func (m *model) entities(ctx context.Context, db *sql.DB) (map[string]string, error) {
	if !m.has("Z_PRIMARYKEY", "Z_NAME", "Z_ENT") {
		return nil, nil
	}
	rows, err := db.QueryContext(ctx, "SELECT Z_NAME, CAST(Z_ENT AS TEXT) FROM Z_PRIMARYKEY WHERE Z_NAME IS NOT NULL AND Z_ENT IS NOT NULL")
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
// whole tables.
func (m *model) index(ctx context.Context, db *sql.DB) error {
	for _, j := range []join{
		{table: "ZADDITIONALASSETATTRIBUTES", from: "ZASSET"},
		{table: "ZEXTENDEDATTRIBUTES", from: "ZASSET"},
		{table: "ZINTERNALRESOURCE", from: "ZASSET"},
		m.albums, m.keywords, m.faces,
	} {
		if err := m.tables.index(ctx, db, j.table, j.from); err != nil {
			return err
		}
	}
	return nil
}
