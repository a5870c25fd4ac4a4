package files

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// place is where a framer stands in the decompressed bytes of a file: after a
// record, ready for the next.
type place struct {
	offset int64 // decompressed bytes consumed
	line   int64 // newlines consumed
	index  int64 // array elements consumed
	mode   mode
	docs   bool // a document has ended before
	done   bool // nothing is left
}

// headBytes is how much of a file's head tells it from another.
const headBytes = 1 << 10

// identity tells whether a file is still the one that a position speaks of.
type identity struct {
	size    int64 // bytes on disk
	headLen int   // bytes hashed: the first KiB, or all of a shorter file
	head    uint64
}

func identify(size int64, head []byte) identity {
	head = head[:min(len(head), headBytes)]
	return identity{size: size, headLen: len(head), head: xxhash.Sum64(head)}
}

const positionVersion = 1

// The bits beside the mode.
const (
	doneBit = 0x80
	docsBit = 0x40
)

// encodePosition encodes a position. Layout: version, mode and bits, then as uvarints offset, line, index, size, headLen, then the head's
// hash, little endian.
func encodePosition(p place, id identity) []byte {
	m := byte(p.mode)
	if p.done {
		m |= doneBit
	}
	if p.docs {
		m |= docsBit
	}
	dst := []byte{positionVersion, m}
	for _, v := range []int64{p.offset, p.line, p.index, id.size, int64(id.headLen)} {
		dst = binary.AppendUvarint(dst, uint64(v))
	}
	return binary.LittleEndian.AppendUint64(dst, id.head)
}

var errPosition = errors.New("the position is damaged")

func parsePosition(b []byte) (place, identity, error) {
	if len(b) < 2 {
		return place{}, identity{}, errPosition
	}
	if b[0] != positionVersion {
		return place{}, identity{}, fmt.Errorf("the position has version %d, this program knows %d", b[0], positionVersion)
	}
	p := place{mode: mode(b[1] &^ (doneBit | docsBit)), docs: b[1]&docsBit != 0, done: b[1]&doneBit != 0}
	var id identity
	var headLen int64
	rest := b[2:]
	for _, v := range []*int64{&p.offset, &p.line, &p.index, &id.size, &headLen} {
		u, n := binary.Uvarint(rest)
		if n <= 0 || int64(u) < 0 {
			return place{}, identity{}, errPosition
		}
		*v = int64(u)
		rest = rest[n:]
	}
	if len(rest) != 8 || headLen > headBytes || p.mode > modeArray {
		return place{}, identity{}, errPosition
	}
	id.headLen = int(headLen)
	id.head = binary.LittleEndian.Uint64(rest)
	return p, id, nil
}

// check answers why a file of the given size and head is not the one that id
// was made from. A file that has grown is the same file.
func (id identity) check(size int64, head []byte) error {
	if size < id.size {
		return fmt.Errorf("the file shrank from %d to %d bytes since it was read", id.size, size)
	}
	if len(head) < id.headLen || xxhash.Sum64(head[:id.headLen]) != id.head {
		return errors.New("the file begins differently than when it was read: it is another one")
	}
	return nil
}
