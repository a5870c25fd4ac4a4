package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/sinktest"
	"github.com/trailtide/trailtide/sinks/webhook"
)

// verify reports whether body was signed with secret within the last minutes.
func verify(secret []byte, h http.Header, body []byte, now time.Time) bool {
	timestamp := h.Get("X-Trailtide-Timestamp")
	sent, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || now.Sub(time.Unix(sent, 0)).Abs() > 5*time.Minute {
		return false // old: somebody may be sending a request again that he saw
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	for signature := range strings.SplitSeq(h.Get("X-Trailtide-Signature"), ",") {
		digits, ok := strings.CutPrefix(strings.TrimSpace(signature), "v1=")
		got, err := hex.DecodeString(digits)
		if ok && err == nil && hmac.Equal(got, want) {
			return true
		}
	}
	return false
}

// A receiver checks the signature before it looks at the body.
func Example_verify() {
	secret := []byte("correct horse battery staple")
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<20))
		if err != nil || !verify(secret, r.Header, body, time.Now()) {
			fmt.Println("refused")
			http.Error(w, "bad signature", http.StatusUnauthorized)
			return
		}
		alert, err := sinks.ParseAlert(body)
		if err != nil {
			http.Error(w, "not an alert", http.StatusBadRequest)
			return
		}
		fmt.Println("alert", alert.AlertID, "of", alert.RuleID)
		fmt.Println("an hour later:", verify(secret, r.Header, body, time.Now().Add(time.Hour)))
		fmt.Println("changed:", verify(secret, r.Header, append(body, ' '), time.Now()))
	}))
	defer receiver.Close()

	for _, key := range []sinks.Secret{"correct horse battery staple", "wrong"} {
		sink, err := webhook.New(webhook.Options{URL: sinks.Secret(receiver.URL), Secrets: []sinks.Secret{"next", key}})
		if err != nil {
			fmt.Println(err)
			return
		}
		err = sink.Write(context.Background(), sinktest.Alerts(7, 8))
		fmt.Println("delivered:", err == nil, "permanent:", sinks.IsPermanent(err))
		_ = sink.Close(context.Background()) // nothing is under way
	}
	// Output:
	// alert 00000000000000000000000000000007 of console-login
	// an hour later: false
	// changed: false
	// delivered: true permanent: false
	// refused
	// delivered: false permanent: true
}
