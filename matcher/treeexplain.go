package matcher

import "github.com/valyala/fastjson"

func (t *Tree) explain(x *explainer, v *fastjson.Value) Explanation {
	ex := x.lead(t, v, t.Note, "all of, in the same elements of arrays")
	each := true
	for i := range t.leaves {
		l := &t.leaves[i]
		words := Keys(l.Path...).String()
		switch {
		case l.Op == nil:
			words += " is absent"
		case l.Absent:
			words += " " + l.Op.words() + ", or is absent"
		default:
			words += " " + l.Op.words()
		}
		part := x.lead(NewTree(t.plain, []TreeLeaf{*l}, Note{}), v, l.Note, words)
		x.visit(v, Keys(l.Path...), true, func(at *fastjson.Value) {
			if isScalar(at) {
				part.see(at)
			}
			for _, el := range at.GetArray() {
				part.see(el)
			}
		})
		each = each && part.Held
		ex.Parts = append(ex.Parts, part)
	}
	if each && !ex.Held {
		ex.Parts = append(ex.Parts, Explanation{Text: "all of them in the same array element", Pos: t.Note.Pos})
	}
	return ex
}
