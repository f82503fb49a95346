package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	schema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	databaseFile = "temporal.db"
	// retention is how long the history of a finished run can be looked at.
	retention = 30 * 24 * time.Hour
)

// database describes the file to Temporal. WAL is twice as fast as the default journal, NORMAL loses nothing when a
// process is killed; a power cut may cost the last moments, which the catalog knows.
func database(dir string) *config.SQL {
	return &config.SQL{
		PluginName:   sqlite.PluginName,
		DatabaseName: filepath.Join(dir, databaseFile),
		ConnectAttributes: map[string]string{
			"mode": "rwc", "journal_mode": "wal", "synchronous": "1", "busy_timeout": "10000",
		},
	}
}

// unusable is why a database is set aside.
type unusable struct{ reason string }

func (u *unusable) Error() string { return u.reason }

// prepare makes sure that a database of our schema is there. Temporal knows no migration of a SQLite file and does
// not look at its version.
func prepare(ctx context.Context, db *config.SQL, log *slog.Logger) error {
	path := db.DatabaseName
	err := check(ctx, path)
	if err == nil {
		return nil
	}
	if bad, ok := errors.AsType[*unusable](err); ok {
		aside, err := setAside(path)
		if err != nil {
			return fmt.Errorf("set aside: %w", err)
		}
		log.Warn("temporal's database was set aside; runs go on from the catalog", "reason", bad.reason, "aside", aside)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return create(ctx, db)
}

// checkBytes bounds the file that is read through at the start: 0.25 s at most. A larger one, of a million assets, is
// only opened.
const checkBytes = 128 << 20

// check returns an *unusable error for a file that is no database of our schema made to the end.
func check(ctx context.Context, path string) error {
	file, err := os.Stat(path)
	if err != nil {
		return err
	}
	var version int
	health := "ok"
	err = inDatabase(path, func(db *sql.DB) error {
		if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil || file.Size() > checkBytes {
			return err
		}
		return db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&health)
	})
	want := schemaVersion()
	switch {
	case damaged(err):
		return &unusable{fmt.Sprintf("it is damaged: %v", err)}
	case err != nil:
		return err
	case health != "ok":
		return &unusable{"it is damaged: " + health}
	case version != want:
		return &unusable{fmt.Sprintf("its schema is %d, not %d", version, want)}
	}
	return nil
}

// create makes the file. The version is written last: a file without it was made by a process that died meanwhile.
func create(ctx context.Context, db *config.SQL) error {
	if err := schema.SetupSchema(db); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	ns, err := schema.NewNamespaceConfig(cluster, Namespace, false, nil)
	if err != nil {
		return fmt.Errorf("create namespace: %w", err)
	}
	ns.Detail.Config.Retention = durationpb.New(retention)
	if err := schema.CreateNamespaces(db, ns); err != nil {
		return fmt.Errorf("create namespace: %w", err)
	}
	return inDatabase(db.DatabaseName, func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion()))
		return err
	})
}

// setAside renames the file and what SQLite keeps beside it. There is one such file at most: the newest.
func setAside(path string) (string, error) {
	aside := path + ".aside"
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(aside + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return aside, nil
}

// schemaVersion is Temporal's version of its SQLite schema as a number: "0.11" is 11.
func schemaVersion() int {
	var major, minor int
	_, _ = fmt.Sscanf(schema.Version, "%d.%d", &major, &minor) // a constant; a test reads it
	return 1000*major + minor
}

// damaged tells whether SQLite could make nothing of the file.
func damaged(err error) bool {
	const corrupt, notADatabase = 11, 26 // https://sqlite.org/rescode.html
	e, ok := errors.AsType[interface {
		error
		Code() int
	}](err)
	return ok && (e.Code()&0xff == corrupt || e.Code() == notADatabase)
}

// inDatabase opens the file, which must exist, with the driver that Temporal registers, and closes it again.
func inDatabase(path string, f func(*sql.DB) error) error {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=rw&_pragma=busy_timeout=10000")
	if err != nil {
		return err
	}
	return errors.Join(f(db), db.Close())
}
