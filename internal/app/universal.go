package main

import (
	"bytes"
	"debug/macho"
	"encoding/binary"
	"fmt"
	"os"
)

// page is what the parts of a universal program begin at: a page of arm64.
const page = 1 << 14

// universal joins programs for one kind of Mac each into one file for all, as
// lipo does, which only a Mac has. One alone stays as it is.
func universal(files []string) ([]byte, error) {
	var parts [][]byte
	header := binary.BigEndian.AppendUint32(nil, macho.MagicFat)
	header = binary.BigEndian.AppendUint32(header, uint32(len(files)))
	at := uint32(page)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		m, err := macho.NewFile(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("%s is no program for a Mac: %w", file, err)
		}
		for _, field := range []uint32{uint32(m.Cpu), m.SubCpu, at, uint32(len(b)), 14} { // 2 to the 14th is page
			header = binary.BigEndian.AppendUint32(header, field)
		}
		parts = append(parts, b)
		at += (uint32(len(b)) + page - 1) / page * page
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	out := append(header, make([]byte, page-len(header))...)
	for i, p := range parts {
		out = append(out, p...)
		if i < len(parts)-1 {
			out = append(out, make([]byte, (page-len(p)%page)%page)...)
		}
	}
	return out, nil
}
