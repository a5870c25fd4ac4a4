package vocabulary

import (
	"slices"
	"strings"
)

// fieldKind says what stands at a path of a record.
type fieldKind uint8

const (
	fieldUnknown fieldKind = iota
	fieldText              // a string
	fieldValue             // another scalar
	fieldObject            // an object whose members are known
	fieldOpen              // anything
)

func (v *Vocabulary) addField(kind, path string) {
	v.fields[path] = map[string]fieldKind{"text": fieldText, "value": fieldValue, "open": fieldOpen}[kind]
	for i := range path {
		if path[i] == '.' && v.fields[path[:i]] == fieldUnknown {
			v.fields[path[:i]] = fieldObject
		}
	}
}

const parameters = "requestParameters"

// KnownPath says whether a record may have something at the dotted path. Below
// fields that may hold anything every path is known, but for the parameters of
// requests: there the first key must be one of some service, in any case.
func (v *Vocabulary) KnownPath(path string) bool {
	if rest, ok := strings.CutPrefix(path, parameters+"."); ok {
		first, _, _ := strings.Cut(rest, ".")
		return v.members[strings.ToLower(first)] != ""
	}
	return v.PossiblePath(path)
}

// PossiblePath is KnownPath without a look at the parameters of requests: what
// it is false for is in no record.
func (v *Vocabulary) PossiblePath(path string) bool {
	if v.fields[path] != fieldUnknown {
		return true
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' {
			if kind := v.fields[path[:i]]; kind != fieldUnknown {
				return kind == fieldOpen
			}
		}
	}
	return false
}

// Scalar says that a record never has a list or an object at the path. Of the
// parameters of requests it goes by the models of all services.
func (v *Vocabulary) Scalar(path string) bool {
	if rest, ok := strings.CutPrefix(path, parameters+"."); ok {
		return v.scalars[rest]
	}
	kind := v.fields[path]
	return kind == fieldText || kind == fieldValue
}

// NearestPath returns the known path that a person may have meant, "" if none
// is near. Of a path that is unknown at the top it looks for a field inside the
// record of that name.
func (v *Vocabulary) NearestPath(path string) string {
	top, rest, nested := strings.Cut(path, ".")
	if (top == "detail" || top == "Records") && nested && v.PossiblePath(rest) {
		return rest
	}
	if nested && v.fields[top] == fieldOpen {
		if top != parameters {
			return ""
		}
		first, below, deep := strings.Cut(rest, ".")
		best := newSearch(first)
		for _, name := range v.members {
			best.try(name)
		}
		if best.word == "" || !deep {
			return join(parameters, best.word)
		}
		return join(parameters, best.word+"."+below)
	}
	if !nested {
		inside := ""
		for known := range v.fields {
			if strings.HasSuffix(strings.ToLower(known), "."+strings.ToLower(path)) && (inside == "" || len(known) < len(inside) || len(known) == len(inside) && known < inside) {
				inside = known
			}
		}
		if inside != "" {
			return inside
		}
	}
	best := newSearch(path)
	for known := range v.fields {
		best.try(known)
	}
	if best.word != "" {
		return best.word
	}
	best = newSearch(top)
	for known := range v.fields {
		if !strings.Contains(known, ".") {
			best.try(known)
		}
	}
	if best.word != "" && best.word != top {
		if nested {
			if full := best.word + "." + rest; v.PossiblePath(full) {
				return full
			}
		}
		return best.word
	}
	if name := v.members[strings.ToLower(top)]; name != "" && v.fields[top] == fieldUnknown {
		if nested {
			name += "." + rest
		}
		return parameters + "." + name
	}
	return ""
}

func join(top, rest string) string {
	if rest == "" {
		return ""
	}
	return top + "." + rest
}

// TopFields returns the fields that a record may have at its top, in order.
func (v *Vocabulary) TopFields() []string {
	var out []string
	for path := range v.fields {
		if !strings.Contains(path, ".") {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}
