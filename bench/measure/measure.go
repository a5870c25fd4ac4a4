// Package measure compares the cost of pieces of work within one process.
//
// A shared machine moves absolute figures twofold from one minute to the next,
// and ratios of work that ran in turns by about a tenth. So contenders run in
// slices of a few milliseconds, one after the other, round after round; cost is
// CPU time of the process, which leaves out what other guests of the machine
// take and counts what the garbage collector does on other threads; and what
// is told of a contender is the median over the rounds of its ratio to the
// first one's.
package measure

import (
	"runtime"
	"slices"
	"time"
)

// Contender is one way of doing a piece of work.
type Contender struct {
	Name string
	// Events is how many events one Run handles, above 0.
	Events int
	// Run does the work once. A slice calls it until its time is over.
	Run func()
}

// Options of Race. Zero values are the defaults.
type Options struct {
	Rounds int // default 15
	// Slice is the CPU time of one contender in one round, at least one Run.
	// Default 20 ms; 300 ms where the contenders' structures are larger than the
	// caches, so that each finds them as it left them.
	Slice time.Duration
}

func (o *Options) setDefaults() {
	if o.Rounds <= 0 {
		o.Rounds = 15
	}
	if o.Slice <= 0 {
		o.Slice = 20 * time.Millisecond
	}
}

// Result is what a contender cost, medians over the rounds.
type Result struct {
	Name  string
	Ratio float64 // CPU time an event, as a multiple of the first contender's
	Nanos float64 // CPU time an event
	// Instructions an event that the calling thread retired in user mode; 0
	// where the kernel does not count them. Work of other goroutines is not in it.
	Instructions float64
	// InstructionRatio is a multiple of the first contender's; 0 as above.
	InstructionRatio float64
}

// Race runs the contenders in turns and returns their results in the same
// order. The first is what the others are compared with.
func Race(o Options, contenders ...Contender) []Result {
	o.setDefaults()
	runtime.LockOSThread() // for the counter, which is the thread's
	defer runtime.UnlockOSThread()
	c := openCounter()
	defer c.close()

	type samples struct{ nanos, ratio, count, countRatio []float64 }
	all := make([]samples, len(contenders))
	for i := range contenders {
		contenders[i].Run() // grow buffers, fill caches
	}
	for range o.Rounds {
		var base, baseCount float64
		for i := range contenders {
			nanos, count := slice(&contenders[i], o.Slice, c)
			if i == 0 {
				base, baseCount = nanos, count
			}
			s := &all[i]
			s.nanos, s.ratio = append(s.nanos, nanos), append(s.ratio, nanos/base)
			if baseCount > 0 {
				s.count, s.countRatio = append(s.count, count), append(s.countRatio, count/baseCount)
			}
		}
	}
	results := make([]Result, len(contenders))
	for i := range contenders {
		s := &all[i]
		results[i] = Result{
			Name: contenders[i].Name, Nanos: Median(s.nanos), Ratio: Median(s.ratio),
			Instructions: Median(s.count), InstructionRatio: Median(s.countRatio),
		}
	}
	return results
}

// slice runs c for at least d of CPU time and returns what an event cost.
func slice(c *Contender, d time.Duration, n *counter) (nanos, instructions float64) {
	runs := 0
	count, start := n.read(), CPU()
	for {
		c.Run()
		runs++
		if took := CPU() - start; took >= d {
			events := float64(runs * c.Events)
			return float64(took) / events, float64(n.read()-count) / events
		}
	}
}

// Median returns the middle of x, 0 of nothing. x is left as it is.
func Median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	x = slices.Clone(x)
	slices.Sort(x)
	return x[len(x)/2]
}

// Ratio returns the median of the ratios of a[i] to b[i]: what was measured in
// the same round.
func Ratio(a, b []float64) float64 {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = a[i] / b[i]
	}
	return Median(r)
}
