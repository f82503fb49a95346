package catalog_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lightfast/catalog"
)

// newRun opens a catalog with one run in it.
func newRun(t *testing.T) (*catalog.Catalog, catalog.Epoch) {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	e, err := c.StartRun(t.Context(), catalog.Run{Workflow: "w", Doc: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	return c, e
}

func TestNameHasOneOwner(t *testing.T) {
	c, e := newRun(t)
	take := func(owner string, names ...string) (next int) {
		t.Helper()
		keys := make([][]byte, len(names))
		for i, n := range names {
			keys[i] = []byte(n)
		}
		if err := c.PlanItems(t.Context(), e, func(p catalog.Planner) (err error) {
			next, err = p.Take(keys, []byte(owner))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return next
	}
	for _, tt := range []struct {
		owner string
		names []string
		want  int
	}{
		{"first", []string{"a.jpg", "a.mov"}, 0},
		{"first", []string{"a.jpg"}, 0},           // it has it
		{"second", []string{"b.jpg", "a.mov"}, 2}, // one is taken: it gets none
		{"third", []string{"b.jpg"}, 0},           // so this is free
		{"third", []string{"a.mov"}, 3},           // the next number
		{"second", []string{"a (2).jpg"}, 0},      // free
		{"fourth", []string{"a.mov", "b.jpg"}, 4}, // the larger of two
	} {
		if got := take(tt.owner, tt.names...); got != tt.want {
			t.Errorf("Take(%v) for %s = %d, want %d", tt.names, tt.owner, got, tt.want)
		}
	}
	if err := c.ForgetNames(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if got := take("fifth", "a.jpg"); got != 0 {
		t.Errorf("a forgotten name is still taken: %d", got)
	}
}

func TestObjectsThatAreNotAsExpectedAreSuspect(t *testing.T) {
	c, e := newRun(t)
	var expected, found []catalog.Object
	for i := range 5 {
		expected = append(expected, catalog.Object{Key: fmt.Sprint(i), Size: 10})
	}
	found = append(found, expected[0], catalog.Object{Key: "1", Size: 9}, expected[3], expected[4], catalog.Object{Key: "foreign", Size: 1})
	for range 2 { // each step may be repeated
		if err := c.ExpectObjects(t.Context(), e, expected); err != nil {
			t.Fatal(err)
		}
		if n, err := c.FoundObjects(t.Context(), e, found); n != 4 || err != nil {
			t.Errorf("FoundObjects = %d, %v, want 4 that were expected", n, err)
		}
	}
	want := []catalog.Object{{Key: "1", Size: 10}, {Key: "2", Size: 10}}
	if got, err := c.SuspectObjects(t.Context(), e, "", 9); err != nil || !cmp.Equal(got, want) {
		t.Errorf("SuspectObjects = %v, %v, want %v", got, err, want)
	}
	if got, err := c.SuspectObjects(t.Context(), e, "1", 9); err != nil || !cmp.Equal(got, want[1:]) {
		t.Errorf("SuspectObjects after 1 = %v, %v, want %v", got, err, want[1:])
	}
	want[0].Damage = []byte("short")
	page := catalog.Object{Key: "page", Size: -1, Damage: []byte("gone")}
	if err := c.CheckedObjects(t.Context(), e, append(want, page, catalog.Object{Key: "3", Size: 10, Proven: true})); err != nil {
		t.Fatal(err)
	}
	if got, err := c.UncheckedObjects(t.Context(), e, "", 9); err != nil || len(got) != 2 || got[0].Key != "0" || got[1].Key != "4" {
		t.Errorf("UncheckedObjects = %v, %v, want 0 and 4", got, err)
	}
	var damaged []string
	for o, err := range c.DamagedObjects(t.Context(), e) {
		if err != nil {
			t.Fatal(err)
		}
		damaged = append(damaged, o.Key+" "+string(o.Damage))
	}
	if diff := cmp.Diff([]string{"1 short", "page gone"}, damaged); diff != "" {
		t.Errorf("DamagedObjects (-want +got):\n%s", diff)
	}
	if f, err := c.ObjectFigures(t.Context(), e); err != nil || f != (catalog.ObjectFigures{Objects: 5, Bytes: 50, Proven: 1, Damaged: 2}) {
		t.Errorf("ObjectFigures = %+v, %v", f, err)
	}
	if d, err := c.ObjectDamage(t.Context(), e, "0"); d != nil || err != nil {
		t.Errorf("ObjectDamage(0) = %q, %v, want none", d, err)
	}
}
