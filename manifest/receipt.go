package manifest

import (
	"errors"
	"fmt"
	"time"
)

// Receipt is what a backup or a verify proved, and what it found damaged.
type Receipt struct {
	Format     int       `json:"format"`
	ID         string    `json:"id"`
	Kind       string    `json:"kind"` // "backup" or "verify"
	Repository string    `json:"repository"`
	Library    string    `json:"library,omitempty"` // id; none for a verify of all
	Run        string    `json:"run"`
	Snapshot   string    `json:"snapshot,omitempty"` // id of the head, if one
	Host       Host      `json:"host"`
	Started    time.Time `json:"started"`
	Finished   time.Time `json:"finished"`

	Totals  Totals `json:"totals"`           // of the snapshot, or of what was verified
	Objects int64  `json:"objects"`          // written by a backup, read by a verify
	Bytes   int64  `json:"bytes"`            // of those
	PeakRSS int64  `json:"peak_rss"`         // bytes
	Failed  int64  `json:"failed,omitempty"` // assets that an error kept from being stored

	Damaged []Damage `json:"damaged,omitempty"`

	Extra Extra `json:"-"`
}

// Damage is an object that is not what its key says. The next backup that
// has its source puts it right.
type Damage struct {
	Key     string `json:"key"`
	Missing bool   `json:"missing,omitempty"`
	ETag    string `json:"etag,omitempty"` // of the damaged bytes, so that only they are replaced
	Why     string `json:"why,omitempty"`

	Extra Extra `json:"-"`
}

// EncodeReceipt returns canonical JSON and a newline, and sees to Format.
func EncodeReceipt(r Receipt) ([]byte, error) {
	r.Format, r.Started, r.Finished = Format, r.Started.UTC(), r.Finished.UTC()
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encode receipt: %w", err)
	}
	return encodeObject("receipt", MaxReceipt, r)
}

// DecodeReceipt fails with *TooNewError or *DamagedError.
func DecodeReceipt(data []byte) (Receipt, error) {
	var r Receipt
	if err := decodeObject("receipt", MaxReceipt, data, &r); err != nil {
		return Receipt{}, err
	}
	if err := r.check(); err != nil {
		return Receipt{}, &DamagedError{"receipt", err}
	}
	return r, nil
}

func (r *Receipt) check() error {
	if r.ID == "" || r.Kind == "" {
		return errors.New("no id or no kind")
	}
	return checkTimes(r.Started, r.Finished)
}
