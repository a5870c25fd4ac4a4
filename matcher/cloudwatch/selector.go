package cloudwatch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// selector is $.a.b[0].c.
type selector struct {
	path matcher.Path
	text string // as it was written
	wild bool   // it has a *
}

// column names the place of byte i for messages.
func (p *parser) column(i int) string {
	if !p.exact {
		return fmt.Sprintf("character %d", i+1)
	}
	at := p.pos(i)
	return fmt.Sprintf("%d:%d", at.Line, at.Col)
}

// selector reads a selector; the next character is the dollar sign.
func (p *parser) selector() (selector, error) {
	start := p.i
	p.i++
	var sel selector
	for p.i < len(p.src) {
		at := p.i
		var step matcher.Step
		var err error
		switch p.src[p.i] {
		case '.':
			p.i++
			step, err = p.member(start)
		case '[':
			step, err = p.element()
		default:
			return p.endSelector(sel, start)
		}
		if err != nil {
			return sel, err
		}
		if step.Kind == matcher.StepElements || step.Kind == matcher.StepMembers {
			if sel.wild {
				return sel, p.errorf(at, "a selector may hold one *")
			}
			sel.wild = true
		}
		if sel.path = append(sel.path, step); len(sel.path) > MaxSteps {
			return sel, p.errorf(start, "a selector of more than %d steps", MaxSteps)
		}
	}
	return p.endSelector(sel, start)
}

func (p *parser) endSelector(sel selector, start int) (selector, error) {
	sel.text = p.src[start:p.i]
	if len(sel.path) == 0 {
		return sel, p.errorf(start, "expected .name or [ after $, as in $.eventName")
	}
	if sel.wild {
		if p.wildcards++; p.wildcards > MaxWildcards {
			return sel, p.errorf(start, "more than %d selectors with a *: CloudWatch takes no more", MaxWildcards)
		}
	}
	return sel, nil
}

// member reads what follows a dot: a name, * or ['any name'].
func (p *parser) member(start int) (matcher.Step, error) {
	if p.i < len(p.src) && p.src[p.i] == '[' {
		return p.element()
	}
	if p.take("*") {
		return matcher.Step{Kind: matcher.StepMembers}, nil
	}
	name := p.run(func(c byte) bool { return isWord(c) || c == '-' })
	if name == "" {
		return matcher.Step{}, p.errorf(p.i, "expected a property name after %s, not %s: names of other characters than letters, digits, - and _ are written .['name']",
			clip(p.src[start:p.i]), p.next())
	}
	return matcher.Step{Kind: matcher.StepKey, Key: name}, nil
}

// element reads [0], [*] or ['any name'].
func (p *parser) element() (matcher.Step, error) {
	at := p.i
	p.i++
	for _, quote := range []string{"'", `"`} {
		if !p.take(quote) {
			continue
		}
		name, rest, ok := strings.Cut(p.src[p.i:], quote+"]")
		if !ok {
			return matcher.Step{}, p.errorf(at, "the [%s is not closed by %s]", quote, quote)
		}
		p.i = len(p.src) - len(rest)
		return matcher.Step{Kind: matcher.StepKey, Key: name}, nil
	}
	if p.take("*]") {
		return matcher.Step{Kind: matcher.StepElements}, nil
	}
	digits := p.run(func(c byte) bool { return '0' <= c && c <= '9' })
	index, err := strconv.Atoi(digits)
	if err != nil || index > 1<<30 || !p.take("]") {
		return matcher.Step{}, p.errorf(at, "expected [0], [*] or ['name'], not %s", clip(p.src[at:min(at+12, len(p.src))]))
	}
	return matcher.Step{Kind: matcher.StepIndex, Index: index}, nil
}

// alwaysThere are the fields of every CloudTrail record of an API call.
// Semantics: AWS CloudTrail record contents.
var alwaysThere = []string{
	"$.eventName", "$.eventSource", "$.eventTime", "$.eventVersion", "$.eventType",
	"$.eventID", "$.awsRegion", "$.sourceIPAddress", "$.recipientAccountId",
}

// objects are the fields of a CloudTrail record that are objects or arrays.
// Semantics: AWS CloudTrail record contents.
var objects = []string{
	"$.userIdentity", "$.userIdentity.sessionContext", "$.userIdentity.sessionContext.attributes",
	"$.userIdentity.sessionContext.sessionIssuer", "$.userIdentity.sessionContext.webIdFederationData",
	"$.requestParameters", "$.responseElements", "$.additionalEventData", "$.serviceEventDetails",
	"$.insightDetails", "$.tlsDetails", "$.resources", "$.addendum", "$.edgeDeviceDetails",
}

func (s selector) alwaysThere() bool { return slices.Contains(alwaysThere, s.text) }
func (s selector) isObject() bool    { return slices.Contains(objects, s.text) }
