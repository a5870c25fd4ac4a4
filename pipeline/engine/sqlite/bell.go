package sqlite

import "sync"

// bell wakes everybody who waits. A waiter takes the channel first, looks, and
// then waits on it: a ring between the two is not missed.
type bell struct {
	mu     sync.Mutex
	ch     chan struct{}
	closed bool
}

func newBell() *bell { return &bell{ch: make(chan struct{})} }

// wait returns a channel that is closed at the next ring; open is false once
// the bell is closed.
func (b *bell) wait() (ch <-chan struct{}, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch, !b.closed
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		close(b.ch)
		b.ch = make(chan struct{})
	}
}

func (b *bell) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.ch)
	}
}
