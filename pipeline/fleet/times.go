package fleet

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/repartition"
)

// sourceTimes follows what markers say of the source's partitions beside their
// times, which the stage keeps.
type sourceTimes struct {
	lives map[string]bool
	seen  map[string]int64 // when a list of partitions last had it; wall clock of the markers
	ended map[string]int64 // when it was closed: a worker that has not heard of it may list it still
	fresh []string         // of ended, those of the open interval
	lists int64            // since when lists come without a long pause; 0: none yet
	last  int64            // when the last one came
}

// forgetSourceAfter is after how long a source partition that no list has holds
// the watermark no more. Lists of different workers may differ for moments.
const forgetSourceAfter = 10 * time.Minute

func newSourceTimes() *sourceTimes {
	return &sourceTimes{lives: make(map[string]bool), seen: make(map[string]int64), ended: make(map[string]int64)}
}

// timesNote is what the owner of a repartition partition leaves to the next one,
// with the state: the source partitions that were closed of late, and when.
type timesNote struct {
	V     int              `json:"v"`
	Ended map[string]int64 `json:"ended"`
}

// timesVersion is the newest format of the note.
const timesVersion = 1

func loadSourceTimes(note []byte) (*sourceTimes, error) {
	t := newSourceTimes()
	if note == nil {
		return t, nil
	}
	n := timesNote{Ended: t.ended}
	if err := json.Unmarshal(note, &n); err != nil {
		return nil, fmt.Errorf("read which source partitions were closed: %w", err)
	}
	if n.V > timesVersion {
		return nil, fmt.Errorf("read which source partitions were closed: version %d is of a newer version of trailtide", n.V)
	}
	return t, nil
}

// leave keeps with the stage's state what was closed in the open interval.
func (t *sourceTimes) leave(s *alerting.Stage) {
	if len(t.fresh) == 0 {
		return
	}
	b, err := json.Marshal(timesNote{V: timesVersion, Ended: t.ended})
	if err != nil {
		panic("names and numbers are JSON: " + err.Error())
	}
	s.SetNote(b)
}

// apply tells the stage what a marker says.
func (t *sourceTimes) apply(s *alerting.Stage, m *repartition.Marker) {
	for _, name := range m.Exists {
		if t.over(name, m.Written) {
			continue
		}
		s.Partition(name, repartition.NoTime)
		t.seen[name] = m.Written
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.Reached == repartition.NoTime && t.over(p.Name, m.Written) {
			continue
		}
		t.lives[p.Name] = p.Live
		t.seen[p.Name] = max(t.seen[p.Name], m.Written)
		if p.Reached == repartition.NoTime {
			s.Partition(p.Name, repartition.NoTime)
		} else {
			s.Reached(p.Name, p.Reached)
		}
		if p.Idle != 0 {
			s.Idle(p.Name, p.Idle)
		}
	}
	for _, name := range m.Closed {
		t.close(s, name)
		if _, known := t.ended[name]; !known {
			t.fresh = append(t.fresh, name)
		}
		t.ended[name] = m.Written
	}
	if len(m.Exists) > 0 {
		t.forget(s, m.Written)
	}
}

// committed ends the interval, and rolledBack undoes it: what was closed in it
// is not closed yet when its records are applied again, and holds the watermark
// until it is.
func (t *sourceTimes) committed() { t.fresh = t.fresh[:0] }

func (t *sourceTimes) rolledBack() {
	for _, name := range t.fresh {
		delete(t.ended, name)
	}
	t.fresh = t.fresh[:0]
}

// over says that a partition was closed a short while ago: it exists no more,
// whoever lists it, unless it brings something.
func (t *sourceTimes) over(name string, now int64) bool {
	at, ok := t.ended[name]
	return ok && now-at <= int64(forgetSourceAfter)
}

func (t *sourceTimes) close(s *alerting.Stage, name string) {
	s.Closed(name)
	delete(t.lives, name)
	delete(t.seen, name)
}

// forget closes partitions that no list has had for long.
func (t *sourceTimes) forget(s *alerting.Stage, now int64) {
	if t.lists == 0 || now-t.last > 2*int64(existsEvery) {
		t.lists = now // nobody could be seen meanwhile
	}
	t.last = max(t.last, now)
	maps.DeleteFunc(t.ended, func(_ string, at int64) bool { return now-at > int64(forgetSourceAfter) })
	for _, name := range s.Partitions() {
		if last := max(t.seen[name], t.lists); now-last > int64(forgetSourceAfter) {
			t.close(s, name)
		}
	}
}

// live says that every source partition is read to its end, as far as its
// reader last said.
func (t *sourceTimes) live(s *alerting.Stage) bool {
	names := s.Partitions()
	for _, name := range names {
		if !t.lives[name] {
			return false
		}
	}
	return len(names) > 0
}
