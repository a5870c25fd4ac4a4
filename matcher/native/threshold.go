package native

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// MaxDuration bounds window, absent_for and realert.
const MaxDuration = 31 * 24 * time.Hour

var (
	thresholdKeys = []string{"count", "distinct", "absent_for", "window", "group_by", "realert", "compat", "compare", "periods", "datapoints", "missing"}
	distinctKeys  = []string{"field", "count"}
)

func (r *reader) threshold(n *yaml.Node) *matcher.Threshold {
	list, ok := r.entries(n, "threshold")
	if !ok {
		return nil
	}
	t := &matcher.Threshold{}
	at := map[string]*yaml.Node{}
	for _, e := range list {
		at[e.key] = e.at
		switch e.key {
		case "count":
			t.Count = r.count(e.val, "count")
		case "distinct":
			r.distinct(t, e.val)
		case "absent_for":
			t.AbsentFor = r.duration(e.val, "absent_for")
		case "window":
			t.Window = r.duration(e.val, "window")
		case "realert":
			t.Realert = r.duration(e.val, "realert")
		case "group_by":
			t.GroupBy = r.groupBy(e.val)
		case "compat", "compare", "periods", "datapoints", "missing":
		default:
			r.errorf(e.at, "unknown key %q in threshold, %s", clip(e.key), hint(e.key, thresholdKeys))
		}
	}
	t.Tumbling = r.tumbling(list, at)
	var kinds []string
	for _, k := range thresholdKeys[:3] {
		if at[k] != nil {
			kinds = append(kinds, k)
		}
	}
	switch {
	case len(kinds) == 0:
		r.errorf(n, "a threshold needs one of count, distinct, absent_for")
	case len(kinds) > 1:
		r.errorf(at[kinds[1]], "%s beside %s: a threshold has one of count, distinct, absent_for", kinds[1], kinds[0])
	case kinds[0] == "absent_for" && at["window"] != nil:
		r.errorf(at["window"], "window beside absent_for: absent_for is the time itself")
	case kinds[0] != "absent_for" && at["window"] == nil:
		r.errorf(at[kinds[0]], "%s needs a window", kinds[0])
	default:
		r.bounded(at, t)
	}
	return t
}

func (r *reader) distinct(t *matcher.Threshold, n *yaml.Node) {
	list, ok := r.entries(n, "distinct")
	if !ok {
		return
	}
	var field, count bool
	for _, e := range list {
		switch e.key {
		case "field":
			field = true
			t.Distinct = r.fieldPath(e.val, "field")
		case "count":
			count = true
			t.Count = r.count(e.val, "count")
		default:
			r.errorf(e.at, "unknown key %q in distinct, %s", clip(e.key), hint(e.key, distinctKeys))
		}
	}
	if !field {
		r.errorf(n, "distinct needs a field")
	}
	if !count {
		r.errorf(n, "distinct needs a count")
	}
}

func (r *reader) groupBy(n *yaml.Node) []cloudtrail.Path {
	items := []*yaml.Node{n}
	if n.Kind != yaml.ScalarNode {
		items, _ = r.list(n, "group_by")
	}
	var out []cloudtrail.Path
	for _, item := range items {
		p := r.fieldPath(item, "a group_by field")
		if p == nil {
			continue
		}
		if slices.ContainsFunc(out, func(q cloudtrail.Path) bool { return slices.Equal(p, q) }) {
			r.errorf(item, "group_by names %q twice", clip(item.Value))
			continue
		}
		out = append(out, p)
	}
	return out
}

// fieldPath reads the path of a field that a threshold reads.
func (r *reader) fieldPath(n *yaml.Node, what string) cloudtrail.Path {
	s, ok := r.text(n, what)
	if !ok {
		return nil
	}
	p := r.path(n, s)
	r.checkTop(n, p)
	return p
}

var durationText = regexp.MustCompile(`^(?:([0-9]{1,6})d)?([0-9].*)?$`)

// duration reads 90s, 1h30m, 2d, 1d12h: Go's durations and d for 24 hours.
func (r *reader) duration(n *yaml.Node, what string) time.Duration {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		r.errorf(n, "%s must be a duration such as 90s, 5m, 12h or 2d, not %s", what, kindOf(n))
		return 0
	}
	if jsonNumber.MatchString(n.Value) {
		r.errorf(n, "%s: %s has no unit: write %ss for seconds", what, clip(n.Value), clip(n.Value))
		return 0
	}
	d, ok := parseDuration(n.Value)
	switch {
	case !ok:
		r.errorf(n, "%s: %q is no duration: write it as 90s, 5m, 1h30m or 2d", what, clip(n.Value))
	case d <= 0:
		r.errorf(n, "%s must be more than 0", what)
	case d > MaxDuration:
		r.errorf(n, "%s must be at most 31d", what)
	default:
		return d
	}
	return 0
}

func parseDuration(s string) (time.Duration, bool) {
	sign := time.Duration(1)
	if strings.HasPrefix(s, "-") {
		sign, s = -1, s[1:]
	}
	m := durationText.FindStringSubmatch(s)
	if m == nil || s == "" {
		return 0, false
	}
	var d time.Duration
	if m[1] != "" {
		days, err := strconv.Atoi(m[1])
		if err != nil {
			return 0, false
		}
		d = time.Duration(min(days, 1000)) * 24 * time.Hour
	}
	if m[2] != "" {
		rest, err := time.ParseDuration(m[2])
		if err != nil {
			return 0, false
		}
		if rest > MaxDuration {
			rest = MaxDuration + 1
		}
		d += rest
	}
	return sign * d, true
}
