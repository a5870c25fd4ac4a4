package cloudtrail

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Identity is (eventID, recipientAccountId, eventName, eventTime) as 128 bits
// of SHA-256; without an eventID it is a hash of the event's bytes.
type Identity [16]byte

// Identity returns the event's identity: the first half of SHA-256 over the
// four values, each as its kind (one byte), its length (eight bytes, big
// endian) and its text, unescaped where it is a string. Where eventID is not a
// string, or the event is broken before one of the four, it is the first half
// of SHA-256 over the event's bytes. Identities are stored: the formula is for
// good.
func (e *Event) Identity() Identity {
	e.plainly()
	var sum [sha256.Size]byte
	if b, ok := e.appendIdentity(make([]byte, 0, 256)); ok {
		sum = sha256.Sum256(b)
	} else {
		sum = sha256.Sum256(e.raw)
	}
	return Identity(sum[:16])
}

func (e *Event) appendIdentity(b []byte) ([]byte, bool) {
	if e.findField(fieldEventID).kind != String {
		return b, false
	}
	for _, f := range [...]field{fieldEventID, fieldRecipientAccountID, fieldEventName, fieldEventTime} {
		s := e.findField(f)
		var text []byte
		switch s.kind {
		case Broken:
			return b, false
		case Missing:
		default:
			text = e.text(s)
		}
		b = append(b, byte(s.kind))
		b = binary.BigEndian.AppendUint64(b, uint64(len(text)))
		b = append(b, text...)
	}
	return b, true
}

// Sum is a short hash of the event's bytes, to tell two events of one identity
// apart. It is not kept.
func (e *Event) Sum() uint32 {
	e.plainly()
	h := xxhash.Sum64(e.raw)
	return uint32(h) ^ uint32(h>>32)
}
