package window

import "slices"

// journal is what happened since the last Drain, in order. Open episodes stand
// in it by name, once, and are told as they are when it is drained; what is
// over stands in it with its last state.
type journal struct {
	items []happening
	base  uint64 // number of items[0]
	next  uint64 // number of the next item

	fired []Firing // since they were last asked for

	kept     []happening // as they were when the interval began
	keptBase uint64
	keptNext uint64
}

// happening is one item of the journal.
type happening struct {
	typ      ChangeType
	void     bool // overtaken by what came after it
	notify   bool
	returned bool
	policy   Policy
	key      string
	hash     uint64
	serial   ID
	into     ID
	last     *lastState // nil: the episode is open, look it up by its serial
}

// lastState is an episode, or matches that belong to none, at the end.
type lastState struct {
	ep     episode
	recs   []rec
	values int
	kept   int
}

func newJournal() *journal { return &journal{base: 1, next: 1, keptBase: 1, keptNext: 1} }

// add appends h and returns its number.
func (j *journal) add(h happening) uint64 {
	j.items = append(j.items, h)
	j.next++
	return j.next - 1
}

// fire notes that an episode fired, for those who count firings.
func (j *journal) fire(e *entry, ep *episode) {
	j.fired = append(j.fired, Firing{Key: e.key, Serial: ep.serial, Time: ep.firedAt})
}

// open finds the item of an open episode, nil if it is drained or there is none.
func (j *journal) open(number uint64) *happening {
	if number < j.base || number >= j.next {
		return nil
	}
	return &j.items[number-j.base]
}

// drained forgets all items.
func (j *journal) drained() {
	clear(j.items)
	j.items = j.items[:0]
	if cap(j.items) > 1<<16 {
		j.items = nil
	}
	j.base = j.next
	j.fired = j.fired[:0]
}

func (j *journal) commit() {
	j.fired = j.fired[:0]
	j.kept = slices.Clone(j.items)
	j.keptBase, j.keptNext = j.base, j.next
}

func (j *journal) rollback() {
	clear(j.items)
	j.items = append(j.items[:0], j.kept...)
	j.base, j.next = j.keptBase, j.keptNext
	j.fired = j.fired[:0]
}
