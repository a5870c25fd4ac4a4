package matcher

import (
	"slices"
	"strings"
)

// Op judges one value. An Op is immutable and safe for concurrent use; make
// one with the constructors of this package.
type Op interface {
	// eval judges e.cur.
	eval(e *evaluator) bool
	canon(dst []byte) []byte
	// words describes the op as a predicate: `is "a" or "b"`.
	words() string
	// whole says that an array at the end of a path is seen whole.
	whole() bool
	// textual says that the op holds for texts only, and reads nothing else.
	textual() bool
}

// OneOf holds when one of ops does, for the same value.
func OneOf(ops ...Op) Op { return &oneOf{ops} }

// Every holds when all of ops do, for the same value.
func Every(ops ...Op) Op { return &every{ops} }

// Neither holds for a value for which none of ops holds, whatever its type.
func Neither(ops ...Op) Op { return &neither{ops} }

type (
	oneOf   struct{ ops []Op }
	every   struct{ ops []Op }
	neither struct{ ops []Op }
)

func (o *oneOf) eval(e *evaluator) bool {
	for _, op := range o.ops {
		if op.eval(e) {
			return true
		}
	}
	return false
}

func (o *every) eval(e *evaluator) bool {
	for _, op := range o.ops {
		if !op.eval(e) {
			return false
		}
	}
	return true
}

func (o *neither) eval(e *evaluator) bool {
	for _, op := range o.ops {
		if op.eval(e) {
			return false
		}
	}
	return true
}

func (o *oneOf) canon(dst []byte) []byte   { return canonSet(dst, "one-of", o.ops) }
func (o *every) canon(dst []byte) []byte   { return canonSet(dst, "every", o.ops) }
func (o *neither) canon(dst []byte) []byte { return canonSet(dst, "neither", o.ops) }

func (o *oneOf) words() string   { return joinWords(o.ops, " or ") }
func (o *every) words() string   { return joinWords(o.ops, " and ") }
func (o *neither) words() string { return "not (" + joinWords(o.ops, " or ") + ")" }

func (o *oneOf) whole() bool   { return slices.ContainsFunc(o.ops, Op.whole) }
func (o *every) whole() bool   { return slices.ContainsFunc(o.ops, Op.whole) }
func (o *neither) whole() bool { return slices.ContainsFunc(o.ops, Op.whole) }

func (o *oneOf) textual() bool {
	return !slices.ContainsFunc(o.ops, func(op Op) bool { return !op.textual() })
}

func (o *every) textual() bool {
	return len(o.ops) > 0 && !slices.ContainsFunc(o.ops, func(op Op) bool { return !op.textual() })
}

// A neither holds for values of every type.
func (o *neither) textual() bool { return false }

func joinWords(ops []Op, sep string) string {
	words := make([]string, len(ops))
	for i, op := range ops {
		words[i] = op.words()
	}
	return strings.Join(words, sep)
}
