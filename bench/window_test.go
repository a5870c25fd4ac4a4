package bench

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/trailtide/trailtide/bench/measure"
	"github.com/trailtide/trailtide/window"
)

// dice is a fast random sequence.
type dice uint64

func (d *dice) roll(n int) int {
	*d ^= *d << 13
	*d ^= *d >> 7
	*d ^= *d << 17
	return int((uint64(*d) >> 32) * uint64(n) >> 32)
}

// keyMaker writes keys as rules make them, a hash and a few group-by values, in
// one place: a real one is in the cache when it is observed.
type keyMaker []byte

func newKeyMaker() keyMaker { return []byte("01234567\x00123456789012\x00AROAEXAMPLEEXAMPLE:........") }

func (k keyMaker) key(i int) []byte {
	binary.BigEndian.PutUint64(k[len(k)-8:], uint64(i))
	return k
}

// updates is how many updates one Run makes, and after how many a commit comes.
const updates = 10_000

// BenchmarkWindow is a store in balance, with about so many keys: matches come,
// chains end, and each 10,000 updates are drained, encoded and committed. It
// runs beside one read and write of a random line of 64 MiB, which no table
// larger than the caches can do without, and beside hashing the key and looking
// it up in a map.
func BenchmarkWindow(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			lines := make([]uint64, 64<<20/8)
			d := dice(88172645463325252)
			line := func() {
				for range updates {
					lines[d.roll(len(lines)/8)*8]++
				}
			}
			table, key := make(map[uint64]uint32, n), newKeyMaker()
			for i := range n {
				table[xxhash.Sum64(key.key(i))] = uint32(i)
			}
			lookup := func() {
				for range updates {
					table[xxhash.Sum64(key.key(d.roll(n)))]++
				}
			}
			s, err := window.NewStore(window.Options{MaxBytes: 1 << 40})
			if err != nil {
				b.Fatal(err)
			}
			m := window.Match{Policy: window.Policy{N: 4, Within: time.Minute}}
			step := int64(time.Minute) / int64(n) // so that a key's matches are Within apart in the mean
			update := func() {
				for range updates {
					m.Key = key.key(d.roll(n))
					m.Time += step
					binary.LittleEndian.PutUint64(m.ID[:], uint64(m.Time))
					s.Observe(&m)
				}
				s.Advance(m.Time, true)
				s.Drain(func(*window.Change) {})
				s.Dirty(func(_, _ []byte) {})
				s.Commit()
			}
			for range 3 * n / updates {
				update()
			}
			o := measure.Options{Rounds: 9, Slice: 300 * time.Millisecond}
			if n < 100_000 {
				o = measure.Options{}
			}
			measure.Bench(b, o, true,
				measure.Contender{Name: "line", Events: updates, Run: line},
				measure.Contender{Name: "hash+map", Events: updates, Run: lookup},
				measure.Contender{Name: "update", Events: updates, Run: update})
		})
	}
}
