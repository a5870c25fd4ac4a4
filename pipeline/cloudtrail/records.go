package cloudtrail

import "errors"

// records unwraps {"Records": […]}, the form of the files that CloudTrail
// writes to S3. The array begins at array; 0: there is none.
func (r *run) records(b []byte, array int, open bool) int {
	if array == 0 {
		return r.malformed(b, "Records is not an array", open)
	}
	return r.elements(b, array, events, open)
}

// malformed emits an envelope whose form is wrong.
func (r *run) malformed(b []byte, reason string, open bool) int {
	n := len(b)
	if open {
		n = resync(b, 0)
	}
	if r.u.AnyObject && !open && r.ev.err == nil {
		r.event(b)
		return n
	}
	r.invalid(b[:n], reason)
	return n
}

// of says what an array is made of. It is no func, for what a func value is
// given escapes to the heap.
type of bool

const (
	events of = false
	logs   of = true
)

// elements unwraps the array that begins at i. It returns where to go on:
// behind the object or array that all of b is, unless open is set.
func (r *run) elements(b []byte, i int, kind of, open bool) int {
	r.wrapped = true
	object := i > 0
	rest := func() int {
		n := len(b)
		if open {
			n = resync(b, i)
		}
		r.invalid(b[i:n], "broken in the middle of an array: "+errTruncated.Error())
		return n
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		r.skipped(b, "an envelope without events")
		return r.endOfArray(b, i+1, object, open)
	}
	for {
		var n int
		if kind == logs {
			n = r.logEvent(b[i:], open)
		} else {
			n = r.element(b[i:], open)
		}
		if n < 0 {
			return rest()
		}
		i = skipSpace(b, i+n)
		switch {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == ']':
			return r.endOfArray(b, i+1, object, open)
		default:
			return rest()
		}
	}
}

// endOfArray reads what follows an array of events: the rest of the object that
// it lies in. An envelope that is broken there is one more invalid item.
func (r *run) endOfArray(b []byte, i int, object, open bool) int {
	start := i
	err := error(nil)
	if i = skipSpace(b, i); object {
		i, err = readTail(b, i)
	}
	if err == nil && (open || skipSpace(b, i) == len(b)) {
		return i
	}
	if err == nil {
		err = errTail
	}
	n := len(b)
	if open {
		n = resync(b, start)
	}
	r.invalid(b[start:n], "behind the events: "+err.Error())
	return n
}

// readTail reads the members of an object behind the value that ends before i,
// and returns where the object ends.
func readTail(b []byte, i int) (int, error) {
	switch {
	case i >= len(b):
		return i, errTruncated
	case b[i] == '}':
		return i + 1, nil
	case b[i] != ',':
		return i, errComma
	}
	for i = skipSpace(b, i+1); ; {
		var m member
		if err := m.read(b, i); err != nil {
			return i, err
		}
		i = m.next
		if m.last {
			return i, nil
		}
	}
}

// element unwraps the event that b begins with and returns where it ends, or -1.
// A broken element of an array that is itself cut has no end that one could
// trust.
func (r *run) element(b []byte, open bool) int {
	if len(b) == 0 || b[0] != '{' {
		end, _, _ := skipValue(b, 0)
		if end >= 0 {
			r.invalid(b[:end], "an element that is no object")
		}
		return end
	}
	r.ev.open(b)
	c, _ := r.classify()
	end := r.ev.close()
	if end < 0 || open && errors.Is(r.ev.err, ErrBroken) {
		return -1
	}
	r.ev.raw = b[:end]
	r.single(c, b[:end])
	return end
}
