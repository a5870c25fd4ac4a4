package repartition

import (
	"encoding/binary"
	"math"
)

// Marker tells how far a worker has brought its source partitions: all their
// matches up to the times are before it in the repartition partition.
type Marker struct {
	Writer  string // the worker, for people
	Written int64  // wall clock, Unix nanoseconds
	Parts   []Part
	// Exists are all the source partitions that there are, whoever reads them:
	// each holds the watermark until it was told of. nil: nothing is said.
	Exists []string
	Closed []string // finished or gone: they hold nothing back
}

// Part is how one source partition stands. Times are Unix nanoseconds.
type Part struct {
	Name    string
	Reached int64 // greatest event time so far; NoTime: none yet
	Idle    int64 // wall clock time at which its reader stood at its end for idle_after; 0: it did not
	Live    bool  // read to its end a moment ago
}

// AppendMarker appends the marker's record.
func AppendMarker(dst []byte, m *Marker) []byte {
	dst = header(dst, kindMarker)
	dst = appendString(dst, m.Writer)
	dst = binary.AppendVarint(dst, m.Written)
	dst = binary.AppendUvarint(dst, uint64(len(m.Parts)))
	for i := range m.Parts {
		p := &m.Parts[i]
		dst = appendString(dst, p.Name)
		dst = binary.AppendVarint(dst, p.Reached)
		dst = binary.AppendVarint(dst, p.Idle)
		dst = appendFlags(dst, p.Live)
	}
	for _, names := range [][]string{m.Exists, m.Closed} {
		dst = binary.AppendUvarint(dst, uint64(len(names)))
		for _, name := range names {
			dst = appendString(dst, name)
		}
	}
	return dst
}

func (r *reader) marker() *Marker {
	m := &Marker{Writer: r.string(), Written: r.varint()}
	if n := r.count(4); n > 0 {
		m.Parts = make([]Part, n)
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		p.Name, p.Reached, p.Idle = r.string(), r.varint(), r.varint()
		r.flags(&p.Live)
	}
	for _, names := range []*[]string{&m.Exists, &m.Closed} {
		for range r.count(1) {
			*names = append(*names, r.string())
		}
	}
	if r.err != nil {
		return nil
	}
	return m
}

// NoTime is the time of a partition of which none is known.
const NoTime = math.MinInt64
