package lucene

import (
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// conjunction is what stands between two clauses.
type conjunction uint8

const (
	conjNone conjunction = iota
	conjAnd
	conjOr
)

// modifier is what stands before a clause.
type modifier uint8

const (
	modNone modifier = iota
	modRequired
	modNot
	modMinus
)

func (m modifier) negates() bool { return m == modNot || m == modMinus }

// occur says what a clause is to its query.
type occur uint8

const (
	should occur = iota
	must
	mustNot
)

type clause struct {
	conj       conjunction
	mod        modifier
	occur      occur
	node       matcher.Node
	start, end int
}

type clauses []clause

// add adds a clause by Lucene's rule: AND makes both neighbours required,
// nothing else does but +.
// Semantics: Lucene 8 QueryParserBase.addClause, default operator OR.
func (l *clauses) add(c clause) {
	if n := len(*l); n > 0 && c.conj == conjAnd {
		if last := &(*l)[n-1]; last.occur != mustNot {
			last.occur = must
		}
	}
	if c.node == nil {
		return // what has no meaning takes no part, but its AND does
	}
	switch {
	case c.mod.negates():
		c.occur = mustNot
	case c.mod == modRequired || c.conj == conjAnd:
		c.occur = must
	}
	*l = append(*l, c)
}

// join makes one node of the clauses: all of must, none of must-not and, where
// there is no must, one of should. Without clauses it is nil.
func (p *parser) join(list clauses, start, end int) matcher.Node {
	p.checkPrecedence(list, start, end)
	note := matcher.Note{Label: clipTo(p.src[start:end], maxLabel), Pos: p.place(start)}
	var needed, wanted, banned []matcher.Node
	for _, c := range list {
		switch c.occur {
		case must:
			needed = append(needed, c.node)
		case mustNot:
			banned = append(banned, &matcher.Not{Node: c.node, Note: matcher.Note{
				Label: clipTo("NOT "+p.src[c.start:c.end], maxLabel), Pos: p.place(c.start),
			}})
		default:
			wanted = append(wanted, c.node)
		}
	}
	if len(needed) == 0 && len(wanted) > 0 {
		if len(wanted) == 1 {
			needed = wanted
		} else {
			needed = []matcher.Node{&matcher.Or{Nodes: wanted, Note: note}}
		}
	}
	nodes := append(needed, banned...)
	switch len(nodes) {
	case 0:
		return nil
	case 1:
		return nodes[0]
	}
	return &matcher.And{Nodes: nodes, Note: note}
}

// maxTruthTable is how many clauses are tried in all combinations.
const maxTruthTable = 10

// checkPrecedence warns when reading the clauses with NOT before AND before OR,
// as most languages do, would give other answers than Lucene's rule.
func (p *parser) checkPrecedence(list clauses, start, end int) {
	and, or, not, signs := false, false, false, false
	for i, c := range list {
		and = and || c.conj == conjAnd
		or = or || i > 0 && c.conj != conjAnd
		not = not || c.mod.negates()
		signs = signs || c.mod == modRequired || c.mod == modMinus
	}
	switch {
	case !or || !and && !not: // one kind of operator: both agree
		return
	case signs && !and && !p.hasOr(list): // + and - mean clauses, and nothing else
		return
	case len(list) <= maxTruthTable && agree(list):
		return
	}
	p.warnf(start, "Lucene does not read this by precedence: %s means %s; write brackets to say which is meant",
		clip(p.src[start:end]), clipTo(p.byRule(list), 200))
}

func (p *parser) hasOr(list clauses) bool {
	for _, c := range list {
		if c.conj == conjOr {
			return true
		}
	}
	return false
}

// byRule writes the clauses as Lucene reads them.
func (p *parser) byRule(list clauses) string {
	var needed, wanted, banned []string
	for _, c := range list {
		text := p.src[c.start:c.end]
		switch c.occur {
		case must:
			needed = append(needed, text)
		case mustNot:
			banned = append(banned, "NOT "+text)
		default:
			wanted = append(wanted, text)
		}
	}
	out := append(needed, banned...)
	switch {
	case len(needed) == 0 && len(wanted) == 1:
		out = append(wanted, out...)
	case len(needed) == 0 && len(wanted) > 1:
		out = append([]string{"(" + strings.Join(wanted, " OR ") + ")"}, out...)
	}
	text := strings.Join(out, " AND ")
	if len(needed) > 0 && len(wanted) > 0 {
		text += " (" + strings.Join(wanted, ", ") + " makes no difference)"
	}
	return text
}

// agree tries all combinations of what the clauses may be.
func agree(list clauses) bool {
	for bits := range 1 << len(list) {
		if byRule(list, bits) != byPrecedence(list, bits) {
			return false
		}
	}
	return true
}

func byRule(list clauses, bits int) bool {
	needed, wanted, any := true, false, false
	musts := false
	for i, c := range list {
		v := bits>>i&1 == 1
		switch c.occur {
		case must:
			musts = true
			needed = needed && v
		case mustNot:
			needed = needed && !v
		default:
			any = true
			wanted = wanted || v
		}
	}
	return needed && (musts || !any || wanted)
}

func byPrecedence(list clauses, bits int) bool {
	held, run := false, true
	for i, c := range list {
		v := bits>>i&1 == 1 != c.mod.negates()
		if i > 0 && c.conj != conjAnd {
			held = held || run
			run = true
		}
		run = run && v
	}
	return held || run
}
