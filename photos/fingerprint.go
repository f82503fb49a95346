package photos

import (
	"crypto/sha1"
	"encoding/base64"
	"hash"
)

// Fingerprint computes Apple's fingerprint of the bytes written to it, as in
// Resource.Fingerprint: it tells whether a file is the one that the library
// took in. It is a salted SHA-1, so an identity check, never a proof against
// intent. Verified against 646 files of real libraries.
type Fingerprint struct{ h hash.Hash }

// NewFingerprint returns the fingerprint of nothing yet.
func NewFingerprint() *Fingerprint {
	f := &Fingerprint{h: sha1.New()}
	f.h.Write([]byte("com.apple.XattrObjectSalt\x00com.apple.DataObjectSalt\x00"))
	return f
}

// Write never fails.
func (f *Fingerprint) Write(p []byte) (int, error) { return f.h.Write(p) }

// String returns the fingerprint of what was written so far, 28 characters.
func (f *Fingerprint) String() string {
	return base64.StdEncoding.EncodeToString(f.h.Sum([]byte{1}))
}
