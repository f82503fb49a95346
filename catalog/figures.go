package catalog

import (
	"context"
	"strings"
)

// Figures of an asset's row in a page, kept beside it so that totals are a
// sum over small rows. The zero value has no resource.
type Figures struct {
	Bytes int64 // of content stored

	// Roles has a word for each resource, joined by commas: its role if it is
	// stored, with "+" behind it if it is kept, and with "-" and the reason if
	// it is absent. Assets that are alike have equal ones, and are summed as one.
	Roles string
}

// Stored counts a resource of size bytes in the repository or in the page.
// One that is kept is absent or unreadable now.
func (f *Figures) Stored(role string, size int64, kept bool) {
	f.Bytes += size
	if kept {
		f.add(word(role) + "+")
	} else {
		f.add(word(role))
	}
}

// Absent counts a resource that is not stored.
func (f *Figures) Absent(role, reason string) { f.add(word(role) + "-" + word(reason)) }

func (f *Figures) add(s string) {
	if f.Roles != "" {
		f.Roles += ","
	}
	f.Roles += s
}

// word keeps what a stranger wrote into a page from counting as something else.
func word(s string) string {
	if !strings.ContainsAny(s, ",+-") {
		return s
	}
	return strings.NewReplacer(",", "_", "+", "_", "-", "_").Replace(s)
}

// Totals of a snapshot.
type Totals struct {
	Assets, Orphans int64
	Stored          int64 // assets that this run stored whole
	Unchanged       int64
	Incomplete      int64 // assets with a hole
	Failed          int64
	Resources       int64
	StoredResources int64
	Kept            int64
	Bytes           int64
	Absent          map[string]int64 // resources by reason
	Roles           map[string]Tally // the same resources by role, orphans' among them
}

// Tally counts the resources of one role: each is stored or absent.
type Tally struct {
	Stored int64            // those that are kept among them
	Kept   int64            // stored, though absent or unreadable now
	Absent map[string]int64 // by reason
}

// Totals sums what the scan of e saw. hole says which reasons make an asset
// incomplete.
func (c *Catalog) Totals(ctx context.Context, e Epoch, l LibraryID, hole func(reason string) bool) (Totals, error) {
	t := Totals{Absent: map[string]int64{}, Roles: map[string]Tally{}}
	rows, err := c.db.QueryContext(ctx, `SELECT a.orphan, a.state, p.item IS NOT NULL, a.roles, count(*), sum(a.bytes)
		FROM asset a LEFT JOIN plan p ON p.epoch = ? AND p.item = a.id
		WHERE a.library = ? AND a.scan = ? GROUP BY 1, 2, 3, 4`, e, l, e)
	if err != nil {
		return t, err
	}
	defer rows.Close()
	for rows.Next() {
		var orphan, planned bool
		var state ItemState
		var roles string
		var n, bytes int64
		if err := rows.Scan(&orphan, &state, &planned, &roles, &n, &bytes); err != nil {
			return t, err
		}
		t.Bytes += bytes
		incomplete := t.addRoles(roles, n, hole)
		if orphan {
			t.Orphans += n
			continue
		}
		t.Assets += n
		switch {
		case state == Failed:
			t.Failed += n
		case incomplete:
			t.Incomplete += n
		case planned:
			t.Stored += n
		default:
			t.Unchanged += n
		}
	}
	return t, rows.Err()
}

// addRoles counts the resources of n assets that are alike, and reports
// whether each has a hole.
func (t *Totals) addRoles(roles string, n int64, hole func(reason string) bool) (incomplete bool) {
	if roles == "" {
		return false
	}
	for w := range strings.SplitSeq(roles, ",") {
		t.Resources += n
		role, reason, absent := strings.Cut(w, "-")
		role, kept := strings.CutSuffix(role, "+")
		of := t.Roles[role]
		if of.Absent == nil {
			of.Absent = map[string]int64{}
		}
		switch {
		case absent:
			of.Absent[reason] += n
			t.Absent[reason] += n
			incomplete = incomplete || hole(reason)
		case kept:
			of.Kept += n
			t.Kept += n
			fallthrough
		default:
			of.Stored += n
			t.StoredResources += n
		}
		t.Roles[role] = of
	}
	return incomplete
}
