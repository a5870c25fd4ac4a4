package outbox

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A group that waits for its other members keeps nobody from ending.
func TestCloseDoesNotWaitForARebalance(t *testing.T) {
	f := newFleet(t, 1, "soc")
	box, err := Open(f.options())
	if err != nil {
		t.Fatal(err)
	}
	joining, others := make(chan struct{}, 1), make(chan struct{})
	f.cluster.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.cluster.KeepControl()
		select {
		case joining <- struct{}{}:
		default:
		}
		f.cluster.SleepControl(func() { <-others })
		return nil, nil, false
	})
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		_, _ = box.Read(t.Context(), "soc", 1) // ends with the outbox
	}()
	<-joining
	closed := make(chan error, 1)
	go func() { closed <- box.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(leaveWithin + 5*time.Second):
		t.Error("an outbox waits with its end for the members of a group")
	}
	close(others)
	<-reading
}
