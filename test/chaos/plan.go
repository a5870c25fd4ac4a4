//go:build unix

package chaos

import (
	"math/rand/v2"
	"time"
)

// action is what a step does.
type action int

const (
	kill    action = iota // SIGKILL, and another one in its place
	halt                  // SIGSTOP; later SIGCONT, or SIGKILL
	restart               // SIGTERM, and another one in its place
	add                   // one worker more
	remove                // SIGTERM
	vanish                // SIGKILL of a worker that is not replaced
	outage                // SIGKILL of all workers at once
	node                  // something happens to a broker
)

// step is one act of the schedule. Whom it meets hangs on who is there.
type step struct {
	at    time.Duration // since the start
	act   action
	pick  int           // whom, modulo those that there are
	after time.Duration // until it is made good
	fatal bool          // of halt: it ends with SIGKILL
	how   int           // of node: kill, stop, pause
}

// plan is a schedule. The same options give the same one.
type plan struct {
	steps  []step
	length time.Duration
}

func newPlan(o *Options) *plan {
	g := &planner{o: o, r: rand.New(rand.NewPCG(o.Seed, 3)), now: 3 * time.Second}
	for g.kills < o.Kills {
		g.now += o.Pace/5 + g.upTo(o.Pace*8/5)
		g.next()
	}
	return &plan{steps: g.steps, length: g.now + 2*time.Second}
}

type planner struct {
	o     *Options
	r     *rand.Rand
	now   time.Duration
	kills int
	steps []step
	free  time.Duration // when the brokers are whole again, and a while after
}

func (g *planner) upTo(d time.Duration) time.Duration { return time.Duration(g.r.Int64N(int64(d) + 1)) }

func (g *planner) put(s step) {
	s.at, s.pick = g.now, g.r.IntN(1<<16)
	g.steps = append(g.steps, s)
	if s.act == kill || s.act == vanish || s.act == outage || s.fatal {
		g.kills++
	}
}

func (g *planner) next() {
	switch k := g.r.IntN(100); {
	case k < 36:
		g.put(step{act: kill, after: g.upTo(3 * time.Second)})
	case k < 58:
		g.put(step{act: halt, after: time.Second + g.upTo(g.o.Halt-time.Second), fatal: g.r.IntN(3) == 0})
	case k < 72:
		g.put(step{act: restart, after: g.upTo(2 * time.Second)})
	case k < 79:
		g.put(step{act: add})
	case k < 83:
		g.put(step{act: remove})
	case k < 86:
		g.put(step{act: vanish})
	case k < 89:
		g.put(step{act: outage, after: g.upTo(3 * time.Second)})
	case k < 94:
		g.storm()
	case len(g.o.Nodes) > 0 && g.now >= g.free:
		s := step{act: node, how: g.r.IntN(3), after: g.upTo(4 * time.Second)}
		g.put(s)
		g.free = g.now + s.after + 15*time.Second
	default:
		g.put(step{act: kill})
	}
}

// storm lets workers come and go faster than the group can settle.
func (g *planner) storm() {
	for range 3 + g.r.IntN(3) {
		g.put(step{act: add})
		g.now += 100*time.Millisecond + g.upTo(600*time.Millisecond)
		g.put(step{act: []action{remove, vanish}[g.r.IntN(2)]})
		g.now += g.upTo(600 * time.Millisecond)
	}
}
