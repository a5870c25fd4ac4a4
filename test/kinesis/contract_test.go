//go:build unix

// Package kinesis holds what runs against Kinesis servers that are not ours.
package kinesis

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
	"github.com/trailtide/trailtide/test/kinesispeers"
)

// The contract that the double keeps is kept by independent servers, too.
func TestContractKinesalite(t *testing.T) {
	kinesispeers.Need(t)
	client := kinesis.NewFromConfig(kinesispeers.Config(kinesispeers.Kinesalite(t)))
	kinesistest.Contract(t, func(*testing.T) kinesistest.Target {
		return kinesistest.Target{Client: client, Lacks: kinesistest.Lacks{
			StreamARN: true, ChildShards: true, ShardCount: true, StreamMode: true, FanOut: true, Behind: true,
			LateTimestamp: true, ListPages: true, Filters: true, ClosedCheck: true, Oversize: true,
		}}
	})
}

func TestContractKinesisLocal(t *testing.T) {
	kinesispeers.Need(t)
	client := kinesis.NewFromConfig(kinesispeers.Config(kinesispeers.KinesisLocal(t)))
	kinesistest.Contract(t, func(*testing.T) kinesistest.Target {
		return kinesistest.Target{Client: client, Lacks: kinesistest.Lacks{
			Refusal: true, End: true, IteratorErrors: true, SequenceCheck: true, TrimHorizon: true, Oversize: true,
		}}
	})
}
