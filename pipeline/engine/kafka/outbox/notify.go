package outbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// notifyVersion is the format that this program writes into the notify topic;
// it reads no later one.
const notifyVersion = 1

// errNewer says that a newer version of the program has written the notify
// state of a sink: this one must not go on with it.
var errNewer = errors.New("the notify state is of a newer version of trailtide")

// progress is what a sink knows of a partition of the alerts topic. Of the
// records from place to next, those in open are not done; everything else there
// is delivered, not for this sink, or in the dead letter. Nothing is known of
// next and what comes after it.
type progress struct {
	place, next int64
	open        []attempt // ascending offsets
}

// attempt is an alert that is not done.
type attempt struct {
	offset           int64
	attempts, single int
	first            time.Time // zero: none yet; kept in milliseconds
}

// notifyKey is the key of a sink and a partition in the notify topic.
func notifyKey(sink string, partition int32) string {
	return sink + "/" + strconv.Itoa(int(partition))
}

// find returns what is known of an offset. done: it is not to be delivered.
func (p *progress) find(offset int64) (a *attempt, done bool) {
	if p == nil || offset >= p.next {
		return nil, false
	}
	for i := range p.open {
		if p.open[i].offset == offset {
			return &p.open[i], false
		}
	}
	return nil, true
}

// notifyWire is a progress as JSON. An open alert is [offset, attempts, single,
// first attempt in Unix milliseconds].
type notifyWire struct {
	V     int        `json:"v"`
	Place int64      `json:"place"`
	Next  int64      `json:"next"`
	Open  [][4]int64 `json:"open,omitempty"`
}

func (p *progress) encode() []byte {
	w := notifyWire{V: notifyVersion, Place: p.place, Next: p.next}
	for _, a := range p.open {
		var first int64
		if !a.first.IsZero() {
			first = a.first.UnixMilli()
		}
		w.Open = append(w.Open, [4]int64{a.offset, int64(a.attempts), int64(a.single), first})
	}
	b, err := json.Marshal(&w)
	if err != nil {
		panic("numbers are JSON: " + err.Error())
	}
	return b
}

func parseProgress(b []byte) (*progress, error) {
	var w notifyWire
	if err := json.Unmarshal(b, &w); err != nil {
		return nil, fmt.Errorf("read notify state: %w", err)
	}
	if w.V > notifyVersion {
		return nil, fmt.Errorf("%w: version %d, this program knows up to %d", errNewer, w.V, notifyVersion)
	}
	if w.V < 1 || w.Place < 0 || w.Next < w.Place {
		return nil, fmt.Errorf("read notify state: version %d from %d to %d", w.V, w.Place, w.Next)
	}
	p := &progress{place: w.Place, next: w.Next}
	last := w.Place - 1
	for _, o := range w.Open {
		if o[0] <= last || o[0] >= w.Next || !small(o[1]) || !small(o[2]) || o[3] < 0 {
			return nil, fmt.Errorf("read notify state: an open alert %v between %d and %d", o, w.Place, w.Next)
		}
		last = o[0]
		a := attempt{offset: o[0], attempts: int(o[1]), single: int(o[2])}
		if o[3] > 0 {
			a.first = time.UnixMilli(o[3]).UTC()
		}
		p.open = append(p.open, a)
	}
	return p, nil
}

func small(n int64) bool { return n >= 0 && n < 1<<31 }
