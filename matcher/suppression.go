package matcher

import "strings"

// Covers reports whether a global suppression is for the rule of that ID.
func (s *Suppression) Covers(ruleID string) bool {
	if len(s.Rules) == 0 {
		return true
	}
	for _, pattern := range s.Rules {
		if coversID(pattern, ruleID) {
			return true
		}
	}
	return false
}

// coversID matches an ID with a pattern in which * stands for any run.
func coversID(pattern, id string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == id
	}
	rest, ok := strings.CutPrefix(id, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}
