// Package manifest is the repository format, number 1: what the objects of a
// repository are called and what is in them. docs/format.md describes it for
// strangers; golden files in testdata pin the bytes.
//
// It is made of pure functions on bytes. What it promises:
//
//   - The same values encode to the same bytes, in any process, for ever:
//     canonical JSON (see [EncodeAsset]), so that a page that did not change
//     has the name that it had.
//   - Fields that this version does not know survive decoding and encoding.
//     A higher format number is refused with *TooNewError.
//   - Decoders take anything, use bounded memory and answer with values or
//     with *DamagedError. Nothing of a page is yielded before all of it has
//     been compared with its hash.
//   - Nothing from outside becomes part of a key unchecked.
//
// Which resources are stored, and where bytes go, is decided elsewhere.
package manifest

import "fmt"

// Format is the number of the format that this package writes, and the
// highest that it reads.
const Format = 1

// The largest objects that are read or written. A head of 64 MiB names some
// 400,000 pages, 200 million assets.
const (
	MaxConfig  = 1 << 20
	MaxHead    = 64 << 20
	MaxReceipt = 64 << 20
	MaxPage    = 32 << 20 // uncompressed: 4 MiB and a last line of MaxAsset fit
	MaxAsset   = 16 << 20 // one line
)

// DamagedError means that bytes are not what the format says, for good: to
// read them again will not help, another copy of them might.
type DamagedError struct {
	What string // "head", "page 12ab…", …
	Err  error  // why
}

func (e *DamagedError) Error() string { return "damaged " + e.What + ": " + e.Err.Error() }
func (e *DamagedError) Unwrap() error { return e.Err }

// TooNewError means that a newer Lightfast wrote this.
type TooNewError struct {
	What   string
	Format int
}

func (e *TooNewError) Error() string {
	return fmt.Sprintf("%s has format %d, this version of lightfast reads up to %d", e.What, e.Format, Format)
}
