package matcher

import "fmt"

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
	d, ok := parseDecimal(operand)
	if !ok {
		return nil, fmt.Errorf("%q is not a number", operand)
	}
	return &numberCompare{rel: rel, operand: d, inString: inString}, nil
}

type numberCompare struct {
	rel      Relation
	operand  decimal
	inString bool
}

func (*numberCompare) op() {}
