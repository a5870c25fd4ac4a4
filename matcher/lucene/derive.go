package lucene

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// Bounds of an automaton; Elasticsearch has such too (max_determinized_states).
const (
	maxStates = 2000
	maxCells  = 1 << 19 // states times classes
	maxWork   = 1 << 20 // parts of expressions looked at and characters written down on the way
)

var errTooComplex = errors.New("the expression is too complex: & and ~ make an automaton of it, which grows beyond its bound")

// compile makes an automaton of x by derivatives: each state is the expression
// that the rest of a text must match. Two states of one canonical text are one.
// Semantics: Brzozowski, "Derivatives of regular expressions".
func compile(x *re) (matcher.Automaton, error) {
	d := deriver{}
	d.collect(x)
	slices.Sort(d.bounds)
	d.bounds = slices.Compact(d.bounds)
	classes := len(d.bounds) + 1
	a := matcher.Automaton{Bounds: d.bounds}
	ids := map[string]int32{}
	var states []*re
	state := func(x *re) (int32, error) {
		if x.kind == reNone {
			return -1, nil
		}
		key := x.key()
		if d.work += len(key); d.work > maxWork {
			return 0, errTooComplex
		}
		id, ok := ids[key]
		if !ok {
			id = int32(len(states))
			ids[key] = id
			states = append(states, x)
			if len(states) > maxStates || len(states)*classes > maxCells {
				return 0, errTooComplex
			}
		}
		return id, nil
	}
	if _, err := state(simplify(x)); err != nil {
		return a, err
	}
	if len(states) == 0 { // nothing matches
		return matcher.Automaton{Next: [][]int32{{-1}}, Accept: []bool{false}}, nil
	}
	for i := 0; i < len(states); i++ {
		next := make([]int32, classes)
		for c := range next {
			r := rune(0)
			if c > 0 {
				r = d.bounds[c-1]
			}
			to, err := d.derive(states[i], r)
			if err != nil {
				return a, err
			}
			if next[c], err = state(to); err != nil {
				return a, err
			}
		}
		a.Next = append(a.Next, next)
		a.Accept = append(a.Accept, states[i].nullable())
	}
	return a, nil
}

type deriver struct {
	bounds []rune
	work   int
}

// collect gathers where classes of characters begin.
func (d *deriver) collect(x *re) {
	for i, r := range x.ranges {
		switch {
		case i%2 == 1:
			d.bounds = append(d.bounds, r+1)
		case r > 0:
			d.bounds = append(d.bounds, r)
		}
	}
	for _, sub := range x.subs {
		d.collect(sub)
	}
}

// derive returns what must follow r for x to match; the result is simple.
func (d *deriver) derive(x *re, r rune) (*re, error) {
	if d.work += 1 + len(x.subs) + len(x.ranges); d.work > maxWork {
		return nil, errTooComplex
	}
	switch x.kind {
	case reClass:
		for i := 0; i < len(x.ranges); i += 2 {
			if x.ranges[i] <= r && r <= x.ranges[i+1] {
				return &re{kind: reEmpty}, nil
			}
		}
		return &re{kind: reNone}, nil
	case reConcat:
		first, err := d.derive(x.subs[0], r)
		if err != nil {
			return nil, err
		}
		rest := concat(x.subs[1:]...)
		out := concat(first, rest)
		if x.subs[0].nullable() {
			after, err := d.derive(rest, r)
			if err != nil {
				return nil, err
			}
			out = simpleSet(reUnion, []*re{out, after})
		}
		return out, nil
	case reUnion, reInter:
		subs := make([]*re, len(x.subs))
		for i, sub := range x.subs {
			var err error
			if subs[i], err = d.derive(sub, r); err != nil {
				return nil, err
			}
		}
		return simpleSet(x.kind, subs), nil
	case reNot:
		sub, err := d.derive(x.subs[0], r)
		if err != nil {
			return nil, err
		}
		return simpleNot(sub), nil
	case reRepeat:
		first, err := d.derive(x.subs[0], r)
		if err != nil {
			return nil, err
		}
		most := x.most
		if most > 0 {
			most--
		}
		return concat(first, simpleRepeat(x.subs[0], max(x.least-1, 0), most)), nil
	default:
		return &re{kind: reNone}, nil
	}
}

func (x *re) nullable() bool {
	switch x.kind {
	case reEmpty:
		return true
	case reConcat, reInter:
		return !slices.ContainsFunc(x.subs, func(s *re) bool { return !s.nullable() })
	case reUnion:
		return slices.ContainsFunc(x.subs, (*re).nullable)
	case reNot:
		return !x.subs[0].nullable()
	case reRepeat:
		return x.least == 0 || x.subs[0].nullable()
	default:
		return false
	}
}

// simplify brings a parsed expression into the form that derive keeps.
func simplify(x *re) *re {
	subs := make([]*re, len(x.subs))
	for i, sub := range x.subs {
		subs[i] = simplify(sub)
	}
	switch x.kind {
	case reClass:
		if len(x.ranges) == 0 {
			return &re{kind: reNone}
		}
	case reConcat:
		return concat(subs...)
	case reUnion, reInter:
		return simpleSet(x.kind, subs)
	case reNot:
		return simpleNot(subs[0])
	case reRepeat:
		return simpleRepeat(subs[0], x.least, x.most)
	case reNone, reEmpty:
	}
	return x
}

func simpleRepeat(x *re, least, most int) *re {
	switch {
	case most == 0 || x.kind == reEmpty:
		return &re{kind: reEmpty}
	case x.kind == reNone && least > 0:
		return x
	case x.kind == reNone:
		return &re{kind: reEmpty}
	case least == 1 && most == 1:
		return x
	}
	return repeat(x, least, most)
}

func simpleNot(x *re) *re {
	if x.kind == reNot {
		return x.subs[0]
	}
	return &re{kind: reNot, subs: []*re{x}}
}

// simpleSet returns a union or intersection: flat, sorted, each part once, and
// without what changes nothing.
func simpleSet(kind rekind, subs []*re) *re {
	var out []*re
	for _, x := range subs {
		if x.kind == kind {
			out = append(out, x.subs...)
		} else {
			out = append(out, x)
		}
	}
	everything := func(x *re) bool { return x.kind == reNot && x.subs[0].kind == reNone }
	nothing := func(x *re) bool { return x.kind == reNone }
	neutral, wins := nothing, everything
	if kind == reInter {
		neutral, wins = everything, nothing
	}
	if i := slices.IndexFunc(out, wins); i >= 0 {
		return out[i]
	}
	first := out[0]
	out = slices.DeleteFunc(out, neutral)
	slices.SortFunc(out, func(a, b *re) int { return strings.Compare(a.key(), b.key()) })
	out = slices.CompactFunc(out, func(a, b *re) bool { return a.key() == b.key() })
	switch len(out) {
	case 0:
		return first
	case 1:
		return out[0]
	}
	return &re{kind: kind, subs: out}
}

// key is a text that equal expressions share.
func (x *re) key() string {
	var b strings.Builder
	x.write(&b)
	return b.String()
}

func (x *re) write(b *strings.Builder) {
	b.WriteByte("0e[.|&~r"[x.kind])
	for _, r := range x.ranges {
		b.WriteString(strconv.Itoa(int(r)))
		b.WriteByte(' ')
	}
	if x.kind == reRepeat {
		b.WriteString(strconv.Itoa(x.least) + "," + strconv.Itoa(x.most))
	}
	if len(x.subs) > 0 {
		b.WriteByte('(')
		for _, sub := range x.subs {
			sub.write(b)
		}
		b.WriteByte(')')
	}
}
