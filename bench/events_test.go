package bench

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/trailtide/trailtide/bench/traffic"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// corpus is a set of events, each a JSON object on one line.
type corpus struct {
	name   string
	events [][]byte
}

// generated returns n events of an organisation's everyday traffic. They lie
// one behind the other in memory, as in a file or a fetch.
func generated(tb testing.TB, n int) corpus {
	tb.Helper()
	return corpus{"generated", made(tb, n, traffic.Config{Seed: 1})}
}

func made(tb testing.TB, n int, c traffic.Config) [][]byte {
	tb.Helper()
	g, err := traffic.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	var all []byte
	ends := make([]int, n)
	for i := range ends {
		all = g.AppendNext(all)
		ends[i] = len(all)
	}
	events, start := make([][]byte, n), 0
	for i, end := range ends {
		events[i] = all[start:end:end]
		start = end
	}
	return events
}

// corpora are the generated events and, where TRAILTIDE_TESTDATA names a
// directory with cloudtrail/*.jsonl[.gz], those of real trails.
func corpora(tb testing.TB) []corpus {
	tb.Helper()
	all := []corpus{generated(tb, 2000)}
	dir := os.Getenv("TRAILTIDE_TESTDATA")
	if dir == "" {
		return all
	}
	names, err := filepath.Glob(filepath.Join(dir, "cloudtrail", "*.jsonl*"))
	if err != nil || len(names) == 0 {
		tb.Fatalf("TRAILTIDE_TESTDATA: no cloudtrail/*.jsonl in %s: %v", dir, err)
	}
	recorded := corpus{name: "recorded"}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		if strings.HasSuffix(name, ".gz") {
			r, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				tb.Fatal(err)
			}
			if data, err = io.ReadAll(r); err != nil {
				tb.Fatal(err)
			}
		}
		for line := range bytes.Lines(data) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				recorded.events = append(recorded.events, line)
			}
		}
	}
	var ev cloudtrail.Event
	recorded.events = slices.DeleteFunc(recorded.events, func(raw []byte) bool {
		isEvent := false
		cloudtrail.NewUnwrapper(cloudtrail.Limits{}).Unwrap(raw, &ev, func(it cloudtrail.Item) {
			isEvent = it.Kind == cloudtrail.ItemEvent && !it.Wrapped
		})
		return !isEvent // what the corpora have beside events
	})
	return append(all, recorded)
}

// renamed returns copies of the events that all have one name.
func (c corpus) renamed(name string) corpus {
	out := corpus{name: c.name}
	for _, raw := range c.events {
		before, rest, ok := bytes.Cut(raw, []byte(`"eventName":"`))
		_, after, closed := bytes.Cut(rest, []byte{'"'})
		if !ok || !closed {
			continue
		}
		out.events = append(out.events, bytes.Join([][]byte{before, []byte(`"eventName":"` + name + `"`), after}, nil))
	}
	return out
}
