package eventbridge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestErrors(t *testing.T) {
	many := strings.Repeat(`{"a":[1]},`, MaxCombinations)
	cases := []struct{ pattern, want string }{
		{``, `p.json:1:1: not JSON: unexpected end of JSON input`},
		{`{"a":[1]} x`, `p.json:1:11: not JSON: invalid character 'x' after top-level value`},
		{"{\n  \"é\": [{\"prefx\": 1}]}", `p.json:2:10: unknown operator "prefx" in a match expression: did you mean "prefix"?`},
		{`{"a": [{"foo": 1}]}`, `p.json:1:9: unknown operator "foo" in a match expression: valid are prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr, exists, exactly`},
		{`{"a": [{"anything_but": 1}]}`, `p.json:1:9: unknown operator "anything_but" in a match expression: did you mean "anything-but"?`},
		{`{"a": [{"equals": "x"}]}`, `p.json:1:9: unknown operator "equals" in a match expression: did you mean "equals-ignore-case"?`},
		{`{"a": [{"anything-but": {"cidr": "10.0.0.0/8"}}]}`, `p.json:1:26: unknown operator "cidr" in anything-but: valid are prefix, suffix, equals-ignore-case, wildcard`},
		{`"x"`, `p.json:1:1: a pattern must be an object, not a string`},
		{`{}`, `p.json:1:1: an empty object is not allowed in a pattern: write what must hold of a field, such as [{"exists": true}]`},
		{`{"a": []}`, `p.json:1:7: an empty array is not allowed in a pattern: to match null write [null], to match any value [{"exists": true}]`},
		{`{"a": "x"}`, `p.json:1:7: "a" must be an object or an array of values, not a string: write ["x"]`},
		{`{"a": [[1]]}`, `p.json:1:8: a value must be a string, a number, true, false, null or an operator such as {"prefix": "…"}, not an array`},
		{`{"a": [{}]}`, `p.json:1:8: a match expression is empty: one of prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr, exists, exactly is expected`},
		{`{"$or": {}}`, `p.json:1:9: $or must be an array of objects, not an object`},
		{`{"$or": [{"a":[1]}]}`, `p.json:1:9: $or must have at least 2 objects, not 1`},
		{`{"$or": [{"a":[1]}, 2]}`, `p.json:1:21: $or may hold objects only, not a number`},
		{`{"$or": [{"a":[1]}, {}]}`, `p.json:1:21: an empty object is not allowed in a pattern: write what must hold of a field, such as [{"exists": true}]`},
		{`{"$or": [{"a":{"prefix": [1]}}, {"b":[1]}]}`, `p.json:1:16: "prefix" is reserved and cannot be a field inside $or`},
		{`{"$or": [` + many + `{"a":[1]}]}`, `p.json:1:2: more than 1000 combinations of $or branches`},
		{`{"a": [{"cidr": "10.0.0.0/32"}]}`, `p.json:1:17: the mask of "10.0.0.0/32" must have fewer than 32 bits: for one address write it as a string, without {"cidr": …}`},
		{`{"a": [{"cidr": "::/128"}]}`, `p.json:1:17: the mask of "::/128" must have fewer than 128 bits: for one address write it as a string, without {"cidr": …}`},
		{`{"a": [{"cidr": "x/8"}]}`, `p.json:1:17: "x" is no IP address`},
		{`{"a": [{"cidr": "10.0.0.0/x"}]}`, `p.json:1:17: the mask bits of "10.0.0.0/x" must be a number`},
		{`{"a": [{"wildcard": "a\\b"}]}`, `p.json:1:21: an invalid escape in the wildcard pattern "a\\b": only \* and \\ are allowed (in JSON written \\* and \\\\)`},
		{`{"a": [{"anything-but": []}]}`, `p.json:1:25: the array of anything-but is empty`},
		{`{"a": [{"anything-but": null}]}`, `p.json:1:25: anything-but may hold strings or numbers, not null`},
		{`{"a": [{"numeric": 1}]}`, `p.json:1:20: numeric must be an array such as [">", 0, "<=", 5], not a number`},
		{`{"a": [{"numeric": []}]}`, `p.json:1:20: numeric is empty: an operator (= < <= > >=) and a number are expected`},
		{`{"a": [{"numeric": ["!=", 1]}]}`, `p.json:1:21: an operator (= < <= > >=) is expected here, not "!="`},
		{`{"a": [{"numeric": ["<", 1, ">", 0]}]}`, `p.json:1:29: nothing may follow "<" and its number: a range is a lower bound and then an upper one`},
		{`{"a": [{"numeric": [">", 1, ">", 2]}]}`, `p.json:1:29: an operator (< <=) is expected here, not ">"`},
		{`{"a": [{"numeric": [">", 2, "<", 1]}]}`, `p.json:1:20: the lower bound of a numeric range must be less than the upper one`},
		{strings.Repeat(`{"a":`, 70) + `[1]` + strings.Repeat(`}`, 70), `p.json:1:321: nested deeper than 64 levels`},
		{`{"a":[0.` + strings.Repeat("1", 1000) + `]}`, `p.json:1:7: a number of 1002 characters, more than the limit of 1000`},
		{`{"a":["` + strings.Repeat("x", MaxSize) + `"]}`, `p.json:1:1: a pattern of 262154 bytes, more than the limit of 256 KiB`},
		{`{"a":[` + strings.Repeat("1,", MaxValues) + `1]}`, `p.json:1:6: more than 20000 values in one pattern`},
		{`{"a":[{"anything-but":[` + strings.Repeat("1,", MaxValues) + `1]}]}`, `p.json:1:23: more than 20000 values in one pattern`},
	}
	for _, c := range cases {
		_, _, err := Parse("p.json", []byte(c.pattern))
		if err == nil {
			t.Errorf("no error: %s", clip(c.pattern))
		} else if diff := cmp.Diff(c.want, err.Error()); diff != "" {
			t.Errorf("%s\n%s", clip(c.pattern), diff)
		}
	}
}

// TestCombinationsAreBounded: the tests of all combinations together are bounded
// too, and 1,000 combinations are not too many.
func TestCombinationsAreBounded(t *testing.T) {
	or := func(field string, n int) string {
		var branches []string
		for i := range n {
			branches = append(branches, fmt.Sprintf(`{%q: [%d]}`, fmt.Sprint(field, i), i))
		}
		return `{"x": {"$or": [` + strings.Join(branches, ",") + `]}}`
	}
	nested := fmt.Sprintf(`{"a": %s, "b": %s, "c": %s, "eventName": ["X"]}`, or("a", 10), or("b", 10), or("c", 10))
	c := compile(t, nested, Options{})
	if !c.match(t, `{"eventName":"X","a":{"x":{"a3":3}},"b":{"x":{"b0":0}},"c":{"x":{"c9":9}}}`) {
		t.Error("does not match")
	}
	if c.match(t, `{"eventName":"X","a":{"x":{"a3":3}},"b":{"x":{"b0":0}}}`) {
		t.Error("matches")
	}
	var wide []string
	for i := range 200 {
		wide = append(wide, fmt.Sprintf(`"w%d": [1]`, i))
	}
	_, _, err := Parse("p.json", []byte(`{`+strings.Join(wide, ",")+`,`+nested[1:]))
	if want := "p.json:1:"; err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "the combinations of $or have more than 50000 tests together") {
		t.Errorf("%v", err)
	}
}

func TestWarnings(t *testing.T) {
	cases := []struct {
		pattern string
		want    []string
	}{
		{`{"source": ["aws.ec2"], "detail": {"eventName": ["X"]}}`, nil},
		{`{"source": ["aws.ec2"]}`, []string{`p.json:1:2: "source" is a field of the EventBridge event, but without the key "detail" the pattern applies to the CloudTrail record, which has none`}},
		{`{"resources": ["x"], "detail": {"a": [1]}}`, []string{
			`p.json:1:2: resources is empty in EventBridge events from CloudTrail: this never holds (look into detail.resources or detail.requestParameters)`,
			`p.json:1:1: no CloudTrail event can match this pattern`,
		}},
		{`{"eventName": [{"exists": false}], "detail": {"a": [1]}}`, []string{`p.json:1:2: an EventBridge event from CloudTrail has no top-level field "eventName": this always holds (did you mean detail.eventName?)`}},
		{`{"id": ["x"], "detail": {"a": [1]}}`, []string{`p.json:1:2: EventBridge gives each event an id of its own, which a CloudTrail record does not hold: it is compared with eventID`}},
		{`{"version": ["1"], "detail": {"a": [1]}}`, []string{
			`p.json:1:2: the version of an EventBridge event is always "0": this never holds`,
			`p.json:1:1: no CloudTrail event can match this pattern`,
		}},
		{`{"detail-type": ["AWS Console Signin via CloudTrail"], "detail": {"a": [1]}}`, []string{
			`p.json:1:2: no event from CloudTrail has such a detail-type; those are "AWS API Call via CloudTrail", "AWS Console Sign In via CloudTrail", "AWS Service Event via CloudTrail" and those of Insights, console actions and network activity`,
			`p.json:1:1: no CloudTrail event can match this pattern`,
		}},
		{`{"source.x": ["1"], "detail": {"a": [1]}}`, []string{
			`p.json:1:2: an EventBridge event from CloudTrail has no field "source.x": this never holds`,
			`p.json:1:1: no CloudTrail event can match this pattern`,
		}},
		{`{"a": [{"numeric": [">", 6000000000]}]}`, []string{`p.json:1:26: EventBridge itself refuses numbers beyond ±5e9 in numeric; here 6000000000 is compared all the same`}},
	}
	for _, c := range cases {
		_, warnings, err := Parse("p.json", []byte(c.pattern))
		if err != nil {
			t.Error(err)
		}
		var got []string
		for _, w := range warnings {
			got = append(got, w.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s\n%s", c.pattern, diff)
		}
	}
}

// FuzzParse: no input makes the parser panic or hang; what it reads compiles and
// can be evaluated and explained, and every error names a place.
func FuzzParse(f *testing.F) {
	for _, p := range realPatterns {
		f.Add(p)
	}
	f.Add(`{"a": [{"anything-but": {"wildcard": ["\\\\*", "*"]}}, {"numeric": [">", -0.0e9, "<=", 1e308]}, {"cidr": "::ffff:a00:0/8"}]}`)
	f.Add(`{"$or": [{"$or": [{"a": [1]}, {"a.b": [{"exists": false}]}]}, {"": [null]}], "detail": [{"exactly": "\ud800"}]}`)
	f.Fuzz(func(t *testing.T, src string) {
		for _, o := range []Options{{}, {Raw: true}, {Envelopes: true}} {
			node, _, err := ParseWith("p.json", []byte(src), o)
			if err != nil {
				if !strings.HasPrefix(err.Error(), "p.json:") {
					t.Errorf("no place in %q", err)
				}
				return
			}
			compileNode(t, node).match(t, `{"eventName":"a","a":[{"b":1},[{"b.c":null}]],"detail":{"a":"10.0.0.1"}}`)
		}
	})
}
