package traffic

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/klauspost/compress/gzip"
)

// RecordsFile wraps events as CloudTrail writes them to S3: {"Records":[…]},
// compressed with gzip.
func RecordsFile(events [][]byte) ([]byte, error) {
	return zip(func(b []byte) []byte {
		b = append(b, `{"Records":[`...)
		b = append(b, bytes.Join(events, []byte{','})...)
		return append(b, "]}"...)
	})
}

// Subscription wraps events as a CloudWatch Logs subscription delivers them,
// compressed with gzip.
// Semantics: CloudWatch Logs user guide, "Real-time processing of log data with subscriptions".
func Subscription(events [][]byte, account, group, stream string) ([]byte, error) {
	return zip(func(b []byte) []byte {
		b = fmt.Appendf(b, `{"messageType":"DATA_MESSAGE","owner":%q,"logGroup":%q,"logStream":%q,"subscriptionFilters":["all"],"logEvents":[`, account, group, stream)
		for i, e := range events {
			if i > 0 {
				b = append(b, ',')
			}
			b = fmt.Appendf(b, `{"id":"%056d","timestamp":%d,"message":`, i, 1_700_000_000_000+i)
			b = appendQuoted(b, e)
			b = append(b, '}')
		}
		return append(b, "]}"...)
	})
}

// EventBridge wraps an event as EventBridge delivers it.
// Semantics: EventBridge user guide, "AWS service events delivered via AWS CloudTrail".
func EventBridge(event []byte) []byte {
	kind := "AWS API Call via CloudTrail"
	if field(event, "eventType") == "AwsConsoleSignIn" {
		kind = "AWS Console Sign In via CloudTrail"
	}
	source, _, _ := bytes.Cut([]byte(field(event, "eventSource")), []byte{'.'})
	b := fmt.Appendf(nil, `{"version":"0","id":%q,"detail-type":%q,"source":"aws.%s","account":%q,"time":%q,"region":%q,"resources":[],"detail":`,
		field(event, "requestID"), kind, source, field(event, "recipientAccountId"), field(event, "eventTime"), field(event, "awsRegion"))
	b = append(b, event...)
	return append(b, '}')
}

// field is the first string under that key in an event of this package.
func field(event []byte, key string) string {
	_, rest, ok := bytes.Cut(event, []byte(strconv.Quote(key)+`:"`))
	if !ok {
		return ""
	}
	v, _, _ := bytes.Cut(rest, []byte{'"'})
	return string(v)
}

// appendQuoted appends text without control characters as a JSON string.
func appendQuoted(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

func zip(fill func([]byte) []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if _, err := w.Write(fill(nil)); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return out.Bytes(), nil
}
