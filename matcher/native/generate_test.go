package native

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Generators of conditions and events that meet each other often.

var (
	genText   = rapid.SampledFrom([]string{"", "x", "X", "xy", "Xyz", "y", "10.0.0.1", "10.2.0.0", "é", "É", "a*", "1", "true"})
	genNumber = rapid.SampledFrom([]json.Number{"0", "1", "1.0", "10e-1", "2", "-1", "9007199254740992", "9007199254740993"})
	genScalar = rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 9).Draw(t, "scalar") {
		case 0, 1:
			return genNumber.Draw(t, "number")
		case 2:
			return rapid.Bool().Draw(t, "bool")
		case 3:
			return nil
		default:
			return genText.Draw(t, "text")
		}
	})
	genKey  = rapid.SampledFrom([]string{"a", "b", "c"})
	genPath = rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(genKey, 1, 3).Draw(t, "path"), ".")
	})
)

func drawValue(t *rapid.T, depth int) any {
	switch k := rapid.IntRange(0, 5).Draw(t, "value"); {
	case k < 2 && depth > 0:
		return drawObject(t, depth-1)
	case k < 4 && depth > 0:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			list = append(list, drawValue(t, depth-1))
		}
		return list
	case k == 4 && depth > 0:
		text, err := json.Marshal(drawValue(t, depth-1))
		if err != nil {
			panic(err)
		}
		if rapid.Bool().Draw(t, "percent") {
			return url.PathEscape(string(text))
		}
		return string(text)
	default:
		return genScalar.Draw(t, "leaf")
	}
}

func drawObject(t *rapid.T, depth int) object {
	o := object{}
	for _, k := range []string{"a", "b", "c"} {
		if rapid.IntRange(0, 3).Draw(t, "has") > 0 {
			o[k] = drawValue(t, depth)
		}
	}
	return o
}

func drawEvent(t *rapid.T) object {
	o := drawObject(t, 4)
	o["eventName"] = genText.Draw(t, "eventName")
	for _, k := range []string{"errorCode", "errorMessage"} {
		if rapid.IntRange(0, 3).Draw(t, k) == 0 {
			o[k] = rapid.SampledFrom([]any{nil, "AccessDenied", "Client.UnauthorizedOperation", "Throttling"}).Draw(t, k)
		}
	}
	return o
}

func drawList(t *rapid.T, draw func() any) []any {
	var list []any
	for range rapid.IntRange(1, 3).Draw(t, "items") {
		list = append(list, draw())
	}
	return list
}

func drawCondition(t *rapid.T, depth int, event bool) object {
	o := object{}
	for range rapid.IntRange(1, 2).Draw(t, "entries") {
		switch k := rapid.IntRange(0, 10).Draw(t, "kind"); {
		case k < 3 && depth > 0:
			name := []string{"any", "all", "not"}[k]
			o[name] = drawList(t, func() any { return drawCondition(t, depth-1, event) })
		case k == 3 && depth > 0:
			o["not"] = drawCondition(t, depth-1, event)
		case k == 4 && depth > 0:
			o["same_element"] = object{"path": genPath.Draw(t, "path"), "match": drawCondition(t, depth-1, false)}
		case k == 5:
			o["anywhere"] = object{genKey.Draw(t, "key"): drawSpec(t, depth, false)}
		case k == 6 && event:
			o["response"] = rapid.SampledFrom([]string{"success", "failure", "unauthorized"}).Draw(t, "response")
		case k == 7 && event:
			o["eventName"] = rapid.SampledFrom([]any{"x", []any{"x", "Xyz"}, object{"prefix": "x", "ignore_case": true}, object{"wildcard": "*y*"}}).Draw(t, "name")
		default:
			o[genPath.Draw(t, "path")] = drawSpec(t, depth, true)
		}
	}
	return o
}

func drawSpec(t *rapid.T, depth int, path bool) any {
	switch k := rapid.IntRange(0, 9).Draw(t, "spec"); {
	case k < 2:
		return genScalar.Draw(t, "equals")
	case k < 3:
		return drawList(t, func() any { return genScalar.Draw(t, "item") })
	}
	o := object{}
	for range rapid.IntRange(1, 2).Draw(t, "operators") {
		switch k := rapid.IntRange(0, 7).Draw(t, "operator"); {
		case k == 0 && depth > 0:
			o["not"] = drawSpec(t, depth-1, path)
		case k == 1:
			o["exists"] = rapid.Bool().Draw(t, "exists")
		case k == 2:
			o["all_of"] = drawList(t, func() any { return genScalar.Draw(t, "item") })
		case k == 3 && path:
			o["each"] = drawJudge(t)
		case k == 4 && path && depth > 0:
			o["json"] = drawCondition(t, depth-1, false)
		default:
			name, arg := drawOperator(t)
			o[name] = arg
		}
	}
	for _, k := range textOperators {
		if _, ok := o[k]; ok {
			if rapid.IntRange(0, 3).Draw(t, "ignore_case") == 0 {
				o["ignore_case"] = true
			}
			break
		}
	}
	return o
}

func drawJudge(t *rapid.T) any {
	if rapid.Bool().Draw(t, "list") {
		return drawList(t, func() any { return genScalar.Draw(t, "item") })
	}
	name, arg := drawOperator(t)
	if rapid.Bool().Draw(t, "not") {
		return object{"not": object{name: arg}}
	}
	return object{name: arg}
}

func drawOperator(t *rapid.T) (string, any) {
	texts := rapid.SampledFrom([]any{"x", "X", "y", "É", "1", []any{"x", "z"}})
	switch k := rapid.IntRange(0, 5).Draw(t, "op"); k {
	case 0:
		return rapid.SampledFrom([]string{"equals", "in"}).Draw(t, "name"), drawList(t, func() any { return genScalar.Draw(t, "item") })
	case 1:
		return rapid.SampledFrom([]string{"prefix", "suffix", "contains"}).Draw(t, "name"), texts.Draw(t, "texts")
	case 2:
		return "wildcard", rapid.SampledFrom([]any{"x*", "*y*", "?", "a\\*", []any{"??", "*Z"}}).Draw(t, "pattern")
	case 3:
		return "regex", rapid.SampledFrom([]any{"^x", "y$", "x|é", []any{"^$", "[0-9]"}}).Draw(t, "expression")
	case 4:
		return "cidr", rapid.SampledFrom([]any{"10.0.0.0/16", "0.0.0.0/0", []any{"10.2.0.0/32", "::/0"}}).Draw(t, "range")
	default:
		return rapid.SampledFrom([]string{"lt", "lte", "gt", "gte"}).Draw(t, "name"), genNumber.Draw(t, "number")
	}
}

func mustJSON(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

// TestEngineAgreesWithReference compares compiled conditions with the reference
// on events made to meet them.
func TestEngineAgreesWithReference(t *testing.T) {
	held, missed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		cond := drawCondition(t, 3, true)
		c := compile(t, ruleWith("match: "+mustJSON(cond)))
		for range 5 {
			event := drawEvent(t)
			got, want := c.match(t, mustJSON(event)), refCondition(cond, event)
			if got != want {
				t.Fatalf("engine %t, reference %t\nmatch: %s\nevent: %s\n%s", got, want, mustJSON(cond), mustJSON(event), c.explain(t, mustJSON(event)))
			}
			if got {
				held++
			} else {
				missed++
			}
		}
	})
	if !t.Failed() && (held < missed/10 || missed < held/10) {
		t.Errorf("one-sided: %d held, %d did not", held, missed)
	}
}
