package main

import (
	"bytes"
	"crypto/sha256"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"lightfast/internal/atomicfile"
	"lightfast/objectstore/storetest"
	"lightfast/photos/photostest"
)

func TestBackupSurvivesAFaultyNetwork(t *testing.T) {
	t.Parallel()
	throughFaults(t, 60, []int64{24 << 20}, 60, 1, 0.5)
}

// throughFaults backs up a Photos library of so many assets, and films of so
// many bytes, while a proxy does that many faults, chosen by seed, to each request one
// with this probability. What is in the bucket is looked at past the proxy.
func throughFaults(t *testing.T, assets int, films []int64, faults int, seed uint64, probability float64) {
	t.Helper()
	srv := storetest.MinIO(t)
	p := newPlace(t)
	p.source += ".photoslibrary"
	spec := photostest.Mix(assets, 1)
	for _, size := range films {
		spec.Assets = append(spec.Assets, photostest.AssetSpec{Video: true, Size: size})
	}
	if err := photostest.BuildLibrary(p.source, spec); err != nil {
		t.Fatal(err)
	}
	before := sums(t, p.source)
	proxy := storetest.NewFaultProxy(t, srv, faults, storetest.Seeded(seed, probability))
	p.toS3(srv, proxy.URL)

	var said bytes.Buffer
	ev, code := p.exec(&said, "backup", "--source", p.source, "--to", p.dest)
	done, requests := proxy.Total()
	t.Logf("%d faults in %d requests: %v", done, requests, proxy.Did())
	if code != 0 {
		t.Fatalf("backup ended with %d: %v\n%s", code, ev["error"], said.String())
	}
	res := ev.result(t)
	t.Logf("%.1f s, %d assets handed over", res["duration_s"], strings.Count(said.String(), "asset handed over"))
	if done < faults {
		t.Errorf("only %d faults were done, want %d", done, faults)
	}
	nothingLeft(t, srv, p, before)

	p.toS3(srv, srv.Endpoint)
	if res, problems := p.verify(0); number(t, res, "unreferenced") != 0 || problems != nil {
		t.Errorf("verify found %v, %v", res, problems)
	}
	p.restore(0)
	for name, sum := range sums(t, p.out) {
		if before[name] != sum {
			t.Errorf("%s was restored with other bytes", name)
		}
		delete(before, name)
	}
	for name := range before {
		if !strings.HasPrefix(name, "database"+string(filepath.Separator)) {
			t.Errorf("%s was not restored", name)
		}
	}
}

// nothingLeft checks that an ended backup has left neither an unfinished
// upload in the bucket, nor a temporary file, nor a trace in its source.
func nothingLeft(t *testing.T, srv storetest.Server, p *place, before map[string][sha256.Size]byte) {
	t.Helper()
	c := s3Client(t, srv)
	// MinIO lists the uploads of a whole key only.
	for o := range c.ListObjectsIter(t.Context(), "photos", minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		for u := range c.ListIncompleteUploads(t.Context(), "photos", o.Key, true) {
			t.Errorf("upload left of %s: %v", o.Key, u)
		}
	}
	temp := filepath.Join(p.state, "tmp") // of this process alone; other temporary files have names
	err := filepath.WalkDir(p.state, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (strings.HasPrefix(d.Name(), atomicfile.TempPrefix) || filepath.Dir(path) == temp) {
			t.Errorf("temporary file left: %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	after := sums(t, p.source)
	for name, sum := range before {
		if after[name] != sum {
			t.Errorf("the backup changed %s", name)
		}
		delete(after, name)
	}
	for name := range after {
		t.Errorf("the backup left %s in its source", name)
	}
}

// s3Client talks to a server past all that stands before it.
func s3Client(t *testing.T, srv storetest.Server) *minio.Client {
	t.Helper()
	c, err := minio.New(strings.TrimPrefix(srv.Endpoint, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(srv.AccessKey, srv.SecretKey, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sums is tree without the contents.
func sums(t *testing.T, dir string) map[string][sha256.Size]byte {
	t.Helper()
	all := map[string][sha256.Size]byte{}
	for name, content := range tree(t, dir) {
		all[name] = sha256.Sum256([]byte(content))
	}
	return all
}
