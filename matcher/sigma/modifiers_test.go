package sigma

import (
	"strings"
	"testing"
)

// TestValues: selections, events for which they hold (+) and do not (-).
func TestValues(t *testing.T) {
	tests := []struct{ name, selection, events string }{
		{"equal ignoring case", `a: Foo`, `+{"a":"fOO"} -{"a":"foobar"} -{} -{"a":null} -{"b":"foo"}`},
		{"cased", `a|cased: Foo`, `+{"a":"Foo"} -{"a":"foo"}`},
		{"list is or", `a: [x, y]`, `+{"a":"X"} +{"a":"y"} -{"a":"xy"}`},
		{"map is and", "a: x\nb: y", `+{"a":"x","b":"y"} -{"a":"x"}`},
		{"list of maps is or", "- a: x\n- b: y", `+{"a":"x"} +{"b":"y"} -{"a":"y"}`},
		{"wildcards", `a: 'x*y?z'`, `+{"a":"xyaz"} +{"a":"X12Y3Z"} -{"a":"xyz"} -{"a":"1xyaz"}`},
		{"one character is a rune", `a: 'x?'`, `+{"a":"xé"} -{"a":"x"} -{"a":"xab"}`},
		{"plain backslash", `a: 'c:\x'`, `+{"a":"C:\\X"} -{"a":"c:x"}`},
		{"escaped star", `a: 'x\*'`, `+{"a":"x*"} -{"a":"xy"} -{"a":"x\\*"}`},
		{"escaped question mark", `a: 'x\?'`, `+{"a":"x?"} -{"a":"xy"}`},
		{"backslash and wildcard", `a: 'x\\*'`, `+{"a":"x\\"} +{"a":"x\\y"} -{"a":"x*"} -{"a":"xy"}`},
		{"backslash and star", `a: 'x\\\*'`, `+{"a":"x\\*"} -{"a":"x\\y"}`},
		{"two backslashes", `a: 'x\\\\y'`, `+{"a":"x\\\\y"} -{"a":"x\\y"}`},
		{"double is single", `a: 'x\\y'`, `+{"a":"x\\y"} -{"a":"x\\\\y"}`},
		{"number", `a: 517`, `+{"a":517} +{"a":"517"} -{"a":517.0} -{"a":5170}`},
		{"number as text", `a: '517'`, `+{"a":517} +{"a":"517"}`},
		{"long number", `a: 012345678901`, `+{"a":"012345678901"} -{"a":12345678901}`},
		{"hexadecimal", `a: 0x1F`, `+{"a":31} -{"a":"0x1F"}`},
		{"boolean", `a: true`, `+{"a":true} +{"a":"True"} -{"a":false} -{"a":1}`},
		{"boolean as text", `a: 'TRUE'`, `+{"a":true} +{"a":"true"}`},
		{"null", `a: null`, `+{} +{"a":null} -{"a":""} -{"a":[]} -{"a":{}}`},
		{"null below", `a.b: null`, `+{} +{"a":null} +{"a":{"b":null}} +{"a":"x"} -{"a":{"b":1}}`},
		{"empty", `a: ''`, `+{"a":""} -{"a":null} -{} -{"a":" "}`},
		{"exists", `a|exists: true`, `+{"a":1} +{"a":null} +{"a":[]} -{}`},
		{"exists not", `a.b|exists: false`, `+{} +{"a":null} +{"a":{}} -{"a":{"b":null}}`},
		{"contains", `a|contains: oo`, `+{"a":"FOO"} -{"a":"o"} -{}`},
		{"contains with wildcard", `a|contains: 'o*b'`, `+{"a":"foo bar"} -{"a":"bo"}`},
		{"contains anything", `a|contains: '*'`, `+{"a":"x"} +{"a":["x"]} +{"a":{"b":1}} -{"a":[]} -{"a":null} -{}`},
		{"startswith", `a|startswith: [x, y]`, `+{"a":"Xa"} +{"a":"y"} -{"a":"ax"}`},
		{"startswith with wildcard", `a|startswith: 'x?z'`, `+{"a":"xyz1"} -{"a":"xz1"}`},
		{"endswith", `a|endswith: x`, `+{"a":"aX"} -{"a":"xa"}`},
		{"all", `a|contains|all: [x, y]`, `+{"a":"yx"} -{"a":"x"} +{"a":["x","y"]}`},
		{"all before", `a|all|contains|cased: [X, y]`, `+{"a":"yX"} -{"a":"yx"}`},
		{"array", `a.b: x`, `+{"a":[{"b":"y"},{"b":["z","x"]}]} -{"a":[{"b":"y"},"x"]}`},
		{"object text", `a|contains: '"b":"C"'`, `+{"a":{ "b" : "c" }} +{"a":[{"b":"c"}]} -{"a":{"b":"d"}}`},
		{"array of objects", `a|contains: '},{'`, `+{"a":[{"b":1} , {"c":2}]} -{"a":["x","y"]}`},
		{"array of texts is no text", `a|contains: '","'`, `-{"a":["x","y"]}`},
		{"re", `a|re: 'o+B'`, `+{"a":"fooBar"} -{"a":"foobar"}`},
		{"re anchored", `a|re: '^x$'`, `+{"a":"x"} -{"a":"xy"}`},
		{"re i", `a|re|i: 'o+B'`, `+{"a":"FOOB"}`},
		{"re m", `a|re|m: '^x$'`, `+{"a":"y\nx\nz"} -{"a":"yx"}`},
		{"re s", `a|re|s: 'x.y'`, `+{"a":"x\ny"} -{"a":"xy"}`},
		{"re without s", `a|re: 'x.y'`, `-{"a":"x\ny"} +{"a":"x y"}`},
		{"re all", `a|re|all: ['^x', 'y$']`, `+{"a":"xy"} -{"a":"x"}`},
		{"re backslash", `a|re: '\d\*'`, `+{"a":"1*"} -{"a":"11"}`},
		{"cidr", `a|cidr: [10.0.0.0/8, '2001:db8::/32']`, `+{"a":"10.1.2.3"} +{"a":"2001:db8::1"} -{"a":"11.0.0.1"} -{"a":"ec2.amazonaws.com"}`},
		{"cidr of one", `a|cidr: 10.0.0.1`, `+{"a":"10.0.0.1"} -{"a":"10.0.0.2"}`},
		{"gt", `a|gt: 5`, `+{"a":6} +{"a":"6"} -{"a":5} -{"a":"x"} -{}`},
		{"gte", `a|gte: 5.0`, `+{"a":5} -{"a":4.9}`},
		{"lt", `a|lt: 5`, `+{"a":-1} -{"a":5}`},
		{"lte", `a|lte: '5'`, `+{"a":5} -{"a":5.1}`},
		{"neq", `a|neq: x`, `+{"a":"y"} +{"a":1} -{"a":"X"} -{} -{"a":null} -{"a":["x","y"]}`},
		{"neq list", `a|neq: [x, y]`, `+{"a":"z"} -{"a":"x"} -{"a":"y"}`},
		{"neq null", `a|neq: null`, `+{"a":"z"} +{"a":""} -{"a":null} -{}`},
		{"neq contains", `a|contains|neq: x`, `+{"a":"y"} -{"a":"axa"} -{}`},
		{"neq cidr", `a|cidr|neq: 10.0.0.0/8`, `+{"a":"11.0.0.1"} +{"a":"host"} -{"a":"10.0.0.1"} -{}`},
		{"fieldref", `a|fieldref: b`, `+{"a":"x","b":"X"} -{"a":"x","b":"y"} -{"a":"x"} -{} -{"a":null,"b":null}`},
		{"fieldref cased", `a|fieldref|cased: b`, `+{"a":"x","b":"x"} -{"a":"x","b":"X"}`},
		{"fieldref neq", `a|fieldref|neq: b`, `+{"a":"x","b":"y"} -{"a":"x","b":"X"} -{"a":"x"} -{"b":"x"}`},
		{"fieldref startswith", `a|fieldref|startswith: b.c`, `+{"a":"xyz","b":{"c":"XY"}} -{"a":"xyz","b":{"c":"y"}}`},
		{"fieldref endswith", `a|endswith|fieldref: b`, `+{"a":"xyz","b":"YZ"} -{"a":"xyz","b":"y"}`},
		{"fieldref contains", `a|fieldref|contains: b`, `+{"a":"xyz","b":"y"} -{"a":"y","b":"xyz"}`},
		{"fieldref list", `a|fieldref: [b, c]`, `+{"a":"x","c":"x"} -{"a":"x","b":"y"}`},
		{"base64", `a|base64: foobar`, `+{"a":"Zm9vYmFy"} -{"a":"foobar"}`},
		{"base64 contains", `a|base64|contains|cased: foobar`, `+{"a":"-Zm9vYmFy-"} -{"a":"-zm9vYmFy-"}`},
		{"base64offset", `a|base64offset|contains: foobar`, `+{"a":"Zm9vYmFy"} +{"a":"eGZvb2Jhcg=="} +{"a":"eHhmb29iYXI="} -{"a":"foobar"}`},
		{"wide base64", `a|wide|base64: cmd`, `+{"a":"YwBtAGQA"}`},
		{"utf16le base64", `a|utf16le|base64: cmd`, `+{"a":"YwBtAGQA"}`},
		{"utf16be base64", `a|utf16be|base64: cmd`, `+{"a":"AGMAbQBk"}`},
		{"utf16 base64", `a|utf16|base64: cmd`, `+{"a":"//5jAG0AZAA="}`},
		{"wide", `a|wide|contains: 'x'`, `+{"a":"x\u0000"} -{"a":"x"}`},
		{"windash", `a|windash|contains: ' -x'`, `+{"a":"c -x"} +{"a":"c /X"} +{"a":"c –x"} +{"a":"c —x"} +{"a":"c ―x"} -{"a":"c x"}`},
		{"windash after", `a|contains|windash: '/a-b'`, `+{"a":"-a/b"} +{"a":"/a-b"} -{"a":"ab"}`},
		{"windash with wildcard", `a|windash: '*-x*'`, `+{"a":"1/x2"} -{"a":"1x2"}`},
		{"minute", `a|minute: 5`, `+{"a":"2026-03-02T10:05:00Z"} -{"a":"2026-03-02T10:06:00Z"}`},
		{"hour in UTC", `a|hour: [9, 10]`, `+{"a":"2026-03-02T12:05:00+02:00"} -{"a":"2026-03-02T12:05:00Z"}`},
		{"day", `a|day: 2`, `+{"a":"2026-03-02"} -{"a":"2"}`},
		{"week", `a|week: 10`, `+{"a":"2026-03-02"} -{"a":"2026-03-01"}`},
		{"month", `a|month|gte: 3`, `+{"a":"2026-03-02"} -{"a":"2026-02-28"}`},
		{"year", `a|year|neq: 2026`, `+{"a":"2025-03-02"} -{"a":"2026-02-28"} -{}`},
		{"keywords", "- foo\n- 'b r'", `+{"x":"a FOO"} +{"x":{"y":["ab rc"]}} -{"x":"f oo"}`},
		{"keyword alone", "foo", `+{"x":"a FOO"} -{"x":"f oo"}`},
		{"keyword in JSON", `- '"x":{"y":1}'`, `+{"x": {"y": 1}} -{"x":1}`},
		{"keyword in a text with quotes", `- 'say "hi"'`, `+{"x":"I SAY \"hi\""} -{"x":"say hi"}`},
		{"keyword with backslash", `- 'c:\x'`, `+{"x":"C:\\x\\y"} -{"x":"c:x"}`},
		{"keyword with wildcards", `- 'a?c*e'`, `+{"x":"1abcde2"} +{"x":"a\"cde"} -{"x":"acde"}`},
		{"keyword number", `- 517`, `+{"x":517} +{"x":"a5171"} -{"x":51}`},
		{"keywords all", `'|all': [foo, bar]`, `+{"x":"foo","y":"bar"} -{"x":"foo"}`},
		{"keywords cased", `'|cased': [Foo]`, `+{"x":"Foo"} -{"x":"foo"}`},
		{"keywords re", `'|re': ['^fo+$']`, `+{"x":"foo"} -{"x":"foo bar"}`},
		{"keywords contains all", `'|contains|all': [foo, bar]`, `+{"x":"barfoo"} -{"x":"foo"}`},
		{"maps and keywords", "- a: x\n- foo", `+{"a":"x"} +{"b":"foo"} -{"a":"y"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := compile(t, mustParse(t, selecting(tt.selection)).Rules)
			checked := 0
			for _, event := range strings.SplitAfter(strings.ReplaceAll(strings.ReplaceAll(tt.events, "} +", "}\n+"), "} -{", "}\n-{"), "\n") {
				event = strings.TrimSpace(event)
				checked++
				if got := len(matches(t, m, event[1:])) == 1; got != (event[0] == '+') {
					t.Errorf("%s: %t\n%s", event[1:], got, tt.selection)
				}
			}
			if checked == 0 {
				t.Error("no events")
			}
		})
	}
}

func TestPlaceholders(t *testing.T) {
	o := Options{Placeholders: map[string][]string{"admins": {"root", "adm*"}, "n": {"1", "2"}}}
	tests := []struct{ selection, events string }{
		{`a|expand: '%admins%'`, `+{"a":"ROOT"} +{"a":"admin"} -{"a":"x"} -{"a":"%admins%"}`},
		{`a|expand|contains: 'u-%admins%-%n%'`, `+{"a":"u-root-2"} +{"a":"xu-admx-1x"} -{"a":"u-root-3"}`},
		{`a|expand: '\%plain%n%'`, `+{"a":"%plain1"} -{"a":"%plain%n%"}`},
		{`a|expand: '100% of %n%'`, `+{"a":"100% of 2"} -{"a":"100% of %n%"}`},
		{`a|expand|re: '^%n%$'`, `+{"a":"2"} -{"a":"3"}`},
		{`a: '%n%'`, `+{"a":"%n%"} -{"a":"1"}`},
		{`a|expand|all|contains: ['%n%', x]`, `+{"a":"x2"} -{"a":"2"}`},
	}
	for _, tt := range tests {
		s, err := Parse("test.yml", []byte(selecting(tt.selection)), o)
		if err != nil {
			t.Errorf("%s: %v", tt.selection, err)
			continue
		}
		m := compile(t, s.Rules)
		for _, event := range strings.Split(strings.ReplaceAll(strings.ReplaceAll(tt.events, "} +", "}\n+"), "} -{", "}\n-{"), "\n") {
			if got := len(matches(t, m, event[1:])) == 1; got != (event[0] == '+') {
				t.Errorf("%s on %s: %t", tt.selection, event[1:], got)
			}
		}
	}
}
