package photos_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"lightfast/photos"
)

// TestFingerprintIsApples computes it for files whose fingerprint Photos wrote
// into the library beside them.
func TestFingerprintIsApples(t *testing.T) {
	library := filepath.Join("..", "..", "shared", "libraries", "Test-Cloud-10.15.6.photoslibrary")
	if _, err := os.Stat(library); err != nil {
		t.Skip("no real libraries here: ", err)
	}
	for path, want := range map[string]string{
		"originals/5/51F2BEF7-431A-4D31-8AC1-3284A57826AE.jpeg":                 "AassrAHEfFwrix1d31zw6cwttTSg",
		"originals/5/51F2BEF7-431A-4D31-8AC1-3284A57826AE_3.mov":                "AUcryL0KkqxSfbYsVue4nbvmLrGh",
		"originals/4/4614086E-C797-4876-B3B9-3057E8D757C9.mov":                  "AbaM7GEdJZGS7scRM+q3SU9l5mXp",
		"resources/renders/5/51F2BEF7-431A-4D31-8AC1-3284A57826AE_1_201_a.jpeg": "AeVvPvsRexU3Xd7RusYskvoU4bQM",
		"resources/renders/5/51F2BEF7-431A-4D31-8AC1-3284A57826AE_2_100_a.mov":  "AZga2URYNLgR/oVp7YSOnIVpdOhF",
	} {
		f, err := os.Open(filepath.Join(library, filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got := photos.NewFingerprint()
		if _, err := io.Copy(got, f); err != nil {
			t.Fatal(err)
		}
		if got.String() != want {
			t.Errorf("fingerprint of %s = %s, want %s", path, got, want)
		}
		if again := got.String(); again != want {
			t.Errorf("asked again it is %s", again)
		}
	}
}
