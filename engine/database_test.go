package engine_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
)

func TestUnusableDatabaseIsSetAside(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, path string)
	}{
		{"garbage", func(t *testing.T, path string) { overwrite(t, path, "this was a database, once upon a time") }},
		{"pages of zeros", func(t *testing.T, path string) {
			query(t, path, "PRAGMA wal_checkpoint(TRUNCATE)") // until then everything lies in the WAL
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			clear(data[10<<12 : 20<<12])
			overwrite(t, path, string(data))
		}},
		{"empty", func(t *testing.T, path string) { overwrite(t, path, "") }},
		{"another schema", func(t *testing.T, path string) { query(t, path, "PRAGMA user_version = 7") }},
		{"made by a process that died meanwhile", func(t *testing.T, path string) { query(t, path, "PRAGMA user_version = 0") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			p := start(t, "first", dir)
			p.says("done", new(string))
			p.kill()
			path := filepath.Join(dir, "temporal.db")
			tt.spoil(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}

			p = start(t, "first", dir)
			p.says("done", new(string))
			after, err := os.ReadFile(path + ".aside")
			if err != nil || string(after) != string(before) {
				t.Errorf("the old database is not aside as it was: %v", err)
			}
		})
	}
}

func TestUsableDatabaseIsKept(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		p := start(t, "first", dir)
		p.says("done", new(string))
		p.kill()
	}
	if found, err := filepath.Glob(filepath.Join(dir, "*.aside*")); err != nil || len(found) > 0 {
		t.Errorf("set aside after a mere kill: %v, %v", found, err)
	}
}

func overwrite(t *testing.T, path, with string) {
	t.Helper()
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.RemoveAll(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte(with), 0o600); err != nil {
		t.Fatal(err)
	}
}

func query(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
