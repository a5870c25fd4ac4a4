package cloudtrail

import (
	"fmt"
	"strings"
)

// ParsePath splits a dotted path into its keys. A key that holds a dot is
// written in double quotes (a."b.c".d) or with a backslash (a.b\.c); inside
// quotes and outside, a backslash takes the next character as it is. An empty
// key is an error.
func ParsePath(s string) (Path, error) {
	var p Path
	for rest := s; ; {
		key, tail, err := cutKey(rest)
		if err != nil {
			return nil, fmt.Errorf("path %q: %w", s, err)
		}
		if key == "" {
			return nil, fmt.Errorf("path %q: empty key", s)
		}
		p = append(p, key)
		if tail == "" {
			return p, nil
		}
		rest = tail[1:] // the dot
	}
}

// cutKey reads one key. tail is empty or begins with the dot that ended it.
func cutKey(s string) (key, tail string, err error) {
	var b strings.Builder
	quoted := strings.HasPrefix(s, `"`)
	i := 0
	if quoted {
		i = 1
	}
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
			if i == len(s) {
				return "", "", fmt.Errorf("ends in a backslash")
			}
			b.WriteByte(s[i])
		case c == '"' && quoted:
			if tail = s[i+1:]; tail != "" && tail[0] != '.' {
				return "", "", fmt.Errorf("%q after a quoted key", tail)
			}
			return b.String(), tail, nil
		case c == '"':
			return "", "", fmt.Errorf("a quote inside a key; write it as \\\"")
		case c == '.' && !quoted:
			return b.String(), s[i:], nil
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", "", fmt.Errorf("missing closing quote")
	}
	return b.String(), "", nil
}

// String writes p so that ParsePath reads it back: keys with a dot, a quote or
// a backslash are quoted.
func (p Path) String() string {
	var b strings.Builder
	for i, key := range p {
		if i > 0 {
			b.WriteByte('.')
		}
		if !strings.ContainsAny(key, `."\`) {
			b.WriteString(key)
			continue
		}
		b.WriteByte('"')
		for j := range len(key) {
			if key[j] == '"' || key[j] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(key[j])
		}
		b.WriteByte('"')
	}
	return b.String()
}
