package kinesis

import (
	"context"

	"go.uber.org/zap"
)

// unknown says whether a probe is for a shard that no look has had, though one
// succeeded. One that is to be read may be younger than the last look.
func (st *stream) unknown(r *reading) bool {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	sh := st.shards[r.shard]
	return st.probes[r] && st.listed && (sh == nil || sh.seen == 0)
}

// gone says whether a shard that the service does not know is really gone: a
// look that begins from now on must not list it. It blocks until then; an
// error is that of ctx.
func (st *stream) gone(ctx context.Context, id string) (bool, error) {
	n, err := st.nextLook(ctx)
	if err != nil {
		return false, err
	}
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	if sh := st.shards[id]; sh != nil && sh.seen >= n {
		return false, nil
	}
	st.log.Debug("a shard is gone", zap.String("shard", id))
	return true, nil
}

// nextLook waits for a look that begins from now on and succeeds, and returns
// the number of the first that may be it. An error is that of ctx.
func (st *stream) nextLook(ctx context.Context) (int, error) {
	s := st.s
	s.mu.Lock()
	want := st.begun + 1
	for st.done < want {
		looked := st.looked
		s.mu.Unlock()
		st.look()
		select {
		case <-looked:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		s.mu.Lock()
	}
	s.mu.Unlock()
	return want, nil
}

// look asks for a look at the stream soon.
func (st *stream) look() {
	select {
	case st.asked <- struct{}{}:
	default:
	}
}
