package native

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// maxPath is how many segments a path may have: an event is no deeper.
const maxPath = MaxDepth

// path splits a dotted path; a backslash makes the next character plain. It
// returns nil when s is none, and says so.
func (r *reader) path(at *yaml.Node, s string) cloudtrail.Path {
	var p cloudtrail.Path
	var seg strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			if i++; i == len(s) {
				r.errorf(at, "path %q ends with a backslash", clip(s))
				return nil
			}
			seg.WriteByte(s[i])
		case '.':
			p = append(p, seg.String())
			seg.Reset()
		case '[', ']', '*':
			r.errorf(at, "path %q has %q: arrays are gone through by themselves, name the keys only (or write \\%c for that character)", clip(s), c, c)
			return nil
		default:
			seg.WriteByte(c)
		}
	}
	p = append(p, seg.String())
	switch {
	case slices.Contains(p, ""):
		r.errorf(at, "path %q has an empty part", clip(s))
		return nil
	case p[0] == "$" || p[0] == "detail" && len(p) > 1 && slices.Contains(topFields, p[1]):
		r.errorf(at, "path %q: write it without %q, paths begin at the event itself", clip(s), p[0]+".")
		return nil
	case len(p) > maxPath:
		r.errorf(at, "path has more than %d parts", maxPath)
		return nil
	}
	return p
}

// checkTop warns of a path that begins with no field of a CloudTrail record.
func (r *reader) checkTop(at *yaml.Node, p cloudtrail.Path) {
	if len(p) == 0 || slices.Contains(topFields, p[0]) {
		return
	}
	if near := nearest(p[0], topFields); near != "" {
		r.warnf(at, "CloudTrail records have no field %q at their top, did you mean %q?", clip(p[0]), near)
		return
	}
	r.warnf(at, "CloudTrail records have no field %q at their top", clip(p[0]))
}
