//go:build unix

package chaos

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// crew are the workers of a trial, each in a numbered place, and the brokers
// that may be disturbed.
type crew struct {
	dir    string
	conf   func(place int) string
	nodes  []Node
	size   int // in quiet moments
	start  time.Time
	places map[int]*worker // those that have not been asked to end
	ending map[int]*worker // by place, the last one that was asked to
	later  []task          // sorted by time
	busy   sync.WaitGroup  // stops and broker restarts under way

	mu       sync.Mutex
	lines    []string
	problems []string
	counts   map[string]int
}

// task is something to be done later.
type task struct {
	at time.Duration
	do func()
}

func newCrew(dir string, conf func(int) string, nodes []Node, size int) *crew {
	return &crew{dir: dir, conf: conf, nodes: nodes, size: size, places: make(map[int]*worker), ending: make(map[int]*worker), counts: make(map[string]int)}
}

// note adds a line to the history.
func (c *crew) note(what, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what]++
	now := time.Now()
	c.lines = append(c.lines, fmt.Sprintf("%s %7.2fs  %-9s %s", now.UTC().Format("15:04:05.000"), now.Sub(c.start).Seconds(), what, fmt.Sprintf(format, args...)))
}

func (c *crew) problem(format string, args ...any) {
	c.note("PROBLEM", format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

func (c *crew) history() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.lines, "\n")
}

func (c *crew) summary() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var parts []string
	for _, what := range []string{"start", "kill", "outage", "halt", "stop", "node"} {
		parts = append(parts, fmt.Sprintf("%s %d", what, c.counts[what]))
	}
	return strings.Join(parts, ", ")
}

// perform follows the plan to its end. It answers what went wrong that must not.
func (c *crew) perform(ctx context.Context, p *plan) []string {
	c.start = time.Now()
	for place := range c.size {
		c.launch(place)
	}
	for i := range p.steps {
		s := &p.steps[i]
		c.schedule(s.at, func() { c.act(ctx, s) })
	}
	c.schedule(p.length, func() {})
	for len(c.later) > 0 && ctx.Err() == nil {
		t := c.later[0]
		c.later = c.later[1:]
		timer := time.NewTimer(time.Until(c.start.Add(t.at)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		c.look()
		t.do()
	}
	return c.taken()
}

// taken are the problems so far, which are told once.
func (c *crew) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.problems
	c.problems = nil
	return out
}

func (c *crew) schedule(at time.Duration, do func()) {
	i, _ := slices.BinarySearchFunc(c.later, at, func(t task, at time.Duration) int {
		if t.at <= at {
			return -1
		}
		return 1
	})
	c.later = slices.Insert(c.later, i, task{at, do})
}

func (c *crew) after(d time.Duration, do func()) { c.schedule(time.Since(c.start)+d, do) }

// look finds workers that ended and were not asked to.
func (c *crew) look() {
	for place, w := range c.places {
		if w.ended() && !w.meant {
			c.problem("%s ended by itself: %v", w.name(), w.err)
			delete(c.places, place)
		}
	}
}

func (c *crew) launch(place int) {
	if c.places[place] != nil {
		return
	}
	if old := c.ending[place]; static(place) && old != nil && !old.ended() {
		// A static member comes when its predecessor is gone, as in a stateful set.
		c.after(100*time.Millisecond, func() { c.launch(place) })
		return
	}
	w, err := launch(c.dir, c.conf(place), place)
	if err != nil {
		c.problem("start a worker: %v", err)
		return
	}
	c.places[place] = w
	c.note("start", "%s", w.name())
}

// one picks a worker that runs; nil: there is none.
func (c *crew) one(pick int) *worker {
	var all []*worker
	for _, w := range c.places {
		if !w.halted && !w.ended() {
			all = append(all, w)
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b *worker) int { return a.place - b.place })
	return all[pick%len(all)]
}

// leave empties a worker's place.
func (c *crew) leave(w *worker) {
	if c.places[w.place] == w {
		delete(c.places, w.place)
	}
}

func (c *crew) kill(w *worker, why string) {
	c.note("kill", "%s%s", w.name(), why)
	c.leave(w)
	w.kill()
}

// stop asks a worker to end, and then does something.
func (c *crew) stop(w *worker, then func()) {
	c.note("stop", "%s", w.name())
	c.leave(w)
	c.ending[w.place] = w
	w.meant = true
	if then != nil {
		then()
	}
	c.busy.Go(func() {
		if p := w.stop(); p != "" {
			c.problem("%s", p)
			return
		}
		c.note("stopped", "%s", w.name())
	})
}

// most is how many workers there are at most.
func (c *crew) most() int { return c.size + 3 }

func (c *crew) act(ctx context.Context, s *step) {
	switch s.act {
	case add:
		for place := range c.most() {
			if c.places[place] == nil {
				c.launch(place)
				return
			}
		}
		return
	case outage:
		for _, w := range c.places {
			c.note("outage", "%s", w.name())
			c.leave(w)
			w.kill()
			c.after(s.after, func() { c.launch(w.place) })
		}
		return
	case node:
		c.disturb(ctx, s)
		return
	case kill, halt, restart, remove, vanish:
	}
	w := c.one(s.pick)
	if w == nil {
		return
	}
	switch s.act {
	case kill:
		c.kill(w, "")
		c.after(s.after, func() { c.launch(w.place) })
	case halt:
		c.halt(w, s)
	case restart:
		// As at a rolling restart the next one comes when this one is gone, or before.
		c.stop(w, func() { c.after(s.after, func() { c.launch(w.place) }) })
	case remove:
		if len(c.places) > 2 {
			c.stop(w, nil)
		}
	case vanish:
		c.kill(w, "")
		if len(c.places) < 2 {
			c.after(s.after, func() { c.launch(w.place) })
		}
	case add, outage, node:
	}
}

// halt makes a zombie.
func (c *crew) halt(w *worker, s *step) {
	c.note("halt", "%s for %v", w.name(), s.after.Round(time.Millisecond))
	w.halted = true
	w.signal(syscall.SIGSTOP)
	c.after(s.after, func() {
		if c.places[w.place] != w {
			return // killed with all others
		}
		if s.fatal {
			c.kill(w, ", halted")
			c.launch(w.place)
			return
		}
		c.note("go on", "%s", w.name())
		w.signal(syscall.SIGCONT)
		w.halted = false
	})
}

// disturb takes a broker away for a while, beside everything else.
func (c *crew) disturb(ctx context.Context, s *step) {
	n := c.nodes[s.pick%len(c.nodes)]
	down, up, what := n.Kill, n.Start, "killed"
	switch s.how {
	case 1:
		down, what = n.Stop, "stopped"
	case 2:
		down, up, what = n.Pause, func(context.Context) error { return n.Resume() }, "halted"
	}
	c.busy.Go(func() {
		c.note("node", "broker %d is %s for %v", n.ID(), what, s.after.Round(time.Millisecond))
		if err := down(); err != nil {
			c.problem("broker %d: %v", n.ID(), err)
			return
		}
		timer := time.NewTimer(s.after)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		if err := up(ctx); err != nil {
			c.problem("broker %d: %v", n.ID(), err)
			return
		}
		c.note("back", "broker %d", n.ID())
	})
}

// calm lets everything go on, with as many workers as there should be.
func (c *crew) calm(context.Context) []string {
	c.busy.Wait()
	c.look()
	for _, w := range c.places {
		w.signal(syscall.SIGCONT)
		w.halted = false
	}
	for place := range c.size { // nobody is ending any more
		c.launch(place)
	}
	c.note("calm", "%d workers", len(c.places))
	return c.taken()
}

// fallen are workers that have ended while all is calm.
func (c *crew) fallen() []string {
	c.look()
	return c.taken()
}

// dismiss stops everybody at once, in good order.
func (c *crew) dismiss() []string {
	for _, w := range c.places {
		c.stop(w, nil)
	}
	c.busy.Wait()
	return c.taken()
}

// end kills what is left; for a test that has failed on its way.
func (c *crew) end() {
	for _, w := range c.places {
		w.kill()
	}
	c.busy.Wait()
}

// logs are the ends of all workers' logs.
func (c *crew) logs() map[string]string {
	out := make(map[string]string)
	paths, _ := filepath.Glob(filepath.Join(c.dir, "place-*.log"))
	for _, path := range paths {
		out[filepath.Base(path)] = tail(path, 6<<10)
	}
	return out
}
