package bench

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/builtin"
	"github.com/trailtide/trailtide/matcher/native"
)

// ruleMaker makes rules that look like those of people: one to five event
// names, a source, and up to two of an identity's type or name, an error code,
// a network, a request parameter, the beginning of a user agent. Their values
// come from events of the corpus.
type ruleMaker struct {
	r      *rand.Rand
	tb     testing.TB
	events []*fastjson.Value
	share  []named // the corpus's event names, the most frequent first
}

// named is an event name and the share of events that have it.
type named struct {
	name, source string
	share        float64
}

func newRuleMaker(tb testing.TB, c corpus) *ruleMaker {
	tb.Helper()
	m := &ruleMaker{r: rand.New(rand.NewPCG(1, 2)), tb: tb}
	counts := map[string]*named{}
	for _, raw := range c.events {
		v, err := fastjson.ParseBytes(raw)
		if err != nil {
			tb.Fatal(err)
		}
		m.events = append(m.events, v)
		name := string(v.GetStringBytes("eventName"))
		if counts[name] == nil {
			counts[name] = &named{name: name, source: string(v.GetStringBytes("eventSource"))}
		}
		counts[name].share += 1 / float64(len(c.events))
	}
	for n := range maps.Values(counts) {
		m.share = append(m.share, *n)
	}
	slices.SortFunc(m.share, func(a, b named) int {
		return cmp.Or(-cmp.Compare(a.share, b.share), cmp.Compare(a.name, b.name))
	})
	return m
}

// watched returns names that share of all events have together, as near as
// whole names allow.
func (m *ruleMaker) watched(share float64) []named {
	var out []named
	for _, n := range m.share {
		if n.share <= share {
			out = append(out, n)
			share -= n.share
		}
	}
	return out
}

// sparse returns n rules for which a tenth of the events are candidates,
// however many they are: as where people watch rare calls.
func (m *ruleMaker) sparse(n int) []*matcher.Rule {
	m.r = rand.New(rand.NewPCG(1, 2)) // the ten that watch are the same in every set
	watched := m.watched(0.1)
	var rules []*matcher.Rule
	for i := range n {
		if i >= 10 {
			rules = append(rules, m.rule(i, m.absent(1+m.r.IntN(5)), "absent.amazonaws.com"))
			continue
		}
		// Ten rules take all watched names between them.
		var names []string
		for k := i; k < len(watched); k += 10 {
			names = append(names, watched[k].name)
		}
		if names == nil {
			names = m.absent(1)
		}
		rules = append(rules, m.rule(i, names, ""))
	}
	return rules
}

// quiet returns n rules of which none could match any event.
func (m *ruleMaker) quiet(n int) []*matcher.Rule {
	var rules []*matcher.Rule
	for i := range n {
		rules = append(rules, m.rule(i, m.absent(1+m.r.IntN(5)), "absent.amazonaws.com"))
	}
	return rules
}

// dense returns n rules of whose names 85 % do not occur: the more rules, the
// more events are candidates, at 10,000 all of them.
func (m *ruleMaker) dense(n int) []*matcher.Rule {
	var rules []*matcher.Rule
	for i := range n {
		names := m.absent(1 + m.r.IntN(5))
		source := "absent.amazonaws.com"
		for k := range names {
			if m.r.IntN(100) < 15 {
				present := m.share[m.r.IntN(len(m.share))]
				names[k], source = present.name, present.source
			}
		}
		rules = append(rules, m.rule(i, names, source))
	}
	return rules
}

// shared returns n rules on one event name, one for each account. The accounts
// of the first ten are those of about a thirtieth of the events.
func (m *ruleMaker) shared(n int, name string) []*matcher.Rule {
	counts := map[string]int{}
	for _, v := range m.events {
		counts[string(v.GetStringBytes("recipientAccountId"))]++
	}
	accounts := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	left := len(m.events) / 30
	accounts = slices.DeleteFunc(accounts, func(a string) bool {
		if counts[a] > left {
			return true
		}
		left -= counts[a]
		return false
	})
	var rules []*matcher.Rule
	for i := range n {
		account := fmt.Sprintf("9%011d", i)
		if i < min(10, len(accounts)) {
			account = accounts[i]
		}
		rules = append(rules, m.make(i, equals("eventName", name), equals("recipientAccountId", account)))
	}
	return rules
}

func (m *ruleMaker) absent(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%sThing%d", []string{"Create", "Delete", "Describe", "List", "Put", "Update"}[m.r.IntN(6)], m.r.IntN(30_000))
	}
	return names
}

func (m *ruleMaker) rule(i int, names []string, source string) *matcher.Rule {
	nodes := []matcher.Node{equals("eventName", names...)}
	if source != "" {
		nodes = append(nodes, equals("eventSource", source))
	}
	like := m.events[m.r.IntN(len(m.events))]
	for range m.r.IntN(3) {
		nodes = append(nodes, m.condition(like))
	}
	return m.make(i, nodes...)
}

// condition is one that the event like, or nearly, satisfies.
func (m *ruleMaker) condition(like *fastjson.Value) matcher.Node {
	text := func(or string, path ...string) string {
		if b := like.GetStringBytes(path...); len(b) > 0 {
			return string(b)
		}
		return or
	}
	switch m.r.IntN(6) {
	case 0:
		return equals("userIdentity.type", text("IAMUser", "userIdentity", "type"))
	case 1:
		return equals("userIdentity.userName", text("alice", "userIdentity", "userName"))
	case 2:
		return equals("errorCode", text("AccessDenied", "errorCode"))
	case 3:
		addr, err := netip.ParseAddr(text("198.51.100.7", "sourceIPAddress"))
		if err != nil || !addr.Is4() {
			addr = netip.AddrFrom4([4]byte{198, 51, 100, 7})
		}
		return field("sourceIPAddress", matcher.CIDR(netip.PrefixFrom(addr, 24).Masked()))
	case 4:
		path, value := "requestParameters.name", "absent"
		like.GetObject("requestParameters").Visit(func(key []byte, v *fastjson.Value) {
			if v.Type() == fastjson.TypeString && !strings.Contains(string(key), ".") {
				path, value = "requestParameters."+string(key), string(v.GetStringBytes())
			}
		})
		return equals(path, value)
	default:
		agent := text("aws-cli", "userAgent")
		return field("userAgent", matcher.HasPrefix(false, agent[:min(8, len(agent))]))
	}
}

func (m *ruleMaker) make(i int, nodes ...matcher.Node) *matcher.Rule {
	return &matcher.Rule{ID: fmt.Sprintf("r%05d", i), Title: "made", Enabled: true, Save: true, Cond: &matcher.And{Nodes: nodes}}
}

func equals(path string, values ...string) matcher.Node {
	return field(path, matcher.Equals(false, values...))
}

func field(path string, op matcher.Op) matcher.Node {
	return &matcher.Field{Path: matcher.Dotted(path), Leaf: matcher.Leaf{Op: op}}
}

func compile(tb testing.TB, rules []*matcher.Rule) *matcher.Ruleset {
	tb.Helper()
	rs, err := matcher.Compile(rules, matcher.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return rs
}

// pack returns the rules of the built-in pack.
func pack(tb testing.TB) []*matcher.Rule {
	tb.Helper()
	set, err := native.Loader{}.LoadFS(builtin.FS(), ".")
	if err != nil {
		tb.Fatal(err)
	}
	return set.Rules
}
