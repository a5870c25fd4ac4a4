package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

// Files must be quiet for settle before a change is read, since editors and git
// write in several steps; but after latest it is read all the same.
const (
	settle = 300 * time.Millisecond
	latest = 3 * time.Second
)

// reloader puts a changed rule set in force: whole, or not at all.
type reloader struct {
	load  func() error // reads, compiles and swaps; the old set stays on error
	log   *zap.Logger
	count func(ok bool)
	hup   func() // called on SIGHUP, before the reload; nil: nothing

	mu sync.Mutex // one reload at a time
}

func (r *reloader) reload(_ context.Context, why string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.load()
	r.count(err == nil)
	if err != nil {
		r.log.Error("the rules were not reloaded; the old ones stay in force", zap.String("why", why), zap.Error(err))
		return err
	}
	r.log.Info("rules reloaded", zap.String("why", why))
	return nil
}

// run reloads on SIGHUP, and on changes under the paths if watch is set, until
// ctx ends. dirs answers what to watch after each load.
func (r *reloader) run(ctx context.Context, watch bool, dirs, read func() []string) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	var changes <-chan fsnotify.Event
	var problems <-chan error
	if watch {
		w, err := fsnotify.NewWatcher()
		if err != nil {
			return fmt.Errorf("watch the rule files: %w", err)
		}
		defer w.Close()
		changes, problems = w.Events, w.Errors
		r.follow(w, dirs())
		return r.loop(ctx, hup, changes, problems, func() { r.follow(w, dirs()) }, read)
	}
	return r.loop(ctx, hup, changes, problems, func() {}, read)
}

func (r *reloader) loop(ctx context.Context, hup <-chan os.Signal, changes <-chan fsnotify.Event, problems <-chan error, follow func(), read func() []string) error {
	quiet := time.NewTimer(settle)
	quiet.Stop()
	defer quiet.Stop()
	var since time.Time // of the first change that is not read yet
	for {
		var why string
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			why = "SIGHUP"
			if r.hup != nil {
				r.hup()
			}
		case ev := <-changes:
			if !concernsRules(ev, read()) {
				continue
			}
			if since.IsZero() {
				since = time.Now()
			}
			quiet.Reset(max(min(settle, time.Until(since.Add(latest))), 0))
			continue
		case err := <-problems:
			r.log.Warn("watching the rule files failed; SIGHUP and POST /-/reload still work", zap.Error(err))
			continue
		case <-quiet.C:
			why = "files changed"
		}
		since = time.Time{}
		_ = r.reload(ctx, why) // it has told of its error
		follow()
	}
}

// concernsRules leaves out what else may lie in a watched directory: a state
// file is written all the time. What was read counts (rules, lists, the country
// data base), so do other rule files, and whatever appears or goes, for it may be
// a directory or a link to one.
func concernsRules(ev fsnotify.Event, read []string) bool {
	switch ext := filepath.Ext(ev.Name); {
	case ev.Op == fsnotify.Chmod:
		return false
	case ext == ".yaml", ext == ".yml", slices.Contains(read, filepath.Clean(ev.Name)):
		return true
	}
	return ev.Has(fsnotify.Create) || ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename)
}

// follow watches directories: a file that is replaced is a new file, its
// directory stays. What is watched already is watched once.
func (r *reloader) follow(w *fsnotify.Watcher, dirs []string) {
	for _, d := range dirs {
		if err := w.Add(d); err != nil {
			r.log.Warn("a directory of rules cannot be watched", zap.String("dir", d), zap.Error(err))
		}
	}
}

// directoriesOf returns what to watch: the directories that were searched, and
// those that the files lie in.
func directoriesOf(paths, files, searched []string) []string {
	seen := make(map[string]bool)
	var dirs []string
	add := func(d string) {
		if !seen[d] {
			seen[d] = true
			dirs = append(dirs, d)
		}
	}
	for _, f := range files {
		add(filepath.Dir(f))
	}
	for _, d := range searched {
		add(d)
	}
	for _, p := range paths {
		if info, err := os.Stat(p); err != nil || !info.IsDir() {
			add(filepath.Dir(p)) // a file, also one that is not there yet
		}
	}
	return dirs
}
