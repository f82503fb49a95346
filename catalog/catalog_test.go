package catalog_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"lightfast/catalog"
	"lightfast/internal/sqlite"
)

func TestEveryWriterOfAGroupIsCommitted(t *testing.T) {
	l := newLibrary(t)
	const writers = 600 // more than one group takes
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			if err := l.AddPartial(t.Context(), 0, l.repo, 0, []catalog.Blob{blob(n)}, catalog.Outcome{}); err != nil {
				t.Errorf("write %d: %v", n, err)
			}
		})
	}
	wg.Wait()
	for n := range writers {
		if got, ok, err := l.Blob(t.Context(), l.repo, blob(n).Hash); err != nil || !ok || got != blob(n) {
			t.Errorf("Blob(%d) = %v, %t, %v", n, got, ok, err)
		}
	}
}

func TestAFailingWriteSpoilsNoOther(t *testing.T) {
	l := newLibrary(t)
	var wg sync.WaitGroup
	for n := range 200 {
		wg.Go(func() {
			err := l.AddPartial(t.Context(), 0, l.repo, 0, []catalog.Blob{blob(n)}, catalog.Outcome{})
			if err != nil {
				t.Errorf("write %d: %v", n, err)
			}
		})
		wg.Go(func() {
			// A row whose plan nobody knows.
			err := l.StoreAsset(t.Context(), 99, l.repo, 1, nil, nil, catalog.Figures{}, nil, catalog.Outcome{})
			if !errors.Is(err, catalog.ErrNoPlan) {
				t.Errorf("StoreAsset without a plan = %v, want ErrNoPlan", err)
			}
		})
	}
	wg.Wait()
	for n := range 200 {
		if _, ok, err := l.Blob(t.Context(), l.repo, blob(n).Hash); err != nil || !ok {
			t.Errorf("Blob(%d): %t, %v", n, ok, err)
		}
	}
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.db")
	last := -1
	for range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childFile+"="+file)
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		check(t, err)
		check(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for said := 0; said < 300 && lines.Scan(); said++ {
			n, err := strconv.Atoi(lines.Text())
			check(t, err)
			last = max(last, n)
		}
		check(t, cmd.Process.Kill())
		for lines.Scan() { // what it had said before it died
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				last = max(last, n)
			}
		}
		if cmd.Wait() == nil {
			t.Fatal("the writer ended by itself")
		}
	}
	c := open(t, file)
	repo := must(c.Repository(t.Context(), "r", "/there"))
	for n := range last + 1 {
		if _, ok, err := c.Blob(t.Context(), repo, blob(n).Hash); err != nil || !ok {
			t.Fatalf("blob %d of %d acknowledged: %t, %v", n, last+1, ok, err)
		}
	}
}

func TestSeveralMayOpenANewCatalogAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.db")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c, err := catalog.Open(t.Context(), file)
			if err != nil {
				t.Error(err)
				return
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	open(t, file) // and once more, with nothing left to migrate
}

func TestTwoProcessesSeeOneTruth(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.db")
	a, b := open(t, file), open(t, file)
	repo := must(a.Repository(t.Context(), "r", "/there"))
	var wg sync.WaitGroup
	for n := range 50 {
		for i, c := range []*catalog.Catalog{a, b} {
			wg.Go(func() {
				if err := c.AddPartial(t.Context(), 0, repo, 0, []catalog.Blob{blob(2*n + i)}, catalog.Outcome{}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for n := range 100 {
		for i, c := range []*catalog.Catalog{a, b} {
			if _, ok, err := c.Blob(t.Context(), repo, blob(n).Hash); err != nil || !ok {
				t.Errorf("catalog %d: blob %d: %t, %v", i, n, ok, err)
			}
		}
	}
}

func TestACatalogOfANewerProgramIsRefusedUntouched(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.db")
	check(t, must(catalog.Open(t.Context(), file)).Close())
	db := must(sqlite.Open(file, sqlite.Options{}))
	defer db.Close()
	must(db.Exec("PRAGMA user_version = 1000"))
	if c, err := catalog.Open(t.Context(), file); !errors.Is(err, catalog.ErrNewer) {
		t.Errorf("Open = %v, %v, want ErrNewer", c, err)
	}
	if v := version(db); v != 1000 {
		t.Errorf("user_version = %d, want 1000", v)
	}
}

func version(db *sql.DB) (v int) {
	if err := db.QueryRow("PRAGMA user_version").Scan(&v); err != nil {
		panic(err)
	}
	return v
}

func TestAClosedCatalogRefusesWrites(t *testing.T) {
	c := must(catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db")))
	check(t, c.Close())
	if _, err := c.Repository(t.Context(), "r", "/there"); err == nil {
		t.Error("a write after Close succeeded")
	}
}

func TestDamagedCatalogIsSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
}
