package files

import (
	"strconv"
	"sync"

	"github.com/trailtide/trailtide/pipeline"
)

// batch is a pipeline.Batch with the memory that it lends. It is reused after
// its Release.
type batch struct {
	pipeline.Batch
	places  []recordPlace
	buf     []byte // payloads; its capacity is fixed, so that they stay where they are
	bytes   int    // payload bytes, those outside of buf too
	release func()
}

type recordPlace struct {
	file  *file
	after place
	line  int64
}

func newBatch(pool *sync.Pool) *batch {
	b, ok := pool.Get().(*batch)
	if !ok {
		b = &batch{
			places: make([]recordPlace, 0, batchRecords),
			buf:    make([]byte, 0, batchBytes+ownBytes),
		}
		b.Records = make([]pipeline.Record, 0, batchRecords)
		b.release = func() {
			clear(b.Records)
			clear(b.places)
			b.Batch = pipeline.Batch{Records: b.Records[:0], Open: b.Open[:0]}
			b.places, b.buf, b.bytes = b.places[:0], b.buf[:0], 0
			pool.Put(b)
		}
	}
	b.Places, b.Release, b.Live = b, b.release, true
	return b
}

// fits says whether the batch takes another record.
func (b *batch) fits() bool {
	return len(b.Records) < batchRecords && b.bytes < batchBytes
}

func (b *batch) add(f *file, fr frame) {
	payload := fr.payload
	if !fr.owned && len(payload) > 0 {
		// fits and the framer's ownBytes leave room for it.
		at := len(b.buf)
		b.buf = append(b.buf, payload...)
		payload = b.buf[at:len(b.buf):len(b.buf)]
	}
	b.bytes += len(payload)
	b.Records = append(b.Records, pipeline.Record{
		Partition: f.path, Payload: payload, Index: fr.index, Problem: fr.problem,
	})
	b.places = append(b.places, recordPlace{file: f, after: fr.after, line: fr.line})
}

// Position implements pipeline.Places.
func (b *batch) Position(i int) []byte {
	p := &b.places[i]
	if p.after == (place{}) { // the file could not be opened: the next run tries again
		return nil
	}
	return encodePosition(p.after, p.file.id)
}

// Label implements pipeline.Places.
func (b *batch) Label(i int) string {
	p := &b.places[i]
	if p.line == 0 {
		return p.file.path
	}
	return p.file.path + ":" + strconv.FormatInt(p.line, 10)
}
