package txn_test

import (
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
)

// What is said to be durable is, also where a client writes to a topic for the
// first time while more threads run than there are processors (see Flush). One
// transaction in a thousand was not under the race detector.
func TestFirstTransaction(t *testing.T) {
	const producers, rounds = 4, 150
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	c := newCluster(t, nil)
	var mu sync.Mutex
	var all sync.WaitGroup
	var durable []int
	for i := range producers {
		all.Go(func() {
			for j := range rounds {
				o := options(t, c)
				o.ID, o.Timeout = "t-"+strconv.Itoa(i), 30*time.Second
				p, err := txn.Open(t.Context(), o)
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				n := i*rounds + j
				start := time.Now()
				if err := p.Commit(t.Context(), values(n)); err != nil {
					t.Errorf("commit: %v", err)
				} else {
					mu.Lock()
					durable = append(durable, n)
					mu.Unlock()
				}
				if took := time.Since(start); took > o.Timeout/2 {
					t.Errorf("commit took %v", took)
				}
				p.Close()
			}
		})
	}
	all.Wait()
	slices.Sort(durable)
	if got := committed(t, c); !slices.Equal(got, durable) {
		t.Errorf("%d of %d transactions are there", len(got), len(durable))
	}
}
