package leasetest

import (
	"math/big"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// update compiles SET and REMOVE clauses. All values are those before the update.
func (e expression) update(s string, key string) (func(Item) (Item, error), error) {
	p := &parser{e: e, rest: tokens(s)}
	var steps []func(before, after Item) error
	var touched []string
	path := func() (string, error) {
		name, err := e.name(p.next())
		switch {
		case err != nil:
		case name == key:
			err = invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", name)
		case slices.Contains(touched, name):
			err = invalid("Invalid UpdateExpression: Two document paths overlap with each other: %s", name)
		}
		touched = append(touched, name)
		return name, err
	}
	for len(p.rest) > 0 {
		var clause func() error
		switch {
		case p.accept("SET"):
			clause = func() error {
				name, err := path()
				if err != nil {
					return err
				}
				if err := p.expect("="); err != nil {
					return err
				}
				value, err := p.sum()
				steps = append(steps, func(before, after Item) error {
					v, err := value(before)
					after[name] = v
					return err
				})
				return err
			}
		case p.accept("REMOVE"):
			clause = func() error {
				name, err := path()
				steps = append(steps, func(_, after Item) error {
					delete(after, name)
					return nil
				})
				return err
			}
		default:
			return nil, invalid("Invalid UpdateExpression: Syntax error; token: %q", p.peek())
		}
		for {
			if err := clause(); err != nil {
				return nil, err
			}
			if !p.accept(",") {
				break
			}
		}
	}
	return func(before Item) (Item, error) {
		after := Item{}
		for name, v := range before {
			after[name] = v
		}
		for _, step := range steps {
			if err := step(before, after); err != nil {
				return nil, err
			}
		}
		return after, nil
	}, nil
}

// sum is one operand or two that are added.
func (p *parser) sum() (func(Item) (types.AttributeValue, error), error) {
	left, err := p.defaulted()
	if err != nil || !p.accept("+") {
		return func(i Item) (types.AttributeValue, error) {
			v := left(i)
			if v == nil {
				return nil, invalid("The provided expression refers to an attribute that does not exist in the item")
			}
			return v, nil
		}, err
	}
	right, err := p.defaulted()
	return func(i Item) (types.AttributeValue, error) {
		a, isA := left(i).(*types.AttributeValueMemberN)
		b, isB := right(i).(*types.AttributeValueMemberN)
		if !isA || !isB {
			return nil, invalid("An operand in the update expression has an incorrect data type")
		}
		n := new(big.Rat).Add(number(a.Value), number(b.Value))
		return &types.AttributeValueMemberN{Value: strings.TrimSuffix(n.RatString(), "/1")}, nil
	}, err
}

// defaulted is an operand, or if_not_exists(attribute, operand).
func (p *parser) defaulted() (func(Item) types.AttributeValue, error) {
	if !p.accept("if_not_exists") {
		return p.operand()
	}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	first, err := p.operand()
	if err != nil {
		return nil, err
	}
	if err := p.expect(","); err != nil {
		return nil, err
	}
	second, err := p.operand()
	if err != nil {
		return nil, err
	}
	return func(i Item) types.AttributeValue {
		if v := first(i); v != nil {
			return v
		}
		return second(i)
	}, p.expect(")")
}
