package repartition

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/trailtide/trailtide/pipeline/alerting"
)

// AppendRule appends the record that tells of a rule.
func AppendRule(dst []byte, r *alerting.Rule) []byte {
	dst = binary.BigEndian.AppendUint64(header(dst, kindRule), r.Hash)
	text, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("a rule's description cannot be written as JSON: %v", err)) // strings, numbers and booleans only
	}
	return append(dst, text...)
}

func (r *reader) rule() *alerting.Rule {
	out := &alerting.Rule{Hash: r.uint64()}
	if r.err != nil {
		return nil
	}
	if err := json.Unmarshal(r.b, out); err != nil {
		r.fail(fmt.Errorf("repartition record of a rule: %w", err))
		return nil
	}
	if out.Policy != nil {
		if err := out.Policy.Validate(); err != nil {
			r.fail(fmt.Errorf("repartition record of rule %s: %w", out.ID, err))
			return nil
		}
	}
	return out
}
