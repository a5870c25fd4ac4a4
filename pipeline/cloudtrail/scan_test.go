package cloudtrail

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

func TestScan(t *testing.T) {
	const doc = ` {"a":"x","n":-1.50e3,"t":true,"f":false,"z":null,"arr":[1,{"k":2}],
		"o":{"s":"caf\u00e9 \"q\" \ud83d\ude00","e":{},"deep":{"deeper":{"deepest":9007199254740993}}, "list":[{"x":1}]},
		"a":"second","o":{"s":"second"},"\u0065sc\u0061ped":"yes","escaped":"second","eventName":"Name","\u0065ventSource":"src","bad\ud800":1} `
	tests := []struct {
		path string
		text string
		kind Kind
	}{
		{"a", "x", String},
		{"n", "-1.50e3", Number},
		{"t", "true", True},
		{"f", "false", False},
		{"z", "null", Null},
		{"arr", `[1,{"k":2}]`, Array},
		{"arr.k", `[1,{"k":2}]`, Array},
		{"o.list.x", `[{"x":1}]`, Array},
		{"o.s", `café "q" 😀`, String},
		{"o.e", "{}", Object},
		{"o.e.x", "", Missing},
		{"o.deep.deeper.deepest", "9007199254740993", Number},
		{"o.deep.deeper", `{"deepest":9007199254740993}`, Object},
		{"o.s.x", "", Missing},
		{"z.x", "", Missing},
		{"n.x.y", "", Missing},
		{"absent", "", Missing},
		{"absent.x", "", Missing},
		{"escaped", "yes", String},
		{"eventName", "Name", String},
		{"eventSource", "src", String},
		{`bad\ud800`, "1", Number},
	}
	one := new(Event) // asked everything in a row, and each path alone
	one.Reset([]byte(doc))
	for _, tt := range tests {
		alone := new(Event)
		alone.Reset([]byte(doc))
		for _, e := range []*Event{one, alone} {
			text, kind := e.Scan(strings.Split(tt.path, "."))
			if string(text) != tt.text || kind != tt.kind {
				t.Errorf("Scan(%s) = %q, %d; want %q, %d", tt.path, text, kind, tt.text, tt.kind)
			}
		}
	}
	if err := one.Broken(); err != nil {
		t.Errorf("Broken() = %v", err)
	}
	if text, kind := one.Scan(nil); string(text) != doc || kind != Object {
		t.Errorf("the empty path is not the event: %q, %d", text, kind)
	}
	if string(one.Name()) != "Name" || string(one.Source()) != "src" {
		t.Errorf("Name, Source = %q, %q", one.Name(), one.Source())
	}
	if _, err := one.Parse(); err != nil {
		t.Error(err)
	}
}

// What Scan returned stays as it is while more is scanned.
func TestScanResultsLive(t *testing.T) {
	e := new(Event)
	e.Reset([]byte(`{"a":"1\t1","b":"2\t` + strings.Repeat("x", 1000) + `","c":"3\t3"}`))
	a, _ := e.Scan(Path{"a"})
	for range 100 {
		e.Scan(Path{"b"})
		e.Scan(Path{"c"})
	}
	if string(a) != "1\t1" {
		t.Errorf("the first result became %q", a)
	}
}

func TestBroken(t *testing.T) {
	deep := func(n int) string {
		return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `,"eventName":"X"}`
	}
	tests := []struct {
		name, doc string
		want      error // of a scan for eventName
	}{
		{"empty", "", ErrBroken},
		{"white space", " \n", ErrBroken},
		{"not an object", "[1]", ErrBroken},
		{"no end", `{"eventName":"X"`, ErrBroken},
		{"a tail without brace", `{"eventName":"X"} x`, ErrBroken},
		{"an empty object and a tail", `{} {}`, ErrBroken},
		{"a second object", `{"a":1}{"eventName":"X"}`, ErrBroken},
		{"no colon", `{"a" 1,"eventName":"X"}`, ErrBroken},
		{"no comma", `{"a":1 "eventName":"X"}`, ErrBroken},
		{"no key", `{"a":1,}`, ErrBroken},
		{"no value", `{"a":,"eventName":"X"}`, ErrBroken},
		{"bare word", `{"a":truth,"eventName":"X"}`, ErrBroken},
		{"half a word", `{"a":nul}`, ErrBroken},
		{"open string", `{"a":"x}`, ErrBroken},
		{"open key", `{"a}`, ErrBroken},
		{"open array", `{"a":[1,2,"eventName":"X"}`, ErrBroken},
		{"sign without number", `{"a":-,"eventName":"X"}`, ErrBroken},
		{"64 levels", deep(63), nil},
		{"65 levels", deep(64), ErrTooDeep},
		{"a million levels", deep(1_000_000), ErrTooDeep},
		{"NaN as fastjson takes it", `{"a":NaN,"b":-inf,"eventName":"X"}`, nil},
		{"not UTF-8", "{\"a\":\"\xff\xfe\",\"eventName\":\"X\"}", nil},
		{"fault behind the name", `{"eventName":"X","a":}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := new(Event)
			e.Reset([]byte(tt.doc))
			text, kind := e.Scan(Path{"eventName"})
			if tt.want == nil {
				if string(text) != "X" || kind != String || e.Broken() != nil {
					t.Fatalf("Scan = %q, %d, Broken() = %v; want X", text, kind, e.Broken())
				}
				return
			}
			if kind != Broken {
				t.Errorf("Scan = %q, %d; want Broken", text, kind)
			}
			if !errors.Is(e.Broken(), tt.want) {
				t.Errorf("Broken() = %v; want %v", e.Broken(), tt.want)
			}
			if _, err := e.Parse(); !errors.Is(err, tt.want) {
				t.Errorf("Parse: %v; want %v", err, tt.want)
			}
		})
	}
}

// A fault inside an object is found when the scan goes into it.
func TestBrokenInside(t *testing.T) {
	e := new(Event)
	e.Reset([]byte(`{"o":{"a":1 "b":2},"eventName":"X"}`))
	if string(e.Name()) != "X" || e.Broken() != nil {
		t.Fatalf("Name = %q, Broken() = %v", e.Name(), e.Broken())
	}
	if _, kind := e.Scan(Path{"o", "b"}); kind != Broken || !errors.Is(e.Broken(), ErrBroken) {
		t.Errorf("kind %d, Broken() = %v", kind, e.Broken())
	}
}

func TestParse(t *testing.T) {
	e := new(Event)
	e.Reset([]byte(`{"\u0061":{"\u0062":1,"b":2},"a":3}`))
	v, err := e.Parse()
	if err != nil {
		t.Fatal(err)
	}
	if got := v.GetInt("a", "b"); got != 1 {
		t.Errorf("of duplicate keys Get found %d, not the first", got)
	}
	if again, _ := e.Parse(); again != v {
		t.Error("the second Parse answers another tree")
	}
	for _, doc := range []string{`{"a":1} x}`, `{"a":1}}`, `[]`, `{"a":tru}`} {
		e.Reset([]byte(doc))
		if v, err := e.Parse(); v != nil || !errors.Is(err, ErrBroken) {
			t.Errorf("Parse(%s) = %v, %v", doc, v, err)
		}
	}
	long := `{"a":` + strings.Repeat("x", 1<<16) + `}`
	e.Reset([]byte(long))
	if _, err := e.Parse(); err == nil || len(err.Error()) > 2*maxErrorText {
		t.Errorf("the error has no bound: %d bytes", len(err.Error()))
	}
}

func TestParserIsShed(t *testing.T) {
	for _, doc := range []string{
		`{"a":"` + strings.Repeat("x", keepParserBytes) + `"}`,
		`{"a":[` + strings.Repeat("0,", keepParserValues) + `0]}`,
	} {
		e := new(Event)
		e.Reset([]byte(doc))
		if _, err := e.Parse(); err != nil {
			t.Fatal(err)
		}
		large := e.parser
		e.Reset([]byte(`{"a":1}`))
		if _, err := e.Parse(); err != nil {
			t.Fatal(err)
		}
		if e.parser == large {
			t.Error("the parser that grew is kept")
		}
		small := e.parser
		e.Reset([]byte(`{"a":1}`))
		if _, err := e.Parse(); err != nil || e.parser != small {
			t.Errorf("a small parser is not kept: %v", err)
		}
	}
}

func TestValidate(t *testing.T) {
	for doc, valid := range map[string]bool{
		consoleLogin:     true,
		`{"a":01}`:       false,
		`{"a":"\x"}`:     false,
		"{\"a\":\"\n\"}": false,
		`{"a":nan}`:      false,
		`{"a":1}}`:       false,
	} {
		e := new(Event)
		e.Reset([]byte(doc))
		if err := e.Validate(); (err == nil) != valid || err != nil && !errors.Is(err, ErrBroken) {
			t.Errorf("Validate(%s) = %v", doc, err)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	raw := []byte(consoleLogin)
	e := new(Event)
	arn, ua, unknown, long := Path{"userIdentity", "arn"}, Path{"userAgent"}, Path{"x"}, Path{strings.Repeat("long", 20)}
	if n := testing.AllocsPerRun(100, func() {
		e.Reset(raw)
		e.Name()
		e.Source()
		e.Scan(arn)
		e.Scan(ua)
		if _, ok := e.Time(); !ok {
			t.Error("no time")
		}
		e.Scan(unknown)
		e.Scan(long)
	}); n != 0 {
		t.Errorf("%v allocations a scanned event", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		e.Reset(raw)
		e.Identity()
		e.Sum()
		if _, err := e.Parse(); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a parsed event", n)
	}
}

// lookup is Scan over encoding/json: the first of duplicate keys counts.
func lookup(t testing.TB, raw json.RawMessage, path []string) (string, Kind) {
	t.Helper()
	raw = bytes.TrimSpace(raw)
	kind := map[byte]Kind{'"': String, '{': Object, '[': Array, 't': True, 'f': False, 'n': Null}[raw[0]]
	if kind == Missing {
		kind = Number
	}
	switch {
	case kind == Array || len(path) == 0 && kind != String:
		return string(raw), kind
	case len(path) == 0:
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		return s, String
	case kind != Object:
		return "", Missing
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		if key == path[0] {
			return lookup(t, value, path[1:])
		}
	}
	return "", Missing
}

func kindOf(v *fastjson.Value) Kind {
	if v == nil {
		return Missing
	}
	return map[fastjson.Type]Kind{
		fastjson.TypeString: String, fastjson.TypeNumber: Number, fastjson.TypeTrue: True, fastjson.TypeFalse: False,
		fastjson.TypeNull: Null, fastjson.TypeObject: Object, fastjson.TypeArray: Array,
	}[v.Type()]
}

// What an Event has learned of the order of keys changes nothing about what it
// says of the next event.
func TestScanAfterOtherEvents(t *testing.T) {
	docs := []string{
		consoleLogin,
		`{"eventTime":"1","eventName":"a","eventTime":"2","x":1,"eventName":"b"}`,
		`{"eventName":"a","x":2,"eventTime":"1"}`,
		`{"eventName" : "spaced" , "eventTime":"1"}`,
		`{"event\u004eame":"escaped","eventTime":"1","eventName":"c"}`,
		`{"x":1,"eventName":"d","eventTime":`,
		`{"eventName":"e","eventTime":"1"`,
		`{"eventName":"f","eventTime"}`,
		`{"eventName":"g","eventTime":`,
		`{"eventName":"g","eventTime":}`,
		`{"eventName":"h","eventTimes":"1"}`,
		`{}`,
	}
	used := new(Event)
	for range 3 {
		for _, before := range docs {
			for _, doc := range docs {
				fresh := new(Event)
				used.Reset([]byte(before))
				used.Scan(Path{"absent"})
				used.Reset([]byte(doc))
				fresh.Reset([]byte(doc))
				for _, key := range []string{"eventName", "eventTime", "x", "absent"} {
					got, kind := used.Scan(Path{key})
					want, wantKind := fresh.Scan(Path{key})
					if string(got) != string(want) || kind != wantKind || (used.Broken() == nil) != (fresh.Broken() == nil) {
						t.Fatalf("%s of %s after %s: %q, %d, %v; want %q, %d, %v",
							key, doc, before, got, kind, used.Broken(), want, wantKind, fresh.Broken())
					}
				}
			}
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte(consoleLogin), "userIdentity.arn", "userAgent")
	f.Add([]byte(`{"a":1,"a":2}`), "a", "b")
	f.Add([]byte(`{"\u0061":{"b":[1]},"a":2}`), "a.b", "a")
	f.Add([]byte(` { "a" : "\\\"" , "b":"\"","c\\":{"\"":-0.1E+2}}`), "b", `c\."`)
	f.Add([]byte(`{"a":nan,"b":-Inf,"c":"`+"\xff\n"+`\ud83d\ude00\ud800\u12"}`), "c", "b")
	e := new(Event) // with what it learned before
	f.Fuzz(func(t *testing.T, doc []byte, first, second string) {
		e.Reset(doc)
		paths := [2][]string{strings.Split(first, "."), strings.Split(second, ".")}
		var texts [2]string
		var kinds [2]Kind
		for i, p := range paths {
			text, kind := e.Scan(p)
			texts[i], kinds[i] = string(text), kind
		}
		e.Name()
		e.Time()
		e.Identity()

		// What fastjson parses is never broken, and the tree says the same.
		v, err := e.Parse()
		if err != nil {
			return
		}
		if err := e.Broken(); err != nil {
			t.Fatalf("%q parses, but the scan says %v", doc, err)
		}
		for i, p := range paths {
			at := v
			for _, key := range p {
				if kindOf(at) == Array {
					break
				}
				at = at.Get(key)
				if at == nil {
					break
				}
			}
			if kindOf(at) != kinds[i] {
				t.Fatalf("Scan(%q) of %q: kind %d, the tree has %d", p, doc, kinds[i], kindOf(at))
			}
			if kinds[i] == String && texts[i] != string(at.GetStringBytes()) {
				t.Fatalf("Scan(%q) of %q: %q, the tree has %q", p, doc, texts[i], at.GetStringBytes())
			}
		}

		// Nor does encoding/json differ, but for what it makes of broken text.
		if !json.Valid(doc) || !utf8.Valid(doc) || bytes.Contains(bytes.ToLower(doc), []byte(`\ud`)) {
			return
		}
		for i, p := range paths {
			text, kind := lookup(t, doc, p)
			if text != texts[i] || kind != kinds[i] {
				t.Fatalf("Scan(%q) of %q = %q, %d; encoding/json has %q, %d", p, doc, texts[i], kinds[i], text, kind)
			}
		}
	})
}
