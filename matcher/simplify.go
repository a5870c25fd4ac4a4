package matcher

import "slices"

// simplified returns a node that decides as n does and costs less to evaluate:
// conjunctions in conjunctions are one, and alternatives that test one field
// are one test. Explanations are of the rule's own node, not of this one.
func simplified(n Node) Node {
	switch n := n.(type) {
	case *And:
		out := &And{Note: n.Note}
		for _, sub := range n.Nodes {
			if sub = simplified(sub); isAnd(sub) {
				out.Nodes = append(out.Nodes, sub.(*And).Nodes...)
			} else {
				out.Nodes = append(out.Nodes, sub)
			}
		}
		if len(out.Nodes) == 1 {
			return out.Nodes[0]
		}
		return out
	case *Or:
		out := &Or{Note: n.Note}
		for _, sub := range n.Nodes {
			if sub = simplified(sub); isOr(sub) {
				out.Nodes = append(out.Nodes, sub.(*Or).Nodes...)
			} else {
				out.Nodes = append(out.Nodes, sub)
			}
		}
		if out.Nodes = mergeFields(out.Nodes); len(out.Nodes) == 1 {
			return out.Nodes[0]
		}
		return out
	case *Not:
		return &Not{Node: simplified(n.Node), Note: n.Note}
	}
	return n
}

func isAnd(n Node) bool { _, ok := n.(*And); return ok }
func isOr(n Node) bool  { _, ok := n.(*Or); return ok }

// mergeFields makes one test of those alternatives that look at one field in
// one way.
func mergeFields(nodes []Node) []Node {
	var out []Node
	ops := map[int][]Op{} // of fields in out
	for _, n := range nodes {
		f, ok := n.(*Field)
		if !ok || f.Arrays == EachElement || f.Op.whole() {
			out = append(out, n)
			continue
		}
		at := slices.IndexFunc(out, func(o Node) bool {
			g, ok := o.(*Field)
			return ok && !g.Op.whole() && f.sameButOp(g)
		})
		if at < 0 {
			at = len(out)
			out = append(out, f)
		}
		ops[at] = append(ops[at], f.Op)
	}
	for at, list := range ops {
		if len(list) > 1 {
			merged := *out[at].(*Field)
			merged.Op = anyOfOps(list)
			out[at] = &merged
		}
	}
	return out
}

func (n *Field) sameButOp(o *Field) bool {
	a, b := n.Leaf, o.Leaf
	a.Op, b.Op = nil, nil
	return a == b && slices.Equal(n.Path, o.Path)
}

// anyOfOps is OneOf with as few operators as do.
func anyOfOps(ops []Op) Op {
	var out []Op
	for _, op := range ops {
		list := []Op{op}
		if o, ok := op.(*oneOf); ok {
			list = o.ops
		}
		for _, op := range list {
			if at := slices.IndexFunc(out, func(o Op) bool { return fused(o, op) != nil }); at >= 0 {
				out[at] = fused(out[at], op)
			} else {
				out = append(out, op)
			}
		}
	}
	if len(out) == 1 {
		return out[0]
	}
	return OneOf(out...)
}

// fused returns one operator that holds where a or b does, nil if there is none.
func fused(a, b Op) Op {
	switch a := a.(type) {
	case *stringSet:
		if b, ok := b.(*stringSet); ok && a.fold == b.fold {
			return newStringSet(a.fold, slices.Concat(a.values, b.values))
		}
	case *affix:
		if b, ok := b.(*affix); ok && a.fold == b.fold && a.kind == b.kind {
			return newAffix(a.kind, a.fold, slices.Concat(a.values, b.values))
		}
	case *anyToken:
		if b, ok := b.(*anyToken); ok {
			if op := fused(a.op, b.op); op != nil {
				return AnyToken(op)
			}
		}
	case *forKind:
		if b, ok := b.(*forKind); ok && a.kinds == b.kinds {
			if op := fused(a.op, b.op); op != nil {
				return ForKind(a.kinds, op)
			}
		}
	}
	return nil
}
