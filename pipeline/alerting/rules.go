package alerting

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/window"
)

// Rule is what the alert stage has to know of a rule: what decides counting, and
// what an alert tells. It is stored beside the windows, so that an episode can
// be resolved after its rule has left the rule set, and it travels with the
// matches of a fleet, so that they are counted by the rule that made them. It
// must not change once a match points to it.
type Rule struct {
	Hash        uint64         `json:"-"` // of what decides detection; windows belong to it
	ID          string         `json:"id"`
	Title       string         `json:"title"`
	Severity    string         `json:"severity"`
	Description string         `json:"description,omitempty"`
	Runbook     string         `json:"runbook,omitempty"`
	References  []string       `json:"references,omitempty"`
	Tags        []string       `json:"tags,omitempty"`
	Sinks       []string       `json:"sinks,omitempty"`
	Save        bool           `json:"save"`
	Silent      bool           `json:"silent,omitempty"` // it only feeds correlations
	GroupBy     [][]string     `json:"group_by,omitempty"`
	Feeds       []feedInfo     `json:"feeds,omitempty"`  // correlations that count its firings
	Policy      *window.Policy `json:"policy,omitempty"` // nil: every match is an alert

	feeds []*Rule // the rules of Feeds, where they are at hand
}

// RuleOf describes r, and the correlations that count its firings.
func RuleOf(r *matcher.Rule) *Rule { return ruleOf(r, make(map[*matcher.Rule]*Rule)) }

func ruleOf(r *matcher.Rule, known map[*matcher.Rule]*Rule) *Rule {
	if d := known[r]; d != nil {
		return d
	}
	d := &Rule{
		Hash: r.Hash, ID: r.ID, Title: r.Title, Severity: r.Severity.String(), Description: r.Description,
		Runbook: r.Runbook, References: r.References, Tags: r.Tags, Sinks: r.Sinks, Save: r.Save, Silent: r.Silent,
	}
	known[r] = d
	if r.Threshold != nil {
		p := policyOf(r.Threshold)
		d.Policy = &p
		for _, path := range r.Threshold.GroupBy {
			d.GroupBy = append(d.GroupBy, path)
		}
	}
	for _, f := range r.Feeds() {
		c := f.To.Threshold.Correlation
		to := ruleOf(f.To, known)
		d.feeds = append(d.feeds, to)
		d.Feeds = append(d.Feeds, feedInfo{
			Hash: to.Hash, Policy: *to.Policy, Tagged: c.Kind.Tagged(), Tag: f.Tag, Keys: f.Keys, Fields: f.Fields,
		})
	}
	return d
}

// threshold gives what decodes a group-by key.
func (r *Rule) threshold() *matcher.Threshold {
	t := &matcher.Threshold{}
	for _, p := range r.GroupBy {
		t.GroupBy = append(t.GroupBy, cloudtrail.Path(p))
	}
	return t
}

// Rehash gives the rule another hash, before any match points to it. Relink has
// to follow on every rule that feeds it.
func (r *Rule) Rehash(hash uint64) { r.Hash = hash }

// Relink takes over the hashes of the rules that r feeds.
func (r *Rule) Relink() {
	for i, to := range r.feeds {
		r.Feeds[i].Hash = to.Hash
	}
}

// Fed are the rules that count r's firings.
func (r *Rule) Fed() []*Rule { return r.feeds }

// Rules are the descriptions of a rule set's rules.
type Rules map[*matcher.Rule]*Rule

// RulesOf describes every rule of rs.
func RulesOf(rs *matcher.Ruleset) Rules {
	out := make(Rules)
	for _, r := range rs.Rules() {
		ruleOf(r, out)
	}
	return out
}

// ruleBook knows the rules of live windows by their hash. What is in it has
// been stored, or is about to be; an aborted commit stores it again.
type ruleBook struct {
	byHash map[uint64]*Rule
	fresh  []uint64 // changed in the open interval
	flying []uint64 // flushed, commit not yet known

	chained bool // some rule's firings are counted
}

func newRuleBook() *ruleBook { return &ruleBook{byHash: make(map[uint64]*Rule)} }

// know remembers r; it costs a map look-up when r is known.
func (b *ruleBook) know(r *Rule) {
	if b.byHash[r.Hash] == r {
		return
	}
	b.byHash[r.Hash] = r
	b.fresh = append(b.fresh, r.Hash)
	b.chained = b.chained || len(r.Feeds) > 0
	for _, to := range r.feeds {
		b.know(to)
	}
}

// learn remembers a rule that came from elsewhere. One that says the same is kept.
func (b *ruleBook) learn(r *Rule) {
	if old := b.byHash[r.Hash]; old != nil && reflect.DeepEqual(old, r) {
		return
	}
	b.know(r)
}

func (b *ruleBook) get(hash uint64) *Rule { return b.byHash[hash] }

func (b *ruleBook) load(hexHash string, value []byte) error {
	hash, err := strconv.ParseUint(hexHash, 16, 64)
	if err != nil {
		return fmt.Errorf("read the rule of stored windows %q: %w", hexHash, err)
	}
	i := &Rule{Hash: hash}
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
