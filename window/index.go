package window

// index maps hashes to entry numbers: open addressing without pointers, so
// that the collector does not look at it. A slot holds the upper half of the
// hash, which also says where it belongs, and the entry's number plus one. The
// caller compares keys, for the hashes of two keys may be equal.
type index struct {
	slots []uint64
	n     int
}

const minSlots = 64

func tagOf(hash uint64) uint32 { return uint32(hash >> 32) }

func slotTag(slot uint64) uint32    { return uint32(slot >> 32) }
func slotNumber(slot uint64) uint32 { return uint32(slot) - 1 }

func (x *index) next(pos uint32) uint32 { return (pos + 1) & uint32(len(x.slots)-1) }
func (x *index) home(tag uint32) uint32 { return tag & uint32(len(x.slots)-1) }

func (x *index) insert(tag, number uint32) {
	if (x.n+1)*8 > len(x.slots)*7 {
		x.grow()
	}
	x.place(uint64(tag)<<32 | uint64(number+1))
	x.n++
}

func (x *index) place(slot uint64) {
	pos := x.home(slotTag(slot))
	for x.slots[pos] != 0 {
		pos = x.next(pos)
	}
	x.slots[pos] = slot
}

func (x *index) grow() {
	old := x.slots
	x.slots = make([]uint64, max(minSlots, 2*len(old)))
	for _, slot := range old {
		if slot != 0 {
			x.place(slot)
		}
	}
}

// remove takes the slot of (tag, number) out and closes the gap, so that no
// tombstones slow later searches.
func (x *index) remove(tag, number uint32) {
	want := uint64(tag)<<32 | uint64(number+1)
	pos := x.home(tag)
	for x.slots[pos] != want {
		if x.slots[pos] == 0 {
			panic("window: an entry is missing from its index")
		}
		pos = x.next(pos)
	}
	mask := uint32(len(x.slots) - 1)
	for at := x.next(pos); x.slots[at] != 0; at = x.next(at) {
		home := x.home(slotTag(x.slots[at]))
		if (at-home)&mask >= (at-pos)&mask { // it may move back to pos without passing its home
			x.slots[pos] = x.slots[at]
			pos = at
		}
	}
	x.slots[pos] = 0
	x.n--
}

// slab hands out numbered places in segments that never move, so that growing
// copies nothing and a pointer stays good until its place is released.
type slab[T any] struct {
	segments [][]T
	free     []uint32
	used     uint32
}

const segmentBits = 9

func (s *slab[T]) at(n uint32) *T {
	return &s.segments[n>>segmentBits][n&(1<<segmentBits-1)]
}

func (s *slab[T]) alloc() uint32 {
	if k := len(s.free); k > 0 {
		n := s.free[k-1]
		s.free = s.free[:k-1]
		return n
	}
	if s.used>>segmentBits == uint32(len(s.segments)) {
		s.segments = append(s.segments, make([]T, 1<<segmentBits))
	}
	s.used++
	return s.used - 1
}

func (s *slab[T]) release(n uint32) {
	var zero T
	*s.at(n) = zero
	s.free = append(s.free, n)
}
