package kafka

import "iter"

// entries is a map from a table and a key to bytes that the garbage collector
// need not look into: keys of usual length are part of the map, values lie in a
// few large chunks. The zero value is ready; one goroutine uses it.
type entries struct {
	short  map[shortKey]place
	long   map[string]place
	chunks [][]byte
	live   int // bytes of values that are there
	dead   int // bytes in chunks that no value holds any more
}

// shortKey is a table byte and a key of up to maxShort-1 bytes.
type shortKey struct {
	b [maxShort]byte
	n uint8
}

const (
	maxShort  = 31
	chunkSize = 1 << 20
	// Chunks are written anew when this much and half of them is dead.
	tolerated = 16 << 20
)

// place is where a value lies. room is at least n.
type place struct{ chunk, at, n, room uint32 }

func shorten(key []byte) (s shortKey, ok bool) {
	if len(key) > maxShort {
		return s, false
	}
	s.n = uint8(copy(s.b[:], key)) //nolint:gosec // at most maxShort
	return s, true
}

func (e *entries) len() int { return len(e.short) + len(e.long) }

// get returns a value, which is valid until the next put or delete; nil: there
// is none.
func (e *entries) get(key []byte) []byte {
	pl, ok := e.find(key)
	if !ok {
		return nil
	}
	return e.at(pl)
}

func (e *entries) find(key []byte) (pl place, ok bool) {
	if s, fits := shorten(key); fits {
		pl, ok = e.short[s]
	} else {
		pl, ok = e.long[string(key)]
	}
	return pl, ok
}

func (e *entries) at(pl place) []byte {
	if pl.n == 0 {
		return []byte{}
	}
	return e.chunks[pl.chunk][pl.at : pl.at+pl.n : pl.at+pl.n]
}

// put copies key and value.
func (e *entries) put(key, value []byte) {
	pl, known := e.find(key)
	n := uint32(len(value)) //nolint:gosec // a record's value
	e.live += int(n) - int(pl.n)
	if known && n <= pl.room {
		copy(e.chunks[pl.chunk][pl.at:], value)
		pl.n = n
	} else {
		e.dead += int(pl.room)
		pl = e.add(value)
	}
	if s, fits := shorten(key); fits {
		if e.short == nil {
			e.short = make(map[shortKey]place)
		}
		e.short[s] = pl
	} else {
		if e.long == nil {
			e.long = make(map[string]place)
		}
		e.long[string(key)] = pl
	}
	e.tidy()
}

func (e *entries) delete(key []byte) {
	pl, known := e.find(key)
	if !known {
		return
	}
	e.live -= int(pl.n)
	e.dead += int(pl.room)
	if s, fits := shorten(key); fits {
		delete(e.short, s)
	} else {
		delete(e.long, string(key))
	}
	e.tidy()
}

func (e *entries) add(value []byte) place {
	if len(value) == 0 {
		return place{}
	}
	last := len(e.chunks) - 1
	if last < 0 || cap(e.chunks[last])-len(e.chunks[last]) < len(value) {
		if last >= 0 {
			e.dead += cap(e.chunks[last]) - len(e.chunks[last])
		}
		e.chunks = append(e.chunks, make([]byte, 0, max(chunkSize, len(value))))
		last++
	}
	c := &e.chunks[last]
	pl := place{chunk: uint32(last), at: uint32(len(*c)), n: uint32(len(value)), room: uint32(len(value))} //nolint:gosec // within a chunk
	*c = append(*c, value...)
	return pl
}

// tidy copies what is there together once too much of the chunks is dead.
func (e *entries) tidy() {
	if e.dead < tolerated || e.dead < e.live {
		return
	}
	old := *e
	e.chunks, e.dead = nil, 0
	for key, pl := range e.short {
		e.short[key] = e.add(old.at(pl))
	}
	for key, pl := range e.long {
		e.long[key] = e.add(old.at(pl))
	}
}

// all yields every key and value, which are valid until the next step.
func (e *entries) all() iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for key, pl := range e.short {
			if !yield(key.b[:key.n], e.at(pl)) {
				return
			}
		}
		for key, pl := range e.long {
			if !yield([]byte(key), e.at(pl)) {
				return
			}
		}
	}
}
