package matcher

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// Hinted holds when Node does. Hints spare the work: Node must be one that can
// hold only for an event of which one of Hints occurs (ignoring case) inside a
// key, a string or a number. A hint must not be empty, and hold no control
// character and none of "\{}[]:, — PlainPiece finds such a piece of a text.
//
// The event's bytes are searched as they came, so that an event without any of
// the hints costs one pass over its bytes and no making of its compact text.
type Hinted struct {
	Hints []string
	Node  Node
	// Exact says that Node holds if and only if a hint occurs so.
	Exact bool
}

// PlainPiece returns the longest run of characters in text that can be a hint.
func PlainPiece(text string) string {
	best, start := "", 0
	for i := 0; i <= len(text); i++ {
		if i < len(text) && text[i] >= ' ' && bytes.IndexByte(structural, text[i]) < 0 {
			continue
		}
		if i-start > len(best) {
			best = text[start:i]
		}
		start = i + 1
	}
	return best
}

var structural = []byte(`"\{}[]:,`)

// rawFold is the event's bytes as they came, folded.
type rawFold struct {
	made   bool // for the current event
	tame   bool // folded can be asked
	folded []byte
}

// make folds raw. It is not tame when a character may stand there as an escape
// and in the compact text as itself.
func (f *rawFold) make(raw []byte) {
	f.made, f.tame = true, false
	for rest := raw; ; {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 {
			break
		}
		if i+1 == len(rest) {
			return
		}
		switch rest[i+1] {
		case '"', '\\', 'n', 'r', 't':
		default:
			return
		}
		rest = rest[i+2:]
	}
	f.tame = true
	f.folded = appendFoldBytes(f.folded[:0], raw)
}

// mayHold says whether one of hints, folded, occurs in the event.
func (n *Hinted) mayHold(e *evaluator) bool {
	if e.depth > 0 || e.document.raw == nil {
		return true
	}
	f := &e.document.fold
	if !f.made {
		f.make(e.document.raw)
	}
	return !f.tame || slices.ContainsFunc(n.Hints, func(h string) bool { return bytes.Contains(f.folded, v2b(h)) })
}

// NewAnyText returns the search, ignoring case, for one of texts in the event's
// compact JSON and in its strings, given as node. A text without structural
// characters lies within one string or number; when the event writes it without
// escapes of its own, searching its bytes is all there is to do.
func NewAnyText(node Node, texts ...string) Node {
	n := &Hinted{Node: node, Exact: true}
	for _, text := range texts {
		piece := PlainPiece(text)
		if piece == "" {
			return node
		}
		n.Exact = n.Exact && piece == text && strings.TrimSpace(text) == text
		n.Hints = append(n.Hints, piece)
	}
	n.Hints = canonicalTexts(true, n.Hints)
	return n
}

// NewHinted returns node with hints, node itself if there are none to use.
func NewHinted(node Node, hints ...string) Node {
	if len(hints) == 0 || slices.Contains(hints, "") {
		return node
	}
	return &Hinted{Hints: canonicalTexts(true, hints), Node: node}
}

func (n *Hinted) eval(e *evaluator, v *fastjson.Value) bool {
	if !n.mayHold(e) {
		return false
	}
	if n.Exact && e.depth == 0 && e.document.raw != nil && e.document.fold.tame {
		return true
	}
	return n.Node.eval(e, v)
}

// The hints are a consequence of the node and not a part of what it means.
func (n *Hinted) canon(dst []byte) []byte { return n.Node.canon(dst) }

func (n *Hinted) explain(x *explainer, v *fastjson.Value) Explanation { return n.Node.explain(x, v) }
func (n *Hinted) needs() plan                                         { return n.Node.needs() }
func (n *Hinted) reads(yield func(Path))                              { n.Node.reads(yield) }

const (
	everyByte = 0x0101010101010101
	highBits  = 0x8080808080808080
)

// appendFoldBytes is appendFold, eight bytes at once where they are ASCII.
func appendFoldBytes(dst, s []byte) []byte {
	dst = slices.Grow(dst, len(s))
	for len(s) >= 8 {
		w := binary.LittleEndian.Uint64(s)
		if w&highBits != 0 {
			// As far as the next eight ASCII bytes may begin.
			_, n := utf8.DecodeRune(s)
			dst = appendFold(dst, s[:n])
			s = s[n:]
			continue
		}
		// No byte carries into the next: all are below 128.
		letters := ((w + everyByte*(128-'a')) ^ (w + everyByte*(128-'z'-1))) & highBits
		dst = binary.LittleEndian.AppendUint64(dst, w-letters>>2)
		s = s[8:]
	}
	return appendFold(dst, s)
}
