package matcher

import (
	"bytes"

	"github.com/valyala/fastjson"
)

func (n *SameElement) eval(e *evaluator, v *fastjson.Value) bool {
	return e.some(v, n.Path, n.Node.eval)
}

// some says whether hold does for one of the values at path, arrays flattened.
func (e *evaluator) some(v *fastjson.Value, path Path, hold func(*evaluator, *fastjson.Value) bool) bool {
	for i := range path {
		step := &path[i]
		if v.Type() == fastjson.TypeArray && step.Kind == StepKey {
			return e.someOf(v.GetArray(), path[i:], hold)
		}
		switch step.Kind {
		case StepKey:
			v = e.member(v, step.Key)
		case StepIndex:
			array := v.GetArray()
			if step.Index < 0 || step.Index >= len(array) {
				return false
			}
			v = array[step.Index]
		case StepElements:
			return e.someOf(v.GetArray(), path[i+1:], hold)
		case StepMembers:
			found := false
			var seen firsts
			v.GetObject().Visit(func(key []byte, member *fastjson.Value) {
				found = found || seen.first(v, key, member) && e.some(member, path[i+1:], hold)
			})
			return found
		}
		if v == nil {
			return false
		}
	}
	if v.Type() == fastjson.TypeArray {
		return e.someOf(v.GetArray(), nil, hold)
	}
	return hold(e, v)
}

func (e *evaluator) someOf(array []*fastjson.Value, rest Path, hold func(*evaluator, *fastjson.Value) bool) bool {
	for _, v := range array {
		if e.some(v, rest, hold) {
			return true
		}
	}
	return false
}

func (n *Anywhere) eval(e *evaluator, v *fastjson.Value) bool {
	return n.result(n.search(e, v))
}

// search judges the values under the key in v and in all that is below it.
func (n *Anywhere) search(e *evaluator, v *fastjson.Value) verdict {
	sum := absent
	switch v.Type() {
	case fastjson.TypeArray:
		for _, el := range v.GetArray() {
			if n.settles(&sum, n.search(e, el)) {
				break
			}
		}
	case fastjson.TypeObject:
		var seen firsts
		v.GetObject().Visit(func(key []byte, member *fastjson.Value) {
			if sum == held && n.Arrays != EachElement || !seen.first(v, key, member) {
				return
			}
			if string(key) == n.Key {
				n.add(&sum, n.judge(e, member))
			}
			n.add(&sum, n.search(e, member))
		})
	default: // nothing is below a scalar
	}
	return sum
}

// add is settles for branches that may be absent without meaning anything.
func (n *Anywhere) add(sum *verdict, r verdict) {
	if r != absent {
		n.settles(sum, r)
	}
}

// firsts tells the first of duplicate keys from the others.
type firsts struct{ keys map[string]struct{} }

// manyMembers is the size from which on an object's keys are remembered rather
// than searched, so that a hostile object costs no quadratic time.
const manyMembers = 64

func (f *firsts) first(object *fastjson.Value, key []byte, member *fastjson.Value) bool {
	o := object.GetObject()
	if o.Len() < manyMembers {
		return o.Get(b2v(key)) == member
	}
	if f.keys == nil {
		f.keys = make(map[string]struct{}, o.Len())
	}
	if _, ok := f.keys[string(key)]; ok {
		return false
	}
	f.keys[string(key)] = struct{}{}
	return true
}

func (n *Keyword) eval(e *evaluator, v *fastjson.Value) bool {
	if n.Document {
		e.compact(v)
		e.cur = sight{v: v, text: e.jsonText, isText: true}
		if n.Op.eval(e) {
			return true
		}
	}
	return n.result(n.search(e, v))
}

func (n *Keyword) search(e *evaluator, v *fastjson.Value) verdict {
	sum := absent
	switch v.Type() {
	case fastjson.TypeArray:
		for _, el := range v.GetArray() {
			if sum = max(sum, n.search(e, el)); sum == held {
				break
			}
		}
		return sum
	case fastjson.TypeObject:
		var seen firsts
		v.GetObject().Visit(func(key []byte, member *fastjson.Value) {
			if sum != held && seen.first(v, key, member) {
				sum = max(sum, n.search(e, member))
			}
		})
		return sum
	default:
		return n.judge(e, v)
	}
}

func (n *JSONText) eval(e *evaluator, v *fastjson.Value) bool {
	return e.some(v, n.Path, n.inside)
}

// inside evaluates the node on the value that v is or holds as text.
func (n *JSONText) inside(e *evaluator, v *fastjson.Value) bool {
	switch v.Type() {
	case fastjson.TypeObject:
		return n.Node.eval(e, v)
	case fastjson.TypeString:
		value := e.parseInside(v)
		if value == nil {
			return false
		}
		outer := e.enter()
		ok := n.Node.eval(e, value)
		e.leave(outer)
		return ok
	default:
		return false
	}
}

// enter goes into the value that was parsed inside a string; leave comes back.
func (e *evaluator) enter() (escapes bool) {
	escapes = e.escapes
	e.escapes = e.texts[e.depth].escapes
	e.depth++
	return escapes
}

func (e *evaluator) leave(escapes bool) {
	e.depth--
	e.escapes = escapes
}

// parseInside parses the JSON text in the string v, nil if it is none. The
// value is valid until another string is parsed at the same depth.
func (e *evaluator) parseInside(v *fastjson.Value) *fastjson.Value {
	for len(e.texts) <= e.depth {
		e.texts = append(e.texts, &inside{})
	}
	in := e.texts[e.depth]
	if in.of == v {
		return in.value
	}
	// What lies deeper was parsed from the value that goes now.
	for _, deeper := range e.texts[e.depth+1:] {
		deeper.of, deeper.value = nil, nil
	}
	in.of, in.value = v, nil
	text := v.GetStringBytes()
	if !mayBeJSON(text) {
		in.plain = appendPercentDecoded(in.plain[:0], text)
		if text = in.plain; !mayBeJSON(text) {
			return nil
		}
	}
	if value, err := in.parser.ParseBytes(text); err == nil {
		in.value, in.escapes = value, bytes.IndexByte(text, '\\') >= 0
	}
	return in.value
}

// mayBeJSON says whether text begins as a JSON object or array does.
func mayBeJSON(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && (text[0] == '{' || text[0] == '[')
}

// appendPercentDecoded appends text with %XX decoded. A plus sign stays, and so
// does a percent sign without two hexadecimal digits.
// Semantics: RFC 3986, as the IAM API returns policy documents.
func appendPercentDecoded(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			hi, lo := unhex(text[i+1]), unhex(text[i+2])
			if hi >= 0 && lo >= 0 {
				dst = append(dst, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		dst = append(dst, text[i])
	}
	return dst
}

func unhex(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	default:
		return -1
	}
}
