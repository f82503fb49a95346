package applelibrary

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"

	"lightfast/photos"
)

// batch is how many assets are held in memory at once.
const batch = 500

// Scan yields the assets of the database as it is now, in the order of its
// keys, then the orphans. The media folders are listed first; a file that
// Photos takes in or throws away in that second is told right by the next
// scan.
func (l *Library) Scan(ctx context.Context) iter.Seq2[photos.Asset, error] {
	return func(yield func(photos.Asset, error) bool) {
		err := l.scan(ctx, func(a photos.Asset) bool { return yield(a, nil) })
		if err == nil || errors.Is(err, errStopped) {
			return
		}
		if ctx.Err() != nil {
			err = ctx.Err() // the database says that it was interrupted
		}
		yield(photos.Asset{}, err)
	}
}

// errStopped means that whoever ranges over the scan has seen enough.
var errStopped = errors.New("stopped")

func (l *Library) scan(ctx context.Context, yield func(photos.Asset) bool) error {
	v, err := l.acquire(ctx)
	if err != nil {
		return err
	}
	defer l.release(v)
	s, err := l.newScan(ctx, v)
	if err != nil {
		return err
	}
	defer s.close()
	give := func(a photos.Asset) error {
		if !yield(a) {
			return errStopped
		}
		return ctx.Err()
	}
	if err := v.gen.assets(ctx, s, give); err != nil {
		return l.failed(v, err)
	}
	if err := s.disk.orphans(ctx, func(f file) error { return give(orphan(f)) }); err != nil {
		return err
	}
	l.mu.Lock()
	l.warnings = s.warnings()
	l.mu.Unlock()
	return nil
}

// failed tells a database that passed its check, and cannot be read all the
// same, from what is no fault of the library.
func (l *Library) failed(v *view, err error) error {
	if ours, ok := errors.AsType[localError](err); ok {
		return ours.error
	}
	if errors.Is(err, errStopped) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return l.damaged(v.name, err)
}

// localError is of the disk that the scratch files lie on, not of the library.
type localError struct{ error }

// scan is one pass over a view.
type scan struct {
	root  *os.Root
	view  *view
	disk  *disk
	dir   string          // of the listing
	notes map[string]bool // warnings about kinds never seen
}

func (l *Library) newScan(ctx context.Context, v *view) (_ *scan, err error) {
	s := &scan{root: l.root, view: v, notes: map[string]bool{}}
	if s.dir, err = os.MkdirTemp(l.temp, "scan-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.disk, err = listDisk(ctx, l.root, s.dir, v.gen.media()); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unreadable(l.path, err)
	}
	return s, nil
}

func (s *scan) close() {
	if s.disk != nil {
		s.disk.close()
	}
	os.RemoveAll(s.dir)
}

// files returns the files of each stem.
func (s *scan) files(ctx context.Context, stems []string) (map[string][]file, error) {
	found, err := s.disk.files(ctx, stems)
	if err != nil {
		err = localError{err}
	}
	return found, err
}

// repeated returns the UUIDs that more than one row of a table has, with the
// lowest key of each. There are none in a sound library.
func (s *scan) repeated(ctx context.Context, table, key, uuid string) (map[string]int64, error) {
	rows, err := s.view.db.QueryContext(ctx, fmt.Sprintf("SELECT CAST(%s AS TEXT), min(%s) FROM %s WHERE %s IS NOT NULL GROUP BY 1 HAVING count(*) > 1", uuid, key, table, uuid))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	twice := map[string]int64{}
	for rows.Next() {
		var (
			uuid  string
			first int64
		)
		if err := rows.Scan(&uuid, &first); err != nil {
			return nil, err
		}
		twice[uuid] = first
	}
	return twice, rows.Err()
}

// assetID is the UUID of a row, or where that is missing or used before, what
// it takes for each id to come once.
func assetID(uuid string, key int64, twice map[string]int64) photos.AssetID {
	id := valid(uuid)
	if first, ok := twice[uuid]; id == "" || ok && first != key {
		id += fmt.Sprintf("row:%d", key)
	}
	return photos.AssetID(id)
}

// roles in the order in which resources are listed.
var roles = []photos.Role{
	photos.RoleOriginal, photos.RoleRAW, photos.RoleLive, photos.RoleEdited, photos.RoleEditedLive, photos.RolePoster,
	photos.RolePrevious, photos.RoleAdjustment, photos.RoleSidecar, photos.RolePreview, photos.RoleOther,
}

func inOrder(list []photos.Resource) {
	slices.SortStableFunc(list, func(x, y photos.Resource) int {
		return cmp.Or(cmp.Compare(slices.Index(roles, x.Role), slices.Index(roles, y.Role)), cmp.Compare(x.Path, y.Path))
	})
}

func (s *scan) warnings() []string {
	var list []string
	for w := range s.notes {
		list = append(list, w)
	}
	slices.Sort(list)
	_, version := s.view.gen.identity()
	for _, part := range s.view.gen.unknown() {
		list = append(list, fmt.Sprintf("%s cannot be read from a library of %s: backed up without them", part, version))
	}
	for _, name := range s.disk.skipped {
		list = append(list, fmt.Sprintf("a link in the library is not followed: %q", name))
	}
	return list
}
