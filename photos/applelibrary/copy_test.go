package applelibrary_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"lightfast/photos/applelibrary"
	"lightfast/photos/photostest"
)

// TestCopyIsOneStateWhilePhotosWrites holds the copies against a writer that
// commits and checkpoints all the time. Each of its transactions makes all
// assets equal in a counter, so that a torn copy shows.
func TestCopyIsOneStateWhilePhotosWrites(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Count: 1000}}})
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	db := database(t, dir)
	defer db.Close()
	defer wg.Wait()
	defer stop()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "PRAGMA wal_autocheckpoint = 300"); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan struct{}, 1)
	wg.Go(func() {
		for n := 1; ctx.Err() == nil; n++ {
			if _, err := db.ExecContext(ctx, "UPDATE ZASSET SET ZWIDTH = ?", n); err != nil && ctx.Err() == nil {
				t.Errorf("writer: %v", err)
				return
			}
			select {
			case wrote <- struct{}{}:
			default:
			}
		}
	})
	for range 8 {
		<-wrote
		l := open(t, dir)
		widths := map[int]int{}
		for _, a := range scan(t, l) {
			widths[a.Metadata.Width]++
		}
		if len(widths) != 1 {
			t.Errorf("the copy mixes states: %v", widths)
		}
	}
}

// TestLibraryInUseIsUntouched opens a library while a writer holds it open in
// the middle of a transaction.
func TestLibraryInUseIsUntouched(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Count: 10}}})
	db := database(t, dir)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "UPDATE ZASSET SET ZFAVORITE = 1"); err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(t.Context(), &sql.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("UPDATE ZASSET SET ZFAVORITE = 0"); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	for _, a := range scan(t, open(t, dir)) {
		if !a.Metadata.Favorite {
			t.Error("the copy lacks what is only in the WAL, or has what was not committed")
		}
	}
	for name, was := range tree(t, dir) {
		if before[name] != was {
			t.Errorf("%s was %q, is %q", name, before[name], was)
		}
	}
}

// TestStaleSharedMemoryIsNotTaken: the -shm of a library that was copied by
// hand fits no WAL any more.
func TestStaleSharedMemoryIsNotTaken(t *testing.T) {
	dir := copied(t, "Test-Lock-10_15_1")
	write(t, filepath.Join(dir, "database", "Photos.sqlite-shm"), string(make([]byte, 32768)))
	only(t, scan(t, open(t, dir)))
}

func TestAbandonedLockIsNoReasonToRefuse(t *testing.T) {
	dir := build(t, photostest.Mix(3, 1))
	write(t, filepath.Join(dir, "database", "Photos.sqlite.lock"), "<plist/>")
	if n := len(scan(t, open(t, dir))); n != 3 {
		t.Errorf("%d assets, want 3", n)
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	temp := t.TempDir()
	if l, err := applelibrary.Open(ctx, build(t, photostest.Mix(3, 1)), applelibrary.Options{TempDir: temp}); err == nil {
		l.Close()
		t.Error("Open with a canceled context succeeds")
	}
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}
