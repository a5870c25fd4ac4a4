package window

// Seen remembers the identities of plain alerts.
type Seen struct{}

// NewSeen makes a Seen that holds at most limit identities (0: 1,000,000).
func NewSeen(limit int) *Seen { return &Seen{} }

// Observe remembers id until event time has passed forgetAt.
func (s *Seen) Observe(id ID, sum uint32, forgetAt int64) Outcome { return Counted }

// Advance forgets what has expired.
func (s *Seen) Advance(watermark int64) {}

// Dirty calls fn for every identity changed in this interval; state nil: it is gone.
func (s *Seen) Dirty(fn func(key, state []byte)) {}

// Commit ends the interval and keeps it.
func (s *Seen) Commit() {}

// Rollback ends the interval and undoes it.
func (s *Seen) Rollback() {}

// Load restores one identity.
func (s *Seen) Load(key, state []byte) error { return nil }

// Len is how many identities there are.
func (s *Seen) Len() int { return 0 }

// Overflowed counts the identities forgotten before their time.
func (s *Seen) Overflowed() int64 { return 0 }
