package window

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Watermark follows how far event time is known to be complete: the least time
// over the open partitions, less the lateness. A partition's time is the
// greatest it was given, whether an event's or, idle at its end, the wall's. It
// belongs to one goroutine and knows intervals as Store does. All times are
// Unix nanoseconds.
type Watermark struct {
	lateness time.Duration
	parts    map[string]*part // those loaded and not opened yet too
	heap     []*part          // the open ones, the least time first
	last     *part            // the one of the last Observe: most come in runs
	value    int64
	top      int64 // greatest time of a partition that was closed
	ended    bool  // the last open partition was closed: nothing is to come

	interval uint64 // number of this interval
	dirty    bool
	log      []partBefore
	kept     struct {
		value, top int64
		ended      bool
	}
}

type part struct {
	name    string
	time    int64
	at      int    // in heap, closed if not open
	touched uint64 // interval of the last entry in log
}

type partBefore struct {
	name  string
	known bool
	open  bool
	time  int64
}

const closed = -1

// NewWatermark makes a watermark that stays lateness behind.
func NewWatermark(lateness time.Duration) *Watermark {
	w := &Watermark{lateness: lateness, parts: map[string]*part{}, value: math.MinInt64, top: math.MinInt64, interval: 1}
	w.keep()
	return w
}

// Open follows a partition from floor on, math.MinInt64 if nothing is known of
// its time. A time that was loaded holds if it is greater. Open every partition
// that a start knows of before asking for Value: an open partition holds the
// watermark, one that is opened later cannot take it back.
func (w *Watermark) Open(part string, floor int64) {
	p := w.touch(part)
	w.ended = false
	if p.at == closed {
		p.at = len(w.heap)
		w.heap = append(w.heap, p)
	}
	p.time = max(p.time, floor)
	w.down(p.at)
	w.up(p.at)
}

// Resume opens every partition that was loaded, at its time.
func (w *Watermark) Resume() {
	for _, name := range w.Partitions() {
		w.Open(name, math.MinInt64)
	}
}

// Partitions are the names of all that are known, sorted.
func (w *Watermark) Partitions() []string { return slices.Sorted(maps.Keys(w.parts)) }

// Observe says that the partition has given an event of time t. A partition
// that is not open is opened.
func (w *Watermark) Observe(part string, t int64) {
	p := w.last
	if p == nil || p.name != part {
		if p = w.parts[part]; p == nil || p.at == closed {
			w.Open(part, t)
			return
		}
		w.last = p
	}
	if t > p.time {
		w.raise(p, t)
	}
}

// Idle says that the partition's reader has stood at its end for long enough
// at wall clock time wall. A partition that is not open is left alone.
func (w *Watermark) Idle(part string, wall int64) {
	if p := w.parts[part]; p != nil && p.at != closed && wall > p.time {
		w.raise(p, wall)
	}
}

// Close follows the partition no longer. With the last open one nothing is to
// come, and the greatest time of all of them is what the watermark follows: it
// does not matter which of them is closed last.
func (w *Watermark) Close(part string) {
	p := w.parts[part]
	if p == nil {
		return
	}
	open := p.at != closed
	w.top = max(w.top, p.time)
	w.shut(w.touch(part))
	w.ended = w.ended || open && len(w.heap) == 0
}

// Value is the watermark as of now: it never goes back, is math.MinInt64 as
// long as an open partition's time was never known, and stays where it is while
// no partition is open yet.
func (w *Watermark) Value() int64 {
	v := int64(math.MinInt64)
	switch {
	case len(w.heap) > 0:
		v = w.heap[0].time
	case w.ended:
		v = w.top
	}
	if v >= math.MinInt64+int64(w.lateness) && v-int64(w.lateness) > w.value {
		w.value = v - int64(w.lateness)
		w.dirty = true
	}
	return w.value
}

// Dirty says whether AppendState would write something else than when the
// interval began.
func (w *Watermark) Dirty() bool { return w.dirty }

// Commit ends the interval and keeps what happened in it.
func (w *Watermark) Commit() {
	w.keep()
	w.begin()
}

func (w *Watermark) keep() { w.kept.value, w.kept.top, w.kept.ended = w.value, w.top, w.ended }

// Rollback ends the interval and undoes what happened in it.
func (w *Watermark) Rollback() {
	w.value, w.top, w.ended = w.kept.value, w.kept.top, w.kept.ended
	for _, b := range slices.Backward(w.log) { // a partition that was closed and opened again stands in it twice
		if p := w.parts[b.name]; p != nil {
			w.shut(p)
		}
		if !b.known {
			continue
		}
		p := &part{name: b.name, time: b.time, at: closed}
		w.parts[b.name] = p
		if b.open {
			p.at = len(w.heap)
			w.heap = append(w.heap, p)
			w.up(p.at)
		}
	}
	w.begin()
}

func (w *Watermark) begin() {
	clear(w.log)
	w.log = w.log[:0]
	w.interval++
	w.dirty = false
	w.last = nil
}

// watermarkVersion is the newest format of the state; 1 had no top.
const watermarkVersion = 2

// AppendState appends the encoded state: the value, the greatest time of a
// partition that is closed, and every known partition's time.
func (w *Watermark) AppendState(dst []byte) []byte {
	dst = append(dst, watermarkVersion)
	dst = binary.AppendVarint(dst, w.value)
	dst = binary.AppendVarint(dst, w.top)
	names := w.Partitions()
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, name := range names {
		dst = binary.AppendUvarint(dst, uint64(len(name)))
		dst = append(dst, name...)
		dst = binary.AppendVarint(dst, w.parts[name].time)
	}
	return dst
}

// Load restores what AppendState wrote, before anything else is done. The
// partitions wait for Open, and do not hold the watermark until then. A state
// that a newer version has written is refused.
func (w *Watermark) Load(state []byte) error {
	r := &reader{b: state}
	version := r.version(watermarkVersion)
	value, top := r.varint(), int64(math.MinInt64)
	if version > 1 {
		top = r.varint()
	}
	parts := map[string]*part{}
	for range r.count(2) {
		name := string(r.take(r.count(1)))
		parts[name] = &part{name: name, time: r.varint(), at: closed}
		if r.err != nil {
			break
		}
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail(fmt.Errorf("%d bytes too many", len(r.b)))
	}
	if r.err != nil {
		return fmt.Errorf("loading the watermark: %w", r.err)
	}
	w.parts, w.heap = parts, nil
	w.value, w.top, w.ended = value, top, false
	w.keep()
	w.begin()
	return nil
}

// touch finds or makes a partition and logs it before its first change in this
// interval.
func (w *Watermark) touch(name string) *part {
	p := w.parts[name]
	if p != nil && p.touched == w.interval {
		return p
	}
	w.dirty = true
	b := partBefore{name: name}
	if p == nil {
		p = &part{name: name, time: math.MinInt64, at: closed}
		w.parts[name] = p
	} else {
		b.known, b.open, b.time = true, p.at != closed, p.time
	}
	p.touched = w.interval
	w.log = append(w.log, b)
	return p
}

func (w *Watermark) raise(p *part, t int64) {
	if p.touched != w.interval {
		w.touch(p.name)
	}
	p.time = t
	w.down(p.at)
}

// shut takes a partition out of everything.
func (w *Watermark) shut(p *part) {
	delete(w.parts, p.name)
	w.last = nil
	if p.at == closed {
		return
	}
	at, end := p.at, len(w.heap)-1
	w.swap(at, end)
	w.heap[end] = nil
	w.heap = w.heap[:end]
	p.at = closed
	if at < end {
		w.down(at)
		w.up(at)
	}
}

func (w *Watermark) swap(i, j int) {
	w.heap[i], w.heap[j] = w.heap[j], w.heap[i]
	w.heap[i].at, w.heap[j].at = i, j
}

func (w *Watermark) up(i int) {
	for i > 0 && w.heap[i].time < w.heap[(i-1)/2].time {
		w.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (w *Watermark) down(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(w.heap); c++ {
			if w.heap[c].time < w.heap[least].time {
				least = c
			}
		}
		if least == i {
			return
		}
		w.swap(i, least)
		i = least
	}
}
