package kafka

// ownership is one stay of a partition with this worker, from an assignment to
// the loss after it. What was read in one stay is never committed in another:
// in between, somebody else may have read and committed the same records.
type ownership struct {
	owner      uint64 // number of the stay in this process, from 1; 0: not shared
	member     string // of the group, and its generation, when the stay was last known to go on
	generation int32
	begun      bool  // the client knows where to read
	dropped    bool  // the client reads it no more, and must be made to begin again
	handed     int64 // where reading goes on after what was handed out; 0: nothing was
	durable    int64 // where it goes on after what is durable
}

func (o *ownership) hand(offset int64) { o.handed = offset }

// settled says that everything that was handed out is durable. A log that went
// back makes handed smaller: so it is not enough to have come past it.
func (o *ownership) settled() bool { return o.handed == 0 || o.durable == o.handed }

// goesOn says whether the stay is still the same for this membership: nobody
// else can have had the partition since. A dynamic member that misses a
// rebalance is put out and gets another ID. A static one stays in the group,
// with claims that the others need not respect: it must have taken part in every
// rebalance, each of which raises the generation by one.
func (o *ownership) goesOn(member string, generation int32, static bool) bool {
	return member != "" && generation >= 0 && member == o.member && (!static || generation <= o.generation+1)
}
