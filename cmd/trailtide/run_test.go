package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

const stopRule = `
rules:
  - id: %s
    title: A trail was stopped
    severity: high
    match: {eventName: StopLogging}
`

func event(n int, name string) string {
	return fmt.Sprintf(`{"eventVersion":"1.08","eventTime":%q,"eventSource":"cloudtrail.amazonaws.com","eventName":%q,"awsRegion":"eu-west-1","eventID":"id-%d","recipientAccountId":"111122223333"}`,
		time.Now().UTC().Format(time.RFC3339), name, n)
}

// eventually polls until ok answers true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%s did not happen", what)
		case <-tick.C:
		}
	}
}

// received is a webhook receiver.
type received struct {
	mu     sync.Mutex
	alerts []map[string]any
}

func (r *received) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var a map[string]any
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alerts = append(r.alerts, a)
}

func (r *received) rules() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, a := range r.alerts {
		out = append(out, a["rule_id"].(string))
	}
	return out
}

func get(t *testing.T, method, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// TestWorkerFromKafkaToWebhook runs the whole worker: records from a broker,
// alerts at a webhook, rules reloaded in between, metrics that add up.
func TestWorkerFromKafkaToWebhook(t *testing.T) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "trail"))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	hook := &received{}
	srv := httptest.NewServer(hook)
	defer srv.Close()

	dir := t.TempDir()
	rules := filepath.Join(dir, "rules.yaml")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write(rules, fmt.Sprintf(stopRule, "first"))
	admin := freePort(t)
	conf := filepath.Join(dir, "trailtide.yaml")
	write(conf, fmt.Sprintf(`
rules: {paths: [rules.yaml], builtin: false}
source:
  kafka: {brokers: [%q], topics: [trail], metadata_min_age: 50ms, lag_interval: 100ms}
commit_interval: 50ms
stop_within: 5s
sinks:
  - {name: hook, webhook: {url: %q}}
  - {name: archive, file: {path: %q}}
admin: {listen: %q, token: secret}
`, broker.ListenAddrs()[0], srv.URL, filepath.Join(dir, "alerts.ndjson"), admin))

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log lockedBuffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"run", "-c", conf}, stdio{strings.NewReader(""), io.Discard, &log}) }()

	cl, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...), kgo.DefaultProduceTopic("trail"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	n := 0
	send := func(value string) {
		t.Helper()
		n++
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	base := "http://" + admin
	eventually(t, "readiness", func() bool { status, _ := get(t, "GET", base+"/readyz", ""); return status == http.StatusOK })

	send(event(1, "StopLogging"))
	send(event(2, "DescribeTrails"))
	send(`{"eventName": "StopLogging", broken`)
	eventually(t, "the first alert", func() bool { return len(hook.rules()) == 1 })

	write(rules, "rules: [{id: broken, title: x, severity: high, match: {eventName: StopLogging, nope}}]")
	if status, body := get(t, "POST", base+"/-/reload", "secret"); status != http.StatusUnprocessableEntity || !strings.Contains(body, "rules.yaml:1:") {
		t.Errorf("a broken set answers %d %s", status, body)
	}
	send(event(3, "StopLogging"))
	eventually(t, "an alert of the old rules", func() bool { return len(hook.rules()) == 2 })

	write(rules, fmt.Sprintf(stopRule, "second")) // noticed by itself
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(log.String())
		}
	})
	eventually(t, "an alert of the new rules", func() bool {
		send(event(n+100, "StopLogging"))
		got := hook.rules()
		return got[len(got)-1] == "second"
	})

	if status, _ := get(t, "GET", base+"/metrics", ""); status != http.StatusUnauthorized {
		t.Errorf("metrics without the token: %d", status)
	}
	eventually(t, "metrics that add up", func() bool {
		_, text := get(t, "GET", base+"/metrics", "secret")
		sum := metric(text, "trailtide_events_invalid_total") + metric(text, "trailtide_events_matched_total") +
			metric(text, "trailtide_events_duplicate_total") + metric(text, "trailtide_events_unmatched_total")
		return sum == float64(n) && metric(text, "trailtide_events_read_total") == sum && metric(text, "trailtide_events_invalid_total") == 1
	})

	stop()
	if got := <-code; got != exitOK {
		t.Fatalf("exit code %d\n%s", got, log.String())
	}
	archived, err := os.ReadFile(filepath.Join(dir, "alerts.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(string(archived), "\n"), len(hook.rules()); got != want {
		t.Errorf("%d alerts in the archive, %d at the webhook", got, want)
	}

	var out, errs bytes.Buffer
	if got := run(t.Context(), []string{"dead-letters", "events", "-c", conf}, stdio{nil, &out, &errs}); got != exitOK || !strings.Contains(out.String(), "trail/") {
		t.Errorf("dead letters: %d %s %s", got, out.String(), errs.String())
	}
}

// metric reads one sample without labels from Prometheus' text format.
func metric(text, name string) float64 {
	var v float64
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			if _, err := fmt.Sscan(rest, &v); err != nil {
				return -1
			}
			return v
		}
	}
	return -1
}

func TestSecondWorkerOnAStateFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "c.yaml")
	text := "source: {kafka: {brokers: ['127.0.0.1:1'], topics: [t]}}\nadmin: {listen: 'off'}\nrules: {watch: false}\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	first := make(chan int, 1)
	var log lockedBuffer
	go func() { first <- run(ctx, []string{"run", "-c", conf}, stdio{nil, io.Discard, &log}) }()
	eventually(t, "the first worker's start", func() bool { return strings.Contains(log.String(), "trailtide starts") })

	var errs bytes.Buffer
	if got := run(t.Context(), []string{"run", "-c", conf}, stdio{nil, io.Discard, &errs}); got != exitRuntime || !strings.Contains(errs.String(), "in use") {
		t.Errorf("the second worker: %d %s", got, errs.String())
	}
	stop()
	if got := <-first; got != exitOK {
		t.Errorf("the first worker: %d %s", got, log.String())
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestConcernsRules(t *testing.T) {
	read := []string{"/etc/rules/a.yaml", "/etc/lists/robots.txt"}
	for _, c := range []struct {
		name string
		op   fsnotify.Op
		want bool
	}{
		{"/etc/rules/a.yaml", fsnotify.Write, true},
		{"/etc/rules/new.yml", fsnotify.Create, true},
		{"/etc/lists/robots.txt", fsnotify.Write, true},
		{"/etc/lists/robots.txt", fsnotify.Chmod, false},
		{"/etc/rules/trailtide.db-wal", fsnotify.Write, false},
		{"/etc/rules/..data", fsnotify.Create, true}, // as config maps are swapped
	} {
		if got := concernsRules(fsnotify.Event{Name: c.name, Op: c.op}, read); got != c.want {
			t.Errorf("%s %s: %v", c.op, c.name, got)
		}
	}
}
