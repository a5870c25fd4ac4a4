package kinesis

import (
	"context"
	"time"
)

// A read brings maxGuess bytes at most. At the shard's end a reader sets aside
// what its reads brought there, but at least minGuess.
const (
	minGuess = 32 << 10
	maxGuess = 10 << 20
)

// mostAway is how long a reader at the shard's end may have been away before a
// whole answer may wait for it: a shard takes in 1 MiB a second.
const mostAway = 10 * time.Second

// expects is how many bytes the next read may bring.
func (r *reading) expects() int {
	if r.atEnd.IsZero() || time.Since(r.atEnd) > min(3*r.s.o.PollInterval, mostAway) {
		return maxGuess
	}
	return r.guess
}

// reserve sets aside in the budget what the next read may bring. An error is
// that of ctx.
func (r *reading) reserve(ctx context.Context) (int, error) {
	for {
		n := r.expects()
		if err := r.s.budget.acquire(ctx, n); err != nil {
			return 0, err
		}
		if r.expects() <= n {
			return n, nil
		}
		r.s.budget.change(-n) // it waited long, and more may have come
	}
}

// learn notes what a read brought that began at started. behind is negative if
// it is not known.
func (r *reading) learn(n int, behind int64, started time.Time) {
	r.guess = min(max(minGuess, n, r.guess-r.guess/4), maxGuess)
	r.atEnd = time.Time{}
	if behind == 0 {
		r.atEnd = started
	}
}
