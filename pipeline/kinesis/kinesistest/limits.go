package kinesistest

import "time"

// Limits are a shard's throughput. Zero fields are unlimited.
type Limits struct {
	Reads        int // GetRecords a second: 5 on AWS
	ReadBytes    int // bytes a second by GetRecords: 2 MiB on AWS
	WriteRecords int // records a second: 1000 on AWS
	WriteBytes   int // bytes a second: 1 MiB on AWS
}

// AWSLimits are those of the service.
func AWSLimits() Limits {
	return Limits{Reads: 5, ReadBytes: 2 << 20, WriteRecords: 1000, WriteBytes: 1 << 20}
}

// SetLimits changes the limits of all shards from now on.
func (s *Server) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
}

// meter counts calls and bytes. Calls are counted by the second; bytes that
// were passed on are owed, and paid back with time: while a second's worth is
// owed, nothing more passes.
type meter struct {
	second int64
	calls  int
	owed   float64
	paid   time.Time
}

// allow says whether another call may pass, and counts it.
func (m *meter) allow(now time.Time, calls, n, bytes int) bool {
	if m.paid.IsZero() {
		m.paid = now
	}
	if bytes > 0 {
		m.owed = max(0, m.owed-now.Sub(m.paid).Seconds()*float64(bytes))
		m.paid = now
		if m.owed >= float64(bytes) {
			return false
		}
	}
	if second := now.Unix(); second != m.second {
		m.second, m.calls = second, 0
	}
	if calls > 0 && m.calls+n > calls {
		return false
	}
	m.calls += n
	return true
}

// charge counts bytes that passed.
func (m *meter) charge(passed, bytes int) {
	if bytes > 0 {
		m.owed += float64(passed)
	}
}
