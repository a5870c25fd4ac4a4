package files

import (
	"io"
	"os"
)

const streamBytes = 128 << 10

// stream reads a pipe ahead in a goroutine of its own, so that it can be asked
// whether there is something to read. The goroutine ends with the pipe, or when
// the source is closed and the read that it is in returns.
type stream struct {
	full  chan chunk
	empty chan []byte
	stop  <-chan struct{}
	cur   chunk
	rest  []byte
}

type chunk struct {
	buf []byte
	n   int
	err error
}

func openStream(s *Source, path string) (*stream, error) {
	r := s.opts.Stdin
	closeR := func() {}
	if path != Stdin {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		r, closeR = f, func() { f.Close() } //nolint:errcheck // it was only read
	}
	// Two buffers go round: one is filled while the other is read.
	st := &stream{full: make(chan chunk, 1), empty: make(chan []byte, 2), stop: s.stop}
	st.empty <- make([]byte, streamBytes)
	st.empty <- make([]byte, streamBytes)
	go func() {
		defer closeR()
		for {
			var buf []byte
			select {
			case buf = <-st.empty:
			case <-s.stop:
				return
			}
			n, err := r.Read(buf)
			s.bytes.Add(int64(n))
			select {
			case st.full <- chunk{buf, n, err}:
			case <-s.stop:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return st, nil
}

// ready says whether Read would not block.
func (st *stream) ready() bool {
	return len(st.rest) > 0 || st.cur.err != nil || len(st.full) > 0
}

// Read implements io.Reader. It ends with io.ErrClosedPipe when the source is closed.
func (st *stream) Read(b []byte) (int, error) {
	for len(st.rest) == 0 {
		if st.cur.err != nil {
			return 0, st.cur.err
		}
		if st.cur.buf != nil {
			st.empty <- st.cur.buf // it has room for both
			st.cur.buf = nil
		}
		select {
		case st.cur = <-st.full:
			st.rest = st.cur.buf[:st.cur.n]
		case <-st.stop:
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(b, st.rest)
	st.rest = st.rest[n:]
	return n, nil
}
