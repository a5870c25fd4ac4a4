package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// frame is one record as it was found.
type frame struct {
	payload []byte // valid until the framer's next call, unless owned
	owned   bool   // payload has memory of its own
	index   int    // -1: not an element of an array
	line    int64  // where it begins, from 1; 0: it needs no line to be found
	problem string // instead of payload
	fatal   bool   // the problem ends the file
	after   place
}

// errWait is answered instead of blocking, when the caller asked for that.
var errWait = errors.New("no bytes are ready")

const (
	readBytes = 64 << 10  // a framer's buffer, and what it reads at once
	ownBytes  = 128 << 10 // a payload from this size on leaves the framer with its buffer
)

// framer splits a stream of decompressed bytes into records. It holds one
// buffer that grows to the longest record within the limits.
type framer struct {
	src     io.Reader
	maxLine int
	maxDoc  int
	// ready says whether src can be read without blocking; nil: always. It is
	// asked only while patient is false.
	ready   func() bool
	patient bool

	place place
	buf   []byte
	r, w  int
	err   error // of src, sticky
}

func newFramer(src io.Reader, buf []byte, maxLine, maxDoc int, at place) *framer {
	return &framer{src: src, maxLine: maxLine, maxDoc: maxDoc, patient: true, place: at, buf: buf}
}

// next returns the next record. io.EOF: there is none, and place says done.
// After a fatal frame there is none either. errWait: see ready.
func (f *framer) next() (frame, error) {
	if f.place.done {
		return frame{}, io.EOF
	}
	if f.place.mode == modeUnknown {
		if err := f.begin(); err != nil {
			return frame{}, err
		}
	}
	if f.place.mode == modeLines {
		return f.nextLine()
	}
	return f.nextInDocs()
}

// begin looks at the head and decides on the mode.
func (f *framer) begin() error {
	for {
		if head := f.buf[f.r:f.w]; len(head) >= 3 || f.err != nil {
			bom := 0
			if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
				bom = 3
			}
			if m := detect(head[bom:], f.err != nil || len(head) >= detectBytes+3); m != modeUnknown {
				f.advance(bom)
				f.place.mode = m
				return nil
			}
		}
		if !f.fill() && f.err == nil {
			return errWait
		}
	}
}

// fill reads more behind buf[r:w], which may move. false: nothing came, err
// says why, or nil: it would block.
func (f *framer) fill() bool {
	if f.err != nil {
		return false
	}
	if !f.patient && f.ready != nil && !f.ready() {
		return false
	}
	if f.r > 0 && (f.r == f.w || f.w == len(f.buf)) {
		f.w = copy(f.buf, f.buf[f.r:f.w])
		f.r = 0
	}
	if f.w == len(f.buf) {
		grown := make([]byte, max(readBytes, min(2*len(f.buf), len(f.buf)+(16<<20))))
		copy(grown, f.buf[:f.w])
		f.buf = grown
	}
	for range 100 { // a reader may answer nothing, but not for ever
		n, err := f.src.Read(f.buf[f.w:])
		f.w += n
		f.err = err
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	f.err = io.ErrNoProgress
	return false
}

// atEnd says that the source ended as a Reader does, with io.EOF itself. One that
// is inside another error is a failure on the way: a file that is cut off.
func (f *framer) atEnd() bool {
	return f.err == io.EOF //nolint:errorlint // as said
}

// advance consumes n buffered bytes without newlines, or whose newlines the
// caller has counted.
func (f *framer) advance(n int) {
	f.r += n
	f.place.offset += int64(n)
}

// consume consumes n buffered bytes and counts their newlines.
func (f *framer) consume(n int) {
	f.place.line += int64(bytes.Count(f.buf[f.r:f.r+n], []byte{'\n'}))
	f.advance(n)
}

// drop consumes everything that is buffered; a grown buffer is given up.
func (f *framer) drop() {
	f.consume(f.w - f.r)
	if len(f.buf) > 2*readBytes {
		f.buf = make([]byte, readBytes)
	}
	f.r, f.w = 0, 0
}

// lend takes the n bytes at at, from the start of the buffer on, as a payload.
// The caller has consumed them. A large one leaves with the buffer.
func (f *framer) lend(fr *frame, at, n int) {
	fr.payload = f.buf[at : at+n : at+n]
	if n < ownBytes {
		return
	}
	fr.owned = true
	rest := f.buf[f.r:f.w]
	f.buf = make([]byte, max(readBytes, len(rest)))
	f.w = copy(f.buf, rest)
	f.r = 0
}

// end returns the last frame of a file that src could not give whole, or
// io.EOF. cut says what the end came in the middle of, empty: of nothing.
func (f *framer) end(fr frame, cut string) (frame, error) {
	f.consume(f.w - f.r)
	f.place.done = true
	switch {
	case f.err != nil && !f.atEnd():
		fr.problem = fmt.Sprintf("cannot be read on after %d bytes: %v", f.place.offset, f.err)
	case cut != "":
		fr.problem = fmt.Sprintf("ends after %d bytes in the middle of %s", f.place.offset, cut)
	default:
		return frame{}, io.EOF
	}
	fr.fatal = true
	fr.after = f.place
	return fr, nil
}

// nextLine returns the next line that is not blank.
func (f *framer) nextLine() (frame, error) {
	for scanned := 0; ; {
		i := bytes.IndexByte(f.buf[f.r+scanned:f.w], '\n')
		if i < 0 {
			scanned = f.w - f.r
			if scanned > f.maxLine+1 {
				return f.skipLine()
			}
			if f.fill() {
				continue
			}
			if f.err == nil {
				return frame{}, errWait
			}
			fr := frame{index: -1, line: f.place.line + 1}
			if !f.atEnd() || f.r == f.w {
				return f.end(fr, "")
			}
			at, n := f.r, trimmed(f.buf[f.r:f.w])
			f.advance(scanned)
			f.place.done = true
			if n == 0 {
				return frame{}, io.EOF
			}
			return f.line(fr, at, n)
		}
		at, n := f.r, trimmed(f.buf[f.r:f.r+scanned+i])
		f.advance(scanned + i + 1)
		f.place.line++
		scanned = 0
		if n > 0 {
			return f.line(frame{index: -1, line: f.place.line}, at, n)
		}
	}
}

func (f *framer) line(fr frame, at, n int) (frame, error) {
	fr.after = f.place
	if n > f.maxLine {
		fr.problem = f.tooLong(int64(n))
		return fr, nil
	}
	f.lend(&fr, at, n)
	return fr, nil
}

// trimmed is the length of a line without the white space at its end; 0 for a
// blank line.
func trimmed(line []byte) int {
	n := len(line)
	for n > 0 && isSpace(line[n-1]) {
		n--
	}
	return n
}

func (f *framer) tooLong(n int64) string {
	return fmt.Sprintf("a line of %d bytes is over the limit of %d", n, f.maxLine)
}

// skipLine consumes the line that begins at r and is over the limit.
func (f *framer) skipLine() (frame, error) {
	f.patient = true // the line is half gone: there is no way back
	fr := frame{index: -1, line: f.place.line + 1}
	n := int64(f.w - f.r)
	for {
		f.drop()
		if !f.fill() {
			if !f.atEnd() {
				return f.end(fr, "")
			}
			f.place.done = true
			break
		}
		if i := bytes.IndexByte(f.buf[f.r:f.w], '\n'); i >= 0 {
			n += int64(i)
			f.consume(i + 1)
			break
		}
		n += int64(f.w - f.r)
	}
	fr.problem, fr.after = f.tooLong(n), f.place
	return fr, nil
}
