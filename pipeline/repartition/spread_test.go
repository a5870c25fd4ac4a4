package repartition

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/sigma"
	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// baseDocs are rules that say what an event is by its field kind.
func baseDocs() (docs []string) {
	for _, kind := range []string{"a", "b", "c"} {
		docs = append(docs, fmt.Sprintf(
			"title: %[1]s\nname: %[1]s\nid: %[1]s\nlogsource: {product: aws, service: cloudtrail}\n"+
				"detection: {s: {requestParameters.kind: %[1]s}, condition: s}\n", kind))
	}
	return docs
}

func compileSigma(t interface {
	Helper()
	Fatal(args ...any)
}, docs []string,
) *matcher.Ruleset {
	t.Helper()
	set, err := sigma.Parse("rules.yml", []byte(strings.Join(docs, "---\n")), sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rules, correlations := set.Lower()
	rs, err := matcher.Compile(rules, matcher.Options{Correlations: correlations})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// chains are rules of which the later ones may count the firings of the former.
func chains() *rapid.Generator[[]string] {
	return rapid.Custom(func(t *rapid.T) []string {
		docs := baseDocs()
		names := []string{"a", "b", "c"}
		groups := map[string][]string{}
		for i := range rapid.IntRange(1, 5).Draw(t, "correlations") {
			counted := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 2, rapid.ID).Draw(t, "rules")
			fields := []string{"x", "y", "z"}
			for _, r := range counted {
				if g, chained := groups[r]; chained { // what it groups by, or less
					fields = slices.DeleteFunc(slices.Clone(fields), func(f string) bool { return !slices.Contains(g, f) })
				}
			}
			var by []string
			for _, f := range fields {
				if rapid.Bool().Draw(t, "by "+f) {
					by = append(by, f)
				}
			}
			if rapid.Bool().Draw(t, "reverse") {
				slices.Reverse(by)
			}
			name := fmt.Sprint("k", i)
			names, groups[name] = append(names, name), by
			doc := fmt.Sprintf("title: %[1]s\nname: %[1]s\nid: %[1]s\ncorrelation:\n  type: event_count\n  rules: [%[2]s]\n  timespan: 5m\n"+
				"  condition: {gte: 2}\n  generate: true\n", name, strings.Join(counted, ", "))
			if len(by) > 0 {
				var paths []string
				for _, f := range by {
					paths = append(paths, "requestParameters."+f)
				}
				doc += "  group-by: [" + strings.Join(paths, ", ") + "]\n"
			}
			docs = append(docs, doc)
		}
		return docs
	})
}

// A firing and what counts it are in one partition, whatever the rules and the
// keys are: only its owner can count it.
func TestFiringsLieWhereTheyCount(t *testing.T) {
	fed, spreadOut := 0, make(map[int]bool)
	rapid.Check(t, func(t *rapid.T) {
		rs := compileSigma(t, chains().Draw(t, "rules"))
		s := NewSpread(rs)
		n := rapid.IntRange(1, 50).Draw(t, "partitions")
		ev := parsed(t)
		for _, r := range rs.Rules() {
			if r.Threshold == nil {
				continue
			}
			for _, f := range r.Feeds() {
				key := r.Threshold.AppendKey(nil, ev)
				at := s.Partition(&alerting.Event{}, &alerting.Match{Rule: s.Rules[r], Key: key}, n)
				group, err := r.Threshold.DecodeKey(key)
				if err != nil {
					t.Fatal(err)
				}
				next, _, ok := f.AppendKeyOf(nil, group)
				if !ok {
					continue
				}
				fed++
				spreadOut[at] = true
				if to := s.Partition(&alerting.Event{}, &alerting.Match{Rule: s.Rules[f.To], Key: next}, n); to != at {
					t.Errorf("%s fires in partition %d, %s counts it in %d", r.ID, at, f.To.ID, to)
				}
			}
		}
	})
	if fed < 20 || len(spreadOut) < 5 {
		t.Errorf("%d firings in %d partitions: too few to tell", fed, len(spreadOut))
	}
}

func parsed(t *rapid.T) *cloudtrail.Event {
	params := ""
	for _, f := range []string{"x", "y", "z"} {
		if rapid.IntRange(0, 9).Draw(t, "has "+f) > 0 {
			params += fmt.Sprintf(`,%q:"%d"`, f, rapid.IntRange(0, 1000).Draw(t, f))
		}
	}
	ev := new(cloudtrail.Event)
	ev.Reset([]byte(`{"eventName":"E","requestParameters":{"kind":"a"` + params + `}}`))
	return ev
}

// A rule's windows lie elsewhere once its firings are counted, so it is another
// rule then; those that have nothing to do with it stay the same.
func TestHashTellsWhereWindowsLie(t *testing.T) {
	count := func(name, rules, by string) string {
		return fmt.Sprintf("title: %[1]s\nname: %[1]s\nid: %[1]s\ncorrelation: {type: event_count, rules: [%[2]s], group-by: [%[3]s], timespan: 5m, condition: {gte: 2}, generate: true}\n",
			name, rules, by)
	}
	first, other := count("first", "a", "requestParameters.x, requestParameters.y"), count("other", "b", "requestParameters.x")
	hash := func(docs ...string) func(id string) uint64 {
		rs := compileSigma(t, append(baseDocs(), docs...))
		s := NewSpread(rs)
		return func(id string) uint64 { return s.Rules[rs.Rule(id)].Hash }
	}
	alone := hash(first, other)
	byX := hash(first, other, count("second", "first", "requestParameters.x"))
	byY := hash(first, other, count("second", "first", "requestParameters.y"))
	seen := map[uint64]bool{}
	for _, h := range []uint64{alone("first"), byX("first"), byY("first")} {
		if seen[h] {
			t.Error("a rule whose windows moved has the same hash")
		}
		seen[h] = true
	}
	if alone("other") != byX("other") || alone("a") != byX("a") {
		t.Error("a rule that nothing has happened to has another hash")
	}
}
