// Package kafka writes alerts to a Kafka topic: the value is the alert as JSON,
// the key its alert ID, so that all states of one alert stand in one partition
// in their order. The headers alert_id, rule_id, severity and status let a
// reader choose without parsing.
package kafka

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// Options of the sink.
type Options struct {
	client.Options `yaml:",inline"`
	// Topic to write to. It must exist, or the cluster must create it.
	Topic string `yaml:"topic"`
	// Compression is one of none, gzip, snappy, lz4, zstd. Default snappy, which
	// every broker and client knows.
	Compression string `yaml:"compression"`
	// Timeout bounds one Write. Default 30 s.
	Timeout time.Duration `yaml:"timeout"`
	// MaxBytes is the cluster's max.message.bytes for the topic. Default
	// 1,000,000. An alert that is larger goes out without its raw events.
	MaxBytes int `yaml:"max_bytes"`
	// Extra client options, for tests.
	Extra []kgo.Opt `yaml:"-"`
}

// Validate reports every problem at once. It opens no file and no connection.
func (o *Options) Validate() error {
	errs := []error{o.Options.Validate()}
	if o.Topic == "" {
		errs = append(errs, errors.New("topic: is needed"))
	}
	if _, err := codec(o.Compression); err != nil {
		errs = append(errs, err)
	}
	if o.Timeout < 0 {
		errs = append(errs, errors.New("timeout: must not be negative"))
	}
	if o.MaxBytes != 0 && (o.MaxBytes < 10_000 || o.MaxBytes > 1<<30) {
		errs = append(errs, errors.New("max_bytes: must lie between 10,000 and 1 GiB"))
	}
	return errors.Join(errs...)
}

func codec(name string) (kgo.CompressionCodec, error) {
	switch name {
	case "", "snappy":
		return kgo.SnappyCompression(), nil
	case "none":
		return kgo.NoCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	}
	return kgo.NoCompression(), fmt.Errorf("compression: %q is not one of none, gzip, snappy, lz4, zstd", name)
}
