package lease

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The answer to a renewal may come after the deadline and before anybody has
// looked at the clock, where the process was halted meanwhile.
func TestRenewalAfterTheDeadlineRevivesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		l := &Lease{ctx: ctx, cancel: cancel, deadline: time.Now().Add(9 * time.Second), expire: time.AfterFunc(time.Hour, func() {})}
		defer l.stop()
		time.Sleep(8 * time.Second)
		l.renewed(time.Now().Add(-time.Second), 9*time.Second, 1, Checkpoint{}, false)
		if !l.Valid() {
			t.Error("a renewal in time was refused")
		}
		time.Sleep(8 * time.Second)
		if l.Valid() {
			t.Error("valid after the deadline")
		}
		l.renewed(time.Now().Add(-time.Second), 9*time.Second, 2, Checkpoint{}, false)
		if l.Valid() {
			t.Error("valid again")
		}
		if l.counter != 2 {
			t.Errorf("the counter is %d, want that of the table: 2", l.counter)
		}
	})
}
