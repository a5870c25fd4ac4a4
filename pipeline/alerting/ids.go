package alerting

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/cespare/xxhash/v2"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
	"github.com/trailtide/trailtide/window"
)

// alertID is 128 bits of SHA-256 over length-prefixed parts.
type alertID [16]byte

func (id alertID) String() string { return hex.EncodeToString(id[:]) }

func newAlertID(kind byte, parts ...[]byte) alertID {
	var scratch [256]byte
	buf := append(scratch[:0], kind)
	for _, p := range parts {
		buf = binary.AppendUvarint(buf, uint64(len(p)))
		buf = append(buf, p...)
	}
	sum := sha256.Sum256(buf)
	return alertID(sum[:16])
}

// plainID is a function of rule and identity: the same on every machine and in
// every replay.
func plainID(ruleID string, id cloudtrail.Identity) alertID {
	return newAlertID('p', []byte(ruleID), id[:])
}

// thresholdID is a function of rule, key and the earliest event when the
// episode fired. That there is one and not two comes from the commit.
func thresholdID(ruleID string, groupKey []byte, serial window.ID) alertID {
	return newAlertID('t', []byte(ruleID), groupKey, serial[:])
}

// A window key is the rule's hash followed by the group-by key.
const hashLen = 8

func appendWindowKey(dst []byte, ruleHash uint64, groupKey []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, ruleHash)
	return append(dst, groupKey...)
}

func splitWindowKey(key []byte) (ruleHash uint64, groupKey []byte, ok bool) {
	if len(key) < hashLen {
		return 0, nil, false
	}
	return binary.BigEndian.Uint64(key), key[hashLen:], true
}

// evidenceKey names an event's evidence under one window key. The identity
// alone decides the content, so that a collision of the hash does no harm.
func evidenceKey(windowKey []byte, id window.ID) []byte {
	k := make([]byte, 0, 8+len(id))
	k = binary.BigEndian.AppendUint64(k, xxhash.Sum64(windowKey))
	return append(k, id[:]...)
}
