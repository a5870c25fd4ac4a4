package matcher

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// Bounds of what is remembered about event names. Real trails have some thousands of names; a hostile stream of new ones
// fills the cache once, and is evaluated each time from then on.
const (
	maxNames     = 64 << 10
	maxNameBytes = 256
	maxNameWays  = 1 << 20 // ways in all remembered groups together
)

// nameCache remembers which rules each distinct event name leads to: patterns
// are tried once a name, and the names that do occur are few and stay in the
// processor's caches, whatever the rules list. Readers
// take no lock; any number of Matchers share it.
type nameCache struct {
	slots atomic.Pointer[[]atomic.Pointer[resolved]] // open addressing, a power of two

	full   atomic.Bool // no more names are taken
	mu     sync.Mutex
	names  int
	ways   int
	groups map[string]*group // of tested ways, by the list of them
}

// resolved is an event name and the groups that it leads to.
type resolved struct {
	hash          uint64
	name          string
	exact, tested *group // nil: none
}

func newNameCache() *nameCache {
	c := &nameCache{groups: map[string]*group{}}
	slots := make([]atomic.Pointer[resolved], 256)
	c.slots.Store(&slots)
	return c
}

// get returns what is remembered about name, nil if nothing is.
func (c *nameCache) get(name []byte) *resolved {
	h := xxhash.Sum64(name)
	slots := *c.slots.Load()
	mask := len(slots) - 1
	for i := int(h) & mask; ; i = (i + 1) & mask {
		r := slots[i].Load()
		if r == nil || r.hash == h && r.name == string(name) {
			return r
		}
	}
}

// put adds r. The lock is held.
func (c *nameCache) put(r *resolved) {
	slots := *c.slots.Load()
	if 2*(c.names+1) > len(slots) {
		// Readers go on in the old slots, which lack only what comes from now on.
		larger := make([]atomic.Pointer[resolved], 2*len(slots))
		for i := range slots {
			if old := slots[i].Load(); old != nil {
				place(larger, old)
			}
		}
		c.slots.Store(&larger)
		slots = larger
	}
	place(slots, r)
	c.names++
	c.full.Store(c.names >= maxNames || c.ways >= maxNameWays)
}

func place(slots []atomic.Pointer[resolved], r *resolved) {
	mask := len(slots) - 1
	i := int(r.hash) & mask
	for slots[i].Load() != nil {
		i = (i + 1) & mask
	}
	slots[i].Store(r)
}

// resolve finds the groups of a name and remembers them. It returns nil when
// there is no room: the caller then tries every test.
func (m *Matcher) resolve(name []byte) *resolved {
	x := &m.rs.index
	c := x.cache
	if len(name) > maxNameBytes || c.full.Load() {
		return nil
	}
	var ways []int32
	var key []byte
	for i := range x.tested {
		if t := &x.tested[i]; m.holds(t.tests, name) {
			ways = append(ways, t.way)
			key = binary.LittleEndian.AppendUint32(key, uint32(t.way))
		}
	}
	m.name = appendFold(m.name[:0], name)
	r := &resolved{hash: xxhash.Sum64(name), name: string(name), exact: x.names.find(m.name)}

	c.mu.Lock()
	defer c.mu.Unlock()
	if len(ways) > 0 {
		g, ok := c.groups[string(key)]
		if !ok {
			g = x.group(ways, []int32{x.ids[eventName[0]]})
			c.groups[string(key)] = g
			c.ways += len(ways)
		}
		r.tested = g
	}
	if known := c.get(name); known != nil { // another Matcher was faster
		return known
	}
	c.put(r)
	return r
}
