package window

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/trailtide/trailtide/bench/measure"
)

// dice is a fast random sequence.
type dice uint64

func (d *dice) roll(n int) int {
	*d ^= *d << 13
	*d ^= *d >> 7
	*d ^= *d << 17
	return int((uint64(*d) >> 32) * uint64(n) >> 32)
}

// benchKey is a key as rules make them: an ID and a few group-by values. It is
// written where the last one was, for a real one is in the cache too when it is
// observed.
type benchKey [63]byte

func newBenchKey() *benchKey {
	k := new(benchKey)
	copy(k[:], "console-login-failures\x00123456789012\x00AROAEXAMPLEEXAMPLE:........")
	return k
}

func (k *benchKey) set(i int) []byte {
	for at := len(k) - 1; at > len(k)-9; at-- {
		k[at] = byte('a' + i&15)
		i >>= 4
	}
	return k[:]
}

const perInterval = 10_000 // updates between two commits

func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkUpdate fills an empty store with five matches a key in random order,
// commits included, beside what it could not do without: hashing the key and
// looking it up, and beside the limit of the memory: one read and write of a
// random line of 64 MiB. The ratios are medians over rounds.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			key := newBenchKey()
			table := make(map[uint64]uint32, n)
			for i := range n {
				table[xxhash.Sum64(key.set(i))] = uint32(i)
			}
			lines := make([]uint64, 64<<20/8)
			ops := n * 5
			repeat := max(1, 1_000_000/ops)
			var (
				update, lookup, line []float64
				perKey, claimed      float64
				sink                 uint32
			)
			timed := func(fn func(d *dice)) float64 {
				d := dice(88172645463325252)
				start := measure.CPU()
				for range repeat {
					fn(&d)
				}
				return float64(measure.CPU()-start) / float64(ops*repeat)
			}
			for b.Loop() {
				line = append(line, timed(func(d *dice) {
					for range ops {
						lines[d.roll(len(lines)/8)*8]++
					}
				}))
				lookup = append(lookup, timed(func(d *dice) {
					for range ops {
						sink += table[xxhash.Sum64(key.set(d.roll(n)))]
					}
				}))
				runtime.GC()
				var s *Store
				update = append(update, timed(func(d *dice) {
					s = newStore(b, Options{MaxBytes: 1 << 40})
					fill(s, d, n, ops)
				}))
				before := heapBytes()
				claimed = float64(s.Stats().Bytes) / float64(s.Len())
				held := s.Len()
				runtime.KeepAlive(s)
				s = nil
				perKey = float64(before-heapBytes()) / float64(held)
			}
			runtime.KeepAlive(sink)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(measure.Median(update), "cpu-ns/update")
			b.ReportMetric(measure.Median(lookup), "cpu-ns/hash+map")
			b.ReportMetric(measure.Median(line), "cpu-ns/line")
			b.ReportMetric(measure.Ratio(update, lookup), "x-hash+map")
			b.ReportMetric(measure.Ratio(update, line), "x-line")
			b.ReportMetric(perKey, "B/key")
			b.ReportMetric(claimed, "claimed-B/key")
		})
	}
}

func fill(s *Store, d *dice, n, ops int) {
	key := newBenchKey()
	m := Match{Policy: Policy{N: 1000, Within: time.Minute}}
	for i := range ops {
		m.Key, m.Time = key.set(d.roll(n)), int64(i)
		m.ID[0], m.ID[1], m.ID[2], m.ID[3] = byte(i), byte(i>>8), byte(i>>16), byte(i>>24)
		s.Observe(&m)
		if i%perInterval == 0 {
			s.Commit()
		}
	}
	s.Commit()
}

// BenchmarkInterval is the life of a store in balance: keys come, chains end,
// and every interval is drained, encoded and committed. A key's matches are
// Within apart in the mean.
func BenchmarkInterval(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			key := newBenchKey()
			s := newStore(b, Options{MaxBytes: 1 << 40})
			m := Match{Policy: Policy{N: 4, Within: time.Minute}}
			step := int64(time.Minute) / int64(n)
			d := dice(88172645463325252)
			var state, changes int
			interval := func() {
				for range perInterval {
					m.Key = key.set(d.roll(n))
					m.Time += step
					m.ID[0], m.ID[1], m.ID[2], m.ID[3] = byte(m.Time), byte(m.Time>>8), byte(m.Time>>16), byte(m.Time>>24)
					s.Observe(&m)
				}
				s.Advance(m.Time, true)
				s.Drain(func(*Change) { changes++ })
				s.Dirty(func(_, st []byte) { state += len(st) })
				s.Commit()
			}
			for range 3 * n / perInterval {
				interval()
			}
			state, changes = 0, 0
			intervals := 0
			start := measure.CPU()
			for b.Loop() {
				interval()
				intervals++
			}
			updates := float64(intervals * perInterval)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(measure.CPU()-start)/updates, "cpu-ns/update")
			b.ReportMetric(float64(state)/updates, "state-B/update")
			b.ReportMetric(float64(changes)/updates, "changes/update")
			b.ReportMetric(float64(s.Len()), "keys")
		})
	}
}

// BenchmarkWatermark is what every matched event pays.
func BenchmarkWatermark(b *testing.B) {
	w := NewWatermark(time.Minute)
	names := make([]string, 64)
	for i := range names {
		names[i] = fmt.Sprintf("cloudtrail/%d", i)
		w.Open(names[i], 0)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		w.Observe(names[i%len(names)], int64(i))
		w.Value()
	}
}

// BenchmarkSeen remembers identities at the bound.
func BenchmarkSeen(b *testing.B) {
	const limit = 200_000
	before := heapBytes()
	s := NewSeen(limit)
	add := func(i int) {
		h := uint64(i) * 0x9e3779b97f4a7c15
		s.Observe(ID{byte(h), byte(h >> 8), byte(h >> 16), byte(h >> 24), byte(h >> 32), byte(i), byte(i >> 8), byte(i >> 16)}, 0, int64(i))
		if i%perInterval == 0 {
			s.Commit()
		}
	}
	i := 0
	for ; i < limit; i++ {
		add(i)
	}
	b.ReportMetric(float64(heapBytes()-before)/limit, "B/identity")
	for b.Loop() {
		i++
		add(i)
	}
}
