package matcher

// Rewritten holds for a string when op holds for what rewrite makes of it, and
// for other values when op does. rewrite appends to dst, keeps neither argument
// and always makes the same of the same; name stands for it in Rule.Hash.
func Rewritten(name string, rewrite func(dst, text []byte) []byte, op Op) Op {
	return &rewritten{name: name, rewrite: rewrite, op: op}
}

// HoldsForText says whether op holds for a string.
func HoldsForText(op Op, text string) bool {
	var e evaluator
	e.lookText([]byte(text))
	return op.eval(&e)
}

type rewritten struct {
	name    string
	rewrite func(dst, text []byte) []byte
	op      Op
}

func (o *rewritten) eval(e *evaluator) bool {
	if !e.cur.isText {
		return o.op.eval(e)
	}
	outer := e.cur
	start := len(e.rewritten)
	e.rewritten = o.rewrite(e.rewritten, outer.text)
	e.cur = sight{v: outer.v, text: e.rewritten[start:], isText: true}
	ok := o.op.eval(e)
	e.rewritten = e.rewritten[:start]
	e.cur, e.cur.isFolded = outer, false // the folded text is of another
	return ok
}

func (o *rewritten) canon(dst []byte) []byte {
	dst = append(append(append(dst, "(rewritten "...), o.name...), ' ')
	return append(o.op.canon(dst), ')')
}

func (o *rewritten) words() string { return "as " + o.name + " " + o.op.words() }
func (o *rewritten) whole() bool   { return o.op.whole() }
func (o *rewritten) textual() bool { return o.op.textual() }
