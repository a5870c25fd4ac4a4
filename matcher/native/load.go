package native

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
)

// Language builds the condition of a rule that is written in another language:
// value is what stands under the language's key in the rule. An error that is
// no *Error is reported at value's place.
type Language func(file string, value *yaml.Node) (matcher.Node, error)

// Set is what rule files hold.
type Set struct {
	Rules    []*matcher.Rule        // in the order of files and places
	Suppress []*matcher.Suppression // global ones
	Warnings []Warning
	Files    []string // read, in order; with Dirs what a watcher must watch
	Dirs     []string // directories searched
}

// Loader reads rule files. The zero Loader knows the native language only.
type Loader struct {
	// Languages are the other languages that a rule may say its condition in,
	// by the key that stands in place of match: cloudwatch, eventbridge, lucene.
	Languages map[string]Language
}

// Parse reads the rules and the global suppressions of one file. The errors
// are joined, each an *Error. filename is for positions only.
func Parse(filename string, src []byte) ([]*matcher.Rule, []*matcher.Suppression, error) {
	s, err := Loader{}.Parse(filename, src)
	return s.Rules, s.Suppress, err
}

// LoadFiles is Loader.LoadFiles of the zero Loader.
func LoadFiles(paths []string) (*Set, error) { return Loader{}.LoadFiles(paths) }

// Parse reads one file. The Set is never nil; with an error it holds what
// could be read.
func (l Loader) Parse(filename string, src []byte) (*Set, error) {
	r := &reader{file: filename, languages: l.Languages}
	s := &Set{}
	r.parse(s, src)
	r.unique(s)
	s.Warnings = r.warnings
	return s, errors.Join(r.errs...)
}

// LoadFiles reads rule files and directories. Of a directory it reads every
// *.yaml and *.yml, at any depth, in the order of their names; names that begin
// with a dot are left out, links to files are followed, links to directories are not.
// All errors are joined. The Set is never nil; with an error its Files and
// Dirs are still what a watcher must watch.
func (l Loader) LoadFiles(paths []string) (*Set, error) {
	c := collector{loader: l, set: &Set{}, ids: map[string]matcher.Pos{}, seen: map[string]bool{}}
	for _, p := range paths {
		p = filepath.Clean(p)
		info, err := os.Stat(p)
		switch {
		case err != nil:
			c.errs = append(c.errs, fmt.Errorf("reading rules: %w", err))
		case info.IsDir():
			c.dir(os.DirFS(p), ".", func(name string) string { return filepath.Join(p, filepath.FromSlash(name)) })
		default:
			c.file(os.DirFS(filepath.Dir(p)), filepath.Base(p), p)
		}
	}
	return c.set, errors.Join(c.errs...)
}

// LoadFS reads the directories and files named roots of fsys as LoadFiles does.
func (l Loader) LoadFS(fsys fs.FS, roots ...string) (*Set, error) {
	c := collector{loader: l, set: &Set{}, ids: map[string]matcher.Pos{}, seen: map[string]bool{}}
	for _, root := range roots {
		info, err := fs.Stat(fsys, root)
		switch {
		case err != nil:
			c.errs = append(c.errs, fmt.Errorf("reading rules: %w", err))
		case info.IsDir():
			c.dir(fsys, root, func(name string) string { return name })
		default:
			c.file(fsys, root, root)
		}
	}
	return c.set, errors.Join(c.errs...)
}

// collector joins the files of a set.
type collector struct {
	loader Loader
	set    *Set
	ids    map[string]matcher.Pos
	seen   map[string]bool
	errs   []error
}

func (c *collector) dir(fsys fs.FS, root string, show func(string) string) {
	err := fs.WalkDir(fsys, root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			c.errs = append(c.errs, fmt.Errorf("reading rules in %s: %w", show(name), err))
			return nil
		}
		base := path.Base(name)
		if name != root && strings.HasPrefix(base, ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			c.set.Dirs = append(c.set.Dirs, show(name))
			return nil
		}
		linked := false
		if d.Type()&fs.ModeSymlink != 0 {
			info, err := fs.Stat(fsys, name)
			linked = err == nil && info.IsDir()
		}
		switch ext := path.Ext(base); {
		case linked:
			c.set.Warnings = append(c.set.Warnings, Warning{
				Pos: matcher.Pos{File: show(name), Line: 1, Col: 1}, Msg: "a link to a directory is not followed",
			})
		case ext == ".yaml" || ext == ".yml":
			c.file(fsys, name, show(name))
		}
		return nil
	})
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("reading rules in %s: %w", show(root), err))
	}
}

func (c *collector) file(fsys fs.FS, name, shown string) {
	if c.seen[shown] {
		return
	}
	c.seen[shown] = true
	c.set.Files = append(c.set.Files, shown)
	src, err := readFile(fsys, name)
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("reading rules: %s: %w", shown, err))
		return
	}
	s, err := c.loader.Parse(shown, src)
	if err != nil {
		c.errs = append(c.errs, err)
	}
	for _, rule := range s.Rules {
		if first, dup := c.ids[rule.ID]; dup && first.File != shown {
			c.errs = append(c.errs, duplicate(rule.Pos, rule.ID, first))
			continue
		}
		c.ids[rule.ID] = rule.Pos
		c.set.Rules = append(c.set.Rules, rule)
	}
	c.set.Suppress = append(c.set.Suppress, s.Suppress...)
	c.set.Warnings = append(c.set.Warnings, s.Warnings...)
}

func duplicate(at matcher.Pos, id string, first matcher.Pos) *Error {
	return &Error{Pos: at, Msg: fmt.Sprintf("id %q is taken: first at %s:%d:%d", id, first.File, first.Line, first.Col)}
}

// readFile reads a file of at most MaxFileSize (one byte more, to tell).
func readFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	src, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	return src, errors.Join(err, f.Close())
}

// fileKeys are the keys at the top of a rule file.
var fileKeys = []string{"rules", "suppress"}

func (r *reader) parse(s *Set, src []byte) {
	if len(src) > MaxFileSize {
		r.errorf(&yaml.Node{}, "larger than %d MiB", MaxFileSize>>20)
		return
	}
	r.lines = strings.Split(string(src), "\n")
	for _, doc := range r.documents(src) {
		if doc.Kind == yaml.ScalarNode && doc.ShortTag() == "!!null" {
			continue // nothing but comments
		}
		list, _ := r.entries(doc, "a rule file")
		for i, e := range list {
			switch e.key {
			case "rules":
				end := len(r.lines) + 1
				if i+1 < len(list) {
					end = list[i+1].at.Line
				}
				r.rules(s, e.val, end)
			case "suppress":
				s.Suppress = append(s.Suppress, r.suppressions(e.val, true)...)
			default:
				if slices.Contains(ruleKeys, e.key) {
					r.errorf(e.at, "unknown key %q at the top of a file: a rule is an item of the list \"rules\"", e.key)
					continue
				}
				r.errorf(e.at, "unknown key %q, %s", clip(e.key), hint(e.key, fileKeys))
			}
		}
	}
}

// rules reads the list under the key rules, which ends before line end.
func (r *reader) rules(s *Set, n *yaml.Node, end int) {
	if n.Kind != yaml.SequenceNode {
		r.errorf(n, "rules must be a list, not %s", kindOf(n))
		return
	}
	for i, item := range n.Content {
		if len(r.errs) > maxProblems {
			return
		}
		stop := end
		if i+1 < len(n.Content) {
			stop = n.Content[i+1].Line
		}
		if rule := r.readRule(item); rule != nil {
			rule.Source = r.source(item, stop)
			s.Rules = append(s.Rules, rule)
		}
	}
}

// unique refuses the second rule of an ID within the file.
func (r *reader) unique(s *Set) {
	first := make(map[string]matcher.Pos, len(s.Rules))
	s.Rules = slices.DeleteFunc(s.Rules, func(rule *matcher.Rule) bool {
		pos, dup := first[rule.ID]
		if dup {
			r.fail(duplicate(rule.Pos, rule.ID, pos))
			return true
		}
		first[rule.ID] = rule.Pos
		return false
	})
}
