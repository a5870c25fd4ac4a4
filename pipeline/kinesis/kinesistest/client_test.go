package kinesistest

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// Answers that begin before the request's end was noticed are read whole.
func TestLargeAnswers(t *testing.T) {
	b := newBench(t, Options{})
	for range 1000 {
		b.Put("a", "k", make([]byte, 1500))
	}
	b.Client = kinesis.NewFromConfig(b.PlainConfig())
	it := b.horizon(t)
	for i := range 100 {
		if out, err := b.get(it); err != nil || len(out.Records) != 1000 {
			t.Fatalf("read %d: %v", i, err)
		}
	}
}
