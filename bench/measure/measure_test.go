package measure

import (
	"hash/crc32"
	"math"
	"testing"
	"time"
)

// TestRace tells work from twice as much of it, in CPU time and instructions.
func TestRace(t *testing.T) {
	buf := make([]byte, 64<<10)
	var sum uint32
	work := func(times int) func() {
		return func() {
			for range times {
				for i := range buf {
					sum = sum*31 + uint32(buf[i])
				}
				sum += crc32.ChecksumIEEE(buf)
			}
		}
	}
	got := Race(Options{Rounds: 15, Slice: 2 * time.Millisecond},
		Contender{Name: "once", Events: 1, Run: work(1)},
		Contender{Name: "twice", Events: 1, Run: work(2)},
		Contender{Name: "twice as many", Events: 2, Run: work(2)})
	for i, want := range []float64{1, 2, 1} {
		// The bounds are wide for the sake of busy machines.
		if r := got[i].Ratio; r < want*0.7 || r > want*1.4 {
			t.Errorf("%s: ratio %.2f, want about %v", got[i].Name, r, want)
		}
		if r := got[i].InstructionRatio; r != 0 && math.Abs(r-want) > 0.1*want {
			t.Errorf("%s: %.2f times the instructions, want about %v", got[i].Name, r, want)
		}
		if got[i].Nanos <= 0 {
			t.Errorf("%s: %v ns an event", got[i].Name, got[i].Nanos)
		}
	}
}

func TestMedian(t *testing.T) {
	x := []float64{3, 1, 2}
	if got := Median(x); got != 2 || x[0] != 3 {
		t.Errorf("median %v of %v, want 2 of 3 1 2", got, x)
	}
	if got := Median(nil); got != 0 {
		t.Errorf("median of nothing is %v, want 0", got)
	}
	if got := Ratio([]float64{2, 9, 8}, []float64{1, 3, 2}); got != 3 {
		t.Errorf("ratio %v, want 3", got)
	}
}

// TestCPU: work takes CPU time.
func TestCPU(t *testing.T) {
	before := CPU()
	x := 1.0
	for range 1 << 22 {
		x = math.Sqrt(x + 1)
	}
	if took := CPU() - before; took <= 0 {
		t.Errorf("work took %v of CPU time (%v)", took, x)
	}
}

// BenchmarkBench shows what Bench prints.
func BenchmarkBench(b *testing.B) {
	buf := make([]byte, 64<<10)
	var sum uint32
	hash := func() { sum += crc32.ChecksumIEEE(buf) }
	Bench(b, Options{Rounds: 3}, true,
		Contender{Name: "once", Events: 1, Run: hash},
		Contender{Name: "twice", Events: 1, Run: func() { hash(); hash() }})
}
