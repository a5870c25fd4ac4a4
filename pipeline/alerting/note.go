package alerting

import (
	"bytes"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// note is what a stage's caller keeps with the state. It means nothing to the
// stage.
type note struct {
	value, kept []byte
	changed     bool
}

func (n *note) load(value []byte) {
	n.value = bytes.Clone(value)
	n.kept = n.value
}

func (n *note) flush(txn engine.Txn) {
	if n.changed {
		txn.Put(engine.Meta, []byte(metaNote), n.value)
	}
}

func (n *note) commit() { n.kept, n.changed = n.value, false }

func (n *note) rollback() { n.value, n.changed = n.kept, false }

// Note is what SetNote kept with the state; nil: nothing yet.
func (s *Stage) Note() []byte { return s.note.value }

// SetNote keeps b, which must not be changed any more, with the state as of the
// open interval.
func (s *Stage) SetNote(b []byte) { s.note.value, s.note.changed = b, true }
