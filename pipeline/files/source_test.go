package files_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/pipeline/files"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is one record as the reader of a source sees it.
type seen struct {
	Label   string // with "#INDEX"
	Content string // payload, or "! " and the problem
}

// reading is what came of reading a source to its end.
type reading struct {
	records   []seen
	positions []map[string][]byte // after each record, what a commit there would hold
	final     map[string][]byte
	progress  files.Progress
	problems  []files.Problem
}

// read reads everything, as a worker does, and checks what a worker counts on:
// partitions are opened before their records and closed once, and the
// watermark never passes a record whose time is told by its payload.
func read(tb testing.TB, o files.Options, committed map[string][]byte) *reading {
	tb.Helper()
	return readLate(tb, o, committed, 0)
}

// readLate is read with a watermark that lags by lateness.
func readLate(tb testing.TB, o files.Options, committed map[string][]byte, lateness time.Duration) *reading {
	tb.Helper()
	s, err := files.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Start(context.Background(), committed); err != nil {
		tb.Fatal(err)
	}
	defer func() {
		if err := s.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	}()
	r := &reading{final: map[string][]byte{}}
	for k, v := range committed {
		r.final[k] = v
	}
	times := map[string]int64{}
	const noWatermark = math.MinInt64
	watermark := int64(noWatermark)
	// The strictest reader moves its watermark after each record.
	advance := func() {
		least := int64(math.MaxInt64)
		for _, t := range times {
			least = min(least, t)
		}
		if len(times) > 0 {
			watermark = max(watermark, least)
		}
	}
	for {
		b, err := s.Read(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		if !b.Live {
			tb.Error("a batch of files that is not live")
		}
		for _, p := range b.Open {
			if was, ok := times[p.Partition]; !ok || p.Time > was {
				times[p.Partition] = p.Time
			}
		}
		advance()
		for i, rec := range b.Records {
			if _, ok := times[rec.Partition]; !ok {
				tb.Errorf("a record of %s, which is not open", rec.Partition)
			}
			if t := timeOf(rec.Payload); t != 0 {
				if t < watermark-int64(lateness) && watermark > noWatermark {
					tb.Errorf("%s is late by %v", b.Places.Label(i), time.Duration(watermark-t))
				}
				times[rec.Partition] = max(times[rec.Partition], t)
				advance()
			}
			sn := seen{Label: b.Places.Label(i), Content: string(rec.Payload)}
			if rec.Index >= 0 {
				sn.Label = fmt.Sprint(sn.Label, "#", rec.Index)
			}
			if rec.Problem != "" {
				sn.Content = "! " + rec.Problem
			}
			r.records = append(r.records, sn)
			if pos := b.Places.Position(i); pos != nil {
				r.final[rec.Partition] = pos
			}
			at := map[string][]byte{}
			for k, v := range r.final {
				at[k] = v
			}
			r.positions = append(r.positions, at)
		}
		for _, e := range b.Closed {
			if _, ok := times[e.Partition]; !ok {
				tb.Errorf("%s is closed and was not open", e.Partition)
			}
			delete(times, e.Partition)
			if e.Position != nil {
				r.final[e.Partition] = e.Position
			}
		}
		advance()
		b.Release()
	}
	if len(times) != 0 {
		tb.Errorf("still open at the end: %v", times)
	}
	r.progress, r.problems = s.Progress(), s.Problems()
	return r
}

func event(at time.Time, id int) string {
	return fmt.Sprintf(`{"eventVersion":"1.08","eventTime":"%s","eventName":"X","eventID":"%d"}`, at.UTC().Format("2006-01-02T15:04:05Z"), id)
}

func timeOf(payload []byte) int64 {
	_, rest, ok := strings.Cut(string(payload), `"eventTime":"`)
	if !ok || len(rest) < 20 {
		return 0
	}
	t, err := time.Parse(time.RFC3339, rest[:20])
	if err != nil {
		return 0
	}
	return t.UnixNano()
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func write(tb testing.TB, name string, content []byte) string {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		tb.Fatal(err)
	}
	return name
}

func gz(tb testing.TB, members ...string) []byte {
	tb.Helper()
	var out bytes.Buffer
	for _, m := range members {
		w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write([]byte(m)); err != nil {
			tb.Fatal(err)
		}
		if err := w.Close(); err != nil {
			tb.Fatal(err)
		}
	}
	return out.Bytes()
}

func zst(tb testing.TB, s string) []byte {
	tb.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(64<<10))
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll([]byte(s), nil)
}

func TestFormats(t *testing.T) {
	dir := t.TempDir()
	a, b := event(start, 1), event(start.Add(time.Second), 2)
	lines := a + "\n" + b + "\n"
	records := `{"Records":[` + a + "," + b + `]}`
	asLines := []seen{{"F:1", a}, {"F:2", b}}
	asRecords := []seen{{"F#0", a}, {"F#1", b}}
	whole := "{\n \"messageType\": \"DATA_MESSAGE\",\n \"logEvents\": []\n}"
	cut := gz(t, lines, event(start, 3)+"\n")
	for _, c := range []struct {
		name    string
		content []byte
		want    []seen
	}{
		{"a.jsonl", []byte(lines), asLines},
		{"a.jsonl.gz", gz(t, lines), asLines},
		{"members.gz", gz(t, a+"\n", b+"\n"), asLines},
		{"torn-members.gz", gz(t, lines[:30], lines[30:]), asLines},
		{"nested.gz", gz(t, string(gz(t, lines))), asLines},
		{"zstd-in.gz", gz(t, string(zst(t, lines))), asLines},
		{"a.zst", zst(t, lines), asLines},
		{"frames.zst", append(zst(t, a+"\n"), zst(t, b+"\n")...), asLines},
		{"wrong-name.json", gz(t, records), asRecords},
		{"records.json.gz", gz(t, records), asRecords},
		{"records.json", []byte(strings.ReplaceAll(records, ",{", ",\n  {")), []seen{{"F#0", a}, {"F#1", b}}},
		{"whole.json", []byte(whole), []seen{{"F", whole}}},
		{"empty.json", nil, nil},
		{"empty.json.gz", gz(t, ""), nil},
		{"cut.gz", cut[:len(cut)-30], []seen{{"F:1", a}, {"F:2", b}, {"F:3", "! cannot be read on after "}}},
		{"three-deep.gz", gz(t, string(gz(t, string(gz(t, "x"))))), nil},
	} {
		name := write(t, filepath.Join(dir, c.name), c.content)
		r := read(t, files.Options{Paths: []string{name}}, nil)
		if c.name == "three-deep.gz" { // it is what it is: bytes in lines, which nobody can read
			if len(r.records) == 0 {
				t.Errorf("%s: nothing was found", c.name)
			}
			continue
		}
		var got []seen
		for _, s := range r.records {
			s.Label = strings.Replace(s.Label, name, "F", 1)
			if strings.HasPrefix(s.Content, "! cannot be read on after ") {
				s.Content = s.Content[:len("! cannot be read on after ")]
			}
			got = append(got, s)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: -want +got\n%s", c.name, d)
		}
		if p := r.progress; p.Bytes != int64(len(c.content)) || p.Bytes != p.TotalBytes || p.Files != 1 {
			t.Errorf("%s: progress %+v of %d bytes", c.name, p, len(c.content))
		}
		if got, want := len(r.problems), strings.Count(c.name, "cut"); got != want {
			t.Errorf("%s: problems %v", c.name, r.problems)
		}
		if again := read(t, files.Options{Paths: []string{name}}, r.final); len(again.records) != 0 || again.progress.Files != 1 {
			t.Errorf("%s: read again after its end: %v %+v", c.name, again.records, again.progress)
		}
	}
}

func TestLargePayloads(t *testing.T) {
	var lines []string
	var want []seen
	name := filepath.Join(t.TempDir(), "x.jsonl")
	for i := range 40 {
		l := fmt.Sprintf(`{"n":%d,"x":"%s"}`, i, strings.Repeat(string(rune('a'+i%26)), i*i*300))
		lines = append(lines, l)
		want = append(want, seen{fmt.Sprint(name, ":", i+1), l})
	}
	write(t, name, []byte(strings.Join(lines, "\n")))
	if d := cmp.Diff(want, read(t, files.Options{Paths: []string{name}}, nil).records); d != "" {
		t.Error(d)
	}
}

func TestStdin(t *testing.T) {
	a, b := event(start, 1), event(start, 2)
	r := read(t, files.Options{Paths: []string{"-"}, Stdin: bytes.NewReader(gz(t, a+"\n"+b+"\n"))}, nil)
	if d := cmp.Diff([]seen{{"-:1", a}, {"-:2", b}}, r.records); d != "" {
		t.Error(d)
	}
	s, err := files.New(files.Options{Paths: []string{"-"}, Stdin: strings.NewReader("")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), r.final); err == nil || !strings.Contains(err.Error(), "cannot be read again") {
		t.Errorf("resuming standard input: %v", err)
	}
}

// What a pipe has given comes out although the pipe is still open.
func TestStdinDoesNotWaitForMore(t *testing.T) {
	pr, pw := io.Pipe()
	s, err := files.New(files.Options{Paths: []string{"-"}, Stdin: pr})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := fmt.Fprintf(pw, "{\"n\":%d}\n{\"half\":", i); err != nil {
			t.Fatal(err)
		}
		for records := 0; records == 0; {
			b, err := s.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			records = len(b.Records)
			b.Release()
		}
		if _, err := io.WriteString(pw, "1}\n"); err != nil {
			t.Fatal(err)
		}
	}
	pw.Close()
	for {
		b, err := s.Read(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b.Release()
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	logs := filepath.Join(dir, "AWSLogs", "111122223333", "CloudTrail", "eu-west-1", "2026", "03", "01")
	e := event(start, 1) + "\n"
	b := write(t, filepath.Join(logs, "b.json.gz"), gz(t, e))
	a := write(t, filepath.Join(logs, "a.JSONL"), []byte(e))
	write(t, filepath.Join(logs, "readme.txt"), []byte("hi\n"))
	if err := os.Symlink(filepath.Join(logs, "gone"), filepath.Join(logs, "dangling.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	labels := func(r *reading) []string {
		var l []string
		for _, s := range r.records {
			l = append(l, s.Label)
		}
		return l
	}
	r := read(t, files.Options{Paths: []string{dir, a, filepath.Join(logs, "*.gz")}}, nil)
	if d := cmp.Diff([]string{a + ":1", b + ":1"}, labels(r)); d != "" {
		t.Error(d)
	}
	if r.progress.Skipped != 3 {
		t.Errorf("skipped %d", r.progress.Skipped)
	}
	r = read(t, files.Options{Paths: []string{filepath.Join(dir, "loop", "AWSLogs")}, AllFiles: true}, nil)
	if len(r.records) != 3 || r.progress.Skipped != 1 {
		t.Errorf("all files: %v, skipped %d", labels(r), r.progress.Skipped)
	}
	for _, bad := range []string{filepath.Join(dir, "nothing"), filepath.Join(dir, "*.nothing"), "[", filepath.Join(logs, "dangling.json")} {
		s, err := files.New(files.Options{Paths: []string{bad}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context(), nil); err == nil {
			t.Errorf("%s: no error", bad)
		}
		if _, err := s.Read(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("%s: reading after a failed start: %v", bad, err)
		}
	}
}

// A file that answers an error to every read does not stop the others.
func TestUnreadable(t *testing.T) {
	const mem = "/proc/self/mem" // reading its first page is an I/O error
	if _, err := os.Stat(mem); err != nil {
		t.Skipf("no %s here", mem)
	}
	name := write(t, filepath.Join(t.TempDir(), "a.json"), []byte(event(start, 1)))
	r := read(t, files.Options{Paths: []string{mem, name}}, nil)
	if len(r.records) != 2 || len(r.problems) != 1 || r.problems[0].Path != mem {
		t.Fatalf("%v %v", r.records, r.problems)
	}
	if !strings.HasPrefix(r.records[0].Content, "! cannot be read: ") || r.records[0].Label != mem {
		t.Errorf("%v", r.records[0])
	}
	if _, ok := r.final[mem]; ok {
		t.Error("the next run would not try the file again")
	}
}

func TestResumeRefuses(t *testing.T) {
	dir := t.TempDir()
	lines := strings.Repeat(event(start, 1)+"\n", 40)
	name := write(t, filepath.Join(dir, "a.jsonl"), []byte(lines))
	r := read(t, files.Options{Paths: []string{name}}, nil)
	for what, c := range map[string]struct{ content, want string }{
		"shrunk":  {lines[:len(lines)/2], "shrank"},
		"another": {strings.Replace(lines, "X", "Y", 1), "another one"},
	} {
		write(t, name, []byte(c.content))
		s, err := files.New(files.Options{Paths: []string{name}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context(), r.positions[3]); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	write(t, name, []byte(lines+`{"new":1}`))
	if got := read(t, files.Options{Paths: []string{name}}, r.final).records; len(got) != 1 || got[0] != (seen{name + ":41", `{"new":1}`}) {
		t.Errorf("a file that grew: %v", got)
	}
	for _, bad := range []string{"", "x", "\x01", "\x02\x01\x00\x00\x00\x00\x00", string(r.final[name]) + "x"} {
		s, err := files.New(files.Options{Paths: []string{name}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context(), map[string][]byte{name: []byte(bad)}); err == nil {
			t.Errorf("position %q: no error", bad)
		}
	}
}

// tree writes events, dealt out to files of all formats, as a trail delivers
// them: each file is a slice of time whose events are out of order by up to
// disorder.
func tree(tb testing.TB, rng *rand.Rand, dir string, disorder time.Duration) (events int) {
	tb.Helper()
	id := 0
	for i := range 1 + rng.IntN(12) {
		at := start.Add(time.Duration(rng.IntN(3600)) * time.Second)
		var evs []string
		for range rng.IntN(150) {
			at = at.Add(time.Duration(rng.IntN(30)) * time.Second)
			e := event(at.Add(-time.Duration(rng.Int64N(int64(disorder)+1))), id)
			// Large enough that a tree makes many batches.
			evs = append(evs, e[:len(e)-1]+`,"pad":"`+strings.Repeat("x", rng.IntN(4000))+`"}`)
			id++
		}
		records := `{"Records":[` + strings.Join(evs, ",") + `]}`
		lines := strings.Join(evs, "\n")
		name := filepath.Join(dir, fmt.Sprintf("%d/%d.", i%3, i))
		switch rng.IntN(5) {
		case 0:
			write(tb, name+"json", []byte(records))
		case 1:
			write(tb, name+"json.gz", gz(tb, records))
		case 2:
			write(tb, name+"jsonl", []byte(lines))
		case 3:
			write(tb, name+"jsonl.gz", gz(tb, lines))
		case 4:
			write(tb, name+"zst", zst(tb, lines))
		}
	}
	return id
}

// Nothing is late, nothing is lost, the order is the same every time, and
// from any record on the rest is the rest.
func TestMerge(t *testing.T) {
	base := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		dir := filepath.Join(base, fmt.Sprint(n))
		if err := os.Mkdir(dir, 0o755); err != nil {
			rt.Fatal(err)
		}
		lateness := rapid.SampledFrom([]time.Duration{0, 10 * time.Minute}).Draw(rt, "lateness")
		events := tree(t, rand.New(rand.NewPCG(1, rapid.Uint64().Draw(rt, "seed"))), dir, lateness)
		o := files.Options{Paths: []string{dir}, MaxOpen: rapid.SampledFrom([]int{1, 2, 64}).Draw(rt, "open")}
		all := readLate(t, o, nil, lateness)
		if len(all.records) != events {
			rt.Fatalf("%d records of %d events", len(all.records), events)
		}
		if d := cmp.Diff(all.records, readLate(t, o, nil, lateness).records); d != "" {
			rt.Fatalf("read twice: %s", d)
		}
		if events == 0 {
			return
		}
		cut := rapid.IntRange(0, events-1).Draw(rt, "cut")
		rest := readLate(t, o, all.positions[cut], lateness)
		want := slices.Clone(all.records[cut+1:])
		got := slices.Clone(rest.records)
		for _, s := range [][]seen{want, got} { // per file the order is fixed; between files it is the merge's
			slices.SortStableFunc(s, func(a, b seen) int { return strings.Compare(partition(a), partition(b)) })
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			rt.Fatalf("after record %d: %s", cut, d)
		}
		if d := cmp.Diff(all.final, rest.final); d != "" {
			rt.Fatalf("last positions: %s", d)
		}
	})
}

func partition(s seen) string {
	if i := strings.LastIndexAny(s.Label, "#:"); i > 0 {
		return s.Label[:i]
	}
	return s.Label
}

// The merge keeps close to the order of time: what is ahead of the watermark is
// about a chunk of a file, not a file.
func TestMergeIsInOrder(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		var lines []string
		for k := range 5000 {
			lines = append(lines, event(start.Add(time.Duration(k*5+i)*time.Second), k))
		}
		write(t, filepath.Join(dir, fmt.Sprint(i, ".jsonl")), []byte(strings.Join(lines, "\n")))
	}
	var newest int64
	for _, s := range read(t, files.Options{Paths: []string{dir}}, nil).records {
		at := timeOf([]byte(s.Content))
		newest = max(newest, at)
		if behind := time.Duration(newest - at); behind > 300*5*time.Second {
			t.Fatalf("%s comes %v behind the newest", s.Label, behind)
		}
	}
}

func TestManySmallFiles(t *testing.T) {
	dir := t.TempDir()
	const n = 3000
	for i := range n {
		at := start.Add(time.Duration(i%700) * time.Minute)
		name := fmt.Sprintf("111122223333_CloudTrail_eu-west-1_%s_%d.json.gz", at.Format("20060102T1504Z"), i)
		write(t, filepath.Join(dir, fmt.Sprint(i%100), name), gz(t, `{"Records":[`+event(at, i)+`]}`))
	}
	r := read(t, files.Options{Paths: []string{dir}}, nil)
	if len(r.records) != n || r.progress.Files != n {
		t.Errorf("%d records, %+v", len(r.records), r.progress)
	}
}

func TestOptions(t *testing.T) {
	_, err := files.New(files.Options{MaxLine: -1, MaxOpen: -2})
	for _, want := range []string{"no path", "MaxLine is -1", "MaxOpen is -2"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestCloseInTheMiddle(t *testing.T) {
	name := write(t, filepath.Join(t.TempDir(), "a.jsonl"), bytes.Repeat([]byte(event(start, 1)+"\n"), 50000))
	s, err := files.New(files.Options{Paths: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	b, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Release()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error("closing twice:", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Read(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("reading with an ended context: %v", err)
	}
}

func BenchmarkLines(b *testing.B) {
	line := event(start, 1)[:60] + strings.Repeat("x", 1100) + "\"}\n"
	name := write(b, filepath.Join(b.TempDir(), "a.jsonl"), []byte(strings.Repeat(line, 50000)))
	benchmark(b, name, len(line)*50000)
}

func BenchmarkRecords(b *testing.B) {
	line := event(start, 1)
	line = line[:len(line)-1] + strings.Repeat(`,"requestParameters":{"k":"value of some length"}`, 20) + `}`
	name := write(b, filepath.Join(b.TempDir(), "a.json"), []byte(`{"Records":[`+strings.Repeat(line+",", 50000)+`{}]}`))
	benchmark(b, name, len(line)*50000)
}

func BenchmarkGzipLines(b *testing.B) {
	var all bytes.Buffer
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 50000 {
		fmt.Fprintf(&all, "%s%x%x%s\n", event(start, i), rng.Uint64(), rng.Uint64(), strings.Repeat("requestParameters", 60))
	}
	name := write(b, filepath.Join(b.TempDir(), "a.gz"), gz(b, all.String()))
	benchmark(b, name, all.Len())
}

func benchmark(b *testing.B, name string, bytes int) {
	b.Helper()
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	for b.Loop() {
		s, err := files.New(files.Options{Paths: []string{name}})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Start(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
		for {
			batch, err := s.Read(b.Context())
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			batch.Release()
		}
		if err := s.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
