package cloudtrail

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// consoleLogin is an event in the key order that CloudTrail writes.
const consoleLogin = `{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","principalId":"AIDAEXAMPLEALICE","arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333","accessKeyId":"","userName":"alice"},"eventTime":"2026-03-04T05:06:07Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","awsRegion":"eu-central-1","sourceIPAddress":"198.51.100.7","userAgent":"Mozilla/5.0 (X11; Linux x86_64) \"quoted\" caf\u00e9","requestParameters":null,"responseElements":{"ConsoleLogin":"Failure"},"additionalEventData":{"LoginTo":"https://console.aws.amazon.com/console/home","MobileVersion":"No","MFAUsed":"No"},"eventID":"6d9e9d3c-0000-4000-8000-000000000001","readOnly":false,"eventType":"AwsConsoleSignIn","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"signin.aws.amazon.com"}}`

// event returns a small event of that name.
func event(name string) string {
	return fmt.Sprintf(`{"eventVersion":"1.08","eventSource":"iam.amazonaws.com","eventName":%q,"requestParameters":{"a":[1,{"b":"}{"}]}}`, name)
}

func gzipOf(t testing.TB, parts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, p := range parts {
		w := gzip.NewWriter(&b)
		if _, err := w.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func zstdOf(t testing.TB, p string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll([]byte(p), nil)
}

// subscription returns a CloudWatch Logs message with the given texts.
func subscription(messages ...string) string {
	type logEvent struct {
		ID        string `json:"id"`
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	}
	m := struct {
		MessageType string     `json:"messageType"`
		Owner       string     `json:"owner"`
		LogGroup    string     `json:"logGroup"`
		LogStream   string     `json:"logStream"`
		Filters     []string   `json:"subscriptionFilters"`
		LogEvents   []logEvent `json:"logEvents"`
	}{"DATA_MESSAGE", "111122223333", "trail", "111122223333_CloudTrail_eu-central-1", []string{"all"}, nil}
	for i, text := range messages {
		m.LogEvents = append(m.LogEvents, logEvent{fmt.Sprint(i), 1772600767000, text})
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}
