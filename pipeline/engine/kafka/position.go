package kafka

import "github.com/twmb/franz-go/pkg/kgo"

// ParsePositionRecord reads the position of a record that PositionRecord made.
// It points into the record.
func ParsePositionRecord(r *kgo.Record) ([]byte, error) { return unversion(r.Topic, r.Value) }
