package kafka

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline"
)

// Buffers above these sizes are left to the collector, so that one large fetch
// does not stay in memory.
const (
	maxPooledBytes   = 8 << 20
	maxPooledRecords = 1 << 14
)

// fetchPool lends the client the memory that records are decompressed and
// decoded into. It comes back when every record of a broker's batch is recycled.
// Safe for concurrent use.
type fetchPool struct{ bytes, records sync.Pool }

var (
	_ kgo.PoolDecompressBytes = (*fetchPool)(nil)
	_ kgo.PoolRecords         = (*fetchPool)(nil)
)

// GetDecompressBytes returns a buffer, perhaps empty: the client grows it.
func (p *fetchPool) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	if b, ok := p.bytes.Get().(*[]byte); ok {
		return *b
	}
	// JSON shrinks to about an eighth; half of that is grown once at most.
	return make([]byte, 0, min(4*len(compressed), maxPooledBytes))
}

// PutDecompressBytes takes a buffer back.
func (p *fetchPool) PutDecompressBytes(b []byte) {
	if cap(b) <= maxPooledBytes {
		p.bytes.Put(&b)
	}
}

// GetRecords returns a slice of capacity n at least.
func (p *fetchPool) GetRecords(n int) []kgo.Record {
	if r, ok := p.records.Get().(*[]kgo.Record); ok && cap(*r) >= n {
		return *r
	}
	return make([]kgo.Record, 0, n)
}

// PutRecords takes a slice back.
func (p *fetchPool) PutRecords(r []kgo.Record) {
	if cap(r) <= maxPooledRecords {
		p.records.Put(&r)
	}
}

// slab is the memory of one batch beside its payloads.
type slab struct {
	records []pipeline.Record
	places  places
	fetched []*kgo.Record // every record, control records too
}

func (s *consumer) borrow(n int) *slab {
	b, ok := s.slabs.Get().(*slab)
	if !ok || cap(b.records) < n {
		b = &slab{
			records: make([]pipeline.Record, 0, n), fetched: make([]*kgo.Record, 0, n),
			places: places{raw: make([]*kgo.Record, 0, n)},
		}
	}
	return b
}

// giveBack ends the life of a batch's payloads and of its slab.
func (s *consumer) giveBack(b *slab) {
	for _, r := range b.fetched {
		r.Recycle()
	}
	clear(b.records)
	clear(b.places.raw)
	clear(b.fetched)
	clear(b.places.owners)
	b.records, b.places.raw, b.fetched, b.places.topics = b.records[:0], b.places.raw[:0], b.fetched[:0], nil
	if cap(b.records) <= maxPooledRecords {
		s.slabs.Put(b)
	}
}
