package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/crc64nvme"

	"lightfast/objectstore"
)

// An upload is a file of the object's size beside its final name, into which
// parts are written at their place, and a journal of them (see journal.go).
// Its id is the name of that file without ".lf-tmp-".
type upload struct {
	header
	dir   *folder
	data  *os.File
	parts map[int]uint64 // CRC64 by number, as the journal has them
}

func (u *upload) close() {
	u.data.Close()
	u.dir.Close()
}

// last is the number of the last part.
func (h header) last() int { return max(1, int((h.Size+h.PartSize-1)/h.PartSize)) }

// span is where part n lies.
func (h header) span(n int) (off, size int64) {
	off = int64(n-1) * h.PartSize
	return off, min(h.PartSize, h.Size-off)
}

// Begin implements objectstore.Uploads.
func (s *Store) Begin(ctx context.Context, key string, size, partSize int64, _ objectstore.PutOptions) (objectstore.Upload, error) {
	u, err := s.begin(ctx, key, size, partSize)
	return u, fail("begin", key, err)
}

func (s *Store) begin(ctx context.Context, key string, size, partSize int64) (u objectstore.Upload, err error) {
	if err := ctx.Err(); err != nil {
		return u, err
	}
	if size < 0 || partSize <= 0 {
		return u, fmt.Errorf("%w: %d bytes in parts of %d", objectstore.Invalid, size, partSize)
	}
	d, name, err := s.folder(key, true)
	if err != nil {
		return u, err
	}
	defer d.Close()
	if _, err := d.Lstat(name); err == nil {
		return u, objectstore.Exists
	}
	t, err := s.temp(d)
	if err != nil {
		return u, err
	}
	defer func() {
		if err != nil {
			d.Remove(t.name + journalSuffix)
			d.discard(t)
		}
	}()
	if err := t.Truncate(size); err != nil {
		return u, err
	}
	if err := journal(d, t.name, os.O_CREATE|os.O_EXCL, header{Name: name, Size: size, PartSize: partSize, Began: time.Now()}); err != nil {
		return u, err
	}
	u = objectstore.Upload{Key: key, ID: strings.TrimPrefix(t.name, tempPrefix), Size: size, PartSize: partSize}
	s.hold(u.ID, t.File)
	return u, nil
}

// journal appends v to the journal of the upload whose data is called temp.
func journal(d *folder, temp string, flag int, v any) error {
	f, err := d.OpenFile(temp+journalSuffix, os.O_WRONLY|os.O_APPEND|flag, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(appendLine(f, v), f.Close())
}

// hold keeps f open, and with it its lock, until release.
func (s *Store) hold(id string, f *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.held[id]; old != nil {
		old.Close()
	}
	s.held[id] = f
}

func (s *Store) release(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.held[id]; f != nil {
		f.Close()
		delete(s.held, id)
	}
}

// openUpload finds the upload again; the caller closes it. From now on no sweep
// touches it.
func (s *Store) openUpload(ctx context.Context, u objectstore.Upload) (*upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !isID(u.ID) {
		return nil, objectstore.NotFound
	}
	d, name, err := s.folder(u.Key, false)
	if err != nil {
		return nil, err
	}
	up := &upload{dir: d}
	if up.header, up.parts, err = loadJournal(d, u.ID); err == nil && up.Name != name {
		err = objectstore.NotFound // an id of another key
	}
	if err == nil {
		up.data, err = d.OpenFile(tempPrefix+u.ID, os.O_RDWR, 0)
	}
	if err != nil {
		d.Close()
		if errors.Is(err, fs.ErrNotExist) {
			s.release(u.ID)
		}
		return nil, err
	}
	if err := s.keep(d, u.ID); err != nil {
		up.close()
		return nil, err
	}
	return up, nil
}

// keep locks the upload if this store does not hold it yet.
func (s *Store) keep(d *folder, id string) error {
	s.mu.Lock()
	held := s.held[id] != nil
	s.mu.Unlock()
	if held {
		return nil
	}
	f, err := d.OpenFile(tempPrefix+id, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if !lockShared(f) {
		f.Close()
		return objectstore.NotFound // being swept
	}
	s.hold(id, f)
	return nil
}

func isID(id string) bool {
	i := strings.LastIndexByte(id, '-')
	return i > 0 && hostName.MatchString(id[:i]) && random.MatchString(id[i+1:])
}

func loadJournal(d *folder, id string) (header, map[int]uint64, error) {
	f, err := d.Open(tempPrefix + id + journalSuffix)
	if err != nil {
		return header{}, nil, err
	}
	defer f.Close()
	h, parts, err := readJournal(f)
	if errors.Is(err, errNoJournal) {
		err = objectstore.NotFound
	}
	return h, parts, err
}

// PutPart implements objectstore.Uploads.
func (s *Store) PutPart(ctx context.Context, u objectstore.Upload, n int, body io.ReaderAt, off, size int64, crc uint64) (objectstore.Part, error) {
	p, err := s.putPart(ctx, u, n, body, off, size, crc)
	return p, fail("put part", u.Key, err)
}

func (s *Store) putPart(ctx context.Context, u objectstore.Upload, n int, body io.ReaderAt, off, size int64, crc uint64) (objectstore.Part, error) {
	var none objectstore.Part
	up, err := s.openUpload(ctx, u)
	if err != nil {
		return none, err
	}
	defer up.close()
	if n < 1 || n > up.last() {
		return none, fmt.Errorf("%w: part %d of %d", objectstore.Invalid, n, up.last())
	}
	at, want := up.span(n)
	if size != want {
		return none, fmt.Errorf("%w: part %d has %d bytes, not %d", objectstore.Invalid, n, size, want)
	}
	if err := s.write(ctx, up.data, at, body, off, size); err != nil {
		if e, ok := errors.AsType[*sourceError](err); ok {
			e.key = u.Key
		}
		return none, err
	}
	got, err := up.crc(ctx, at, size)
	if err != nil {
		return none, err
	}
	if got != crc {
		return none, fmt.Errorf("%w: part %d: read back %016x", objectstore.Checksum, n, got)
	}
	if err := journal(up.dir, tempPrefix+u.ID, 0, record{n, crc}); err != nil {
		return none, err
	}
	return part(n, size, crc), nil
}

func part(n int, size int64, crc uint64) objectstore.Part {
	return objectstore.Part{Number: n, Size: size, CRC64: crc, ETag: strconv.FormatUint(crc, 16)}
}

func (u *upload) crc(ctx context.Context, off, size int64) (uint64, error) {
	h := crc64nvme.New()
	err := readBack(ctx, h, u.data, off, size)
	return h.Sum64(), err
}

// Parts implements objectstore.Uploads. It reads the bytes: a part counts if
// they have the checksum of the journal.
func (s *Store) Parts(ctx context.Context, u objectstore.Upload) ([]objectstore.Part, error) {
	parts, err := s.listParts(ctx, u)
	return parts, fail("parts", u.Key, err)
}

func (s *Store) listParts(ctx context.Context, u objectstore.Upload) ([]objectstore.Part, error) {
	up, err := s.openUpload(ctx, u)
	if err != nil {
		return nil, err
	}
	defer up.close()
	var parts []objectstore.Part
	for n := 1; n <= up.last(); n++ {
		want, ok := up.parts[n]
		if !ok {
			continue
		}
		off, size := up.span(n)
		got, err := up.crc(ctx, off, size)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if err == nil && got == want {
			parts = append(parts, part(n, size, got))
		}
	}
	return parts, nil
}

// Find implements objectstore.Uploads.
func (s *Store) Find(ctx context.Context, key string) ([]objectstore.Upload, error) {
	uploads, err := s.find(ctx, key)
	return uploads, fail("find", key, err)
}

func (s *Store) find(ctx context.Context, key string) ([]objectstore.Upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d, name, err := s.folder(key, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer d.Close()
	f, err := d.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	began := map[string]time.Time{}
	var uploads []objectstore.Upload
	for _, temp := range names {
		id, ok := strings.CutSuffix(strings.TrimPrefix(temp, tempPrefix), journalSuffix)
		if !ok || !isID(id) {
			continue
		}
		h, _, err := loadJournal(d, id)
		if err != nil || h.Name != name {
			continue
		}
		if _, err := d.Lstat(tempPrefix + id); err == nil {
			began[id] = h.Began
			uploads = append(uploads, objectstore.Upload{Key: key, ID: id})
		}
	}
	slices.SortFunc(uploads, func(a, b objectstore.Upload) int { return began[b.ID].Compare(began[a.ID]) })
	return uploads, nil
}

// Complete implements objectstore.Uploads.
func (s *Store) Complete(ctx context.Context, u objectstore.Upload, parts []objectstore.Part, crc uint64) (objectstore.Info, error) {
	info, err := s.complete(ctx, u, parts, crc)
	if errors.Is(err, fs.ErrExist) {
		err = objectstore.Exists
	}
	return info, fail("complete", u.Key, err)
}

func (s *Store) complete(ctx context.Context, u objectstore.Upload, parts []objectstore.Part, crc uint64) (objectstore.Info, error) {
	var none objectstore.Info
	up, err := s.openUpload(ctx, u)
	if err != nil {
		return none, err
	}
	defer up.close()
	if _, err := up.dir.Lstat(up.Name); err == nil {
		return none, objectstore.Exists
	}
	if err := up.check(parts); err != nil {
		return none, err
	}
	got, err := up.crc(ctx, 0, up.Size)
	if err != nil {
		return none, err
	}
	if got != crc {
		return none, fmt.Errorf("%w: read back %016x", objectstore.Checksum, got)
	}
	if err := up.data.Sync(); err != nil {
		return none, err
	}
	t := &temp{File: up.data, name: tempPrefix + u.ID}
	if err := s.group.commit(ctx, &change{dir: up.dir, temp: t, name: up.Name, synced: true}); err != nil {
		return none, err
	}
	up.dir.Remove(t.name + journalSuffix) // what stays is for Sweep
	s.release(u.ID)
	st, err := up.data.Stat()
	if err != nil {
		return none, err
	}
	info := infoOf(u.Key, st)
	info.CRC64 = &crc
	return info, nil
}

// check that parts are those of the journal, all of them.
func (u *upload) check(parts []objectstore.Part) error {
	if len(parts) != u.last() {
		return fmt.Errorf("%w: %d parts of %d", objectstore.Invalid, len(parts), u.last())
	}
	for i, p := range parts {
		if crc, ok := u.parts[i+1]; !ok || p.Number != i+1 || p.CRC64 != crc {
			return fmt.Errorf("%w: part %d is not what was sent", objectstore.Invalid, i+1)
		}
	}
	return nil
}

// Abort implements objectstore.Uploads.
func (s *Store) Abort(ctx context.Context, u objectstore.Upload) error {
	return fail("abort", u.Key, s.abort(ctx, u))
}

func (s *Store) abort(ctx context.Context, u objectstore.Upload) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !isID(u.ID) {
		return nil
	}
	defer s.release(u.ID)
	d, _, err := s.folder(u.Key, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer d.Close()
	for _, name := range []string{tempPrefix + u.ID, tempPrefix + u.ID + journalSuffix} {
		if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
