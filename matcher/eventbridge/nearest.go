package eventbridge

import (
	"strconv"
	"strings"
)

// hint says which of the valid words the author may have meant, or lists them.
func hint(word string, valid []string) string {
	squeeze := strings.NewReplacer("-", "", "_", "", " ", "").Replace
	for _, v := range valid {
		a, b := squeeze(strings.ToLower(word)), squeeze(v)
		if a == b || len(a) > 3 && (strings.HasPrefix(b, a) || strings.HasPrefix(a, b)) {
			return "did you mean " + strconv.Quote(v) + "?"
		}
	}
	return "valid are " + strings.Join(valid, ", ")
}

// clip shortens text for a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
