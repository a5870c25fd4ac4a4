package lucene

import (
	"strings"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

// field is what stands before a colon.
type field struct {
	name    string // as it was written, without escapes; empty: the default field
	path    matcher.Path
	pattern []matcher.GlobToken // of field names; nil: path is plain
	every   bool                // every field: the default field, and *
	exists  bool                // _exists_: the values are names of fields
	exact   bool                // .keyword: whole values, in their case
	ip      bool                // holds addresses
	enriched
}

// enriched says how a field that events lack is looked up.
type enriched struct {
	from matcher.Path // what is looked up; nil: the field is in the event
	root matcher.Path // where an event that was enriched already has it
	kind matcher.Enrichment
}

// field reads the name of a field.
func (p *parser) field(t token) *field {
	if t.raw == "*" {
		return &field{name: "*", every: true}
	}
	if t.wild {
		p.failf(t.start, "%q: in the name of a field write \\* for any run of characters", clip(t.raw))
		return nil
	}
	return p.named(t.start, t.raw)
}

// named returns the field of a raw name.
func (p *parser) named(at int, raw string) *field {
	name := p.plain(at, raw)
	if p.err != nil {
		return nil
	}
	if name == "_exists_" {
		return &field{name: name, exists: true}
	}
	f := &field{name: name}
	base, exact := strings.CutSuffix(name, ".keyword")
	f.exact = exact
	if strings.Contains(raw, `\*`) {
		f.pattern = matcher.ParseGlob(base, matcher.GlobSyntax{})
		p.once("fields", at, "%s stands for many fields: the whole of each event is searched, and no index helps", clip(name))
		return f
	}
	f.path = matcher.Dotted(base)
	if len(f.path) > MaxDepth {
		p.failf(at, "a field with more than %d parts", MaxDepth)
		return nil
	}
	for _, step := range f.path {
		if step.Key == "" {
			p.failf(at, "the field %q has an empty part", clip(name))
			return nil
		}
	}
	f.ip = !exact && strings.HasSuffix(strings.ToLower(base), "ipaddress")
	if p.enrich(f, at, base); p.err == nil && f.from == nil {
		p.checkField(at, f, base)
	}
	return f
}

// countryFields are the names under which enriched events have the country:
// those of Logstash, Elasticsearch, Coralogix and of MaxMind's own records.
var countryFields = map[string]matcher.Enrichment{
	"country_name":     matcher.CountryName,
	"country_code":     matcher.CountryCode,
	"country_code2":    matcher.CountryCode,
	"country_iso_code": matcher.CountryCode,
	"country.iso_code": matcher.CountryCode,
	"country.name":     matcher.CountryName,
	"country.names.en": matcher.CountryName,
}

const geoSuffix = "_geoip"

// enrich makes f a looked-up field if its name is that of one.
func (p *parser) enrich(f *field, at int, base string) {
	if base == "recipientAccountName" {
		f.from, f.root, f.kind = matcher.Keys("recipientAccountId"), f.path, matcher.AccountName
		return
	}
	for i, step := range f.path {
		of, ok := strings.CutSuffix(step.Key, geoSuffix)
		if !ok || of == "" {
			continue
		}
		from := append(matcher.Path{}, f.path[:i]...)
		f.from, f.root = append(from, matcher.Keys(of)...), f.path[:i+1]
		rest := f.path[i+1:].String()
		kind, known := countryFields[rest]
		if !known && rest != "" {
			p.failf(at, "%s: only the country of an address is known: country_name, country_code or country_code2", clip(base))
			return
		}
		f.kind = kind
		return
	}
}

// checkField warns of a field that CloudTrail does not have at the top.
func (p *parser) checkField(at int, f *field, base string) {
	top := f.path[0].Key
	if native.IsTopField(top) {
		return
	}
	say := func(where string) {
		p.once("field "+base, at, "CloudTrail records have no field %q at their top, so that this matches nothing: did you mean %s?", clip(top), where)
	}
	if (top == "detail" || top == "Records") && len(f.path) > 1 && native.IsTopField(f.path[1].Key) {
		say(f.path[1:].String())
		return
	}
	if len(f.path) == 1 {
		if path := native.FieldEndingIn(top); path != "" {
			say(path)
			return
		}
	}
	if near := native.NearestTopField(top); near != "" {
		say(near + base[len(top):])
		return
	}
	say("requestParameters." + base + " or responseElements." + base)
}

// node is the test of a field's values by op.
func (f *field) node(op matcher.Op, note matcher.Note) matcher.Node {
	leaf := matcher.Leaf{Op: op, AsText: matcher.TextNumbers | matcher.TextBools}
	switch {
	case f.every:
		return &matcher.Keyword{Leaf: leaf, Note: note}
	case f.pattern != nil:
		return matcher.NewFieldsLike(f.pattern, leaf, note)
	case f.from != nil:
		return f.lookedUp(leaf, op, note)
	default:
		return &matcher.Field{Path: f.path, Leaf: leaf, Note: note}
	}
}

// existence is the test whether the field has a value.
func (f *field) existence(note matcher.Note) matcher.Node {
	leaf := matcher.Leaf{Op: matcher.HasValue(), Null: matcher.NullAbsent}
	switch {
	case f.every:
		return &matcher.And{Note: note}
	case f.pattern != nil:
		return matcher.NewFieldsLike(f.pattern, leaf, note)
	case f.from != nil:
		return f.lookedUp(leaf, nil, note)
	default:
		return &matcher.Field{Path: f.path, Leaf: leaf, Note: note}
	}
}

// lookedUp tests what the event itself says where it was enriched before, and
// looks the value up otherwise.
func (f *field) lookedUp(own matcher.Leaf, op matcher.Op, note matcher.Note) matcher.Node {
	label := func(s string) matcher.Note { return matcher.Note{Label: s, Pos: note.Pos} }
	return &matcher.Or{Note: note, Nodes: []matcher.Node{
		&matcher.Field{Path: f.path, Leaf: own, Note: label(f.name + " in the event")},
		&matcher.And{Note: label(f.name + " looked up"), Nodes: []matcher.Node{
			&matcher.Not{Note: label(f.root.String() + " is not in the event"), Node: &matcher.Field{
				Path: f.root, Leaf: matcher.Leaf{Op: matcher.Exists(), Null: matcher.NullAbsent},
			}},
			&matcher.Field{Path: f.from, Leaf: matcher.Leaf{Op: matcher.Enriched(f.kind, op)}},
		}},
	}}
}
