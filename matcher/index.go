package matcher

import (
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// index answers which rules could match an event, from a few scanned fields.
//
// A rule enters it by each of its ways (see need). A way that bounds the event
// name stands under those names; within the group of one name, and among the
// ways without a name, it stands under the value of another field, and so on
// as long as it has needs left. What the index answers is a superset of the
// rules that hold; soundness is the only promise, and the evaluator decides.
type index struct {
	paths  []cloudtrail.Path // by access.path
	ids    map[string]int32  // of paths, by their keys joined with NUL
	ways   []indexedWay
	conds  []Node     // of the enabled rules, simplified: what is evaluated
	raw    []bool     // of conds: mayHoldRaw can tell something; nil: of none
	names  table      // by folded event name
	tested []testedBy // ways that bound the event name by tests
	named  []int32    // rules with a way that bounds the event name
	rest   *group     // ways that do not
	cache  *nameCache // nil when no way bounds the event name
}

// indexedWay is one way of one rule.
type indexedWay struct {
	rule int32
	way  way
}

// group is a set of ways, split by the fields that they need.
type group struct {
	always   []int32 // rules that no access splits off
	accesses []access
}

// access splits ways by the value of one field.
type access struct {
	path    int32
	values  table
	tested  []testedBy
	present *group  // ways that only need the field to be there
	notNull *group  // and not to be null
	all     []int32 // every rule of this access: the answer when the scan cannot decide
}

// testedBy is a way whose field must satisfy one of tests.
type testedBy struct {
	tests []Op
	way   int32
	group *group
}

// eventName is the path by which the index looks first.
var eventName = cloudtrail.Path{"eventName"}

// scanned is what a scan of one path answered for the current event.
type scanned struct {
	event    uint64 // number of the event it is from
	kind     cloudtrail.Kind
	text     []byte
	folded   []byte // of text once isFolded is set; the buffer is used again
	isFolded bool
}

// candidates collects into m.found the rules that could match ev. A rule may
// be in it more than once.
func (m *Matcher) candidates(ev *cloudtrail.Event) {
	x := &m.rs.index
	if len(x.named) > 0 {
		if name := ev.Name(); name != nil {
			m.byName(name, ev)
		} else {
			m.byOddName(ev)
		}
	}
	if x.rest != nil {
		m.collect(x.rest, ev)
	}
}

// byOddName is for events whose name is missing or not a string.
func (m *Matcher) byOddName(ev *cloudtrail.Event) {
	switch text, kind := ev.Scan(eventName); kind {
	case cloudtrail.Missing, cloudtrail.Null:
	case cloudtrail.Array, cloudtrail.Object, cloudtrail.Broken:
		m.found = append(m.found, m.rs.index.named...)
	default:
		m.byName(text, ev)
	}
}

// byName collects the rules under a name.
func (m *Matcher) byName(name []byte, ev *cloudtrail.Event) {
	x := &m.rs.index
	if x.cache != nil {
		r := x.cache.get(name)
		if r == nil {
			r = m.resolve(name)
		}
		if r != nil {
			if r.exact != nil {
				m.collect(r.exact, ev)
			}
			if r.tested != nil {
				m.collect(r.tested, ev)
			}
			return
		}
	}
	m.name = appendFold(m.name[:0], name)
	m.collect(x.names.find(m.name), ev)
	// Only names that cannot be remembered come here.
	for i := range x.tested {
		if t := &x.tested[i]; m.holds(t.tests, name) {
			m.found = append(m.found, x.ways[t.way].rule)
		}
	}
}

// collect adds the rules of g that the event's fields leave over.
func (m *Matcher) collect(g *group, ev *cloudtrail.Event) {
	if g == nil {
		return
	}
	m.found = append(m.found, g.always...)
	for i := range g.accesses {
		a := &g.accesses[i]
		s := m.scan(a.path, ev)
		switch s.kind {
		case cloudtrail.Missing:
		case cloudtrail.Array, cloudtrail.Object, cloudtrail.Broken:
			m.found = append(m.found, a.all...)
		case cloudtrail.Null:
			m.collect(a.present, ev)
		default:
			m.collect(a.present, ev)
			m.collect(a.notNull, ev)
			if len(a.values.entries) > 0 {
				m.collect(a.values.find(s.fold()), ev)
			}
			for j := range a.tested {
				if t := &a.tested[j]; m.holds(t.tests, s.text) {
					m.collect(t.group, ev)
				}
			}
		}
	}
}

// scan returns what the event has at a path, scanned once an event.
func (m *Matcher) scan(path int32, ev *cloudtrail.Event) *scanned {
	s := &m.scans[path]
	if s.event != m.event {
		s.event, s.isFolded = m.event, false
		s.text, s.kind = ev.Scan(m.rs.index.paths[path])
	}
	return s
}

func (s *scanned) fold() []byte {
	if !s.isFolded {
		s.folded, s.isFolded = appendFold(s.folded[:0], s.text), true
	}
	return s.folded
}

// holds says whether one of tests holds for a scanned text.
func (m *Matcher) holds(tests []Op, text []byte) bool {
	m.eval.lookText(text)
	for _, op := range tests {
		if op.eval(&m.eval) {
			return true
		}
	}
	return false
}
