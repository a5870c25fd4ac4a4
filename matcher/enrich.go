package matcher

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Enricher answers from data that stand beside the events. It must be safe for
// concurrent use, must not block, and must not keep its arguments, which are
// borrowed bytes of the event.
type Enricher interface {
	// Country returns the ISO 3166 code and the English name of the country of
	// an address; ok is false for what is no address or is not known.
	Country(ip string) (code, name string, ok bool)
	// AccountName returns the name of an AWS account.
	AccountName(id string) (string, bool)
	// InList says whether value is on the named list.
	InList(name string, value string) bool
}

// EnrichmentSource names what a condition asks an Enricher for: "country",
// "accounts" or "list NAME".
type EnrichmentSource string

// The sources that have no name of their own.
const (
	SourceCountry  EnrichmentSource = "country"
	SourceAccounts EnrichmentSource = "accounts"
)

// SourceList is the source of a named list.
func SourceList(name string) EnrichmentSource { return EnrichmentSource("list " + name) }

// EnrichmentHolder is what an Enricher may be besides: one that has some
// sources only. Compile asks it for those that the rules need.
type EnrichmentHolder interface {
	HasSource(s EnrichmentSource) bool
}

// Country holds for an IP address in one of the countries (ISO 3166 codes of
// two letters, in any case).
func Country(codes ...string) Op { return Enriched(CountryCode, Equals(true, codes...)) }

// ListMember holds for a text that is on the named list.
func ListMember(name string) Op { return &enriched{kind: listed, list: name} }

// Enrichment says what Enriched makes of a text.
type Enrichment uint8

// The enrichments.
const (
	CountryCode Enrichment = iota // of an IP address: ISO 3166 code of two letters
	CountryName                   // of an IP address: English name
	AccountName                   // of an account number
	listed
)

// Enriched holds for a text for which the Enricher of Options has an answer
// that satisfies op; a nil op takes every answer. Without an Enricher it does
// not hold.
func Enriched(kind Enrichment, op Op) Op { return &enriched{kind: kind, op: op} }

type enriched struct {
	// Not textual although it looks at texts: what it says of a text changes
	// with its source, so that the index must not remember it.
	notText
	kind Enrichment
	list string
	op   Op
}

func (o *enriched) eval(e *evaluator) bool {
	if !e.cur.isText || e.enrich == nil {
		return false
	}
	text := b2v(e.cur.text)
	var answer string
	var ok bool
	switch o.kind {
	case CountryCode:
		answer, _, ok = e.enrich.Country(text)
	case CountryName:
		_, answer, ok = e.enrich.Country(text)
	case AccountName:
		answer, ok = e.enrich.AccountName(text)
	default:
		return e.enrich.InList(o.list, text)
	}
	if !ok || o.op == nil {
		return ok
	}
	outer := e.cur
	e.cur = sight{text: v2b(answer), isText: true}
	ok = o.op.eval(e)
	e.cur, e.cur.isFolded = outer, false // the folded text is of the answer
	return ok
}

func (o *enriched) source() EnrichmentSource {
	switch o.kind {
	case listed:
		return SourceList(o.list)
	case AccountName:
		return SourceAccounts
	default:
		return SourceCountry
	}
}

var enrichmentNames = [...]string{CountryCode: "country code", CountryName: "country name", AccountName: "account name", listed: "list"}

func (o *enriched) canon(dst []byte) []byte {
	dst = append(append(dst, "(enriched "...), enrichmentNames[o.kind]...)
	dst = strconv.AppendQuote(append(dst, ' '), o.list)
	if o.op != nil {
		dst = o.op.canon(append(dst, ' '))
	}
	return append(dst, ')')
}

func (o *enriched) words() string {
	switch {
	case o.kind == listed:
		return "is on the list " + strconv.Quote(o.list)
	case o.op == nil:
		return "has a known " + enrichmentNames[o.kind]
	default:
		return "has a " + enrichmentNames[o.kind] + " that " + o.op.words()
	}
}

// EnrichmentNeeds returns the sources that a condition asks for, each once, in
// order.
func EnrichmentNeeds(n Node) []EnrichmentSource {
	var out []EnrichmentSource
	enrichmentOfNode(n, func(s EnrichmentSource) { out = append(out, s) })
	slices.Sort(out)
	return slices.Compact(out)
}

func enrichmentOfNode(n Node, yield func(EnrichmentSource)) {
	switch n := n.(type) {
	case *And:
		for _, sub := range n.Nodes {
			enrichmentOfNode(sub, yield)
		}
	case *Or:
		for _, sub := range n.Nodes {
			enrichmentOfNode(sub, yield)
		}
	case *Not:
		enrichmentOfNode(n.Node, yield)
	case *RawHint:
		enrichmentOfNode(n.Node, yield)
	case *SameElement:
		enrichmentOfNode(n.Node, yield)
	case *JSONText:
		enrichmentOfNode(n.Node, yield)
	case *Field:
		enrichmentOfOp(n.Op, yield)
	case *Anywhere:
		enrichmentOfOp(n.Op, yield)
	case *Keyword:
		enrichmentOfOp(n.Op, yield)
	case *FieldsLike:
		enrichmentOfOp(n.Op, yield)
	}
}

func enrichmentOfOp(op Op, yield func(EnrichmentSource)) {
	switch op := op.(type) {
	case *enriched:
		yield(op.source())
	case *oneOf:
		enrichmentOfOps(op.ops, yield)
	case *every:
		enrichmentOfOps(op.ops, yield)
	case *neither:
		enrichmentOfOps(op.ops, yield)
	case *anyToken:
		enrichmentOfOp(op.op, yield)
	case *forKind:
		enrichmentOfOp(op.op, yield)
	case *dateOr:
		enrichmentOfOps([]Op{op.date, op.other}, yield)
	}
}

func enrichmentOfOps(ops []Op, yield func(EnrichmentSource)) {
	for _, op := range ops {
		enrichmentOfOp(op, yield)
	}
}

// checkEnrichment returns an error when cond needs a source that o lacks.
func (o *Options) checkEnrichment(cond Node) error {
	if cond == nil {
		return nil
	}
	var missing []string
	holder, partial := o.Enrich.(EnrichmentHolder)
	for _, s := range EnrichmentNeeds(cond) {
		if o.Enrich == nil || partial && !holder.HasSource(s) {
			missing = append(missing, s.setting())
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("needs enrichment that is not configured: %s", strings.Join(missing, ", "))
}

// setting describes the source and where it is set.
func (s EnrichmentSource) setting() string {
	switch s {
	case SourceCountry:
		return "a country data base (enrich.country_db)"
	case SourceAccounts:
		return "account names (enrich.accounts)"
	default:
		name, _ := strings.CutPrefix(string(s), "list ")
		return fmt.Sprintf("the list %q (enrich.lists)", name)
	}
}
