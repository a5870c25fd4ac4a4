package vocabulary

import "strings"

// maxWord is the length of the longest word that is compared with others.
const maxWord = 128

// NearestEvent returns the known event name that a person may have meant by
// name, "" if none is near.
func (v *Vocabulary) NearestEvent(name string) string {
	s := newSearch(name)
	for _, known := range v.names {
		s.try(known)
	}
	return s.word
}

// NearestIn is NearestEvent of the events of one source. A name that another
// word follows or precedes is near as well: UpdateCertificate, of which ACM has
// UpdateCertificateOptions only.
func (v *Vocabulary) NearestIn(source, name string) string {
	s := newSearch(name)
	for known := range v.sources[source] {
		s.try(known)
	}
	if s.word != "" && s.least <= 2 {
		return s.word
	}
	longer := ""
	for known := range v.sources[source] {
		if len(name) >= 6 && strings.HasPrefix(known, name) &&
			(longer == "" || len(known) < len(longer) || len(known) == len(longer) && known < longer) {
			longer = known
		}
	}
	if longer != "" {
		return longer
	}
	return s.word
}

// NearestSource returns the known event source that a person may have meant, ""
// if none is near.
func (v *Vocabulary) NearestSource(source string) string {
	const suffix = ".amazonaws.com"
	if rest, ok := strings.CutPrefix(source, "aws."); ok && v.KnownSource(rest+suffix) {
		return rest + suffix
	}
	name := strings.TrimSuffix(strings.ToLower(source), suffix)
	if v.KnownSource(name + suffix) {
		return name + suffix
	}
	s := newSearch(name)
	for known := range v.sources {
		s.try(strings.TrimSuffix(known, suffix))
	}
	if s.word == "" {
		return ""
	}
	return s.word + suffix
}

// search looks for the word with the least edit distance to another, the first
// in order of several.
type search struct {
	lower               string
	word                string
	least               int // beyond it a word is not near
	before, last, after []int
}

func newSearch(word string) search {
	if len(word) > maxWord {
		word = ""
	}
	return search{lower: strings.ToLower(word), least: 1 + len(word)/4}
}

func (s *search) try(known string) {
	if s.lower == "" || max(len(known)-len(s.lower), len(s.lower)-len(known)) > s.least {
		return
	}
	if d := s.distance(strings.ToLower(known)); d < s.least || d == s.least && (s.word == "" || known < s.word) {
		s.word, s.least = known, d
	}
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that lead from s.lower to b. It may stop beyond s.least.
func (s *search) distance(b string) int {
	a := s.lower
	if n := len(b) + 1; cap(s.last) < n {
		s.before, s.last, s.after = make([]int, 2*n), make([]int, 2*n), make([]int, 2*n)
	}
	before, last, row := s.before[:len(b)+1], s.last[:len(b)+1], s.after[:len(b)+1]
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > s.least+1 {
			return least
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// Between returns the shortest event name of the source, the first of several,
// that begins with head, ends with tail and has words between the two; "" if
// there is none.
func (v *Vocabulary) Between(source, head, tail string) string {
	best := ""
	for name := range v.sources[source] {
		middle, ok := strings.CutPrefix(name, head)
		if !ok || len(middle) <= len(tail) || !strings.HasSuffix(middle, tail) || middle[0] < 'A' || middle[0] > 'Z' {
			continue
		}
		if best == "" || len(name) < len(best) || len(name) == len(best) && name < best {
			best = name
		}
	}
	return best
}
