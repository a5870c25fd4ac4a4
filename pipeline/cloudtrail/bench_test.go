package cloudtrail

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fastjson"
)

// BenchmarkGate compares what every event costs (unwrap it, see its name) with
// a fastjson parse of the same event, in turns within one process, as a ratio
// of CPU time: the times themselves depend on the machine's other guests.
func BenchmarkGate(b *testing.B) {
	payload := []byte(consoleLogin)
	u, ev := NewUnwrapper(Limits{}), new(Event)
	var name int
	emit := func(Item) { name += len(ev.Name()) }
	var p fastjson.Parser
	gate := func() { u.Unwrap(payload, ev, emit) }
	scan := func() { ev.Reset(payload); name += len(ev.Name()) }
	parse := func() {
		if _, err := p.ParseBytes(payload); err != nil {
			b.Fatal(err)
		}
	}
	const slice = 20000
	var gates, scans []float64
	var parseTime time.Duration
	rounds := 0
	for b.Loop() {
		parsed := cpu(slice, parse)
		gates = append(gates, float64(cpu(slice, gate))/float64(parsed))
		scans = append(scans, float64(cpu(slice, scan))/float64(parsed))
		parseTime += parsed
		rounds++
	}
	slices.Sort(gates)
	slices.Sort(scans)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(gates[len(gates)/2], "gate/parse")
	b.ReportMetric(scans[len(scans)/2], "name/parse")
	b.ReportMetric(float64(parseTime.Nanoseconds())/float64(rounds)/slice, "parse-ns")
	if name == 0 {
		b.Fatal("no name was read")
	}
}

// cpu returns the processor time of this process over n calls of f.
func cpu(n int, f func()) time.Duration {
	start := processTime()
	for range n {
		f()
	}
	return processTime() - start
}

func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
