package sigma

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxAlternatives bounds what one value expands to, by placeholders and dashes.
const maxAlternatives = 4096

// Bounds of what is expanded.
const (
	maxExpanded     = 4 << 10 // bytes of a value with expand or windash
	maxPlaceholders = 16      // in one value
	maxTokens       = 1 << 18 // literals and wildcards of all alternatives together
)

// expand replaces each %name% in text by the values of that placeholder; \% is
// a percent sign. A placeholder that the options do not have is an error: a
// tool must not guess. Values of placeholders are written as in rules.
func (r *reader) expand(n *yaml.Node, text string) (out []string, ok bool) {
	out = []string{""}
	if len(text) > maxExpanded {
		r.errorf(n, "a value with placeholders of more than %d bytes", maxExpanded)
		return nil, false
	}
	var plain []byte // since the last placeholder
	flush := func() {
		for i := range out {
			out[i] += string(plain)
		}
		plain = plain[:0]
	}
	for found := 0; text != ""; {
		name, isName := placeholder(text)
		switch {
		case strings.HasPrefix(text, `\%`):
			plain = append(plain, '%')
			text = text[2:]
			continue
		case !isName:
			plain = append(plain, text[0])
			text = text[1:]
			continue
		}
		values := r.options.Placeholders[name]
		if len(values) == 0 {
			known := slices.Sorted(maps.Keys(r.options.Placeholders))
			r.errorf(n, "the placeholder %%%s%% has no values in the configuration, and a rule with an unknown "+
				"placeholder must not be used; %s", clip(name), hint(name, known))
			return nil, false
		}
		if found++; found > maxPlaceholders || len(out)*len(values) > maxAlternatives {
			r.errorf(n, "more than %d placeholders in a value, or more than %d values of them", maxPlaceholders, maxAlternatives)
			return nil, false
		}
		flush()
		next := make([]string, 0, len(out)*len(values))
		for _, head := range out {
			for _, v := range values {
				next = append(next, head+v)
			}
		}
		out = next
		text = text[len(name)+2:]
	}
	flush()
	return out, true
}

// placeholder returns the name of the placeholder that text begins with.
func placeholder(text string) (name string, ok bool) {
	if text[0] != '%' {
		return "", false
	}
	name, _, ok = strings.Cut(text[1:], "%")
	return name, ok && name != "" && isPlaceholder(name)
}

func isPlaceholder(name string) bool {
	return !strings.ContainsFunc(name, func(c rune) bool {
		return c != '_' && c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
}
