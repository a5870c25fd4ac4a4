package fleet

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/alerting"
)

// shard is a stretch of events whose positions are their numbers.
type shard struct {
	name   string
	events [][]byte
}

// read makes a batch of what follows a position.
func (s *shard) read(from, n int) *pipeline.Batch {
	to := min(len(s.events), from+n)
	b := &pipeline.Batch{Places: shardPlaces{s.name, from}}
	for _, ev := range s.events[from:to] {
		b.Records = append(b.Records, pipeline.Record{Partition: s.name, Payload: ev, Index: -1})
	}
	return b
}

func number(position []byte) int {
	if position == nil {
		return 0
	}
	return int(binary.BigEndian.Uint64(position))
}

type shardPlaces struct {
	name string
	from int
}

func (p shardPlaces) Position(i int) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(p.from+i+1))
}
func (p shardPlaces) Label(i int) string { return fmt.Sprintf("%s@%d", p.name, p.from+i) }

// positioned is a source of one partition that goes on at its position.
type positioned struct {
	shard
	until int // it rests before this event
	at    int
	open  bool
	end   bool // it ends rather than rests
}

func (s *positioned) Start(_ context.Context, committed map[string][]byte) error {
	s.at = number(committed[s.name])
	return nil
}
func (s *positioned) Committed(map[string][]byte) {}
func (s *positioned) Close(context.Context) error { return nil }
func (s *positioned) Read(ctx context.Context) (*pipeline.Batch, error) {
	if !s.open {
		s.open = true
		return &pipeline.Batch{Open: []pipeline.PartitionTime{{Partition: s.name, Time: math.MinInt64}}}, nil
	}
	if s.at >= s.until {
		if s.end {
			return nil, io.EOF
		}
		rest := time.NewTimer(20 * time.Millisecond)
		defer rest.Stop()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-rest.C:
			return &pipeline.Batch{Live: true}, nil
		}
	}
	b := s.read(s.at, min(100, s.until-s.at))
	s.at += len(b.Records)
	return b, nil
}

func startOn(t testing.TB, c *kfake.Cluster, name string, rs *matcher.Ruleset, src pipeline.Source) *running {
	t.Helper()
	return start(t, c, name, rs, quiet, func(o *Options) { o.Source = src })
}

// A source without a group of its own is gone on with where its last
// transaction stands, whatever became of the answers: each event is matched once.
func TestPositionsAreDurableWithTheirMatches(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 21, 3_000)
	reference, counted := embedded(t, rs, events, alerting.Options{})
	want := final(reference)
	for name, inject := range map[string]func(t *testing.T, c *kfake.Cluster){
		"undisturbed": func(*testing.T, *kfake.Cluster) {},
		"aborts": func(_ *testing.T, c *kfake.Cluster) {
			everyNth(c, kmsg.EndTxn, "source", 3, kerr.TransactionAbortable)
		},
		"ends unanswered, durable": func(t *testing.T, c *kfake.Cluster) { loseEnds(t, c, "source", 3, true) },
		"ends unanswered, aborted": func(t *testing.T, c *kfake.Cluster) { loseEnds(t, c, "source", 3, false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := testBroker(t)
			inject(t, c)
			alerts := readAlerts(t, c)
			counter := start(t, c, "counter", rs, quiet)
			all := []*running{counter}
			const steps = 3
			for i := range steps {
				src := &positioned{shard: shard{"list", events}, until: len(events) * (i + 1) / steps, end: i == steps-1}
				w := start(t, c, fmt.Sprint("w", i), rs, quiet, impatient, func(o *Options) { o.Source = src })
				all = append(all, w)
				settled(t, src.until, all...)
				w.stop(t)
			}
			alerts.waitFor(t, want)
			if got := settled(t, len(events), all...); got.Matched != counted.Matched || got.Duplicate != counted.Duplicate {
				t.Errorf("%d matched, %d duplicate, want %d and %d", got.Matched, got.Duplicate, counted.Matched, counted.Duplicate)
			}
		})
	}
}

// A source that goes to another worker as a whole ends the one that had it.
func TestSourceThatAnotherWorkerReads(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 22, 1_000)
	reference, _ := embedded(t, rs, events, alerting.Options{})
	c := testBroker(t)
	alerts := readAlerts(t, c)
	old := startOn(t, c, "old", rs, &positioned{shard: shard{"list", events}, until: 500})
	eventually(t, "the first half is read", func() bool { return old.f.Summary().Read == 500 })
	startOn(t, c, "new", rs, &positioned{shard: shard{"list", events}, until: 1_000})
	if err := old.ended(t); err == nil {
		t.Error("the old worker ends without saying why")
	}
	alerts.waitFor(t, final(reference))
}

// leases says who reads which shard.
type leases struct {
	mu     sync.Mutex
	holder map[string]*leased
	moves  map[string]int // of a shard: who has lost it and got it back can tell
}

// give moves a shard.
func (l *leases) give(name string, to *leased) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holder[name] = to
	l.moves[name]++
}

// leased is a source of shards that move: some by agreement, some while the old
// holder does not know.
type leased struct {
	l      *leases
	shards []*shard
	ledger pipeline.Ledger
	at     map[string]int
	since  map[string]int // moves of the shard when it was taken
	mute   bool           // it gives shards up without telling the ledger: that was told before

	mu        sync.Mutex
	fenced    map[string]bool
	committed map[string]int // as far as it was told
	rests     map[string]int // shards that are read no further for now
}

func newLeased(l *leases, shards []*shard) *leased {
	return &leased{
		l: l, shards: shards, at: make(map[string]int), since: make(map[string]int), fenced: make(map[string]bool), committed: make(map[string]int),
		rests: make(map[string]int),
	}
}

func (s *leased) Fenced(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fenced[name] = true
}

// lost says whether a shard was fenced since the last call.
func (s *leased) lost(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.fenced[name]
	delete(s.fenced, name)
	return was
}

func (s *leased) Committed(positions map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, p := range positions {
		s.committed[name] = max(s.committed[name], number(p))
	}
}

// rest has a shard read so far and no further; negative: to its end.
func (s *leased) rest(name string, at int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rests[name] = at
}

// more says whether a shard is to be read on.
func (s *leased) more(sh *shard, at int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	rests, ok := s.rests[sh.name]
	return at < len(sh.events) && (!ok || rests < 0 || at < rests)
}

func (s *leased) told(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.committed[name]
}

func (s *leased) UseLedger(l pipeline.Ledger)                    { s.ledger = l }
func (s *leased) Start(context.Context, map[string][]byte) error { return nil }
func (s *leased) Close(context.Context) error {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	for name, h := range s.l.holder {
		if h == s {
			delete(s.l.holder, name)
		}
	}
	return nil
}

func (s *leased) Read(ctx context.Context) (*pipeline.Batch, error) {
	b := &pipeline.Batch{}
	for _, sh := range s.shards {
		s.l.mu.Lock()
		h := s.l.holder[sh.name]
		if h == nil {
			h = s
			s.l.holder[sh.name] = s
			s.l.moves[sh.name]++
		}
		moves := s.l.moves[sh.name]
		s.l.mu.Unlock()
		_, had := s.at[sh.name]
		switch {
		case had && (moves != s.since[sh.name] || s.lost(sh.name)): // it learns of it late: the new holder may have begun
			if !s.mute {
				s.ledger.Drop(sh.name)
			}
			delete(s.at, sh.name)
			b.Lost = append(b.Lost, sh.name)
		case h == s && !had:
			position, stay, err := s.ledger.Take(ctx, sh.name)
			if err != nil {
				return nil, err
			}
			s.at[sh.name], s.since[sh.name] = number(position), moves
			b.Open = append(b.Open, pipeline.PartitionTime{Partition: sh.name, Time: math.MinInt64, Stay: stay})
		}
	}
	if len(b.Lost)+len(b.Open) > 0 {
		return b, nil
	}
	for _, sh := range s.shards {
		if at, ok := s.at[sh.name]; ok && s.more(sh, at) && rand.IntN(2) == 0 {
			b = sh.read(at, 40)
			s.at[sh.name] += len(b.Records)
			return b, nil
		}
	}
	rest := time.NewTimer(2 * time.Millisecond)
	defer rest.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-rest.C:
		return &pipeline.Batch{}, nil
	}
}

// Shards move to and fro between two workers: every event is matched once.
func TestLeasedShardsMove(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 23, 4_000)
	reference, counted := embedded(t, rs, events, alerting.Options{})
	want := final(reference)
	c := testBroker(t)
	alerts := readAlerts(t, c)
	const n = 4
	var shards []*shard
	for i := range n {
		sh := &shard{name: fmt.Sprint("shard-", i)}
		for j := i; j < len(events); j += n {
			sh.events = append(sh.events, events[j])
		}
		shards = append(shards, sh)
	}
	l := &leases{holder: make(map[string]*leased), moves: make(map[string]int)}
	var sources []*leased
	for range 2 {
		sources = append(sources, newLeased(l, shards))
	}
	// Nothing is late, however far one shard is before another.
	calm := func(o *Options) { o.Alerting.Lateness = 48 * time.Hour }
	var all []*running
	for i, src := range sources {
		all = append(all, start(t, c, fmt.Sprint("w", i), rs, quiet, calm, func(o *Options) { o.Source = src }))
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	for i := range 20 {
		eventually(t, "more is read", func() bool { return sum(all...).Read >= int64(len(events)*i/30) })
		l.give(shards[r.IntN(n)].name, sources[r.IntN(2)])
	}
	alerts.waitFor(t, want)
	if got := settled(t, len(events), all...); got.Matched != counted.Matched || got.Duplicate != counted.Duplicate {
		t.Errorf("%d matched, %d duplicate, want %d and %d", got.Matched, got.Duplicate, counted.Matched, counted.Duplicate)
	}
}
