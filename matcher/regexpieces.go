package matcher

import "regexp/syntax"

// maxPieces bounds how many alternatives RegexpPieces returns.
const maxPieces = 16

// RegexpPieces returns texts that can be hints (see Hinted), of which one
// occurs, ignoring case, in every text that op, made of Regex, matches. It
// returns none where it knows of none.
func RegexpPieces(op Op) []string {
	var ops []Op
	switch op := op.(type) {
	case *regex:
		ops = []Op{op}
	case *oneOf:
		ops = op.ops
	default:
		return nil
	}
	var all []string
	for _, op := range ops {
		r, ok := op.(*regex)
		if !ok {
			return nil
		}
		pieces := r.pieces()
		if len(pieces) == 0 {
			return nil
		}
		all = append(all, pieces...)
	}
	return all
}

func (r *regex) pieces() []string {
	if texts, fold, ok := ExpandRegexp(r.tree, true, maxPieces); ok && !fold && r.tree.Op != syntax.OpEmptyMatch {
		pieces := make([]string, len(texts))
		for i, text := range texts {
			if pieces[i] = PlainPiece(text); pieces[i] == "" {
				return nil
			}
		}
		return pieces
	}
	if piece := PlainPiece(string(r.required)); piece != "" {
		return []string{piece}
	}
	return nil
}
