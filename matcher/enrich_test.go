package matcher

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// knowledge is an Enricher over maps.
type knowledge struct {
	countries map[string][2]string
	accounts  map[string]string
	lists     map[string]map[string]bool
	sources   []EnrichmentSource // nil: all
}

func (k *knowledge) Country(ip string) (code, name string, ok bool) {
	c, ok := k.countries[ip]
	return c[0], c[1], ok
}

func (k *knowledge) AccountName(id string) (string, bool) {
	name, ok := k.accounts[id]
	return name, ok
}

func (k *knowledge) InList(name, value string) bool { return k.lists[name][value] }

type partialKnowledge struct{ knowledge }

func (k *partialKnowledge) HasSource(s EnrichmentSource) bool {
	for _, have := range k.sources {
		if have == s {
			return true
		}
	}
	return false
}

func someKnowledge() knowledge {
	return knowledge{
		countries: map[string][2]string{"192.0.2.1": {"IN", "India"}, "192.0.2.2": {"DE", "Germany"}},
		accounts:  map[string]string{"111122223333": "prod-payments"},
		lists:     map[string]map[string]bool{"bad": {"192.0.2.2": true}},
	}
}

func enrichedRule(id, field string, op Op) *Rule {
	return &Rule{ID: id, Enabled: true, Cond: &Field{Path: Dotted(field), Leaf: Leaf{Op: op}}}
}

func TestEnrichedMatch(t *testing.T) {
	rules := []*Rule{
		enrichedRule("country", "sourceIPAddress", Country("de", "FR")),
		enrichedRule("list", "sourceIPAddress", ListMember("bad")),
		enrichedRule("name", "sourceIPAddress", Enriched(CountryName, AnyToken(Equals(false, "india")))),
		enrichedRule("known", "sourceIPAddress", Enriched(CountryCode, nil)),
		enrichedRule("account", "recipientAccountId", Enriched(AccountName, HasPrefix(false, "prod-"))),
	}
	know := someKnowledge()
	rs, err := Compile(rules, Options{Enrich: &know})
	if err != nil {
		t.Fatal(err)
	}
	m := rs.NewMatcher()
	for event, want := range map[string][]string{
		`{"sourceIPAddress":"192.0.2.1"}`:                                     {"known", "name"},
		`{"sourceIPAddress":"192.0.2.2","recipientAccountId":"111122223333"}`: {"account", "country", "known", "list"},
		`{"sourceIPAddress":"ec2.amazonaws.com","recipientAccountId":"1"}`:    nil,
		`{"sourceIPAddress":["192.0.2.2"]}`:                                   {"country", "known", "list"},
		`{}`:                                                                  nil,
	} {
		var ev cloudtrail.Event
		ev.Reset([]byte(event))
		hits, _, err := m.Match(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range hits {
			got = append(got, h.Rule.ID)
			if ex, err := rs.Explain(h.Rule, &ev); err != nil || !ex.Held {
				t.Errorf("%s: %s: the explanation says otherwise: %v", event, h.Rule.ID, err)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", event, diff)
		}
	}
}

// TestMissingEnrichment: a rule that asks for what is not there is refused, and
// the error says what to set.
func TestMissingEnrichment(t *testing.T) {
	nested := &Rule{ID: "nested", Pos: Pos{File: "f", Line: 3, Col: 1}, Cond: &Not{Node: &Or{Nodes: []Node{
		&Anywhere{Key: "k", Leaf: Leaf{Op: Every(Neither(ListMember("bad")), AnyToken(Equals(false, "x")))}},
		&SameElement{Path: Keys("a"), Node: &Field{Path: Keys("id"), Leaf: Leaf{Op: OneOf(Enriched(AccountName, nil))}}},
	}}}}
	_, err := Compile([]*Rule{nested}, Options{})
	want := `f:3:1: rule nested: needs enrichment that is not configured: account names (enrich.accounts), the list "bad" (enrich.lists)`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	partial := &partialKnowledge{someKnowledge()}
	partial.sources = []EnrichmentSource{SourceAccounts, SourceList("bad")}
	if _, err := Compile([]*Rule{nested}, Options{Enrich: partial}); err != nil {
		t.Error(err)
	}
	_, err = Compile([]*Rule{enrichedRule("c", "ip", Country("DE"))}, Options{Enrich: partial})
	if err == nil || !strings.Contains(err.Error(), "enrich.country_db") {
		t.Errorf("got %v", err)
	}
	_, err = Compile(nil, Options{Suppress: []*Suppression{{Cond: nested.Cond}}})
	if err == nil {
		t.Error("a suppression that needs a source was taken")
	}
}
