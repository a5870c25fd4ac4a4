package kafka

import (
	"bytes"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

func contents(t rapid.TB, e *entries) map[string]string {
	got := map[string]string{}
	for key, value := range e.all() {
		if _, twice := got[string(key)]; twice {
			t.Fatalf("%q comes twice", key)
		}
		got[string(key)] = string(value)
	}
	return got
}

func TestEntriesAgreeWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e entries
		model := map[string]string{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			key := bytes.Repeat([]byte{byte(rapid.IntRange(0, 4).Draw(t, "key"))}, rapid.SampledFrom([]int{0, 1, 25, 31, 32, 80}).Draw(t, "length"))
			if rapid.IntRange(0, 3).Draw(t, "op") == 0 {
				e.delete(key)
				delete(model, string(key))
				continue
			}
			value := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value")
			e.put(key, value)
			model[string(key)] = string(value)
			if got := e.get(key); got == nil || !bytes.Equal(got, value) {
				t.Fatalf("%q holds %q, want %q", key, got, value)
			}
		}
		if got := contents(t, &e); !maps.Equal(model, got) || e.len() != len(model) {
			t.Fatalf("%d entries %v, want %v", e.len(), got, model)
		}
	})
}

// Keys that stand behind deleted ones for want of a place are found all the same.
func TestManyEntries(t *testing.T) {
	var e entries
	model := map[string]string{}
	for n := range 60_000 {
		key := fmt.Sprintf("key-%d", n*7919%20_011)
		if n%3 == 2 {
			e.delete([]byte(key))
			delete(model, key)
			continue
		}
		value := fmt.Sprint(n)
		e.put([]byte(key), []byte(value))
		model[key] = value
	}
	for key, want := range model {
		if got := e.get([]byte(key)); string(got) != want {
			t.Fatalf("%s holds %q, want %q", key, got, want)
		}
	}
	if got := contents(t, &e); !maps.Equal(model, got) || e.len() != len(model) {
		t.Errorf("%d entries, want %d", e.len(), len(model))
	}
}

// Values that grow leave their old room behind; it is bounded.
func TestEntriesBoundWhatIsDead(t *testing.T) {
	var e entries
	model := map[string]string{}
	grow := func(keys, from, to int) {
		for n := from; n < to; n++ {
			key, value := fmt.Sprintf("k%d", n%keys), fmt.Sprintf("%0*d", 1000+n, n)
			e.put([]byte(key), []byte(value))
			model[key] = value
		}
	}
	grow(50, 0, 8_000)
	held := 0
	for _, c := range e.chunks {
		held += cap(c)
	}
	if limit := 2*e.live + tolerated + 2*chunkSize; held > limit {
		t.Errorf("%d bytes are held for %d, want at most %d", held, e.live, limit)
	}
	if got := contents(t, &e); !maps.Equal(model, got) {
		t.Error("the values differ after they were copied together")
	}
	for key := range model {
		e.delete([]byte(key))
	}
	if e.live != 0 || e.len() != 0 {
		t.Errorf("%d bytes of %d entries after all were deleted", e.live, e.len())
	}
}

func TestCacheKeepsTheNewest(t *testing.T) {
	c := cache{limit: 10_000}
	for n := range int64(1000) {
		c.put(cacheKey{offset: n}, fmt.Appendf(nil, "%0*d", n%300, n))
		if c.bytes > c.limit {
			t.Fatalf("%d bytes, bound %d", c.bytes, c.limit)
		}
		if got, ok := c.get(cacheKey{offset: n}); !ok || string(got) != fmt.Sprintf("%0*d", n%300, n) {
			t.Fatalf("the newest is %q", got)
		}
	}
	if _, ok := c.get(cacheKey{offset: 500}); ok || len(c.at) < 20 {
		t.Errorf("%d are kept, the oldest: %v", len(c.at), ok)
	}
	c.put(cacheKey{offset: 5000}, make([]byte, 20_000))
	if _, ok := c.get(cacheKey{offset: 5000}); ok {
		t.Error("a value above the bound is kept")
	}
}
