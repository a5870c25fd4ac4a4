package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/trailtide/trailtide/sinks"
)

// sign returns the timestamp and the signatures of a body: for each secret
// "v1=" and the HMAC-SHA256 of timestamp, dot and body, in hex.
func sign(secrets []sinks.Secret, at time.Time, body []byte) (timestamp, signature string) {
	timestamp = strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret.Reveal()))
		mac.Write([]byte(timestamp + "."))
		mac.Write(body)
		signatures[i] = "v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	return timestamp, strings.Join(signatures, ", ")
}

// idempotencyKey names what a request tells: the same for each attempt, and
// another one for each state of an alert.
func idempotencyKey(alerts []*sinks.Alert) string {
	if len(alerts) == 1 {
		return alerts[0].AlertID + "-" + string(alerts[0].Status) + "-" + stateSum(alerts[0])[:16]
	}
	sum := sha256.New()
	for _, a := range alerts {
		sum.Write([]byte(a.AlertID + stateSum(a)))
	}
	return "batch-" + hex.EncodeToString(sum.Sum(nil)[:16])
}

// stateSum covers what makes two notifications of one alert different, and not
// detected_at, which a repeated commit would change.
func stateSum(a *sinks.Alert) string {
	state := sinks.Alert{
		AlertID: a.AlertID, Status: a.Status, FirstTime: a.FirstTime, LastTime: a.LastTime, Count: a.Count,
		CountCapped: a.CountCapped, Distinct: a.Distinct, MergedInto: a.MergedInto, Resolution: a.Resolution,
	}
	sum := sha256.Sum256(state.AppendJSON(nil))
	return hex.EncodeToString(sum[:])
}
