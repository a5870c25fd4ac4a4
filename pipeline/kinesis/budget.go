package kinesis

import (
	"context"
	"sync"
)

// budget bounds the bytes that are read and not yet released. It is not a
// semaphore of fixed weights because nobody knows how much a read will bring:
// a reader asks for what it may bring at most, and settles the difference.
// Readers are served in the order in which they asked.
type budget struct {
	limit int

	mu      sync.Mutex
	used    int
	waiting []*request
}

type request struct {
	n       int
	granted chan struct{} // closed when it is
}

// acquire blocks until n bytes are free, or nothing is used at all.
func (b *budget) acquire(ctx context.Context, n int) error {
	b.mu.Lock()
	if len(b.waiting) == 0 && b.fits(n) {
		b.used += n
		b.mu.Unlock()
		return nil
	}
	r := &request{n, make(chan struct{})}
	b.waiting = append(b.waiting, r)
	b.mu.Unlock()
	select {
	case <-r.granted:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, w := range b.waiting {
		if w == r {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			b.grant() // those behind may be smaller
			return ctx.Err()
		}
	}
	b.used -= n // granted meanwhile
	b.grant()
	return ctx.Err()
}

// change corrects what is used by delta, at once and whatever the limit.
func (b *budget) change(delta int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += delta
	b.grant()
}

func (b *budget) fits(n int) bool { return b.used <= 0 || b.used+n <= b.limit }

func (b *budget) grant() {
	for len(b.waiting) > 0 && b.fits(b.waiting[0].n) {
		b.used += b.waiting[0].n
		close(b.waiting[0].granted)
		b.waiting = b.waiting[1:]
	}
}
