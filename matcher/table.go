package matcher

import "github.com/cespare/xxhash/v2"

// table maps folded texts to groups: open addressing on xxhash64, the texts
// compared on a hit, for the hash is unseeded and the texts come from outside.
// Immutable once built.
type table struct {
	entries []tableEntry
	slots   []int32 // index into entries + 1; a power of two, at most half full
}

type tableEntry struct {
	hash  uint64
	text  string
	group *group
}

// smallTable is the size up to which comparing beats hashing.
const smallTable = 4

func (t *table) add(text string, g *group) {
	t.entries = append(t.entries, tableEntry{xxhash.Sum64String(text), text, g})
}

// seal makes the table ready for find.
func (t *table) seal() {
	if len(t.entries) <= smallTable {
		return
	}
	size := 8
	for size < 2*len(t.entries) {
		size *= 2
	}
	t.slots = make([]int32, size)
	for n := range t.entries {
		i := int(t.entries[n].hash) & (size - 1)
		for t.slots[i] != 0 {
			i = (i + 1) & (size - 1)
		}
		t.slots[i] = int32(n + 1)
	}
}

// find returns the group of the folded text, nil if there is none.
func (t *table) find(text []byte) *group {
	if t.slots == nil {
		for i := range t.entries {
			if t.entries[i].text == string(text) {
				return t.entries[i].group
			}
		}
		return nil
	}
	h := xxhash.Sum64(text)
	mask := len(t.slots) - 1
	for i := int(h) & mask; ; i = (i + 1) & mask {
		n := t.slots[i]
		if n == 0 {
			return nil
		}
		if e := &t.entries[n-1]; e.hash == h && e.text == string(text) {
			return e.group
		}
	}
}
