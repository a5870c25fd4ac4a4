package enrich

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/gaissmai/bart"

	"github.com/trailtide/trailtide/matcher"
)

// list is a set of texts, patterns of texts, and addresses.
type list struct {
	texts    map[string]struct{}
	globs    matcher.Op // nil: none
	matched  *cache[bool]
	prefixes *bart.Lite // nil: none
}

// maxGlobs bounds the patterns of one list, which are tried one by one.
const maxGlobs = 10_000

func (l *list) has(value string) bool {
	if _, ok := l.texts[value]; ok {
		return true
	}
	if l.prefixes != nil {
		if a, ok := parseAddress(value); ok && l.prefixes.Contains(a) {
			return true
		}
	}
	return l.globs != nil && l.matched.get(value, func(value string) bool { return matcher.HoldsForText(l.globs, value) })
}

func (l *list) insert(p netip.Prefix) {
	if l.prefixes == nil {
		l.prefixes = new(bart.Lite)
	}
	l.prefixes.Insert(unmapped(p))
}

// readList reads a list. An empty one is fine: nothing is on it.
func readList(file string) (*list, error) {
	src, err := readFile(file, maxTextFile)
	if err != nil {
		return nil, err
	}
	l := &list{texts: map[string]struct{}{}}
	var globs [][]matcher.GlobToken
	var errs []error
	failf := func(line int, format string, args ...any) {
		if len(errs) < maxProblems {
			errs = append(errs, fmt.Errorf("%s:%d: "+format, append([]any{file, line}, args...)...))
		}
	}
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))) {
		number++
		if !utf8.Valid(line) {
			failf(number, "not UTF-8")
			continue
		}
		value := entry(string(line))
		switch {
		case value == "":
		case strings.Contains(value, "*"):
			if globs = append(globs, matcher.ParseGlob(value, matcher.GlobSyntax{Escape: true})); len(globs) == maxGlobs+1 {
				failf(number, "more than %d patterns; lists of values and of address ranges may be longer", maxGlobs)
			}
		default:
			if a, ok := parseAddress(value); ok {
				l.insert(netip.PrefixFrom(a, a.BitLen()))
			} else if p, err := netip.ParsePrefix(value); err == nil {
				l.insert(p)
				continue
			} else if looksLikeRange(value) {
				failf(number, "%.60q looks like a range of addresses and is none: %v", value, err)
				continue
			}
			l.texts[value] = struct{}{}
		}
	}
	if len(globs) > 0 {
		l.globs, l.matched = matcher.Wildcard(false, globs...), newCache[bool]()
	}
	return l, errors.Join(errs...)
}

// entry returns a line without its comment and the white space around.
func entry(line string) string {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			line = line[:i]
			break
		}
	}
	return strings.TrimSpace(line)
}

// looksLikeRange says that a text is an address, a slash and digits.
func looksLikeRange(s string) bool {
	head, bits, ok := strings.Cut(s, "/")
	return ok && bits != "" && strings.Trim(bits, "0123456789") == "" && strings.Count(head, ".") == 3 && strings.Trim(head, "0123456789.") == ""
}
