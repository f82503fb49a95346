// Package photos says what a photo library is to Lightfast: a [Source] that
// can be scanned for assets and read resource by resource.
//
// A source never writes to the library, reads no faster than its reader is
// read, and explains every resource that its library expects: present, or
// absent with exactly one [Reason]. The package knows nothing of where bytes
// go. Drivers live in the folders below; photostest.Run proves a driver.
package photos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Source is one library. Methods may be called from many goroutines and
// return soon after ctx ends.
type Source interface {
	// Identity reads who the library is. It fails with *SourceError where the
	// library is missing, unreadable or not understood.
	Identity(ctx context.Context) (Identity, error)

	// Scan yields every asset of one consistent view of the library, each id
	// once, in no particular order, and ends at the first error. It holds a
	// bounded number of assets in memory. Orphans (files of the library that
	// no asset explains) come as assets with Orphan set.
	Scan(ctx context.Context) iter.Seq2[Asset, error]

	// Open returns a reader of a present resource as the last scan described
	// it. It fails with fs.ErrNotExist where the file has gone since.
	Open(ctx context.Context, r Resource) (Reader, error)

	// Warnings returns what the last finished scan could not understand or
	// left out, one line for a person each. It may be empty.
	Warnings() []string

	Close() error
}

// Reader pulls the bytes of one resource. Read and ReadAt report a file that
// is not what it was at Open (size, time of change, or another file under its
// name) as ErrChanged at the latest when the end is reached; Unchanged asks
// at any moment. Close releases everything.
type Reader interface {
	io.Reader
	io.ReaderAt
	io.Closer
	// Size is the length in bytes at Open.
	Size() int64
	// Unchanged returns ErrChanged if the file is not what it was at Open.
	Unchanged() error
}

// ErrChanged means that a file changed while it was being read: what was read
// is no content that the library ever had.
var ErrChanged = errors.New("file changed while it was read")

// Identity names a library for good. ID comes from the library itself, not
// from its path, so that a moved library goes on as it was.
type Identity struct {
	ID      string `json:"id"`      // e.g. a database UUID
	Kind    string `json:"kind"`    // "folder" or "photos"
	Version string `json:"version"` // of the library's format, for people
	Name    string `json:"name"`    // for people
}

// AssetID is stable while the asset is in its library: the UUID in a Photos
// library, the slash-separated path in a folder.
type AssetID string

// Asset is one photo or video as its library shows it, or an orphan.
type Asset struct {
	ID     AssetID `json:"id"`
	Orphan bool    `json:"orphan,omitempty"`

	// Added orders assets in pages: Unix milliseconds, 0 for none or absurd.
	Added int64 `json:"added,omitempty"`

	Metadata  Metadata   `json:"metadata"`
	Resources []Resource `json:"resources"`

	// MediaToken changes when bytes to store may have changed. The absence of
	// a local file is no part of it, nor its time (see Resource.Token).
	MediaToken string `json:"media_token"`
}

// Metadata is what a restore would want beside the bytes. Text is kept as the
// library has it (no Unicode normalisation). The zero value of a field means
// that the library says nothing.
type Metadata struct {
	UUID             string      `json:"uuid,omitempty"`
	OriginalFilename string      `json:"original_filename"`
	NameRaw          []byte      `json:"name_raw,omitempty"` // of a name that is no UTF-8
	Kind             Kind        `json:"kind"`
	Date             string      `json:"date,omitempty"`     // RFC 3339 with the offset of the place, when taken
	DateRaw          *float64    `json:"date_raw,omitempty"` // Apple's number where Date cannot say it
	TZOffset         *int        `json:"tz_offset_s,omitempty"`
	TZName           string      `json:"tz_name,omitempty"`
	Added            string      `json:"added,omitempty"`    // to the library: RFC 3339, UTC
	Modified         string      `json:"modified,omitempty"` // RFC 3339, UTC
	Trashed          bool        `json:"trashed,omitempty"`
	Hidden           bool        `json:"hidden,omitempty"`
	Favorite         bool        `json:"favorite,omitempty"`
	Shared           bool        `json:"shared,omitempty"`
	Burst            *Burst      `json:"burst,omitempty"`
	Title            string      `json:"title,omitempty"`
	Description      string      `json:"description,omitempty"`
	Keywords         []string    `json:"keywords,omitempty"`    // sorted
	Albums           []string    `json:"albums,omitempty"`      // "Folder/Album", sorted
	AlbumItems       []AlbumItem `json:"album_items,omitempty"` // the same albums by their identity, sorted by it
	Persons          []string    `json:"persons,omitempty"`     // sorted; unnamed faces left out
	Faces            []Face      `json:"faces,omitempty"`       // where people are, the unnamed too; from left to right
	Place            *Place      `json:"place,omitempty"`
	Types            []string    `json:"types,omitempty"` // "live", "panorama", "screenshot", …, sorted
	Width            int         `json:"width,omitempty"`
	Height           int         `json:"height,omitempty"`
	Orientation      int         `json:"orientation,omitempty"` // Exif's, of the original's pixels; Width, Height and Faces are as shown
	Edited           bool        `json:"edited,omitempty"`
	EditFormat       string      `json:"edit_format,omitempty"` // adjustment format identifier
	EditData         []byte      `json:"edit_data,omitempty"`   // recipe of the edit, where the library has it in no file
	Duration         float64     `json:"duration_s,omitempty"`
	Camera           *Camera     `json:"camera,omitempty"`
}

// AlbumItem is the place of an asset in one album: titles are no identity,
// two albums may share one.
type AlbumItem struct {
	UUID  string `json:"uuid"`
	Path  string `json:"path"`            // "Folder/Album"
	Order int64  `json:"order,omitempty"` // sorts the assets of the album
}

// Face is the centre and the extent of a face, as fractions of the picture
// from its top left corner, as it is shown.
type Face struct {
	Name string  `json:"name,omitempty"`
	X    float64 `json:"x"`
	Y    float64 `json:"y"`
	W    float64 `json:"w"`
	H    float64 `json:"h"`
}

// Camera is what a library has noted of how a picture was taken.
type Camera struct {
	Make        string  `json:"make,omitempty"`
	Model       string  `json:"model,omitempty"`
	Lens        string  `json:"lens,omitempty"`
	ISO         int     `json:"iso,omitempty"`
	Aperture    float64 `json:"aperture,omitempty"`        // f-number
	Exposure    float64 `json:"exposure_s,omitempty"`      // seconds
	FocalLength float64 `json:"focal_length_mm,omitempty"` // of the lens as it is
}

// Burst says which frame of a burst an asset is.
type Burst struct {
	UUID     string `json:"uuid"`
	Key      bool   `json:"key"`
	Selected bool   `json:"selected"`
}

// Place is where an asset was taken. Name fields are "" where unknown.
type Place struct {
	Latitude    float64 `json:"latitude"`
	Longitude   float64 `json:"longitude"`
	Name        string  `json:"name,omitempty"`    // of the smallest place known there
	Address     string  `json:"address,omitempty"` // in one line, as the library shows it
	Street      string  `json:"street,omitempty"`
	District    string  `json:"district,omitempty"`
	City        string  `json:"city,omitempty"`
	County      string  `json:"county,omitempty"`
	State       string  `json:"state,omitempty"`
	PostalCode  string  `json:"postal_code,omitempty"`
	Country     string  `json:"country,omitempty"`
	CountryCode string  `json:"country_code,omitempty"`
}

// Kind of an asset.
type Kind string

const (
	Photo Kind = "photo"
	Video Kind = "video"
	Other Kind = "other"
)

// Role is what a resource is to its asset. A role may occur more than once in
// an asset.
type Role string

const (
	RoleOriginal   Role = "original"
	RoleRAW        Role = "raw"
	RoleLive       Role = "live"        // paired video of a Live Photo
	RoleEdited     Role = "edited"      // the picture or film as edited
	RoleEditedLive Role = "edited_live" // paired video as edited
	RolePoster     Role = "poster"      // still of an edited or shared movie
	RolePrevious   Role = "previous"    // earlier render
	RoleAdjustment Role = "adjustment"  // recipe of an edit
	RoleSidecar    Role = "sidecar"     // AAE, XMP
	RolePreview    Role = "preview"     // the largest, only where the original is absent
	RoleLibrary    Role = "library"     // a file of the bundle
	RoleOther      Role = "other"       // unknown kinds, kept as they are
)

// Reason says why a resource is absent.
type Reason string

const (
	ICloudOnly          Reason = "icloud_only" // the only one that PhotoKit can mend
	ReferencedOutside   Reason = "referenced_outside"
	Lost                Reason = "lost" // the library believes that it is there
	IncompleteImport    Reason = "incomplete_import"
	SharedNotDownloaded Reason = "shared_not_downloaded"
	RenderNeverMade     Reason = "render_never_made" // nothing is lost but a picture that Photos can make again
	Unavailable         Reason = "unavailable"
)

// Hole reports whether an absence for this reason makes a backup incomplete.
func (r Reason) Hole() bool { return r != "" && r != RenderNeverMade && r != SharedNotDownloaded }

// Warning about a resource that is present all the same. A resource that a
// backup kept from an earlier snapshot has its Reason as warning.
type Warning string

const (
	SizeMismatch        Warning = "size_mismatch"
	FingerprintMismatch Warning = "fingerprint_mismatch"
)

// Resource is one file of an asset: present (Reason is "") or absent.
type Resource struct {
	Role Role `json:"role"`

	// Name is what a person would call the file: the original file name with
	// the extension of this resource.
	Name    string `json:"name"`
	NameRaw []byte `json:"name_raw,omitempty"` // of a name that is no UTF-8

	// Path is slash-separated, inside the bundle or folder, or
	// "referenced/<volume>/<path>" for a file that a library only refers to.
	// It is also known for absent files where the library says it.
	Path    string `json:"path,omitempty"`
	PathRaw []byte `json:"path_raw,omitempty"` // of a path that is no UTF-8

	UTI string `json:"uti,omitempty"`

	// Size in bytes: of the file if present, else what the library says, -1
	// if it says nothing.
	Size int64 `json:"size"`

	// Fingerprint is Apple's salted SHA-1 as the library has it, or "".
	Fingerprint string `json:"fingerprint,omitempty"`

	// ModTime of the file in Unix nanoseconds, 0 if absent.
	ModTime int64 `json:"mtime,omitempty"`

	Reason  Reason  `json:"reason,omitempty"`
	Warning Warning `json:"warning,omitempty"`
}

// Present reports whether the resource can be opened.
func (r Resource) Present() bool { return r.Reason == "" }

// Token changes when a present file was written again (or touched). It is ""
// for an absent one, so that an eviction changes no token.
func (r Resource) Token() string {
	if !r.Present() {
		return ""
	}
	return fmt.Sprintf("%d:%d", r.Size, r.ModTime)
}

// SourceError says why a library cannot be backed up: it is missing, not
// readable, not permitted, or not understood.
type SourceError struct {
	Path string
	Why  string // one line, no full stop: "not a Photos library: no database folder"
	Do   string // what the user can do, or ""
	Err  error  // cause, for the log; may be nil
}

func (e *SourceError) Error() string {
	s := e.Path + ": " + e.Why
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *SourceError) Unwrap() error { return e.Err }
