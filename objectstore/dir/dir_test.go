package dir_test

import (
	"testing"

	"lightfast/objectstore"
	"lightfast/objectstore/dir"
	"lightfast/objectstore/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() objectstore.Store {
		root := t.TempDir()
		return func() objectstore.Store { return open(t, root, "mac") }
	})
}

// open is a store of root, closed when t ends.
func open(t testing.TB, root, host string) *dir.Store {
	t.Helper()
	s, err := dir.New(root, dir.Options{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
