package native

import (
	"strconv"
	"strings"
)

// hint says which of the valid words the author may have meant, or lists them.
func hint(word string, valid []string) string {
	if w := nearest(word, valid); w != "" {
		return "did you mean " + strconv.Quote(w) + "?"
	}
	return "valid are " + strings.Join(valid, ", ")
}

// nearest returns the valid word with the least edit distance to word, "" when
// none is near enough to be what a person may have meant.
func nearest(word string, valid []string) string {
	if len(word) > 64 {
		return ""
	}
	best, least := "", 2+len(word)/3
	for _, v := range valid {
		if strings.EqualFold(v, word) {
			return v
		}
		if d := distance(strings.ToLower(word), strings.ToLower(v)); d < least {
			best, least = v, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that lead from a to b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
