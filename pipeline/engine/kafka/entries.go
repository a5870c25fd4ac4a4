package kafka

import (
	"bytes"
	"hash/maphash"
	"iter"
)

// entries is a map from a table and a key to bytes that the garbage collector
// need not look into, and that takes a few bytes beside them: keys and values
// lie in large chunks, and a table of their hashes has no pointers. A restore
// puts millions. The zero value is ready; one goroutine uses it.
type entries struct {
	seed   maphash.Seed // keeps those who choose group-by values from choosing collisions
	slots  []uint32     // open addressing: a number in items, plus one; 0: free
	items  []item
	unused []uint32 // numbers of items that were deleted
	chunks [][]byte
	live   int // bytes of keys and values that are there
	dead   int // bytes in chunks that no entry holds any more
}

// item is where an entry lies: key, then value. room is at least n. A deleted
// one has no room for its chunk: its number is unused.
type item struct {
	hash         uint32
	chunk, at    uint32
	key, n, room uint32 // bytes
	there        bool
}

const (
	chunkSize = 1 << 20
	// Chunks are written anew when this much and half of them is dead.
	tolerated = 16 << 20
)

func (e *entries) len() int { return len(e.items) - len(e.unused) }

// get returns a value, which is valid until the next put or delete; nil: there
// is none.
func (e *entries) get(key []byte) []byte {
	slot, ok := e.find(key)
	if !ok {
		return nil
	}
	_, value := e.at(&e.items[e.slots[slot]-1])
	return value
}

func (e *entries) hash(key []byte) uint32 { return uint32(maphash.Bytes(e.seed, key)) } //nolint:gosec // its low half

// find returns the slot of a key.
func (e *entries) find(key []byte) (slot int, ok bool) {
	if len(e.slots) == 0 {
		return 0, false
	}
	return e.seek(key, e.hash(key))
}

// seek returns the slot of a key, or the free one where it belongs.
func (e *entries) seek(key []byte, hash uint32) (slot int, ok bool) {
	mask := len(e.slots) - 1
	for slot = int(hash) & mask; ; slot = (slot + 1) & mask {
		at := e.slots[slot]
		if at == 0 {
			return slot, false
		}
		it := &e.items[at-1]
		if it.hash != hash || int(it.key) != len(key) {
			continue
		}
		if k, _ := e.at(it); bytes.Equal(k, key) {
			return slot, true
		}
	}
}

func (e *entries) at(it *item) (key, value []byte) {
	from := it.at + it.key
	c := e.chunks[it.chunk]
	return c[it.at:from:from], c[from : from+it.n : from+it.n]
}

// put copies key and value.
func (e *entries) put(key, value []byte) {
	if 4*(e.len()+1) > 3*len(e.slots) {
		e.grow()
	}
	hash := e.hash(key)
	slot, known := e.seek(key, hash)
	n := uint32(len(value)) //nolint:gosec // a record's value
	if !known {
		e.live += len(key) + len(value)
		e.slots[slot] = e.number(e.add(key, value, hash)) + 1
		return
	}
	it := &e.items[e.slots[slot]-1]
	e.live += int(n) - int(it.n)
	if n <= it.room {
		copy(e.chunks[it.chunk][it.at+it.key:], value)
		it.n = n
		return
	}
	e.dead += int(it.key) + int(it.room)
	*it = e.add(key, value, hash)
	e.tidy()
}

// number keeps an item and answers its number.
func (e *entries) number(it item) uint32 {
	if last := len(e.unused) - 1; last >= 0 {
		n := e.unused[last]
		e.unused = e.unused[:last]
		e.items[n] = it
		return n
	}
	e.items = append(e.items, it)
	return uint32(len(e.items) - 1) //nolint:gosec // fewer than fit into memory
}

func (e *entries) delete(key []byte) {
	slot, known := e.find(key)
	if !known {
		return
	}
	n := e.slots[slot] - 1
	it := &e.items[n]
	e.live -= int(it.key) + int(it.n)
	e.dead += int(it.key) + int(it.room)
	*it = item{}
	e.unused = append(e.unused, n)
	e.vacate(slot)
	e.tidy()
}

// vacate frees a slot, and moves up what stands behind it for want of a place.
func (e *entries) vacate(free int) {
	mask := len(e.slots) - 1
	for slot := (free + 1) & mask; e.slots[slot] != 0; slot = (slot + 1) & mask {
		home := int(e.items[e.slots[slot]-1].hash) & mask
		if (slot-home)&mask >= (slot-free)&mask {
			e.slots[free] = e.slots[slot]
			free = slot
		}
	}
	e.slots[free] = 0
}

// grow doubles the slots.
func (e *entries) grow() {
	if len(e.slots) == 0 {
		e.seed = maphash.MakeSeed()
	}
	e.slots = make([]uint32, max(64, 2*len(e.slots)))
	mask := len(e.slots) - 1
	for i := range e.items {
		if !e.items[i].there {
			continue
		}
		slot := int(e.items[i].hash) & mask
		for e.slots[slot] != 0 {
			slot = (slot + 1) & mask
		}
		e.slots[slot] = uint32(i) + 1 //nolint:gosec // fewer than fit into memory
	}
}

// add copies key and value into a chunk.
func (e *entries) add(key, value []byte, hash uint32) item {
	size := len(key) + len(value)
	last := len(e.chunks) - 1
	if last < 0 || cap(e.chunks[last])-len(e.chunks[last]) < size {
		if last >= 0 {
			e.dead += cap(e.chunks[last]) - len(e.chunks[last])
		}
		e.chunks = append(e.chunks, make([]byte, 0, max(chunkSize, size)))
		last++
	}
	c := &e.chunks[last]
	//nolint:gosec // within a chunk
	it := item{
		hash: hash, chunk: uint32(last), at: uint32(len(*c)),
		key: uint32(len(key)), n: uint32(len(value)), room: uint32(len(value)), there: true,
	}
	*c = append(append(*c, key...), value...)
	return it
}

// tidy copies what is there together once too much of the chunks is dead.
func (e *entries) tidy() {
	if e.dead < tolerated || e.dead < e.live {
		return
	}
	old := *e
	e.chunks, e.dead = nil, 0
	for i := range e.items {
		if it := &e.items[i]; it.there {
			key, value := old.at(it)
			*it = e.add(key, value, it.hash)
		}
	}
}

// all yields every key and value, which are valid until the next step.
func (e *entries) all() iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for i := range e.items {
			if it := &e.items[i]; it.there && !yield(e.at(it)) {
				return
			}
		}
	}
}
