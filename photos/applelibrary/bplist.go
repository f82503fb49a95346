package applelibrary

import (
	"encoding/binary"
	"errors"
	"unicode/utf16"
)

// bplist is a binary property list of which only what is asked for is
// decoded. A general decoder makes a value of every object first; foreign
// bytes in which thousands of objects share one long text, or refer to each
// other, can make that any amount of memory. Here an answer costs no more than
// the list has bytes, and one picture's place in some microseconds.
//
// Format: CoreFoundation's CFBinaryPList.c.
type bplist struct {
	data        []byte // objects and offset table
	table       []byte // of offsets
	offsetBytes int
	refBytes    int
	root        object
}

// object is an object of a list, by its number.
type object uint64

// null is in no list: asked for anything, it has nothing.
const null = ^object(0)

var (
	errNoBplist  = errors.New("not a binary property list")
	errNoArchive = errors.New("not a keyed archive")
)

func parseBplist(data []byte) (*bplist, error) {
	const head, trailer = 8, 32
	if len(data) < head+trailer || string(data[:7]) != "bplist0" {
		return nil, errNoBplist
	}
	end := data[len(data)-trailer:]
	p := &bplist{data: data[:len(data)-trailer], offsetBytes: int(end[6]), refBytes: int(end[7])}
	count, start := binary.BigEndian.Uint64(end[8:]), binary.BigEndian.Uint64(end[24:])
	if p.offsetBytes < 1 || p.offsetBytes > 8 || p.refBytes < 1 || p.refBytes > 8 || start > uint64(len(p.data)) {
		return nil, errNoBplist
	}
	p.table = p.data[start:]
	if p.root = object(binary.BigEndian.Uint64(end[16:])); count > uint64(len(p.table)/p.offsetBytes) || uint64(p.root) >= count {
		return nil, errNoBplist
	}
	p.table = p.table[:count*uint64(p.offsetBytes)]
	return p, nil
}

// Kinds of objects: the upper half of their first byte.
const (
	markSimple  = 0x0
	markInteger = 0x1
	markASCII   = 0x5
	markUTF16   = 0x6
	markUID     = 0x8
	markArray   = 0xA
	markDict    = 0xD
)

// read returns an object's kind, the lower half of its first byte, and what
// follows. ok is false for an object that is not in the list.
func (p *bplist) read(o object) (kind, low byte, rest []byte, ok bool) {
	if uint64(o) >= uint64(len(p.table)/p.offsetBytes) {
		return 0, 0, nil, false
	}
	at := bigEndian(p.table[int(o)*p.offsetBytes:][:p.offsetBytes])
	if at >= uint64(len(p.data)) {
		return 0, 0, nil, false
	}
	mark := p.data[at]
	return mark >> 4, mark & 0xF, p.data[at+1:], true
}

// counted cuts rest, of an object of n things of size bytes each. The number
// is in low, or an integer of its own.
func counted(low byte, rest []byte, size int) (n int, things []byte, ok bool) {
	count := uint64(low)
	if low == 0xF {
		if len(rest) == 0 || rest[0]>>4 != markInteger || rest[0]&0xF > 3 {
			return 0, nil, false
		}
		width := 1 << (rest[0] & 0xF)
		if len(rest) < 1+width {
			return 0, nil, false
		}
		count, rest = bigEndian(rest[1:1+width]), rest[1+width:]
	}
	if count > uint64(len(rest)/size) {
		return 0, nil, false
	}
	return int(count), rest[:int(count)*size], true
}

// text is the object as a text, "" if it is none.
func (p *bplist) text(o object) string {
	kind, low, rest, ok := p.read(o)
	switch {
	case !ok:
	case kind == markASCII:
		if _, s, ok := counted(low, rest, 1); ok {
			return valid(string(s))
		}
	case kind == markUTF16:
		if n, s, ok := counted(low, rest, 2); ok {
			units := make([]uint16, n)
			for i := range units {
				units[i] = binary.BigEndian.Uint16(s[2*i:])
			}
			return string(utf16.Decode(units))
		}
	}
	return ""
}

// number is the object as a whole number or a truth.
func (p *bplist) number(o object) (uint64, bool) {
	kind, low, rest, ok := p.read(o)
	switch {
	case !ok:
	case kind == markSimple && low&^1 == 8: // 8 false, 9 true
		return uint64(low & 1), true
	case kind == markInteger && low <= 3 && len(rest) >= 1<<low:
		return bigEndian(rest[:1<<low]), true
	}
	return 0, false
}

// first is the first object in an array, or null.
func (p *bplist) first(o object) object {
	kind, low, rest, ok := p.read(o)
	if !ok || kind != markArray {
		return null
	}
	if n, refs, ok := counted(low, rest, p.refBytes); ok && n > 0 {
		return p.ref(refs, 0)
	}
	return null
}

// value is what a dictionary has under key, or null.
func (p *bplist) value(o object, key string) object {
	kind, low, rest, ok := p.read(o)
	if !ok || kind != markDict {
		return null
	}
	n, refs, ok := counted(low, rest, 2*p.refBytes)
	if !ok {
		return null
	}
	for i := range n {
		kind, low, rest, ok := p.read(p.ref(refs, i))
		if !ok || kind != markASCII {
			continue
		}
		if _, s, ok := counted(low, rest, 1); ok && string(s) == key {
			return p.ref(refs, n+i)
		}
	}
	return null
}

func (p *bplist) ref(refs []byte, i int) object {
	return object(bigEndian(refs[i*p.refBytes:][:p.refBytes]))
}

func bigEndian(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// archive is what NSKeyedArchiver wrote: a list of objects that refer to each
// other by their index.
type archive struct {
	*bplist
	objects []byte // references
	top     object
}

func parseArchive(data []byte) (*archive, error) {
	p, err := parseBplist(data)
	if err != nil {
		return nil, err
	}
	kind, low, rest, ok := p.read(p.value(p.root, "$objects"))
	if !ok || kind != markArray {
		return nil, errNoArchive
	}
	a := &archive{bplist: p, top: p.value(p.root, "$top")}
	if _, a.objects, ok = counted(low, rest, p.refBytes); !ok {
		return nil, errNoArchive
	}
	return a, nil
}

// follow goes from an object to the one that a key of it refers to, or to
// null.
func (a *archive) follow(o object, key string) object {
	return a.target(a.value(o, key))
}

// target is the object that a reference refers to.
func (a *archive) target(ref object) object {
	kind, low, rest, ok := a.read(ref)
	if !ok || kind != markUID || low > 7 || len(rest) < int(low)+1 {
		return null
	}
	i := bigEndian(rest[:low+1])
	if i == 0 || i >= uint64(len(a.objects)/a.refBytes) { // 0 is the archive's $null
		return null
	}
	return a.ref(a.objects, int(i))
}
