package outbox

import (
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"
)

// tooLarge says that a record is more than the producer or the broker takes. It
// will not do to try that again.
func tooLarge(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge)
}

// shorten takes the alert out of the largest of the letters that are to be
// written, and out of those that are not much smaller: which of them was too
// large, and how large it may be, nobody tells. false: there is none to take out.
func (c *consumer) shorten(p *partition, letters []letter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	largest := 0
	for _, l := range slices.Concat(p.letters, letters) {
		largest = max(largest, len(l.Alert))
	}
	if largest == 0 {
		return false
	}
	for _, list := range [][]letter{p.letters, letters} {
		for i := range list {
			l := &list[i]
			size := len(l.Alert)
			if size < (largest+1)/2 {
				continue
			}
			l.Alert = nil
			l.Reason += fmt.Sprintf(" (the alert, %d bytes, is left out: too large for a dead letter)", size)
			c.log.Warn("a dead letter is too large and goes without its alert",
				zap.String("alert_id", l.AlertID), zap.Int32("partition", p.id), zap.Int("bytes", size))
		}
	}
	return true
}
