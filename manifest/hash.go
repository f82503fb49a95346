package manifest

import (
	"encoding/hex"
	"fmt"
)

// Hash is a SHA-256. Its text is 64 lower-case hexadecimal digits.
type Hash [32]byte

// ParseHash is the inverse of String; it takes no other spelling.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) {
		return Hash{}, fmt.Errorf("hash has %d characters, not %d", len(s), 2*len(h))
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Hash{}, fmt.Errorf("hash has a character %q", c)
		}
	}
	_, err := hex.Decode(h[:], []byte(s))
	return h, err
}

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h was never set; nothing has this hash.
func (h Hash) IsZero() bool { return h == Hash{} }

func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

func (h *Hash) UnmarshalText(text []byte) (err error) {
	*h, err = ParseHash(string(text))
	return err
}
