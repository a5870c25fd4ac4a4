package vocabulary

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:embed names.txt.gz
var generated []byte

//go:embed supplement.txt
var supplement string

//go:embed record.txt
var record string

// Vocabulary is what CloudTrail can say. It is immutable and safe for
// concurrent use.
type Vocabulary struct {
	sources map[string]map[string]bool // events by event source
	events  map[string][]string        // event sources by event, in order
	names   []string                   // of all events, in order
	folded  map[string][]string        // events by their name in small letters
	fields  map[string]fieldKind       // of a record, by dotted path
	members map[string]string          // parameters of requests, by their name in small letters
	scalars map[string]bool            // the same, those that are never a list or an object
}

// Default returns the vocabulary that is part of the program. It is read at the
// first call, which takes some milliseconds.
func Default() *Vocabulary { return defaultVocabulary() }

var defaultVocabulary = sync.OnceValue(func() *Vocabulary {
	v, err := read()
	if err != nil {
		panic("the embedded vocabulary is broken: " + err.Error())
	}
	return v
})

func read() (*Vocabulary, error) {
	z, err := gzip.NewReader(bytes.NewReader(generated))
	if err != nil {
		return nil, err
	}
	names, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	v := &Vocabulary{
		sources: map[string]map[string]bool{},
		events:  map[string][]string{},
		folded:  map[string][]string{},
		fields:  map[string]fieldKind{},
		members: map[string]string{},
		scalars: map[string]bool{},
	}
	for _, part := range []string{string(names), supplement, record} {
		if err := v.add(part); err != nil {
			return nil, err
		}
	}
	for _, source := range slices.Sorted(maps.Keys(v.sources)) {
		for name := range v.sources[source] {
			v.events[name] = append(v.events[name], source)
		}
	}
	v.names = slices.Sorted(maps.Keys(v.events))
	for _, name := range v.names {
		v.folded[strings.ToLower(name)] = append(v.folded[strings.ToLower(name)], name)
	}
	return v, nil
}

// add reads lines of words, the first of which says what the others are.
func (v *Vocabulary) add(text string) error {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) < 2 {
			return fmt.Errorf("a line with one word: %q", line)
		}
		switch words[0] {
		case "source":
			if v.sources[words[1]] == nil {
				v.sources[words[1]] = make(map[string]bool, len(words))
			}
			for _, name := range words[2:] {
				v.sources[words[1]][name] = true
			}
		case "scalar", "member":
			for _, name := range words[1:] {
				v.members[strings.ToLower(name)] = name
				if words[0] == "scalar" {
					v.scalars[name] = true
				}
			}
		case "text", "value", "open":
			v.addField(words[0], words[1])
		default:
			return fmt.Errorf("an unknown kind of line: %q", words[0])
		}
	}
	return nil
}

// KnownSource says whether events come from an event source of that name, such
// as ec2.amazonaws.com.
func (v *Vocabulary) KnownSource(source string) bool { return v.sources[source] != nil }

// KnownEvent says whether some service has an event of that name, in this case.
// Names with the version of the API that Lambda and CloudFront append are known
// whatever the version: CreateFunction20150331v2, UpdateDistribution2020_05_31.
func (v *Vocabulary) KnownEvent(name string) bool { return len(v.Sources(name)) > 0 }

// KnownIn says whether an event source has an event of that name. Of a source
// without a list of events all names are known.
func (v *Vocabulary) KnownIn(source, name string) bool {
	return v.Open(source) || slices.Contains(v.Sources(name), source)
}

// Open says that the source is known and what events it has is not.
func (v *Vocabulary) Open(source string) bool {
	events, known := v.sources[source]
	return known && len(events) == 0
}

// Sources returns the event sources that have an event of that name, in order.
// Read-only.
func (v *Vocabulary) Sources(name string) []string {
	if sources := v.events[name]; sources != nil {
		return sources
	}
	base, source := unversioned(name)
	if base != "" && v.sources[source][base] {
		return []string{source}
	}
	return nil
}

// Events returns all event names, in order, those with versions that are in use
// included.
func (v *Vocabulary) Events() iter.Seq[string] { return slices.Values(v.names) }

// EventSources returns all event sources, in order.
func (v *Vocabulary) EventSources() []string { return slices.Sorted(maps.Keys(v.sources)) }

// EventsLike returns the event names that are name but for the case of letters.
// Read-only.
func (v *Vocabulary) EventsLike(name string) []string {
	if like := v.folded[strings.ToLower(name)]; like != nil {
		return like
	}
	for i := len(name); i > 0 && i >= len(name)-maxVersion; i-- {
		for _, base := range v.folded[strings.ToLower(name[:i])] {
			if full := base + strings.ToLower(name[i:]); v.KnownEvent(full) {
				return []string{full}
			}
		}
	}
	return nil
}
