package cloudtrail

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// unwrap returns the items of a payload as text, one a line: for an event its
// name, index and whether it is wrapped; for others the reason, and Raw if it
// is short.
func unwrap(t testing.TB, u *Unwrapper, payload []byte) []string {
	t.Helper()
	var got []string
	ev := new(Event)
	u.Unwrap(payload, ev, func(it Item) {
		place := ""
		if it.Wrapped {
			place = fmt.Sprint(it.Index, ": ")
		}
		switch it.Kind {
		case ItemEvent:
			if string(ev.Raw()) != string(it.Raw) {
				t.Errorf("ev is at %q, the item at %q", ev.Raw(), it.Raw)
			}
			name := string(ev.Name())
			ev.Reset(it.Raw) // what was kept of the scan must agree with a new one
			if again := string(ev.Name()); again != name {
				t.Errorf("Name %q, scanned anew %q", name, again)
			}
			if name == "" {
				name = string(it.Raw)
			}
			got = append(got, place+name)
		case ItemSkipped:
			got = append(got, place+"skipped, "+it.Reason)
		case ItemInvalid:
			got = append(got, place+"invalid, "+it.Reason)
		}
		if (it.Reason == "") != (it.Kind == ItemEvent) {
			t.Errorf("kind %d with reason %q", it.Kind, it.Reason)
		}
	})
	return got
}

func TestUnwrap(t *testing.T) {
	a, b, c := event("A"), event("B"), event("C")
	bridge := func(kind, detail string) string {
		return fmt.Sprintf(`{"version":"0","id":"1","detail-type":%s,"source":"aws.iam","account":"111122223333","time":"2026-03-04T05:06:07Z","region":"us-east-1","resources":[],"detail":%s}`, kind, detail)
	}
	const api = `"AWS API Call via CloudTrail"`
	const insight = `{"eventVersion":"1.07","eventTime":"2026-03-04T05:06:07Z","insightDetails":{"state":"Start","eventName":"RunInstances"}}`
	tests := []struct {
		name, payload string
		want          []string
	}{
		// Raw events.
		{"usual event", consoleLogin, []string{"ConsoleLogin"}},
		{"white space and a byte order mark", "\xef\xbb\xbf \r\n" + consoleLogin + "\n\n", []string{"ConsoleLogin"}},
		{"alphabetical", `{"awsRegion":"r","eventName":"A","eventSource":"s3.amazonaws.com"}`, []string{"A"}},
		{"source alone", `{"x":{},"eventSource":"s3.amazonaws.com"}`, []string{`{"x":{},"eventSource":"s3.amazonaws.com"}`}},
		{"unusual source", `{"eventSource":"aws.example"}`, []string{`{"eventSource":"aws.example"}`}},
		{"insight", insight, []string{insight}},
		{"pretty", "{\n \"userIdentity\": {\n  \"type\": \"Root\"\n },\n \"resources\": [ {} , {}\n ],\n \"eventName\": \"A\"\n}\n", []string{"A"}},
		{"policy in a string", `{"eventName":"A","p":"{\"Statement\":[{\"x\":1}]}","q":"}{ } x"}`, []string{"A"}},
		{"key with escapes", `{"\u0065ventName":"A"}`, []string{"A"}},
		{"not UTF-8", "{\"eventName\":\"A\",\"x\":\"\xff\"}", []string{"A"}},
		{"name is a number", `{"eventVersion":"1","eventName":1,"eventName":"A"}`, []string{"invalid, not a CloudTrail event"}},
		{"other object", `{"level":"info","msg":"hello"}`, []string{"invalid, not a CloudTrail event"}},
		{"empty object", `{}`, []string{"invalid, not a CloudTrail event"}},
		{"record keys hide envelope keys", `{"eventVersion":"1","Records":[` + a + `],"eventName":"X"}`, []string{"X"}},

		// Broken payloads.
		{"empty", "", []string{"invalid, empty payload"}},
		{"blank", " \n\t", []string{"invalid, empty payload"}},
		{"text", "hello", []string{"0: invalid, not a JSON object"}},
		{"number", "17", []string{"0: invalid, not a JSON object"}},
		{"cut", consoleLogin[:len(consoleLogin)-2], []string{"invalid, not JSON: unexpected end"}},
		{"cut at a brace, which only a parse finds", consoleLogin[:len(consoleLogin)-1], []string{"ConsoleLogin"}},
		{"cut in a string", consoleLogin[:100], []string{"invalid, not JSON: unexpected end"}},
		{"brace alone", "{", []string{"invalid, not JSON: unexpected end"}},
		{"fault before the name", `{"a":tru,"eventName":"A"}`, []string{"invalid, not JSON: no value after a key"}},
		{"too deep", `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `,"eventName":"A"}`, []string{"invalid, nests too deep: more than 64 levels"}},
		{"garbage behind", a + " garbage", []string{"0: invalid, not JSON: bytes after the object"}},

		// Several.
		{"lines", a + "\n" + b + "\r\n\n" + c + "\n", []string{"0: A", "1: B", "2: C"}},
		{"one after the other", a + b + " " + c, []string{"0: A", "1: B", "2: C"}},
		{"a garbage line", a + "\nwhat?\n" + c, []string{"0: A", "1: invalid, not a JSON object", "2: C"}},
		{"garbage first", "what?\n" + c, []string{"0: invalid, not a JSON object", "1: C"}},
		{"garbage behind one", a + "\n" + b + " x\n" + c, []string{"0: A", "1: invalid, not JSON: bytes after the object", "2: C"}},
		{"a line that was cut in a string", a + "\n" + b[:len(b)-30] + "\n" + c, []string{"0: A", "1: invalid, not JSON: unexpected end", "2: C"}},
		{"a line that was cut in an object", a[:strings.Index(a, "1.08")-2] + "\n" + b + "\n" + c, []string{"0: invalid, not JSON: unexpected end", "1: B", "2: C"}},
		{"pretty lines", "{\n\"eventName\":\n\"A\"}\n{\n\"eventName\":\"B\"\n}", []string{"0: A", "1: B"}},
		{"null lines", "null\n" + a, []string{"0: invalid, not a JSON object", "1: A"}},

		// Records.
		{"file", `{"Records":[` + a + "," + b + `]}`, []string{"0: A", "1: B"}},
		{"pretty file", "{\n \"Records\" : [ " + a + " ,\n " + b + "\n ]\n}", []string{"0: A", "1: B"}},
		{"event a line", "{\"Records\":[\n" + a + ",\n" + b + "\n]}", []string{"0: A", "1: B"}},
		{"other keys around", `{"x":[1],"Records":[` + a + `],"y":{"z":"]"}}`, []string{"0: A"}},
		{"key with escapes", `{"\u0052ecords":[` + a + `]}`, []string{"0: A"}},
		{"two files", `{"Records":[` + a + "]}\n" + `{"Records":[` + b + `]}`, []string{"0: A", "1: B"}},
		{"empty file", `{"Records":[]}`, []string{"0: skipped, an envelope without events"}},
		{"strange elements", `{"Records":[null,` + a + `,17,"x",[` + b + `],{"m":1},` + c + `]}`, []string{
			"0: invalid, an element that is no object", "1: A", "2: invalid, an element that is no object",
			"3: invalid, an element that is no object", "4: invalid, an element that is no object",
			"5: invalid, not a CloudTrail event", "6: C",
		}},
		{"a broken element", `{"Records":[{"a" 1},` + b + `]}`, []string{"0: invalid, not JSON: no colon after a key", "1: B"}},
		{"a deep element", `{"Records":[{"eventName":"X","a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `},` + b + `]}`, []string{"0: invalid, nests too deep: more than 64 levels", "1: B"}},
		{"cut file", `{"Records":[` + a + "," + b[:40], []string{"0: A", "1: invalid, broken in the middle of an array: not JSON: unexpected end"}},
		{"cut behind an event", `{"Records":[` + a, []string{"0: A", "1: invalid, broken in the middle of an array: not JSON: unexpected end"}},
		{"cut before the object's end", `{"Records":[` + a + "]", []string{"0: A", "1: invalid, behind the events: not JSON: unexpected end"}},
		{"cut pretty file", "{\n \"Records\": [\n  " + a + ",\n  {\n   \"eventName\":", []string{"0: A", "1: invalid, broken in the middle of an array: not JSON: unexpected end"}},
		{"no comma", `{"Records":[` + a + b + `]}`, []string{"0: A", "1: invalid, broken in the middle of an array: not JSON: unexpected end"}},
		{"trailing comma", `{"Records":[` + a + `,]}`, []string{"0: A", "1: invalid, broken in the middle of an array: not JSON: unexpected end"}},
		{"broken behind the array", `{"Records":[` + a + `],"x"}`, []string{"0: A", "1: invalid, behind the events: not JSON: no colon after a key"}},
		{"a cut file and another", `{"Records":[` + a + "," + b[:40] + "\n" + `{"Records":[` + c + `]}`, []string{"0: A", "1: invalid, broken in the middle of an array: not JSON: unexpected end", "2: C"}},
		{"Records is no array", `{"Records":"x"}`, []string{"invalid, Records is not an array"}},
		{"file in a file", `{"Records":[{"Records":[` + a + `]}]}`, []string{"0: invalid, a Records file inside another envelope"}},
		{"array", `[` + a + ",\n" + b + `]`, []string{"0: A", "1: B"}},
		{"empty array", ` [ ] `, []string{"0: skipped, an envelope without events"}},
		{"cut array", `[` + a + ",", []string{"0: A", "1: invalid, broken in the middle of an array: not JSON: unexpected end"}},
		{"arrays", "[" + a + "]\n[" + b + "]", []string{"0: A", "1: B"}},

		// EventBridge.
		{"EventBridge", bridge(api, a), []string{"A"}},
		{"another kind via CloudTrail", bridge(`"AWS Insight via CloudTrail"`, insight), []string{insight}},
		{"detail first", `{"account":"1","detail":` + a + `,"detail-type":` + api + `}`, []string{"A"}},
		{"kind with escapes", bridge(`"AWS API Call via Cloud\u0054rail"`, a), []string{"A"}},
		{"another kind", bridge(`"GuardDuty Finding"`, a), []string{`invalid, an EventBridge event of type "GuardDuty Finding", not from CloudTrail`}},
		{"kind is a number", bridge("7", a), []string{"invalid, an EventBridge event whose detail-type is not a string"}},
		{"detail is a string", bridge(api, `"x"`), []string{"invalid, an EventBridge event whose detail is not an object"}},
		{"detail is no event", bridge(api, `{"x":1}`), []string{"invalid, an EventBridge event whose detail is not a CloudTrail event"}},
		{"detail is broken", bridge(api, `{"x" 1}`), []string{"invalid, an EventBridge event whose detail is not JSON: no colon after a key"}},
		{"no detail", `{"detail-type":` + api + `}`, []string{"invalid, an EventBridge event whose detail is not an object"}},
		{"EventBridge lines", bridge(api, a) + "\n" + bridge(api, b), []string{"0: A", "1: B"}},
		{"EventBridge array", "[" + bridge(api, a) + "," + bridge(api, b) + "]", []string{"0: A", "1: B"}},

		// CloudWatch Logs.
		{"subscription", subscription(consoleLogin, b), []string{"0: ConsoleLogin", "1: B"}},
		{"subscription of EventBridge events", subscription(bridge(api, a)), []string{"0: A"}},
		{"two subscriptions", subscription(a) + subscription(b), []string{"0: A", "1: B"}},
		{"logEvents first", `{"logEvents":[{"id":"1","message":"{\"eventName\":\"A\"}"}],"messageType":"DATA_MESSAGE"}`, []string{"0: A"}},
		{"no messageType", `{"logEvents":[{"message":"{\"eventName\":\"A\"}"}]}`, []string{"0: A"}},
		{"control message", `{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logEvents":[{"id":"","message":"CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}]}`, []string{"skipped, a CloudWatch Logs control message"}},
		{"unknown type", `{"messageType":"OTHER","logEvents":[]}`, []string{`invalid, a CloudWatch Logs message of unknown type "OTHER"`}},
		{"messageType is a number", `{"messageType":1,"logEvents":[]}`, []string{"invalid, a CloudWatch Logs message whose messageType is not a string"}},
		{"logEvents is no array", `{"messageType":"DATA_MESSAGE","logEvents":{}}`, []string{"invalid, a CloudWatch Logs message whose logEvents is not an array"}},
		{"no logEvents", `{"messageType":"DATA_MESSAGE"}`, []string{"invalid, a CloudWatch Logs message whose logEvents is not an array"}},
		{"strange messages", `{"messageType":"DATA_MESSAGE","logEvents":[{"message":17},{"id":"x"},null,{"message":"plain text"},{"message":"{\"eventName\":"},{"message":"{\"eventName\":\"A\"} x"},{"message":""},{"message":"{\"eventName\":\"B\"}"},{"message" 1}]}`, []string{
			"0: invalid, a log event whose message is not a string", "1: invalid, a log event whose message is not a string",
			"2: invalid, an element that is no object", "3: invalid, a log event that is no JSON object",
			"4: invalid, not JSON: unexpected end", "5: invalid, not JSON: unexpected end",
			"6: invalid, a log event that is no JSON object", "7: B", "8: invalid, not JSON: no colon after a key",
		}},
		{"cut subscription", subscription(a, b)[:len(subscription(a, b))-20], []string{"0: A", "1: invalid, broken in the middle of an array: not JSON: unexpected end"}},
		{"empty subscription", `{"messageType":"DATA_MESSAGE","logEvents":[]}`, []string{"0: skipped, an envelope without events"}},

		// What is not for us.
		{"digest", `{"awsAccountId":"111122223333","digestStartTime":"2026-03-04T05:06:07Z","digestS3Object":"AWSLogs/…"}`, []string{"skipped, a CloudTrail digest file"}},
		{"S3 notification", `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventName":"ObjectCreated:Put","s3":{}}]}`, []string{"0: invalid, an S3 event notification: it names a file and holds no event"}},
		{"S3 notification, alphabetical", `{"Records":[{"awsRegion":"us-east-1","eventName":"ObjectCreated:Put","eventSource":"aws:s3"}]}`, []string{"0: invalid, an S3 event notification: it names a file and holds no event"}},
		{"S3 test", `{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}`, []string{"invalid, an S3 test notification"}},
		{"SNS", `{"Type":"Notification","MessageId":"1","TopicArn":"arn:aws:sns:…","Message":"{}"}`, []string{"invalid, an SNS message: not unwrapped, turn raw message delivery on"}},
		{"SQS", `{"Records":[{"messageId":"1","receiptHandle":"2","body":"{}","eventSource":"aws:sqs"}]}`, []string{"0: invalid, an SQS message: not unwrapped"}},
		{"Kinesis trigger", `{"Records":[{"kinesis":{"data":"eA=="},"eventSource":"aws:kinesis","eventName":"aws:kinesis:record"}]}`, []string{"0: invalid, a record of an AWS Lambda trigger, not a CloudTrail event"}},
		{"log file notice", `{"s3Bucket":"b","s3ObjectKey":["AWSLogs/1.json.gz"]}`, []string{"invalid, a CloudTrail log file notice: it names a file and holds no event"}},

		// Compressed.
		{"gzip", string(gzipOf(t, consoleLogin)), []string{"ConsoleLogin"}},
		{"gzip file", string(gzipOf(t, `{"Records":[`+a+","+b+`]}`)), []string{"0: A", "1: B"}},
		{"gzip members", string(gzipOf(t, subscription(a), subscription(b))), []string{"0: A", "1: B"}},
		{"gzip in gzip", string(gzipOf(t, string(gzipOf(t, a)))), []string{"A"}},
		{"zstd", string(zstdOf(t, `{"Records":[`+a+","+b+`]}`)), []string{"0: A", "1: B"}},
		{"zstd frames", string(zstdOf(t, a)) + string(zstdOf(t, b)), []string{"0: A", "1: B"}},
		{"gzip in zstd", string(zstdOf(t, string(gzipOf(t, a)))), []string{"A"}},
		{"three times", string(gzipOf(t, string(gzipOf(t, string(zstdOf(t, a)))))), []string{"invalid, compressed more than twice"}},
		{"nothing inside", string(gzipOf(t, "")), []string{"invalid, empty payload"}},
		{"cut gzip", string(gzipOf(t, a)[:40]), []string{"invalid, inflating: unexpected EOF"}},
		{"magic alone", "\x1f\x8b", []string{"invalid, inflating: unexpected EOF"}},
		{"garbage behind gzip", string(gzipOf(t, a)) + "garbage, enough for a header", []string{"invalid, inflating: gzip: invalid header"}},
		{"cut zstd", string(zstdOf(t, strings.Repeat(a, 9))[:60]), []string{"invalid, inflating: unexpected EOF"}},
		{"zstd garbage", "\x28\xb5\x2f\xfd\x00\x00\x00", []string{"invalid, inflating: unexpected EOF"}},
	}
	shared := NewUnwrapper(Limits{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			payload := []byte(tt.payload)
			if diff := cmp.Diff(tt.want, unwrap(t, NewUnwrapper(Limits{}), payload)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.want, unwrap(t, shared, payload)); diff != "" {
				t.Errorf("after other payloads: %s", diff)
			}
			if string(payload) != tt.payload {
				t.Error("the payload was changed")
			}
		})
	}
}

func TestLimits(t *testing.T) {
	u := NewUnwrapper(Limits{MaxInflated: 1000, MaxEvent: 300, MaxDepth: 5})
	large := `{"eventName":"A","x":"` + strings.Repeat("x", 300) + `"}`
	bomb := gzipOf(t, strings.Repeat(" ", 1001))
	for _, tt := range []struct {
		name, payload string
		want          []string
	}{
		{"event", large, []string{"invalid, an event of 324 bytes, more than the limit of 300"}},
		{"event among others", `{"Records":[` + event("A") + "," + large + "," + event("B") + `]}`, []string{"0: A", "1: invalid, an event of 324 bytes, more than the limit of 300", "2: B"}},
		{"depth", `{"a":{"b":{"c":{"d":{"e":1}}}},"eventName":"A"}`, []string{"A"}},
		{"depth", `{"a":{"b":{"c":{"d":{"e":{}}}}},"eventName":"A"}`, []string{"invalid, nests too deep: more than 5 levels"}},
		{"gzip just fits", string(gzipOf(t, event("A")+strings.Repeat(" ", 1000-len(event("A"))))), []string{"A"}},
		{"gzip bomb", string(bomb), []string{"invalid, inflates to more than 1000 bytes"}},
		{"gzip bomb in gzip", string(gzipOf(t, string(bomb))), []string{"invalid, inflates to more than 1000 bytes"}},
		{"zstd bomb", string(zstdOf(t, strings.Repeat(" ", 1<<20))), []string{"invalid, inflates to more than 1000 bytes"}},
		{"afterwards", string(zstdOf(t, event("A"))), []string{"A"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, unwrap(t, u, []byte(tt.payload))); diff != "" {
				t.Error(diff)
			}
		})
	}
	u.Unwrap([]byte(strings.Repeat("x", 1000)), new(Event), func(it Item) {
		if len(it.Raw) != 300 {
			t.Errorf("Raw of %d bytes is not cut to MaxEvent", len(it.Raw))
		}
	})
	if got := NewUnwrapper(Limits{MaxDepth: 1000}).limits; got != (Limits{256 << 20, 1 << 20, 299}) {
		t.Errorf("limits %+v", got)
	}
}

// Broken lines do not cost a pass over the rest of the payload each: eight
// times the lines take eight times the time, give or take, and not 64 times.
func TestManyBrokenLines(t *testing.T) {
	const lines = 64 << 10
	for name, line := range map[string]string{
		"open arrays":    "{\"a\":[\n",
		"open files":     "{\"Records\":[\n",
		"open records":   "{\"Records\":[{\"a\":1,\n",
		"open strings":   "{\"a\":\"x\n",
		"open objects":   "{\"a\":{\"b\":1\n",
		"odd quotes":     "{\"a\":[\"{\n",
		"open messages":  "{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{\"message\":\"\n",
		"braces":         "{\n",
		"whole ones":     "{\"eventName\":\"A\"} ",
		"whole arrays":   "[{\"eventName\":\"A\"}]",
		"closing braces": "}\n",
	} {
		u, ev, items := NewUnwrapper(Limits{}), new(Event), 0
		emit := func(Item) { items++ }
		few, many := []byte(strings.Repeat(line, lines/8)), []byte(strings.Repeat(line, lines))
		u.Unwrap(few, ev, emit)
		a := cpu(8, func() { u.Unwrap(few, ev, emit) })
		b := cpu(1, func() { u.Unwrap(many, ev, emit) })
		if b > 4*a && b > time.Second/2 {
			t.Errorf("%s: %v for 8 payloads, %v for one of their size", name, a, b)
		}
		if items < lines {
			t.Errorf("%s: %d items", name, items)
		}
	}
}

// Large buffers are given back, small ones are kept.
func TestInflateBuffers(t *testing.T) {
	u := NewUnwrapper(Limits{})
	unwrap(t, u, gzipOf(t, event("A")))
	if cap(u.inflate.bufs[0]) == 0 {
		t.Error("the buffer is not kept")
	}
	unwrap(t, u, gzipOf(t, event("A")+strings.Repeat(" ", keepInflated+1)))
	if got := cap(u.inflate.bufs[0]); got > keepInflated {
		t.Errorf("a buffer of %d bytes is kept", got)
	}
}

func TestAnyObject(t *testing.T) {
	u := NewUnwrapper(Limits{})
	u.AnyObject = true
	for payload, want := range map[string][]string{
		`{"a":1}`:                        {`{"a":1}`},
		`{}`:                             {`{}`},
		`{"Records":"x"}`:                {`{"Records":"x"}`},
		`{"Records":[{"a":1},2]}`:        {`0: {"a":1}`, "1: invalid, an element that is no object"},
		`{"detail-type":"x","detail":1}`: {`{"detail-type":"x","detail":1}`},
		`{"detail-type":"x via CloudTrail","detail":{"a":1}}`: {`{"a":1}`},
		`{"messageType":7}`:          {`{"messageType":7}`},
		`{"digestS3Object":"x"}`:     {`{"digestS3Object":"x"}`},
		`{"a" 1}`:                    {"invalid, not JSON: no colon after a key"},
		"{\"a\":1}\n{\"b\":2}\nnull": {`0: {"a":1}`, `1: {"b":2}`, "2: invalid, not a JSON object"},
	} {
		if diff := cmp.Diff(want, unwrap(t, u, []byte(payload))); diff != "" {
			t.Errorf("%s: %s", payload, diff)
		}
	}
}

func TestKeepEventBridge(t *testing.T) {
	u := NewUnwrapper(Limits{})
	u.AnyObject, u.KeepEventBridge = true, true
	whole := `{"detail-type":"x via CloudTrail","detail":{"a":1}}`
	if diff := cmp.Diff([]string{"0: " + whole, "1: " + whole}, unwrap(t, u, []byte(`{"Records":[`+whole+","+whole+"]}"))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{whole}, unwrap(t, u, []byte(whole))); diff != "" {
		t.Error(diff)
	}
}

func TestUnwrapDoesNotAllocate(t *testing.T) {
	a := event("A")
	u, ev := NewUnwrapper(Limits{}), new(Event)
	for name, payload := range map[string][]byte{
		"raw":          []byte(consoleLogin),
		"lines":        []byte(a + "\n" + a),
		"file":         []byte(`{"Records":[` + a + "," + a + `]}`),
		"subscription": []byte(subscription(consoleLogin, a)),
		"gzip":         gzipOf(t, `{"Records":[`+a+"]}"),
		"zstd":         zstdOf(t, `{"Records":[`+a+"]}"),
	} {
		events := 0
		emit := func(it Item) {
			if it.Kind == ItemEvent && ev.Name() != nil {
				events++
			}
		}
		if n := testing.AllocsPerRun(100, func() { u.Unwrap(payload, ev, emit) }); n != 0 || events == 0 {
			t.Errorf("%s: %v allocations, %d events", name, n, events)
		}
	}
}

// FuzzUnwrap: whatever the payload, there are items, they are numbered, none is
// longer than allowed, and events are what they are said to be.
func FuzzUnwrap(f *testing.F) {
	a := event("A")
	for _, seed := range []string{
		consoleLogin, a + "\n" + a, `{"Records":[` + a + "," + a + `]}`, `{"Records":[` + a + `,{"x`, subscription(a, "x"), subscription(a)[:200],
		`{"detail-type":"AWS API Call via CloudTrail","detail":` + a + `}`, "[" + a + ",null]", "{}\n{\n", "[[{\"a\":[\n{]", string(gzipOf(f, a)), string(zstdOf(f, a)),
	} {
		f.Add([]byte(seed))
	}
	limits := Limits{MaxInflated: 1 << 16, MaxEvent: 1 << 12, MaxDepth: 20}
	u, ev := NewUnwrapper(limits), new(Event)
	f.Fuzz(func(t *testing.T, payload []byte) {
		n := 0
		u.Unwrap(payload, ev, func(it Item) {
			if it.Wrapped && it.Index != n || !it.Wrapped && n > 0 {
				t.Fatalf("item %d has index %d, wrapped %v", n, it.Index, it.Wrapped)
			}
			n++
			if len(it.Raw) > limits.MaxEvent {
				t.Fatalf("an item of %d bytes", len(it.Raw))
			}
			if (it.Reason == "") != (it.Kind == ItemEvent) || len(it.Reason) > 1000 {
				t.Fatalf("kind %d with reason %q", it.Kind, it.Reason)
			}
			if it.Kind != ItemEvent {
				return
			}
			if _, kind := ev.Scan(Path{"insightDetails"}); ev.Name() == nil && ev.Source() == nil && kind != Object {
				t.Fatalf("%q is no event", it.Raw)
			}
			ev.Time()
			ev.Identity()
			// The error is not of interest: the tail of an event is not read.
			_ = ev.Validate()
		})
		if n == 0 {
			t.Fatal("no item")
		}
		if n > len(payload)+limits.MaxInflated {
			t.Fatalf("%d items", n)
		}
	})
}
