package files

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestFindTime(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC).UnixNano()
	for in, want := range map[string]int64{
		`{"eventTime":"2026-03-01T12:00:05Z"}`:                         at,
		`{"eventTime" : "2026-03-01T12:00:05.123Z"}`:                   at,
		`{"message":"{\"eventTime\":\"2026-03-01T12:00:05Z\"}"}`:       at,
		`{"eventTime":7,"x":{"eventTime":"2026-03-01T12:00:05Z"}}`:     at,
		`{"eventTime":"2026-03-01 12:00:05"}`:                          0,
		`{"eventTime":"2026-13-01T12:00:05Z"}`:                         0,
		`{"eventTime":"2026-03-01T12:0`:                                0,
		`{"eventtime":"2026-03-01T12:00:05Z"}`:                         0,
		`{"sharedEventTime":"2026-03-01T12:00:05Z"}`:                   0,
		`{"eventTime":"0001-01-01T00:00:00Z","eventTime":"2026-03-01T`: 0,
	} {
		got, _, ok := findTime([]byte(in))
		if got != want || ok != (want != 0) {
			t.Errorf("%s: %d %v, want %d", in, got, ok, want)
		}
	}
}

func TestNameTime(t *testing.T) {
	want := time.Date(2026, 3, 1, 12, 35, 0, 0, time.UTC).UnixNano()
	for name, want := range map[string]int64{
		"a/111122223333_CloudTrail_eu-west-1_20260301T1235Z_Ab3.json.gz":         want,
		"a/111122223333_CloudTrail-Insight_eu-west-1_20260301T1235Z_Ab3.json.gz": want,
		"111122223333_CloudTrail-Digest_eu-west-1_t_20260301T123500Z.json.gz":    0,
		"a.json": 0,
	} {
		if got := nameTime(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}

func TestPositionRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := place{
			offset: rapid.Int64Min(0).Draw(rt, "offset"), line: rapid.Int64Min(0).Draw(rt, "line"), index: rapid.Int64Min(0).Draw(rt, "index"),
			mode: mode(rapid.IntRange(0, int(modeArray)).Draw(rt, "mode")), docs: rapid.Bool().Draw(rt, "docs"), done: rapid.Bool().Draw(rt, "done"),
		}
		id := identify(rapid.Int64Min(0).Draw(rt, "size"), rapid.SliceOf(rapid.Byte()).Draw(rt, "head"))
		gotPlace, gotID, err := parsePosition(encodePosition(p, id))
		if err != nil {
			rt.Fatal(err)
		}
		if d := cmp.Diff([]any{p, id}, []any{gotPlace, gotID}, cmp.AllowUnexported(place{}, identity{})); d != "" {
			rt.Fatal(d)
		}
	})
}

func FuzzPosition(f *testing.F) {
	f.Add(encodePosition(place{offset: 700, line: 3, mode: modeLines}, identify(900, []byte("head"))))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, id, err := parsePosition(b)
		if err != nil {
			return
		}
		if p.offset < 0 || p.line < 0 || p.index < 0 || p.mode > modeArray || id.headLen > headBytes {
			t.Fatalf("%+v %+v", p, id)
		}
	})
}

func TestSkipQuoted(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := []byte(rapid.StringMatching(`[a!#\[\]\x{7f}-\x{100}\x{0}\x{1}]{0,20}["\\]?.{0,5}`).Draw(rt, "b"))
		i := rapid.IntRange(0, len(b)).Draw(rt, "i")
		want := len(b)
		if k := bytes.IndexAny(b[i:], "\"\\"); k >= 0 {
			want = i + k
		}
		if got := skipQuoted(b, i); got != want {
			rt.Fatalf("%d, want %d", got, want)
		}
	})
}
