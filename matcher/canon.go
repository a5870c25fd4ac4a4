package matcher

import (
	"slices"
	"strconv"
	"strings"
)

type canonicalizer interface{ canon(dst []byte) []byte }

// canonSet appends parts whose order does not matter.
func canonSet[T canonicalizer](dst []byte, name string, parts []T) []byte {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = string(p.canon(nil))
	}
	slices.Sort(texts)
	dst = append(append(dst, '('), name...)
	for _, t := range slices.Compact(texts) {
		dst = append(append(dst, ' '), t...)
	}
	return append(dst, ')')
}

// canonTexts appends an operator and its operands.
func canonTexts(dst []byte, name string, fold bool, texts []string) []byte {
	dst = append(append(dst, '('), name...)
	if fold {
		dst = append(dst, "-fold"...)
	}
	for _, t := range texts {
		dst = strconv.AppendQuote(append(dst, ' '), t)
	}
	return append(dst, ')')
}

func (n *And) canon(dst []byte) []byte { return canonSet(dst, "and", n.Nodes) }
func (n *Or) canon(dst []byte) []byte  { return canonSet(dst, "or", n.Nodes) }

func (n *Not) canon(dst []byte) []byte {
	return append(n.Node.canon(append(dst, "(not "...)), ')')
}

func (n *Field) canon(dst []byte) []byte {
	dst = canonPath(append(dst, "(field "...), n.Path)
	return append(n.Leaf.canon(dst), ')')
}

func (n *SameElement) canon(dst []byte) []byte {
	dst = canonPath(append(dst, "(same-element "...), n.Path)
	return append(n.Node.canon(append(dst, ' ')), ')')
}

func (n *JSONText) canon(dst []byte) []byte {
	dst = canonPath(append(dst, "(json-text "...), n.Path)
	return append(n.Node.canon(append(dst, ' ')), ')')
}

func (n *Anywhere) canon(dst []byte) []byte {
	dst = strconv.AppendQuote(append(dst, "(anywhere "...), n.Key)
	return append(n.Leaf.canon(dst), ')')
}

func (n *Keyword) canon(dst []byte) []byte {
	dst = append(dst, "(keyword"...)
	if n.Document {
		dst = append(dst, " document"...)
	}
	return append(n.Leaf.canon(dst), ')')
}

// canon appends what the leaf does; parameters at their zero value are left out.
func (l *Leaf) canon(dst []byte) []byte {
	for _, p := range []struct {
		name  string
		value uint8
	}{
		{"arrays", uint8(l.Arrays)},
		{"as-text", uint8(l.AsText)},
		{"null", uint8(l.Null)},
		{"objects", uint8(l.Objects)},
	} {
		if p.value != 0 {
			dst = strconv.AppendUint(append(append(append(dst, ' '), p.name...), '='), uint64(p.value), 10)
		}
	}
	if l.Absent {
		dst = append(dst, " absent"...)
	}
	return l.Op.canon(append(dst, ' '))
}

// canonPath appends the path so that different paths have different texts.
func canonPath(dst []byte, p Path) []byte {
	dst = append(dst, '[')
	for i, s := range p {
		if i > 0 {
			dst = append(dst, ' ')
		}
		switch s.Kind {
		case StepKey:
			dst = strconv.AppendQuote(dst, s.Key)
		case StepIndex:
			dst = strconv.AppendInt(dst, int64(s.Index), 10)
		case StepElements:
			dst = append(dst, "[*]"...)
		case StepMembers:
			dst = append(dst, '*')
		}
	}
	return append(dst, ']')
}

// textWords describes an operator for people.
func textWords(name string, fold bool, texts []string) string {
	const most = 5
	var b strings.Builder
	b.WriteString(name)
	for i, t := range texts {
		switch {
		case i == most:
			b.WriteString(" or one of " + strconv.Itoa(len(texts)-most) + " more")
			return b.String() + foldWords(fold)
		case i > 0:
			b.WriteString(" or ")
		default:
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Quote(t))
	}
	return b.String() + foldWords(fold)
}

func foldWords(fold bool) string {
	if fold {
		return " (any case)"
	}
	return ""
}
