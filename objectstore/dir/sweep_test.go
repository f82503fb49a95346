package dir_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/crc64nvme"

	"lightfast/objectstore"
	"lightfast/objectstore/dir"
)

const partSize = 1 << 20

var film = bytes.Repeat([]byte("film"), partSize/2) // two parts

func sendPart(ctx context.Context, s objectstore.Store, u objectstore.Upload, n int) (objectstore.Part, error) {
	off := int64(n-1) * partSize
	return s.PutPart(ctx, u, n, bytes.NewReader(film), off, partSize, crc64nvme.Checksum(film[off:off+partSize]))
}

// uploader begins two uploads in root, sends the first part of each, tells
// their ids and holds them until it is killed or its parent is gone.
func uploader(root string) {
	s, err := dir.New(root, dir.Options{Host: "mac"})
	for _, key := range []string{"blobs/keep", "blobs/drop"} {
		var u objectstore.Upload
		if err == nil {
			u, err = s.Begin(context.Background(), key, int64(len(film)), partSize, objectstore.PutOptions{})
		}
		if err == nil {
			_, err = sendPart(context.Background(), s, u, 1)
		}
		fmt.Println(u.ID)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(s) // else the collector closes the files of a store that nobody uses, and with them their locks
	os.Exit(0)
}

func TestSweepKnowsTheDeadFromTheLiving(t *testing.T) {
	root := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LF_TEST_UPLOADER="+root)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	var ids []string
	for len(ids) < 2 && lines.Scan() {
		ids = append(ids, lines.Text())
	}
	if len(ids) < 2 {
		t.Fatalf("the uploader said %q", ids)
	}
	keep := objectstore.Upload{Key: "blobs/keep", ID: ids[0], Size: int64(len(film)), PartSize: partSize}
	drop := objectstore.Upload{Key: "blobs/drop", ID: ids[1], Size: int64(len(film)), PartSize: partSize}

	// What a put of this host, of another and of no Lightfast left behind.
	foreign := []string{"blobs/.lf-tmp-mac-2-0123456789abcdef", "blobs/.lf-tmp-other-0123456789abcdef", "blobs/.lf-tmp-mac-notes.txt", "notes.txt"}
	for _, name := range append([]string{"blobs/.lf-tmp-mac-0123456789abcdef", "blobs/.lf-tmp-mac-0123456789abcdee.parts"}, foreign...) {
		if err := os.WriteFile(filepath.Join(root, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	uploads := func(us ...objectstore.Upload) (names []string) {
		for _, u := range us {
			names = append(names, "blobs/.lf-tmp-"+u.ID, "blobs/.lf-tmp-"+u.ID+".parts")
		}
		return names
	}
	s := open(t, root, "mac")
	sweep := func() {
		t.Helper()
		if err := s.Sweep(t.Context(), []objectstore.Upload{keep}); err != nil {
			t.Fatalf("Sweep: %v", err)
		}
	}
	sweep()
	wantFiles(t, root, "while the uploader lives", slices.Concat(foreign, uploads(keep, drop)))

	cmd.Process.Kill()
	cmd.Wait()
	sweep()
	wantFiles(t, root, "after its death", slices.Concat(foreign, uploads(keep)))

	parts, err := s.Parts(t.Context(), keep)
	if err != nil || len(parts) != 1 {
		t.Errorf("Parts of what was kept = %v, %v, want the one that was sent", parts, err)
	}
	_, err = s.Parts(t.Context(), drop)
	wantClass(t, "Parts of what was swept", err, objectstore.NotFound)
}

// wantFiles fails unless exactly these regular files lie under root.
func wantFiles(t *testing.T, root, when string, want []string) {
	t.Helper()
	var got []string
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			got = append(got, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files %s (-want +got):\n%s", when, diff)
	}
}

func TestPartsBelievesBytesNotTheJournal(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, data, journal string)
		want  []int
	}{
		{"untouched", func(*testing.T, string, string) {}, []int{1, 2}},
		{"torn last line", func(t *testing.T, _, journal string) {
			info, err := os.Stat(journal)
			if err == nil {
				err = os.Truncate(journal, info.Size()-5)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, []int{1}},
		{"other bytes", func(t *testing.T, data, _ string) {
			f, err := os.OpenFile(data, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte("X"), 100); err != nil {
				t.Fatal(err)
			}
		}, []int{2}},
		{"data cut short", func(t *testing.T, data, _ string) {
			if err := os.Truncate(data, partSize+7); err != nil {
				t.Fatal(err)
			}
		}, []int{1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			s := open(t, root, "mac")
			u, err := s.Begin(t.Context(), "blobs/f", int64(len(film)), partSize, objectstore.PutOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for n := range 2 {
				if _, err := sendPart(t.Context(), s, u, n+1); err != nil {
					t.Fatal(err)
				}
			}
			data := filepath.Join(root, "blobs", ".lf-tmp-"+u.ID)
			tt.spoil(t, data, data+".parts")
			var got []int
			parts, err := s.Parts(t.Context(), u)
			for _, p := range parts {
				got = append(got, p.Number)
			}
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Fatalf("Parts: %v (-want +got):\n%s", err, diff)
			}
			// And the upload can be finished all the same.
			parts = nil
			for n := range 2 {
				p, err := sendPart(t.Context(), s, u, n+1)
				if err != nil {
					t.Fatal(err)
				}
				parts = append(parts, p)
			}
			if _, err := s.Complete(t.Context(), u, parts, crc64nvme.Checksum(film)); err != nil {
				t.Fatalf("Complete: %v", err)
			}
			wantFiles(t, root, "after Complete", []string{"blobs/f"})
		})
	}
}

func TestPartsOfAnotherShapeAreInvalid(t *testing.T) {
	s := open(t, t.TempDir(), "mac")
	u, err := s.Begin(t.Context(), "f", int64(len(film)), partSize, objectstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		n    int
		size int64
	}{{0, partSize}, {3, partSize}, {1, partSize - 1}, {2, partSize + 1}} {
		_, err := s.PutPart(t.Context(), u, tt.n, bytes.NewReader(film), 0, tt.size, 0)
		wantClass(t, fmt.Sprintf("part %d of %d bytes", tt.n, tt.size), err, objectstore.Invalid)
	}
	_, err = s.Complete(t.Context(), u, nil, 0)
	wantClass(t, "Complete without parts", err, objectstore.Invalid)
}

func TestIDsAreNoPaths(t *testing.T) {
	s := open(t, t.TempDir(), "mac")
	for _, id := range []string{"", "../../etc/passwd", "mac-0123456789abcdef/..", "mac-0123456789abcdeX"} {
		_, err := s.Parts(t.Context(), objectstore.Upload{Key: "f", ID: id})
		wantClass(t, "Parts of "+id, err, objectstore.NotFound)
	}
}
