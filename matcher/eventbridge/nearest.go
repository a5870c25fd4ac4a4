package eventbridge

import (
	"strconv"
	"strings"
)

// maxWord is how long a word is compared at most.
const maxWord = 64

// hint says which of the valid words the author may have meant, or lists them.
func hint(word string, valid []string) string {
	squeeze := strings.NewReplacer("-", "", "_", "", " ", "").Replace
	if len(word) > maxWord {
		return "valid are " + strings.Join(valid, ", ")
	}
	for _, v := range valid {
		a, b := squeeze(strings.ToLower(word)), squeeze(v)
		if a == b || len(a) > 3 && (strings.HasPrefix(b, a) || strings.HasPrefix(a, b) || distance(a, b) <= 2) {
			return "did you mean " + strconv.Quote(v) + "?"
		}
	}
	return "valid are " + strings.Join(valid, ", ")
}

// distance counts the insertions, deletions and replacements that lead from a to b.
func distance(a, b string) int {
	last, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
		}
		last, row = row, last
	}
	return last[len(b)]
}

// clip shortens text for a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
