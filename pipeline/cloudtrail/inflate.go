package cloudtrail

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// compression is how a payload is compressed, by its magic bytes.
type compression uint8

const (
	uncompressed compression = iota
	gzipped
	zstandard
)

const (
	maxCompressions = 2 // one inside the other

	// A zstd frame may ask for a window, which the reader must hold, of this
	// many bytes at most: what the zstd tool itself grants by default.
	maxZstdWindow = 128 << 20
	// Buffers and readers that grew above this are not kept.
	keepInflated = 8 << 20
	// The first guess of what a payload inflates to.
	guessRatio = 8
)

func compressionOf(b []byte) compression {
	switch {
	case len(b) >= 2 && b[0] == 0x1f && b[1] == 0x8b:
		return gzipped
	case len(b) >= 4 && binary.LittleEndian.Uint32(b) == 0xfd2fb528:
		return zstandard
	}
	return uncompressed
}

// inflater inflates payloads with readers and buffers that it keeps.
type inflater struct {
	src  bytes.Reader
	gzip gzip.Reader
	zstd *zstd.Decoder
	bufs [maxCompressions][]byte
}

// inflate returns what b inflates to, in the buffer of that level. The result
// is valid until the next call for the level. More than limit bytes, a wrong
// checksum, an early end and bytes behind the compressed ones are errors.
func (f *inflater) inflate(c compression, b []byte, level, limit int) ([]byte, error) {
	f.src.Reset(b)
	var r io.Reader
	var err error
	if c == gzipped {
		r, err = &f.gzip, f.gzip.Reset(&f.src)
	} else {
		r, err = f.resetZstd()
	}
	if err != nil {
		return nil, inflateError(err)
	}
	out := f.bufs[level][:0]
	if cap(out) == 0 {
		out = make([]byte, 0, min(guessRatio*len(b)+bytes.MinRead, keepInflated, limit+1))
	}
	for {
		if len(out) == cap(out) {
			out = slices.Grow(out, min(len(out), limit+1-len(out)))
		}
		n, err := r.Read(out[len(out):min(cap(out), limit+1)])
		out = out[:len(out)+n]
		f.bufs[level] = out
		switch {
		case len(out) > limit:
			return nil, fmt.Errorf("inflates to more than %d bytes", limit)
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, inflateError(err)
		}
	}
}

func inflateError(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // an end inside the header
	}
	return fmt.Errorf("inflating: %w", err)
}

func (f *inflater) resetZstd() (io.Reader, error) {
	if f.zstd != nil {
		return f.zstd, f.zstd.Reset(&f.src)
	}
	d, err := zstd.NewReader(&f.src,
		zstd.WithDecoderConcurrency(1), // no goroutines, so nothing to close
		zstd.WithDecodeBuffersBelow(0), // always as a stream, so that the limit holds
		zstd.WithDecoderMaxWindow(maxZstdWindow))
	f.zstd = d
	return d, err
}

// shed forgets buffers that have grown large.
func (f *inflater) shed() {
	f.src.Reset(nil)
	for i, b := range f.bufs {
		if cap(b) > keepInflated {
			f.bufs[i] = nil
			f.zstd = nil // its window grew with it
		}
	}
}
