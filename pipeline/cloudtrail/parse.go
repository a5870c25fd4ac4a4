package cloudtrail

import (
	"bytes"
	"fmt"

	"github.com/valyala/fastjson"
)

// A parser never shrinks, so one that has seen a larger event than this, or
// one with more values, is not kept.
const (
	keepParserBytes  = 1 << 20
	keepParserValues = 1 << 15
	maxErrorText     = 200
)

// Parse parses the whole event, once; later calls return the same tree. An
// error means that the event is invalid: not JSON, not an object, followed by
// other bytes (ErrBroken), or too deep (ErrTooDeep). The tree is valid until the next
// Reset; reading it changes it, so only the goroutine that owns e may.
// Its Get finds the first of duplicate keys, as Scan does.
func (e *Event) Parse() (*fastjson.Value, error) {
	e.plainly()
	if !e.parsed {
		e.parsed = true
		e.tree, e.bad = e.parse()
	}
	return e.tree, e.bad
}

func (e *Event) parse() (*fastjson.Value, error) {
	escapedKeys := false
	// Most events have fewer brackets, strings included, than may nest.
	if bytes.Count(e.raw, []byte{'{'})+bytes.Count(e.raw, []byte{'['}) > e.depthLimit() || bytes.IndexByte(e.raw, '\\') >= 0 {
		var deepest int
		if deepest, escapedKeys = nesting(e.raw); deepest > e.depthLimit() {
			return nil, e.tooDeep()
		}
	}
	if e.parser == nil {
		e.parser = new(fastjson.Parser)
	}
	v, err := e.parser.ParseBytes(e.raw)
	if err != nil {
		// The text alone: fastjson's errors have no types, and quote the event.
		text := err.Error()
		return nil, fmt.Errorf("%w: %s", ErrBroken, text[:min(len(text), maxErrorText)])
	}
	if v.Type() != fastjson.TypeObject {
		return nil, errNoObject
	}
	if escapedKeys {
		unescapeKeys(v)
	}
	return v, nil
}

// unescapeKeys makes every object of the tree compare its keys unescaped.
// Otherwise Get prefers a later key that is spelled without escapes to an
// earlier one that says the same with them.
func unescapeKeys(v *fastjson.Value) {
	switch v.Type() {
	case fastjson.TypeObject:
		v.GetObject().Visit(func(_ []byte, member *fastjson.Value) { unescapeKeys(member) })
	case fastjson.TypeArray:
		for _, element := range v.GetArray() {
			unescapeKeys(element)
		}
	default: // a scalar has no keys
	}
}

// Validate parses the whole event and holds it to RFC 8259, which Parse is
// laxer than: number syntax, escapes, control characters inside strings.
// It is what "validate: full" asks of every event.
func (e *Event) Validate() error {
	if _, err := e.Parse(); err != nil {
		return err
	}
	if err := fastjson.ValidateBytes(e.raw); err != nil {
		text := err.Error()
		return fmt.Errorf("%w: %s", ErrBroken, text[:min(len(text), maxErrorText)])
	}
	return nil
}

// shedParser forgets the tree of the event before.
func (e *Event) shedParser() {
	e.parsed, e.tree, e.bad = false, nil, nil
	n := len(e.raw)
	if n > keepParserBytes || n > keepParserValues &&
		bytes.Count(e.raw, []byte{','})+bytes.Count(e.raw, []byte{'['})+bytes.Count(e.raw, []byte{'{'}) > keepParserValues {
		e.parser = nil
	}
}
