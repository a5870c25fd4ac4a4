package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// suffixes are what the names of files in directories end in, lower case.
var suffixes = []string{".json", ".jsonl", ".ndjson", ".log", ".gz", ".zst"}

// listing is what the paths of the options lead to.
type listing struct {
	paths    []string
	skipped  int // files of directories whose name says that they are something else
	problems []Problem
}

// list expands paths. A path that leads to nothing is an error; what cannot be
// read below a directory is a problem.
func list(ctx context.Context, o *Options) (*listing, error) {
	l := &listing{}
	seen := make(map[string]bool)
	add := func(path string) {
		if !seen[path] {
			seen[path] = true
			l.paths = append(l.paths, path)
		}
	}
	var errs []error
	for _, path := range o.Paths {
		if path == Stdin {
			add(Stdin)
			continue
		}
		names, err := expand(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, name := range names {
			info, err := os.Stat(name)
			switch {
			case err != nil:
				errs = append(errs, fmt.Errorf("look at %s: %w", name, err))
			case !info.IsDir():
				add(filepath.Clean(name))
			default:
				if err := l.walk(ctx, name, o.AllFiles, add); err != nil {
					errs = append(errs, err)
				}
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, nil
}

// expand resolves a glob; a name that exists is no glob.
func expand(path string) ([]string, error) {
	if _, err := os.Lstat(path); err == nil || !strings.ContainsAny(path, `*?[`) {
		return []string{path}, nil
	}
	names, err := filepath.Glob(path)
	if err != nil {
		return nil, fmt.Errorf("expand %s: %w", path, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("expand %s: no file matches", path)
	}
	return names, nil
}

// walk adds the files below root. Links to files are followed, links to
// directories are not, but for root itself.
func (l *listing) walk(ctx context.Context, root string, all bool, add func(string)) error {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return fmt.Errorf("look at %s: %w", root, err)
	}
	return filepath.WalkDir(real, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		name := path
		if rel, relErr := filepath.Rel(real, path); relErr == nil {
			name = filepath.Join(root, rel)
		}
		if err != nil {
			l.problems = append(l.problems, Problem{Path: name, Reason: err.Error()})
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			if !isRegular(path) {
				l.skipped++
				return nil
			}
		} else if !d.Type().IsRegular() {
			l.skipped++
			return nil
		}
		if !all && !wanted(name) {
			l.skipped++
			return nil
		}
		add(name)
		return nil
	})
}

// isRegular says that a path leads to a regular file, be it by links.
func isRegular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func wanted(name string) bool {
	base := strings.ToLower(filepath.Base(name))
	for _, s := range suffixes {
		if strings.HasSuffix(base, s) {
			return true
		}
	}
	return false
}
