package photostest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"lightfast/photos"
)

// present returns an asset and its largest present resource.
func (l *library) present(t *testing.T) (asset photos.Asset, r photos.Resource) {
	t.Helper()
	for _, a := range l.scan(t, l.Source) {
		for _, candidate := range a.Resources {
			if candidate.Present() && candidate.Size > r.Size {
				asset, r = a, candidate
			}
		}
	}
	if r.Size < 2 {
		t.Fatal("the fixture has no present resource of two bytes")
	}
	return asset, r
}

func (l *library) reader(t *testing.T, r photos.Resource) photos.Reader {
	t.Helper()
	rd, err := l.Source.Open(t.Context(), r)
	if err != nil {
		t.Fatalf("Open(%s): %v", r.Path, err)
	}
	return rd
}

func (l *library) content(t *testing.T, r photos.Resource) []byte {
	t.Helper()
	rd := l.reader(t, r)
	defer rd.Close()
	if rd.Size() != r.Size {
		t.Errorf("reader of %s has size %d, want %d as the scan said", r.Path, rd.Size(), r.Size)
	}
	data, err := io.ReadAll(rd)
	if err != nil || int64(len(data)) != r.Size {
		t.Errorf("reading %s gave %d bytes and %v, want %d", r.Path, len(data), err, r.Size)
	}
	return data
}

func readerReadsTheFile(t *testing.T, l *library) {
	for _, a := range l.scan(t, l.Source) {
		for _, r := range a.Resources {
			if !r.Present() {
				continue
			}
			want, err := os.ReadFile(l.File(l.path, r))
			if err != nil {
				t.Fatal(err)
			}
			if got := l.content(t, r); !bytes.Equal(got, want) {
				t.Errorf("%s: what was read is not what is in the file", r.Path)
			}
			rd := l.reader(t, r)
			at := make([]byte, len(want))
			if n, err := rd.ReadAt(at, 0); n != len(want) || err != nil && err != io.EOF || !bytes.Equal(at, want) {
				t.Errorf("%s: ReadAt = %d, %v, and not the content of the file", r.Path, n, err)
			}
			if err := rd.Unchanged(); err != nil {
				t.Errorf("%s: Unchanged = %v", r.Path, err)
			}
			if err := rd.Close(); err != nil {
				t.Errorf("%s: Close = %v", r.Path, err)
			}
			if len(want) <= 16<<10 { // it reads byte by byte, several times
				rd := l.reader(t, r)
				if err := iotest.TestReader(rd, want); err != nil {
					t.Errorf("%s: %v", r.Path, err)
				}
				rd.Close()
			}
		}
	}
}

// A reader that ran ahead would not see what happens to the rest of the file.
func readerIsPulled(t *testing.T, l *library) {
	_, r := l.present(t)
	rd := l.reader(t, r)
	defer rd.Close()
	if n, err := rd.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Fatalf("Read of one byte = %d, %v", n, err)
	}
	if err := os.Truncate(l.File(l.path, r), 1); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(rd); len(rest) != 0 || !errors.Is(err, photos.ErrChanged) {
		t.Errorf("after the file was cut behind the byte that was read, the rest is %d bytes, %v, want none and ErrChanged", len(rest), err)
	}
}

func readersLeakNothing(t *testing.T, l *library) {
	_, r := l.present(t)
	l.content(t, r)
	before := openFiles(t)
	for range 5 {
		rd := l.reader(t, r)
		if _, err := rd.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if err := rd.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files are open after 5 readers were closed, %d before", after, before)
	}
}

func manyReadersAtOnce(t *testing.T, l *library) {
	_, r := l.present(t)
	want := l.content(t, r)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			rd, err := l.Source.Open(t.Context(), r)
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			defer rd.Close()
			if got, err := io.ReadAll(rd); err != nil || !bytes.Equal(got, want) {
				t.Errorf("one of many readers read something else: %v", err)
			}
		})
		wg.Go(func() {
			for _, err := range l.Scan(t.Context()) {
				if err != nil {
					t.Errorf("one of many scans: %v", err)
				}
			}
			l.Warnings()
		})
	}
	wg.Wait()
}

func changeIsReported(t *testing.T, l *library) {
	_, r := l.present(t)
	path := l.File(l.path, r)
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, change := range []struct {
		name string
		do   func() error
	}{
		{"written again with a new time", func() error { return os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)) }},
		{"longer", func() error { return os.WriteFile(path, append(original, "more"...), 0o644) }},
		{"shorter", func() error { return os.Truncate(path, r.Size-1) }},
		{"another file of the same size and time", func() error { return replace(path, len(original)) }},
	} {
		if err := os.WriteFile(path, original, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Unix(1_600_000_000+int64(i), 0)); err != nil {
			t.Fatal(err)
		}
		reread, reAt := l.reader(t, r), l.reader(t, r)
		if _, err := reread.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if err := reread.Unchanged(); err != nil {
			t.Errorf("%s: Unchanged before = %v", change.name, err)
		}
		if err := change.do(); err != nil {
			t.Fatal(err)
		}
		if err := reread.Unchanged(); !errors.Is(err, photos.ErrChanged) {
			t.Errorf("%s: Unchanged = %v, want ErrChanged", change.name, err)
		}
		if _, err := io.Copy(io.Discard, reread); !errors.Is(err, photos.ErrChanged) {
			t.Errorf("%s: reading to the end = %v, want ErrChanged", change.name, err)
		}
		if _, err := reAt.ReadAt(make([]byte, r.Size), 0); !errors.Is(err, photos.ErrChanged) {
			t.Errorf("%s: ReadAt to the end = %v, want ErrChanged", change.name, err)
		}
		if err := errors.Join(reread.Close(), reAt.Close()); err != nil {
			t.Error(err)
		}
	}
}

// replace puts another file of the same size and time in the place of path.
func replace(path string, size int) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	other := fmt.Sprintf("%s.other", path)
	return errors.Join(os.WriteFile(other, make([]byte, size), 0o644), os.Chtimes(other, time.Time{}, info.ModTime()), os.Rename(other, path))
}

func goneFileIsNotExist(t *testing.T, l *library) {
	_, r := l.present(t)
	if err := os.Remove(l.File(l.path, r)); err != nil {
		t.Fatal(err)
	}
	if rd, err := l.Source.Open(t.Context(), r); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of a file that has gone = %v, %v, want fs.ErrNotExist", rd, err)
	}
}
