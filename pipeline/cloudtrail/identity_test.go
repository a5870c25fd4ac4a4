package cloudtrail

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

func identity(doc string) Identity {
	e := new(Event)
	e.Reset([]byte(doc))
	return e.Identity()
}

// Identities are stored, so the formula may never change.
func TestIdentityIsForGood(t *testing.T) {
	got := hex.EncodeToString(func() []byte { id := identity(consoleLogin); return id[:] }())
	if want := "b6652529bb4ed90ef17c936980c48ab7"; got != want {
		t.Errorf("identity %s, want %s", got, want)
	}
}

func TestIdentity(t *testing.T) {
	base := identity(`{"eventID":"i","recipientAccountId":"1","eventName":"A","eventTime":"t"}`)
	for doc, same := range map[string]bool{
		`{"eventTime":"t","eventName":"A","recipientAccountId":"1","eventID":"i","other":1}`:     true,
		`{"eventID":"\u0069","recipientAccountId":"1","eventName":"A","eventTime":"t"}`:          true,
		`{"eventID":"i","recipientAccountId":"1","eventName":"A","eventTime":"t","eventID":"j"}`: true,
		`{"eventID":"j","recipientAccountId":"1","eventName":"A","eventTime":"t"}`:               false,
		`{"eventID":"i","recipientAccountId":"2","eventName":"A","eventTime":"t"}`:               false,
		`{"eventID":"i","recipientAccountId":1,"eventName":"A","eventTime":"t"}`:                 false,
		`{"eventID":"i","recipientAccountId":"1","eventName":"B","eventTime":"t"}`:               false,
		`{"eventID":"i","recipientAccountId":"1","eventName":"A","eventTime":"u"}`:               false,
		`{"eventID":"i","recipientAccountId":"1A","eventName":"","eventTime":"t"}`:               false,
	} {
		if (identity(doc) == base) != same {
			t.Errorf("identity of %s: same %v, want %v", doc, !same, same)
		}
	}
	absent := identity(`{"eventID":"i","eventName":"A","eventTime":"t"}`)
	for _, doc := range []string{
		`{"eventID":"i","recipientAccountId":"","eventName":"A","eventTime":"t"}`,
		`{"eventID":"i","recipientAccountId":null,"eventName":"A","eventTime":"t"}`,
	} {
		if identity(doc) == absent {
			t.Errorf("%s is taken for one without recipientAccountId", doc)
		}
	}
	for _, doc := range []string{`{"eventID":7,"eventName":"A"}`, `{"eventName":"A"}`, `{"eventID":"i","eventName":"A","x"}`} {
		sum := sha256.Sum256([]byte(doc))
		if identity(doc) != Identity(sum[:16]) {
			t.Errorf("identity of %s is not the hash of its bytes", doc)
		}
	}
}

func TestSum(t *testing.T) {
	sum := func(doc string) uint32 {
		e := new(Event)
		e.Reset([]byte(doc))
		return e.Sum()
	}
	one, again, two := sum(`{"a":1}`), sum(`{"a":1}`), sum(`{"a":2}`)
	if one != again || one == two {
		t.Error("Sum does not tell bytes apart")
	}
}
