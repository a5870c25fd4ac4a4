package e2e

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/trailtide/trailtide/test/harness"
)

// goodRules find the good neighbours of garbage.
const goodRules = `
rules:
  - {id: good, title: G, severity: high, match: {eventName: GoodNeighbour}}
  - {id: candidate, title: C, severity: low, match: {eventName: Candidate, requestParameters.x: 1}}
`

// good is an event that the rule "good" finds.
func good(n int) string {
	return fmt.Sprintf(`{"eventVersion":"1.08","eventTime":"2026-01-05T08:00:%02dZ","eventSource":"x.amazonaws.com","eventName":"GoodNeighbour","eventID":"good-%d","recipientAccountId":"111122223333"}`, n%60, n)
}

// garbage is one file and what has to become of it.
type garbage struct {
	name    string // of the file
	content string
	flags   []string
	good    []int    // good neighbours that have to be found
	dead    []string // positions without the path, in any order: ":3", "#1"; "?": anywhere
	skipped int
	// more of what is read beyond the good and the dead: matched, unmatched or duplicate
	unmatched, duplicate, matched int
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func zstded(t *testing.T, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func noise(n int) string {
	r := rand.New(rand.NewPCG(7, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	b[0], b[1] = 0x7f, 'E'
	return strings.ReplaceAll(string(b), "\n", "\x01")
}

func heap(t *testing.T) []garbage {
	t.Helper()
	candidate := `{"eventName":"Candidate","eventID":"c1","requestParameters":{"x":1},`
	zipped := func(s string) string { return string(gzipped(t, []byte(s))) }
	five := good(1) + "\n" + good(2) + "\n" + good(3) + "\n" + good(4) + "\n" + good(5) + "\n"
	records := func(elements ...string) string { return `{"Records":[` + strings.Join(elements, ",") + `]}` }
	logs := func(kind string, messages ...string) string {
		var events []string
		for i, m := range messages {
			events = append(events, fmt.Sprintf(`{"id":"%d","timestamp":1,"message":%s}`, i, quoted(m)))
		}
		return fmt.Sprintf(`{"messageType":"%s","owner":"1","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[%s]}`, kind, strings.Join(events, ","))
	}
	bridge := func(detail string) string {
		return `{"version":"0","id":"i","detail-type":"AWS API Call via CloudTrail","source":"aws.x","account":"1","time":"2026-01-05T08:00:00Z","region":"us-east-1","resources":[],"detail":` + detail + `}`
	}
	deep := strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200)
	deepArrays := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	return []garbage{
		{name: "truncated-middle.ndjson", content: good(1) + "\n" + `{"eventName":"Candidate","eventID":"c` + "\n" + good(2) + "\n", good: []int{1, 2}, dead: []string{":2"}},
		{name: "truncated-end.ndjson", content: good(1) + "\n" + good(2)[:60], good: []int{1}, dead: []string{":2"}},
		{name: "truncated-first.ndjson", content: good(3)[40:] + "\n" + good(1) + "\n", good: []int{1}, dead: []string{":1"}},
		{name: "no-json.ndjson", content: "hello\n" + good(1) + "\n\n  \n42\n\"text\"\nnull\n" + good(2) + "\ntrue\n", good: []int{1, 2}, dead: []string{":1", ":5", ":6", ":7", ":9"}},
		{name: "two-on-a-line.ndjson", content: good(1) + good(2) + "\n" + good(3) + "\n", good: []int{1, 2, 3}},
		{name: "tail.ndjson", content: good(1) + "\n" + good(9) + " x\n" + good(2) + "\n", good: []int{1, 2}, dead: []string{":2"}},
		{name: "broken-candidate.ndjson", content: candidate + `"a":tru}` + "\n" + candidate + `"a":[1,}` + "\n" + good(1) + "\n", good: []int{1}, dead: []string{":1", ":2"}},
		{name: "candidate.ndjson", content: candidate + `"a":true}` + "\n" + candidate + `"a":true}` + "\n", matched: 1, duplicate: 1},
		{name: "broken-unmatched.ndjson", content: `{"eventName":"Nobody","a":tru}` + "\n" + `{"eventName":"Nobody","a":[1,}` + "\n" + `{"eventName":"Nobody","a":01}` + "\n" + good(1) + "\n", flags: []string{"--validate", "full"}, good: []int{1}, dead: []string{":1", ":2", ":3"}},
		{name: "nul.ndjson", content: good(1) + "\n\x00\x00\x00\n" + good(2) + "\n\x00" + good(8) + "\n" + good(3) + "\n", good: []int{1, 2, 3}, dead: []string{":2", ":4"}},
		{name: "utf8.ndjson", content: strings.Replace(good(1), "111122223333", "\xff\xfe\xc3", 1) + "\n" + good(2) + "\n" + "\xff\xfe{\x00\n", good: []int{1, 2}, dead: []string{":3"}},
		{name: "wrong-types.ndjson", content: `{"eventName":1,"eventSource":"s"}` + "\n" + `{"eventName":["GoodNeighbour"],"eventSource":{"a":1}}` + "\n" + `{"eventName":"Candidate","eventID":7,"eventTime":false,"userIdentity":[],"requestParameters":"x","recipientAccountId":{},"awsRegion":null}` + "\n" + good(1) + "\n", good: []int{1}, dead: []string{":2"}, unmatched: 2},
		{name: "times.ndjson", content: strings.Replace(good(1), "2026-01-05T08", "9999-99-99T99", 1) + "\n" + strings.Replace(good(2), `"2026-01-05T08:00:02Z"`, "17", 1) + "\n" + strings.Replace(good(3), "2026", "2226", 1) + "\n" + strings.Replace(good(4), "2026", "0001", 1) + "\n" + good(5) + "\n", good: []int{1, 2, 3, 4, 5}},
		{name: "twice.ndjson", content: `{"eventName":"GoodNeighbour","eventName":"Other","eventID":"good-1","eventID":"x"}` + "\n" + `{"eventName":"Other","eventName":"GoodNeighbour","eventID":"good-2"}` + "\n", good: []int{1}, unmatched: 1},
		{name: "escaped.ndjson", content: `{"\u0065ventName":"Good\u004eeighbour","event\u0049D":"good-1"}` + "\n", good: []int{1}},
		{name: "deep.ndjson", content: `{"eventName":"Candidate","eventID":"d","requestParameters":` + deep + "}\n" + `{"eventName":"Candidate","x":` + deepArrays + "}\n" + deepArrays + "\n" + good(1) + "\n", flags: []string{"--validate", "full"}, good: []int{1}, dead: []string{":1", ":2", ":3#0"}},
		{name: "large.ndjson", content: `{"eventName":"Candidate","eventID":"l","pad":"` + strings.Repeat("x", 3<<20) + "\"}\n" + good(1) + "\n", good: []int{1}, dead: []string{":1"}},
		{name: "empty.ndjson", content: ""},
		{name: "blank.ndjson", content: "\n \n\t\r\n\n"},
		{name: "bom.ndjson", content: "\xef\xbb\xbf" + good(1) + "\r\n" + good(2) + "\r\n", good: []int{1, 2}},
		{name: "binary.json", content: noise(100_000), dead: []string{":1"}},
		{name: "records.json", content: records(good(1), `17`, good(2), `"x"`, `{}`, `null`, `[]`, good(3)), good: []int{1, 2, 3}, dead: []string{"#1", "#3", "#4", "#5"}, skipped: 1},
		{name: "records-broken.json", content: `{"Records":[` + good(1) + `,` + good(2) + `,{"eventName":"Candida`, good: []int{1, 2}, dead: []string{"#2"}},
		{name: "records-empty.json", content: `{"Records":[]}`, skipped: -1},
		{name: "records-null.json", content: `{"Records":null}`, dead: []string{":1"}},
		{name: "records-pretty.json", content: "{\n  \"Records\": [\n    " + strings.ReplaceAll(good(1), ",", ",\n      ") + ",\n    " + good(2) + "\n  ]\n}\n", good: []int{1, 2}},
		{name: "truncated.json.gz", content: zipped(five)[:90], dead: []string{"?"}, good: nil},
		{name: "checksum.json.gz", content: func() string { z := []byte(zipped(five)); z[len(z)-6] ^= 0x55; return string(z) }(), good: []int{1, 2, 3, 4, 5}, dead: []string{"?"}},
		{name: "magic-only.json.gz", content: "\x1f\x8b", dead: []string{"?"}},
		{name: "two-members.ndjson.gz", content: zipped(good(1)+"\n") + zipped(good(2)+"\n"), good: []int{1, 2}},
		{name: "twice-zipped.json.gz", content: zipped(zipped(five)), good: []int{1, 2, 3, 4, 5}},
		{name: "thrice-zipped.json.gz", content: zipped(zipped(zipped(five))), dead: []string{"?", "?"}}, // a line each
		{name: "misnamed.json.gz", content: five, good: []int{1, 2, 3, 4, 5}},
		{name: "zipped-plain.json", content: zipped(five), good: []int{1, 2, 3, 4, 5}},
		{name: "five.jsonl.zst", content: string(zstded(t, []byte(five))), good: []int{1, 2, 3, 4, 5}},
		{name: "cut.jsonl.zst", content: string(zstded(t, []byte(five)))[:60], dead: []string{"?"}},
		{name: "s3.json", content: records(`{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}`), dead: []string{"#0"}},
		{name: "sns.json", content: `{"Type":"Notification","MessageId":"m","TopicArn":"arn","Message":` + quoted(`{"s3Bucket":"b","s3ObjectKey":["k"]}`) + `}`, dead: []string{":1"}},
		{name: "sqs.json", content: `{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"x","Body":` + quoted(good(7)) + `}`, dead: []string{":1"}},
		{name: "notice.json", content: `{"s3Bucket":"b","s3ObjectKey":["AWSLogs/1/CloudTrail/x.json.gz"]}`, dead: []string{":1"}},
		{name: "digest.json", content: `{"awsAccountId":"1","digestStartTime":"2026-01-05T08:00:00Z","digestEndTime":"2026-01-05T09:00:00Z","digestS3Bucket":"b","digestS3Object":"o","logFiles":[]}`, skipped: 1},
		{name: "control.ndjson", content: logs("CONTROL_MESSAGE", "CWL CONTROL MESSAGE: Checking health of destination") + "\n" + logs("DATA_MESSAGE", good(1), "no json", good(2)) + "\n", good: []int{1, 2}, dead: []string{":2#1"}, skipped: 1},
		{name: "bridge.ndjson", content: bridge(good(1)) + "\n" + bridge(`{"x":1}`) + "\n" + bridge(`"x"`) + "\n", good: []int{1}, dead: []string{":2", ":3"}},
	}
}

// Whatever is in a file, the scan goes on: what is bad is in the dead letter
// with its place, what is good is found, and the accounting adds up.
func TestGarbage(t *testing.T) {
	t.Parallel()
	rules := harness.Write(t, t.TempDir(), "good.yaml", goodRules)
	for _, g := range heap(t) {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := harness.Write(t, dir, g.name, g.content)
			letter := filepath.Join(dir, "dead")
			r := must(t, append([]string{"scan", "--output", "ndjson", "--no-builtin", "--rules", rules, "--dead-letter", letter, path}, g.flags...)...)
			r.bounded(t)
			g.check(t, path, r, deadIn(t, letter))
		})
	}
}

func (g *garbage) check(t *testing.T, path string, r result, letters []harness.Dead) {
	t.Helper()
	var want, got []string
	for _, n := range g.good {
		want = append(want, fmt.Sprintf("good-%d", n))
	}
	for _, a := range harness.Alerts(t, r.out) {
		if a.RuleID == "good" {
			got = append(got, *a.EventID)
		}
	}
	harness.Same(t, "good neighbours", want, got)
	got = nil
	for _, d := range letters {
		at, ok := strings.CutPrefix(d.Position, path)
		if !ok || d.Reason == "" {
			t.Errorf("a dead letter without a place or a reason: %+.300v", d)
		}
		if len(g.dead) > 0 && g.dead[0] == "?" {
			at = "?"
		}
		got = append(got, at)
	}
	harness.Same(t, "dead letters", g.dead, got)
	sum := summary(t, r.err)
	skipped := int64(g.skipped)
	if g.skipped < 0 {
		skipped = sum["records_skipped"]
	}
	wantSum := map[string]int64{
		"events_invalid": int64(len(g.dead)), "events_matched": int64(len(g.good) + g.matched),
		"events_unmatched": int64(g.unmatched), "events_duplicate": int64(g.duplicate), "records_skipped": skipped,
	}
	for _, k := range slices.Sorted(maps.Keys(wantSum)) {
		if sum[k] != wantSum[k] {
			t.Errorf("%s is %d, want %d; dead letters: %.600v", k, sum[k], wantSum[k], letters)
		}
	}
}

// All of it in one directory does not disturb each other.
func TestGarbageTogether(t *testing.T) {
	dir := t.TempDir()
	rules := harness.Write(t, t.TempDir(), "good.yaml", goodRules)
	letter := filepath.Join(t.TempDir(), "dead")
	deads, n := 0, 0
	for _, g := range heap(t) {
		harness.Write(t, dir, g.name, g.content)
		deads += len(g.dead)
		n++
	}
	r := must(t, "scan", "--output", "ndjson", "--validate", "full", "--no-builtin", "--rules", rules, "--dead-letter", letter, dir)
	r.bounded(t)
	sum := summary(t, r.err)
	if got := len(deadIn(t, letter)); got != deads || sum["events_invalid"] != int64(deads) {
		t.Errorf("%d dead letters and %d invalid events, want %d", got, sum["events_invalid"], deads)
	}
	if sum["files"] != int64(n) {
		t.Errorf("%d of %d files are done", sum["files"], n)
	}
}

// repeated writes what many times, for files that would not fit into memory.
func repeated(t *testing.T, w io.Writer, what string, times int) {
	t.Helper()
	block := []byte(strings.Repeat(what, max(1, 1<<20/len(what))))
	for left := times * len(what); left > 0; {
		n, err := w.Write(block[:min(left, len(block))])
		if err != nil {
			t.Fatal(err)
		}
		left -= n
	}
}

// Bombs and lines of 100 MB: bounded memory, and their neighbours are found.
func TestBombs(t *testing.T) {
	rules := harness.Write(t, t.TempDir(), "good.yaml", goodRules)
	mib := harness.SizeFrom(t, "TRAILTIDE_E2E_BOMB_MIB", 300) // above every limit
	for _, b := range []struct {
		name string
		fill func(w io.Writer)
		good int
		dead int // at least
	}{
		{"line.ndjson", func(w io.Writer) {
			fmt.Fprintln(w, good(1))
			fmt.Fprint(w, `{"eventName":"GoodNeighbour","pad":"`)
			repeated(t, w, "x", 100<<20)
			fmt.Fprintln(w, `"}`)
			fmt.Fprintln(w, good(2))
		}, 2, 1},
		{"element.json", func(w io.Writer) {
			fmt.Fprint(w, `{"Records":[`, good(1), `,{"eventName":"GoodNeighbour","pad":"`)
			repeated(t, w, "x", 100<<20)
			fmt.Fprint(w, `"},`, good(2), `]}`)
		}, 2, 1},
		{"brackets.json", func(w io.Writer) {
			fmt.Fprintln(w, good(1))
			repeated(t, w, "[", 100<<20)
			fmt.Fprintln(w)
			fmt.Fprintln(w, good(2))
		}, 2, 1},
		{"line-bomb.json.gz", func(w io.Writer) {
			z := gzip.NewWriter(w)
			fmt.Fprintln(z, good(1))
			repeated(t, z, "\x00", mib<<20)
			fmt.Fprintln(z)
			fmt.Fprintln(z, good(2))
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
		}, 2, 1},
		{"document-bomb.json.gz", func(w io.Writer) {
			z := gzip.NewWriter(w)
			fmt.Fprint(z, `{"Records":[`, good(1), `,{"a":[`)
			repeated(t, z, "[1],", mib<<18)
			fmt.Fprint(z, "[]]}]}")
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
		}, 1, 1},
		{"pretty-bomb.json.gz", func(w io.Writer) {
			z := gzip.NewWriter(w)
			fmt.Fprintln(z, "{\n \"a\": [")
			repeated(t, z, "1,\n", mib<<18)
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
		}, 0, 1},
		{"blank-bomb.ndjson.gz", func(w io.Writer) {
			z := gzip.NewWriter(w)
			fmt.Fprintln(z, good(1))
			repeated(t, z, "\n", mib<<20)
			fmt.Fprintln(z, good(2))
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
		}, 2, 0},
		{"space-bomb.json.zst", func(w io.Writer) {
			z, err := zstd.NewWriter(w)
			if err != nil {
				t.Fatal(err)
			}
			repeated(t, z, " ", mib<<20)
			fmt.Fprintln(z, good(1))
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
		}, -1, -1},
	} {
		t.Run(b.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, b.name)
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			b.fill(f)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			letter := filepath.Join(dir, "dead")
			r := must(t, "scan", "--output", "ndjson", "--no-builtin", "--rules", rules, "--dead-letter", letter, path)
			r.bounded(t)
			t.Logf("peak memory %d MiB", r.rss>>20)
			sum := summary(t, r.err)
			letters := deadIn(t, letter)
			if int64(len(letters)) != sum["events_invalid"] {
				t.Errorf("%d dead letters, %d invalid events", len(letters), sum["events_invalid"])
			}
			found := len(harness.Alerts(t, r.out))
			if b.good < 0 { // either is right, silence is not
				if found+len(letters) == 0 {
					t.Error("nothing is said of the file")
				}
				return
			}
			if found != b.good || len(letters) < b.dead || len(letters) > b.dead+3 {
				t.Errorf("%d good neighbours, want %d; %d dead letters, want %d: %.500v", found, b.good, len(letters), b.dead, letters)
			}
		})
	}
}
