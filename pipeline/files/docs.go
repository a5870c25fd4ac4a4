package files

import (
	"bytes"
	"fmt"
)

// nextInDocs returns the next element of an array, or the next whole document.
// Places between two calls are: between documents, or in an array.
func (f *framer) nextInDocs() (frame, error) {
	for {
		inArray := f.place.mode != modeDocs
		c, ok := f.skipSpace(inArray)
		fr := f.frameHere()
		switch {
		case !ok && f.err == nil:
			return frame{}, errWait
		case !ok && inArray:
			return f.end(fr, "an array")
		case !ok:
			return f.end(fr, "")
		case inArray && c == ']':
			if fr, err, ended := f.leaveArray(fr); ended {
				return fr, err
			}
		case inArray && (c == '}' || c == ':'):
			fr.problem = fmt.Sprintf("%q where an element of an array should begin", c)
			f.consume(1)
			f.place.index++
			fr.after = f.place
			return fr, nil
		case inArray:
			return f.value(fr, f.maxLine)
		case c == '[':
			f.consume(1)
			f.place.mode = modeArray
		case c == '{':
			if fr, err, ended := f.document(fr); ended {
				return fr, err
			}
		default:
			return f.garbage(fr)
		}
	}
}

// frameHere is a frame without content for what begins at r. The first
// document of a file needs no line to be found.
func (f *framer) frameHere() frame {
	if f.place.mode != modeDocs {
		return frame{index: int(f.place.index)}
	}
	fr := frame{index: -1}
	if f.place.line > 0 && f.place.docs {
		fr.line = f.place.line + 1
	}
	return fr
}

// skipSpace consumes white space, and commas too, and returns the byte that
// follows.
func (f *framer) skipSpace(commas bool) (byte, bool) {
	for {
		p := f.r
		for p < f.w && (isSpace(f.buf[p]) || commas && f.buf[p] == ',') {
			p++
		}
		f.consume(p - f.r)
		if f.r < f.w {
			return f.buf[f.r], true
		}
		if !f.fill() {
			return 0, false
		}
	}
}

// leaveArray consumes the bracket at r, and the rest of the document that a
// Records array is in. ended: the frame or error is the caller's answer.
func (f *framer) leaveArray(fr frame) (_ frame, _ error, ended bool) {
	if f.place.mode == modeArray {
		f.consume(1)
		f.place.mode, f.place.docs = modeDocs, true
		return frame{}, nil, false
	}
	s := scanner{depth: 1}
	for at := 1; ; {
		n, whole := s.run(f.buf[f.r+at : f.w])
		at += n
		if whole {
			f.consume(at)
			f.place.mode, f.place.docs = modeDocs, true
			return frame{}, nil, false
		}
		if at > f.maxDoc {
			f.consume(at)
			f.place.mode = modeDocs
			fr, err := f.skipValue(frame{index: -1}, &s, int64(at), f.maxDoc)
			return fr, err, true
		}
		if !f.fill() {
			if f.err == nil {
				return frame{}, errWait, true
			}
			fr, err := f.end(fr, "a document, after its Records")
			return fr, err, true
		}
	}
}

// value returns the JSON value at r.
func (f *framer) value(fr frame, limit int) (frame, error) {
	var s scanner
	at, res := f.scanValue(&s, 0, limit)
	switch res {
	case valueWait:
		return frame{}, errWait
	case valueCut:
		return f.end(fr, "an element")
	case valueLong:
		f.consume(at)
		return f.skipValue(fr, &s, int64(at), limit)
	case valueWhole:
	}
	return f.take(fr, at)
}

// take returns the n bytes at r as the frame's payload.
func (f *framer) take(fr frame, n int) (frame, error) {
	at := f.r
	f.consume(n)
	f.passed()
	fr.after = f.place
	f.lend(&fr, at, n)
	return fr, nil
}

// passed notes that an element or a document has been consumed.
func (f *framer) passed() {
	if f.place.mode == modeDocs {
		f.place.docs = true
		return
	}
	f.place.index++
}

type valueResult uint8

const (
	valueWhole valueResult = iota
	valueCut               // the bytes end
	valueLong              // over the limit
	valueWait              // the bytes are not there yet
)

// scanValue finds the end of the value that begins at r+at, which is buffered.
// The answer is relative to r. On valueLong s can go on behind it.
func (f *framer) scanValue(s *scanner, at, limit int) (int, valueResult) {
	scalar := false
	switch f.buf[f.r+at] {
	case '{', '[', '"':
	default:
		scalar = true
	}
	for {
		if scalar {
			for f.r+at < f.w {
				c := f.buf[f.r+at]
				if isSpace(c) || c == ',' || c == ']' || c == '}' || c == ':' {
					return at, valueWhole
				}
				at++
			}
		} else {
			n, ended := s.run(f.buf[f.r+at : f.w])
			at += n
			if ended {
				if at > limit {
					s.depth = 0
					return at, valueLong
				}
				return at, valueWhole
			}
		}
		if at > limit {
			if scalar { // not JSON: what follows is skipped like a string without an end
				s.quoted = true
			}
			return at, valueLong
		}
		if !f.fill() {
			if f.err == nil {
				return at, valueWait
			}
			return at, valueCut
		}
	}
}

// skipValue consumes the rest of a value that is over the limit, n bytes of
// which are consumed already, without holding it.
func (f *framer) skipValue(fr frame, s *scanner, n int64, limit int) (frame, error) {
	f.patient = true // it is half gone: there is no way back
	for s.depth > 0 || s.quoted {
		k, ended := s.run(f.buf[f.r:f.w])
		n += int64(k)
		f.consume(k)
		if ended {
			break
		}
		f.drop()
		if !f.fill() {
			return f.end(fr, fmt.Sprintf("an item over the limit of %d bytes", limit))
		}
	}
	f.passed()
	fr.problem = fmt.Sprintf("an item of %d bytes is over the limit of %d", n, limit)
	fr.after = f.place
	return fr, nil
}

// document looks at the object at r: it goes into its Records array, or takes
// it whole. ended: the frame or error is the caller's answer.
func (f *framer) document(fr frame) (_ frame, _ error, ended bool) {
	p := 1
	for {
		c, ok := f.peekToken(&p)
		if !ok {
			return f.documentCut(fr)
		}
		if c == '}' && p < f.maxDoc {
			fr, err := f.take(fr, p+1)
			return fr, err, true
		}
		if c != '"' {
			return f.restOfDocument(fr, p)
		}
		key := p
		var s scanner
		end, res := f.scanValue(&s, p, f.maxDoc)
		if res != valueWhole {
			return f.documentFailed(fr, &s, end, res)
		}
		records := string(f.buf[f.r+key:f.r+end]) == `"Records"`
		p = end
		if c, ok = f.peekToken(&p); !ok {
			return f.documentCut(fr)
		}
		if c == '}' || c == ']' {
			return f.restOfDocument(fr, p)
		}
		if records && c == '[' {
			f.consume(p + 1)
			f.place.mode = modeRecords
			return frame{}, nil, false
		}
		s = scanner{}
		if p, res = f.scanValue(&s, p, f.maxDoc); res != valueWhole {
			return f.documentFailed(fr, &s, p, res)
		}
	}
}

// peekToken moves p, relative to r, over white space, commas and colons.
func (f *framer) peekToken(p *int) (byte, bool) {
	for {
		for f.r+*p < f.w {
			c := f.buf[f.r+*p]
			if !isSpace(c) && c != ',' && c != ':' {
				return c, true
			}
			*p++
		}
		if *p > f.maxDoc || !f.fill() {
			return 0, false
		}
	}
}

// restOfDocument takes an object whose content at p is not JSON, up to where
// its brackets close.
func (f *framer) restOfDocument(fr frame, p int) (frame, error, bool) {
	s := scanner{depth: 1}
	for {
		n, ended := s.run(f.buf[f.r+p : f.w])
		p += n
		switch {
		case ended && p <= f.maxDoc:
			fr, err := f.take(fr, p)
			return fr, err, true
		case p > f.maxDoc:
			f.consume(p)
			if ended {
				s = scanner{}
			}
			fr, err := f.skipValue(fr, &s, int64(p), f.maxDoc)
			return fr, err, true
		case !f.fill():
			return f.documentCut(fr)
		}
	}
}

func (f *framer) documentCut(fr frame) (frame, error, bool) {
	if f.err == nil && f.w-f.r <= f.maxDoc {
		return frame{}, errWait, true
	}
	if f.err == nil { // white space without end
		s := scanner{depth: 1}
		n := f.w - f.r
		f.consume(n)
		fr, err := f.skipValue(fr, &s, int64(n), f.maxDoc)
		return fr, err, true
	}
	fr, err := f.end(fr, "a document")
	return fr, err, true
}

// documentFailed ends an attempt whose scanner s stopped at p within a key or
// a value of the object.
func (f *framer) documentFailed(fr frame, s *scanner, p int, res valueResult) (frame, error, bool) {
	if res != valueLong {
		return f.documentCut(fr)
	}
	s.depth++ // the object around it
	f.consume(p)
	fr, err := f.skipValue(fr, s, int64(p), f.maxDoc)
	return fr, err, true
}

// garbage skips the rest of a line that begins with no document.
func (f *framer) garbage(fr frame) (frame, error) {
	f.patient = true
	fr.problem = fmt.Sprintf("%q where a JSON document should begin", f.buf[f.r])
	for {
		if i := bytes.IndexByte(f.buf[f.r:f.w], '\n'); i >= 0 {
			f.consume(i + 1)
			break
		}
		f.drop()
		if !f.fill() {
			if !f.atEnd() {
				return f.end(fr, "")
			}
			f.place.done = true
			break
		}
	}
	f.place.docs = true
	fr.after = f.place
	return fr, nil
}
