package catalog_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"lightfast/catalog"
)

const childFile = "LIGHTFAST_TEST_CATALOG" // a re-executed test binary writes to it until it is killed

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if file := os.Getenv(childFile); file != "" {
		if err := writeForEver(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// writeForEver says the number of each blob that the catalog has acknowledged.
func writeForEver(file string) error {
	ctx := context.Background()
	c, err := catalog.Open(ctx, file)
	if err != nil {
		return err
	}
	repo, err := c.Repository(ctx, "r", "/there")
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		if err := c.AddPartial(ctx, 0, repo, 0, []catalog.Blob{blob(n)}, catalog.Outcome{}); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func blob(n int) catalog.Blob {
	b := catalog.Blob{Size: int64(n), StoredSize: int64(n), Key: fmt.Sprintf("blobs/%d", n)}
	copy(b.Hash[:], fmt.Sprintf("%032d", n))
	return b
}

func open(t testing.TB, file string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// library is a catalog with one library in one repository.
type library struct {
	*catalog.Catalog
	repo catalog.RepositoryID
	id   catalog.LibraryID
}

func newLibrary(t testing.TB) library {
	t.Helper()
	l := library{Catalog: open(t, filepath.Join(t.TempDir(), "catalog.db"))}
	l.repo = must(l.Repository(t.Context(), "r", "/there"))
	l.id = must(l.Library(t.Context(), l.repo, "lib", "/here")).ID
	return l
}

// run starts a run and scans assets into it.
func (l library) run(t testing.TB, assets ...scanned) catalog.Epoch {
	t.Helper()
	ctx := t.Context()
	e := must(l.StartRun(ctx, catalog.Run{Library: l.id, Workflow: "backup/x", Doc: []byte("{}")}))
	scan := must(l.NewScan(ctx, e, l.repo, l.id))
	defer scan.Close()
	for _, a := range assets {
		check(t, scan.Put(ctx, a.name, func(catalog.Known) (catalog.Scanned, error) { return a.Scanned, nil }))
	}
	check(t, scan.Flush(ctx))
	check(t, l.SetRun(ctx, e, catalog.AtWork, nil))
	return e
}

func (l library) next(t testing.TB, e catalog.Epoch, lane string, n int, busy ...int64) (names []string, items []int64) {
	t.Helper()
	for _, it := range must(l.Next(t.Context(), e, lane, catalog.Share{}, n, busy)) {
		names, items = append(names, it.Name), append(items, it.Item)
	}
	return names, items
}

// scanned is what a scan says of the asset of that name.
type scanned struct {
	name string
	catalog.Scanned
}

// asset is one that a scan has never seen before, planned if it is not nil.
func asset(name string, plan *catalog.Item) scanned {
	if plan != nil {
		plan.Name = name
	}
	return scanned{name, catalog.Scanned{Doc: []byte("doc " + name), Digest: []byte(name), Row: []byte("row " + name), Plan: plan}}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
