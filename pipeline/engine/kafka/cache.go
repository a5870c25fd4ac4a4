package kafka

// cache keeps the newest values within limit bytes, in chunks that go as a
// whole, the oldest first.
type cache struct {
	limit  int
	at     map[cacheKey][]byte
	chunks []cacheChunk
	bytes  int // of all chunks
}

type cacheKey struct {
	p      int32
	offset int64
}

type cacheChunk struct {
	buf  []byte
	keys []cacheKey
}

// keyCost is what an entry takes beside its value, about.
const keyCost = 96

func (c *cache) put(key cacheKey, value []byte) {
	if _, known := c.at[key]; known || len(value)+keyCost > c.limit {
		return
	}
	size := min(chunkSize, max(c.limit/8, 1))
	last := len(c.chunks) - 1
	full := func(chunk cacheChunk) bool {
		return cap(chunk.buf)-len(chunk.buf) < len(value) || keyCost*len(chunk.keys) > size
	}
	if last < 0 || full(c.chunks[last]) {
		size = max(size, len(value))
		c.chunks = append(c.chunks, cacheChunk{buf: make([]byte, 0, size)})
		c.bytes += size
		last++
	}
	if c.at == nil {
		c.at = make(map[cacheKey][]byte)
	}
	chunk := &c.chunks[last]
	from := len(chunk.buf)
	chunk.buf = append(chunk.buf, value...)
	chunk.keys = append(chunk.keys, key)
	c.at[key] = chunk.buf[from:len(chunk.buf):len(chunk.buf)]
	c.bytes += keyCost
	for c.bytes > c.limit && len(c.chunks) > 1 {
		old := c.chunks[0]
		for _, key := range old.keys {
			delete(c.at, key)
		}
		c.bytes -= cap(old.buf) + keyCost*len(old.keys)
		c.chunks[0] = cacheChunk{}
		c.chunks = c.chunks[1:]
	}
}

// get returns a value that is valid until the next put.
func (c *cache) get(key cacheKey) (value []byte, ok bool) {
	value, ok = c.at[key]
	return value, ok
}
