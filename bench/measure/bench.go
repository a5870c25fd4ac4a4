package measure

import "testing"

// Bench races the contenders and reports each as a benchmark of its own under
// b, with the metrics
//
//	x-FIRST       CPU time as a multiple of the first contender's, named FIRST
//	ns-cpu/event  CPU time an event
//	events/s      events a second of CPU time
//	instr/event   instructions an event, where they can be counted
//
// instructions says whether the last is wanted: it means something only where
// all contenders work on the calling goroutine. With -count, each run is a race.
func Bench(b *testing.B, o Options, instructions bool, contenders ...Contender) {
	b.Helper()
	var races [][]Result
	for i := range contenders {
		run := -1
		b.Run(contenders[i].Name, func(b *testing.B) {
			b.Helper()
			if b.N == 1 { // the framework begins every run with it, and asks again with more
				if run++; run == len(races) {
					races = append(races, Race(o, contenders...))
				}
			}
			if run >= len(races) {
				b.Fatal("a contender failed")
			}
			races[run][i].report(b, races[run][0].Name, instructions)
		})
	}
}

func (r *Result) report(b *testing.B, first string, instructions bool) {
	b.Helper()
	b.Helper()
	b.ReportMetric(0, "ns/op") // it says nothing here
	b.ReportMetric(r.Ratio, "x-"+first)
	b.ReportMetric(r.Nanos, "ns-cpu/event")
	b.ReportMetric(1e9/r.Nanos, "events/s")
	if instructions && r.Instructions > 0 {
		b.ReportMetric(r.Instructions, "instr/event")
	}
}
