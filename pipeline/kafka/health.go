package kafka

import (
	"errors"
	"fmt"
	"strings"
)

// complete says whether every partition that there is is ours.
func (s *Source) complete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.completeLocked()
}

func (s *Source) completeLocked() bool { return !s.checked.IsZero() && s.missing() == 0 }

// missing counts the partitions that are not ours. The caller holds mu.
func (s *Source) missing() int {
	n := 0
	for tp := range s.exist {
		if s.assigned[tp] == nil {
			n++
		}
	}
	return n
}

// Health answers nil when every partition is ours and can be read.
func (s *Source) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	missing := s.missing()
	switch {
	case s.problem.err != nil:
		return s.problem.err
	case s.checked.IsZero():
		return errors.New("no broker has answered yet")
	case len(s.absent) > 0 && s.regex != nil:
		return fmt.Errorf("no topic matches %s", s.absent[0])
	case len(s.absent) > 0:
		return fmt.Errorf("topics that do not exist: %s", strings.Join(s.absent, ", "))
	case missing == 0:
		return nil
	case s.holders == "":
		return fmt.Errorf("%d of %d partitions are not assigned to this worker yet", missing, len(s.exist))
	}
	return fmt.Errorf("%d of %d partitions are held by others, and this worker must read them all: %s",
		missing, len(s.exist), s.holders)
}
