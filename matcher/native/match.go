package native

import (
	"errors"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// ParseMatch reads one match map, as it stands under match in a rule: a
// condition by itself. Warnings are there with an error, too.
func ParseMatch(filename string, src []byte) (matcher.Node, []Warning, error) {
	r := &reader{file: filename}
	if len(src) > MaxFileSize {
		return nil, nil, &Error{Pos: matcher.Pos{File: filename, Line: 1, Col: 1}, Msg: "larger than a rule file may be"}
	}
	r.lines = strings.Split(string(src), "\n")
	docs := r.documents(src)
	var node matcher.Node
	switch {
	case len(r.errs) > 0:
	case len(docs) != 1:
		r.fail(&Error{Pos: matcher.Pos{File: filename, Line: 1, Col: 1}, Msg: "a match map is expected, such as {eventName: StopLogging}"})
	default:
		node = r.condition(docs[0], "the match map", scope{event: true, known: true})
	}
	return node, r.warnings, errors.Join(r.errs...)
}

// HasRules says whether src is a rule file rather than a match map: whether it
// has rules at its top.
func HasRules(src []byte) bool {
	r := &reader{}
	for _, doc := range r.documents(src) {
		for i := 0; i+1 < len(doc.Content); i += 2 {
			if doc.Content[i].Value == "rules" {
				return true
			}
		}
	}
	return false
}
