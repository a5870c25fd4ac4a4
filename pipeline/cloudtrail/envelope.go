package cloudtrail

// Limits bound what a payload may grow to.
type Limits struct {
	MaxInflated int // bytes a compressed payload may inflate to; default 256 MiB
	MaxEvent    int // bytes of one event; default 1 MiB
	MaxDepth    int // nesting of one event; default 64
}

// ItemKind says what an unwrapped item is.
type ItemKind uint8

// The kinds of item.
const (
	ItemEvent   ItemKind = iota // Raw is one event
	ItemSkipped                 // a control message or a digest file: records_skipped
	ItemInvalid                 // Reason says why; Raw is what there is of it, perhaps cut
)

// Item is one thing found in a payload.
type Item struct {
	Kind    ItemKind
	Raw     []byte // borrowed: valid until emit returns
	Index   int    // place in the envelope, from 0
	Wrapped bool   // Raw came out of an envelope with more than one place (Index counts)
	Reason  string // why it is skipped or invalid, for people
}

// Unwrapper finds the events in payloads. One goroutine owns it.
type Unwrapper struct {
	limits Limits
}

// NewUnwrapper returns an Unwrapper; zero limits are the defaults.
func NewUnwrapper(l Limits) *Unwrapper { return &Unwrapper{limits: l} }

// Unwrap calls emit for each item of the payload, in order. ev is reset to
// each event before its emit, so that what the unwrapper had to scan to
// recognise the event is not scanned again.
func (u *Unwrapper) Unwrap(payload []byte, ev *Event, emit func(Item)) {}
