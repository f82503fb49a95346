package dir

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"lightfast/objectstore"
)

const tempPrefix = ".lf-tmp-"

// random is what follows host in a temporary name. That it has one form tells
// host "a" from host "a-b".
var random = regexp.MustCompile(`^[0-9a-f]{16}$`)

// folder is the directory that holds one key, open for one operation.
type folder struct {
	*os.Root
	path string // from the root of the store, "." for the root itself
}

// folder opens the directory of key and returns it with the name of key in it.
// Where a part of the way is missing, it is made if create is set, else the
// error is NotFound.
func (s *Store) folder(key string, create bool) (*folder, string, error) {
	if err := checkKey(key); err != nil {
		return nil, "", err
	}
	r, err := s.openRoot()
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	at, name := path.Dir(key), path.Base(key)
	sub, err := r.OpenRoot(at)
	if create && errors.Is(err, fs.ErrNotExist) {
		if err = r.MkdirAll(at, 0o700); err == nil {
			sub, err = r.OpenRoot(at)
		}
	}
	if err != nil {
		info, e := r.Stat(at)
		if !create && (errors.Is(e, unix.ENOTDIR) || e == nil && !info.IsDir()) {
			err = fs.ErrNotExist // "x/y" beside a file "x"
		}
		return nil, "", err
	}
	return &folder{sub, at}, name, nil
}

func checkKey(key string) error {
	err := objectstore.CheckKey(key)
	if err == nil && strings.Contains("/"+key, "/"+tempPrefix) {
		err = errors.New("keys do not start with " + tempPrefix)
	}
	if err != nil {
		return &objectstore.Error{Class: objectstore.Invalid, Op: "check", Key: key, Err: err}
	}
	return nil
}

// regular is Lstat of a plain file; anything else is NotFound, as a prefix of
// other keys is no object.
func (d *folder) regular(name string) (fs.FileInfo, error) {
	info, err := d.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, objectstore.NotFound
	}
	return info, err
}

// temp is a new file without a final name, locked.
type temp struct {
	*os.File
	name  string
	order int64 // in which this store's files were opened; see group
}

func (s *Store) temp(d *folder) (*temp, error) {
	for {
		var b [8]byte
		rand.Read(b[:])
		t := &temp{name: s.prefix + hex.EncodeToString(b[:]), order: s.opened.Add(1)}
		f, err := d.OpenFile(t.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		if lockShared(f) {
			t.File = f
			return t, nil
		}
		f.Close() // a sweep was quicker
		if err := d.Remove(t.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

// discard removes t if it still has its temporary name, and closes it.
func (d *folder) discard(t *temp) {
	d.Remove(t.name) // what stays is for Sweep
	t.Close()
}

// lockShared marks f as being written, until it is closed. It fails only
// where a sweep holds f or has removed it; a file system without locks passes,
// for a sweep cannot lock there either, and removes nothing.
func lockShared(f *os.File) bool {
	if errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return false
	}
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Nlink > 0
}
