package cloudtrail

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ask puts questions to an event, in the order that ops says, and returns the
// answers.
func ask(ev *Event, ops []byte) (answers []string) {
	paths := []Path{
		{"eventName"},
		{"eventSource"},
		{"awsRegion"},
		{"errorCode"},
		{"readOnly"},
		{"userIdentity"},
		{"userIdentity", "arn"},
		{"requestParameters", "p"},
		{"notThere"},
		{"vpcEndpointId"},
		{"eventVersion"},
		{},
	}
	for _, op := range ops {
		switch k := int(op) % (len(paths) + 8); k {
		case 0:
			answers = append(answers, "name "+string(ev.Name()))
		case 1:
			answers = append(answers, "source "+string(ev.Source()))
		case 2:
			nanos, ok := ev.Time()
			answers = append(answers, fmt.Sprint("time ", nanos, ok))
		case 3:
			answers = append(answers, fmt.Sprint("broken ", ev.Broken()))
		case 4:
			answers = append(answers, fmt.Sprintf("identity %x %d", ev.Identity(), ev.Sum()))
		case 5:
			v, err := ev.Parse()
			answers = append(answers, fmt.Sprint("tree ", v, err))
		case 6:
			answers = append(answers, fmt.Sprint("valid ", ev.Validate()))
		case 7:
			answers = append(answers, "raw "+string(ev.Raw()))
		default:
			text, kind := ev.Scan(paths[k-8])
			answers = append(answers, fmt.Sprintf("%v %d %s", paths[k-8], kind, text))
		}
	}
	return append(answers, fmt.Sprintf("%s, %s, %v: %s", ev.Name(), ev.Source(), ev.Broken(), ev.Raw()))
}

// transcript is everything that can be seen of a payload.
func transcript(u *Unwrapper, ev *Event, payload, ops []byte) (out []string, lazy int) {
	u.Unwrap(payload, ev, func(it Item) {
		line := fmt.Sprintf("%d %d %t %q", it.Kind, it.Index, it.Wrapped, it.Reason)
		if it.Kind == ItemEvent {
			if it.Raw == nil {
				lazy++
			}
			line += "\n" + strings.Join(ask(ev, ops), "\n")
		} else {
			line += string(it.Raw)
		}
		out = append(out, line)
	})
	return out, lazy
}

// message is a subscription with these texts, each escaped already.
func message(texts ...string) string {
	var b strings.Builder
	b.WriteString(`{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[`)
	for i, text := range texts {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"%d","timestamp":17000000000%02d,"message":"%s"}`, i, i, text)
	}
	return b.String() + "]}"
}

var plainEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// loggedTexts are events in CloudWatch Logs: usual ones, and those that only the
// unescaping way can read.
func loggedTexts() []string {
	quote := plainEscapes.Replace
	usual := quote(consoleLogin)
	texts := []string{
		usual,
		quote(`{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","arn":"a\\b\"c"},"eventTime":"2026-03-04T05:06:07Z","eventSource":"iam.amazonaws.com","eventName":"A","requestParameters":{"p":"{\"x\":[1,2,\"\\\\\"]}"},"readOnly":false}`),
		quote(`{"eventVersion":"1.08","eventName":"A\"}],{\"id\":\"","eventTime":"2026-03-04T05:06:07Z"}`),
		quote(`{"eventVersion":"1.08","eventName":"\u0041\ud83d\ude00\ud83dB\q"}`),
		quote(`{"eventVersion":"1.08","eventTime":1,"eventSource":"aws:s3","eventName":"ObjectCreated:Put"}`),
		quote(`{"eventName":"ObjectCreated:Put","eventSource":"aws:sqs"}`),
		quote(`{"eventName":"A:B","eventSource":"x.amazonaws.com"}`),
		quote(`{"eventName":"A","eventName":"B","awsRegion":"r","awsRegion":"q","eventSource":null}`),
		quote(`{"eventName":7,"eventSource":"x.amazonaws.com","eventName":"A"}`),
		quote(`{"Records":[],"eventName":"A"}`),
		quote(`{"detail-type":"AWS API Call via CloudTrail","detail":{"eventName":"A"}}`),
		quote(`{"eventVersion":"1.07","insightDetails":{"eventName":"R"}}`),
		quote(`{"eventName":"A"} `), quote(` {"eventName":"A"}`), quote(`{ "eventName" : "A" , "awsRegion":"r"}`),
		quote(`{"eventName":"A"}}`), quote(`{"eventName":"A"`), quote(`{"eventName":"A","x":}`), quote(`{"eventName":"A" "x":1}`), quote(`{"eventName":"A","x":[}`),
		quote(`{"eventName":"A","errorCode":"E","x":{"y":[{"z":"}"}]},"vpcEndpointId":"v"}`),
		quote(`{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `,"eventName":"A"}`),
		quote(`{"eventName":"A","a":` + strings.Repeat(`{"a":`, 63) + "1" + strings.Repeat("}", 64)),
		quote(`{"eventName":"A","eventTime":"2026-03-04T05:06:07Z","x":-,"readOnly":tru}`),
		quote(`{}`), "", "text", `{\"eventName\":\"A\\\\\"}`, `{\"eventName\":\"A\\\\\\\"\"}`,
		strings.ReplaceAll(usual, `\"eventName`, `\u0022eventName`), strings.Replace(usual, `eventName`, `event\u004eame`, 1),
		strings.Replace(usual, `ConsoleLogin`, `Console\u004cogin`, 1), strings.Replace(usual, `ConsoleLogin`, `Console\\u004cogin`, 1),
		strings.Replace(usual, `Login`, `\/Login`, 1), strings.Replace(usual, `Login`, `\nLogin`, 1), strings.Replace(usual, `Login`, `\\nLogin`, 1),
		strings.Replace(usual, `{`, `{\n`, 1), strings.Replace(usual, `,`, `,\u0020`, 3), strings.Replace(usual, `{`, `\u007b`, 2),
		strings.Replace(usual, `Login`, `\u005c\"x`, 1), strings.Replace(usual, `Login`, `\u005c\\\"x`, 1), strings.Replace(usual, `Login`, `\u00`, 1),
		strings.Replace(usual, `Login`, `\ud83d\ude00`, 1), strings.Replace(usual, `Login`, `\ud83d`, 1), strings.Replace(usual, `Login`, `\q`, 1),
		strings.Replace(usual, `Login`, "\x01\t\xff", 1), strings.Replace(usual, `Login`, "\n", 1),
	}
	for n := range 10 { // runs of backslashes before a quote and before a letter
		run := strings.Repeat(`\`, n)
		texts = append(texts, strings.Replace(usual, `Login`, run+`"`, 1), strings.Replace(usual, `Login`, run+`x`, 1), usual+run, strings.Replace(usual, `\"eventName`, run+`"eventName`, 1))
	}
	return texts
}

// lazySeeds are subscriptions of them, as they should be and spoilt.
func lazySeeds() (out []string) {
	usual := plainEscapes.Replace(consoleLogin)
	for _, text := range loggedTexts() {
		out = append(out, message(text), message(usual, text, usual))
	}
	whole := message(usual, usual)
	return append(out,
		whole+" ", whole+"\n"+whole, whole+whole, whole[:len(whole)-1], whole[:len(whole)-2], whole[:len(whole)-5], whole+"x",
		message(), strings.Replace(whole, "DATA_MESSAGE", "CONTROL_MESSAGE", 1), strings.Replace(whole, "DATA_MESSAGE", "OTHER", 1),
		strings.Replace(whole, `"messageType":"DATA_MESSAGE",`, "", 1), strings.Replace(whole, `"messageType"`, `"messageType":7,"messageType"`, 1),
		strings.Replace(whole, `"id":"1"`, `"id":"x"`, 1), strings.Replace(whole, `"timestamp":`, `"timestamp":"`, 1), strings.Replace(whole, `,"timestamp":1700000000001`, ``, 1),
		strings.Replace(whole, `"}]}`, `","extractedFields":{"a":"b"}}]}`, 1), strings.Replace(whole, `"}]}`, `"}],"more":{"a":[1]}}`, 1),
		strings.Replace(whole, `"}]}`, `"}],"more":{"a":[1}}`, 1), strings.Replace(whole, `"}]}`, `"} ] }`, 1), strings.Replace(whole, `"}]}`, `"},]}`, 1), strings.Replace(whole, `"},{`, `"},,{`, 1),
		strings.Replace(whole, `"},{`, `"},7,{`, 1), strings.Replace(whole, `"},{`, `"} ,`+"\n{", 1), strings.Replace(whole, `{"id"`, `{ "id"`, 1),
		strings.Replace(whole, `"g"`, `{"a":[}`, 1), strings.Replace(whole, `"g"`, `]`, 1),
	)
}

// FuzzLazyLogs: nothing that can be asked of a payload's events is answered
// otherwise because they are not unescaped at once.
func FuzzLazyLogs(f *testing.F) {
	for i, s := range lazySeeds() {
		f.Add([]byte(s), []byte{0, byte(i), 2, 3, byte(i / 20), byte(i / 3)})
	}
	f.Fuzz(func(t *testing.T, payload, ops []byte) {
		compareLazy(t, payload, ops[:min(len(ops), 12)])
	})
}

func compareLazy(t *testing.T, payload, ops []byte) (lazy int) {
	t.Helper()
	limits := Limits{MaxEvent: 2000}
	plain, quick := NewUnwrapper(limits), NewUnwrapper(limits)
	quick.Lazy = true
	if len(ops) > 0 && ops[0]&64 != 0 {
		plain.AnyObject, quick.AnyObject = true, true
	}
	one, other := new(Event), new(Event)
	for range 2 { // the second time with what was learnt of the order of keys
		want, _ := transcript(plain, one, payload, ops)
		got, n := transcript(quick, other, payload, ops)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q, asked %v: (-plain +lazy)\n%s", payload, ops, diff)
		}
		lazy = n
	}
	return lazy
}

// Payloads of every kind, and with a few bytes changed, taken out or repeated.
func TestLazyLogs(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	alphabet := []string{`\`, `"`, `\"`, `\\`, `{`, `}`, `[`, `]`, `,`, `:`, "\n", " ", `\u0022`, `\u005c`, "x", "1", `\\\"`}
	lazy, all := 0, 0
	for _, seed := range lazySeeds() {
		for range 40 {
			b := []byte(seed)
			for range r.IntN(4) {
				at := r.IntN(len(b))
				put := alphabet[r.IntN(len(alphabet))]
				b = slices.Replace(b, at, min(len(b), at+r.IntN(3)), []byte(put)...)
			}
			ops := make([]byte, r.IntN(6))
			for i := range ops {
				ops[i] = byte(r.IntN(256))
			}
			lazy += compareLazy(t, b, ops)
			all++
		}
	}
	if lazy < all/4 {
		t.Errorf("%d events of %d payloads were lazy: that proves little", lazy, all)
	}
	t.Logf("%d events of %d payloads were lazy", lazy, all)
}

// Of what the service writes every event is read as it is written.
func TestLazyLogsAreLazy(t *testing.T) {
	usual := plainEscapes.Replace(consoleLogin)
	if lazy := compareLazy(t, []byte(message(usual, usual, usual)), nil); lazy != 3 {
		t.Errorf("%d of 3 events were lazy", lazy)
	}
}

// What was answered stays valid when the event is unescaped for a later question.
func TestLazyAnswersStay(t *testing.T) {
	u := NewUnwrapper(Limits{})
	u.Lazy = true
	ev := new(Event)
	u.Unwrap([]byte(message(plainEscapes.Replace(consoleLogin))), ev, func(Item) {
		name, region := ev.Name(), ev.Source()
		before := string(name) + string(region)
		if _, err := ev.Parse(); err != nil {
			t.Fatal(err)
		}
		ev.Scan(Path{"userIdentity", "arn"})
		if got := string(name) + string(region); got != before {
			t.Errorf("%q became %q", before, got)
		}
	})
}
