package matcher

// A condition that looks for texts in the whole event can often be told to fail
// by the event's bytes as they came. Such an event is no candidate, and is not
// parsed.

// rawTested says that mayHoldRaw can tell something of n.
func rawTested(n Node) bool {
	switch n := n.(type) {
	case *And:
		for _, sub := range n.Nodes {
			if rawTested(sub) {
				return true
			}
		}
	case *Or:
		for _, sub := range n.Nodes {
			if !rawTested(sub) {
				return false
			}
		}
		return true
	case *Not:
		_, ok := n.Node.(*RawText)
		return ok
	case *Hinted, *RawHint, *RawText:
		return true
	}
	return false
}

// mayHoldRaw says whether n, which stands at the event itself, could hold, by
// the event's bytes alone. e has them; there is no tree.
func mayHoldRaw(e *evaluator, n Node) bool {
	switch n := n.(type) {
	case *And:
		for _, sub := range n.Nodes {
			if !mayHoldRaw(e, sub) {
				return false
			}
		}
	case *Or:
		for _, sub := range n.Nodes {
			if mayHoldRaw(e, sub) {
				return true
			}
		}
		return false
	case *Not:
		if raw, ok := n.Node.(*RawText); ok {
			return !raw.eval(e, nil)
		}
	case *Hinted:
		return n.mayHold(e) && mayHoldRaw(e, n.Node)
	case *RawHint:
		return n.maybe(e.document.raw) && mayHoldRaw(e, n.Node)
	case *RawText:
		return n.eval(e, nil)
	}
	return true
}
