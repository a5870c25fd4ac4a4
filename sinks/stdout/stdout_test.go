package stdout_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/sinktest"
	"github.com/trailtide/trailtide/sinks/stdout"
)

var _ sinks.Sink = (*stdout.Sink)(nil)

type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *screen) Received(t *testing.T) []*sinks.Alert {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*sinks.Alert
	for line := range strings.Lines(s.buf.String()) {
		a, err := sinks.ParseAlert([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func open(t *testing.T, o stdout.Options) *stdout.Sink {
	t.Helper()
	s, err := stdout.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	sinktest.Run(t, sinktest.Harness{
		New: func(t *testing.T) (sinks.Sink, sinktest.Receiver) {
			t.Helper()
			w := new(screen)
			return open(t, stdout.Options{Writer: w}), w
		},
		Failing: func(t *testing.T) sinks.Sink {
			t.Helper()
			return open(t, stdout.Options{Writer: brokenPipe{}})
		},
	})
}

func TestHuman(t *testing.T) {
	w := new(screen)
	s := open(t, stdout.Options{Writer: w, Format: stdout.Human, Color: true})
	if err := s.Write(t.Context(), sinktest.Alerts(0, 2)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(w.buf.String(), "\n"), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "\x1b[31mHIGH    \x1b[0m  console-login") {
		t.Errorf("lines %q", lines)
	}
	if strings.Contains(lines[0], "\x1b[31mjan") {
		t.Errorf("an event paints the terminal: %q", lines[0])
	}
	if _, err := stdout.New(stdout.Options{Format: "xml"}); err == nil {
		t.Error("an unknown format is accepted")
	}
}
