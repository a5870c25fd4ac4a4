package harness

import (
	"bytes"
	"testing"
	"time"

	"github.com/trailtide/trailtide/bench/traffic"
)

// Planted makes n events, shuffled within 15 minutes and one in twenty of them
// twice, with incidents all of whose events are among them. An event is valid
// until put returns.
func Planted(t testing.TB, n int, put func(event []byte)) []traffic.Incident {
	t.Helper()
	const lateness = 15 * time.Minute
	perSecond := float64(n) / 3 / lateness.Seconds() // 45 minutes, more or less
	incidents := 5 * len(traffic.Kinds())
	g, err := traffic.New(traffic.Config{
		Seed: 20260105, EventsPerSecond: perSecond, Lateness: lateness, Duplicates: 0.05,
		Incidents: incidents, IncidentEvery: lateness / time.Duration(incidents),
	})
	if err != nil {
		t.Fatal(err)
	}
	var buf []byte
	for range n {
		buf = g.AppendNext(buf[:0])
		put(buf)
	}
	all := g.Incidents()
	if len(all) != incidents {
		t.Fatalf("%d of %d incidents have come whole", len(all), incidents)
	}
	return all
}

// Busy is planted traffic, with a broken event after every 3000.
func Busy(t testing.TB, n int) [][]byte {
	t.Helper()
	var events [][]byte
	Planted(t, n, func(ev []byte) {
		events = append(events, bytes.Clone(ev))
		if len(events)%3000 == 0 {
			events = append(events, bytes.Clone(ev[:len(ev)/2]))
		}
	})
	return events
}
