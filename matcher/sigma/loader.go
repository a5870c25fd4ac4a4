package sigma

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

// Options of loading. The zero value is the default.
type Options struct {
	// Placeholders are the values of %name% in rules with the modifier expand, as
	// they would stand in the rule. A rule with any other placeholder is an error.
	Placeholders map[string][]string
}

// IsSigma says whether a YAML document is a Sigma rule, correlation or filter.
func IsSigma(doc *yaml.Node) bool {
	if doc != nil && doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		doc = doc.Content[0]
	}
	if get(doc, "rules") != nil || get(doc, "match") != nil {
		return false // the native language's
	}
	return get(doc, "detection") != nil || get(doc, "correlation") != nil ||
		get(doc, "filter") != nil && (get(doc, "logsource") != nil || get(doc, "title") != nil)
}

// Recognize says whether one of the YAML documents of src is Sigma, as a
// router of files must know. Of broken YAML it looks at what comes before.
func Recognize(src []byte) bool {
	r := &reader{}
	for _, doc := range r.documents(src) {
		if IsSigma(doc) {
			return true
		}
	}
	return false
}

// Parse reads the documents of one file and links them. The Set is never nil;
// with an error it holds what could be read. file is for positions, and its
// base name is the ID of a rule that states none.
func Parse(file string, src []byte, o Options) (*Set, error) {
	l := NewLoader(o)
	l.Add(file, src)
	return l.Link()
}

// LoadFiles reads Sigma files and directories, and links them. Of a directory
// it reads every *.yaml and *.yml, at any depth, in the order of their names;
// names that begin with a dot are left out. Files without a Sigma document are
// left to others: see Set.Other.
func LoadFiles(paths []string, o Options) (*Set, error) {
	l := NewLoader(o)
	for _, p := range paths {
		p = filepath.Clean(p)
		info, err := os.Stat(p)
		switch {
		case err != nil:
			l.errs = append(l.errs, fmt.Errorf("reading rules: %w", err))
		case info.IsDir():
			l.dir(os.DirFS(p), ".", func(name string) string { return filepath.Join(p, filepath.FromSlash(name)) })
		default:
			l.file(os.DirFS(filepath.Dir(p)), filepath.Base(p), p)
		}
	}
	return l.Link()
}

// LoadFS reads the directories and files named roots of fsys as LoadFiles does.
func LoadFS(fsys fs.FS, o Options, roots ...string) (*Set, error) {
	l := NewLoader(o)
	for _, root := range roots {
		info, err := fs.Stat(fsys, root)
		switch {
		case err != nil:
			l.errs = append(l.errs, fmt.Errorf("reading rules: %w", err))
		case info.IsDir():
			l.dir(fsys, root, func(name string) string { return name })
		default:
			l.file(fsys, root, root)
		}
	}
	return l.Link()
}

// Loader collects files; Link resolves what they say of one another. For a
// router that reads files itself; LoadFiles does all at once.
type Loader struct {
	options Options
	set     *Set
	errs    []error
	seen    map[string]bool // files
	leveled map[string]bool // rules that state a level, by ID
	named   []named
}

// named is a name by which a document can be referred to.
type named struct {
	id, name    string
	pos         matcher.Pos
	rule        *matcher.Rule
	correlation *Correlation
	skipped     bool // of another log source, or broken
}

// NewLoader returns an empty Loader.
func NewLoader(o Options) *Loader {
	return &Loader{options: o, set: &Set{Silent: map[string]bool{}}, seen: map[string]bool{}, leveled: map[string]bool{}}
}

func (l *Loader) dir(fsys fs.FS, root string, show func(string) string) {
	err := fs.WalkDir(fsys, root, func(name string, d fs.DirEntry, err error) error {
		base := path.Base(name)
		switch ext := path.Ext(base); {
		case err != nil:
			l.errs = append(l.errs, fmt.Errorf("reading rules in %s: %w", show(name), err))
		case name != root && strings.HasPrefix(base, ".") && d.IsDir():
			return fs.SkipDir
		case name != root && strings.HasPrefix(base, "."):
		case d.IsDir():
			l.set.Dirs = append(l.set.Dirs, show(name))
		case ext == ".yaml" || ext == ".yml":
			if info, err := fs.Stat(fsys, name); err == nil && info.IsDir() {
				break // a link to a directory is not followed
			}
			l.file(fsys, name, show(name))
		}
		return nil
	})
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("reading rules in %s: %w", show(root), err))
	}
}

func (l *Loader) file(fsys fs.FS, name, shown string) {
	if l.seen[shown] {
		return
	}
	l.seen[shown] = true
	l.set.Files = append(l.set.Files, shown)
	src, err := readFile(fsys, name)
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("reading rules: %s: %w", shown, err))
		return
	}
	l.add(shown, src, true)
}

// readFile reads a file of at most native.MaxFileSize (one byte more, to tell).
func readFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	src, err := io.ReadAll(io.LimitReader(f, native.MaxFileSize+1))
	return src, errors.Join(err, f.Close())
}

// Add reads the documents of a file; what is wrong with them Link tells.
func (l *Loader) Add(file string, src []byte) { l.add(file, src, false) }

// add leaves a file that has no Sigma document to others, if it may.
func (l *Loader) add(file string, src []byte, mayLeave bool) {
	r := &reader{file: file, options: &l.options, lines: strings.Split(string(src), "\n")}
	if len(src) > native.MaxFileSize {
		r.errorf(&yaml.Node{}, "larger than %d MiB", native.MaxFileSize>>20)
	} else {
		docs := r.documents(src)
		if mayLeave && !slices.ContainsFunc(docs, IsSigma) {
			l.set.Other = append(l.set.Other, file)
			return
		}
		for i, doc := range docs {
			end := len(r.lines) + 1
			if i+1 < len(docs) {
				end = docs[i+1].Line
			}
			fallback := strings.TrimSuffix(filepath.Base(file), path.Ext(file))
			if i > 0 {
				fallback = fmt.Sprintf("%s-%d", fallback, i+1)
			}
			if r.sound(doc, 1) {
				l.document(r, doc, fallback, r.source(doc, end))
			}
		}
	}
	l.errs = append(l.errs, r.errs...)
	l.set.Warnings = append(l.set.Warnings, r.warnings...)
}

func (l *Loader) document(r *reader, doc *yaml.Node, fallback, source string) {
	r.rule = ""
	kinds := 0
	for _, key := range []string{"detection", "correlation", "filter"} {
		if get(doc, key) != nil {
			kinds++
		}
	}
	if action := get(doc, "action"); action != nil {
		r.errorf(action, "action: %s was removed with Sigma 2: write every document out", clip(action.Value))
		return
	}
	switch {
	case doc.Kind != yaml.MappingNode:
		r.errorf(doc, "a Sigma document must be a map, not %s", kindOf(doc))
	case kinds != 1:
		r.errorf(doc, "a Sigma document has one of detection, correlation and filter")
	case get(doc, "correlation") != nil:
		c := r.readCorrelation(doc, fallback)
		l.name(doc, fallback, named{pos: r.pos(doc), correlation: c, skipped: c == nil})
		if c != nil {
			c.Source = source
			l.set.Correlations = append(l.set.Correlations, c)
		}
	case l.skip(r, doc, fallback):
	case get(doc, "filter") != nil:
		if f := r.readFilter(doc, fallback); f != nil {
			l.set.Filters = append(l.set.Filters, f)
		}
	default:
		rule, _, leveled := r.readRule(doc, fallback)
		l.name(doc, fallback, named{pos: r.pos(doc), rule: rule, skipped: rule == nil})
		if rule != nil {
			rule.Source = source
			l.leveled[rule.ID] = leveled
			l.set.Rules = append(l.set.Rules, rule)
		}
	}
	r.rule = ""
}

// name remembers by what a document can be referred to.
func (l *Loader) name(doc *yaml.Node, fallback string, n named) {
	n.id = fallback
	if id := get(doc, "id"); id != nil && id.Value != "" && !isNull(id) {
		n.id = id.Value
	}
	if name := get(doc, "name"); name != nil {
		n.name = strings.TrimSpace(name.Value)
	}
	l.named = append(l.named, n)
}

// skip leaves out a rule or filter for another log source.
func (l *Loader) skip(r *reader, doc *yaml.Node, fallback string) bool {
	source := get(doc, "logsource")
	if source == nil {
		if get(doc, "detection") != nil {
			r.errorf(doc, "the rule has no logsource, as logsource: {product: aws, service: cloudtrail}")
			l.name(doc, fallback, named{pos: r.pos(doc), skipped: true})
			return true
		}
		return false
	}
	reason := foreignSource(source)
	if reason == "" {
		return false
	}
	s := Skipped{Pos: r.pos(doc), ID: fallback, Reason: reason}
	if title := get(doc, "title"); title != nil {
		s.Title = title.Value
	}
	l.name(doc, fallback, named{pos: s.Pos, skipped: true})
	s.ID = l.named[len(l.named)-1].id
	l.set.Skipped = append(l.set.Skipped, s)
	return true
}
