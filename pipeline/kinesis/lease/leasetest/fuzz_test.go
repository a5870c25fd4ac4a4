package leasetest

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// FuzzExpressions: whatever is asked, the answer is an error or a function that works.
func FuzzExpressions(f *testing.F) {
	for _, seed := range [][2]string{
		{"attribute_not_exists(#a)", "SET #a = :v REMOVE b"},
		{"#a = :v AND NOT (b <> :n OR b <= :n)", "SET b = if_not_exists(b, :n) + :n, c = :v"},
		{"attribute_exists(", "SET a = if_not_exists(b"},
		{"((a = :v)", "REMOVE"},
	} {
		f.Add(seed[0], seed[1])
	}
	item := Item{"a": &types.AttributeValueMemberS{Value: "x"}, "b": &types.AttributeValueMemberN{Value: "1"}}
	f.Fuzz(func(t *testing.T, condition, update string) {
		e := newExpression(map[string]string{"#a": "a"}, Item{
			":v": &types.AttributeValueMemberS{Value: "x"}, ":n": &types.AttributeValueMemberN{Value: "2"},
		})
		if holds, err := e.condition(condition); err == nil {
			holds(item)
			holds(nil)
		}
		if change, err := e.update(update, "leaseKey"); err == nil {
			if after, err := change(item); err == nil && after == nil {
				t.Error("an update deleted the item")
			}
		}
	})
}
