package kinesis

import (
	"errors"
	"fmt"
	"strings"
)

// Health answers nil when every stream can be read.
func (s *Source) Health() error {
	s.mu.Lock()
	err := s.healthLocked()
	s.mu.Unlock()
	if err == nil && s.leases != nil {
		err = s.leases.Health()
	}
	return err
}

func (s *Source) healthLocked() error {
	var absent []string
	for _, st := range s.streams {
		if st.missing > 0 {
			absent = append(absent, st.label)
		}
	}
	if len(absent) > 0 {
		return fmt.Errorf("streams that do not exist: %s", strings.Join(absent, ", "))
	}
	for _, st := range s.streams {
		var first error
		for _, err := range st.failing { // the same one each time
			if first == nil || err.Error() < first.Error() {
				first = err
			}
		}
		if first != nil {
			return first
		}
	}
	for _, st := range s.streams {
		if !st.listed {
			return errors.New("stream " + st.label + " was not looked at yet")
		}
	}
	return nil
}
