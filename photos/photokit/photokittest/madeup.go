package photokittest

import (
	"encoding/binary"
	"fmt"
	"io"

	"lightfast/photos"
)

// Film is the nth film, from 0, among assets that the mock makes up
// (MOCK_ASSETS=50*(n+1) or more, MOCK_FILM_MB=size>>20, no MOCK_SEED), and what
// it holds.
func Film(n int, size int64) (photos.AssetID, photos.Resource, io.Reader) {
	const kind = 2 // PHAssetResourceTypeVideo
	k := 50*n + 49
	id := photos.AssetID(fmt.Sprintf("%08X-0000-4000-8000-%012X", k, k))
	r := photos.Resource{Role: photos.RoleOriginal, Name: fmt.Sprintf("IMG_%04d.MOV", k), Size: size, Reason: photos.ICloudOnly}
	return id, r, io.LimitReader(&words{next: mix(mix(1) + 100*uint64(k) + kind)}, size)
}

// words is the content that mock/Photos.m makes up.
type words struct{ next uint64 }

// Read gives whole words, as long as it is asked for at least one.
func (w *words) Read(b []byte) (n int, err error) {
	for ; n+8 <= len(b); n += 8 {
		binary.LittleEndian.PutUint64(b[n:], mix(w.next))
		w.next++
	}
	if n == 0 && len(b) > 0 {
		return 0, io.ErrShortBuffer
	}
	return n, nil
}

func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
