package eventbridge

import (
	"bytes"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// An EventBridge event that carries a CloudTrail record is made up from the
// record: these are its top-level fields and where they come from.
//
// Semantics: Amazon EventBridge user guide, AWS service events delivered via
// CloudTrail; AWS CloudTrail record contents.
var envelopeFields = map[string]string{
	"account": "recipientAccountId",
	"region":  "awsRegion",
	"time":    "eventTime",
	"id":      "eventID",
	"source":  "eventSource",
}

// envelopeVersion is the version of every EventBridge event.
const envelopeVersion = "0"

// detailTypes are the detail-types of events from CloudTrail that are told by
// the record's eventType; all others are API calls.
var detailTypes = []struct{ eventType, detailType string }{
	{"AwsConsoleSignIn", signIn},
	{"AwsServiceEvent", "AWS Service Event via CloudTrail"},
	{"AwsConsoleAction", "AWS Console Action via CloudTrail"},
	{"AwsCloudTrailInsight", "AWS Insight via CloudTrail"},
	{"AwsVpceEvent", "AWS Network Activity Event via CloudTrail"},
}

const (
	apiCall = "AWS API Call via CloudTrail"
	signIn  = "AWS Console Sign In via CloudTrail"
)

const serviceSuffix = ".amazonaws.com"

// appendSource appends the EventBridge source of a CloudTrail event source:
// ec2.amazonaws.com is aws.ec2. A text of another form stays as it is. No service
// is known whose two names differ otherwise; the console's sign-in, which has
// records of its own kind, is aws.signin by the same rule.
func appendSource(dst, eventSource []byte) []byte {
	if name, ok := bytes.CutSuffix(eventSource, []byte(serviceSuffix)); ok {
		return append(append(dst, "aws."...), name...)
	}
	return append(dst, eventSource...)
}

// eventSources returns the event sources whose EventBridge source is s.
func eventSources(s string) []string {
	var out []string
	if name, ok := strings.CutPrefix(s, "aws."); ok {
		out = append(out, name+serviceSuffix)
	}
	if !strings.HasSuffix(s, serviceSuffix) {
		out = append(out, s)
	}
	return out
}

// rawNode applies the pattern to the object as it is.
func rawNode(alternatives []alternative, note matcher.Note) matcher.Node {
	nodes := make([]matcher.Node, len(alternatives))
	for i, a := range alternatives {
		leaves := make([]matcher.TreeLeaf, 0, len(a))
		for _, path := range a.paths() {
			l := a[path]
			leaves = append(leaves, l.tree(l.keys()))
		}
		nodes[i] = matcher.NewTree(false, leaves, note)
	}
	return anyOf(nodes, note)
}

func (l *leaf) tree(path []string) matcher.TreeLeaf {
	return matcher.TreeLeaf{Path: path, Op: l.op, Absent: l.absent, Note: l.note}
}

func anyOf(nodes []matcher.Node, note matcher.Note) matcher.Node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	return &matcher.Or{Nodes: nodes, Note: note}
}

// eitherNode applies raw to objects that have a detail of their own.
func eitherNode(raw, record matcher.Node, note matcher.Note) matcher.Node {
	detail := &matcher.Field{Path: matcher.Keys("detail"), Leaf: matcher.Leaf{Op: matcher.Exists()}}
	return &matcher.Or{Note: note, Nodes: []matcher.Node{
		&matcher.And{Nodes: []matcher.Node{detail, raw}, Note: matcher.Note{Label: "as an EventBridge event", Pos: note.Pos}},
		&matcher.And{Nodes: []matcher.Node{&matcher.Not{Node: detail}, record}, Note: matcher.Note{Label: "as a CloudTrail record", Pos: note.Pos}},
	}}
}

// recordNode applies the pattern to a CloudTrail record, or to the EventBridge
// event that would carry it when it speaks of detail.
func (c *compiler) recordNode(alternatives []alternative, note matcher.Note) matcher.Node {
	enveloped := false
	for _, a := range alternatives {
		for path := range a {
			enveloped = enveloped || path == "detail" || strings.HasPrefix(path, "detail.")
		}
	}
	var nodes []matcher.Node
	for _, a := range alternatives {
		var n matcher.Node
		if enveloped {
			n = c.enveloped(a, note)
		} else {
			n = c.bare(a, note)
		}
		if n != nil {
			nodes = append(nodes, n)
		}
	}
	if len(nodes) == 0 {
		c.warnf(note.Pos, "no CloudTrail event can match this pattern")
	}
	return anyOf(nodes, note)
}

// bare lowers an alternative of a pattern for the record itself.
func (c *compiler) bare(a alternative, note matcher.Note) matcher.Node {
	var leaves []matcher.TreeLeaf
	for _, path := range a.paths() {
		l := a[path]
		keys := l.keys()
		switch _, known := envelopeFields[keys[0]]; {
		case known, keys[0] == "detail-type", keys[0] == "resources" && len(keys) == 1:
			c.warnf(l.note.Pos, "%q is a field of the EventBridge event, but without the key \"detail\" the pattern applies to the CloudTrail record, which has none", keys[0])
		}
		leaves = append(leaves, l.tree(keys))
	}
	return matcher.NewTree(true, leaves, note)
}

// enveloped lowers an alternative of a pattern for the EventBridge event; nil
// means that it can never hold.
func (c *compiler) enveloped(a alternative, note matcher.Note) matcher.Node {
	var nodes []matcher.Node
	var leaves []matcher.TreeLeaf
	possible := true
	for _, path := range a.paths() {
		l := a[path]
		keys := l.keys()
		field := envelopeFields[keys[0]]
		switch {
		case keys[0] == "detail":
			leaves = append(leaves, l.tree(keys[1:]))
		case path == "detail-type":
			n, ok := c.detailType(l)
			if possible = possible && ok; n != nil {
				nodes = append(nodes, n)
			}
		case path == "version":
			if l.op == nil || !matcher.HoldsForText(l.op, envelopeVersion) {
				c.warnf(l.note.Pos, "the version of an EventBridge event is always %q: this never holds", envelopeVersion)
				possible = false
			}
		case field != "" && len(keys) == 1:
			if path == "id" {
				c.warnf(l.note.Pos, "EventBridge gives each event an id of its own, which a CloudTrail record does not hold: it is compared with eventID")
			}
			t := l.tree([]string{field})
			if path == "source" && l.op != nil {
				t.Op = sourceOp(l)
			}
			nodes = append(nodes, matcher.NewTree(true, []matcher.TreeLeaf{t}, l.note))
		default:
			possible = c.nowhere(l, keys[0]) && possible
		}
	}
	if !possible {
		return nil
	}
	if len(leaves) > 0 {
		nodes = append(nodes, matcher.NewTree(true, leaves, note))
	}
	if len(nodes) == 1 {
		return nodes[0]
	}
	return &matcher.And{Nodes: nodes, Note: note}
}

// nowhere is for fields that an event from CloudTrail never has. It says
// whether the leaf holds all the same.
func (c *compiler) nowhere(l *leaf, key string) bool {
	verdict := "this never holds"
	if l.absent {
		verdict = "this always holds"
	}
	switch {
	case key == "resources":
		c.warnf(l.note.Pos, "resources is empty in EventBridge events from CloudTrail: %s (look into detail.resources or detail.requestParameters)", verdict)
	case l.path != key:
		c.warnf(l.note.Pos, "an EventBridge event from CloudTrail has no field %q: %s", clip(l.path), verdict)
	default:
		c.warnf(l.note.Pos, "an EventBridge event from CloudTrail has no top-level field %q: %s (did you mean detail.%s?)", clip(key), verdict, clip(key))
	}
	return l.absent
}

// sourceOp is the leaf's test on eventSource.
func sourceOp(l *leaf) matcher.Op {
	if len(l.literals) == 0 {
		return matcher.Rewritten("EventBridge source", appendSource, l.op)
	}
	var sources []string
	for _, s := range l.literals {
		sources = append(sources, eventSources(s)...)
	}
	return matcher.Equals(false, sources...)
}

// detailType lowers a test of detail-type to one of eventType; a console sign-in
// without an eventType is told by its name. ok is false when no detail-type
// passes; node is nil when all do.
func (c *compiler) detailType(l *leaf) (node matcher.Node, ok bool) {
	holds := func(s string) bool { return l.op != nil && matcher.HoldsForText(l.op, s) }
	var passing, failing []string
	for _, t := range detailTypes {
		if holds(t.detailType) {
			passing = append(passing, t.eventType)
		} else {
			failing = append(failing, t.eventType)
		}
	}
	if len(passing) == 0 && !holds(apiCall) {
		c.warnf(l.note.Pos, "no event from CloudTrail has such a detail-type; those are %q, %q, %q and those of Insights, console actions and network activity",
			apiCall, signIn, detailTypes[1].detailType)
		return nil, false
	}
	eventType := func(values []string) matcher.Node {
		return &matcher.Field{Path: matcher.Keys("eventType"), Leaf: matcher.Leaf{Op: matcher.Equals(false, values...)}, Note: l.note}
	}
	untypedLogin := &matcher.And{Note: l.note, Nodes: []matcher.Node{
		&matcher.Not{Node: &matcher.Field{Path: matcher.Keys("eventType"), Leaf: matcher.Leaf{Op: matcher.Exists(), Null: matcher.NullFalse}}},
		&matcher.Field{Path: matcher.Keys("eventName"), Leaf: matcher.Leaf{Op: matcher.Equals(false, "ConsoleLogin")}},
	}}
	switch {
	case holds(apiCall) && len(failing) == 0:
		return nil, true
	case holds(apiCall) && holds(signIn):
		return &matcher.Not{Node: eventType(failing), Note: l.note}, true
	case holds(apiCall):
		return &matcher.Not{Node: &matcher.Or{Nodes: []matcher.Node{eventType(failing), untypedLogin}}, Note: l.note}, true
	case holds(signIn):
		return &matcher.Or{Nodes: []matcher.Node{eventType(passing), untypedLogin}, Note: l.note}, true
	default:
		return eventType(passing), true
	}
}
