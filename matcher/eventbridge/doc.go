// Package eventbridge reads Amazon EventBridge event patterns and lowers them
// into the matcher's nodes.
//
// Semantics: aws/event-ruler, the engine of EventBridge, and the Amazon
// EventBridge user guide. docs/languages/eventbridge.md has every decision.
package eventbridge

import (
	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

// Bounds of a pattern; beyond them it is refused.
const (
	MaxSize         = 256 << 10 // bytes of JSON text
	MaxDepth        = 64        // nesting of objects and arrays
	MaxCombinations = 1000      // of the branches of all $or
	MaxValues       = 20_000    // values in all lists
	// maxLeaves bounds the tests of all combinations together.
	maxLeaves = 50_000
	maxNumber = 1000 // characters of one number
)

// Error is a problem at a place in a pattern.
type Error = native.Error

// Warning is a remark on a pattern that loads all the same.
type Warning = native.Warning

// Options of ParseWith.
type Options struct {
	// Raw: the pattern applies to the object as it is, with or without detail.
	Raw bool
	// Envelopes: an object with a detail of its own is an EventBridge event, and
	// the pattern applies to it as it is; other objects are CloudTrail records.
	// It is for objects of unknown origin.
	Envelopes bool
}

// Parse reads a pattern for CloudTrail records. With a key detail it is a pattern
// for the EventBridge event that would carry the record, without one for the
// record itself. file is for positions, which are places in src. An error is an
// *Error.
func Parse(file string, src []byte) (matcher.Node, []Warning, error) {
	return ParseWith(file, src, Options{})
}

// ParseWith is Parse with options.
func ParseWith(file string, src []byte, o Options) (matcher.Node, []Warning, error) {
	v, err := readJSON(file, src)
	if err != nil {
		return nil, nil, err
	}
	return lower(v, o)
}

// lower makes the node of a pattern.
func lower(v *value, o Options) (matcher.Node, []Warning, error) {
	c := &compiler{}
	alternatives, err := c.pattern(v)
	if err != nil {
		return nil, nil, err
	}
	note := matcher.Note{Label: "event pattern", Pos: v.pos}
	if o.Raw {
		return rawNode(alternatives, note), c.warnings, nil
	}
	node := c.recordNode(alternatives, note)
	if o.Envelopes {
		node = eitherNode(rawNode(alternatives, note), node, note)
	}
	return node, c.warnings, nil
}
