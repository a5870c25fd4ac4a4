package lucene

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"

	"github.com/trailtide/trailtide/matcher"
)

// checkAlternation warns of a | that is no operator, in the clause that begins
// at start and whose value begins at value.
func (p *parser) checkAlternation(f *field, pipes, start, value int) {
	if p.err != nil || len(p.pipes) == pipes {
		return
	}
	p.pipes = p.pipes[:pipes]
	text := p.src[value:p.endOfLast(value)]
	proposal := p.src[start:value] + "/" + text + "/"
	if f.exact {
		p.warnf(start, "| is a character like any other outside slashes, and this matches nothing on a .keyword field: did you mean %s?", clipTo(proposal, 200))
		return
	}
	p.warnf(start, "| is a character like any other outside slashes: it parts words, any of which is enough; write %s or use OR", clipTo(proposal, 200))
}

// partNames are words that AWS never gives a whole name of: EC2's calls on
// gateways say which kind they are about.
var partNames = map[string]string{
	"Gateway": "CreateCustomerGateway, AttachInternetGateway, DeleteVpnGateway, CreateNatGateway, CreateTransitGateway",
}

// checkTexts looks at all texts that a test of the event's name asks for.
func (p *parser) checkTexts(f *field, at int, texts []string) {
	if f.kind == matcher.CountryName && f.from != nil && f.exact {
		p.checkCountry(f, at, texts)
	}
	if f.pattern != nil || f.path.String() != "eventName" || len(texts) == 0 {
		return
	}
	if p.events != nil && !slices.ContainsFunc(texts, p.events.KnownEvent) {
		hint := ""
		if near := p.events.NearestEvent(texts[0]); near != "" {
			hint = ": did you mean " + near + "?"
		}
		p.warnf(at, "no known event has the name %s%s", clip(strings.Join(texts, ", ")), hint)
		return
	}
	examples := ""
	for _, text := range texts {
		i := strings.IndexFunc(text[min(1, len(text)):], unicode.IsUpper)
		noun := text[min(i+1, len(text)):]
		if i < 0 || partNames[noun] == "" {
			return
		}
		examples = partNames[noun]
	}
	p.warnf(at, "matches no change of a network gateway: %s are no calls of EC2, which name the kind, as in %s; write .* between the words",
		clip(strings.Join(texts, ", ")), examples)
}

// checkCountry warns of names in small letters on an exact field.
func (p *parser) checkCountry(f *field, at int, texts []string) {
	for _, text := range texts {
		if text != strings.ToLower(text) {
			return
		}
	}
	p.warnf(at, "%s is compared in its case, and names of countries begin with a capital: %s never occurs; leave .keyword off or write capitals",
		f.name, clip(strings.Join(texts, ", ")))
}

func (p *parser) regexpNode(f *field, t token, note matcher.Note) matcher.Node {
	if f.exists {
		return p.existenceOf(t, note)
	}
	p.checkStray(f, t)
	src := t.raw
	if !f.exact {
		src = matcher.Lower(src)
	}
	x, r, err := parseRegexp(src)
	if err != nil {
		p.failf(t.start, "%v", err)
		return nil
	}
	op, err := regexOp(src, x, r.special)
	if err != nil {
		p.failf(t.start, "%v", err)
		return nil
	}
	for _, sign := range r.literal {
		switch sign {
		case "^", "$":
			p.warnf(t.start, "%s stands for itself: a regular expression of Lucene always matches the whole value and has no anchors", sign)
		default:
			p.warnf(t.start, "%s is the letter %s: Lucene has no such class; write [0-9], [a-z]", sign, sign[1:])
		}
	}
	if !r.special {
		p.checkTexts(f, t.start, finite(f, t.raw))
	}
	if !f.exact {
		for _, part := range parts(x) {
			if part.kind == reClass && len(part.ranges) == 2 && part.ranges[0] == part.ranges[1] {
				p.checkWord(t.start, p.src[t.start:t.end], string(part.ranges[0]))
			}
		}
		op = eachTerm(op)
	}
	return f.node(op, note)
}

// parts returns what every text that x matches holds one behind the other.
func parts(x *re) []*re {
	if x.kind == reConcat {
		return x.subs
	}
	return []*re{x}
}

// finite returns the texts of an expression, nil if there is no end of them.
func finite(f *field, src string) []string {
	if f.path.String() != "eventName" && f.from == nil {
		return nil
	}
	x, _, err := parseRegexp(src)
	if err != nil {
		return nil
	}
	var b strings.Builder
	x.re2(&b)
	tree, err := syntax.Parse(b.String(), syntax.Perl)
	if err != nil {
		return nil
	}
	texts, _, ok := matcher.ExpandRegexp(tree, true, 1024)
	if !ok {
		return nil
	}
	return texts
}
