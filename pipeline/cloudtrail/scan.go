package cloudtrail

import "fmt"

// What a scan finds wrong: all are ErrBroken to errors.Is.
var (
	errNoObject  = fmt.Errorf("%w: no object", ErrBroken)
	errTruncated = fmt.Errorf("%w: unexpected end", ErrBroken)
	errKey       = fmt.Errorf("%w: no key where one must be", ErrBroken)
	errColon     = fmt.Errorf("%w: no colon after a key", ErrBroken)
	errValue     = fmt.Errorf("%w: no value after a key", ErrBroken)
	errComma     = fmt.Errorf("%w: no comma and no brace after a value", ErrBroken)
	errTail      = fmt.Errorf("%w: bytes after the object", ErrBroken)
)

// findField returns where a field with a slot lies, reading on as far as it
// must.
func (e *Event) findField(f field) span {
	for {
		if e.seen&(1<<f) != 0 {
			return e.at[f]
		}
		if _, ok := e.next(); !ok {
			return e.absent()
		}
	}
}

// find is findField for any top-level key.
func (e *Event) find(key string) span {
	if f := fieldOf(key); f != fieldOther {
		return e.findField(f)
	}
	for i := 0; ; i++ {
		for i == len(e.others) {
			if _, ok := e.next(); !ok {
				return e.absent()
			}
		}
		if string(e.others[i].key) == key {
			return e.others[i].span
		}
	}
}

// absent is the answer for a key that was not found.
func (e *Event) absent() span {
	if e.err != nil {
		return span{kind: Broken}
	}
	return span{kind: Missing}
}

// next reads one more top-level field. ok is false at the end of the object
// and where the bytes are broken. A field without a slot is the last of others.
func (e *Event) next() (f field, ok bool) {
	if e.closed || e.err != nil {
		return 0, false
	}
	var k member
	f, known := e.guess()
	var err error
	if known {
		err = k.readValue(e.raw, e.pos+len(fieldKeys[f]))
	} else {
		err = k.read(e.raw, e.pos)
	}
	if err != nil {
		e.err = err
		return 0, false
	}
	if k.nesting >= e.depthLimit() {
		e.err = e.tooDeep()
		// Where the object ends can still be found from here.
		e.pos = k.value.end
		return 0, false
	}
	if !known {
		key := e.raw[k.start:k.end]
		if k.escaped {
			key = e.unescape(key)
		}
		if f = fieldOf(key); f == fieldOther {
			e.others = append(e.others, other{key, k.value})
		}
		e.follows[e.last] = f
	}
	e.last = f
	if f != fieldOther && e.seen&(1<<f) == 0 {
		e.seen |= 1 << f
		e.at[f] = k.value
	}
	e.pos = k.next
	if k.last {
		e.finish(k.next)
	}
	return f, true
}

// guess returns the next field, if it is the one that came after the last one
// in an event before: whoever writes events writes their keys in one order, and
// comparing one key is cheaper than finding where it ends and which it is.
func (e *Event) guess() (f field, ok bool) {
	f = e.follows[e.last]
	if f == fieldOther {
		return f, false
	}
	key := fieldKeys[f]
	return f, len(e.raw)-e.pos >= len(key) && string(e.raw[e.pos:e.pos+len(key)]) == key
}

// finish notes that the object ends before end.
func (e *Event) finish(end int) {
	e.closed = true
	e.pos = end
	if e.alone && skipSpace(e.raw, end) < len(e.raw) {
		e.err = errTail
	}
}

// close returns where the object ends, the brace included, or -1; it does not
// look at the fields between, only at how deep they nest.
func (e *Event) close() int {
	if e.closed {
		return e.pos
	}
	if e.pos == 0 {
		return -1
	}
	end, deepest := skipContainer(e.raw, e.pos)
	if end >= 0 && deepest > e.depthLimit() && e.err == nil {
		e.err = e.tooDeep()
	}
	return end
}

// findInside looks a key up in the object at s.
func (e *Event) findInside(s span, key string) span {
	b := e.raw[:s.end]
	i := skipSpace(b, s.start+1)
	if b[i] == '}' {
		return span{kind: Missing}
	}
	var k member
	for {
		if err := k.read(b, i); err != nil {
			e.err = err
			return span{kind: Broken}
		}
		if string(b[k.start:k.end]) == key && !k.escaped || k.escaped && string(e.unescape(b[k.start:k.end])) == key {
			return k.value
		}
		if k.last {
			return span{kind: Missing}
		}
		i = k.next
	}
}

// member is one "key": value of an object.
type member struct {
	start, end int // the key without its quotes
	escaped    bool
	value      span
	nesting    int  // of the value
	next       int  // where the next key begins, or after the closing brace
	last       bool // the closing brace was read
}

// read reads the member whose key begins at i.
func (m *member) read(b []byte, i int) error {
	if i >= len(b) {
		return errTruncated
	}
	if b[i] != '"' {
		return errKey
	}
	m.start = i + 1
	i, m.escaped = skipText(b, i+1)
	if i < 0 {
		return errTruncated
	}
	m.end = i - 1
	if i >= len(b) || b[i] != ':' {
		if i = skipSpace(b, i); i >= len(b) {
			return errTruncated
		}
		if b[i] != ':' {
			return errColon
		}
	}
	return m.readValue(b, i+1)
}

// readValue reads the value behind the colon before i, and what follows it.
func (m *member) readValue(b []byte, i int) error {
	if i < len(b) && b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	m.value.start = i
	if i < len(b) && b[i] == '"' {
		m.value.kind, m.nesting = String, 0
		i, m.value.escaped = skipText(b, i+1)
	} else {
		m.value.escaped = false
		i, m.value.kind, m.nesting = skipValue(b, i)
	}
	if i < 0 {
		switch m.value.kind {
		case String, Object, Array:
			return errTruncated
		default:
			return errValue
		}
	}
	m.value.end = i
	return m.readEnd(b, i)
}

// readEnd reads what follows the value that ends before i.
func (m *member) readEnd(b []byte, i int) error {
	m.last = false
	if i+1 < len(b) && b[i] == ',' && b[i+1] == '"' {
		m.next = i + 1
		return nil
	}
	if i = skipSpace(b, i); i >= len(b) {
		return errTruncated
	}
	switch b[i] {
	case ',':
		m.next = skipSpace(b, i+1)
	case '}':
		m.next, m.last = i+1, true
	default:
		return errComma
	}
	return nil
}

// text returns what Scan answers for the value at s.
func (e *Event) text(s span) []byte {
	if s.kind != String {
		return e.raw[s.start:s.end]
	}
	b := e.raw[s.start+1 : s.end-1 : s.end-1]
	if s.escaped {
		return e.unescape(b)
	}
	return b
}

// unescape returns the text of an escaped string, in scratch.
func (e *Event) unescape(b []byte) []byte {
	start := len(e.scratch)
	e.scratch = appendUnescaped(e.scratch, b)
	return e.scratch[start:len(e.scratch):len(e.scratch)]
}

func (e *Event) depthLimit() int {
	if e.maxDepth > 0 {
		return e.maxDepth
	}
	return DefaultMaxDepth
}

func (e *Event) tooDeep() error {
	return fmt.Errorf("%w: more than %d levels", ErrTooDeep, e.depthLimit())
}
