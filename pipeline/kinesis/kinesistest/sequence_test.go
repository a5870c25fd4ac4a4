package kinesistest

import (
	"fmt"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawParts(t *rapid.T, label string) sequenceParts {
	return sequenceParts{
		epoch:   rapid.Uint64Range(0, 1<<36-1).Draw(t, label+" epoch"),
		shard:   rapid.Uint32().Draw(t, label+" shard"),
		count:   rapid.Uint64().Draw(t, label+" count"),
		flavour: rapid.Uint8().Draw(t, label+" flavour"),
		seconds: rapid.Uint64Range(0, 1<<36-1).Draw(t, label+" seconds"),
	}
}

// A sequence number has 56 digits, says its parts, and orders as a number and
// as a string by epoch, shard and count.
func TestSequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, r := drawParts(t, "a"), drawParts(t, "b")
		a, b := p.sequence(), r.sequence()
		text := a.String()
		if parsed, ok := parseSequence(text); !ok || parsed != a || len(text) != sequenceDigits || text[0] == '0' {
			t.Fatalf("%s is read as %+v", text, parsed)
		}
		if a.parts() != p {
			t.Fatalf("parts %+v, want %+v", a.parts(), p)
		}
		n, ok := new(big.Int).SetString(text, 10)
		m, ok2 := new(big.Int).SetString(b.String(), 10)
		if !ok || !ok2 || (n.Cmp(m) < 0) != a.less(b) || (text < b.String()) != a.less(b) {
			t.Fatalf("order of %s and %s", text, b)
		}
		if p.epoch == r.epoch && p.shard == r.shard && (p.count < r.count) && !a.less(b) {
			t.Fatal("the count does not count")
		}
	})
}

// A hash key is its decimal number, and shards of equal size tile them all.
func TestHashKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := u128{rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
		if b, err := parseHash(a.String()); err != nil || a != b || a.next().prev() != a {
			t.Fatalf("%v becomes %v (%v)", a, b, err)
		}
		starts := uniform(rapid.IntRange(1, 50).Draw(t, "n"))
		if starts[0] != (u128{}) || !slices.IsSortedFunc(starts, func(a, b u128) int {
			if a.less(b) {
				return -1
			}
			return 1
		}) {
			t.Fatalf("%v", starts)
		}
	})
	for _, bad := range []string{"", "-1", "+1", "01", "x", maxHash.String() + "0", fmt.Sprint("1", maxHash)} {
		if got, err := parseHash(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sequenceParts{epoch: 1_800_000_000, shard: 3, count: 7, seconds: 1_800_000_001}.sequence().String())
	f.Add(iterator{"a", 1, shard0, 7, 8}.token())
	f.Add(listToken{Stream: "a", After: shard0}.String())
	f.Add(maxHash.String())
	f.Fuzz(func(t *testing.T, s string) {
		if q, ok := parseSequence(s); ok && q.String() != s {
			t.Errorf("sequence number %s becomes %s", s, q)
		}
		if n, err := parseHash(s); err == nil && n.String() != s {
			t.Errorf("hash key %s becomes %s", s, n)
		}
		if it, err := parseIterator(s); err == nil {
			if again, err := parseIterator(it.token()); err != nil || again != it {
				t.Errorf("iterator %+v becomes %+v (%v)", it, again, err)
			}
		}
		if tok, ok := parseListToken(s); ok && tok.Stream == "" {
			t.Error("a token without a stream")
		}
	})
}
