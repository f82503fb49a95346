package catalog_test

import (
	"testing"

	"lightfast/catalog"
)

func TestDownloadsAreForgottenWithTheirItem(t *testing.T) {
	l := newLibrary(t)
	e := must(l.StartRun(t.Context(), catalog.Run{Workflow: "restore/x", Doc: []byte("{}")}))
	for item, docs := range map[int64][]string{1: {"first", "second"}, 2: {"other"}} {
		for _, doc := range docs {
			check(t, l.SetDownload(t.Context(), e, item, "blobs/a", []byte(doc)))
		}
	}
	check(t, l.SetDownload(t.Context(), e, 1, "blobs/b", []byte("another of it")))
	wants := func(want map[int64]string) {
		t.Helper()
		for item, want := range want {
			if got := must(l.Download(t.Context(), e, item, "blobs/a")); string(got) != want {
				t.Errorf("Download of item %d = %q, want %q", item, got, want)
			}
		}
	}
	wants(map[int64]string{1: "second", 2: "other", 3: ""})
	check(t, l.SetItem(t.Context(), e, 1, catalog.Outcome{State: catalog.Done}))
	wants(map[int64]string{1: "", 2: "other"})
	if got := must(l.Download(t.Context(), e, 1, "blobs/b")); got != nil {
		t.Errorf("another blob of item 1 is still on its way: %q", got)
	}
	must(l.StartRun(t.Context(), catalog.Run{Workflow: "restore/x", Doc: []byte("{}")}))
	wants(map[int64]string{2: ""})
}
