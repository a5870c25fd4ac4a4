package matcher

import "github.com/valyala/fastjson"

// RawText tests the event's JSON text byte for byte as it came: white space,
// escapes and the order of keys count. It is about the whole event wherever it
// stands. Document is the same for the compact text.
type RawText struct {
	Op   Op
	Note Note
}

func (n *RawText) eval(e *evaluator, v *fastjson.Value) bool {
	e.cur = sight{v: v, text: e.document.raw, isText: true}
	return n.Op.eval(e)
}

func (n *RawText) canon(dst []byte) []byte {
	return append(n.Op.canon(append(dst, "(raw-text "...)), ')')
}

func (n *RawText) explain(x *explainer, v *fastjson.Value) Explanation {
	return x.lead(n, v, n.Note, "the event as it came "+n.Op.words())
}

func (n *RawText) needs() plan            { return unknown() }
func (n *RawText) reads(yield func(Path)) { yield(nil) }
