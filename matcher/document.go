package matcher

import "github.com/valyala/fastjson"

// Document tests the event's compact JSON text as one string: keys, values and
// punctuation. Where several rules look into it, the text is made once.
//
// A text without quotation marks, backslashes and control characters that
// occurs in some string of the event occurs in the document too; for others
// Keyword must look at the strings as well, which stand escaped here.
type Document struct {
	Op   Op
	Note Note
}

// documentText is the compact text of the event, and the same folded.
type documentText struct {
	raw          []byte          // the event's bytes as they came, borrowed; for RawText
	of           *fastjson.Value // nil: none was made
	text, folded []byte
	fold         rawFold // of raw; for Hinted
}

func (d *documentText) make(v *fastjson.Value) {
	d.of = v
	d.text = appendCompact(d.text[:0], v)
	d.folded = appendFoldBytes(d.folded[:0], d.text)
}

func (n *Document) eval(e *evaluator, v *fastjson.Value) bool {
	d := &e.document
	// Values parsed from strings live in memory that is used again, so that a
	// pointer does not tell them apart.
	if d.of != v || e.depth > 0 {
		d.make(v)
	}
	if e.depth > 0 {
		d.of = nil
	}
	e.cur = sight{v: v, text: d.text, isText: true, isFolded: true}
	folded := e.folded
	e.folded = d.folded
	ok := n.Op.eval(e)
	e.folded = folded
	return ok
}

func (n *Document) canon(dst []byte) []byte {
	return append(n.Op.canon(append(dst, "(document "...)), ')')
}

func (n *Document) explain(x *explainer, v *fastjson.Value) Explanation {
	return x.lead(n, v, n.Note, "the event's text "+n.Op.words())
}

func (n *Document) needs() plan            { return unknown() }
func (n *Document) reads(yield func(Path)) { yield(nil) }
