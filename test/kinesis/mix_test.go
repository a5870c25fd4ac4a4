//go:build unix

package kinesis

import (
	"fmt"
	"math/rand/v2"

	"github.com/trailtide/trailtide/bench/traffic"
	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
	"github.com/trailtide/trailtide/test/chaos"
)

// mixer puts events into records of all forms: raw, CloudWatch Logs
// subscriptions, EventBridge, aggregated by the KPL.
type mixer struct {
	r   *rand.Rand
	put func(key string, data []byte) error
}

// write puts each event under the key of its partition, in order. Closing ones
// are left out. Keys share shards: what comes after a pause that is longer than
// events may be late is put after all that comes before it.
func (m *mixer) write(records []chaos.Record) error {
	for len(records) > 0 {
		n := 1
		for n < len(records) && !records[n].Leap {
			n++
		}
		if err := m.part(records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

func (m *mixer) part(records []chaos.Record) error {
	runs := make(map[int][]chaos.Record)
	var order []int
	for _, r := range records {
		if r.Closing {
			continue
		}
		if runs[r.Partition] == nil {
			order = append(order, r.Partition)
		}
		runs[r.Partition] = append(runs[r.Partition], r)
	}
	for _, p := range order {
		for run := runs[p]; len(run) > 0; {
			n := 1 + m.r.IntN(len(run))
			if err := m.some(fmt.Sprintf("key-%d", p), run[:n]); err != nil {
				return err
			}
			run = run[n:]
		}
	}
	return nil
}

// some writes events of one key in one form.
func (m *mixer) some(key string, events []chaos.Record) error {
	form := m.r.IntN(5)
	var values [][]byte
	for _, e := range events {
		values = append(values, e.Value)
		if e.Broken {
			form = form % 2 * 3 // raw or aggregated: an envelope of something broken is another one
		}
	}
	logs, err := traffic.Subscription(values, "111122223333", "trail", "all")
	if err != nil {
		return err
	}
	var users []kinesistest.UserRecord
	switch form {
	case 0:
		return m.each(key, values)
	case 1:
		return m.put(key, logs)
	case 2:
		for i, v := range values {
			values[i] = traffic.EventBridge(v)
		}
		return m.each(key, values)
	case 3:
		for _, v := range values {
			users = append(users, kinesistest.UserRecord{Key: key, Data: v})
		}
	case 4: // one of them once more
		users = append(users, kinesistest.UserRecord{Key: key, Data: logs}, kinesistest.UserRecord{Key: key, Data: values[len(values)-1]})
	}
	return m.put(key, kinesistest.Aggregate(users...))
}

func (m *mixer) each(key string, values [][]byte) error {
	for _, v := range values {
		if err := m.put(key, v); err != nil {
			return err
		}
	}
	return nil
}
