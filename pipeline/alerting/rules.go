package alerting

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
	"github.com/trailtide/trailtide/pipeline/engine"
)

// ruleInfo is what an alert tells of its rule. It is stored beside the windows,
// so that an episode can be resolved after its rule has left the rule set.
type ruleInfo struct {
	ID          string     `json:"id"`
	Title       string     `json:"title"`
	Severity    string     `json:"severity"`
	Description string     `json:"description,omitempty"`
	Runbook     string     `json:"runbook,omitempty"`
	References  []string   `json:"references,omitempty"`
	Tags        []string   `json:"tags,omitempty"`
	Sinks       []string   `json:"sinks,omitempty"`
	Save        bool       `json:"save"`
	Silent      bool       `json:"silent,omitempty"` // it only feeds correlations
	GroupBy     [][]string `json:"group_by,omitempty"`
	Feeds       []feedInfo `json:"feeds,omitempty"` // correlations that count its firings

	rule *matcher.Rule // nil after a restart, until the rule matches again
}

func infoOf(r *matcher.Rule) *ruleInfo {
	i := &ruleInfo{
		ID: r.ID, Title: r.Title, Severity: r.Severity.String(), Description: r.Description,
		Runbook: r.Runbook, References: r.References, Tags: r.Tags, Sinks: r.Sinks, Save: r.Save, Silent: r.Silent, rule: r,
	}
	if r.Threshold != nil {
		for _, p := range r.Threshold.GroupBy {
			i.GroupBy = append(i.GroupBy, p)
		}
	}
	i.Feeds = feedsOf(r)
	return i
}

// threshold gives what decodes a group-by key.
func (i *ruleInfo) threshold() *matcher.Threshold {
	if i.rule != nil {
		return i.rule.Threshold
	}
	t := &matcher.Threshold{}
	for _, p := range i.GroupBy {
		t.GroupBy = append(t.GroupBy, cloudtrail.Path(p))
	}
	return t
}

// ruleBook knows the rules of live windows by their hash. What is in it has
// been stored, or is about to be; an aborted commit stores it again.
type ruleBook struct {
	byHash map[uint64]*ruleInfo
	fresh  []uint64 // changed in the open interval
	flying []uint64 // flushed, commit not yet known

	chained bool // some rule's firings are counted
}

func newRuleBook() *ruleBook { return &ruleBook{byHash: make(map[uint64]*ruleInfo)} }

// know remembers r; it costs a map look-up when r is known.
func (b *ruleBook) know(r *matcher.Rule) {
	if i := b.byHash[r.Hash]; i != nil && i.rule == r {
		return
	}
	i := infoOf(r)
	b.byHash[r.Hash] = i
	b.fresh = append(b.fresh, r.Hash)
	b.chained = b.chained || len(i.Feeds) > 0
	for _, f := range r.Feeds() {
		b.know(f.To)
	}
}

func (b *ruleBook) get(hash uint64) *ruleInfo { return b.byHash[hash] }

func (b *ruleBook) load(hexHash string, value []byte) error {
	hash, err := strconv.ParseUint(hexHash, 16, 64)
	if err != nil {
		return fmt.Errorf("read the rule of stored windows %q: %w", hexHash, err)
	}
	i := new(ruleInfo)
	if err := json.Unmarshal(value, i); err != nil {
		return fmt.Errorf("read the rule of stored windows %q: %w", hexHash, err)
	}
	b.byHash[hash] = i
	b.chained = b.chained || len(i.Feeds) > 0
	return nil
}

func (b *ruleBook) flush(txn engine.Txn) {
	for _, hash := range b.fresh {
		value, err := json.Marshal(b.byHash[hash])
		if err != nil {
			panic(fmt.Sprintf("a rule's description cannot be written as JSON: %v", err)) // strings and booleans only
		}
		txn.Put(engine.Meta, fmt.Appendf(nil, "%s%016x", metaRule, hash), value)
	}
	b.flying = append(b.flying, b.fresh...)
	b.fresh = b.fresh[:0]
}

func (b *ruleBook) commit() { b.flying = b.flying[:0] }

func (b *ruleBook) rollback() {
	b.fresh = append(b.fresh, b.flying...)
	b.flying = b.flying[:0]
}
