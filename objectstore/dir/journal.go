package dir

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"time"
)

// journalSuffix follows the name of an upload's data: one JSON line that says
// what is being uploaded, then one for each part after its bytes.
const journalSuffix = ".parts"

// header is the first line of a journal.
type header struct {
	Name     string    `json:"name"` // final name, in the same directory
	Size     int64     `json:"size"`
	PartSize int64     `json:"part_size"`
	Began    time.Time `json:"began"`
}

// record is any further line. The last one of a number counts.
type record struct {
	Number int    `json:"n"`
	CRC64  uint64 `json:"crc64"`
}

var errNoJournal = errors.New("no journal")

// readJournal returns what the journal says, which nobody has to believe: the
// bytes are compared with it. A torn line is passed over.
func readJournal(r io.Reader) (header, map[int]uint64, error) {
	var h header
	parts := map[int]uint64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var p record
		switch {
		case h.Name == "":
			if len(lines.Bytes()) > 0 && (json.Unmarshal(lines.Bytes(), &h) != nil || h.Name == "" || h.PartSize <= 0) {
				return header{}, nil, errNoJournal
			}
		case json.Unmarshal(lines.Bytes(), &p) == nil && p.Number > 0:
			parts[p.Number] = p.CRC64
		}
	}
	if h.Name == "" {
		return header{}, nil, errors.Join(errNoJournal, lines.Err())
	}
	return h, parts, lines.Err()
}

// appendLine adds v with one write, so that the lines of several writers never
// mix, and ends whatever line was torn before.
func appendLine(f *os.File, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = f.Write(slices.Concat([]byte("\n"), b, []byte("\n")))
	return err
}
