package kinesis

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/kinesis/lease"
)

// goneAfter is how many looks in a row must not find a stream before it counts
// as deleted.
const goneAfter = 3

// manyLooks is how many looks in a row may leave a shard out that exists,
// before it is read although its parents are not known, or its children without
// it. After behindAfter of them it is told.
const (
	manyLooks   = 60
	behindAfter = 3
)

// stream is one stream to read. What is below mu in Source is guarded by it.
type stream struct {
	target
	s      *Source
	client *kinesis.Client
	log    *zap.Logger
	asked  chan struct{} // has a token when a look is wanted soon

	// Guarded by Source.mu.
	streamARN string              // as the service says
	created   int64               // Unix milliseconds; 0: not known yet
	leaseKey  string              // of its shards in the lease table
	consumer  string              // ARN of the fan-out consumer
	committed map[string]position // given at the start, by shard ID
	known     bool                // it was read before: new shards begin at their start
	listed    bool                // its shards are known
	asOf      int64               // when it was listed, by the service's clock: Unix milliseconds
	missing   int                 // looks in a row that did not find it
	shards    map[string]*shard
	probes    map[*reading]bool
	children  map[string][]string // IDs of the known ones, by parent
	begun     int                 // number of the newest look
	done      int                 // number of the newest that succeeded
	looked    chan struct{}       // closed at the end of a look
	failing   map[any]error       // who cannot read: a *reading, or the stream itself
}

func newStream(s *Source, t target) *stream {
	return &stream{
		target: t, s: s, log: s.o.Log.With(zap.String("stream", t.label)),
		asked:     make(chan struct{}, 1), // a token
		committed: make(map[string]position), shards: make(map[string]*shard), probes: make(map[*reading]bool), children: make(map[string][]string),
		looked: make(chan struct{}), failing: make(map[any]error),
	}
}

// state is how far a shard has come.
type state int

const (
	stateWaiting state = iota // for its parents
	stateUnknown              // in no list: whether it is there is being asked
	stateReading              // by this worker
	stateDrained              // read to its end, or trimmed
)

// shard is a place in a stream's family of shards. Guarded by Source.mu.
type shard struct {
	st      *stream
	id      string
	name    string // of its partition
	parents []string
	pos     position // where it begins
	state   state
	seen    int  // number of the look that listed it last; 0: none did
	left    int  // looks in a row that left it out though it exists
	wanted  bool // it was listed, or has a position: that it is gone is a loss
	end     int  // once drained: the look that its children must be in
	closed  bool // its partition is closed
}

// add makes a shard known, and answers whether it was not. The caller holds mu.
func (st *stream) add(id string, parents []string) (*shard, bool) {
	for _, p := range parents {
		if !slices.Contains(st.children[p], id) {
			st.children[p] = append(st.children[p], id)
		}
	}
	if sh := st.shards[id]; sh != nil {
		if len(sh.parents) == 0 {
			sh.parents = parents
		}
		return sh, false
	}
	sh := &shard{st: st, id: id, name: partition(st.label, id), parents: parents}
	st.shards[id] = sh
	return sh, true
}

// place says where a shard that was not known begins. closed says that the
// stream's own list has it closed, now that of the server. The caller holds mu.
func (st *stream) place(sh *shard, closed bool, now time.Time) {
	pos, ok := st.committed[sh.id]
	if ok {
		sh.pos, sh.wanted = pos, true
		if pos.kind == finished {
			sh.state, sh.closed = stateDrained, true
		} else if st.s.leases == nil {
			// It was begun before the restart, and holds the watermark whether it is
			// listed by now or has to wait for what is known of its parents.
			st.s.openPart(sh.name)
		}
		return
	}
	sh.pos = position{kind: atHorizon, created: st.created}
	start := st.s.o.startTime()
	switch {
	case !start.IsZero():
		sh.pos = position{kind: atTime, created: st.created, millis: start.UnixMilli()}
	case st.known || st.s.o.Start != startLatest:
	case closed:
		sh.pos = position{kind: finished, created: st.created}
		sh.state, sh.closed = stateDrained, true
	default: // a time, so that a restart before the first record begins there too
		sh.pos = position{kind: atTime, created: st.created, millis: now.UnixMilli()}
	}
	if sh.pos.kind != atHorizon && st.s.leases == nil {
		st.s.setPosition(sh.name, sh.pos)
	}
}

// settle begins to read the shards whose parents are drained, and closes the
// drained ones whose children are begun, in this order: so the children hold
// the watermark before the parents let it go. The caller holds mu.
func (st *stream) settle() {
	s := st.s
	if s.leases != nil || s.closing {
		return
	}
	for again := true; again; {
		again = false
		for _, sh := range st.sorted() {
			if sh.state != stateWaiting {
				continue
			}
			ready := true
			for _, id := range sh.parents {
				p := st.shards[id]
				if p == nil {
					p = st.unlisted(id)
					again = true
				}
				ready = ready && p.state == stateDrained
			}
			if ready {
				s.begin(sh)
			}
		}
	}
	for _, sh := range st.shards {
		if sh.state == stateDrained && !sh.closed && st.inherited(sh) {
			sh.closed = true
			s.closePart(sh.name, sh.pos.encode())
		}
	}
}

// inherited says whether a drained shard has nothing to hold the watermark for:
// its children are begun, or there are none. The caller holds mu.
func (st *stream) inherited(sh *shard) bool {
	for _, id := range st.children[sh.id] {
		if c := st.shards[id]; c != nil && (c.state == stateWaiting || c.state == stateUnknown) {
			return false
		}
	}
	return len(st.children[sh.id]) > 0 || st.done >= sh.end
}

// unlisted makes a shard known that is in no list: retention has removed it,
// or the list is behind. The service is asked which; until its parents are
// known, it must not be read. The caller holds mu.
func (st *stream) unlisted(id string) *shard {
	sh, _ := st.add(id, nil)
	st.place(sh, true, time.Time{})
	if sh.state == stateDrained {
		return sh
	}
	sh.state = stateUnknown
	ctx, cancel := context.WithCancel(context.Background())
	r := newReading(st, id, sh.pos)
	r.cancel = cancel
	st.probes[r] = true
	st.s.work.Go(func() {
		defer cancel()
		st.probe(ctx, sh, r)
	})
	return sh
}

// probe asks for a shard until it is known to be gone, or was listed.
func (st *stream) probe(ctx context.Context, sh *shard, r *reading) {
	iterator, last := r.iterator(ctx)
	for n := 0; iterator != "" && n < manyLooks; n++ { // it exists: a list will have it
		if gone, err := st.gone(ctx, sh.id); err != nil || !gone {
			break
		}
	}
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	st.fineLocked(r)
	delete(st.probes, r)
	if r.over || ctx.Err() != nil {
		return
	}
	sh.state = stateWaiting
	if last != nil {
		st.lost(sh)
		sh.state, sh.closed = stateDrained, true
		if sh.wanted {
			sh.closed = false // its partition may hold the watermark of the time before
			sh.pos.kind = finished
		}
	}
	st.settle()
	s.wake()
}

// lost tells of a shard that retention has removed.
func (st *stream) lost(sh *shard) {
	if !sh.wanted {
		return
	}
	st.s.metrics.trimmed.Inc()
	st.log.Error("retention removed a shard before it was read to its end", zap.String("shard", sh.id))
}

// sorted are the shards by ID: the older first.
func (st *stream) sorted() []*shard {
	return slices.SortedFunc(maps.Values(st.shards), func(a, b *shard) int { return cmp.Compare(a.id, b.id) })
}

// finish notes that a shard is drained. The caller holds mu.
func (st *stream) finish(sh *shard, children []lease.Shard) {
	sh.state, sh.end = stateDrained, st.begun+1
	sh.pos = position{kind: finished, created: sh.pos.created, sequence: sh.pos.sequence}
	for _, c := range children {
		if child, added := st.add(c.ID, c.Parents); added {
			st.place(child, false, time.Time{})
		}
	}
	if len(children) == 0 {
		st.look()
	}
	st.settle()
}

// forget stops reading a stream that is gone or another now. The caller holds mu.
func (st *stream) forget() {
	for _, r := range st.s.readings {
		if r.st == st {
			st.keep(r.shard, r.handed)
			st.s.end(r)
		}
	}
	for _, sh := range st.shards {
		if sh.state == stateDrained {
			st.keep(sh.id, sh.pos)
		}
		if !sh.closed {
			st.s.closePart(sh.name, nil)
		}
	}
	for r := range st.probes {
		st.s.end(r)
	}
	clear(st.probes)
	clear(st.shards)
	clear(st.children)
	clear(st.failing)
	st.listed, st.consumer = false, ""
}

// keep remembers where a shard stands, in case that it is the same stream that
// is found again. The caller holds mu.
func (st *stream) keep(id string, pos position) {
	if pos.sameStream(st.created) {
		st.committed[id] = pos
	}
}
