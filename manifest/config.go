package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Config is lightfast.json: that a bucket or folder is a repository, and of
// which kind. It is written once.
type Config struct {
	Format     int       `json:"format"`
	Repository string    `json:"repository"` // a UUID
	Hash       string    `json:"hash"`       // SHA256
	Created    time.Time `json:"created"`

	// Encryption says how the other objects are encrypted. A program that
	// cannot do that must refuse the repository.
	Encryption json.RawMessage `json:"encryption,omitempty"`

	Extra Extra `json:"-"`
}

// SHA256 is the Hash of every repository of format 1.
const SHA256 = "sha256"

// EncodeConfig returns canonical JSON and a newline, and sees to Format.
func EncodeConfig(c Config) ([]byte, error) {
	c.Format, c.Created = Format, c.Created.UTC()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("encode config: %w", err)
	}
	return encodeObject("config", MaxConfig, c)
}

// DecodeConfig fails with *TooNewError or *DamagedError.
func DecodeConfig(data []byte) (Config, error) {
	var c Config
	if err := decodeObject(ConfigKey, MaxConfig, data, &c); err != nil {
		return Config{}, err
	}
	if err := c.check(); err != nil {
		return Config{}, &DamagedError{ConfigKey, err}
	}
	return c, nil
}

func (c *Config) check() error {
	switch {
	case c.Repository == "":
		return errors.New("no repository id")
	case c.Hash != SHA256:
		return fmt.Errorf("hash %q is unknown", c.Hash)
	}
	return checkTimes(c.Created)
}

// checkTimes refuses a year that has another number of digits in UTC, which
// could be read but not written again.
func checkTimes(times ...time.Time) error {
	for _, t := range times {
		if y := t.UTC().Year(); y < 0 || y > 9999 {
			return fmt.Errorf("time is in the year %d", y)
		}
	}
	return nil
}

func encodeObject(what string, limit int, v any) ([]byte, error) {
	data, err := encode(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	if len(data) >= limit {
		return nil, fmt.Errorf("encode %s: %d bytes are more than %d", what, len(data), limit)
	}
	return append(data, '\n'), nil
}

// decodeObject looks at the format number first: in a newer format any field
// may be of another type.
func decodeObject(what string, limit int, data []byte, v any) error {
	if len(data) > limit {
		return &DamagedError{what, fmt.Errorf("%d bytes are more than %d", len(data), limit)}
	}
	var f struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return &DamagedError{what, err}
	}
	switch {
	case f.Format > Format:
		return &TooNewError{what, f.Format}
	case f.Format < 1:
		return &DamagedError{what, fmt.Errorf("format %d", f.Format)}
	}
	if err := decode(data, v); err != nil {
		return &DamagedError{what, err}
	}
	return nil
}
