package bench

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/gzip"
	"github.com/valyala/fastjson"

	"github.com/trailtide/trailtide/bench/measure"
	"github.com/trailtide/trailtide/bench/traffic"
	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
	"github.com/trailtide/trailtide/pipeline/files"
	"github.com/trailtide/trailtide/sinks"
)

// fileEvents is how many events a file has.
const fileEvents = 50_000

// eachLine reads a file of lines the plain way.
func eachLine(tb testing.TB, path string, zipped bool, each func(line []byte)) {
	tb.Helper()
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if zipped {
		if r, err = gzip.NewReader(bufio.NewReader(f)); err != nil {
			tb.Fatal(err)
		}
	}
	buf := make([]byte, 256<<10)
	n := 0
	for {
		k, err := r.Read(buf[n:])
		n += k
		rest := buf[:n]
		for {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			each(rest[:i])
			rest = rest[i+1:]
		}
		n = copy(buf, rest)
		if err == io.EOF {
			return
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// scanning is what the scan command does: a worker from files to alerts.
func scanning(tb testing.TB, name, path string, rs *matcher.Ruleset) measure.Contender {
	tb.Helper()
	tb.Helper()
	return measure.Contender{Name: name, Events: fileEvents, Run: func() {
		src, err := files.New(files.Options{Paths: []string{path}})
		if err != nil {
			tb.Fatal(err)
		}
		alerts := 0
		eng := memory.New(memory.Options{OnAlert: func(*sinks.Alert) { alerts++ }})
		w, err := pipeline.New(pipeline.Options{Source: src, Engine: eng, Rules: rs})
		if err != nil {
			tb.Fatal(err)
		}
		if err := w.Run(tb.Context()); err != nil {
			tb.Fatal(err)
		}
		if err := src.Close(context.Background()); err != nil {
			tb.Fatal(err)
		}
		if s := w.Summary(); s.Read != fileEvents || s.Invalid > 0 {
			tb.Fatalf("read %d events, %d invalid; want %d", s.Read, s.Invalid, fileEvents)
		}
	}}
}

// BenchmarkFiles is the whole pipeline from a file to alerts, with 1,000 rules
// and with the built-in pack, beside the least that it could do: split the file
// into lines and match each.
func BenchmarkFiles(b *testing.B) {
	events := made(b, fileEvents, traffic.Config{Seed: 1, Incidents: -1})
	c := corpus{"generated", events[:2000]}
	text := append(bytes.Join(events, []byte{'\n'}), '\n')
	dir := b.TempDir()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(text); err != nil {
		b.Fatal(err)
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	for _, file := range []struct {
		name   string
		data   []byte
		zipped bool
	}{{"ndjson", text, false}, {"gz", zipped.Bytes(), true}} {
		path := filepath.Join(dir, "events."+file.name)
		if err := os.WriteFile(path, file.data, 0o600); err != nil {
			b.Fatal(err)
		}
		for _, set := range []struct {
			name  string
			rules []*matcher.Rule
		}{{"rules=1000", newRuleMaker(b, c).sparse(1000)}, {"rules=pack", pack(b)}} {
			b.Run(file.name+"/"+set.name, func(b *testing.B) {
				rs := compile(b, set.rules)
				m := rs.NewMatcher()
				var ev cloudtrail.Event
				var hits []matcher.Hit
				var p fastjson.Parser
				var sum uint64
				over := func(name string, each func(line []byte)) measure.Contender {
					return measure.Contender{Name: name, Events: fileEvents, Run: func() { eachLine(b, path, file.zipped, each) }}
				}
				measure.Bench(b, measure.Options{Rounds: 7}, false,
					over("split+match", func(line []byte) {
						ev.Reset(line)
						hits, _, _ = m.Match(hits[:0], &ev)
					}),
					scanning(b, "scan", path, rs),
					over("split", func(line []byte) { sum += uint64(len(line)) }),
					over("split+xxhash", func(line []byte) { sum += xxhash.Sum64(line) }),
					over("split+parse", func(line []byte) {
						if _, err := p.ParseBytes(line); err != nil {
							b.Fatal(err)
						}
					}))
			})
		}
	}
}
