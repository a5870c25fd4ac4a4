package matcher

import (
	"fmt"

	"github.com/valyala/fastjson"
)

// Relation is how a value compares with an operand.
type Relation uint8

// The relations.
const (
	EQ Relation = iota
	NE
	LT
	LE
	GT
	GE
)

var relationNames = [...]string{EQ: "=", NE: "!=", LT: "<", LE: "<=", GT: ">", GE: ">="}

func (r Relation) String() string { return relationNames[r] }

// Compare holds for numbers that stand in the relation to the number that
// operand writes in decimal. The comparison is exact: 1 = 1.0 = 1e0, and no
// digit of a large number is lost. With inString, strings whose text is a
// number are compared as well. operand must be a JSON number.
func Compare(rel Relation, operand string, inString bool) (Op, error) {
	d, ok := parseDecimal([]byte(operand))
	if !ok {
		return nil, fmt.Errorf("%q is not a number", operand)
	}
	return &numberCompare{rel: rel, operand: d, text: operand, inString: inString}, nil
}

type numberCompare struct {
	notText
	rel      Relation
	operand  decimal
	text     string // the operand as it was written
	inString bool
}

func (c *numberCompare) eval(e *evaluator) bool {
	v := e.cur.v
	if v == nil {
		return false
	}
	var text []byte
	switch v.Type() {
	case fastjson.TypeNumber:
		e.number = v.MarshalTo(e.number[:0])
		text = e.number
	case fastjson.TypeString:
		if !c.inString {
			return false
		}
		text = v.GetStringBytes()
	default:
		return false
	}
	d, ok := parseDecimal(text)
	return ok && c.rel.holds(d.compare(&c.operand))
}

// holds says whether a comparison that came out as order satisfies r.
func (r Relation) holds(order int) bool {
	switch r {
	case EQ:
		return order == 0
	case NE:
		return order != 0
	case LT:
		return order < 0
	case LE:
		return order <= 0
	case GT:
		return order > 0
	default:
		return order >= 0
	}
}

func (c *numberCompare) canon(dst []byte) []byte {
	dst = append(dst, "(number"...)
	if c.inString {
		dst = append(dst, "-in-string"...)
	}
	dst = append(dst, c.rel.String()...)
	return append(c.operand.append(append(dst, ' ')), ')')
}

func (c *numberCompare) words() string { return c.rel.String() + " " + c.text }
