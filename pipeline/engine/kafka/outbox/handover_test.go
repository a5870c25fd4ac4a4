package outbox

import (
	"context"
	"slices"
	"testing"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// TestHandOver: a partition goes to another worker after what is being delivered
// of it is settled, so that nothing is delivered twice.
func TestHandOver(t *testing.T) {
	f := newFleet(t, 2, "soc")
	one, two := f.open(), f.open()
	one.register(t, engine.FromOldest, "soc")
	f.tell("a@0", "b@1")
	if got := sorted(t, one, 2); len(got) != 2 {
		t.Fatalf("reads %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type answer struct {
		entries []engine.Entry
		err     error
	}
	read := make(chan answer, 1)
	go func() {
		entries, err := two.Read(ctx, "soc", 10)
		read <- answer{entries, err}
	}()
	leaving := func() (n int) {
		c := one.consumers["soc"]
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, p := range c.parts {
			if p.leaving {
				n++
			}
		}
		return n
	}
	until(t, "a partition that is to go", func() bool { return leaving() == 1 })
	c := two.consumer("soc")
	c.mu.Lock()
	if len(c.parts) > 0 {
		t.Errorf("the other worker has %d partitions already", len(c.parts))
	}
	c.mu.Unlock()
	one.done(t, "soc", 2)
	until(t, "its going", func() bool { return leaving() == 0 && len(c.owned()) == 1 })
	f.tell("c@0", "d@1")
	got := <-read
	if got.err != nil {
		t.Fatal(got.err)
	}
	all := append(names(got.entries), sorted(t, one, 1)...)
	slices.Sort(all)
	if !slices.Equal(all, []string{"c", "d"}) {
		t.Errorf("after the first two, %v are read", all)
	}
}

// TestHandOverUnderAStop: a worker that stops while it holds entries goes at once.
func TestHandOverUnderAStop(t *testing.T) {
	f := newFleet(t, 1, "soc")
	one := f.open()
	one.register(t, engine.FromOldest, "soc")
	f.tell("a")
	one.read(t, "soc", "a")
	ctx, cancel := context.WithTimeout(t.Context(), handWithin)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- one.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Error("it waits for itself")
	}
}

func (c *consumer) owned() (ids []int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.parts {
		ids = append(ids, id)
	}
	return ids
}
