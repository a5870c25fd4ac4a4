package kinesistest

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// The double keeps the contract over HTTP/2, where changes are done at once.
func TestContract(t *testing.T) {
	s := start(t, Options{ResubscribeAfter: time.Second, Heartbeat: 10 * time.Millisecond})
	Contract(t, func(*testing.T) Target { return Target{Client: kinesis.NewFromConfig(s.Config())} })
}

// It does so over plain HTTP/1.1, and where streams take their time to change.
func TestContractPlainAndSlow(t *testing.T) {
	s := start(t, Options{ResubscribeAfter: time.Second, StatusDelay: 30 * time.Millisecond})
	Contract(t, func(*testing.T) Target { return Target{Client: kinesis.NewFromConfig(s.PlainConfig())} })
}
