package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// stampLayout sorts by time as text.
const stampLayout = "20060102T150405.000000000Z"

// rotate gives the present file its older name and removes what is too old.
func (s *Sink) rotate() error {
	if err := s.shut(); err != nil {
		return err
	}
	at := s.now().UTC()
	if !at.After(s.rotated) { // the clock stands still or went back: names stay in order
		at = s.rotated.Add(time.Nanosecond)
	}
	for ; ; at = at.Add(time.Nanosecond) { // never over an existing file
		older := s.o.Path + "." + at.Format(stampLayout)
		_, err := os.Lstat(older)
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Rename(s.o.Path, older); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		s.rotated = at
		break
	}
	s.size, s.torn = 0, false
	return s.prune()
}

// prune removes the oldest files beyond Keep, and only files that rotate has
// named.
func (s *Sink) prune() error {
	if s.o.Keep == 0 {
		return nil
	}
	dir, prefix := filepath.Split(s.o.Path)
	prefix += "."
	entries, err := os.ReadDir(filepath.Clean(dir + "."))
	if err != nil {
		return fmt.Errorf("list older alert files: %w", err)
	}
	var older []string
	for _, e := range entries {
		stamp, ok := strings.CutPrefix(e.Name(), prefix)
		if _, err := time.Parse(stampLayout, stamp); ok && err == nil {
			older = append(older, e.Name())
		}
	}
	slices.Sort(older)
	var errs []error
	for _, name := range older[:max(0, len(older)-s.o.Keep)] {
		errs = append(errs, os.Remove(filepath.Join(dir, name)))
	}
	return errors.Join(errs...)
}
