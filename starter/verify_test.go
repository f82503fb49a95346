package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lightfast/manifest"
	"lightfast/objectstore/storetest"
	"lightfast/photos"
)

// verify runs a verify that must end with code, and returns its result and
// the lines of its problems.
func (p *place) verify(code int, args ...string) (res map[string]any, problems []string) {
	p.t.Helper()
	ev, got := p.run(append([]string{"verify", "--from", p.dest}, args...)...)
	if got != code {
		p.t.Fatalf("verify %v ended with %d, want %d: %v", args, got, code, ev["error"])
	}
	res = ev.result(p.t)
	for _, v := range res["problems"].([]any) {
		m := v.(map[string]any)
		problems = append(problems, fmt.Sprintf("%v|%v|%v", m["asset"], m["resource"], m["problem"]))
	}
	slices.Sort(problems)
	return res, problems
}

func (p *place) receipt(res map[string]any) manifest.Receipt {
	p.t.Helper()
	body, err := os.ReadFile(filepath.Join(p.dest, res["receipt"].(string)))
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := manifest.DecodeReceipt(body)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func TestWholeRepositoryVerifies(t *testing.T) {
	t.Parallel()
	p := folderPlace(t, 20)
	p.backup(0)
	write(t, filepath.Join(p.source, "later.JPG"), 20_000, 7)
	p.backup(0)
	before := tree(t, p.dest)
	res, _ := p.verify(0)
	if number(t, res, "snapshots") != 2 || number(t, res, "blobs") != 22 || number(t, res, "foreign") != 0 || number(t, res, "unreferenced") != 0 {
		t.Errorf("result = %v, want 2 snapshots of 22 blobs", res)
	}
	if rec := p.receipt(res); rec.Kind != "verify" || rec.Damaged != nil || rec.Repository == "" {
		t.Errorf("receipt = %+v", rec)
	}
	res, _ = p.verify(0, "--snapshot", "latest", "--checksums")
	if number(t, res, "snapshots") != 1 || number(t, res, "blobs") != 22 {
		t.Errorf("latest = %v, want 1 snapshot of 22 blobs", res)
	}
	for name, content := range before {
		if tree(t, p.dest)[name] != content {
			t.Errorf("verify changed %s", name)
		}
	}
}

func TestVerifyNamesEachDamagedAsset(t *testing.T) {
	t.Parallel()
	c := craft(t)
	for i := range 8 {
		n := fmt.Sprintf("IMG_%d.JPG", i)
		c.add(n, photos.Metadata{}, c.resource("original", n, n))
	}
	c.add("twin of 1", photos.Metadata{}, c.assets[1].Resources[0])
	pages := c.commit(3)
	blob := func(i int) string { return filepath.Join(c.dest, c.assets[i].Resources[0].Key) }
	head := manifest.HeadKey("lib", "20261122T010000Z-broken")
	c.object(head, []byte("{}"))
	c.object("blobs/holiday.txt", []byte("mine"))
	c.object("blobs/ab/mine.jpg", []byte("mine"))
	c.object("notes/mine", []byte("mine"))
	for _, err := range []error{
		os.Remove(blob(1)),
		os.Truncate(blob(2), 3),
		os.WriteFile(filepath.Join(c.dest, pages[1]), []byte("garbage"), 0o600), // 3, 4 and 5
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	res, problems := c.verify(6)
	want := []string{
		"IMG_1.JPG|original IMG_1.JPG|missing in the repository",
		"IMG_2.JPG|original IMG_2.JPG|damaged in the repository: 3 bytes, not 28",
		"twin of 1|original IMG_1.JPG|missing in the repository",
	}
	if diff := cmp.Diff(want, problems[:len(problems)-2]); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if number(t, res, "problem_count") != 4 || number(t, res, "foreign") != 3 || number(t, res, "unreferenced") != 3 {
		t.Errorf("result = %v, want 4 objects damaged, 3 foreign, 3 of a page that cannot be read", res)
	}
	var damaged []string
	for _, d := range c.receipt(res).Damaged {
		damaged = append(damaged, fmt.Sprint(d.Key, d.Missing, d.ETag != ""))
	}
	wantDamaged := []string{
		fmt.Sprint(c.assets[1].Resources[0].Key, true, false), fmt.Sprint(c.assets[2].Resources[0].Key, false, true),
		fmt.Sprint(head, false, false), fmt.Sprint(pages[1], false, false),
	}
	slices.Sort(wantDamaged)
	if diff := cmp.Diff(wantDamaged, damaged); diff != "" {
		t.Errorf("receipt (-want +got):\n%s", diff)
	}
	for _, name := range []string{"blobs/holiday.txt", "blobs/ab/mine.jpg", "notes/mine"} {
		if tree(t, c.dest)[name] != "mine" {
			t.Errorf("%s was touched", name)
		}
	}
}

func TestVerifyComparesTheChecksumsOfTheStore(t *testing.T) {
	t.Parallel()
	server := storetest.MinIO(t)
	p := folderPlace(t, 5)
	p.env = []string{"AWS_ACCESS_KEY_ID=" + server.AccessKey, "AWS_SECRET_ACCESS_KEY=" + server.SecretKey}
	p.dest = "s3://photos?endpoint=" + server.Endpoint
	p.backup(0)
	res, _ := p.verify(0, "--checksums")
	if got := number(t, res, "checksums"); got != 5 { // the film was sent in parts
		t.Errorf("%d checksums compared, want 5", got)
	}
}

func TestNothingToVerifyIsNoSuccess(t *testing.T) {
	t.Parallel()
	c := craft(t)
	c.commit(1)
	if _, code := c.run("verify", "--from", filepath.Join(c.dest, "nowhere")); code != 10 {
		t.Errorf("verify of nothing ended with %d, want 10", code)
	}
	if _, code := c.run("verify", "--from", c.dest, "--library", "other"); code != 1 {
		t.Errorf("verify of a library that is not there ended with %d, want 1", code)
	}
}
