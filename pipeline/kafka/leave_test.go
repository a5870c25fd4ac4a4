package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A group that waits for its other members keeps nobody from ending.
func TestCloseDoesNotWaitForARebalance(t *testing.T) {
	c := sharedCluster(t, 1)
	joining, others := make(chan struct{}, 1), make(chan struct{})
	c.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		select {
		case joining <- struct{}{}:
		default:
		}
		c.SleepControl(func() { <-others })
		return nil, nil, false
	})
	s, err := NewShared(sharedOptions(c, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	<-joining
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_ = s.Close(ctx) // it could not leave
	}()
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Error("a source waits with its end for the members of a group")
	}
	close(others)
	<-closed
}
