package matcher

import (
	"strconv"
	"strings"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// StepKind says how a Step goes on from the value that it is at.
type StepKind uint8

// The kinds of step.
const (
	StepKey      StepKind = iota // the object's member of that Key
	StepIndex                    // the array's element of that Index, from 0
	StepElements                 // any element of the array
	StepMembers                  // any member of the object
)

// Step is one step of a Path.
type Step struct {
	Kind  StepKind
	Key   string
	Index int
}

// Path leads from an object to values inside it. What an array on the way does
// to a StepKey is the business of Leaf.Arrays.
type Path []Step

// Keys returns the path of plain keys.
func Keys(keys ...string) Path {
	p := make(Path, len(keys))
	for i, k := range keys {
		p[i] = Step{Kind: StepKey, Key: k}
	}
	return p
}

// Dotted returns the path of plain keys that s names with dots between them.
func Dotted(s string) Path { return Keys(strings.Split(s, ".")...) }

// Plain returns p as plain keys; ok is false when it has another kind of step.
func (p Path) Plain() (keys cloudtrail.Path, ok bool) {
	keys = make(cloudtrail.Path, len(p))
	for i, s := range p {
		if s.Kind != StepKey {
			return nil, false
		}
		keys[i] = s.Key
	}
	return keys, true
}

// String returns the path for people: a.b[0].c, a[*].b, a.*.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch s.Kind {
		case StepKey:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.Key)
		case StepIndex:
			b.WriteString("[" + strconv.Itoa(s.Index) + "]")
		case StepElements:
			b.WriteString("[*]")
		case StepMembers:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteByte('*')
		}
	}
	return b.String()
}
