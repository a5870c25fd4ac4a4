package sigma

import (
	"strconv"
	"strings"
)

// hint says which of the valid words the author may have meant, or lists them.
func hint(word string, valid []string) string {
	best, least := "", 2+len(word)/3
	if len(word) <= 64 {
		for _, v := range valid {
			if d := distance(strings.ToLower(word), strings.ToLower(v)); d < least {
				best, least = v, d
			}
		}
	}
	if best != "" {
		return "did you mean " + strconv.Quote(best) + "?"
	}
	if len(valid) == 0 {
		return "there is none"
	}
	const most = 40
	if len(valid) > most {
		valid = append(valid[:most:most], "…")
	}
	return "valid are " + strings.Join(valid, ", ")
}

// distance counts the insertions, deletions and replacements that lead from a
// to b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var row [65]int
	for j := range len(b) + 1 {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
