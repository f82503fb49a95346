package manifest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"lightfast/manifest"
)

// seed adds a golden file, so that fuzzing starts from what is real.
func seed(f *testing.F, name string) {
	data, err := os.ReadFile("testdata/" + name + ".golden")
	if err != nil {
		f.Fatal(err)
	}
	for l := range bytes.Lines(data) {
		f.Add(bytes.TrimSpace(l))
	}
}

// stable checks that what decodes encodes, and that the result decodes to
// itself: the canonical form is a fixed point.
func stable[T any](t *testing.T, data []byte, decode func([]byte) (T, error), encode func(T) ([]byte, error)) {
	v, err := decode(data)
	if err != nil {
		return
	}
	first, err := encode(v)
	if err != nil {
		t.Fatalf("encode of what decoded: %v", err)
	}
	v, err = decode(first)
	if err != nil {
		t.Fatalf("decode of %s: %v", first, err)
	}
	second, err := encode(v)
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("not stable: %s, then %s (%v)", first, second, err)
	}
}

func FuzzAsset(f *testing.F) {
	seed(f, "page.jsonl")
	f.Fuzz(func(t *testing.T, data []byte) { stable(t, data, manifest.DecodeAsset, manifest.EncodeAsset) })
}

func FuzzConfig(f *testing.F) {
	seed(f, "config.json")
	f.Fuzz(func(t *testing.T, data []byte) { stable(t, data, manifest.DecodeConfig, manifest.EncodeConfig) })
}

func FuzzHead(f *testing.F) {
	seed(f, "head.json")
	f.Fuzz(func(t *testing.T, data []byte) { stable(t, data, manifest.DecodeHead, manifest.EncodeHead) })
}

func FuzzReceipt(f *testing.F) {
	seed(f, "receipt.json")
	f.Fuzz(func(t *testing.T, data []byte) { stable(t, data, manifest.DecodeReceipt, manifest.EncodeReceipt) })
}

// The canonical form is told in another way: what encoding/json makes of maps.
func FuzzCanonicalAgreesWithEncodingJSON(f *testing.F) {
	f.Add([]byte(`{"b":[1,{"z":null,"a":"\u00e9\ud800<"}], "a" : -1.50e+3, "b":{}}`))
	f.Add([]byte("{\"\\u2028\":\"\u2028\x7f\",\"\\t\":1,\"\t\":2}"))
	f.Fuzz(func(t *testing.T, metadata []byte) {
		var v map[string]any
		d := json.NewDecoder(bytes.NewReader(metadata))
		d.UseNumber()
		if !json.Valid(metadata) || d.Decode(&v) != nil || v == nil {
			return
		}
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(map[string]any{"id": "a", "metadata": v, "resources": []any{}}); err != nil {
			t.Fatal(err)
		}
		got, err := manifest.EncodeAsset(manifest.Asset{ID: "a", Metadata: metadata})
		if err != nil || string(got) != string(bytes.TrimSpace(want.Bytes())) {
			t.Fatalf("EncodeAsset with metadata %s = %s, %v, want %s", metadata, got, err, want.Bytes())
		}
	})
}

func FuzzReadPage(f *testing.F) {
	if data, err := os.ReadFile("testdata/page.jsonl.zst.golden"); err == nil {
		f.Add(data)
	}
	want := hashOf("")
	f.Fuzz(func(t *testing.T, data []byte) {
		for a, err := range manifest.ReadPage(bytes.NewReader(data), want) {
			if err == nil {
				t.Fatalf("asset %q came from an empty page", a.ID)
			}
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add(manifest.BlobKey(manifest.Hash{}, "heic"))
	f.Add(manifest.HeadKey("lib", "20261123T012300Z-run"))
	f.Add(manifest.InterimKey("lib", "20261123T012300Z-run", 3))
	f.Fuzz(func(t *testing.T, key string) {
		if h, ok := manifest.ParsePageKey(key); ok && manifest.PageKey(h) != key {
			t.Errorf("ParsePageKey(%q) loses something", key)
		}
		if l, id, ok := manifest.ParseHeadKey(key); ok && manifest.HeadKey(l, id) != key {
			t.Errorf("ParseHeadKey(%q) loses something", key)
		}
		if l, id, n, ok := manifest.ParseInterimKey(key); ok && manifest.InterimKey(l, id, n) != key {
			t.Errorf("ParseInterimKey(%q) loses something", key)
		}
		if l, id, ok := manifest.ParsePendingKey(key); ok && manifest.PendingKey(l, id) != key {
			t.Errorf("ParsePendingKey(%q) loses something", key)
		}
	})
}
