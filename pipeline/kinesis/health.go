package kinesis

import (
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"
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

// trouble notes that who cannot read; said once until all of the stream can be
// read again.
func (st *stream) trouble(who any, err error) {
	s := st.s
	s.metrics.failures.Inc()
	if refused(err) {
		s.conn.forget()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := who.(*reading); ok && r.over {
		return
	}
	if len(st.failing) == 0 {
		st.log.Error("a stream cannot be read; trying on", zap.Error(err))
	}
	st.failing[who] = err
}

// fine notes that who can read.
func (st *stream) fine(who any) {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	st.fineLocked(who)
}

func (st *stream) fineLocked(who any) {
	if st.failing[who] == nil {
		return
	}
	delete(st.failing, who)
	if len(st.failing) == 0 {
		st.log.Info("the stream can be read again")
	}
}
