package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// show frames src and writes one line a frame: its label without the file, and
// its payload or problem.
func show(t testing.TB, src io.Reader, at place, maxLine, maxDoc int) (frames []string, after []place) {
	t.Helper()
	f := newFramer(src, make([]byte, 16), maxLine, maxDoc, at)
	for range 1_000_000 {
		fr, err := f.next()
		if errors.Is(err, io.EOF) {
			if !f.place.done {
				t.Fatal("io.EOF at a place that is not done")
			}
			return frames, after
		}
		if err != nil {
			t.Fatalf("next: %v", err)
		}
		label := "F"
		if fr.line > 0 {
			label = fmt.Sprint("F:", fr.line)
		}
		if fr.index >= 0 {
			label = fmt.Sprint(label, "#", fr.index)
		}
		what := string(fr.payload)
		if fr.problem != "" {
			what = "! " + fr.problem
		}
		frames = append(frames, label+" "+what)
		after = append(after, fr.after)
	}
	t.Fatal("no end")
	return nil, nil
}

var framings = []struct {
	name, in string
	want     []string
}{
	{"nothing", "", nil},
	{"white space", " \n\n ", nil},
	{"lines", "{\"a\":1}\n{\"b\":2}\n", []string{`F:1 {"a":1}`, `F:2 {"b":2}`}},
	{"blank lines count", "\n{\"a\":1}\r\n  \r\n\n{\"b\":2}", []string{`F:2 {"a":1}`, `F:5 {"b":2}`}},
	{"byte order mark", "\xef\xbb\xbf{\"a\":1}\n", []string{`F:1 {"a":1}`}},
	{"one line without an end", `{"a":1}`, []string{`F:1 {"a":1}`}},
	{"first line cut in a string", "{\"a\":\"x\n{\"b\":2}\n", []string{`F:1 {"a":"x`, `F:2 {"b":2}`}},
	{"first line cut after a value", "{\"a\":{\"b\":1\n{\"b\":2}\n", []string{`F:1 {"a":{"b":1`, `F:2 {"b":2}`}},
	{"first line cut after a comma", "{\"a\":1,\n{\"b\":2}\n", []string{`F:1 {"a":1,`, `F:2 {"b":2}`}},
	{"text", "hello\nworld\n", []string{"F:1 hello", "F:2 world"}},
	{"text that begins like an array", "[2024-01-02 03:04] hi\n", []string{"F:1 [2024-01-02 03:04] hi"}},
	{"cut line in the middle", "{\"a\":1}\n{\"b\n{\"c\":3}\n", []string{`F:1 {"a":1}`, `F:2 {"b`, `F:3 {"c":3}`}},
	{"line over the limit", "{\"a\":1}\n" + strings.Repeat("x", 300) + "\n{\"c\":3}\n", []string{
		`F:1 {"a":1}`, "F:2 ! a line of 300 bytes is over the limit of 200", `F:3 {"c":3}`,
	}},
	{"last line over the limit", "{\"a\":1}\n" + strings.Repeat("x", 300), []string{
		`F:1 {"a":1}`, "F:2 ! a line of 300 bytes is over the limit of 200",
	}},
	{"records", `{"Records":[{"a":1},{"b":"]}\"\\"}]}`, []string{`F#0 {"a":1}`, `F#1 {"b":"]}\"\\"}`}},
	{"records in lines", "{\n \"Records\" : [\n  {\n   \"a\": [1]\n  } ,\n  {}\n ]\n}\n", []string{"F#0 {\n   \"a\": [1]\n  }", `F#1 {}`}},
	{"records not first", `{"x":{"Records":[1]},"y":"z","Records":[{"a":1}],"z":[{}]}`, []string{`F#0 {"a":1}`}},
	{"no records", `{"Records":[]}`, nil},
	{"records that are no array", `{"Records":{"a":1}}`, []string{`F:1 {"Records":{"a":1}}`}},
	{"records of scalars", `{"Records":[null,"a,]", 12 ,{"a":1}]}`, []string{`F#0 null`, `F#1 "a,]"`, `F#2 12`, `F#3 {"a":1}`}},
	{"records twice", "{\"Records\":[{\"a\":1}]}\n{\"Records\":[{\"b\":1}]}\n", []string{`F#0 {"a":1}`, `F#1 {"b":1}`}},
	{"records cut in an element", `{"Records":[{"a":1},{"b":`, []string{`F#0 {"a":1}`, `F#1 ! ends after 25 bytes in the middle of an element`}},
	{"records cut between", `{"Records":[{"a":1},`, []string{`F#0 {"a":1}`, `F#1 ! ends after 20 bytes in the middle of an array`}},
	{"records cut at the end", `{"Records":[{"a":1}]`, []string{`F#0 {"a":1}`, `F#1 ! ends after 20 bytes in the middle of a document, after its Records`}},
	{"a brace too many", `{"Records":[{"a":1}},{"b":2}]}`, []string{`F#0 {"a":1}`, `F#1 ! '}' where an element of an array should begin`, `F#2 {"b":2}`}},
	{"element over the limit", `{"Records":[{"a":"` + strings.Repeat("x", 300) + `"},{"b":2}]}`, []string{
		`F#0 ! an item of 308 bytes is over the limit of 200`, `F#1 {"b":2}`,
	}},
	{"array", "[{\"a\":1},\n{\"b\":2}]", []string{`F#0 {"a":1}`, `F#1 {"b":2}`}},
	{"document", "{\n \"a\": 1\n}\n", []string{"F {\n \"a\": 1\n}"}},
	{"documents", "{\n \"a\": 1\n}\n{\n \"b\": [{}]\n}\n{\"c\":1}", []string{"F {\n \"a\": 1\n}", "F:4 {\n \"b\": [{}]\n}", `F:7 {"c":1}`}},
	{"documents on one line", `{"a":1}{"b":2}`, []string{`F {"a":1}`, `F {"b":2}`}},
	{"document cut", "{\n \"a\": 1,\n", []string{"F ! ends after 11 bytes in the middle of a document"}},
	{"document with garbage in it", "{\n \"a\": 1}\n{ 2 }\n{\"b\":2}", []string{"F {\n \"a\": 1}", "F:3 { 2 }", `F:4 {"b":2}`}},
	{"garbage behind a document", "{\n \"a\": 1\n}\ngarbage\n{\"b\":2}\n", []string{
		"F {\n \"a\": 1\n}", `F:4 ! 'g' where a JSON document should begin`, `F:5 {"b":2}`,
	}},
	{"document over the limit", "{\n \"a\": \"" + strings.Repeat("x", 500) + "\"}\n{\"b\":2}", []string{
		"F ! an item of 511 bytes is over the limit of 400", `F:3 {"b":2}`,
	}},
	{"document of many keys over the limit", "{\n \"a\": 1" + strings.Repeat(`,"k":"v"`, 80) + "}\n{\"b\":2}", []string{
		"F ! an item of 650 bytes is over the limit of 400", `F:3 {"b":2}`,
	}},
	{"document of white space over the limit", "{\n \"a\": 1" + strings.Repeat(` `, 500) + "}\n{\"b\":2}", []string{
		"F ! an item of 510 bytes is over the limit of 400", `F:3 {"b":2}`,
	}},
}

func TestFraming(t *testing.T) {
	for _, c := range framings {
		t.Run(c.name, func(t *testing.T) {
			got, _ := show(t, strings.NewReader(c.in), place{}, 200, 400)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// Cuts between reads must not change anything but how much of what is broken
// is quoted.
func TestFramingBytewise(t *testing.T) {
	for _, c := range framings {
		got, _ := show(t, iotest.OneByteReader(strings.NewReader(c.in)), place{}, 200, 400)
		if len(got) != len(c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], "!") && got[i] != c.want[i] {
				t.Errorf("%s: %q, want %q", c.name, got[i], c.want[i])
			}
		}
	}
}

// From the place after any record, the rest is what came after it.
func TestFramingResumes(t *testing.T) {
	for _, c := range framings {
		all, after := show(t, strings.NewReader(c.in), place{}, 200, 400)
		for i, p := range after {
			rest, _ := show(t, strings.NewReader(c.in[p.offset:]), p, 200, 400)
			if d := cmp.Diff(all[i+1:], rest, cmp.Transformer("nil", func(s []string) string { return strings.Join(s, "\n") })); d != "" {
				t.Errorf("%s: after record %d: -want +got\n%s", c.name, i, d)
			}
		}
	}
}

func TestBrokenReader(t *testing.T) {
	broken := errors.New("it broke")
	for in, want := range map[string][]string{
		"{\"a\":1}\n{\"b\":":       {`F:1 {"a":1}`, "F:2 ! cannot be read on after 13 bytes: it broke"},
		"{\"a\":1}\n":              {`F:1 {"a":1}`, "F:2 ! cannot be read on after 8 bytes: it broke"},
		`{"Records":[{"a":1},{"b"`: {`F#0 {"a":1}`, "F#1 ! cannot be read on after 24 bytes: it broke"},
		"{\n\"a\":1}\n{":           {"F {\n\"a\":1}", "F:3 ! cannot be read on after 10 bytes: it broke"},
		"":                         {"F:1 ! cannot be read on after 0 bytes: it broke"},
	} {
		got, _ := show(t, io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken)), place{}, 200, 400)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: -want +got\n%s", in, d)
		}
	}
}

// endless gives n bytes of 'x' between head and tail without holding them.
func endless(head string, n int64, tail string) io.Reader {
	return io.MultiReader(strings.NewReader(head), io.LimitReader(xs{}, n), strings.NewReader(tail))
}

type xs struct{}

func (xs) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestLongItemsCostNoMemory(t *testing.T) {
	const n = 100 << 20
	for name, c := range map[string]struct {
		src  io.Reader
		want []string
	}{
		"line": {endless("{\"a\":1}\n", n, "\n{\"b\":2}\n"), []string{
			`F:1 {"a":1}`, "F:2 ! a line of 104857600 bytes is over the limit of 1048576", `F:3 {"b":2}`,
		}},
		"element": {endless(`{"Records":[{"a":"`, n, `"},{"b":2}]}`), []string{
			"F#0 ! an item of 104857608 bytes is over the limit of 1048576", `F#1 {"b":2}`,
		}},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, _ := show(t, c.src, place{}, 1<<20, 2<<20)
		runtime.ReadMemStats(&after)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: -want +got\n%s", name, d)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
			t.Errorf("%s: allocated %d bytes in all", name, grown)
		}
	}
}

func TestLineFramingKeepsEveryLine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lines := rapid.SliceOf(rapid.OneOf(
			rapid.StringMatching(`[ \t]{0,3}`),
			rapid.StringMatching(`\{"[a-z]{1,90}":[0-9]{1,3}\}`),
			rapid.StringMatching(`[a-z"\\{}\[\]]{1,80}`),
			rapid.Custom(func(rt *rapid.T) string { return strings.Repeat("y", rapid.IntRange(1, 5000).Draw(rt, "n")) }),
		)).Draw(rt, "lines")
		in := "{\"first\":1}\n" + strings.Join(lines, "\n")
		want := []string{`F:1 {"first":1}`}
		for i, l := range lines {
			if l = strings.TrimRight(l, " \t"); l != "" {
				want = append(want, fmt.Sprintf("F:%d %s", i+2, l))
			}
		}
		got, _ := show(t, iotest.HalfReader(strings.NewReader(in)), place{}, 10000, 10000)
		if d := cmp.Diff(want, got); d != "" {
			rt.Fatalf("-want +got\n%s", d)
		}
	})
}

func FuzzFraming(f *testing.F) {
	for _, c := range framings {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		all, after := show(t, bytes.NewReader(in), place{}, 200, 400)
		if len(all) == 0 {
			return
		}
		if after[0].mode == modeLines {
			want := 0
			for line := range bytes.SplitSeq(bytes.TrimPrefix(in, []byte("\xef\xbb\xbf")), []byte("\n")) {
				if trimmed(line) > 0 {
					want++
				}
			}
			if len(all) != want {
				t.Fatalf("%d records of %d lines that are not blank: %q", len(all), want, all)
			}
		}
		cut := len(all) / 2
		p := after[cut]
		if p.done {
			return
		}
		rest, _ := show(t, bytes.NewReader(in[p.offset:]), p, 200, 400)
		if len(rest) != len(all)-cut-1 {
			t.Fatalf("after record %d: %q, want %q", cut, rest, all[cut+1:])
		}
	})
}
