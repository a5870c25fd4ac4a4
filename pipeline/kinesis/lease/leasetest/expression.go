package leasetest

import (
	"math/big"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// expression is the names and values that a request's expressions refer to.
// Semantics: Amazon DynamoDB, "Condition and filter expressions" and "Update expressions".
type expression struct {
	names  map[string]string
	values Item
	used   map[string]bool
}

func newExpression(names map[string]string, values Item) expression {
	return expression{names: names, values: values, used: map[string]bool{}}
}

// unused refuses names and values that no expression of the request refers to.
func (e expression) unused() error {
	for name := range e.names {
		if !e.used[name] {
			return invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", name)
		}
	}
	for name := range e.values {
		if !e.used[name] {
			return invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", name)
		}
	}
	return nil
}

// tokens splits an expression; symbols stand alone.
func tokens(s string) []string {
	for _, symbol := range []string{"(", ")", ",", "+", "="} {
		s = strings.ReplaceAll(s, symbol, " "+symbol+" ")
	}
	s = strings.ReplaceAll(s, "<  =", "<=")
	s = strings.ReplaceAll(s, ">  =", ">=")
	s = strings.ReplaceAll(s, "< =", "<=")
	s = strings.ReplaceAll(s, "> =", ">=")
	return strings.Fields(s)
}

type parser struct {
	e    expression
	rest []string
}

func (p *parser) peek() string {
	if len(p.rest) == 0 {
		return ""
	}
	return p.rest[0]
}

func (p *parser) next() string {
	t := p.peek()
	if t != "" {
		p.rest = p.rest[1:]
	}
	return t
}

func (p *parser) accept(word string) bool {
	if !strings.EqualFold(p.peek(), word) {
		return false
	}
	p.next()
	return true
}

func (p *parser) expect(word string) error {
	if !p.accept(word) {
		return invalid("Invalid expression: Syntax error; token: %q, want %q", p.peek(), word)
	}
	return nil
}

// condition compiles a condition; an empty one always holds.
func (e expression) condition(s string) (func(Item) bool, error) {
	if s == "" {
		return func(Item) bool { return true }, nil
	}
	p := &parser{e: e, rest: tokens(s)}
	holds, err := p.or()
	if err == nil && len(p.rest) > 0 {
		err = invalid("Invalid ConditionExpression: Syntax error; token: %q", p.peek())
	}
	return holds, err
}

func (p *parser) or() (func(Item) bool, error) {
	left, err := p.and()
	for err == nil && p.accept("OR") {
		a := left
		var b func(Item) bool
		b, err = p.and()
		left = func(i Item) bool { return a(i) || b(i) }
	}
	return left, err
}

func (p *parser) and() (func(Item) bool, error) {
	left, err := p.term()
	for err == nil && p.accept("AND") {
		a := left
		var b func(Item) bool
		b, err = p.term()
		left = func(i Item) bool { return a(i) && b(i) }
	}
	return left, err
}

func (p *parser) term() (func(Item) bool, error) {
	switch {
	case p.accept("NOT"):
		a, err := p.term()
		return func(i Item) bool { return !a(i) }, err
	case p.accept("("):
		a, err := p.or()
		if err != nil {
			return nil, err
		}
		return a, p.expect(")")
	case p.accept("attribute_exists"):
		return p.exists(true)
	case p.accept("attribute_not_exists"):
		return p.exists(false)
	}
	return p.comparison()
}

func (p *parser) exists(want bool) (func(Item) bool, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	name, err := p.e.name(p.next())
	if err != nil {
		return nil, err
	}
	return func(i Item) bool { return (i[name] != nil) == want }, p.expect(")")
}

func (p *parser) comparison() (func(Item) bool, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	op := p.next()
	if !slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, op) {
		return nil, invalid("Invalid expression: Syntax error; token: %q", op)
	}
	right, err := p.operand()
	return func(i Item) bool { return compare(left(i), op, right(i)) }, err
}

// operand is an attribute or a value.
func (p *parser) operand() (func(Item) types.AttributeValue, error) {
	t := p.next()
	if strings.HasPrefix(t, ":") {
		v, ok := p.e.values[t]
		if !ok {
			return nil, invalid("An expression attribute value used in expression is not defined; attribute value: %s", t)
		}
		p.e.used[t] = true
		return func(Item) types.AttributeValue { return v }, nil
	}
	name, err := p.e.name(t)
	return func(i Item) types.AttributeValue { return i[name] }, err
}

func (e expression) name(t string) (string, error) {
	if !strings.HasPrefix(t, "#") {
		if t == "" || strings.ContainsAny(t, "(),+=<>.[]") {
			return "", invalid("Invalid expression: Syntax error; token: %q", t)
		}
		return t, nil
	}
	name, ok := e.names[t]
	if !ok {
		return "", invalid("An expression attribute name used in the document path is not defined; attribute name: %s", t)
	}
	e.used[t] = true
	return name, nil
}

// compare is false where an attribute is missing or of another type; of sets
// and the like only equality would be defined, and nobody asks.
func compare(a types.AttributeValue, op string, b types.AttributeValue) bool {
	var order int
	switch x := a.(type) {
	case *types.AttributeValueMemberS:
		y, ok := b.(*types.AttributeValueMemberS)
		if !ok {
			return op == "<>" && b != nil
		}
		order = strings.Compare(x.Value, y.Value)
	case *types.AttributeValueMemberN:
		y, ok := b.(*types.AttributeValueMemberN)
		if !ok {
			return op == "<>" && b != nil
		}
		order = number(x.Value).Cmp(number(y.Value))
	default:
		return false
	}
	switch op {
	case "=":
		return order == 0
	case "<>":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

func number(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return new(big.Rat)
	}
	return r
}
