package matcher

import (
	"fmt"

	"github.com/valyala/fastjson"
)

// FieldsLike tests every scalar in the event whose dotted path is like a
// pattern: it holds when one of them satisfies the Leaf. Arrays leave no trace
// in the path. It costs a walk through the whole event.
type FieldsLike struct {
	Leaf
	Note Note
	glob *glob
}

// NewFieldsLike returns the node for a pattern of paths, in which a run may
// take dots.
func NewFieldsLike(pattern []GlobToken, leaf Leaf, note Note) *FieldsLike {
	return &FieldsLike{Leaf: leaf, Note: note, glob: newGlob(false, pattern)}
}

func (n *FieldsLike) eval(e *evaluator, v *fastjson.Value) bool {
	e.path = e.path[:0]
	return n.result(n.search(e, v))
}

func (n *FieldsLike) search(e *evaluator, v *fastjson.Value) verdict {
	sum := absent
	switch v.Type() {
	case fastjson.TypeArray:
		for _, el := range v.GetArray() {
			if sum = max(sum, n.search(e, el)); sum == held {
				break
			}
		}
	case fastjson.TypeObject:
		length := len(e.path)
		var seen firsts
		v.GetObject().Visit(func(key []byte, member *fastjson.Value) {
			if sum == held || !seen.first(v, key, member) {
				return
			}
			if length > 0 {
				e.path = append(e.path, '.')
			}
			e.path = append(e.path, key...)
			sum = max(sum, n.search(e, member))
			e.path = e.path[:length]
		})
	default:
		if n.glob.match(e.path) {
			return n.judge(e, v)
		}
	}
	return sum
}

func (n *FieldsLike) canon(dst []byte) []byte {
	dst = canonTexts(append(dst, "(fields"...), "like", false, []string{n.glob.String()})
	return append(n.Leaf.canon(dst), ')')
}

func (n *FieldsLike) explain(x *explainer, v *fastjson.Value) Explanation {
	return x.lead(n, v, n.Note, fmt.Sprintf("a field like %s %s", n.glob, n.Op.words()))
}

// A pattern of paths bounds nothing that the index can ask for.
func (n *FieldsLike) needs() plan { return unknown() }

func (n *FieldsLike) reads(yield func(Path)) { yield(nil) }
