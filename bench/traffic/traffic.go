// Package traffic makes the CloudTrail traffic of an organisation: everyday
// calls with the skew that real ones have, at any rate, out of order and twice
// if wanted, and incidents planted among them that a rule set has to find. The
// same Config gives the same bytes, on every machine.
package traffic

import (
	"container/heap"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"
)

// Config says what to make. Zero values are the defaults.
type Config struct {
	Seed     uint64
	Accounts int      // default 40
	Regions  []string // the most used first; default eight; us-east-1 has the global services
	Users    int      // principals of the whole organisation; default 400
	// Start is the first event's time; default 2026-01-05T08:00:00Z.
	Start time.Time
	// EventsPerSecond is how fast event time goes on: the everyday events in a
	// second of it; default 1,000.
	EventsPerSecond float64
	// Lateness is the most by which an event comes after later ones; 0: all
	// come in order.
	Lateness time.Duration
	// Duplicates is the share of events that come a second time, within the
	// lateness; 0 to 1.
	Duplicates float64
	// Incidents is how many incidents to plant, one of each of Kinds in turn; -1: without end.
	Incidents int
	// IncidentEvery is the event time from one incident to the next; default 5 s.
	IncidentEvery time.Duration
}

func (c *Config) validate() error {
	if c.Accounts == 0 {
		c.Accounts = 40
	}
	if c.Users == 0 {
		c.Users = 400
	}
	if len(c.Regions) == 0 {
		c.Regions = []string{"us-east-1", "eu-west-1", "us-west-2", "eu-central-1", "us-east-2", "ap-southeast-2", "ap-northeast-1", "ca-central-1"}
	}
	if c.Start.IsZero() {
		c.Start = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	}
	if c.EventsPerSecond == 0 {
		c.EventsPerSecond = 1000
	}
	if c.IncidentEvery == 0 {
		c.IncidentEvery = 5 * time.Second
	}
	var errs []error
	for _, p := range []struct {
		bad  bool
		what string
	}{
		{c.Accounts < 1 || c.Accounts > 100_000, fmt.Sprintf("Accounts is %d, it must be 1 to 100,000", c.Accounts)},
		{c.Users < 1 || c.Users > 1_000_000, fmt.Sprintf("Users is %d, it must be 1 to 1,000,000", c.Users)},
		{!(c.EventsPerSecond > 0 && c.EventsPerSecond <= 1e8), fmt.Sprintf("EventsPerSecond is %v, it must be over 0 and at most 1e8", c.EventsPerSecond)},
		{c.Lateness < 0, "Lateness is negative"},
		{!(c.Duplicates >= 0 && c.Duplicates <= 1), fmt.Sprintf("Duplicates is %v, it must be 0 to 1", c.Duplicates)},
		{c.IncidentEvery < time.Millisecond, "IncidentEvery is under a millisecond"},
	} {
		if p.bad {
			errs = append(errs, errors.New(p.what))
		}
	}
	return errors.Join(errs...)
}

// Generator makes events without end. One goroutine uses it.
type Generator struct {
	c        Config
	accounts []string
	people   []principal
	ops      []op
	pickOp   []uint16 // rank tables: a uniform place in them is a skewed choice
	pickUser []uint32
	pickSpot []uint16 // of the regions
	kinds    []kind

	n       uint64 // everyday events made
	planned int    // incidents planted
	queue   arrivals
	seq     uint64
	done    []Incident
}

// New compiles everything that events are made from.
func New(c Config) (*Generator, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("traffic: %w", err)
	}
	g := &Generator{c: c, ops: slices.Clone(benign), kinds: kinds()}
	for i := range g.ops {
		if err := g.ops[i].compile(); err != nil {
			return nil, err
		}
	}
	for i := range g.kinds {
		for k := range g.kinds[i].steps {
			if err := g.kinds[i].steps[k].op.compile(); err != nil {
				return nil, err
			}
		}
	}
	r := rng(c.Seed)
	for range c.Accounts {
		g.accounts = append(g.accounts, fmt.Sprintf("%012d", 100_000_000_000+r.next()%900_000_000_000))
	}
	accounts := zipf(c.Accounts, 1, 1<<12)
	for i := range c.Users {
		account := g.accounts[accounts[r.below(len(accounts))]]
		g.people = append(g.people, newPrincipal(&r, i, account))
	}
	for _, i := range zipf(len(g.ops), 1.1, 1<<14) {
		g.pickOp = append(g.pickOp, uint16(i))
	}
	for _, i := range zipf(len(c.Regions), 1.2, 1<<10) {
		g.pickSpot = append(g.pickSpot, uint16(i))
	}
	for i := range g.people {
		g.people[i].home = int(g.pickSpot[r.below(len(g.pickSpot))])
	}
	for _, i := range zipf(c.Users, 1, max(1<<14, 4*c.Users)) {
		g.pickUser = append(g.pickUser, uint32(i))
	}
	return g, nil
}

func (o *op) compile() error {
	for _, t := range []struct {
		src string
		to  *template
	}{{o.req, &o.reqT}, {o.resp, &o.respT}, {o.extra, &o.extraT}} {
		var err error
		if *t.to, err = compile(t.src); err != nil {
			return fmt.Errorf("%s:%s: %w", o.service, o.name, err)
		}
	}
	return nil
}

// zipf is a table of about size places, in which rank i of n has a share that
// falls with its power s, and each at least one place.
func zipf(n int, s float64, size int) []int {
	weights := make([]float64, n)
	sum := 0.0
	for i := range weights {
		weights[i] = 1 / math.Pow(float64(i+2), s)
		sum += weights[i]
	}
	var table []int
	for i, w := range weights {
		for range max(1, int(w/sum*float64(size))) {
			table = append(table, i)
		}
	}
	return table
}

// arrival is an event that is still on its way: little enough that a quarter
// of an hour of them fits into memory.
type arrival struct {
	when int64 // of coming, Unix nanoseconds
	seq  uint64
	at   int64  // event time, Unix nanoseconds
	n    uint64 // everyday event, or the step's number in its incident
	plan *plan  // nil: an everyday event
	copy bool   // it has come before
}

type arrivals []arrival

func (a arrivals) Len() int { return len(a) }
func (a arrivals) Less(i, j int) bool {
	return a[i].when < a[j].when || a[i].when == a[j].when && a[i].seq < a[j].seq
}
func (a arrivals) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push implements heap.Interface.
func (a *arrivals) Push(x any) { *a = append(*a, x.(arrival)) }

// Pop implements heap.Interface.
func (a *arrivals) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// AppendNext appends the next raw event, one JSON object on one line without
// its newline.
func (g *Generator) AppendNext(dst []byte) []byte {
	for {
		at := g.c.Start.UnixNano() + int64(float64(g.n)*(1e9/g.c.EventsPerSecond))
		for g.c.Incidents < 0 || g.planned < g.c.Incidents {
			due := g.c.Start.UnixNano() + int64(g.planned+1)*int64(g.c.IncidentEvery)
			if due > at {
				break
			}
			g.plant(due)
		}
		if len(g.queue) > 0 && g.queue[0].when <= at {
			a := g.pop()
			return g.render(dst, &a)
		}
		a := arrival{at: at, n: g.n}
		g.n++
		if g.c.Lateness == 0 && g.c.Duplicates == 0 && len(g.queue) == 0 {
			return g.render(dst, &a)
		}
		g.send(a)
	}
}

// send puts an event, and perhaps its duplicate, on the way.
func (g *Generator) send(a arrival) {
	r := mixed(g.c.Seed, a.n^uint64(a.at)<<20)
	twice := float64(r.next()>>11)/(1<<53) < g.c.Duplicates
	first, second := a.at, a.at
	if g.c.Lateness > 0 {
		first += int64(r.next() % uint64(g.c.Lateness))
		second += int64(r.next() % uint64(g.c.Lateness))
	}
	first, second = min(first, second), max(first, second)
	a.when = first
	g.push(a)
	if twice {
		a.when, a.copy = second, true
		g.push(a)
	}
}

func (g *Generator) push(a arrival) {
	g.seq++
	a.seq = g.seq
	heap.Push(&g.queue, a)
}

func (g *Generator) pop() arrival { return heap.Pop(&g.queue).(arrival) }

// Now is the event time that the generator has reached.
func (g *Generator) Now() time.Time {
	return g.c.Start.Add(time.Duration(float64(g.n) * (1e9 / g.c.EventsPerSecond)))
}

// Incidents are the planted incidents all of whose events have come, in the
// order of their times. The caller owns the slice.
func (g *Generator) Incidents() []Incident {
	all := slices.Clone(g.done)
	sort.SliceStable(all, func(i, j int) bool { return all[i].Time.Before(all[j].Time) })
	return all
}
