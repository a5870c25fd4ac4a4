package kinesistest

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// The double keeps the contract, over HTTP/2 and over plain HTTP/1.1, and with
// streams that take their time to change.
func TestContract(t *testing.T) {
	for name, opts := range map[string]Options{
		"At once": {ResubscribeAfter: 200 * time.Millisecond, Heartbeat: 10 * time.Millisecond},
		"Delayed": {ResubscribeAfter: 200 * time.Millisecond, StatusDelay: 30 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, opts)
			t.Run("TLS", func(t *testing.T) {
				Contract(t, func(*testing.T) Target { return Target{Client: kinesis.NewFromConfig(s.Config())} })
			})
			t.Run("Plain", func(t *testing.T) {
				Contract(t, func(*testing.T) Target { return Target{Client: kinesis.NewFromConfig(s.PlainConfig())} })
			})
		})
	}
}
