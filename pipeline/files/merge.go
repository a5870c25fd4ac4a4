package files

import (
	"errors"
	"io"
	"os"
	"slices"

	"github.com/trailtide/trailtide/pipeline"
)

// merge reads the files in the order of their times. It always reads on in the open
// file whose time is least, a chunk at a time, and opens a file before it reads
// past that file's floor. The watermark does not hang on this order: each open file
// holds it, and Unopened holds it for the rest. Reading in order keeps what must
// be remembered small.
type merge struct {
	s        *Source
	next     int // into s.order: the first file that is not opened
	open     []*openFile
	weight   int
	unopened int64 // what Unopened was last told; valid once told
	told     bool
}

// openFile is a file that is being read.
type openFile struct {
	*file
	framer  *framer
	raw     *os.File
	counted *counted
	in      *inflater
	weight  int
	time    int64 // greatest event time seen at a chunk's end, at first the floor
}

func newMerge(s *Source) *merge { return &merge{s: s} }

func (m *merge) run() {
	defer func() {
		for _, f := range m.open {
			m.release(f)
		}
	}()
	for m.next < len(m.s.order) || len(m.open) > 0 {
		b := newBatch(&m.s.batches)
		m.fill(b)
		m.tellUnopened(b)
		m.s.records.Add(int64(len(b.Records)))
		select {
		case m.s.out <- b:
		case <-m.s.stop:
			return
		}
	}
}

// fill puts records into b until it is full, or a stream has no more for now,
// or all is read.
func (m *merge) fill(b *batch) {
	for b.fits() && m.openDue(b) {
		f := m.least()
		if f == nil {
			return
		}
		ended, waits := m.chunk(b, f)
		if ended {
			m.open = slices.DeleteFunc(m.open, func(o *openFile) bool { return o == f })
			m.release(f)
		}
		if waits {
			return
		}
	}
}

// openDue opens every file whose floor the merge is about to pass, as long as
// there is room. A file without room waits; Unopened holds the watermark for it.
// false: b is full.
func (m *merge) openDue(b *batch) bool {
	for m.next < len(m.s.order) {
		f := m.s.order[m.next]
		if len(m.open) > 0 {
			if f.floor > m.least().time || m.weight+f.cost() > m.s.opts.MaxOpen {
				return true
			}
		}
		if !b.fits() {
			return false
		}
		m.next++
		m.openFile(b, f)
	}
	return true
}

func (m *merge) least() *openFile {
	var least *openFile
	for _, f := range m.open {
		if least == nil || f.time < least.time || f.time == least.time && f.path < least.path {
			least = f
		}
	}
	return least
}

// tellUnopened moves the Unopened partition to the least floor among the files
// that b leaves unopened.
func (m *merge) tellUnopened(b *batch) {
	if m.next == len(m.s.order) {
		if m.told {
			b.Closed = append(b.Closed, pipeline.PartitionEnd{Partition: Unopened})
			m.told = false
		}
		return
	}
	// Files lie in order of their floors.
	if floor := m.s.order[m.next].floor; !m.told || floor != m.unopened {
		b.Open = append(b.Open, pipeline.PartitionTime{Partition: Unopened, Time: floor})
		m.told, m.unopened = true, floor
	}
}

func (f *file) cost() int {
	if f.codec == zstded {
		return zstdWeight
	}
	return 1
}

// openFile opens f, or puts the reason why it cannot be into b.
func (m *merge) openFile(b *batch, f *file) {
	b.Open = append(b.Open, pipeline.PartitionTime{Partition: f.path, Time: f.floor})
	o := &openFile{file: f, time: f.floor, weight: f.cost()}
	m.weight += o.weight
	if err := o.openRaw(m.s); err != nil {
		m.release(o)
		m.s.problem(f.path, err.Error())
		m.s.finished.Add(1)
		b.add(f, frame{index: -1, problem: "cannot be read: " + err.Error()})
		b.Closed = append(b.Closed, pipeline.PartitionEnd{Partition: f.path})
		return
	}
	m.open = append(m.open, o)
}

func (o *openFile) openRaw(s *Source) error {
	buf, ok := s.buffers.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
		*buf = make([]byte, readBytes)
	}
	o.framer = newFramer(nil, *buf, s.opts.MaxLine, s.opts.MaxInflated, o.start)
	if o.err != "" {
		return fileError(o.err)
	}
	if o.stream {
		st, err := openStream(s, o.path)
		if err != nil {
			return err
		}
		o.framer.ready = st.ready
		if o.in, err = s.readers.open(st); err != nil {
			return err
		}
		o.framer.src = o.in
		return nil
	}
	raw, err := os.Open(o.path)
	if err != nil {
		return err
	}
	o.raw = raw
	o.counted = &counted{ReadSeeker: raw, total: &s.bytes, stop: s.stop}
	if o.in, err = s.readers.open(o.counted); err != nil {
		return err
	}
	o.framer.src = o.in
	return o.in.skip(o.start.offset)
}

type fileError string

func (e fileError) Error() string { return string(e) }

// chunk reads on in f. ended: f has no more. waits: a stream has no more now,
// and b has something to go on with.
func (m *merge) chunk(b *batch, f *openFile) (ended, waits bool) {
	alone := len(m.open) == 1 && m.next == len(m.s.order)
	records, bytes := len(b.Records), b.bytes
	defer func() {
		if len(b.Records) > records {
			if t, _, ok := findTime(b.Records[len(b.Records)-1].Payload); ok {
				f.time = max(f.time, t)
			}
		}
	}()
	for b.fits() {
		if !alone && (len(b.Records)-records >= chunkRecords || b.bytes-bytes >= chunkBytes) {
			return false, false
		}
		f.framer.patient = len(b.Records) == 0 && len(b.Open) == 0
		fr, err := f.framer.next()
		switch {
		case errors.Is(err, errWait):
			return false, true
		case errors.Is(err, io.EOF):
			m.end(b, f)
			return true, false
		}
		b.add(f.file, fr)
		if fr.fatal {
			m.s.problem(f.path, fr.problem)
			m.end(b, f)
			return true, false
		}
	}
	return false, false
}

func (m *merge) end(b *batch, f *openFile) {
	b.Closed = append(b.Closed, pipeline.PartitionEnd{
		Partition: f.path, Position: encodePosition(f.framer.place, f.id),
	})
	if f.counted != nil { // what was read twice or jumped over
		m.s.bytes.Add(f.id.size - f.counted.own)
	}
	m.s.finished.Add(1)
}

// release gives back what f holds.
func (m *merge) release(f *openFile) {
	m.weight -= f.weight
	if f.in != nil {
		f.in.release()
	}
	if f.raw != nil {
		f.raw.Close() //nolint:errcheck // it was only read
	}
	if buf := f.framer.buf; len(buf) == readBytes {
		m.s.buffers.Put(&buf)
	}
}
