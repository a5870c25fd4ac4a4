package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/trailtide/trailtide/bench/measure"
)

// BenchmarkMatch is matching alone, on events that lie in memory.
//
//	sparse    a tenth of the events are candidates, however many rules there are
//	dense     the more rules, the more events are candidates
//	shared    all events have the name that all rules ask for
//	no-match  no rule names any of the events
//	builtin   the built-in pack
func BenchmarkMatch(b *testing.B) {
	for _, c := range corpora(b) {
		b.Run(c.name, func(b *testing.B) {
			m := newRuleMaker(b, c)
			race := func(name string, c corpus, contenders ...measure.Contender) {
				b.Run(name, func(b *testing.B) {
					base := []measure.Contender{parsing(b, c), hashing(c), splitting(c)}
					measure.Bench(b, measure.Options{}, true, append(base, contenders...)...)
				})
			}
			var sparse, dense []measure.Contender
			for _, n := range []int{10, 1000, 10_000} {
				name := fmt.Sprintf("rules=%d", n)
				sparse = append(sparse, matching(b, name, c, m.sparse(n)))
				dense = append(dense, matching(b, name, c, m.dense(n)))
			}
			race("sparse", c, sparse...)
			race("dense", c, dense...)

			logins := c.renamed("ConsoleLogin")
			one := newRuleMaker(b, logins)
			race("shared", logins,
				matching(b, "rules=10", logins, one.shared(10, "ConsoleLogin")),
				matching(b, "rules=10000", logins, one.shared(10_000, "ConsoleLogin")))

			race("no-match", c,
				matching(b, "rules=10000", c, m.quiet(10_000)),
				working(b, "worker", c, compile(b, m.quiet(10_000))))

			race("builtin", c, matching(b, "rules=pack", c, pack(b)))
		})
	}
}

// BenchmarkCompile builds the index of 10,000 rules.
func BenchmarkCompile(b *testing.B) {
	m := newRuleMaker(b, generated(b, 2000))
	rules := m.dense(10_000)
	b.ReportAllocs()
	var took []float64
	for b.Loop() {
		start := measure.CPU()
		compile(b, rules)
		took = append(took, float64(measure.CPU()-start)/float64(time.Millisecond))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(measure.Median(took), "ms-cpu")
}
