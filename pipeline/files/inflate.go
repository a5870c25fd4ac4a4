package files

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxZstdWindow is the greatest zstd window that is accepted, in bytes: what
// `zstd -19` writes is 8 MiB.
const maxZstdWindow = 32 << 20

type codec uint8

const (
	plain codec = iota
	gzipped
	zstded
)

// codecOf looks at magic bytes. Semantics: RFC 1952 section 2.3.1, RFC 8878
// sections 3.1.1 and 3.1.2.
func codecOf(head []byte) codec {
	switch {
	case len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b:
		return gzipped
	case len(head) >= 4 && bytes.Equal(head[:4], []byte{0x28, 0xb5, 0x2f, 0xfd}),
		len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}):
		return zstded
	}
	return plain
}

// readers keeps decompressors for reuse. Safe for concurrent use.
type readers struct {
	bufio sync.Pool // *bufio.Reader
	gzip  sync.Pool // *gzip.Reader
	zstd  sync.Pool // *zstd.Decoder
}

// inflater reads the decompressed bytes of one file. Compression is undone
// twice at most: a gzip inside a gzip is what some forwarders write.
type inflater struct {
	pool   *readers
	r      io.Reader
	seek   io.Seeker // nil where bytes can only be skipped by reading
	codec  codec     // the outermost
	close  []func()
	before int64 // raw bytes skipped by seek
}

// open begins to read raw. It reads the first bytes.
func (p *readers) open(raw io.Reader) (*inflater, error) {
	in := &inflater{pool: p}
	in.seek, _ = raw.(io.Seeker)
	br := in.buffer(raw)
	in.r = br
	for level := range 2 {
		head, err := br.Peek(4)
		if err != nil && err != io.EOF {
			in.release()
			return nil, err
		}
		c := codecOf(head)
		if level == 0 {
			in.codec = c
		}
		if c == plain {
			if level == 0 && in.seek != nil {
				in.r = raw
				if _, err := in.seek.Seek(0, io.SeekStart); err != nil {
					in.release()
					return nil, err
				}
			}
			return in, nil
		}
		if err := in.undo(c, br); err != nil {
			in.release()
			return nil, err
		}
		in.seek = nil
		if level == 0 {
			br = in.buffer(in.r)
			in.r = br
		}
	}
	return in, nil
}

func (in *inflater) buffer(r io.Reader) *bufio.Reader {
	br, ok := in.pool.bufio.Get().(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(nil, 32<<10)
	}
	br.Reset(r)
	in.close = append(in.close, func() { br.Reset(nil); in.pool.bufio.Put(br) })
	return br
}

func (in *inflater) undo(c codec, br *bufio.Reader) error {
	if c == gzipped {
		z, ok := in.pool.gzip.Get().(*gzip.Reader)
		if !ok {
			z = new(gzip.Reader)
		}
		if err := z.Reset(br); err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		in.close = append(in.close, func() { in.pool.gzip.Put(z) })
		in.r = named{"gzip", z}
		return nil
	}
	z, ok := in.pool.zstd.Get().(*zstd.Decoder)
	if !ok {
		var err error
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return fmt.Errorf("zstd: %w", err)
		}
	}
	if err := z.Reset(br); err != nil {
		return fmt.Errorf("zstd: %w", err)
	}
	in.close = append(in.close, func() {
		// A decoder without a reader holds no window; the error is nil's own.
		if z.Reset(nil) == nil {
			in.pool.zstd.Put(z)
		}
	})
	in.r = named{"zstd", z}
	return nil
}

// skip moves to the given decompressed offset from the beginning.
func (in *inflater) skip(offset int64) error {
	if offset == 0 {
		return nil
	}
	if in.seek != nil {
		in.before = offset
		_, err := in.seek.Seek(offset, io.SeekStart)
		return err
	}
	n, err := io.CopyN(io.Discard, in.r, offset)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("it holds only %d bytes and was read up to %d", n, offset)
	}
	return err
}

// Read implements io.Reader.
func (in *inflater) Read(b []byte) (int, error) { return in.r.Read(b) }

// release gives the decompressors back. The raw reader stays its owner's.
func (in *inflater) release() {
	for i := len(in.close) - 1; i >= 0; i-- {
		in.close[i]()
	}
	in.close, in.r = nil, nil
}

// named says which format a read error came from; io.EOF is passed as it is.
type named struct {
	name string
	r    io.Reader
}

func (n named) Read(b []byte) (int, error) {
	k, err := n.r.Read(b)
	if err != nil && err != io.EOF { //nolint:errorlint // only io.EOF itself is the end
		err = fmt.Errorf("%s: %w", n.name, err)
	}
	return k, err
}

// counted counts what is read from a file, for the progress, and ends when the
// source is closed, be it in the middle of skipping gigabytes.
type counted struct {
	io.ReadSeeker
	stop  <-chan struct{}
	total *atomic.Int64
	own   int64
}

func (c *counted) Read(b []byte) (int, error) {
	select {
	case <-c.stop:
		return 0, io.ErrClosedPipe
	default:
	}
	n, err := c.ReadSeeker.Read(b)
	c.own += int64(n)
	c.total.Add(int64(n))
	return n, err
}
