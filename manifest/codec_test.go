package manifest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lightfast/manifest"
)

func TestAssetSurvivesARoundTrip(t *testing.T) {
	for _, a := range sampleAssets() {
		line, err := manifest.EncodeAsset(a)
		if err != nil {
			t.Fatal(err)
		}
		got, err := manifest.DecodeAsset(line)
		if err != nil {
			t.Fatal(err)
		}
		var want, have any // metadata is equal as JSON, not as bytes
		if err := errors.Join(json.Unmarshal(a.Metadata, &want), json.Unmarshal(got.Metadata, &have)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("metadata of %s (-want +got):\n%s", a.ID, diff)
		}
		got.Metadata = a.Metadata
		if diff := cmp.Diff(a, got); diff != "" {
			t.Errorf("asset %s (-want +got):\n%s", a.ID, diff)
		}
	}
}

func TestEqualAssetsHaveEqualLines(t *testing.T) {
	encode := func(metadata string) string {
		line, err := manifest.EncodeAsset(manifest.Asset{ID: "a", Metadata: json.RawMessage(metadata)})
		if err != nil {
			t.Fatal(err)
		}
		return string(line)
	}
	want := `{"id":"a","metadata":{"a":{"x":1.50,"y":[true,null,{}]},"b":"<é\u2028\n&>","é":18446744073709551615},"resources":[]}`
	for _, spelling := range []string{
		`{"a":{"x":1.50,"y":[true,null,{}]},"b":"<é\u2028\n&>","é":18446744073709551615}`,
		` { "é" : 18446744073709551615 , "b" : "\u003c\u00e9` + "\u2028" + `\u000a\u0026>", "a":{"y":[ true,null , { } ],"x":1.50} } `,
		`{"b":1,"\u0062":"<é\u2028\n&>","a":{"y":[true,null,{}],"x":2,"x":1.50},"\u00e9":18446744073709551615}`,
	} {
		if got := encode(spelling); got != want {
			t.Errorf("EncodeAsset with metadata %s = %s, want %s", spelling, got, want)
		}
	}
}

func TestUnknownFieldsAreKept(t *testing.T) {
	const asset = `{"future":{"b":1,"c":2},"id":"a","metadata":{},"resources":[{"hologram":[1,2],"name":"n","role":"original","size":-1}]}`
	a, err := manifest.DecodeAsset([]byte(asset))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := manifest.EncodeAsset(a); err != nil || string(got) != asset {
		t.Errorf("EncodeAsset(DecodeAsset(x)) = %s, %v, want %s", got, err, asset)
	}

	const config = `{"created":"2026-11-23T00:23:00Z","format":1,"future":true,"hash":"sha256","repository":"r"}` + "\n"
	c, err := manifest.DecodeConfig([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := manifest.EncodeConfig(c); err != nil || string(got) != config {
		t.Errorf("EncodeConfig(DecodeConfig(x)) = %s, %v, want %s", got, err, config)
	}

	head, err := manifest.EncodeHead(sampleHead(t))
	if err != nil {
		t.Fatal(err)
	}
	future := strings.NewReplacer(`"kind":"photos"`, `"kind":"photos","moon":1`, `"kept":1`, `"kept":1,"lunar":2`,
		`"name":"mac.local"}`, `"name":"mac.local","os":"x"}`, `{"assets":2,"sha256"`, `{"assets":2,"nonce":3,"sha256"`).Replace(string(head))
	if strings.Count(future, ",") != strings.Count(string(head), ",")+4 {
		t.Fatal("the replacements do not fit the head any more")
	}
	h, err := manifest.DecodeHead([]byte(future))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := manifest.EncodeHead(h); err != nil || string(got) != future {
		t.Errorf("EncodeHead(DecodeHead(x)) = %s, %v, want %s", got, err, future)
	}

	receipt, err := manifest.EncodeReceipt(sampleReceipt())
	if err != nil {
		t.Fatal(err)
	}
	future = strings.Replace(string(receipt), `"missing":true`, `"missing":true,"moon":1`, 1)
	r, err := manifest.DecodeReceipt([]byte(future))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := manifest.EncodeReceipt(r); err != nil || string(got) != future {
		t.Errorf("EncodeReceipt(DecodeReceipt(x)) = %s, %v, want %s", got, err, future)
	}
}

func TestHeadAndReceiptSurviveARoundTrip(t *testing.T) {
	h := sampleHead(t)
	head, err := manifest.EncodeHead(h)
	if err != nil {
		t.Fatal(err)
	}
	gotHead, err := manifest.DecodeHead(head)
	if diff := cmp.Diff(h, gotHead); diff != "" || err != nil {
		t.Errorf("head: %v (-want +got):\n%s", err, diff)
	}
	r := sampleReceipt()
	receipt, err := manifest.EncodeReceipt(r)
	if err != nil {
		t.Fatal(err)
	}
	gotReceipt, err := manifest.DecodeReceipt(receipt)
	if diff := cmp.Diff(r, gotReceipt); diff != "" || err != nil {
		t.Errorf("receipt: %v (-want +got):\n%s", err, diff)
	}
}

func decoders() map[string]func([]byte) error {
	return map[string]func([]byte) error{
		"config":  func(b []byte) error { _, err := manifest.DecodeConfig(b); return err },
		"head":    func(b []byte) error { _, err := manifest.DecodeHead(b); return err },
		"receipt": func(b []byte) error { _, err := manifest.DecodeReceipt(b); return err },
	}
}

func TestNewerFormatIsRefusedWhateverElseChanged(t *testing.T) {
	for name, decode := range decoders() {
		err := decode([]byte(`{"format":2,"id":{"a":1},"hash":7,"pages":"elsewhere","repository":[]}`))
		if tooNew, ok := errors.AsType[*manifest.TooNewError](err); !ok || tooNew.Format != 2 {
			t.Errorf("%s of format 2: %v, want *TooNewError", name, err)
		}
	}
}

func TestGarbageIsDamage(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 1e6)
	garbage := []string{"", "\x00\x00", "{", "[]", "null", `"x"`, `{"format":0}`, `{"format":-1}`, `{"format":"1"}`, `{"format":1}`,
		`{"format":1}{}`, deep, `{"format":1,"a":` + strings.Repeat("[", 1e6)}
	for name, decode := range decoders() {
		for _, in := range garbage {
			if _, ok := errors.AsType[*manifest.DamagedError](decode([]byte(in))); !ok {
				t.Errorf("%s of %.20q…: %v, want *DamagedError", name, in, decode([]byte(in)))
			}
		}
	}
	for _, in := range []string{`{"format":1,"id":"../up","library":{"id":"l"}}`, `{"format":1,"id":"a"}`,
		`{"format":1,"id":"a","library":{"id":"l"},"pages":[{"assets":1}]}`} {
		if _, err := manifest.DecodeHead([]byte(in)); err == nil {
			t.Errorf("DecodeHead(%s) succeeded", in)
		}
	}
	hash := hashOf("").String()
	for _, in := range []string{
		`{}`, `{"id":""}`, `{"id":"a"}`, `{"id":"a","metadata":[]}`, `{"id":"a","metadata":{},"resources":{}}`, deep,
		`{"id":"a","metadata":{},"resources":[{"size":1,"key":"blobs/x"}]}`,
		`{"id":"a","metadata":{},"resources":[{"size":1,"key":"../../etc/passwd","sha256":"` + hash + `"}]}`,
		`{"id":"a","metadata":{},"resources":[{"size":1,"sha256":"` + hash + `"}]}`,
		`{"id":"a","metadata":{},"resources":[{"size":1,"inline":"eA=="}]}`,
		`{"id":"a","metadata":{},"resources":[{"size":2,"inline":"eA==","sha256":"` + hash + `"}]}`,
		`{"id":"a","metadata":{},"resources":[{"size":1,"inline":"eA==","reason":"lost","sha256":"` + hash + `"}]}`,
		`{"id":"a","metadata":{},"resources":[{"size":-1,"inline":"","sha256":"` + hash + `"}]}`,
		`{"id":"a","metadata":{},"resources":[{"size":0,"sha256":"` + strings.ToUpper(hash) + `"}]}`,
	} {
		if _, err := manifest.DecodeAsset([]byte(in)); err == nil {
			t.Errorf("DecodeAsset(%.200s) succeeded", in)
		} else if _, ok := errors.AsType[*manifest.DamagedError](err); !ok {
			t.Errorf("DecodeAsset(%.200s): %v, want *DamagedError", in, err)
		}
	}
}

func TestWhatCannotBeReadIsNotWritten(t *testing.T) {
	hash := hashOf("")
	for name, a := range map[string]manifest.Asset{
		"no id":          {},
		"id no text":     {ID: "a\xff"},
		"bad metadata":   {ID: "a", Metadata: json.RawMessage(`{"a"`)},
		"no object":      {ID: "a", Metadata: json.RawMessage(`7`)},
		"foreign key":    {ID: "a", Resources: []manifest.Resource{{Key: "x", SHA256: &hash}}},
		"lost content":   {ID: "a", Resources: []manifest.Resource{{Size: 1, SHA256: &hash}}},
		"giant metadata": {ID: "a", Metadata: json.RawMessage(`{"a":"` + strings.Repeat("x", manifest.MaxAsset) + `"}`)},
	} {
		if line, err := manifest.EncodeAsset(a); err == nil {
			t.Errorf("%s: EncodeAsset = %.100s, want an error", name, line)
		}
	}
	if _, err := manifest.EncodeConfig(manifest.Config{Format: 1, Hash: "md5", Repository: "r"}); err == nil {
		t.Error("EncodeConfig took hash md5")
	}
	if _, err := manifest.EncodeHead(manifest.Head{Format: 1, ID: "a/b"}); err == nil {
		t.Error("EncodeHead took id a/b")
	}
	if _, err := manifest.EncodeReceipt(manifest.Receipt{Format: 1}); err == nil {
		t.Error("EncodeReceipt took a receipt without id")
	}
}

func TestTimesAreUTC(t *testing.T) {
	c := sampleConfig()
	c.Created = time.Date(2026, 11, 23, 1, 0, 0, 0, time.FixedZone("", 2*3600))
	data, err := manifest.EncodeConfig(c)
	if err != nil || !strings.Contains(string(data), `"created":"2026-11-22T23:00:00Z"`) {
		t.Errorf("EncodeConfig = %s, %v, want the time in UTC", data, err)
	}
}

func ExampleEncodeAsset() {
	line, err := manifest.EncodeAsset(manifest.Asset{
		ID:        "2019/IMG_1.HEIC",
		Metadata:  json.RawMessage(`{"original_filename": "IMG_1.HEIC", "kind": "photo"}`),
		Resources: []manifest.Resource{{Role: "original", Name: "IMG_1.HEIC", Size: -1, Reason: "unavailable"}},
	})
	fmt.Println(string(line), err)
	// Output: {"id":"2019/IMG_1.HEIC","metadata":{"kind":"photo","original_filename":"IMG_1.HEIC"},"resources":[{"name":"IMG_1.HEIC","reason":"unavailable","role":"original","size":-1}]} <nil>
}
